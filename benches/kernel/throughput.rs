//! TCP through the veth pair, with pfw beside it and without, by iperf3.

use crate::world::{HOST4, World, sh};
use crate::{Size, median, networks, start};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The goal: this share of the throughput without pfw.
const SHARE: f64 = 0.9;
/// Rules, as a server may have them.
const RULES: u32 = 50;
/// The congestion control that Linux has by default. BBR, which some machines have instead, sends by the clock: what comes of
/// it between two processors is how soon they wake each other, and both wait a fifth of the time.
const CONGESTION_CONTROL: &str = "cubic";

/// All of it.
pub fn all(world: &World, size: Size) {
    std::fs::write(world.path("bulk.txt"), networks(size.networks)).expect("written");
    let rule = |n: u32| format!(r#"{{ "action": "block", "direction": "in", "protocol": "tcp", "dst_port": {n} }}"#);
    let rules: Vec<_> = (1..=RULES).map(rule).collect();
    let rules = format!(r#"{{ "block_lists": ["bulk.txt"], "rules": [{}] }}"#, rules.join(","));
    let (mut theirs, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..size.throughputs {
        let without = bits_per_second(size);
        let running = start(world, &rules, &[]);
        let with = bits_per_second(size);
        let (code, said) = running.stop(libc::SIGTERM);
        assert_eq!(code, 0, "{said}");
        theirs.push(without);
        ours.push(with);
        ratios.push(with / without);
    }
    println!(
        "| TCP with {RULES} rules and {} networks, each packet a line | without pfw, {SHARE} of it | {:.1} to {:.1} Gbit/s | {:.2} |",
        size.networks,
        median(&mut ours) / 1e9,
        median(&mut theirs) / 1e9,
        median(&mut ratios)
    );
}

fn bits_per_second(size: Size) -> f64 {
    let mut server = Command::new("iperf3");
    server.args(["-s", "-1", "-B", HOST4]).stdout(Stdio::null());
    let mut server = server.spawn().expect("iperf3 is installed");
    let begin = Instant::now();
    while !sh("ss -Hltn 'sport = :5201'").contains(HOST4) {
        assert!(begin.elapsed() < crate::PATIENCE, "iperf3 listens");
        std::thread::sleep(Duration::from_millis(10));
    }
    let text =
        sh(&format!("ip netns exec peer iperf3 -c {HOST4} -C {CONGESTION_CONTROL} -t {} -J", size.stream.as_secs()));
    server.wait().expect("it ends after one client");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    report["end"]["sum_received"]["bits_per_second"].as_f64().expect("a number")
}
