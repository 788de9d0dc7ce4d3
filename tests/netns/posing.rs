//! What a machine that passes packets on sends from an address of others, as a transparent proxy does: each packet has
//! its line, although others are forwarded between the same addresses.

use crate::Case;
use crate::enforce::{count, enforce, wait_for_lines};
use crate::variant;
use crate::verdict::raw::Sender;
use crate::verdict::wire::{Body, Flaw, Spec};
use crate::world::{PEER4, PEER6, SERVER4, SERVER6, World, on_peer, sh};
use std::net::{IpAddr, UdpSocket};

pub const CASES: &[Case] = &[
    ("what_this_machine_sends_as_another_has_a_line_for_each_packet", each_packet_has_a_line),
    ("fragments_that_this_machine_sends_as_another_have_lines", fragments_have_lines),
];

/// The port that the peer sends to, and that this machine sends to as the peer.
const FORWARDED: u16 = 3001;
const POSING: u16 = 3002;
/// Datagrams of each kind.
const EACH: u16 = 20;

fn ends() -> [(IpAddr, IpAddr); 2] {
    [(PEER4, SERVER4), (PEER6, SERVER6)].map(|(peer, server)| {
        let address = |text: &str| text.parse().expect("an address");
        (address(peer), address(server))
    })
}

fn datagram((src, dst): (IpAddr, IpAddr), from: u16, id: u16, len: usize) -> Spec {
    let body = Body::Udp { ports: (from, POSING), data: vec![b'x'; len] };
    Spec { src, dst, ttl: 64, id, body, extensions: Vec::new(), flaw: Flaw::None }
}

fn each_packet_has_a_line() {
    let world = World::new().with_server();
    for variant in variant::BOTH {
        variant::choose(variant);
        let pfw = enforce(&world, r#"{ "block_ports": [81] }"#, []);
        let sender = Sender::open();
        for ends in ends() {
            let (peer, server) = ends;
            let client = on_peer(|| UdpSocket::bind((peer, 4000)).expect("a free port"));
            for n in 0..EACH {
                client.send_to(b"x", (server, FORWARDED)).expect("sent");
                // Some connections of several packets.
                sender.send(&datagram(ends, 5000 + n / 2, n, 9).bytes(), server);
            }
        }
        let (allowed, posing) = ("[ALLOWED] outgoing eth1 UDP", format!(":{POSING} "));
        wait_for_lines(&world, 2 * usize::from(EACH), &[allowed, &posing, "rule=default_policy "]);
        wait_for_lines(&world, 2, &["[ALLOWED] forwarded eth0 UDP", &format!(":{FORWARDED} ")]);
        let (code, said) = pfw.stop(libc::SIGTERM);
        assert!(code == 0 && !said.contains("differences"), "{said}");
        let all = world.log().join("\n");
        assert_eq!(count(&world, &[&posing]), 2 * usize::from(EACH), "{all}");
        assert_eq!(count(&world, &[&format!(":{FORWARDED} ")]), 2, "{all}");
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
        sh("conntrack -F");
    }
}

fn fragments_have_lines() {
    let world = World::new().with_server();
    let pfw = enforce(&world, r#"{ "block_ports": [81] }"#, []);
    let ends = ends()[0];
    on_peer(|| UdpSocket::bind((ends.0, 4000)).and_then(|one| one.send_to(b"x", (ends.1, FORWARDED)))).expect("sent");
    let sender = Sender::open();
    for fragment in datagram(ends, 5000, 7, 1000).fragments(512) {
        sender.send(&fragment, ends.1);
    }
    wait_for_lines(&world, 2, &["[ALLOWED] outgoing eth1 UDP", "rule=default_policy "]);
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert!(code == 0 && !said.contains("differences"), "{said}");
    assert_eq!(count(&world, &["UDP", "outgoing"]), 2, "{}", world.log().join("\n"));
}
