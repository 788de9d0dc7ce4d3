//! What routing takes in on a machine that passes packets on, although no interface has it as its address: each packet
//! has its line.

use crate::Case;
use crate::common::wait_for;
use crate::enforce::{count, ends_as_predicted, enforce, wait_for_lines};
use crate::world::{PEER4, PEER6, World, on_peer, sh};
use std::net::UdpSocket;

pub const CASES: &[Case] = &[
    ("what_is_local_by_routing_alone_has_a_line_for_each_packet", each_packet_has_a_line),
    ("what_becomes_local_by_routing_is_followed", changes_are_followed),
];

const RULES: &str = r#"{ "block_ports": [81] }"#;

/// Sends a datagram from the peer.
fn send(from: &str, to: &str, port: u16) {
    on_peer(|| UdpSocket::bind((from, 4000)).and_then(|socket| socket.send_to(b"x", (to, port)))).expect("sent");
}

/// Addresses of networks that are here as a whole, the broadcast address of the other interface, and who sends there.
const LOCAL: [(&str, &str); 3] = [(PEER4, "10.50.0.7"), (PEER6, "fd50::7"), (PEER4, "10.88.0.255")];

fn each_packet_has_a_line() {
    let world = World::new().with_server();
    sh("ip route add local 10.50.0.0/24 dev lo && ip -6 route add local fd50::/64 dev lo");
    sh("sysctl -qw net.ipv6.ip_nonlocal_bind=1");
    let pfw = enforce(&world, RULES, []);
    for (from, to) in LOCAL {
        send(from, to, 5001);
        send(from, to, 81);
        wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP", to, ":5001 ", "rule=default_policy "]);
        wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0 UDP", to, ":81 ", "rule=block_ports"]);
    }
    for (peer, local) in &LOCAL[..2] {
        let here = UdpSocket::bind((*local, 5002)).expect("a local address");
        send(peer, local, 5002);
        let (_, client) = here.recv_from(&mut [0; 9]).expect("it is delivered");
        here.send_to(b"y", client).expect("sent");
        wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP", local, ":5002 "]);
        wait_for_lines(&world, 1, &["[ALLOWED] outgoing eth0 UDP", local, ":5002 "]);
        here.send_to(b"y", (*peer, 81)).expect_err("it is blocked");
        wait_for_lines(&world, 1, &["[BLOCKED] outgoing", "UDP", local, ":81 ", "rule=block_ports"]);
    }
    assert_eq!(count(&world, &["forwarded"]), 0, "{}", world.log().join("\n"));
    ends_as_predicted(pfw);
}

fn changes_are_followed() {
    let world = World::new().with_server();
    let pfw = enforce(&world, RULES, []);
    sh("ip route add local 10.50.0.0/24 dev lo && ip -6 route add local fd50::/64 dev lo");
    for (from, to) in &LOCAL[..2] {
        let words = ["[ALLOWED] incoming eth0 UDP", to, ":5001 "];
        wait_for("a line", || {
            send(from, to, 5001);
            (count(&world, &words) > 0).then_some(())
        });
    }
    ends_as_predicted(pfw);
}
