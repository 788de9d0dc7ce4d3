//! `pfw run` on a machine that passes packets on and translates addresses, as one with containers does: the peer is a
//! client outside, `server` stands behind it. Forwarded packets have the lines that the kernel reports and no others.

use crate::Case;
use crate::common::{PATIENCE, Running, pfw, wait_for};
use crate::enforce::ends_as_predicted;
use crate::variant;
use crate::world::{HOST4, HOST6, PEER4, PEER6, SERVER4, SERVER6, World, on, on_peer, sh};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("a_forwarded_flow_has_one_line", a_forwarded_flow_has_one_line),
    ("a_published_port_has_one_line_for_each_flow", a_published_port_has_one_line_for_each_flow),
    ("a_masqueraded_flow_has_one_line", a_masqueraded_flow_has_one_line),
    ("a_published_port_is_blocked_by_both_its_numbers", a_published_port_is_blocked_by_both_its_numbers),
    ("blocked_ends_of_forwarded_traffic_are_logged_once", blocked_ends_of_forwarded_traffic_are_logged_once),
    ("translated_flows_that_were_open_before_have_no_line", translated_flows_that_were_open_before_have_no_line),
    ("forwarded_packets_of_no_flow_have_a_line_each", forwarded_packets_of_no_flow_have_a_line_each),
    ("errors_and_fragments_of_translated_flows_have_no_line", errors_and_fragments_of_translated_flows_have_no_line),
    ("many_flows_and_drops_at_once_are_told_apart", many_flows_and_drops_at_once_are_told_apart),
    ("what_others_drop_behind_pfw_has_one_line", what_others_drop_behind_pfw_has_one_line),
    ("a_published_port_that_is_blocked_later_is_no_difference", a_published_port_that_is_blocked_later),
    ("own_traffic_of_a_router_keeps_its_lines", own_traffic_of_a_router_keeps_its_lines),
    ("legacy_tables_tell_of_translated_flows_too", legacy_tables_tell_of_translated_flows_too),
    ("a_dropped_datagram_in_fragments_has_one_line", a_dropped_datagram_in_fragments_has_one_line),
    ("the_answer_of_a_reject_is_allowed_and_no_difference", the_answer_of_a_reject_is_allowed),
];

/// As container engines do it: a port of the host leads to the server, and what comes from there looks like the host.
fn translate() {
    for (tool, host, server) in [("iptables", HOST4, SERVER4), ("ip6tables", HOST6, SERVER6)] {
        let to = |port| if server.contains(':') { format!("[{server}]:{port}") } else { format!("{server}:{port}") };
        for protocol in ["tcp", "udp"] {
            let to = to(80);
            sh(&format!(
                "{tool} -t nat -A PREROUTING -p {protocol} -d {host} --dport 8080 -j DNAT --to-destination {to}"
            ));
        }
        sh(&format!("{tool} -t nat -A POSTROUTING -s {server} -o eth0 -j MASQUERADE"));
    }
}

fn enforce(world: &World, rules: &str) -> Running {
    std::fs::write(world.path("rules.json"), rules).expect("the scratch folder is writable");
    let mut command = pfw(["run", "--config", "rules.json"]);
    command.current_dir(world.folder.path());
    Running::start(command)
}

/// The lines with any of these words, once there are `n` of them and nothing more comes.
fn lines(world: &World, n: usize, words: &[&str]) -> Vec<String> {
    let has_any = |line: &String| words.iter().any(|word| line.contains(&format!(" {word} ")));
    let found = || world.lines(&[]).into_iter().filter(has_any).collect::<Vec<_>>();
    wait_for(&format!("{n} lines with any of {words:?}"), || (found().len() >= n).then_some(()));
    // One too many would come now.
    std::thread::sleep(Duration::from_millis(300));
    found()
}

/// Holds the lines with any of these words to be exactly these: each contains those of one of `expected`, in any order.
fn expect(world: &World, words: &[&str], expected: &[&[&str]]) {
    let mut lines = lines(world, expected.len(), words);
    let all = lines.join("\n");
    for words in expected {
        let found = lines.iter().position(|line| words.iter().all(|word| line.contains(word)));
        lines.swap_remove(found.unwrap_or_else(|| panic!("no line with {words:?} in\n{all}")));
    }
    assert!(lines.is_empty(), "more than was expected:\n{}\nof\n{all}", lines.join("\n"));
}

fn socket(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse::<IpAddr>().expect("an address"), port)
}

/// A server on `host` that gives back what it gets, once.
fn echo(host: &str, address: &str, port: u16) -> std::thread::JoinHandle<()> {
    let listener = on(host, || TcpListener::bind(socket(address, port)).expect("a free port"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut bytes = [0; 5];
        while stream.read_exact(&mut bytes).is_ok() {
            stream.write_all(&bytes).expect("answered");
        }
    })
}

/// A connection from `host`, which has been answered. Its local port.
fn connect(host: &str, to: SocketAddr) -> (TcpStream, String) {
    let mut stream = on(host, || TcpStream::connect_timeout(&to, PATIENCE).expect("the server listens"));
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    exchange(&mut stream);
    let port = stream.local_addr().expect("connected").port();
    (stream, format!(":{port} "))
}

fn exchange(stream: &mut TcpStream) {
    stream.write_all(b"hello").expect("sent");
    stream.read_exact(&mut [0; 5]).expect("answered");
}

fn is_refused(host: &str, to: SocketAddr) -> bool {
    on(host, || TcpStream::connect_timeout(&to, Duration::from_millis(400)).is_err())
}

fn a_forwarded_flow_has_one_line() {
    let world = World::new().with_server();
    let pfw = enforce(&world, r#"{ "block_ports": [9999] }"#);
    for server in [SERVER4, SERVER6] {
        let serving = echo("server", server, 80);
        drop(connect("peer", socket(server, 80)));
        serving.join().expect("served");
        let sender = on_peer(|| UdpSocket::bind(("::", 4000)).expect("a free port"));
        for _ in 0..5 {
            let to = if server == SERVER4 { format!("::ffff:{server}") } else { server.to_owned() };
            sender.send_to(b"x", socket(&to, 7777)).expect("sent");
        }
        sh(&format!("ip netns exec peer ping -q -c 3 -i 0.05 {server}"));
    }
    expect(
        &world,
        &["TCP", "UDP"],
        &[
            &["[ALLOWED] forwarded eth0 TCP", PEER4, &format!("> {SERVER4}:80 "), "flags=S ", "rule=forwarded"],
            &["[ALLOWED] forwarded eth0 TCP", PEER6, &format!("> [{SERVER6}]:80 "), "flags=S "],
            &["[ALLOWED] forwarded eth0 UDP", &format!("{PEER4}:4000 > {SERVER4}:7777 ")],
            &["[ALLOWED] forwarded eth0 UDP", &format!("[{PEER6}]:4000 > [{SERVER6}]:7777 ")],
        ],
    );
    expect(
        &world,
        &["type=8", "type=128"],
        &[&["[ALLOWED] forwarded eth0 ICMP ", PEER4, SERVER4], &["[ALLOWED] forwarded eth0 ICMPv6 ", PEER6, SERVER6]],
    );
    let said = ends_as_predicted(pfw);
    assert!(said.contains("seen forwarded"), "{said}");
}

fn a_published_port_has_one_line_for_each_flow() {
    let world = World::new().with_server();
    translate();
    let pfw = enforce(&world, r#"{ "block_ports": [9999] }"#);
    publish(&world);
    ends_as_predicted(pfw);
}

/// Two connections to the published port, one of each family.
fn publish(world: &World) {
    let mut ports = Vec::new();
    for (host, server) in [(HOST4, SERVER4), (HOST6, SERVER6)] {
        let serving = echo("server", server, 80);
        let (mut stream, port) = connect("peer", socket(host, 8080));
        (0..20).for_each(|_| exchange(&mut stream));
        drop(stream);
        serving.join().expect("served");
        ports.push(port);
    }
    expect(
        world,
        &["TCP"],
        &[
            &["[ALLOWED] forwarded eth0 TCP", PEER4, &ports[0], &format!("> {SERVER4}:80 "), "flags=S "],
            &["[ALLOWED] forwarded eth0 TCP", PEER6, &ports[1], &format!("> [{SERVER6}]:80 "), "flags=S "],
        ],
    );
}

fn a_masqueraded_flow_has_one_line() {
    let world = World::new().with_server();
    translate();
    let pfw = enforce(&world, r#"{ "block_ports": [9999] }"#);
    masquerade(&world);
    ends_as_predicted(pfw);
}

/// Two connections from the server to the peer, who takes them for the host's.
fn masquerade(world: &World) {
    let mut ports = Vec::new();
    for (server, peer, host) in [(SERVER4, PEER4, HOST4), (SERVER6, PEER6, HOST6)] {
        let listener = on_peer(|| TcpListener::bind(socket(peer, 8081)).expect("a free port"));
        let accepting = std::thread::spawn(move || listener.accept().expect("a client").1.ip());
        let stream = on("server", || TcpStream::connect_timeout(&socket(peer, 8081), PATIENCE).expect("it listens"));
        assert_eq!(accepting.join().expect("accepted"), host.parse::<IpAddr>().expect("an address"));
        ports.push(format!(
            "{}:{} ",
            if server == SERVER4 { server.to_owned() } else { format!("[{server}]") },
            stream.local_addr().expect("connected").port()
        ));
    }
    expect(
        world,
        &["TCP"],
        &[
            &["[ALLOWED] forwarded eth1 TCP", &ports[0], &format!("> {PEER4}:8081 "), "flags=S "],
            &["[ALLOWED] forwarded eth1 TCP", &ports[1], &format!("> [{PEER6}]:8081 "), "flags=S "],
        ],
    );
}

fn a_published_port_is_blocked_by_both_its_numbers() {
    let world = World::new().with_server();
    translate();
    for number in ["8080", "80"] {
        let pfw = enforce(&world, &format!(r#"{{ "block_ports": [{number}] }}"#));
        let listeners =
            [SERVER4, SERVER6].map(|server| on("server", || TcpListener::bind(socket(server, 80)).expect("free")));
        for host in [HOST4, HOST6] {
            assert!(is_refused("peer", socket(host, 8080)), "blocked by {number}");
        }
        let rule = format!("rule=block_ports:{number} ");
        expect(
            &world,
            &["TCP"],
            &[
                &["[BLOCKED] forwarded eth0 TCP", PEER4, &format!("> {SERVER4}:80 "), &rule],
                &["[BLOCKED] forwarded eth0 TCP", PEER6, &format!("> [{SERVER6}]:80 "), &rule],
            ],
        );
        ends_as_predicted(pfw);
        drop(listeners);
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    }
}

fn blocked_ends_of_forwarded_traffic_are_logged_once() {
    let world = World::new().with_server();
    translate();
    let serving = echo("server", SERVER4, 80);
    for (rules, blocked) in [
        (format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), Some(PEER4)),
        (format!(r#"{{ "block_ips": ["{SERVER4}"] }}"#), Some(SERVER4)),
        (format!(r#"{{ "block_ips": ["10.77.0.0/24"], "allow_ips": ["{PEER4}", "{HOST4}"] }}"#), None),
    ] {
        let pfw = enforce(&world, &rules);
        if let Some(end) = blocked {
            assert!(is_refused("peer", socket(HOST4, 8080)));
            let rule = format!("rule=block_ips:{end} ");
            expect(&world, &["TCP"], &[&["[BLOCKED] forwarded eth0 TCP", PEER4, SERVER4, &rule]]);
        } else {
            drop(connect("peer", socket(HOST4, 8080)));
            expect(&world, &["TCP"], &[&["[ALLOWED] forwarded eth0 TCP", PEER4, SERVER4]]);
        }
        ends_as_predicted(pfw);
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    }
    serving.join().expect("served");
}

fn translated_flows_that_were_open_before_have_no_line() {
    let world = World::new().with_server();
    translate();
    let serving = echo("server", SERVER4, 80);
    let (mut stream, _) = connect("peer", socket(HOST4, 8080));
    let pfw = enforce(&world, r#"{ "block_ports": [9999] }"#);
    (0..20).for_each(|_| exchange(&mut stream));
    drop(stream);
    serving.join().expect("served");
    expect(&world, &["TCP"], &[]);
    ends_as_predicted(pfw);
}

fn forwarded_packets_of_no_flow_have_a_line_each() {
    let world = World::new().with_server();
    let pfw = enforce(&world, "{}");
    on_peer(|| {
        // SAFETY: a socket, and datagrams from a buffer that lives through the calls.
        unsafe {
            let raw = libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP);
            assert!(raw >= 0, "a raw socket");
            let to = libc::sockaddr_in {
                sin_family: u16::try_from(libc::AF_INET).expect("small"),
                sin_port: 0,
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([10, 88, 0, 2]) },
                sin_zero: [0; 8],
            };
            // An answer to a ping that nobody sent.
            let answer = [0_u8, 0, 0xff, 0xf8, 0, 7, 0, 0];
            for _ in 0..3 {
                let sent = libc::sendto(raw, answer.as_ptr().cast(), answer.len(), 0, (&raw const to).cast(), 16);
                assert_eq!(sent, 8, "sent");
            }
            libc::close(raw);
        }
    });
    let words: &[&str] = &["[ALLOWED] forwarded eth0 ICMP", "type=0", "state invalid"];
    expect(&world, &["ICMP"], &[words; 3]);
    ends_as_predicted(pfw);
}

fn errors_and_fragments_of_translated_flows_have_no_line() {
    let world = World::new().with_server();
    translate();
    let pfw = enforce(&world, r#"{ "block_ports": [9999] }"#);
    // In fragments to the published port, where nobody listens: the error goes back by the host's address.
    let client = on_peer(|| UdpSocket::bind(("10.77.0.2", 4000)).expect("a free port"));
    client.connect(socket(HOST4, 8080)).expect("connected");
    client.set_read_timeout(Some(PATIENCE)).expect("set");
    client.send(&[7; 4000]).expect("sent");
    assert!(client.recv(&mut [0; 8]).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
    // From the server to a closed port outside: the error comes in for the host.
    let server = on("server", || UdpSocket::bind((SERVER4, 5000)).expect("a free port"));
    server.connect(socket(PEER4, 9)).expect("connected");
    server.set_read_timeout(Some(PATIENCE)).expect("set");
    server.send(&[7; 4000]).expect("sent");
    assert!(server.recv(&mut [0; 8]).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused));
    expect(
        &world,
        &["UDP", "ICMP"],
        &[
            &["[ALLOWED] forwarded eth0 UDP", &format!("{PEER4}:4000 > {SERVER4}:80 ")],
            &["[ALLOWED] forwarded eth1 UDP", &format!("{SERVER4}:5000 > {PEER4}:9 ")],
        ],
    );
    ends_as_predicted(pfw);
}

/// Datagrams to each port, and connections.
const EACH: usize = 300;

fn many_flows_and_drops_at_once_are_told_apart() {
    let world = World::new().with_server();
    translate();
    sh(&format!("iptables -t nat -A PREROUTING -p udp -d {HOST4} --dport 8443 -j DNAT --to-destination {SERVER4}:443"));
    let pfw = enforce(&world, r#"{ "block_ports": ["443/udp"] }"#);
    let own = UdpSocket::bind((HOST4, 9000)).expect("a free port");
    let listener = on("server", || TcpListener::bind(socket(SERVER4, 80)).expect("a free port"));
    std::thread::scope(|scope| {
        scope.spawn(|| (0..EACH).for_each(|_| drop(listener.accept().expect("a client"))));
        scope.spawn(|| {
            on_peer(|| {
                for _ in 0..EACH {
                    TcpStream::connect_timeout(&socket(HOST4, 8080), PATIENCE).expect("the server listens");
                }
            });
        });
        on_peer(|| {
            // From one port, and all alike.
            let sender = UdpSocket::bind((PEER4, 4000)).expect("a free port");
            for _ in 0..EACH {
                for port in [8443, 9000] {
                    sender.send_to(b"x", (HOST4, port)).expect("sent");
                }
            }
        });
    });
    drop(own);
    let lines = lines(&world, 3 * EACH, &["UDP", "TCP"]);
    let count = |words: &[&str]| lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).count();
    let counts = [
        count(&["[BLOCKED] forwarded eth0 UDP", ":443 ", "rule=block_ports:443/udp "]),
        count(&["[ALLOWED] incoming eth0 UDP", ":9000 "]),
        count(&["[ALLOWED] forwarded eth0 TCP", "flags=S ", ":80 "]),
        lines.len(),
    ];
    assert_eq!(counts, [EACH, EACH, EACH, 3 * EACH]);
    ends_as_predicted(pfw);
}

fn what_others_drop_behind_pfw_has_one_line() {
    let world = World::new().with_server();
    translate();
    sh("iptables -A FORWARD -p tcp --dport 80 -j DROP");
    let pfw = enforce(&world, "{}");
    assert!(is_refused("peer", socket(HOST4, 8080)));
    expect(&world, &["TCP"], &[&["[ALLOWED] forwarded eth0 TCP", PEER4, &format!("> {SERVER4}:80 "), "flags=S "]]);
    ends_as_predicted(pfw);
}

fn a_published_port_that_is_blocked_later() {
    let world = World::new().with_server();
    translate();
    let mut pfw = enforce(&world, "{}");
    let serving = echo("server", SERVER4, 80);
    let (mut stream, _) = connect("peer", socket(HOST4, 8080));
    std::fs::write(world.path("rules.json"), r#"{ "block_ports": [8080] }"#).expect("written");
    pfw.signal(libc::SIGHUP);
    pfw.wait_to_say("again");
    wait_for("the kernel to have the new rules", || sh("iptables-save").contains("8080 -m comment").then_some(()));
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    stream.write_all(b"hello").expect("sent");
    assert!(stream.read_exact(&mut [0; 5]).is_err(), "cut at once");
    let lines = lines(&world, 2, &["TCP"]);
    assert!(lines.iter().any(|line| line.contains("[BLOCKED] forwarded eth0 TCP") && line.contains(SERVER4)));
    assert!(lines.iter().all(|line| line.contains(" forwarded ")), "{}", lines.join("\n"));
    ends_as_predicted(pfw);
    drop(stream);
    // Its end can reach the server now.
    serving.join().expect("served");
}

fn own_traffic_of_a_router_keeps_its_lines() {
    let world = World::new().with_server();
    translate();
    let pfw = enforce(&world, r#"{ "block_ports": [9999] }"#);
    sh(&format!("ping -q -c 2 -i 0.05 {PEER4} && ping -q -c 2 -i 0.05 {SERVER4}"));
    let (out, back) = ("[ALLOWED] outgoing", "[ALLOWED] incoming");
    expect(
        &world,
        &["ICMP"],
        &[
            &[out, "eth0", PEER4],
            &[out, "eth0", PEER4],
            &[back, "eth0", PEER4],
            &[back, "eth0", PEER4],
            &[out, "eth1", SERVER4],
            &[out, "eth1", SERVER4],
            &[back, "eth1", SERVER4],
            &[back, "eth1", SERVER4],
        ],
    );
    ends_as_predicted(pfw);
}

fn legacy_tables_tell_of_translated_flows_too() {
    let world = World::new().with_server();
    variant::choose("legacy");
    translate();
    let pfw = enforce(&world, r#"{ "block_ports": [9999] }"#);
    publish(&world);
    std::fs::write(world.path("firewall.log"), "").expect("emptied");
    masquerade(&world);
    let said = ends_as_predicted(pfw);
    assert!(said.contains("legacy"), "{said}");
}

fn a_dropped_datagram_in_fragments_has_one_line() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_ports": ["9001/udp"] }"#);
    for (host, peer) in [(HOST4, PEER4), (HOST6, PEER6)] {
        let receivers = [9000, 9001].map(|port| UdpSocket::bind((host, port)).expect("a free port"));
        let sender = on_peer(|| UdpSocket::bind((peer, 4000)).expect("a free port"));
        for port in [9001, 9000, 9001, 9000] {
            sender.send_to(&[7; 4000], (host, port)).expect("sent");
        }
        wait_for("the allowed datagrams", || receivers[0].recv(&mut [0; 8000]).ok());
    }
    let lines = lines(&world, 2 * (2 + 6), &["UDP"]);
    for address in [format!("{PEER4}:4000 > {HOST4}:9001 "), format!("[{PEER6}]:4000 > [{HOST6}]:9001 ")] {
        let blocked =
            lines.iter().filter(|line| line.contains("[BLOCKED] incoming eth0 UDP") && line.contains(&address));
        assert_eq!(blocked.count(), 2, "{}", lines.join("\n"));
    }
    for address in [PEER4, PEER6] {
        let allowed =
            lines.iter().filter(|line| line.contains("[ALLOWED] incoming eth0 UDP") && line.contains(address));
        assert_eq!(allowed.count(), 6, "three fragments each\n{}", lines.join("\n"));
    }
    ends_as_predicted(pfw);
}

fn the_answer_of_a_reject_is_allowed() {
    let world = World::new();
    let rules = r#"{ "default_policy": "deny", "block_protocols": ["ICMP"], "rules": [
        { "id": "no", "action": "reject", "direction": "in", "dst_port": 113 },
        { "id": "never", "action": "reject", "direction": "out", "dst_port": 114 }] }"#;
    let pfw = enforce(&world, rules);
    for (host, peer) in [(HOST4, PEER4), (HOST6, PEER6)] {
        assert!(is_refused("peer", socket(host, 113)));
        let client = on_peer(|| UdpSocket::bind((peer, 4000)).expect("a free port"));
        client.connect(socket(host, 113)).expect("connected");
        client.send(b"x").expect("sent");
        let refused = TcpStream::connect_timeout(&socket(peer, 114), Duration::from_millis(400));
        assert!(refused.is_err());
    }
    let lines = lines(&world, 12, &["TCP", "UDP", "ICMP", "ICMPv6"]);
    for (words, expected) in [
        (&["[BLOCKED] incoming eth0 TCP", ":113 ", "rule=no "][..], 2),
        (&["[BLOCKED] incoming eth0 UDP", ":113 ", "rule=no "], 2),
        (&["[ALLOWED] outgoing eth0 TCP", ":113 ", "rule=guard:reject-answer"], 2),
        (&["[ALLOWED] outgoing eth0 ICMP", "type=3", "rule=guard:reject-answer"], 1),
        (&["[ALLOWED] outgoing eth0 ICMPv6", "type=1", "rule=guard:reject-answer"], 1),
        (&["[BLOCKED] outgoing eth0 TCP", ":114 ", "rule=never "], 2),
        (&["[ALLOWED] loopback lo TCP", ":114 ", "rule=guard:reject-answer"], 2),
    ] {
        let found = lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).count();
        assert_eq!(found, expected, "{words:?} in\n{}", lines.join("\n"));
    }
    ends_as_predicted(pfw);
}
