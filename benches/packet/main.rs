//! What each step of a packet's way costs: `cargo bench --bench packet`.
//!
//! Ordinary traffic goes through one step after the other, again and again: read from its bytes, decided, looked at by
//! the detectors, written as a line. What walking through it costs without the step is taken off. `--short` measures
//! little: it shows that the benchmark works. `-- --write FOLDER` writes what `benches/programs` works with instead.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark says so by failing"
)]

mod rules;
#[path = "../traffic/mod.rs"]
mod traffic;

use jiff::tz::TimeZone;
use pfw::detect::{Detector, Look};
use pfw::engine::{Context, Decision, Direction, Engine, InterfaceClass, Limits, Matcher, Premises};
use pfw::host::Host;
use pfw::packet::{self, Ip, Link, Net, Packet};
use pfw::record::line::{PacketLine, RuleText, Sighting, Verdict};
use pfw::record::{EscapedName, Format, Formatter};
use pfw::time::Timestamp;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Instant;
use traffic::{OWN, Sent};

/// Packets in a capture, and networks in the longest list.
const MANY: usize = 1_000_000;

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    packets: usize,
    networks: usize,
    rounds: usize,
}

const FULL: Size = Size { packets: 20_000, networks: MANY, rounds: 51 };
const SHORT: Size = Size { packets: 1_000, networks: 1_000, rounds: 1 };

/// A packet as the steps get it.
struct Shown {
    frame: Vec<u8>,
    packet: Packet,
    context: Context,
    decision: Decision,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let Some(at) = words.iter().position(|word| word == "--write") {
        write(Path::new(words.get(at + 1).expect("a folder")));
        return;
    }
    let size = if words.iter().any(|word| word == "--short") { SHORT } else { FULL };
    println!("| step | ns per packet |\n|---|---|");
    let few = matcher(10, 0);
    let shown = shown(&few, size.packets);
    let walk = nanoseconds(&shown, size.rounds, |_| ());
    let tell = |step: &str, cost: f64| println!("| {step} | {:.1} |", (cost - walk).max(0.0));
    tell("read from its bytes", nanoseconds(&shown, size.rounds, decode));
    for (name, matcher) in
        [("10 rules", few), ("1,000 rules and a list of a million networks", matcher(1000, size.networks))]
    {
        let mut engine = Engine::new(Limits::default());
        let decide = |one: &Shown| {
            if let Net::Ip(ip) = &one.packet.net {
                black_box(engine.decide(&matcher, ip, &one.context));
            }
        };
        tell(&format!("decided, {name}"), nanoseconds(&shown, size.rounds, decide));
        // What the first packet of a conversation costs more: those behind it are decided as it was.
        let judge = |one: &Shown| {
            if let Net::Ip(ip) = &one.packet.net {
                black_box(matcher.decide_as(ip, &one.context, one.decision.state));
            }
        };
        tell(
            &format!("of which judged where nothing like it was before, {name}"),
            nanoseconds(&shown, size.rounds, judge),
        );
        let find = |one: &Shown| {
            black_box(matcher.listed(anywhere(&one.packet)));
        };
        tell(&format!("an address looked up, {name}"), nanoseconds(&shown, size.rounds, find));
    }
    detection(&shown, size, tell);
    passing(&shown, size, tell);
    let matcher = matcher(10, 0);
    for (name, format) in [("text", Format::Text), ("JSON", Format::Json)] {
        tell(&format!("written as a line, {name}"), nanoseconds(&shown, size.rounds, line(&matcher, format)));
    }
    println!("\nBytes of the detectors' tables: {}", Detector::BYTES);
    compiling(size);
}

/// What it takes to compile rules beside a long list, anew and after others that have the same list.
fn compiling(size: Size) {
    let (rules, host) = (rules::ruleset(10, size.networks / 10), Host::default());
    let before = Matcher::new(&rules, &host, Timestamp::MIN);
    let time = |compile: &dyn Fn() -> Matcher| {
        let start = Instant::now();
        black_box(compile());
        start.elapsed().as_secs_f64() * 1000.0
    };
    let anew = time(&|| Matcher::new(&rules, &host, Timestamp::MIN));
    let after = time(&|| before.next(&rules, &host, Timestamp::MIN));
    println!("Compiling 10 rules beside {} networks: {anew:.2} ms, then {after:.2} ms", size.networks / 10);
}

fn decode(one: &Shown) {
    black_box(packet::parse(Link::Ethernet, &one.frame, u32::try_from(one.frame.len()).expect("short")));
}

/// The detectors, alone and together with the packets before.
fn detection(shown: &[Shown], size: Size, tell: impl Fn(&str, f64)) {
    let mut detector = Detector::new(&Premises { own: OWN.to_vec(), ..Premises::default() }, 7);
    let odd = |one: &Shown| {
        black_box(detector.may_be_odd(&one.packet, one.context.direction));
    };
    tell("looked at for oddities", nanoseconds(shown, size.rounds, odd));
    let suspect = |one: &Shown| {
        let Shown { packet, context: Context { direction, time, .. }, decision, .. } = one;
        let look = Look { packet, direction: *direction, time: *time, state: decision.state, interface: b"eth0" };
        // Each round brings the same seconds again: what is a flood then is none.
        black_box(detector.traffic(look));
    };
    tell("looked at together with those before it", nanoseconds(shown, size.rounds, suspect));
}

/// What a forwarded packet costs beside its own decision where the kernel alone decides about it: its connection is
/// followed for detection, and it is looked at.
fn passing(shown: &[Shown], size: Size, tell: impl Fn(&str, f64)) {
    let matcher = matcher(10, 0);
    let mut engine = Engine::new(Limits::default());
    let mut detector = Detector::new(&Premises { own: OWN.to_vec(), ..Premises::default() }, 7);
    let watch = |one: &Shown| {
        let Net::Ip(ip) = &one.packet.net else { return };
        let context = Context { direction: Direction::Forwarded, ..one.context };
        let state = engine.decide(&matcher, ip, &context).state;
        let Context { direction, time, .. } = context;
        black_box(detector.traffic(Look { packet: &one.packet, direction, time, state, interface: b"eth0" }));
    };
    tell("watched on its way through, 10 rules", nanoseconds(shown, size.rounds, watch));
}

/// What writes a packet's line.
fn line(matcher: &Matcher, format: Format) -> impl FnMut(&Shown) {
    let mut formatter = Formatter::new(format, TimeZone::UTC);
    let texts: Vec<_> = matcher.rules().iter().map(RuleText::new).collect();
    let (interface, mut out) = (EscapedName::new(b"eth0"), Vec::new());
    move |one: &Shown| {
        let Net::Ip(ip) = &one.packet.net else { return };
        let Context { direction, time, .. } = one.context;
        let seen = Sighting { time, direction: Some(direction), interface: &interface, packet: &one.packet };
        let rule = &texts[one.decision.rule.0 as usize];
        out.clear();
        let standing = one.decision.standing_reason();
        let line = PacketLine { seen, verdict: Verdict::Allowed, uid: None, rule, standing };
        formatter.packet(&mut out, &line, |out| matcher.write_reason(&one.decision, ip, out));
        black_box(&out);
    }
}

fn matcher(rules: usize, networks: usize) -> Matcher {
    Matcher::new(&rules::ruleset(rules, networks), &Host::default(), Timestamp::MIN)
}

/// Packets with the decision on each.
fn shown(matcher: &Matcher, count: usize) -> Vec<Shown> {
    let mut engine = Engine::new(Limits::default());
    let mut show = |Sent { micros, frame }: Sent| {
        let packet = packet::parse(Link::Ethernet, &frame, u32::try_from(frame.len()).expect("short"));
        let time = Timestamp::from_parts(micros / 1_000_000, u32::try_from(micros % 1_000_000).expect("small") * 1000);
        let ip = as_ip(&packet);
        let direction = match ip {
            Some(ip) if !OWN.contains(&ip.src) => Direction::Incoming,
            _ => Direction::Outgoing,
        };
        let context = Context { direction, interface: InterfaceClass::default(), time };
        let decision = ip.map_or_else(|| matcher.non_ip(), |ip| engine.decide(matcher, ip, &context));
        Shown { frame, packet, context, decision }
    };
    traffic::mixed(count).map(&mut show).collect()
}

fn as_ip(packet: &Packet) -> Option<&Ip> {
    if let Net::Ip(ip) = &packet.net { Some(ip) } else { None }
}

/// An address that differs from packet to packet, somewhere in all of IPv4.
fn anywhere(packet: &Packet) -> IpAddr {
    let address = as_ip(packet).map_or(0, |ip| match (ip.src, ip.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => src.to_bits() ^ dst.to_bits(),
        _ => ip.len,
    });
    // Spread by the golden ratio (Knuth, The Art of Computer Programming 3, 6.4).
    Ipv4Addr::from_bits(address.wrapping_mul(0x9e37_79b9)).into()
}

/// The median of the rounds.
fn nanoseconds(shown: &[Shown], rounds: usize, mut step: impl FnMut(&Shown)) -> f64 {
    let mut rounds: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            for one in shown {
                step(black_box(one));
            }
            start.elapsed().as_nanos() as f64 / shown.len() as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// A capture, and rules for whole programs: of each size a file.
fn write(folder: &Path) {
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.join(name), bytes).expect("written");
    write("traffic.pcap", traffic::capture(MANY));
    write("networks.txt", rules::list(MANY).into_bytes());
    for (name, count, list) in
        [("rules-10.json", 10, None), ("rules-20.json", 20, None), ("rules-1000.json", 1000, Some("networks.txt"))]
    {
        write(name, rules::file(count, list).into_bytes());
    }
}
