//! Packets for an address of others that rules of others lead to this machine, which passes packets on: to the tap they
//! look as if they were on their way through. Each has its line, and those that are passed on have no others than before.

use crate::Case;
use crate::common::PATIENCE;
use crate::enforce::{count, ends_as_predicted, enforce, wait_for_lines};
use crate::variant;
use crate::verdict::raw::Sender;
use crate::verdict::wire::{Body, Flaw, Spec};
use crate::world::{HOST4, HOST6, PEER4, PEER6, SERVER4, SERVER6, World, on, on_peer, sh};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};

pub const CASES: &[Case] = &[
    ("what_is_led_to_a_router_has_a_line_for_each_packet", each_packet_has_a_line),
    ("a_datagram_in_fragments_that_is_led_to_a_router_has_lines", fragments_have_lines),
    ("a_datagram_whose_fragments_come_backwards_opens_its_connection_too", backwards),
    ("what_others_drop_after_it_was_led_to_a_router_has_a_line", what_others_drop_has_a_line),
    ("what_is_led_to_a_router_and_dropped_has_one_line", what_is_dropped_has_one_line),
];

/// The server's port that is led to [`LED_TO`] of this host, and one that is not.
const ASKED: u16 = 5300;
const FORWARDED: u16 = 3001;
const LED_TO: u16 = 9053;
/// Datagrams of a connection in each direction.
const EXCHANGES: usize = 5;

fn lead() {
    for (tool, server, host) in
        [("iptables", SERVER4, format!("{HOST4}:{LED_TO}")), ("ip6tables", SERVER6, format!("[{HOST6}]:{LED_TO}"))]
    {
        sh(&format!("{tool} -t nat -F"));
        for protocol in ["tcp", "udp"] {
            let what = format!("-d {server} -p {protocol} --dport {ASKED}");
            sh(&format!("{tool} -t nat -A PREROUTING -i eth0 {what} -j DNAT --to-destination {host}"));
        }
    }
}

/// Both families: this host, the peer and the server.
fn ends() -> [(IpAddr, IpAddr, IpAddr); 2] {
    [(HOST4, PEER4, SERVER4), (HOST6, PEER6, SERVER6)].map(|(host, peer, server)| {
        let address = |text: &str| text.parse().expect("an address");
        (address(host), address(peer), address(server))
    })
}

fn allow() -> String {
    let allow = format!(r#"{{ "id": "led", "action": "allow", "direction": "in", "dst_port": {LED_TO} }}"#);
    format!(r#"{{ "default_policy": "deny", "rules": [{allow}] }}"#)
}

fn each_packet_has_a_line() {
    let world = World::new().with_server();
    for variant in variant::BOTH {
        variant::choose(variant);
        lead();
        let pfw = enforce(&world, &allow(), []);
        for (host, peer, server) in ends() {
            converse(host, peer, server);
        }
        let (asked, led) = (format!(":{ASKED} "), "rule=led ");
        wait_for_lines(&world, 2 * EXCHANGES, &["[ALLOWED] incoming eth0 UDP", ":4000 > ", &asked, led]);
        wait_for_lines(&world, 2 * EXCHANGES, &["[ALLOWED] outgoing eth0 UDP", &asked, "> ", ":4000 ", "rule=reply "]);
        wait_for_lines(&world, 2, &["[ALLOWED] incoming eth0 TCP", &asked, "flags=S ", led]);
        wait_for_lines(&world, 2, &["[ALLOWED] outgoing eth0 TCP", &asked, "flags=SA ", "rule=reply "]);
        wait_for_lines(&world, 2, &["[ALLOWED] forwarded eth0 UDP", &format!(":{FORWARDED} ")]);
        let said = ends_as_predicted(pfw);
        let all = world.log().join("\n");
        assert_eq!(count(&world, &["UDP"]), 4 * EXCHANGES + 2, "{all}");
        assert_eq!(count(&world, &[" forwarded "]), 2, "{all}");
        assert!(said.contains("seen forwarded"), "{said}");
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
        sh("conntrack -F 2>/dev/null || true");
    }
}

/// Who listens here for what the server is asked.
fn service(host: IpAddr) -> UdpSocket {
    let service = UdpSocket::bind((host, LED_TO)).expect("a free port");
    service.set_read_timeout(Some(PATIENCE)).expect("set");
    service
}

/// A connection of each kind to this host, for the server as the peer believes, and one to the server in between.
fn converse(host: IpAddr, peer: IpAddr, server: IpAddr) {
    let here = SocketAddr::new(host, LED_TO);
    let service = service(host);
    let listener = TcpListener::bind(here).expect("a free port");
    let behind = on("server", || UdpSocket::bind((server, FORWARDED)).expect("a free port"));
    let client = on_peer(|| UdpSocket::bind((peer, 4000)).expect("a free port"));
    client.set_read_timeout(Some(PATIENCE)).expect("set");
    send_some(&client, server);
    for _ in 0..EXCHANGES {
        let (_, from) = service.recv_from(&mut [0; 5]).expect("it comes here");
        service.send_to(b"hello", from).expect("sent");
        let (_, from) = client.recv_from(&mut [0; 5]).expect("answered");
        assert_eq!(from, SocketAddr::new(server, ASKED));
        // What is passed on between the same hosts.
        client.send_to(b"hello", (server, FORWARDED)).expect("sent");
        behind.recv_from(&mut [0; 5]).expect("it goes there");
        behind.send_to(b"hello", (peer, 4000)).expect("sent");
        client.recv_from(&mut [0; 5]).expect("answered");
    }
    let mut stream =
        on_peer(|| TcpStream::connect_timeout(&SocketAddr::new(server, ASKED), PATIENCE).expect("allowed"));
    let (mut accepted, _) = listener.accept().expect("a client");
    stream.write_all(b"hello").expect("sent");
    accepted.read_exact(&mut [0; 5]).expect("received");
}

fn fragments_have_lines() {
    let world = World::new().with_server();
    lead();
    let pfw = enforce(&world, &allow(), []);
    for (host, peer, server) in ends() {
        let service = service(host);
        let client = on_peer(|| UdpSocket::bind((peer, 4000)).expect("a free port"));
        client.send_to(&[7; 4000], (server, ASKED)).expect("sent");
        let (_, from) = service.recv_from(&mut [0; 4000]).expect("it comes here");
        service.send_to(&[7; 4000], from).expect("sent");
        client.send_to(&[7; 4000], (server, FORWARDED)).expect("sent");
    }
    wait_for_lines(&world, 6, &["[ALLOWED] incoming eth0 UDP", "rule=led "]);
    wait_for_lines(&world, 6, &["[ALLOWED] outgoing eth0 UDP", "rule=reply "]);
    ends_as_predicted(pfw);
    let all = world.log().join("\n");
    assert_eq!(count(&world, &["UDP"]), 12 + 2, "a line for each datagram that is passed on\n{all}");
}

fn backwards() {
    let world = World::new().with_server();
    lead();
    let pfw = enforce(&world, &allow(), []);
    for (host, peer, server) in ends() {
        let service = service(host);
        let body = Body::Udp { ports: (4000, ASKED), data: vec![7; 100] };
        let spec = Spec { src: peer, dst: server, ttl: 64, id: 9, body, extensions: Vec::new(), flaw: Flaw::None };
        let sender = on_peer(Sender::open);
        spec.fragments(40).iter().rev().for_each(|fragment| sender.send(fragment, server));
        let (_, from) = service.recv_from(&mut [0; 100]).expect("it comes here");
        service.send_to(b"hello", from).expect("sent");
    }
    wait_for_lines(&world, 6, &["[ALLOWED] incoming eth0 UDP", "rule=led "]);
    wait_for_lines(&world, 2, &["[ALLOWED] outgoing eth0 UDP", "rule=reply "]);
    ends_as_predicted(pfw);
}

fn what_others_drop_has_a_line() {
    let world = World::new().with_server();
    lead();
    for tool in ["iptables", "ip6tables"] {
        sh(&format!("{tool} -A INPUT -p udp --dport {LED_TO} -j DROP"));
    }
    let pfw = enforce(&world, &allow(), []);
    for (_, peer, server) in ends() {
        let client = on_peer(|| UdpSocket::bind((peer, 4000)).expect("a free port"));
        send_some(&client, server);
    }
    wait_for_lines(&world, 2 * EXCHANGES, &["[ALLOWED] incoming eth0 UDP", &format!(":{ASKED} "), "rule=led "]);
    ends_as_predicted(pfw);
}

fn what_is_dropped_has_one_line() {
    let world = World::new().with_server();
    lead();
    let pfw = enforce(&world, &format!(r#"{{ "block_ports": [{LED_TO}] }}"#), []);
    for (_, peer, server) in ends() {
        on_peer(|| {
            let client = UdpSocket::bind((peer, 4000)).expect("a free port");
            send_some(&client, server);
            client.send_to(&[7; 4000], (server, ASKED)).expect("sent");
        });
    }
    let rule = format!("rule=block_ports:{LED_TO} ");
    wait_for_lines(&world, 2 * EXCHANGES + 2, &["[BLOCKED] incoming eth0 UDP", &format!(":{LED_TO} "), &rule]);
    ends_as_predicted(pfw);
    assert_eq!(count(&world, &["UDP"]), 2 * EXCHANGES + 2, "{}", world.log().join("\n"));
}

/// Several at once, before anything is known of their connection.
fn send_some(client: &UdpSocket, server: IpAddr) {
    for _ in 0..EXCHANGES {
        client.send_to(b"hello", (server, ASKED)).expect("sent");
    }
}
