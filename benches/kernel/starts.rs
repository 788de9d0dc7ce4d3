//! How long it takes until rules are in force, against what the tools need for as much.

use crate::world::{World, sh};
use crate::{Size, median, networks, start};
use std::fmt::Write;
use std::time::Instant;

/// Rounds: none takes less than a tenth of a second, and the longest some.
const ROUNDS: usize = 5;

/// All comparisons.
pub fn all(world: &World, size: Size) {
    // Each entry of the tools' own benchmark is one of ours.
    for count in [size.networks, size.many_networks] {
        let list = networks(count);
        let mut bare =
            format!("create bare hash:net family inet hashsize {} maxelem {count}\n", count.next_power_of_two());
        for network in list.lines() {
            let _ = writeln!(bare, "add bare {network}");
        }
        std::fs::write(world.path("bulk.txt"), list).expect("written");
        let rules = r#"{ "block_lists": ["bulk.txt"] }"#;
        compare(
            world,
            size,
            &format!("{count} networks in force"),
            rules,
            ("ipset restore", &bare, "ipset destroy bare"),
        );
    }
    let (mut rules, mut bare) = (Vec::new(), String::from("*filter\n"));
    for n in 0..size.rules {
        let (address, port) = (std::net::Ipv4Addr::from(0x0a00_0000 + n), 1 + n % 60_000);
        rules.push(format!(
            r#"{{ "action": "block", "direction": "in", "protocol": "tcp", "src": "{address}", "dst_port": {port} }}"#
        ));
        let _ = writeln!(bare, "-A INPUT -s {address} -p tcp -m tcp --dport {port} -j DROP");
    }
    bare.push_str("COMMIT\n");
    let text = format!(r#"{{ "rules": [{}] }}"#, rules.join(",\n"));
    let name = format!("{} ordered rules in force", size.rules);
    compare(world, size, &name, &text, ("iptables-restore", &bare, "iptables -F INPUT"));
    let small = format!(
        r#"{{ "block_ips": ["192.0.2.1"], "block_ports": [23], "default_policy": {{ "in": "deny" }}, "rules": [{}] }}"#,
        rules[..20].join(",")
    );
    let mut times: Vec<_> = (0..rounds(size)).map(|_| until_ready(world, &small)).collect();
    let time = median(&mut times) * 1000.0;
    println!("| 20 ordered rules and three lists in force | 200 ms | {time:.0} ms | {:.2} |", time / 200.0);
}

fn rounds(size: Size) -> usize {
    size.rounds.min(ROUNDS)
}

fn compare(world: &World, size: Size, what: &str, rules: &str, (tool, input, undo): (&str, &str, &str)) {
    let path = world.path("input");
    std::fs::write(&path, input).expect("written");
    let (mut theirs, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds(size) {
        let begin = Instant::now();
        sh(&format!("{tool} < {}", path.display()));
        theirs.push(begin.elapsed().as_secs_f64());
        sh(undo);
        ours.push(until_ready(world, rules));
        ratios.push(ours[ours.len() - 1] / theirs[theirs.len() - 1]);
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    println!("| {what} | {tool} | {ours:.2} s to {theirs:.2} s | {:.2} |", median(&mut ratios));
}

/// Seconds from the process's start to its ready line.
fn until_ready(world: &World, rules: &str) -> f64 {
    let begin = Instant::now();
    let running = start(world, rules, &["--log", "blocked"]);
    let took = begin.elapsed().as_secs_f64();
    let (code, said) = running.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    took
}
