//! The real kernel, real packets, the built binary: each case runs in network and mount namespaces of its own.
//!
//! The runner re-executes itself under `unshare` once for each case, with the case's name in the environment. A case
//! that can't run here is *ignored*, with the reason, unless `PFW_REQUIRE_NETNS=1`, which makes it fail.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unsafe_code,
    reason = "a test says so by failing"
)]

mod answers;
mod audit;
mod bans;
mod capture;
#[path = "../common/mod.rs"]
mod common;
mod control;
mod death;
mod detect;
mod devices;
mod discards;
mod early;
mod enforce;
mod fan;
mod faults;
mod firewall;
mod forward;
mod fragments;
mod intruders;
mod keys;
mod led;
mod led_away;
mod lifeline;
mod local;
mod locked;
mod monitor;
mod needs;
mod nflog;
mod open;
mod posing;
mod redirect;
mod resets;
mod router_errors;
mod scans;
mod service;
mod store;
mod stream;
mod terminal;
mod tproxy;
mod tui;
mod variant;
mod verdict;
mod world;

use libtest_mimic::{Arguments, Failed, Trial};
use std::process::{Command, ExitCode};

/// The environment variable that tells the re-executed runner which case it is.
const CASE: &str = "PFW_NETNS_CASE";

type Case = (&'static str, fn());

fn cases() -> Vec<Case> {
    [
        answers::CASES,
        audit::CASES,
        bans::CASES,
        capture::CASES,
        fan::CASES,
        &control::cases(),
        death::CASES,
        detect::CASES,
        devices::CASES,
        discards::CASES,
        early::CASES,
        enforce::CASES,
        faults::CASES,
        &firewall::cases(),
        forward::CASES,
        fragments::CASES,
        intruders::CASES,
        keys::CASES,
        &monitor::cases(),
        local::CASES,
        needs::CASES,
        locked::CASES,
        nflog::CASES,
        open::CASES,
        posing::CASES,
        led::CASES,
        led_away::CASES,
        redirect::CASES,
        resets::CASES,
        router_errors::CASES,
        scans::CASES,
        service::CASES,
        store::CASES,
        tproxy::CASES,
        tui::CASES,
        verdict::CASES,
    ]
    .concat()
}

fn main() -> ExitCode {
    // The guardian is this binary again, as it is pfw's own in life.
    if let Some(code) = pfw::firewall::guardian::main(std::env::args_os().skip(1)) {
        return code;
    }
    if let Ok(name) = std::env::var(CASE) {
        return inside(&name);
    }
    let missing = what_is_missing();
    let required = std::env::var("PFW_REQUIRE_NETNS").is_ok_and(|value| value == "1");
    if let Some(reason) = &missing {
        eprintln!("kernel tests can't run here: {reason}");
    }
    let trials = cases()
        .into_iter()
        .map(|(name, _)| {
            let reason = missing.clone();
            let lacking = lacks_what_it_needs(name);
            Trial::test(name, move || match reason {
                Some(reason) => Err(Failed::from(reason)),
                None => in_namespaces(name),
            })
            .with_ignored_flag(lacking || missing.is_some() && !required)
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Runs a case as a child in fresh namespaces and hands on what it printed if it failed.
fn in_namespaces(name: &str) -> Result<(), Failed> {
    let this = std::env::current_exe()?;
    let mut command = Command::new("unshare");
    command.args(unshare_flags()).arg(this).env(CASE, name);
    if verdict::is_watched() {
        let status = command.status()?;
        return if status.success() { Ok(()) } else { Err("see above".into()) };
    }
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)).into())
}

/// As root plain namespaces; otherwise an unprivileged user namespace around them.
fn unshare_flags() -> &'static [&'static str] {
    // SAFETY: geteuid reads a number.
    if unsafe { libc::geteuid() } == 0 { &["-n", "-m"] } else { &["-r", "-n", "-m"] }
}

/// Why no case can run here, if so.
fn what_is_missing() -> Option<String> {
    for tool in ["unshare", "ip", "ping", "iptables", "ip6tables", "ipset", "nft", "conntrack", "python3", "script"] {
        if Command::new(tool).arg("-V").output().is_err() {
            return Some(format!("'{tool}' is not installed"));
        }
    }
    let probe = "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add probe && ip link add probe0 type veth peer name probe1";
    match Command::new("unshare").args(unshare_flags()).args(["sh", "-c", probe]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// What a case needs of the kernel that not each has, whatever is installed: a command that succeeds if it is there.
const NEEDS: &[(&str, &str)] = &[
    (devices::ON_A_VLAN, "ip link add type dummy && ip link add link dummy0 type vlan id 5"),
    (bans::SCANS, "nmap --version"),
    (bans::SHOWN, "nmap --version"),
    (detect::THROUGH, "nmap --version"),
    (detect::FLOODS, "nmap --version && hping3 --version"),
];

/// Whether this kernel is none that the case can run on; says so.
fn lacks_what_it_needs(name: &str) -> bool {
    let scans = scans::CASES.iter().map(|(case, _)| (*case, "nmap --version"));
    let Some((_, probe)) = NEEDS.iter().copied().chain(scans).find(|(case, _)| *case == name) else { return false };
    let output = Command::new("unshare").args(unshare_flags()).args(["sh", "-c", probe]).output();
    let lacks = output.is_ok_and(|output| !output.status.success());
    if lacks {
        eprintln!("{name} can't run on this kernel: '{probe}' fails");
    }
    lacks
}

fn inside(name: &str) -> ExitCode {
    match cases().into_iter().chain(firewall::ROLES.iter().copied()).find(|(case, _)| *case == name) {
        // A panic prints its message and ends the process with 101.
        Some((_, case)) => {
            case();
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}
