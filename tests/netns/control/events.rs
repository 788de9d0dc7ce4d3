//! Events to subscribe to.

use super::{connect, enforce, line_of, status, steer};
use crate::Case;
use crate::common::wait_for;
use crate::world::{HOST4, PEER4, World, on_peer};
use pfw::control::Answer;
use pfw::control::protocol::read_answer;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("a_subscriber_that_never_reads_costs_the_firewall_nothing", a_subscriber_that_never_reads),
    ("subscribers_get_the_kinds_they_want_whatever_is_logged", subscribers_get_what_they_want),
];

/// Datagrams of the flood, and how many go out before the sender rests.
const FLOOD: usize = 100_000;

fn flood() {
    on_peer(|| {
        let socket = UdpSocket::bind((PEER4, 4000)).expect("a free port");
        for n in 0..FLOOD {
            // Nobody listens there, so that the kernel now and then says so.
            let _ = socket.send_to(b"x", (HOST4, 9));
            if n % 2_000 == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
}

fn subscribe(kinds: &str) -> UnixStream {
    let stream = connect();
    (&stream)
        .write_all(format!("{{\"v\":1,\"request\":{{\"subscribe\":{{\"kinds\":[{kinds}]}}}}}}\n").as_bytes())
        .expect("sent");
    let mut byte = [0];
    let mut line = Vec::new();
    while byte != *b"\n" {
        (&stream).read_exact(&mut byte).expect("an answer");
        line.push(byte[0]);
    }
    assert_eq!(read_answer(&line), Ok(Ok(Answer::Subscribed)));
    // It takes a turn of the thread until the log knows.
    std::thread::sleep(Duration::from_millis(100));
    stream
}

fn a_subscriber_that_never_reads() {
    let world = World::new();
    let rules = r#"{ "block_ports": ["9/udp"] }"#;
    let pfw = enforce(&world, rules, ["--ring-size", "256M"]);
    let deaf = subscribe("\"blocked\",\"lost\"");
    let before = FLOOD.to_string();
    flood();
    wait_for("all to be counted", || {
        let told = status(&world);
        let counts = &told["counts"];
        let (blocked, lost) = (counts["blocked"].as_u64()?, counts["lost_reports"].as_u64()?);
        (blocked + lost >= FLOOD as u64).then_some(())
    });
    let told = status(&world);
    assert_eq!(told["counts"]["lost_log"], 0, "{told}");
    assert_eq!(told["counts"]["blocked"].to_string(), before, "{told}");
    // Now it reads: some events, and how many it has missed.
    let mut reader = BufReader::new(deaf);
    let (mut got, mut missed, mut told_lost) = (0, 0, 0);
    let mut line = String::new();
    while got + missed + told_lost < FLOOD as u64 {
        line.clear();
        reader.read_line(&mut line).expect("more to come");
        let event: Value = serde_json::from_str(&line).expect("JSON");
        match (event["event_type"].as_str(), event["cause"].as_str()) {
            (Some("lost"), Some("not-read")) => missed += event["n"].as_u64().expect("a number"),
            (Some("lost"), _) => told_lost += 1,
            _ => got += u64::from(event["verdict"] == "blocked"),
        }
    }
    assert!(missed > 0 && got > 1_000, "{got} read, {missed} missed");
    assert_eq!(got + missed, FLOOD as u64);
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
}

fn subscribers_get_what_they_want() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_ports": ["9/udp"] }"#, ["--log", "blocked"]);
    let [blocked, allowed] = ["\"blocked\"", "\"allowed\""].map(|kind| BufReader::new(subscribe(kind)));
    let own = subscribe("\"pfw\"");
    on_peer(|| {
        let socket = UdpSocket::bind((PEER4, 4000)).expect("a free port");
        for port in [9, 10, 9] {
            socket.send_to(b"x", (HOST4, port)).expect("sent");
        }
    });
    let events = |reader: BufReader<UnixStream>| {
        reader.lines().map(|line| serde_json::from_str::<Value>(&line.expect("an event")).expect("JSON"))
    };
    for event in events(blocked).take(2) {
        assert_eq!(
            (&event["verdict"], &event["dest_port"], &event["rule"]),
            (&"blocked".into(), &9.into(), &"block_ports:9/udp".into())
        );
    }
    let passed = events(allowed).find(|event| event["dest_port"] == 10).expect("the log leaves it out, not the socket");
    assert_eq!(passed["verdict"], "allowed");
    assert_eq!(steer(&world, ["reload"]).code, 0);
    let event: Value = serde_json::from_slice(&line_of(&own)).expect("JSON");
    assert_eq!(event["event_type"], "pfw");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    assert!(!world.log().iter().any(|line| line.contains("ALLOWED")), "the file has what was asked for");
}
