//! What detection costs a packet: `cargo bench --bench detect`.
//!
//! Ordinary traffic, decided beforehand, is shown to the detectors again and again; what walking through it costs
//! without them is taken off. `-- --write FILE [COUNT]` writes the same traffic as a capture instead, a million packets
//! unless told otherwise, for measuring whole programs. `--short` measures little: it shows that the benchmark works.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::cast_precision_loss, reason = "it says so by failing")]

#[path = "../traffic/mod.rs"]
mod traffic;

use pfw::detect::{Detector, Look};
use pfw::engine::{Context, Direction, Engine, InterfaceClass, Limits, Matcher, Premises, State};
use pfw::host::Host;
use pfw::packet::{self, Link, Net, Packet};
use pfw::rules::Ruleset;
use pfw::time::Timestamp;
use std::hint::black_box;
use std::time::Instant;
use traffic::{OWN, Sent};

/// Packets in a capture.
const CAPTURED: usize = 1_000_000;

/// A packet as detectors get it.
struct Shown {
    packet: Packet,
    direction: Direction,
    time: Timestamp,
    state: State,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let Some(at) = words.iter().position(|word| word == "--write") {
        let count = words.get(at + 2).map_or(CAPTURED, |count| count.parse().expect("a number of packets"));
        std::fs::write(words.get(at + 1).expect("a file"), traffic::capture(count)).expect("written");
        return;
    }
    let (packets, rounds) = if words.iter().any(|word| word == "--short") { (1_000, 1) } else { (20_000, 51) };
    let shown = decided(packets);
    let premises = Premises { own: OWN.to_vec(), ..Premises::default() };
    let mut detector = Detector::new(&premises, 7);
    let walk = nanoseconds(&shown, rounds, |_| ());
    let alone = nanoseconds(&shown, rounds, |one| {
        black_box(detector.may_be_odd(&one.packet, one.direction));
    }) - walk;
    let together = nanoseconds(&shown, rounds, |one| {
        let Shown { ref packet, direction, time, state } = *one;
        let found = detector.traffic(Look { packet, direction, time, state, interface: b"eth0" });
        assert!(found.findings.is_empty(), "ordinary traffic: {found:?}");
    }) - walk;
    println!("| what is looked at | ns per packet |\n|---|---|");
    println!("| each packet alone | {alone:.1} |");
    println!("| what it tells with those before it | {together:.1} |");
    println!("\nBytes of all tables: {}", Detector::BYTES);
}

/// Packets with the decision on each.
fn decided(count: usize) -> Vec<Shown> {
    let matcher = Matcher::new(&Ruleset::default(), &Host::default(), Timestamp::MIN);
    let mut engine = Engine::new(Limits::default());
    let mut decide = |Sent { micros, frame }: Sent| {
        let packet = packet::parse(Link::Ethernet, &frame, u32::try_from(frame.len()).expect("short"));
        let time = Timestamp::from_parts(micros / 1_000_000, u32::try_from(micros % 1_000_000).expect("small") * 1000);
        let ip = if let Net::Ip(ip) = &packet.net { Some(*ip) } else { None };
        let direction = match ip {
            Some(ip) if !OWN.contains(&ip.src) => Direction::Incoming,
            _ => Direction::Outgoing,
        };
        let context = Context { direction, interface: InterfaceClass::default(), time };
        let state = ip.map_or(State::New, |ip| engine.decide(&matcher, &ip, &context).state);
        Shown { packet, direction, time, state }
    };
    traffic::mixed(count).map(&mut decide).collect()
}

/// The median of the rounds.
fn nanoseconds(shown: &[Shown], rounds: usize, mut look: impl FnMut(&Shown)) -> f64 {
    let mut rounds: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            for one in shown {
                look(black_box(one));
            }
            start.elapsed().as_nanos() as f64 / shown.len() as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
