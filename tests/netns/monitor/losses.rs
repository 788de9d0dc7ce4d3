//! What is lost is counted and said, and nothing is lost that need not be.

use super::{OPEN, tcp_echo};
use crate::Case;
use crate::common::wait_for;
use crate::world::{HOST4, PEER4, World, on_peer, read_lines, sh};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("a_flood_is_logged_to_the_packet", a_flood_is_logged_to_the_packet),
    ("what_a_small_ring_loses_is_said_to_the_packet", what_a_small_ring_loses_is_said_to_the_packet),
    ("a_full_disk_is_survived_and_what_is_missing_is_said", a_full_disk_is_survived),
    ("the_summary_adds_up", the_summary_adds_up),
    ("a_pipe_that_nobody_reads_keeps_nobody_waiting", a_pipe_that_nobody_reads),
];

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
    // No multicast listener messages, and no neighbour is probed again while pfw ends: only the flood, its answers and one
    // exchange of ARP.
    for host in ["", "ip netns exec peer "] {
        sh(&format!(
            "{host}sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv4.neigh.eth0.delay_first_probe_time=600"
        ));
    }
    let pfw = world.watch(OPEN, ["--ring-size", ring, "--log-max-size", "0"]);
    let (sent_before, answers_before) = (frames_of_peer("tx"), frames_of_peer("rx"));
    let arrived_before = frames_of("ip", "rx");
    flood_from_peer();
    // What is still on the wire has not been seen.
    let arrived = || frames_of("ip", "rx") - arrived_before == frames_of_peer("tx") - sent_before;
    wait_for("the flood to arrive", || (arrived() && is_nothing_queued()).then_some(()));
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

/// Whether no processor has frames left that came through an interface and were not looked at yet, by pfw either: their
/// number is the twelfth column of each processor's row.
fn is_nothing_queued() -> bool {
    let queues = std::fs::read_to_string("/proc/net/softnet_stat").expect("Linux has it");
    queues.lines().all(|row| row.split(' ').nth(11).expect("there since Linux 5.10") == "00000000")
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
