//! What rests for a time, and what is blocked beyond the rules.

use super::{enforce, ping, status, steer};
use crate::Case;
use crate::common::wait_for;
use crate::world::{HOST4, PEER4, PEER6, World, on_peer, sh};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("a_pause_of_enforcement_takes_the_rules_out_and_puts_them_back", a_pause_of_enforcement),
    ("a_pause_of_monitoring_keeps_the_lines_of_what_is_blocked", a_pause_of_monitoring),
    ("a_panic_blocks_all_but_loopback_and_ends", a_panic_blocks_all_but_loopback),
    ("who_ends_pfw_during_a_panic_is_told_what_becomes_of_it", who_ends_pfw_is_told_of_the_panic),
    ("a_pfw_that_only_watches_has_no_enforcement_to_pause", a_watching_pfw_has_none_to_pause),
];

fn fine<'a>(world: &World, args: impl IntoIterator<Item = &'a str>) -> String {
    let ran = steer(world, args);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    ran.stdout
}

fn lines(world: &World, words: &[&str]) -> usize {
    world.lines(words).len()
}

fn wait_for_line(world: &World, words: &[&str]) {
    wait_for(&words.join(" "), || (lines(world, words) > 0).then_some(()));
}

fn a_pause_of_enforcement() {
    let world = World::new();
    let tables = || [sh("iptables-save"), sh("ip6tables-save"), sh("ipset save")].concat();
    let rules = |text: &str| text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}"], "default_policy": "deny" }}"#), []);
    assert!(!ping(PEER4));
    fine(&world, ["pause", "enforcement"]);
    assert!(!rules(&tables()).contains("PFW"), "{}", tables());
    assert!(ping(PEER4));
    wait_for("the peer's address to be known", || ping(PEER6).then_some(()));
    // Those that came in between go by the rules that the kernel had.
    wait_for("the line of a packet that would be blocked", || {
        assert!(ping(PEER4));
        (lines(&world, &["[WOULD-BLOCK]", PEER4]) > 0).then_some(())
    });
    wait_for_line(&world, &["[PFW] event=enforcement-paused"]);
    assert!(!status(&world)["regime"]["enforcement_paused"].is_null());
    assert!(steer(&world, ["status"]).stdout.starts_with("pfw 0.1.0 is paused: nothing is blocked\n"));
    // A change that is made meanwhile acts when the pause is over.
    let ran = steer(&world, ["block", "192.0.2.1"]);
    assert!(ran.code == 0 && ran.stderr.contains("enforcement is paused: this acts when it goes on"), "{ran:?}");
    assert!(ping(PEER4) && !sh("iptables-save").contains("PFW"));
    fine(&world, ["resume", "enforcement"]);
    assert!(sh("iptables-save").contains("192.0.2.1"), "{}", sh("iptables-save"));
    assert!(!ping(PEER4), "{}", sh("iptables-save -c"));
    wait_for_line(&world, &["[PFW] event=enforcement-resumed"]);
    fine(&world, ["pause", "enforcement", "--for", "1s"]);
    wait_for("the end of the pause", || (!ping(PEER4)).then_some(()));
    assert!(status(&world)["regime"]["enforcement_paused"].is_null());
    assert_eq!(steer(&world, ["resume", "enforcement"]).code, 1);
    // The kernel did what was predicted, all the time.
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert!(code == 0 && !said.contains("differences") && !said.contains("unaccounted"), "{said}");
}

fn a_pause_of_monitoring() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_ports": ["9001/udp"] }"#, []);
    let send = |port: u16| {
        on_peer(|| {
            let socket = std::net::UdpSocket::bind((PEER4, 4000)).expect("a free port");
            socket.send_to(b"x", (HOST4, port)).expect("sent");
        });
    };
    send(9000);
    wait_for_line(&world, &["[ALLOWED] incoming eth0 UDP", ":9000 "]);
    fine(&world, ["pause", "monitoring"]);
    wait_for_line(&world, &["[PFW] event=monitoring-paused"]);
    let before = status(&world)["counts"]["allowed"].as_u64().expect("a number");
    send(9002);
    send(9001);
    wait_for_line(&world, &["[BLOCKED] incoming eth0 UDP", ":9001 "]);
    wait_for("the counters", || (status(&world)["counts"]["allowed"].as_u64() > Some(before)).then_some(()));
    assert_eq!(lines(&world, &["[ALLOWED]", ":9002 "]), 0);
    fine(&world, ["resume", "monitoring"]);
    wait_for_line(&world, &["[PFW] event=monitoring-resumed"]);
    send(9003);
    wait_for_line(&world, &["[ALLOWED]", ":9003 "]);
    assert_eq!(lines(&world, &["[ALLOWED]", ":9002 "]), 0);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn who_ends_pfw_is_told_of_the_panic() {
    let world = World::new();
    for (args, words, stays) in [
        (&["--yes"][..], "the panic ends with pfw\n", false),
        (&["--yes", "--keep"], "the panic stays in force without pfw: 'pfw clean' ends it\n", true),
    ] {
        let pfw = enforce(&world, "{}", args.iter().copied());
        fine(&world, ["panic"]);
        let ran = steer(&world, ["stop"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, words));
        assert_eq!(pfw.end().0, 0);
        assert_eq!(!ping(PEER4), stays);
    }
    sh(&format!("{} clean", env!("CARGO_BIN_EXE_pfw")));
    assert!(ping(PEER4));
}

fn a_panic_blocks_all_but_loopback() {
    let world = World::new();
    let pfw = enforce(&world, &format!(r#"{{ "allow_ips": ["{PEER4}"] }}"#), []);
    let listener = TcpListener::bind((HOST4, 8080)).expect("a free port");
    let mut there = on_peer(|| TcpStream::connect((HOST4, 8080)).expect("connected"));
    let (mut here, _) = listener.accept().expect("it is there");
    fine(&world, ["panic", "--force"]);
    for peer in [PEER4, PEER6] {
        assert!(!ping(peer), "{peer}, whatever the rules allow");
    }
    for own in ["127.0.0.1", "::1", HOST4] {
        assert!(ping(own), "{own}");
    }
    there.write_all(b"x").expect("handed to the kernel");
    here.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    assert!(here.read(&mut [0]).is_err(), "an open connection is cut");
    assert!(steer(&world, ["status"]).stdout.contains("blocking all but loopback"), "the control path is local");
    wait_for_line(&world, &["[BLOCKED]", "rule=panic"]);
    // Neither does a change of the rules, which says when it acts.
    let ran = steer(&world, ["allow", PEER6]);
    assert!(ran.code == 0 && ran.stderr.contains("a panic is on: this acts when that has ended"), "{ran:?}");
    assert!(!ping(PEER6) && steer(&world, ["status"]).stdout.contains("(that of the panic in their place"), "{ran:?}");
    // A pause does not end it.
    let said = fine(&world, ["pause", "enforcement"]);
    assert!(said.contains("the panic goes on: all but loopback is blocked") && !said.contains("nothing"), "{said}");
    let text = steer(&world, ["status"]).stdout;
    assert!(text.contains("! enforcement is paused: nothing is blocked once the panic ends"), "{text}");
    assert!(!ping(PEER4));
    assert!(fine(&world, ["resume", "enforcement"]).contains("when the panic ends"));
    assert!(!ping(PEER4));
    fine(&world, ["resume", "panic"]);
    assert!(ping(PEER4) && ping(PEER6));
    fine(&world, ["panic", "--for", "1s", "--force"]);
    assert!(!ping(PEER4));
    wait_for("the end of the panic", || ping(PEER4).then_some(()));
    wait_for_line(&world, &["[PFW] event=panic-ended"]);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_watching_pfw_has_none_to_pause() {
    let world = World::new();
    let pfw = world.watch("{}", []);
    for args in [&["pause", "enforcement"][..], &["panic"], &["resume", "enforcement"]] {
        assert_eq!(steer(&world, args.iter().copied()).code, 1, "{args:?}");
    }
    fine(&world, ["block", "192.0.2.1"]);
    assert!(std::fs::read_to_string(world.path("rules.json")).expect("there").contains("192.0.2.1"));
    fine(&world, ["pause", "monitoring"]);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}
