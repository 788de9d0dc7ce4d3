//! What a rule that rejects answers with passes, whatever the packet was to connection tracking; the host's own errors go by
//! the rules.

use crate::Case;
use crate::enforce::{count, ends_as_predicted, enforce, wait_for_lines};
use crate::variant;
use crate::verdict::mac;
use crate::verdict::raw::{Sender, Wire};
use crate::verdict::wire::{Body, Flaw, Spec, frame};
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh};
use std::net::{IpAddr, UdpSocket};

pub const CASES: &[Case] = &[
    ("the_error_that_answers_an_invalid_packet_passes", errors_about_invalid_packets),
    ("the_error_that_answers_a_packet_of_a_known_connection_passes", errors_about_known_connections),
];

/// Where nobody listens, where what comes is rejected, and where what comes by loopback is.
const CLOSED: u16 = 9;
const REJECTED: u16 = 5001;
const REJECTED_ON_LOOPBACK: u16 = 443;

/// Host and peer, the name of ICMP, the type of an answer to a ping, and type and code of an unreachable port.
type Family = (&'static str, &'static str, &'static str, u8, (u8, u8));
const FAMILIES: [Family; 2] = [(HOST4, PEER4, "ICMP", 0, (3, 3)), (HOST6, PEER6, "ICMPv6", 129, (1, 4))];

fn spec(src: &str, dst: &str, body: Body) -> Spec {
    let [src, dst] = [src, dst].map(|text| text.parse().expect("an address"));
    Spec { src, dst, ttl: 64, id: 7, body, extensions: Vec::new(), flaw: Flaw::None }
}

fn datagram(port: u16) -> Body {
    Body::Udp { ports: (3000, port), data: vec![b'x'; 9] }
}

/// A ping is answered that nobody sent.
fn stray(kind: u8) -> Body {
    Body::Icmp { kind, code: 0, rest: [0, 9, 0, 1], data: vec![b'x'; 20] }
}

fn send_from(src: &str, port: u16, dst: &str, dst_port: u16) {
    UdpSocket::bind((src, port)).and_then(|socket| socket.send_to(b"x", (dst, dst_port))).expect("sent");
}

fn errors_about_invalid_packets() {
    let world = World::new();
    let rejects = format!(
        r#""rules": [{{ "id": "ping", "action": "reject", "direction": "in", "protocol": "icmp" }},
                     {{ "id": "udp", "action": "reject", "direction": "in", "protocol": "udp", "dst_port": {REJECTED} }}]"#
    );
    let denies = format!(r#"{{ "default_policy": {{ "in": "allow", "out": "deny" }}, {rejects} }}"#);
    let lists = format!(r#"{{ "block_protocols": ["icmp"], {rejects} }}"#);
    sh("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0");
    for variant in variant::BOTH {
        variant::choose(variant);
        for (rules, forged) in [(&denies, "rule=default_policy "), (&lists, "rule=block_protocols:icmp ")] {
            let pfw = enforce(&world, rules, []);
            let (wire, host, sender) = (on_peer(|| Wire::open("eth0")), mac("", "eth0"), Sender::open());
            for (here, peer, name, answer, (kind, code)) in FAMILIES {
                let send = |spec: &Spec| wire.send(&frame(host, [2, 0, 0, 0, 0, 9], None, &spec.bytes()));
                send(&spec(peer, here, stray(answer)));
                send(&Spec { flaw: Flaw::UdpLength, ..spec(peer, here, datagram(REJECTED)) });
                // A process says the same of what was never there.
                let about = spec(peer, here, Body::Udp { ports: (7, 7), data: vec![] }).bytes();
                let body = Body::Icmp { kind, code, rest: [0; 4], data: about };
                sender.send(&spec(here, peer, body).bytes(), peer.parse::<IpAddr>().expect("an address"));
                let from_here = format!("[BLOCKED] outgoing eth0 {name} ");
                wait_for_lines(&world, 1, &[&from_here, &format!("type={kind} code={code} "), forged]);
            }
            let strays = if rules == &denies { 2 } else { 0 };
            wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 UDP", "rule=udp "]);
            wait_for_lines(&world, strays, &["[BLOCKED] incoming eth0 ICMP", "rule=ping "]);
            wait_for_lines(&world, 2 + strays, &["[ALLOWED] outgoing eth0 ICMP", "rule=guard:reject-answer "]);
            ends_as_predicted(pfw);
            std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
        }
    }
}

fn errors_about_known_connections() {
    let world = World::new();
    // It tracks connections before pfw starts.
    for tool in ["iptables-nft", "ip6tables-nft"] {
        sh(&format!("{tool} -t mangle -A INPUT -m conntrack --ctstate NEW"));
    }
    sh("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0");
    let rules = format!(
        r#"{{ "block_protocols": ["icmp"], "rules": [
            {{ "id": "udp", "action": "reject", "direction": "in", "protocol": "udp", "dst_port": {REJECTED} }},
            {{ "id": "lo", "action": "reject", "direction": "in", "protocol": "udp", "dst_port": {REJECTED_ON_LOOPBACK},
               "interface": "lo" }},
            {{ "id": "out", "action": "reject", "direction": "out", "protocol": "udp", "dst_port": {REJECTED} }}] }}"#
    );
    for variant in variant::BOTH {
        variant::choose(variant);
        for (here, peer, ..) in FAMILIES {
            on_peer(|| send_from(peer, 3000, here, REJECTED));
            send_from(here, 3001, peer, REJECTED);
        }
        let pfw = enforce(&world, &rules, []);
        for (here, peer, name, ..) in FAMILIES {
            on_peer(|| send_from(peer, 3000, here, REJECTED));
            on_peer(|| send_from(peer, 3000, here, CLOSED));
            let _ = UdpSocket::bind((here, 3001)).and_then(|socket| socket.send_to(b"x", (peer, REJECTED)));
            send_from(here, 3002, here, REJECTED_ON_LOOPBACK);
            send_from(here, 3002, here, CLOSED);
            let address = if here == HOST4 { "10.77.0.1" } else { "fd77::1" };
            wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0 UDP", peer, &format!(":{REJECTED} "), "rule=udp "]);
            let answer = format!("[ALLOWED] outgoing eth0 {name} ");
            wait_for_lines(&world, 1, &[&answer, address, "rule=guard:reject-answer "]);
            let own = format!("[BLOCKED] outgoing eth0 {name} ");
            wait_for_lines(&world, 1, &[&own, "rule=block_protocols:icmp "]);
            wait_for_lines(&world, 1, &["[BLOCKED] outgoing eth0 UDP", peer, &format!(":{REJECTED} "), "rule=out "]);
            wait_for_lines(&world, 1, &["[BLOCKED] loopback lo UDP", address, "rule=lo "]);
            let on_loopback = format!("loopback lo {name} ");
            // One answers what came by loopback, the other what was to go out.
            wait_for_lines(&world, 2, &["[ALLOWED]", &on_loopback, "rule=guard:reject-answer "]);
            wait_for_lines(&world, 1, &["[BLOCKED]", &on_loopback, "rule=block_protocols:icmp "]);
        }
        assert_eq!(count(&world, &["not dropped by the kernel"]), 0, "{:?}", world.log());
        ends_as_predicted(pfw);
        sh("conntrack -F");
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    }
}
