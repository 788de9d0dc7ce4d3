//! `pfw replay` of a flood from a million forged sources: its memory stays what it was in the midst of it, and who scans
//! slowly among them is found.

use crate::capture::{SynFlood, pcap_of};
use crate::common::pfw;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use tempfile::tempdir;

/// Packets of the flood, and those after which its tables are full.
const FLOOD: u32 = 1_000_000;
const FULL: u32 = 600_000;
/// What the memory may still grow after that, in KiB: buffers, not tables.
const GROWTH: u64 = 2048;

/// The most memory that a process has had so far, in KiB.
fn most_memory(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Sends a part of the flood. What is still in the pipe is little.
fn send(flood: &mut SynFlood, packets: u32, to: &mut ChildStdin) {
    for _ in 0..packets / 1000 {
        to.write_all(&flood.next_thousand()).expect("it reads");
    }
}

#[test]
fn a_million_forged_sources_take_no_memory_and_hide_no_scan() {
    let folder = tempdir().expect("a scratch folder");
    std::fs::write(folder.path().join("rules.json"), "{}").expect("writable");
    let mut command = pfw(["replay", "-", "--config", "rules.json", "--log", "blocked", "--local", "10.0.0.5"]);
    let mut child = command
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the built binary starts");
    let mut input = child.stdin.take().expect("a pipe");
    let mut output = child.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let mut lines = String::new();
        output.read_to_string(&mut lines).map(|_| lines)
    });
    let mut flood = SynFlood::default();
    input.write_all(&pcap_of(1, &[])).expect("it reads");
    send(&mut flood, FULL, &mut input);
    let full = most_memory(&child);
    send(&mut flood, FLOOD - FULL, &mut input);
    let all = most_memory(&child);
    drop(input);
    assert!(child.wait().expect("it ends").success());
    let lines = reader.join().expect("read").expect("text");
    println!("most memory after {FULL} packets: {full} KiB, after {FLOOD}: {all} KiB");
    assert!(all <= full + GROWTH, "{full} KiB became {all} KiB");
    let named: Vec<_> = lines.lines().filter(|line| line.contains(" alert=")).collect();
    let scan = named.iter().find(|line| line.contains("alert=scan.syn")).expect("the scan is named");
    assert!(scan.contains("packets=10 reason=\"192.0.2.7 tried 10 "), "{scan}");
    assert!(named.iter().all(|line| line.contains("reason=\"192.0.2.7 ")), "{named:#?}");
}
