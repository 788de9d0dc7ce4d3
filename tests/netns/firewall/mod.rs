//! The firewall room against the kernel: what is put in acts, what is taken out leaves nothing, and nothing of others
//! is touched, whatever fails and whoever dies.

mod acts;
mod disturbed;
mod early;
pub mod life;
mod load;

pub use acts::container_network;
pub use early::long_list;

use crate::Case;
use crate::common::wait_for;
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, try_sh};
use pfw::firewall::{self, Backend, Installed, Options, Plan, Tools, Variant};
use pfw::host::Host;
use pfw::rules::{Origin, Ruleset};
use pfw::time::Timestamp;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    [acts::CASES, early::CASES, disturbed::CASES, life::CASES, load::CASES].concat()
}

/// What this binary can be told to be beside a case.
pub const ROLES: &[Case] = &[("firewall_holder", life::holder)];

/// Between two turns of a stream of datagrams: some are under way at each moment of a reload.
const PACE: Duration = Duration::from_micros(20);
const BOTH: [Variant; 2] = [Variant::Nft, Variant::Legacy];

fn rules(text: &str) -> Ruleset {
    let read = |_: &Path| Err(ErrorKind::NotFound.into());
    let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
    pfw::rules::parse(text.as_bytes().to_vec(), &origin).unwrap_or_else(|errors| panic!("{errors}")).ruleset
}

/// A plan with a generation of its own.
fn plan(text: &str) -> Plan {
    plan_of(&rules(text))
}

fn plan_of(rules: &Ruleset) -> Plan {
    let (host, options) = circumstances();
    Plan::new(rules, &host, options, Timestamp::now())
}

/// The plan of rules that are to come after those in force.
fn plan_after(installed: &Installed, text: &str) -> Plan {
    let (host, options) = circumstances();
    installed.plan().next(&rules(text), &host, options, Timestamp::now())
}

/// The machine, and a generation of its own.
fn circumstances() -> (Host, Options) {
    static GENERATION: AtomicU32 = AtomicU32::new(1);
    let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let host = Host { addresses: vec![(address(HOST4), 24), (address(HOST6), 64)], ..Host::default() };
    // What it writes for these both take.
    let (backend, forwards) = (Backend::NfTables, firewall::forwards());
    (host, Options { generation, nflog_group: Some(77), raw: true, bpf: true, last_user: 0, backend, forwards })
}

fn tools(variant: Variant) -> Tools {
    Tools::find(variant).expect("both variants are installed")
}

fn enforce(variant: Variant, text: &str) -> Installed {
    Installed::start(plan(text), tools(variant)).unwrap_or_else(|error| panic!("{error}"))
}

/// All that a machine has of rules and sets, without times of day, counters, and tables that are as the tools make them.
pub fn everything() -> String {
    let as_made = |line: &str| line.starts_with(['#', '*']) || line == "COMMIT" || line.contains(" ACCEPT [");
    let without_counters = |line: &str| line.split(" [").next().map_or(String::new(), str::to_owned) + "\n";
    let tools =
        ["iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save", "ip6tables-legacy-save", "ipset save"];
    let all = tools.map(|tool| format!("== {tool}\n{}", listing(tool)));
    all.concat().lines().filter(|line| !as_made(line)).map(without_counters).collect()
}

/// What a tool prints. That of legacy fails if a set goes away between its reading of a rule and of the set's name.
fn listing(tool: &str) -> String {
    let output = wait_for(tool, || Some(try_sh(tool)).filter(|output| output.status.success()));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn nothing_of_pfw() -> bool {
    !everything().to_lowercase().contains("pfw")
}

/// The two hosts, once they reach each other.
fn world() -> World {
    let world = World::new();
    wait_for("the network", || [PEER4, PEER6].iter().all(|peer| ping(peer)).then_some(()));
    world
}

/// Whether a ping from the host to `address` is answered.
fn ping(address: &str) -> bool {
    try_sh(&format!("ping -q -c 1 -W 0.3 {address}")).status.success()
}

fn ping_from_peer(address: &str) -> bool {
    try_sh(&format!("ip netns exec peer ping -q -c 1 -W 0.3 {address}")).status.success()
}
