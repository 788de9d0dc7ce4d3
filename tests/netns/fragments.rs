//! Datagrams in fragments from a peer that is blocked, sent as no network cuts them: the kernel puts a datagram together
//! before any rule sees it, and reports it as one.

use crate::Case;
use crate::common::wait_for;
use crate::enforce::{count, ends_as_predicted, enforce, wait_for_lines};
use crate::variant::choose;
use crate::verdict::raw::Sender;
use crate::verdict::wire::{Body, Flaw, Segment, Spec};
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer};
use std::net::IpAddr;
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("a_blocked_datagram_in_odd_fragments_has_one_line_nft", || odd_fragments_have_one_line("nft")),
    ("a_blocked_datagram_in_odd_fragments_has_one_line_legacy", || odd_fragments_have_one_line("legacy")),
    ("fragments_that_no_rule_has_seen_are_no_difference", fragments_that_no_rule_has_seen_are_no_difference),
    ("a_datagram_that_comes_in_slowly_is_no_difference", a_datagram_that_comes_in_slowly_is_no_difference),
];

/// A rule by ports has the kernel put datagrams together in front of all rules.
const RULES: &str = r#"{ "block_ips": ["10.77.0.2", "fd77::2"], "block_ports": [80] }"#;

/// What the line of a fragment says of which no datagram has become.
const NOT_WHOLE: &str = "no rule has seen it: its datagram is not whole yet";

/// A TCP segment to a port of this machine, by IPv4.
fn segment(port: u16, flags: u8) -> Spec {
    let body = Body::Tcp(Segment { ports: (1000, port), seq: 5, ack: 0, flags, data: vec![b'x'; 28] });
    spec(PEER4, HOST4, port, body)
}

fn datagram(v6: bool, port: u16) -> Spec {
    let (src, dst) = if v6 { (PEER6, HOST6) } else { (PEER4, HOST4) };
    spec(src, dst, port, Body::Udp { ports: (1000, port), data: vec![b'x'; 40] })
}

fn spec(src: &str, dst: &str, id: u16, body: Body) -> Spec {
    let [src, dst] = [src, dst].map(|end| end.parse::<IpAddr>().expect("an address"));
    Spec { src, dst, ttl: 64, id, body, extensions: Vec::new(), flaw: Flaw::None }
}

/// In which order fragments are sent.
#[derive(Clone, Copy)]
enum Order {
    AsCut,
    Backwards,
    FromTheMiddle,
}

fn in_order(mut parts: Vec<Vec<u8>>, order: Order) -> Vec<Vec<u8>> {
    let half = parts.len() / 2;
    match order {
        Order::AsCut => {}
        Order::Backwards => parts.reverse(),
        Order::FromTheMiddle => parts.rotate_left(half),
    }
    parts
}

/// Sends packets to this machine, each so long after the one before.
fn send(sender: &Sender, packets: &[Vec<u8>], to: IpAddr, pause: Duration) {
    for packet in packets {
        sender.send(packet, to);
        std::thread::sleep(pause);
    }
}

fn odd_fragments_have_one_line(variant: &str) {
    let world = World::new();
    choose(variant);
    let pfw = enforce(&world, RULES, []);
    let sender = on_peer(Sender::open);
    let mut port = 1000;
    for order in [Order::AsCut, Order::Backwards, Order::FromTheMiddle] {
        // The first fragment holds the ports and no flags; the flags and no more; the header; all of it of a datagram.
        let segments = [(8, 2), (16, 2), (24, 2), (8, 0)].map(|(unit, flags)| (unit, Some(flags), false));
        for (unit, flags, v6) in segments.into_iter().chain([(8, None, false), (8, None, true), (16, None, true)]) {
            port += 1;
            let spec = flags.map_or_else(|| datagram(v6, port), |flags| segment(port, flags));
            send(&sender, &in_order(spec.fragments(unit), order), spec.dst, Duration::ZERO);
            wait_for_line_of(&world, port);
        }
    }
    wait_for_lines(&world, usize::from(port - 1000), &["[BLOCKED] incoming eth0", "rule=block_ips:"]);
    assert_eq!(count(&world, &["frag="]), 0, "{}", world.log().join("\n"));
    ends_as_predicted(pfw);
}

/// Waits for the line of a dropped datagram.
fn wait_for_line_of(world: &World, port: u16) {
    let to = format!(":{port} ");
    wait_for(&to, || (count(world, &["[BLOCKED]", &to]) > 0).then_some(()));
}

fn fragments_that_no_rule_has_seen_are_no_difference() {
    let world = World::new();
    let pfw = enforce(&world, RULES, []);
    let sender = on_peer(Sender::open);
    for spec in [segment(1001, 2), datagram(false, 1002), datagram(true, 1003)] {
        let mut parts = spec.fragments(16);
        // Without the first, without one between, and without the last.
        let without: Vec<Vec<u8>> = match spec.id {
            1001 => parts.split_off(1),
            1002 => [&parts[..1], &parts[2..]].concat(),
            _ => parts[..parts.len() - 1].to_vec(),
        };
        send(&sender, &without, spec.dst, Duration::ZERO);
    }
    // Of 48 bytes in three parts two came each.
    wait_for_lines(&world, 6, &["[ALLOWED] incoming eth0", "rule=block_ips:", NOT_WHOLE]);
    assert_eq!(count(&world, &["[BLOCKED]"]), 0, "{}", world.log().join("\n"));
    // Linux puts nothing together whose first fragment ends within the header (RFC 8200 section 4.5), and shows it to the
    // rules by itself.
    let cut = Spec { body: segment(1004, 2).body, ..datagram(true, 1004) };
    send(&sender, &cut.fragments(8), cut.dst, Duration::ZERO);
    wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0", "frag=0+", "rule=block_ips:"]);
    wait_for_lines(&world, 6 + 5, &["[ALLOWED] incoming eth0", "rule=block_ips:", NOT_WHOLE]);
    ends_as_predicted(pfw);
}

fn a_datagram_that_comes_in_slowly_is_no_difference() {
    let world = World::new();
    let pfw = enforce(&world, RULES, []);
    let sender = on_peer(Sender::open);
    let specs = |port| [segment(port, 2), datagram(false, port + 1), datagram(true, port + 2)];
    for spec in specs(1001) {
        send(&sender, &spec.fragments(16), spec.dst, Duration::from_millis(10));
        wait_for_line_of(&world, spec.id);
    }
    let not_whole = || count(&world, &["[ALLOWED] incoming eth0", "rule=block_ips:", NOT_WHOLE]);
    for spec in specs(1011) {
        let parts = spec.fragments(16);
        let (last, rest) = parts.split_last().expect("three");
        for part in rest {
            let before = not_whole();
            sender.send(part, spec.dst);
            wait_for("its own line", || (not_whole() > before).then_some(()));
        }
        sender.send(last, spec.dst);
        wait_for_line_of(&world, spec.id);
    }
    wait_for_lines(&world, 6, &["[BLOCKED] incoming eth0", "rule=block_ips:"]);
    // How fast the first three came in fact nobody knows.
    assert!((2 * 3..=4 * 3).contains(&not_whole()), "{}", world.log().join("\n"));
    assert_eq!(count(&world, &["frag="]), not_whole(), "{}", world.log().join("\n"));
    ends_as_predicted(pfw);
}
