//! `pfw run --monitor-only` on live interfaces: what was sent is what the log says, line by line.

mod interfaces;
mod losses;

use crate::Case;
use crate::common::{PATIENCE, wait_for};
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, read_lines, sh};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

const OWN: &[Case] = &[
    ("ping_is_logged_in_both_directions_and_families", ping_is_logged_in_both_directions_and_families),
    ("a_tcp_connection_is_logged_from_its_syn_to_its_fin", a_tcp_connection_is_logged_from_its_syn_to_its_fin),
    ("would_block_names_the_rule_and_drops_nothing", would_block_names_the_rule_and_drops_nothing),
    ("loopback_packets_have_one_line_each", loopback_packets_have_one_line_each),
    ("sighup_reads_the_rules_again_and_a_bad_file_changes_nothing", sighup_reads_the_rules_again),
    ("sigusr1_reopens_the_log", sigusr1_reopens_the_log),
    ("the_pnet_source_sees_the_same_packets", the_pnet_source_sees_the_same_packets),
    ("json_lines_are_valid_and_carry_eve_names", json_lines_are_valid_and_carry_eve_names),
    ("an_expired_entry_stops_acting_at_its_second", an_expired_entry_stops_acting_at_its_second),
    ("without_privilege_there_is_one_clear_line", without_privilege_there_is_one_clear_line),
];

const OPEN: &str = "{}";

pub fn cases() -> Vec<Case> {
    [OWN, interfaces::CASES, losses::CASES].concat()
}

/// Waits until `count` lines of the log contain all of `words`, and makes sure that there are no more.
fn expect_lines(world: &World, count: usize, words: &[&str]) -> Vec<String> {
    let lines = wait_for(&format!("{count} lines with {words:?} in\n{}", world.log().join("\n")), || {
        Some(world.lines(words)).filter(|lines| lines.len() >= count)
    });
    assert_eq!(lines.len(), count, "lines with {words:?}:\n{}", lines.join("\n"));
    lines
}

fn ping_is_logged_in_both_directions_and_families() {
    let world = World::new();
    let pfw = world.watch(OPEN, []);
    sh(&format!("ping -q -c 3 -i 0.05 {PEER4} && ping -q -c 3 -i 0.05 {PEER6}"));
    sh(&format!("ip netns exec peer ping -q -c 2 -i 0.05 {HOST4}"));
    expect_lines(&world, 3, &["[ALLOWED] outgoing eth0 ICMP", &format!("{HOST4} > {PEER4}"), "type=8"]);
    expect_lines(&world, 3, &["[ALLOWED] incoming eth0 ICMP", &format!("{PEER4} > {HOST4}"), "type=0", "rule=reply"]);
    expect_lines(&world, 3, &["[ALLOWED] outgoing eth0 ICMPv6", &format!("{HOST6} > {PEER6}"), "type=128"]);
    expect_lines(
        &world,
        3,
        &["[ALLOWED] incoming eth0 ICMPv6", &format!("{PEER6} > {HOST6}"), "type=129", "rule=reply"],
    );
    expect_lines(&world, 2, &["[ALLOWED] incoming eth0 ICMP", "type=8", "rule=default_policy"]);
    expect_lines(&world, 2, &["[ALLOWED] outgoing eth0 ICMP", "type=0", "rule=reply"]);
    assert_eq!(pfw.stop(libc::SIGINT).0, 0);
}

/// One TCP exchange with a server on the peer: `request` there, the same bytes back.
fn tcp_echo(server: &str) {
    let address: SocketAddr = server.parse().expect("an address");
    let listener = on_peer(|| TcpListener::bind(address).expect("the port is free"));
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut request = [0; 5];
        stream.read_exact(&mut request).expect("the request");
        stream.write_all(&request).expect("the answer");
    });
    let mut client = TcpStream::connect_timeout(&address, PATIENCE).expect("the server listens");
    client.write_all(b"hello").expect("sent");
    let mut answer = String::new();
    client.read_to_string(&mut answer).expect("answered");
    assert_eq!(answer, "hello");
    serving.join().expect("the server is fine");
}

fn a_tcp_connection_is_logged_from_its_syn_to_its_fin() {
    let world = World::new();
    let pfw = world.watch(OPEN, []);
    for server in [format!("{PEER4}:8080"), format!("[{PEER6}]:8080")] {
        tcp_echo(&server);
        expect_lines(&world, 1, &["[ALLOWED] outgoing eth0 TCP", &format!("> {server}"), "flags=S "]);
        expect_lines(&world, 1, &["[ALLOWED] incoming eth0 TCP", &format!(" {server} >"), "flags=SA ", "rule=reply"]);
        let fins = world.log().iter().filter(|line| line.contains(&server) && line.contains("flags=F")).count();
        assert!(fins >= 2, "{:?}", world.log());
    }
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn would_block_names_the_rule_and_drops_nothing() {
    let world = World::new();
    let rules = format!(
        r#"{{ "block_ips": ["{PEER6}"], "block_ports": ["9000/udp"], "block_protocols": ["ICMP"],
             "rules": [{{ "id": "no-web", "action": "block", "direction": "out", "protocol": "tcp", "dst_port": 8080 }}] }}"#
    );
    let pfw = world.watch(&rules, []);
    sh(&format!("ping -q -c 2 -i 0.05 {PEER4}"));
    tcp_echo(&format!("{PEER4}:8080"));
    tcp_echo(&format!("[{PEER6}]:80"));
    let peer = on_peer(|| UdpSocket::bind((PEER4, 9000)).expect("the port is free"));
    UdpSocket::bind((HOST4, 0)).expect("a port").send_to(b"hi", (PEER4, 9000)).expect("sent");
    peer.set_read_timeout(Some(PATIENCE)).expect("set");
    assert_eq!(peer.recv(&mut [0; 8]).expect("nothing is dropped"), 2);
    expect_lines(&world, 2, &["[WOULD-BLOCK] outgoing eth0 ICMP", "rule=block_protocols:icmp"]);
    expect_lines(&world, 2, &["[WOULD-BLOCK] incoming eth0 ICMP", "rule=block_protocols:icmp"]);
    expect_lines(&world, 1, &["[WOULD-BLOCK] outgoing eth0 UDP", ":9000 ", "rule=block_ports:9000/udp"]);
    expect_lines(&world, 1, &["[WOULD-BLOCK] outgoing eth0 TCP", "flags=S ", ":8080", "rule=no-web"]);
    expect_lines(
        &world,
        1,
        &["[WOULD-BLOCK] outgoing eth0 TCP", "flags=S ", &format!("[{PEER6}]:80 "), &format!("rule=block_ips:{PEER6}")],
    );
    assert!(!world.log().iter().any(|line| line.contains("[BLOCKED]")), "nothing is enforced");
    let (_, said) = pfw.stop(libc::SIGTERM);
    assert!(said.contains("no-web"), "the summary names the rules that hit:\n{said}");
}

fn loopback_packets_have_one_line_each() {
    let world = World::new();
    let pfw = world.watch(r#"{ "block_ports": ["7777/udp"], "default_policy": "deny" }"#, []);
    let server = UdpSocket::bind("127.0.0.1:5555").expect("a port");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for _ in 0..5 {
        client.send_to(b"x", server.local_addr().expect("bound")).expect("sent");
    }
    client.send_to(b"x", "127.0.0.1:7777").expect("sent");
    expect_lines(&world, 5, &["[ALLOWED] loopback lo UDP", "> 127.0.0.1:5555", "rule=loopback"]);
    expect_lines(&world, 1, &["[WOULD-BLOCK] loopback lo UDP", "> 127.0.0.1:7777", "rule=block_ports:7777/udp"]);
    pfw.stop(libc::SIGTERM);
}

fn sighup_reads_the_rules_again() {
    let world = World::new();
    let mut pfw = world.watch(OPEN, ["--no-watch"]);
    let rules = world.path("rules.json");
    std::fs::write(&rules, r#"{ "block_protocols": ["icmp"] }"#).expect("written");
    pfw.signal(libc::SIGHUP);
    expect_lines(&world, 1, &["[PFW]", "rules"]);
    wait_for("the new rules to act", || {
        sh(&format!("ping -q -c 1 {PEER4}"));
        world.log().iter().any(|line| line.contains("[WOULD-BLOCK] outgoing eth0 ICMP")).then_some(())
    });
    std::fs::write(&rules, "{ \"block_portz\": [80],\n  \"default_policy\": 7 }").expect("written");
    pfw.signal(libc::SIGHUP);
    let complaint = pfw.wait_to_say("block_portz");
    assert!(complaint.contains("rules.json:1:3"), "{complaint}");
    pfw.wait_to_say("default_policy");
    let before = world.log().iter().filter(|line| line.contains("[WOULD-BLOCK]")).count();
    sh(&format!("ping -q -c 1 {PEER4}"));
    wait_for("the old rules to act on", || {
        (world.log().iter().filter(|line| line.contains("[WOULD-BLOCK]")).count() >= before + 2).then_some(())
    });
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn sigusr1_reopens_the_log() {
    let world = World::new();
    let pfw = world.watch(OPEN, []);
    sh(&format!("ping -q -c 1 {PEER4}"));
    expect_lines(&world, 1, &["outgoing eth0 ICMP "]);
    std::fs::rename(world.path("firewall.log"), world.path("moved.log")).expect("renamed");
    pfw.signal(libc::SIGUSR1);
    wait_for("a new log", || world.path("firewall.log").exists().then_some(()));
    sh(&format!("ping -q -c 1 {PEER4}"));
    expect_lines(&world, 1, &["outgoing eth0 ICMP "]);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    let old = read_lines(&world.path("moved.log"));
    assert_eq!(old.iter().filter(|line| line.contains("outgoing eth0 ICMP ")).count(), 1);
}

fn the_pnet_source_sees_the_same_packets() {
    let world = World::new();
    let pfw = world.watch(r#"{ "block_ports": [9000] }"#, ["--capture", "pnet"]);
    sh(&format!("ping -q -c 3 -i 0.05 {PEER4}"));
    sh(&format!("ip netns exec peer ping -q -c 2 -i 0.05 {HOST6}"));
    sh("ping -q -c 2 -i 0.05 127.0.0.1");
    expect_lines(&world, 3, &["[ALLOWED] outgoing eth0 ICMP", "type=8"]);
    expect_lines(&world, 3, &["[ALLOWED] incoming eth0 ICMP", "type=0", "rule=reply"]);
    expect_lines(&world, 2, &["[ALLOWED] incoming eth0 ICMPv6", "type=128"]);
    expect_lines(&world, 2, &["[ALLOWED] outgoing eth0 ICMPv6", "type=129"]);
    expect_lines(&world, 2, &["loopback lo ICMP", "type=8"]);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn json_lines_are_valid_and_carry_eve_names() {
    let world = World::new();
    let pfw = world.watch(r#"{ "block_ports": [8080] }"#, ["--log-format", "json", "-i", "eth0"]);
    tcp_echo(&format!("{PEER4}:8080"));
    sh(&format!("ping -q -c 1 {PEER6}"));
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    let events: Vec<serde_json::Value> = world
        .log()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let syn = events.iter().find(|event| event["tcp_flags"] == "02").expect("a SYN");
    assert_eq!(syn["event_type"], "packet");
    assert_eq!(syn["in_iface"], "eth0");
    assert_eq!(syn["src_ip"], HOST4);
    assert_eq!(syn["dest_ip"], PEER4);
    assert_eq!(syn["dest_port"], 8080);
    assert_eq!(syn["proto"], "TCP");
    assert_eq!(syn["direction"], "outgoing");
    assert_eq!(syn["verdict"], "would-block");
    assert_eq!(syn["step"], "block_ports");
    assert_eq!(syn["rule"], "block_ports:8080");
    assert!(events.iter().any(|event| event["icmp_type"] == 128 && event["verdict"] == "allowed"));
    assert!(events.iter().any(|event| event["event_type"] == "pfw"));
}

fn an_expired_entry_stops_acting_at_its_second() {
    let world = World::new();
    let expires = sh("date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%SZ");
    let rules = format!(r#"{{ "block_ips": [{{ "ip": "{PEER4}", "expires": "{}" }}] }}"#, expires.trim());
    let pfw = world.watch(&rules, []);
    sh(&format!("ping -q -c 1 {PEER4}"));
    wait_for("the block", || world.log().iter().any(|line| line.contains("[WOULD-BLOCK] outgoing")).then_some(()));
    wait_for("the end of the block", || {
        sh(&format!("ping -q -c 1 {PEER4}"));
        world.log().iter().any(|line| line.contains("[ALLOWED] outgoing eth0 ICMP ")).then_some(())
    });
    for line in world.log().iter().filter(|line| line.contains("outgoing eth0 ICMP ")) {
        let blocked = line.contains("[WOULD-BLOCK]");
        // Both are RFC 3339 in UTC: they compare as text up to the second.
        assert_eq!(blocked, line[..19] < expires[..19], "{line} with expiry {expires}");
    }
    pfw.stop(libc::SIGTERM);
}

fn without_privilege_there_is_one_clear_line() {
    let world = World::new();
    std::fs::write(world.path("rules.json"), OPEN).expect("written");
    sh(&format!("chmod 0777 {}", world.folder.path().display()));
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"])
        .args([env!("CARGO_BIN_EXE_pfw"), "run", "--monitor-only", "--config", "rules.json"])
        .current_dir(world.folder.path())
        .output()
        .expect("setpriv runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("pfw: cannot open a packet socket: Operation not permitted"), "{said}");
    assert!(said.contains("sudo"), "the remedy is named: {said}");
}
