//! Addresses of services that are no machine's own, and ports that are translated on a packet's way to another machine,
//! as clusters of containers have them: rules hit in both forms, and the log says which.

use crate::Case;
use crate::enforce::{count, enforce, wait_for_lines};
use crate::variant;
use crate::world::{HOST4, HOST6, PEER4, PEER6, SERVER4, SERVER6, World, on_peer, sh};
use std::net::{IpAddr, UdpSocket};

pub const CASES: &[Case] = &[
    ("a_packet_that_is_dropped_for_its_first_port_is_no_difference", dropped_for_its_first_port),
    ("the_reason_names_the_address_that_a_packet_had_before_translation", dropped_for_its_first_address),
];

/// Led to [`LED_TO`] of the server wherever they are sent.
const ASKED: u16 = 8080;
const LED_TO: u16 = 80;

/// Addresses of services, which are led to the server.
const SERVICES: [&str; 2] = ["10.88.0.9", "fd88::9"];

fn lead() {
    for (tool, server) in [("iptables", SERVER4), ("ip6tables", SERVER6)] {
        let server = if server.contains(':') { format!("[{server}]") } else { server.to_owned() };
        sh(&format!(
            "{tool} -t nat -A PREROUTING -i eth0 -p udp --dport {ASKED} -j DNAT --to-destination {server}:{LED_TO}"
        ));
    }
}

/// Sends one datagram from the peer to `port` of each address.
fn send(addresses: &[&str], port: u16) {
    on_peer(|| {
        for address in addresses {
            let to: IpAddr = address.parse().expect("an address");
            let from = if to.is_ipv4() { PEER4 } else { PEER6 };
            UdpSocket::bind((from, 0)).and_then(|socket| socket.send_to(b"x", (to, port))).expect("sent");
        }
    });
}

/// Sends datagrams to `addresses`, all of which are dropped by a rule; the words of each line's reason.
fn each_is_blocked(world: &World, rules: &str, addresses: &[&str], rule: &str, reasons: &[String]) {
    let pfw = enforce(world, rules, []);
    // Until pfw is told of flows that are translated.
    send(&[SERVER4, SERVER6], 7777);
    wait_for_lines(world, 2, &["[ALLOWED] forwarded eth0 UDP", ":7777 "]);
    send(addresses, ASKED);
    wait_for_lines(world, addresses.len(), &["[BLOCKED] forwarded eth0 UDP", &format!(":{LED_TO} "), rule]);
    let (code, said) = pfw.stop(libc::SIGTERM);
    let all = world.log().join("\n");
    assert!(code == 0 && !said.contains("differences"), "{said}\n{all}");
    for reason in reasons {
        assert!(count(world, &["[BLOCKED]", reason]) > 0, "{reason}\n{all}");
    }
    assert_eq!(count(world, &[&format!(":{ASKED} len=")]), 0, "a second line:\n{all}");
    std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
}

fn dropped_for_its_first_port() {
    let world = World::new().with_server();
    for variant in variant::BOTH {
        variant::choose(variant);
        lead();
        let addresses = [SERVER4, SERVICES[0], HOST4, SERVER6, SERVICES[1], HOST6];
        let rules = format!(r#"{{ "block_ports": [{ASKED}] }}"#);
        let reasons = [format!("destination port {ASKED} ")];
        each_is_blocked(&world, &rules, &addresses, &format!("rule=block_ports:{ASKED} "), &reasons);
        sh("iptables -t nat -F; ip6tables -t nat -F");
    }
}

fn dropped_for_its_first_address() {
    let world = World::new().with_server();
    lead();
    let addresses = [SERVICES[0], HOST4, SERVICES[1], HOST6];
    let rules = format!(r#"{{ "block_ips": {addresses:?} }}"#);
    let reasons = addresses.map(|address| format!("peer {address} is in block_ips"));
    each_is_blocked(&world, &rules, &addresses, "rule=block_ips:", &reasons);
}
