//! `pfw run --monitor-only` on live interfaces: what was sent is what the log says, line by line.

use crate::Case;
use crate::common::{PATIENCE, wait_for};
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, read_lines, sh, try_sh};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("ping_is_logged_in_both_directions_and_families", ping_is_logged_in_both_directions_and_families),
    ("a_tcp_connection_is_logged_from_its_syn_to_its_fin", a_tcp_connection_is_logged_from_its_syn_to_its_fin),
    ("would_block_names_the_rule_and_drops_nothing", would_block_names_the_rule_and_drops_nothing),
    ("loopback_packets_have_one_line_each", loopback_packets_have_one_line_each),
    ("a_flood_is_logged_to_the_packet", a_flood_is_logged_to_the_packet),
    ("what_a_small_ring_loses_is_said_to_the_packet", what_a_small_ring_loses_is_said_to_the_packet),
    ("interfaces_come_and_go_and_are_logged", interfaces_come_and_go_and_are_logged),
    ("an_interface_that_is_down_costs_no_cpu", an_interface_that_is_down_costs_no_cpu),
    ("only_the_chosen_interface_is_watched", only_the_chosen_interface_is_watched),
    ("a_bridged_packet_is_logged_once_where_it_reaches_the_stack", a_bridged_packet_is_logged_once),
    ("sighup_reads_the_rules_again_and_a_bad_file_changes_nothing", sighup_reads_the_rules_again),
    ("sigusr1_reopens_the_log", sigusr1_reopens_the_log),
    ("a_full_disk_is_survived_and_what_is_missing_is_said", a_full_disk_is_survived),
    ("the_summary_adds_up", the_summary_adds_up),
    ("the_pnet_source_sees_the_same_packets", the_pnet_source_sees_the_same_packets),
    ("json_lines_are_valid_and_carry_eve_names", json_lines_are_valid_and_carry_eve_names),
    ("an_expired_entry_stops_acting_at_its_second", an_expired_entry_stops_acting_at_its_second),
    ("a_tun_device_is_read_without_a_link_header", a_tun_device_is_read),
    ("a_pipe_that_nobody_reads_keeps_nobody_waiting", a_pipe_that_nobody_reads),
    ("without_privilege_there_is_one_clear_line", without_privilege_there_is_one_clear_line),
];

const OPEN: &str = "{}";

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

/// How many packets the flood sends: enough to overrun a small ring for sure.
const FLOOD: usize = 300_000;

/// Sends `FLOOD` datagrams from the peer, 64 at a time, as fast as one core can.
fn flood_from_peer() {
    on_peer(|| {
        let socket = UdpSocket::bind((PEER4, 4000)).expect("a port");
        socket.connect((HOST4, 4001)).expect("connected");
        let payload = [0_u8; 22];
        let mut sent = 0;
        while sent < FLOOD {
            // The port is closed: an ICMP answer now and then is reported as an error of the next send.
            if socket.send(&payload).is_ok() {
                sent += 1;
            }
        }
    });
}

fn lost_in(lines: &[String]) -> usize {
    lines
        .iter()
        .filter(|line| line.contains("[LOST]"))
        .map(|line| {
            let number = line.split(" n=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a LOST line counts");
            number.parse::<usize>().expect("a number")
        })
        .sum()
}

/// Floods, and holds what the log says against what was sent.
fn flood_with_ring(ring: &str) -> usize {
    let world = World::new();
    // No multicast listener messages: only the flood, its answers and ARP.
    sh("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
    sh("ip netns exec peer sh -c 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'");
    let pfw = world.watch(OPEN, ["--ring-size", ring, "--log-max-size", "0"]);
    let (sent_before, answers_before) = (frames_of_peer("tx"), frames_of_peer("rx"));
    let arrived_before = frames_of("ip", "rx");
    flood_from_peer();
    // What is still on the wire has not been seen.
    let arrived = || frames_of("ip", "rx") - arrived_before == frames_of_peer("tx") - sent_before;
    wait_for("the flood to arrive", || arrived().then_some(()));
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    let (sent, answers) = (frames_of_peer("tx") - sent_before, frames_of_peer("rx") - answers_before);
    assert!(sent >= FLOOD, "the flood was sent");
    let lines = world.lines(&[" incoming eth0 "]).len();
    let outgoing = world.lines(&[" outgoing eth0 "]).len();
    let lost = lost_in(&world.log());
    // Incoming and outgoing frames (ICMP answers to the closed port) share the ring: both may be among the lost.
    assert_eq!(lines + outgoing + lost, sent + answers, "{lines} + {outgoing} + {lost}\n{said}");
    lost
}

/// How many frames the peer's interface has sent (`tx`) or received (`rx`).
fn frames_of_peer(side: &str) -> usize {
    frames_of("ip -n peer", side)
}

/// The same for the host that `ip` speaks of.
fn frames_of(ip: &str, side: &str) -> usize {
    let json = sh(&format!("{ip} -s -j link show dev eth0"));
    let links: serde_json::Value = serde_json::from_str(&json).expect("ip prints JSON");
    let value = links.pointer(&format!("/0/stats64/{side}/packets")).and_then(serde_json::Value::as_u64);
    usize::try_from(value.expect("a counter")).expect("small")
}

fn a_flood_is_logged_to_the_packet() {
    flood_with_ring("64M");
}

fn what_a_small_ring_loses_is_said_to_the_packet() {
    flood_with_ring("1M");
}

fn interfaces_come_and_go_and_are_logged() {
    let world = World::new();
    let pfw = world.watch(OPEN, []);
    sh("ip link add late0 type veth peer name late1 && ip addr add 10.78.0.1/24 dev late0");
    expect_lines(&world, 1, &["[PFW]", "late0", "appeared"]);
    sh("ip link set late0 up && ip link set late1 up");
    sh("ip link set late0 down && ip link set late0 name later0 && ip link set later0 up");
    expect_lines(&world, 1, &["[PFW]", "late0", "later0", "renamed"]);
    try_sh("ping -q -c 1 -W 0.3 10.78.0.2");
    wait_for("frames of the renamed interface", || {
        world.log().iter().any(|line| line.contains(" later0 ARP ")).then_some(())
    });
    sh("ip link del later0");
    expect_lines(&world, 1, &["[PFW]", "later0", "vanished"]);
    sh(&format!("ping -q -c 1 {PEER4}"));
    expect_lines(&world, 1, &["outgoing eth0 ICMP", "type=8"]);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

/// Processor time that a process has used, from its stat file.
fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let behind_name = stat.rsplit(')').next().expect("a name in parentheses");
    let field = |n: usize| behind_name.split_whitespace().nth(n).and_then(|f| f.parse::<u64>().ok()).expect("a number");
    // utime and stime, fields 14 and 15 of proc(5), in ticks of 10 ms.
    Duration::from_millis(10 * (field(11) + field(12)))
}

fn an_interface_that_is_down_costs_no_cpu() {
    let world = World::new();
    for source in ["ring", "pnet"] {
        let _ = std::fs::remove_file(world.path("firewall.log"));
        let pfw = world.watch(OPEN, ["-i", "eth0", "--capture", source]);
        sh(&format!("ping -q -c 1 {PEER4}"));
        sh("ip link set eth0 down");
        let before = cpu_time(pfw.pid());
        std::thread::sleep(Duration::from_secs(2));
        let used = cpu_time(pfw.pid()).saturating_sub(before);
        assert!(used < Duration::from_millis(200), "{source}: {used:?} of processor time in 2 s");
        sh("ip link set eth0 up");
        wait_for("frames after the interface is back", || {
            try_sh(&format!("ping -q -c 1 -W 1 {PEER4}"));
            (world.log().iter().filter(|line| line.contains("incoming eth0 ICMP")).count() >= 2).then_some(())
        });
        assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    }
}

fn only_the_chosen_interface_is_watched() {
    let world = World::new();
    let pfw = world.watch(OPEN, ["-i", "eth0"]);
    sh("ping -q -c 2 -i 0.05 127.0.0.1");
    sh(&format!("ping -q -c 2 -i 0.05 {PEER4}"));
    expect_lines(&world, 2, &["outgoing eth0 ICMP", "type=8"]);
    assert!(!world.log().iter().any(|line| line.contains(" lo ")), "{:?}", world.log());
    pfw.stop(libc::SIGTERM);

    let refused = crate::common::run_in(world.folder.path(), ["run", "--monitor-only", "-i", "eth7"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.stderr.contains("eth7") && refused.stderr.contains("eth0"),
        "it says which there are: {}",
        refused.stderr
    );
}

fn a_bridged_packet_is_logged_once() {
    let world = World::new();
    sh(&format!(
        "ip addr flush dev eth0 && ip link add br0 type bridge && ip link set eth0 master br0 \
         && ip addr add {HOST4}/24 dev br0 && ip link set br0 up"
    ));
    let pfw = world.watch(OPEN, []);
    sh(&format!("ping -q -c 3 -i 0.05 {PEER4}"));
    expect_lines(&world, 3, &["outgoing br0 ICMP", "type=8"]);
    expect_lines(&world, 3, &["incoming br0 ICMP", "type=0"]);
    assert!(!world.log().iter().any(|line| line.contains(" eth0 ICMP")), "{:?}", world.log());
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

fn a_full_disk_is_survived() {
    let world = World::new();
    let small = world.path("small");
    std::fs::create_dir(&small).expect("made");
    sh(&format!(
        "mount -t tmpfs -o size=64k tmpfs {} && head -c 40k /dev/zero > {}/ballast",
        small.display(),
        small.display()
    ));
    let mut pfw = world.watch(OPEN, ["--log-file", "small/firewall.log", "-i", "eth0"]);
    sh(&format!("ping -q -c 400 -i 0.002 {PEER4}"));
    pfw.wait_to_say("can't be written");
    std::fs::remove_file(small.join("ballast")).expect("removed");
    let log = small.join("firewall.log");
    wait_for("a LOST line", || read_lines(&log).iter().any(|line| line.contains("[LOST]")).then_some(()));
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    let lines = read_lines(&log);
    assert!(lines.iter().all(|line| line.starts_with("20") && line.contains("] ")), "no torn line");
    let icmp = lines.iter().filter(|line| line.contains(" eth0 ICMP ")).count();
    let others = lines
        .iter()
        .filter(|line| line.contains(" eth0 ") && !line.contains(" ICMP ") && !line.contains("[PFW]"))
        .count();
    let total = icmp + others + lost_in(&lines);
    assert!((800..=860).contains(&total), "{icmp} + {others} + {} lost of 800 and a few ARP frames", lost_in(&lines));
}

fn the_summary_adds_up() {
    let world = World::new();
    let pfw = world.watch(r#"{ "block_protocols": ["icmp"] }"#, ["-i", "eth0"]);
    sh(&format!("ping -q -c 5 -i 0.02 {PEER4}"));
    tcp_echo(&format!("{PEER4}:8080"));
    let start = Instant::now();
    let (code, said) = pfw.stop(libc::SIGINT);
    assert!(start.elapsed() < Duration::from_secs(1), "it ends within a second");
    assert_eq!(code, 0);
    let log = world.log();
    let lines = |word: &str| log.iter().filter(|line| line.contains(word)).count();
    let number = |name: &str| {
        let line = said
            .lines()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap_or_else(|| panic!("no '{name}' in\n{said}"));
        line.split_whitespace()
            .last()
            .and_then(|n| n.parse::<usize>().ok())
            .unwrap_or_else(|| panic!("no number: {line}"))
    };
    assert_eq!(number("allowed"), lines("[ALLOWED]"));
    assert_eq!(number("would-block"), lines("[WOULD-BLOCK]"));
    assert_eq!(number("would-block"), 10);
    assert_eq!(number("packets"), lines("[ALLOWED]") + lines("[WOULD-BLOCK]"));
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

fn a_tun_device_is_read() {
    let world = World::new();
    if !try_sh("ip tuntap add dev tun9 mode tun && ip addr add 10.79.0.1/24 dev tun9 && ip link set tun9 up")
        .status
        .success()
    {
        panic!("this kernel has no tun devices");
    }
    let pfw = world.watch(OPEN, []);
    let tun = attach_tun("tun9");
    // An echo request from 10.79.0.2 to 10.79.0.1, written by hand: the kernel answers through the same device, once
    // that has come up.
    let has = |words: &[&str]| world.log().iter().any(|line| words.iter().all(|word| line.contains(word)));
    wait_for("an answer through the device", || {
        (&tun).write_all(&ECHO_REQUEST).expect("the kernel takes the packet");
        has(&["outgoing tun9 ICMP 10.79.0.1 > 10.79.0.2", "type=0", "rule=reply"]).then_some(())
    });
    assert!(has(&["incoming tun9 ICMP 10.79.0.2 > 10.79.0.1", "type=8"]), "{:?}", world.log());
    pfw.stop(libc::SIGTERM);
}

/// ICMP echo request 10.79.0.2 > 10.79.0.1, both checksums right, without a link header.
const ECHO_REQUEST: [u8; 28] =
    [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0x66, 0x40, 10, 79, 0, 2, 10, 79, 0, 1, 8, 0, 0xf7, 0xfd, 0, 1, 0, 1];

/// Opens the user side of a tun device.
fn attach_tun(name: &str) -> std::fs::File {
    use std::os::fd::AsRawFd;
    let _ = try_sh("mkdir -p /dev/net; test -e /dev/net/tun || mknod /dev/net/tun c 10 200");
    let file = std::fs::File::options().read(true).write(true).open("/dev/net/tun").expect("the tun driver");
    let mut request = [0_u8; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    // struct ifreq: the name, then flags IFF_TUN | IFF_NO_PI (linux/if_tun.h).
    request[16..18].copy_from_slice(&(0x0001_u16 | 0x1000).to_ne_bytes());
    // SAFETY: TUNSETIFF reads a struct ifreq of 40 bytes, which `request` is.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), 0x4004_54ca, request.as_ptr()) };
    assert_eq!(result, 0, "the tun device can be attached: {}", std::io::Error::last_os_error());
    file
}

fn a_pipe_that_nobody_reads() {
    let world = World::new();
    for args in [&["--print"][..], &["--log-file", "-"]] {
        let mut command = crate::common::pfw(["run", "--monitor-only"]);
        command.args(args).current_dir(world.folder.path()).stdout(std::process::Stdio::piped());
        let pfw = crate::common::Running::start(command);
        // 64 KiB fill the pipe; a line has some 150 bytes.
        sh("ping -q -c 1000 -i 0.002 127.0.0.1");
        let start = Instant::now();
        assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
        assert!(start.elapsed() < Duration::from_secs(1), "{args:?}: it took {:?}", start.elapsed());
    }
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
