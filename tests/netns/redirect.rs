//! Packets that rules of others translate to another address or port of this very machine: the rules of pfw see them
//! behind that, the tap in front of it, and each has one line.

use crate::Case;
use crate::common::Running;
use crate::enforce::{count, enforce, wait_for_lines};
use crate::variant;
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("a_redirected_packet_that_is_dropped_has_one_line", a_dropped_one_has_one_line),
    ("a_redirected_packet_that_a_router_drops_has_one_line", a_router_tells_of_a_dropped_one_once),
];

/// Where packets for [`ASKED`] go.
const LED_TO: u16 = 9022;
const ASKED: u16 = 2222;

fn redirect() {
    for tool in ["iptables", "ip6tables"] {
        for protocol in ["tcp", "udp"] {
            sh(&format!(
                "{tool} -t nat -A PREROUTING -i eth0 -p {protocol} --dport {ASKED} -j REDIRECT --to-ports {LED_TO}"
            ));
        }
    }
}

/// Both families: this host and the peer.
fn sides() -> [(SocketAddr, IpAddr); 2] {
    [(HOST4, PEER4), (HOST6, PEER6)].map(|(host, peer)| {
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        (SocketAddr::new(address(host), ASKED), address(peer))
    })
}

fn ends_without_differences(pfw: Running) {
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("differences") && !said.contains("unaccounted"), "{said}");
}

fn a_dropped_one_has_one_line() {
    let world = World::new();
    for variant in variant::BOTH {
        variant::choose(variant);
        redirect();
        tells_of_dropped_ones_once(&world);
        sh("iptables -t nat -F; ip6tables -t nat -F");
    }
}

fn a_router_tells_of_a_dropped_one_once() {
    let world = World::new().with_server();
    redirect();
    tells_of_dropped_ones_once(&world);
}

fn tells_of_dropped_ones_once(world: &World) {
    let pfw = enforce(world, &format!(r#"{{ "block_ports": [{LED_TO}] }}"#), []);
    for (host, peer) in sides() {
        on_peer(|| {
            let socket = UdpSocket::bind((peer, 0)).expect("a free port");
            // What is not translated to that port comes in between.
            for port in [ASKED, 7777, LED_TO] {
                socket.send_to(b"x", (host.ip(), port)).expect("sent");
            }
            assert!(TcpStream::connect_timeout(&host, Duration::from_millis(400)).is_err(), "it is blocked");
        });
    }
    let (blocked, rule) = (format!(":{LED_TO} "), format!("rule=block_ports:{LED_TO} "));
    wait_for_lines(world, 4, &["[BLOCKED] incoming eth0 UDP", &blocked, &rule]);
    wait_for_lines(world, 2, &["[BLOCKED] incoming eth0 TCP", &blocked, "flags=S ", &rule]);
    wait_for_lines(world, 2, &["[ALLOWED] incoming eth0 UDP", ":7777 "]);
    let all = world.log().join("\n");
    assert_eq!(count(world, &[&format!(":{ASKED} ")]), 0, "a second line for what was dropped:\n{all}");
    assert!(!all.contains("not dropped by the kernel") && !all.contains("event=difference"), "{all}");
    ends_without_differences(pfw);
    std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
}
