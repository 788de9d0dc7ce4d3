//! `pfw replay`: captures made here, each line and the summary checked.

use crate::capture::{START, Way, arp, pcap, pcap_of, ping, tcp, tcp6, udp};
use crate::common::{Ran, run_in, write};
use std::path::Path;
use tempfile::{TempDir, tempdir};

/// Replays `frames` under `rules`, `args` added.
fn replay(frames: &[Vec<u8>], rules: &str, args: &[&str]) -> (TempDir, Ran) {
    let folder = tempdir().expect("a scratch folder");
    write(folder.path(), "x.pcap", pcap(frames));
    write(folder.path(), "rules.json", rules);
    let ran =
        run_in(folder.path(), ["replay", "x.pcap", "--config", "rules.json"].into_iter().chain(args.iter().copied()));
    (folder, ran)
}

fn summary(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(ran.stdout.trim()).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
}

#[test]
fn each_line_is_as_the_contract_shows_it() {
    let rules = r#"{ "block_ips": ["192.168.1.7"] }"#;
    let (_folder, ran) = replay(&[tcp(Way::In, 443, 51512, "S")], rules, &["--local", "10.0.0.5"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = ran.stdout.lines().find(|line| line.contains("[WOULD-BLOCK]")).expect("a line");
    assert_eq!(
        line,
        "2026-11-21T19:40:01.000000+00:00 [WOULD-BLOCK] incoming - TCP 192.168.1.7:443 > 10.0.0.5:51512 len=40 flags=S \
         rule=block_ips:192.168.1.7 reason=\"peer 192.168.1.7 is in block_ips\""
    );
}

#[test]
fn the_order_of_decision_shows_in_the_lines() {
    let rules = r#"{
        "default_policy": { "in": "deny", "out": "allow" },
        "allow_ips": [], "block_ports": ["445/tcp"], "block_protocols": ["icmp"],
        "rules": [{ "id": "ssh", "action": "allow", "direction": "in", "protocol": "tcp", "dst_port": 22 }]
    }"#;
    let frames = [
        tcp(Way::In, 40000, 22, "S"),
        tcp(Way::Out, 22, 40000, "SA"),
        tcp(Way::In, 40000, 445, "S"),
        ping(Way::In, true),
        tcp(Way::Out, 50000, 80, "S"),
        tcp(Way::In, 80, 50000, "SA"),
        tcp(Way::In, 40001, 8080, "S"),
        udp(Way::Out, 50001, 53, b"?"),
        udp(Way::In, 53, 50001, b"!"),
        udp(Way::In, 53, 50002, b"!"),
        tcp6(Way::In, 40000, 22, "S"),
        arp(),
    ];
    let (_folder, ran) = replay(&frames, rules, &["--local", "10.0.0.5", "--local", "2001:db8::5"]);
    let expected = [
        ("[ALLOWED] incoming", "rule=ssh"),
        ("[ALLOWED] outgoing", "rule=reply"),
        ("[WOULD-BLOCK] incoming", "rule=block_ports:445/tcp"),
        ("[WOULD-BLOCK] incoming", "rule=block_protocols:icmp"),
        ("[ALLOWED] outgoing", "rule=default_policy"),
        ("[ALLOWED] incoming", "rule=reply"),
        ("[WOULD-BLOCK] incoming", "rule=default_policy"),
        ("[ALLOWED] outgoing", "rule=default_policy"),
        ("[ALLOWED] incoming", "rule=reply"),
        ("[WOULD-BLOCK] incoming", "rule=default_policy"),
        ("[ALLOWED] incoming", "rule=ssh"),
        ("[ALLOWED] incoming", "rule=non-ip"),
    ];
    let lines: Vec<&str> = ran.stdout.lines().filter(|line| !line.contains("[PFW]")).collect();
    assert_eq!(lines.len(), expected.len(), "{}", ran.stdout);
    for (line, (verdict, rule)) in lines.iter().zip(expected) {
        assert!(line.contains(verdict) && line.contains(rule), "{verdict} {rule}: {line}");
    }
}

#[test]
fn the_summary_is_one_line_of_json_that_adds_up() {
    let frames = [tcp(Way::In, 443, 51512, "S"), tcp(Way::Out, 51512, 443, "RA"), arp(), broken_header()];
    let (_folder, ran) =
        replay(&frames, r#"{ "block_ports": ["443/tcp"] }"#, &["--json", "--quiet", "--local", "10.0.0.5"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1, "{ran:?}");
    let summary = summary(&ran);
    assert_eq!(summary["packets"], 4);
    assert_eq!(summary["would_block"], 2);
    assert_eq!(summary["allowed"], 1);
    assert_eq!(summary["malformed"], 1);
    assert_eq!(summary["suspicious"], 1);
    assert_eq!(summary["rules"]["block_ports:443/tcp"], 2);
}

/// An IPv4 header of three words.
fn broken_header() -> Vec<u8> {
    let mut frame = tcp(Way::In, 1, 2, "S");
    frame[14] = 0x43;
    frame
}

#[test]
fn what_is_wrong_with_a_packet_is_named_with_its_numbers() {
    let (_folder, ran) = replay(&[broken_header()], "{}", &["--local", "10.0.0.5"]);
    let line = ran.stdout.lines().find(|line| line.contains("[SUSPICIOUS]")).expect("a line");
    assert!(line.contains("ipv4: header length 3 words, at least 5"), "{line}");
    assert!(!ran.stdout.contains("[ALLOWED]"), "the kernel discards it before any rule: {}", ran.stdout);
}

#[test]
fn what_is_odd_about_a_packet_has_a_line_beside_its_verdict() {
    let frames = [tcp(Way::In, 40000, 22, "SF"), tcp(Way::In, 40000, 0, "S"), tcp(Way::In, 40000, 22, "S")];
    let (_folder, ran) = replay(&frames, "{}", &["--local", "10.0.0.5"]);
    let lines: Vec<&str> = ran.stdout.lines().filter(|line| !line.contains("[PFW]")).collect();
    let expected = [
        "anomaly=tcp.flags_syn_fin severity=medium",
        "[ALLOWED]",
        "anomaly=ip.port_zero severity=low",
        "[ALLOWED]",
        "[ALLOWED]",
    ];
    assert_eq!(lines.len(), expected.len(), "{}", ran.stdout);
    for (line, part) in lines.iter().zip(expected) {
        assert!(line.contains(part), "{part}: {line}");
    }
    let off = r#"{ "detect": { "off": ["ip.port_zero"] } }"#;
    let (_folder, ran) = replay(&frames, off, &["--json", "--quiet", "--local", "10.0.0.5"]);
    let summary = summary(&ran);
    assert_eq!(summary["suspicious"], 1);
    assert_eq!(summary["alerts"], serde_json::json!({ "tcp.flags_syn_fin": 1 }));
}

/// A SYN from 127.0.0.1 to itself, between these stations.
fn to_itself(dst: [u8; 6], src: [u8; 6]) -> Vec<u8> {
    let mut frame = Vec::new();
    let step = etherparse::PacketBuilder::ethernet2(src, dst).ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64);
    step.tcp(40_000, 179, 1, 1024).syn().write(&mut frame, &[]).expect("a vector takes all");
    frame
}

#[test]
fn what_a_tool_has_sent_over_loopback_is_no_forgery_and_what_came_over_a_wire_is() {
    let suspicious = |dst, src| {
        let (_folder, ran) = replay(&[to_itself(dst, src)], "{}", &[]);
        ran.stdout.matches("[SUSPICIOUS]").count()
    };
    assert_eq!(suspicious([0; 6], [0; 6]), 0);
    assert_eq!(suspicious([0xff; 6], [0; 6]), 0, "made by hand, and written to lo");
    assert_eq!(suspicious([2, 0, 0, 0, 0, 5], [0; 6]), 1);
    assert_eq!(suspicious([0xff; 6], [2, 0, 0, 0, 0, 7]), 1);
}

#[test]
fn quiet_prints_the_summary_alone_and_a_log_file_takes_the_lines() {
    let frames = [tcp(Way::In, 443, 51512, "S")];
    let (_folder, ran) = replay(&frames, "{}", &["--quiet"]);
    assert_eq!(ran.stdout, "", "{ran:?}");
    assert!(ran.stderr.contains("packets"), "{ran:?}");
    let (folder, ran) = replay(&frames, "{}", &["--log-file", "out.log"]);
    assert_eq!(ran.stdout, "", "{ran:?}");
    let log = std::fs::read_to_string(folder.path().join("out.log")).expect("a log");
    assert_eq!(log.lines().filter(|line| line.contains("[ALLOWED]")).count(), 1, "{log}");
}

#[test]
fn log_levels_choose_the_lines() {
    let frames = [tcp(Way::In, 443, 51512, "S"), ping(Way::In, true), broken_header()];
    let rules = r#"{ "block_protocols": ["icmp"] }"#;
    for (level, lines) in [("all", 3), ("blocked", 2), ("none", 0)] {
        let (_folder, ran) = replay(&frames, rules, &["--log", level, "--local", "10.0.0.5"]);
        let counted = ran.stdout.lines().filter(|line| !line.contains("[PFW]")).count();
        assert_eq!(counted, lines, "{level}:\n{}", ran.stdout);
    }
}

#[test]
fn the_machine_is_inferred_and_said() {
    let frames = [tcp(Way::Out, 50000, 80, "S"), tcp(Way::In, 80, 50000, "SA"), tcp(Way::Out, 50000, 80, "A")];
    let (_folder, ran) = replay(&frames, "{}", &[]);
    assert!(ran.stderr.contains("10.0.0.5") && ran.stderr.contains("--local"), "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("[ALLOWED]")).collect();
    assert!(
        lines[0].contains("outgoing") && lines[1].contains("incoming") && lines[2].contains("outgoing"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_peer_that_the_rules_name_is_not_taken_for_the_machine() {
    // The peer opens the conversation; which end is the machine, the packets alone do not tell.
    let frames = [tcp(Way::In, 40000, 22, "S"), tcp(Way::Out, 22, 40000, "SA"), tcp(Way::In, 40000, 22, "A")];
    let (_folder, ran) = replay(&frames, r#"{ "block_ips": ["192.168.1.7"] }"#, &["--json", "--quiet"]);
    assert!(ran.stderr.contains("taken for this machine: 10.0.0.5"), "{ran:?}");
    assert_eq!(summary(&ran)["would_block"], 3, "{ran:?}");
}

/// How a frame moved, as a Linux cooked header says it.
const HOST: u8 = 0;
const OUTGOING: u8 = 4;
/// Hardware types of such a header.
const ETHERNET: u16 = 1;
const LOOPBACK: u16 = 772;

/// The frame with a Linux cooked header in place of its Ethernet header.
fn cooked(packet_type: u8, hardware: u16, frame: &[u8]) -> Vec<u8> {
    let [hardware_high, hardware_low] = hardware.to_be_bytes();
    let header = [0, packet_type, hardware_high, hardware_low, 0, 6, 2, 0, 0, 0, 0, 7, 0, 0];
    [&header[..], &frame[12..]].concat()
}

/// The lines of a replay of Linux cooked frames.
fn replay_cooked(frames: Vec<Vec<u8>>, rules: &str) -> Vec<String> {
    let folder = tempdir().expect("a scratch folder");
    let times = (0..).step_by(1000);
    let frames: Vec<_> = frames.into_iter().zip(times).map(|(frame, micros)| (START, micros, frame)).collect();
    write(folder.path(), "x.pcap", pcap_of(113, &frames));
    write(folder.path(), "rules.json", rules);
    let ran = run_in(folder.path(), ["replay", "x.pcap", "--config", "rules.json"]);
    let lines: Vec<_> = ran.stdout.lines().filter(|line| line.contains("rule=")).map(str::to_owned).collect();
    assert_eq!(lines.len(), frames.len(), "{ran:?}");
    lines
}

#[test]
fn what_a_router_forwards_is_neither_its_own_nor_loopback() {
    let ways = [Way::In, Way::Out].into_iter().cycle().take(10);
    let frames = ways.flat_map(|way| {
        let frame = tcp(way, 40000, 22, "A");
        [cooked(HOST, ETHERNET, &frame), cooked(OUTGOING, ETHERNET, &frame)]
    });
    let frames: Vec<_> = frames.collect();
    for line in replay_cooked(frames.clone(), r#"{ "default_policy": "deny" }"#) {
        assert!(line.contains("[ALLOWED] forwarded") && line.contains("rule=forwarded"), "{line}");
    }
    for line in replay_cooked(frames, r#"{ "block_ips": ["10.0.0.5"] }"#) {
        assert!(line.contains("[WOULD-BLOCK] forwarded"), "{line}");
    }
}

#[test]
fn a_cooked_capture_says_which_way_its_packets_went() {
    let frames = vec![
        cooked(OUTGOING, ETHERNET, &tcp(Way::Out, 40000, 22, "S")),
        cooked(HOST, ETHERNET, &tcp(Way::In, 22, 40000, "SA")),
        cooked(HOST, LOOPBACK, &tcp(Way::In, 22, 40000, "S")),
    ];
    let lines = replay_cooked(frames, "{}");
    for (line, expected) in lines.iter().zip(["outgoing", "incoming", "loopback lo"]) {
        assert!(line.contains(&format!("[ALLOWED] {expected} ")), "{expected}: {line}");
    }
}

#[test]
fn what_moves_between_others_is_forwarded_and_each_end_is_judged() {
    let rules = r#"{ "block_ips": ["10.0.0.5"], "default_policy": "deny" }"#;
    let (_folder, ran) = replay(&[tcp(Way::In, 1, 2, "S")], rules, &["--local", "203.0.113.1"]);
    let line = ran.stdout.lines().find(|line| line.contains("rule=")).expect("a line");
    assert!(line.contains("[WOULD-BLOCK] forwarded") && line.contains("rule=block_ips:10.0.0.5"), "{line}");
}

#[test]
fn the_connection_tracker_runs_on_the_captures_clock() {
    let rules = r#"{ "default_policy": "deny", "rules": [{ "action": "allow", "direction": "out" }] }"#;
    let frames = |wait: u32| {
        pcap_of(1, &[(START, 0, udp(Way::Out, 50001, 53, b"?")), (START + wait, 0, udp(Way::In, 53, 50001, b"!"))])
    };
    for (wait, verdict) in [(29, "[ALLOWED] incoming"), (31, "[WOULD-BLOCK] incoming")] {
        let folder = tempdir().expect("a scratch folder");
        write(folder.path(), "x.pcap", frames(wait));
        write(folder.path(), "rules.json", rules);
        let ran = run_in(folder.path(), ["replay", "x.pcap", "--config", "rules.json", "--local", "10.0.0.5"]);
        assert!(ran.stdout.contains(verdict), "after {wait} s:\n{}", ran.stdout);
    }
}

#[test]
fn an_entry_expires_on_the_captures_clock() {
    let rules = r#"{ "block_ips": [{ "ip": "192.168.1.7", "expires": "2026-11-21T19:40:02Z" }] }"#;
    let folder = tempdir().expect("a scratch folder");
    let frame = || tcp(Way::In, 1, 2, "S");
    write(folder.path(), "x.pcap", pcap_of(1, &[(START, 999_999, frame()), (START + 1, 0, frame())]));
    write(folder.path(), "rules.json", rules);
    let ran = run_in(folder.path(), ["replay", "x.pcap", "--config", "rules.json", "--local", "10.0.0.5"]);
    let lines: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("rule=")).collect();
    assert!(lines[0].contains("[WOULD-BLOCK]") && lines[1].contains("[ALLOWED]"), "{}", ran.stdout);
}

#[test]
fn a_damaged_stamp_lets_nothing_expire_for_other_packets() {
    /// 2099-01-01T00:00:00Z
    const DAMAGED: u32 = 4_070_908_800;
    let rules = r#"{ "block_ips": [{ "ip": "192.168.1.7", "expires": "2027-01-01T00:00:00Z" }] }"#;
    let folder = tempdir().expect("a scratch folder");
    let frame = || tcp(Way::In, 1, 2, "S");
    write(folder.path(), "x.pcap", pcap_of(1, &[START, DAMAGED, START + 1].map(|seconds| (seconds, 0, frame()))));
    write(folder.path(), "rules.json", rules);
    let ran = run_in(folder.path(), ["replay", "x.pcap", "--config", "rules.json", "--local", "10.0.0.5"]);
    let lines: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("rule=")).collect();
    for (line, verdict) in lines.iter().zip(["[WOULD-BLOCK]", "[ALLOWED]", "[WOULD-BLOCK]"]) {
        assert!(line.contains(verdict), "{verdict}: {line}");
    }
    assert_eq!(lines.len(), 3, "{}", ran.stdout);
}

#[test]
fn a_frame_too_short_to_say_its_type_has_none() {
    let (_folder, ran) = replay(&[vec![2, 0, 0, 0, 0, 5]], "{}", &["--local", "10.0.0.5"]);
    let line = ran.stdout.lines().find(|line| line.contains("[SUSPICIOUS]")).expect("a line");
    assert!(!line.contains("LLC") && line.contains("ethernet: header of 6 bytes, 14 needed"), "{line}");
}

#[test]
fn a_damaged_file_is_read_up_to_the_damage() {
    let folder = tempdir().expect("a scratch folder");
    let mut file = pcap(&[tcp(Way::In, 1, 2, "S"), tcp(Way::In, 3, 4, "S")]);
    file.truncate(file.len() - 7);
    write(folder.path(), "x.pcap", &file);
    write(folder.path(), "rules.json", "{}");
    let ran = run_in(folder.path(), ["replay", "x.pcap", "--config", "rules.json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(ran.stdout.lines().filter(|line| line.contains("[ALLOWED]")).count(), 1, "{ran:?}");
    assert!(ran.stderr.lines().any(|line| line.starts_with("pfw: x.pcap")), "{ran:?}");
}

#[test]
fn what_is_no_capture_is_refused_clearly() {
    let folder = tempdir().expect("a scratch folder");
    write(folder.path(), "rules.json", "{}");
    write(folder.path(), "text.pcap", "hello, I am a text file and no capture");
    write(folder.path(), "empty.pcap", "");
    for name in ["text.pcap", "empty.pcap", "missing.pcap", "."] {
        let ran = run_in(folder.path(), ["replay", name, "--config", "rules.json"]);
        assert_eq!(ran.code, 1, "{name}: {ran:?}");
        assert!(ran.stderr.lines().any(|line| line.starts_with("pfw: ") && line.contains(name)), "{ran:?}");
    }
}

#[test]
fn standard_input_serves_as_a_capture() {
    let folder = tempdir().expect("a scratch folder");
    let capture = write(folder.path(), "x.pcap", pcap(&[tcp(Way::In, 1, 2, "S")]));
    write(folder.path(), "rules.json", "{}");
    let mut command = crate::common::pfw(["replay", "-", "--config", "rules.json", "--quiet", "--json"]);
    let output =
        command.current_dir(folder.path()).stdin(std::fs::File::open(capture).expect("there")).output().expect("runs");
    let ran = Ran::from(output);
    assert_eq!(summary(&ran)["packets"], 1, "{ran:?}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let frames: Vec<Vec<u8>> =
        (0..500).map(|i| if i % 3 == 0 { ping(Way::In, true) } else { tcp(Way::In, 1000 + i, 80, "S") }).collect();
    let rules = r#"{ "default_policy": "deny" }"#;
    let first = replay(&frames, rules, &[]).1.stdout;
    assert_eq!(first, replay(&frames, rules, &[]).1.stdout);
    assert_eq!(first.lines().count(), 500);
}

#[test]
fn a_reader_that_goes_away_ends_the_replay_quietly() {
    let folder = tempdir().expect("a scratch folder");
    let frames: Vec<Vec<u8>> = (0..20_000).map(|i| tcp(Way::In, i, 80, "S")).collect();
    write(folder.path(), "x.pcap", pcap(&frames));
    write(folder.path(), "rules.json", "{}");
    let shell = format!("{} replay x.pcap --config rules.json | head -n 1", env!("CARGO_BIN_EXE_pfw"));
    let output =
        std::process::Command::new("sh").args(["-c", &shell]).current_dir(folder.path()).output().expect("sh runs");
    let ran = Ran::from(output);
    assert_eq!(ran.stdout.lines().count(), 1);
    assert!(!ran.stderr.contains("panic"), "{ran:?}");
}

#[test]
fn the_example_rules_serve() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules.example.json");
    let folder = tempdir().expect("a scratch folder");
    write(folder.path(), "x.pcap", pcap(&[tcp(Way::In, 1, 22, "S")]));
    let ran = run_in(folder.path(), ["replay", "x.pcap", "--config", example.to_str().expect("text")]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("[ALLOWED]"), "an SSH session of whoever tries it goes on: {}", ran.stdout);
}
