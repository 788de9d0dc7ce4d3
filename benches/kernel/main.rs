//! What enforcing costs the kernel: `sudo cargo bench --bench kernel [-- WORD]`.
//!
//! Two hosts on a veth pair, in network namespaces of their own, so that the machine's rules stay as they are. What is
//! compared is measured in turn, round after round, and the ratio is the median of the rounds': whatever else the
//! machine does meanwhile strikes both sides. Rates are packets per second of processor time, of sender and receiver
//! together; sending alone takes about half of it, so that ratios of the receiver's own cost are larger.
//!
//! The words are `rates`, `live` (floods of which each packet is a line), `throughput` (needs iperf3), `starts`, `changes`
//! and `rest`; without one all are measured.
//!
//! `--short` runs everything once with small numbers: it shows that the benchmark works, and no more.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    unsafe_code,
    reason = "a benchmark says so by failing"
)]

mod changes;
#[path = "../../tests/common/mod.rs"]
mod common;
mod flood;
mod live;
mod rest;
mod starts;
mod throughput;
#[path = "../../tests/netns/world.rs"]
mod world;

use common::{Running, pfw};
use flood::Flood;
use std::fmt::Write;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, ExitCode};
use std::time::Duration;
use world::{HOST4, World, on_peer, sh};

/// The environment variable that tells the re-executed benchmark that it is in its namespaces.
const INSIDE: &str = "PFW_BENCH_INSIDE";
/// Where the listed networks begin, and where unlisted ones do.
const LISTED: u32 = 0x0b00_0000;
const OTHERS: u32 = 0x0c00_0000;
/// How long pfw may take to get ready, or to end: a million networks take some seconds, on a busy machine many.
const PATIENCE: Duration = Duration::from_mins(2);
/// Different sources of a flood.
const SOURCES: u32 = 64;

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Size {
    rounds: usize,
    packets: usize,
    networks: u32,
    many_networks: u32,
    rules: u32,
    /// Packets of a flood of which each becomes a line.
    flood: usize,
    /// Changes that are timed.
    changes: u32,
    /// Pairs of streams, and how long each is.
    throughputs: usize,
    stream: Duration,
    /// How long it is watched at rest.
    rest: Duration,
}

const FULL: Size = Size {
    rounds: 15,
    packets: 200_000,
    networks: 100_000,
    many_networks: 1_000_000,
    rules: 10_000,
    flood: 3_000_000,
    changes: 15,
    throughputs: 5,
    stream: Duration::from_secs(4),
    rest: Duration::from_secs(20),
};
const SHORT: Size = Size {
    rounds: 1,
    packets: 5_000,
    networks: 1_000,
    many_networks: 2_000,
    rules: 100,
    flood: 20_000,
    changes: 2,
    throughputs: 1,
    stream: Duration::from_secs(1),
    rest: Duration::from_secs(1),
};

fn main() -> ExitCode {
    // The guardian is pfw's binary, not this one.
    let words: Vec<_> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if std::env::var(INSIDE).is_ok() {
        measure(&words);
        return ExitCode::SUCCESS;
    }
    let this = std::env::current_exe().expect("known");
    let mut command = Command::new("unshare");
    command.args(["-n", "-m"]).arg(this).args(words).env(INSIDE, "1");
    // In memory, so that no disk is measured.
    let status = command.env("TMPDIR", "/dev/shm").status();
    if status.expect("unshare runs").success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn measure(words: &[String]) {
    let size = if words.iter().any(|word| word == "--short") { SHORT } else { FULL };
    let wanted = |name: &str| words.iter().filter(|word| *word != "--short").all(|word| name.contains(word.as_str()));
    let world = World::new();
    println!("| what | against | measured | ratio |\n|---|---|---|---|");
    sh("sysctl -q net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 \
        && ip route add 11.0.0.0/8 via 10.77.0.2 && ip route add 12.0.0.0/8 via 10.77.0.2");
    // Read by nobody: what is beyond its buffer is dropped behind all rules.
    let _socket = UdpSocket::bind((HOST4, 5000)).expect("a free port");
    let to = flood::hardware_address("eth0");
    let flood = |first: u32| {
        let sources = (0..SOURCES).map(|n| Ipv4Addr::from(first + n.wrapping_mul(7919) % size.networks * 16 + 1));
        Flood { interface: "eth0", to, dst: HOST4.parse().expect("an address"), port: 5000, sources: sources.collect() }
    };
    if wanted("rates") {
        rates(&world, size, &flood);
    }
    if wanted("live") {
        live::all(&world, size, &flood);
    }
    if wanted("throughput") {
        throughput::all(&world, size);
    }
    if wanted("starts") {
        starts::all(&world, size);
    }
    if wanted("changes") {
        changes::all(&world, size);
    }
    if wanted("rest") {
        rest::all(&world, size);
    }
}

/// What the receiving host does with a flood.
enum Receiver {
    /// A line for `iptables` by hand.
    Hand(&'static str),
    /// pfw with these rules and arguments.
    Pfw(String, &'static [&'static str]),
}

fn rates(world: &World, size: Size, flood: &impl Fn(u32) -> Flood) {
    std::fs::write(world.path("bulk.txt"), networks(size.networks)).expect("written");
    let listed = || r#"{ "block_lists": ["bulk.txt"] }"#.to_owned();
    let one = |peer: &str| format!(r#"{{ "block_ips": ["{peer}"] }}"#);
    let none: &[&str] = &["--log", "none"];
    let drop = Receiver::Hand("-A INPUT -s 11.0.0.0/8 -j DROP");
    let compare = |what: &str, against: (&str, &Receiver), receiver: Receiver, first: u32| {
        let flood = flood(first);
        let (mut theirs, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..size.rounds {
            let pair = [rate(world, against.1, &flood, size.packets), rate(world, &receiver, &flood, size.packets)];
            theirs.push(pair[0]);
            ours.push(pair[1]);
            ratios.push(pair[1] / pair[0]);
        }
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        println!("| {what} | {} | {ours:.0} to {theirs:.0} packets/s | {:.2} |", against.0, median(&mut ratios));
    };
    let hand = ("one DROP in INPUT by hand", &drop);
    let networks = size.networks;
    compare(&format!("dropping peers of {networks} networks, --log none"), hand, Receiver::Pfw(listed(), none), LISTED);
    compare("dropping one blocked network, --log none", hand, Receiver::Pfw(one("11.0.0.0/8"), none), LISTED);
    compare(&format!("dropping peers of {networks} networks, each logged"), hand, Receiver::Pfw(listed(), &[]), LISTED);
    let rule = Receiver::Pfw(one("192.0.2.1"), none);
    let name = format!("letting others through beside {networks} networks");
    compare(&name, ("one rule", &rule), Receiver::Pfw(listed(), none), OTHERS);
    let rule = Receiver::Pfw(one("192.0.2.1"), &[]);
    let name = "the same, each logged";
    compare(name, ("one rule, each logged", &rule), Receiver::Pfw(listed(), &[]), OTHERS);
}

/// Packets per second of processor time that the host takes in.
fn rate(world: &World, receiver: &Receiver, flood: &Flood, packets: usize) -> f64 {
    let running = match receiver {
        Receiver::Hand(rule) => {
            sh(&format!("iptables {rule}"));
            None
        }
        Receiver::Pfw(rules, args) => Some(start(world, rules, args)),
    };
    let before = received();
    let took = on_peer(|| flood.send(packets, None).expect("sent"));
    // What still waits is taken in.
    std::thread::sleep(Duration::from_millis(20));
    let taken = received() - before;
    match running {
        Some(running) => {
            let (code, said) = running.stop(libc::SIGTERM);
            assert_eq!(code, 0, "{said}");
        }
        None => {
            sh("iptables -F INPUT");
        }
    }
    taken as f64 / took.as_secs_f64()
}

/// Starts pfw and waits until it is ready.
///
/// # Panics
///
/// If it does not get ready.
pub fn start(world: &World, rules: &str, args: &[&str]) -> Running {
    std::fs::write(world.path("rules.json"), rules).expect("written");
    let mut command = pfw(["run", "--yes", "--config", "rules.json"]);
    command.args(args).current_dir(world.folder.path());
    let mut running = Running::begin(command).with_patience(PATIENCE);
    running.wait_to_say("pfw: ready");
    running
}

/// So many networks, one a line.
pub fn networks(count: u32) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{}/29", Ipv4Addr::from(LISTED + n * 16));
        text
    })
}

/// IPv4 packets that this host has taken in.
fn received() -> u64 {
    // The process's own network namespace, unlike /sys.
    let text = std::fs::read_to_string("/proc/net/snmp").expect("readable");
    let numbers = text.lines().filter(|line| line.starts_with("Ip: ")).nth(1).expect("there");
    numbers.split(' ').nth(3).and_then(|n| n.parse().ok()).expect("a number")
}

/// The value in the middle.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
