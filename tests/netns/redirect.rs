//! Packets that rules of others translate to another address or port of this very machine: the rules of pfw see them
//! behind that, the tap in front of it, and each has one line.

use crate::Case;
use crate::common::PATIENCE;
use crate::enforce::{count, ends_as_predicted, enforce, wait_for_lines};
use crate::variant;
use crate::world::{HOST4, HOST6, PEER4, PEER6, SERVER4, SERVER6, World, on, on_peer, sh};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("a_redirected_packet_that_is_dropped_has_one_line", a_dropped_one_has_one_line),
    ("a_redirected_packet_that_a_router_drops_has_one_line", a_router_tells_of_a_dropped_one_once),
    ("a_redirected_datagram_in_fragments_that_is_dropped_has_one_line", fragments_that_are_dropped_have_one_line),
    ("an_error_about_a_redirected_connection_that_is_dropped_has_one_line", an_error_that_is_dropped_has_one_line),
    ("a_redirected_connection_has_one_line_for_each_packet", a_connection_has_one_line_for_each_packet),
    ("a_redirected_connection_to_a_router_has_one_line_for_each_packet", a_router_tells_of_each_packet_once),
    ("what_output_dnat_leads_away_is_as_predicted", what_is_led_away_is_as_predicted),
    ("the_answer_to_a_redirected_packet_that_is_rejected_is_allowed", the_answer_to_a_rejected_one_is_allowed),
];

/// Where packets for [`ASKED`] go.
const LED_TO: u16 = 9022;
const ASKED: u16 = 2222;
/// Datagrams of a connection in each direction.
const EXCHANGES: usize = 5;

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
    ends_as_predicted(pfw);
    std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
}

fn a_connection_has_one_line_for_each_packet() {
    let world = World::new();
    redirect();
    tells_of_each_packet_once(&world);
}

fn a_router_tells_of_each_packet_once() {
    let world = World::new().with_server();
    redirect();
    tells_of_each_packet_once(&world);
}

/// What is allowed to the port that packets are led to, and nothing else: the replies have to be known as such.
fn tells_of_each_packet_once(world: &World) {
    let allow = format!(r#"{{ "id": "led", "action": "allow", "direction": "in", "dst_port": {LED_TO} }}"#);
    let pfw = enforce(world, &format!(r#"{{ "default_policy": "deny", "rules": [{allow}] }}"#), []);
    for (host, peer) in sides() {
        let here = SocketAddr::new(host.ip(), LED_TO);
        let server = UdpSocket::bind(here).expect("a free port");
        let listener = TcpListener::bind(here).expect("a free port");
        let client = on_peer(|| UdpSocket::bind((peer, 4000)).expect("a free port"));
        client.set_read_timeout(Some(PATIENCE)).expect("set");
        client.connect(host).expect("connected");
        for _ in 0..EXCHANGES {
            client.send(b"hello").expect("sent");
            let (_, from) = server.recv_from(&mut [0; 5]).expect("it comes here");
            server.send_to(b"hello", from).expect("sent");
            client.recv(&mut [0; 5]).expect("answered");
        }
        let mut stream = on_peer(|| TcpStream::connect_timeout(&host, PATIENCE).expect("it is allowed"));
        let (mut accepted, _) = listener.accept().expect("a client");
        stream.write_all(b"hello").expect("sent");
        accepted.read_exact(&mut [0; 5]).expect("received");
    }
    // The lines are about what is on the wire, the reasons about what the rules see.
    let (asked, led) = (format!(":{ASKED} "), "rule=led ");
    wait_for_lines(world, 2 * EXCHANGES, &["[ALLOWED] incoming eth0 UDP", ":4000 > ", &asked, led]);
    wait_for_lines(world, 2 * EXCHANGES, &["[ALLOWED] outgoing eth0 UDP", &asked, "> ", ":4000 ", "rule=reply "]);
    wait_for_lines(world, 2, &["[ALLOWED] incoming eth0 TCP", &asked, "flags=S ", led]);
    wait_for_lines(world, 2, &["[ALLOWED] outgoing eth0 TCP", &asked, "flags=SA ", "rule=reply "]);
    let all = world.log().join("\n");
    assert_eq!(count(world, &[":4000 "]), 4 * EXCHANGES, "{all}");
    ends_as_predicted(pfw);
}

fn the_answer_to_a_rejected_one_is_allowed() {
    let world = World::new();
    redirect();
    let reject = format!(r#"{{ "id": "no", "action": "reject", "direction": "in", "dst_port": {LED_TO} }}"#);
    let rules = format!(r#"{{ "default_policy": {{ "in": "allow", "out": "deny" }}, "rules": [{reject}] }}"#);
    let pfw = enforce(&world, &rules, []);
    for (host, peer) in sides() {
        on_peer(|| {
            let refused = TcpStream::connect_timeout(&host, PATIENCE);
            assert!(refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused), "it is answered");
            let socket = UdpSocket::bind((peer, 0)).expect("a free port");
            socket.set_read_timeout(Some(PATIENCE)).expect("set");
            socket.connect(host).expect("connected");
            socket.send(b"x").expect("sent");
            let refused = socket.recv(&mut [0; 1]);
            assert!(refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused), "it is answered");
        });
    }
    let led = format!(":{LED_TO} ");
    wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 TCP", &led, "rule=no "]);
    wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 UDP", &led, "rule=no "]);
    wait_for_lines(&world, 2, &["[ALLOWED] outgoing eth0 TCP", "rule=guard:reject-answer "]);
    wait_for_lines(&world, 1, &["[ALLOWED] outgoing eth0 ICMP ", "rule=guard:reject-answer "]);
    wait_for_lines(&world, 1, &["[ALLOWED] outgoing eth0 ICMPv6 ", "rule=guard:reject-answer "]);
    ends_as_predicted(pfw);
}

fn fragments_that_are_dropped_have_one_line() {
    let world = World::new();
    redirect();
    let pfw = enforce(&world, &format!(r#"{{ "block_ports": [{LED_TO}] }}"#), []);
    for (host, peer) in sides() {
        on_peer(|| {
            let socket = UdpSocket::bind((peer, 4000)).expect("a free port");
            for port in [ASKED, 7777] {
                socket.send_to(&[b'x'; 4000], (host.ip(), port)).expect("sent");
            }
        });
    }
    wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 UDP", &format!(":{LED_TO} "), "rule=block_ports"]);
    wait_for_lines(&world, 2, &["[ALLOWED] incoming eth0 UDP", ":7777 "]);
    // Of what is allowed each fragment has a line.
    wait_for_lines(&world, 6, &["[ALLOWED] incoming eth0 UDP"]);
    ends_as_predicted(pfw);
    let all = world.log().join("\n");
    assert_eq!(count(&world, &["incoming eth0 UDP"]), 8, "{all}");
}

fn an_error_that_is_dropped_has_one_line() {
    let world = World::new();
    redirect();
    let pfw = enforce(&world, r#"{ "block_protocols": ["icmp"] }"#, []);
    for (host, peer) in sides() {
        let server = UdpSocket::bind((host.ip(), LED_TO)).expect("a free port");
        server.set_read_timeout(Some(PATIENCE)).expect("set");
        let client = on_peer(|| UdpSocket::bind((peer, 4000)).expect("a free port"));
        client.send_to(b"hello", host).expect("sent");
        let (_, from) = server.recv_from(&mut [0; 5]).expect("it comes here");
        drop(client);
        // The peer says that nobody is there any more.
        server.send_to(b"hello", from).expect("sent");
    }
    wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0 ICMP ", "type=3", "rule=block_protocols:icmp "]);
    wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0 ICMPv6 ", "type=1", "rule=block_protocols:icmp "]);
    ends_as_predicted(pfw);
    let all = world.log().join("\n");
    assert_eq!(count(&world, &["[ALLOWED] incoming eth0 ICMP", "type=3"]), 0, "{all}");
    assert_eq!(count(&world, &["[ALLOWED] incoming eth0 ICMPv6", "type=1 "]), 0, "{all}");
}

/// What OUTPUT-DNAT leads elsewhere was routed before: the rules see it leave by loopback, as what is published by container
/// engines does where the machine itself asks for it.
fn what_is_led_away_is_as_predicted() {
    let world = World::new().with_server();
    for variant in variant::BOTH {
        variant::choose(variant);
        let ways =
            [("iptables", HOST4, format!("{SERVER4}:{LED_TO}")), ("ip6tables", HOST6, format!("[{SERVER6}]:{LED_TO}"))];
        for (tool, host, to) in ways {
            sh(&format!("{tool} -t nat -F"));
            for protocol in ["tcp", "udp"] {
                sh(&format!(
                    "{tool} -t nat -A OUTPUT -d {host} -p {protocol} --dport {ASKED} -j DNAT --to-destination {to}"
                ));
            }
        }
        let pfw = enforce(&world, r#"{ "default_policy": { "in": "allow", "out": "deny" } }"#, []);
        for ((host, _), server) in sides().into_iter().zip([SERVER4, SERVER6]) {
            let there = SocketAddr::new(server.parse().expect("an address"), LED_TO);
            let service = on("server", || UdpSocket::bind(there).expect("a free port"));
            let listener = on("server", || TcpListener::bind(there).expect("a free port"));
            let client = UdpSocket::bind((host.ip(), 4000)).expect("a free port");
            client.set_read_timeout(Some(PATIENCE)).expect("set");
            for _ in 0..EXCHANGES {
                client.send_to(b"hello", host).expect("sent");
                let (_, from) = service.recv_from(&mut [0; 5]).expect("it goes there");
                service.send_to(b"hello", from).expect("sent");
                client.recv_from(&mut [0; 5]).expect("answered");
            }
            client.send_to(&[7; 4000], host).expect("sent");
            let mut stream = TcpStream::connect_timeout(&host, PATIENCE).expect("it goes there");
            let (mut accepted, _) = listener.accept().expect("a client");
            stream.write_all(b"hello").expect("sent");
            accepted.read_exact(&mut [0; 5]).expect("received");
            // What is not led away is blocked.
            assert!(TcpStream::connect_timeout(&there, Duration::from_millis(300)).is_err(), "it is blocked");
        }
        let led = format!(":{LED_TO} ");
        wait_for_lines(&world, 2 * (EXCHANGES + 3), &["[ALLOWED] outgoing eth1 UDP", "rule=loopback "]);
        wait_for_lines(&world, 2 * EXCHANGES, &["[ALLOWED] incoming eth1 UDP", &led, "rule=reply "]);
        wait_for_lines(&world, 2, &["[ALLOWED] outgoing eth1 TCP", &led, "flags=S ", "rule=loopback "]);
        wait_for_lines(&world, 2, &["[BLOCKED] outgoing eth1 TCP", &led, "flags=S ", "rule=default_policy "]);
        ends_as_predicted(pfw);
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
        sh("conntrack -F 2>/dev/null || true");
    }
}
