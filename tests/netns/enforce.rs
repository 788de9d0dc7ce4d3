//! `pfw run` with rules in force: the kernel drops, the log says so, and nothing stays behind.

use crate::Case;
use crate::common::{PATIENCE, Running, pfw, run_in, wait_for};
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh, try_sh};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("a_blocked_ping_is_dropped_and_logged_with_its_rule", a_blocked_ping_is_dropped_and_logged),
    ("each_packet_has_exactly_one_line", each_packet_has_exactly_one_line),
    (
        "what_comes_before_the_rules_are_in_force_is_a_prediction",
        what_comes_before_the_rules_are_in_force_is_a_prediction,
    ),
    ("what_passes_while_the_rules_are_taken_out_is_a_prediction", what_passes_while_the_rules_are_taken_out),
    ("a_reload_changes_the_kernel_and_the_log", a_reload_changes_the_kernel_and_the_log),
    ("nothing_stays_behind_however_it_ends", nothing_stays_behind_however_it_ends),
    ("keep_leaves_the_rules_and_clean_removes_them", keep_leaves_the_rules),
    ("unconfirmed_rules_are_taken_back", unconfirmed_rules_are_taken_back),
    ("a_second_pfw_is_refused_with_the_pid_of_the_first", a_second_pfw_is_refused),
    ("a_deny_default_lets_replies_and_loopback_through", a_deny_default_lets_replies_through),
    ("the_flow_label_of_a_fragment_is_no_port", the_flow_label_of_a_fragment_is_no_port),
];

pub fn enforce<'a>(world: &World, rules: &str, args: impl IntoIterator<Item = &'a str>) -> Running {
    Running::start(command(world, rules, args))
}

/// `pfw run` with these rules.
pub fn command<'a>(world: &World, rules: &str, args: impl IntoIterator<Item = &'a str>) -> Command {
    std::fs::write(world.path("rules.json"), rules).expect("the scratch folder is writable");
    let mut command = pfw(["run", "--config", "rules.json"]);
    command.args(args).current_dir(world.folder.path());
    command
}

pub fn count(world: &World, words: &[&str]) -> usize {
    world.lines(words).len()
}

pub fn wait_for_lines(world: &World, n: usize, words: &[&str]) {
    wait_for(&format!("{n} lines with {words:?}"), || (count(world, words) >= n).then_some(()));
    // What is held back would come now.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(count(world, words), n, "{words:?} in\n{}", world.log().join("\n"));
}

/// Ends pfw, and holds that nothing went otherwise than it had predicted, and that nothing is missing. What it said.
pub fn ends_as_predicted(pfw: Running) -> String {
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    let odd = ["differences", "unaccounted", "lost reports"].into_iter().find(|words| said.contains(words));
    assert_eq!(odd, None, "{said}");
    said
}

pub fn ping(address: &str, n: usize) -> bool {
    try_sh(&format!("ping -q -c {n} -i 0.05 -W 0.5 {address}")).status.success()
}

pub fn saved() -> String {
    // Without comments and the counters of the built-in chains, which rise.
    ["iptables-save", "ip6tables-save"].map(|tool| sh(&format!("{tool} | sed '/^#/d; s/ \\[.*//'"))).concat()
}

fn a_blocked_ping_is_dropped_and_logged() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_protocols": ["ICMP"] }"#, []);
    assert!(!ping(PEER4, 3) && !ping(PEER6, 3), "the kernel drops what goes out");
    assert!(!try_sh(&format!("ip netns exec peer ping -q -c 2 -i 0.05 -W 0.5 {HOST4}")).status.success());
    wait_for_lines(
        &world,
        3,
        &["[BLOCKED] outgoing eth0 ICMP ", &format!("{HOST4} > {PEER4}"), "rule=block_protocols:icmp"],
    );
    wait_for_lines(&world, 3, &["[BLOCKED] outgoing eth0 ICMPv6 ", &format!("{HOST6} > {PEER6} "), "type=128"]);
    wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 ICMP ", &format!("{PEER4} > {HOST4}"), "type=8"]);
    assert_eq!(count(&world, &["[ALLOWED]", "ICMP ", "type=8"]), 0, "{}", world.log().join("\n"));
    let listed = sh("iptables -L PFW-OUT -v -n -x");
    assert!(listed.lines().any(|line| line.contains("DROP") && line.trim_start().starts_with("3 ")), "{listed}");
    let (code, said) = pfw.stop(libc::SIGINT);
    assert_eq!(code, 0, "{said}");
    assert!(ping(PEER4, 1) && ping(PEER6, 1), "after it everything works again");
}

/// Does something while the peer sends to port 9001.
fn while_the_peer_sends<T>(pause: Duration, work: impl FnOnce() -> T) -> T {
    let is_enough = AtomicBool::new(false);
    let sender = on_peer(|| UdpSocket::bind((PEER4, 4000)).expect("a free port"));
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let until = Instant::now() + PATIENCE;
            while !is_enough.load(Ordering::Relaxed) && Instant::now() < until {
                sender.send_to(b"x", (HOST4, 9001)).expect("sent");
                std::thread::sleep(pause);
            }
        });
        let done = work();
        is_enough.store(true, Ordering::Relaxed);
        sending.join().expect("all sent");
        done
    })
}

fn what_comes_before_the_rules_are_in_force_is_a_prediction() {
    let world = World::new();
    let pfw = while_the_peer_sends(Duration::from_millis(1), || {
        let pfw = enforce(&world, r#"{ "block_ports": ["9001/udp"] }"#, []);
        wait_for("a blocked one", || (count(&world, &["[BLOCKED]", ":9001 "]) > 0).then_some(()));
        pfw
    });
    ends_as_predicted(pfw);
    let log = world.log();
    let place = |word: &str| log.iter().position(|line| line.contains(word)).unwrap_or_else(|| panic!("{word}"));
    let loaded = place("[PFW] event=enforcing");
    assert!(log[..loaded].iter().any(|line| line.contains("[WOULD-BLOCK]")), "{}", log.join("\n"));
    assert!(!log[loaded..].iter().any(|line| line.contains("[WOULD-BLOCK]")), "{}", log.join("\n"));
    assert_eq!(count(&world, &["[ALLOWED]", ":9001 "]), 0, "{}", log.join("\n"));
}

fn what_passes_while_the_rules_are_taken_out() {
    let world = World::new();
    let steer = |args: [&str; 2]| assert_eq!(run_in(world.folder.path(), args).code, 0, "{args:?}");
    let wait_for_more = |word: &str| {
        let before = count(&world, &[word, ":9001 "]);
        wait_for(word, || (count(&world, &[word, ":9001 "]) > before).then_some(()));
    };
    while_the_peer_sends(Duration::from_micros(300), || {
        let pfw = enforce(&world, r#"{ "block_ports": ["9001/udp"] }"#, []);
        for _ in 0..3 {
            wait_for_more("[BLOCKED]");
            steer(["pause", "enforcement"]);
            wait_for_more("[WOULD-BLOCK]");
            steer(["resume", "enforcement"]);
        }
        wait_for_more("[BLOCKED]");
        ends_as_predicted(pfw);
    });
    let allowed = world.lines(&["[ALLOWED]", ":9001 "]);
    assert!(allowed.is_empty(), "{}", allowed.join("\n"));
}

/// Datagrams to each port: as many as a receiver's buffer holds.
const EACH: usize = 200;

fn each_packet_has_exactly_one_line() {
    let world = World::new();
    let rules = r#"{ "block_ports": ["9001/udp"], "rules": [{ "id": "no-9002", "action": "block", "protocol": "udp", "dst_port": 9002 }] }"#;
    let pfw = enforce(&world, rules, []);
    let receivers = [9000, 9001, 9002].map(|port| UdpSocket::bind((HOST4, port)).expect("a free port"));
    on_peer(|| {
        let socket = UdpSocket::bind((PEER4, 4000)).expect("a free port");
        for _ in 0..EACH {
            for port in [9000, 9001, 9002] {
                socket.send_to(b"x", (HOST4, port)).expect("sent");
            }
        }
    });
    let outgoing = UdpSocket::bind((HOST4, 4001)).expect("a free port");
    for _ in 0..50 {
        // The kernel says EPERM to who is not let through.
        let _ = outgoing.send_to(b"x", (PEER4, 9001));
        let _ = outgoing.send_to(b"x", (PEER4, 9002));
    }
    wait_for_lines(&world, EACH, &["[ALLOWED] incoming eth0 UDP", ":9000 "]);
    wait_for_lines(&world, EACH, &["[BLOCKED] incoming eth0 UDP", ":9001 ", "rule=block_ports:9001/udp"]);
    wait_for_lines(&world, EACH, &["[BLOCKED] incoming eth0 UDP", ":9002 ", "rule=no-9002"]);
    wait_for_lines(&world, 50, &["[BLOCKED] outgoing eth0 UDP", ":9001 ", "rule=block_ports:9001/udp"]);
    wait_for_lines(&world, 50, &["[BLOCKED] outgoing eth0 UDP", ":9002 ", "rule=no-9002"]);
    assert_eq!(count(&world, &["eth0 UDP", "4000 > "]), 3 * EACH, "one line for each");
    for (socket, expected) in receivers.iter().zip([EACH, 0, 0]) {
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
        let received = std::iter::repeat_with(|| socket.recv(&mut [0; 8])).take_while(Result::is_ok).count();
        assert_eq!(received, expected, "what was logged is what was delivered");
    }
    ends_as_predicted(pfw);
}

fn a_reload_changes_the_kernel_and_the_log() {
    let world = World::new();
    let mut pfw = enforce(&world, "{}", ["--no-watch"]);
    assert!(ping(PEER4, 1));
    std::fs::write(world.path("rules.json"), format!(r#"{{ "block_ips": ["{PEER4}"] }}"#)).expect("written");
    pfw.signal(libc::SIGHUP);
    pfw.wait_to_say("again");
    wait_for("the kernel to have the new rules", || sh("iptables-save").contains(PEER4).then_some(()));
    assert!(!ping(PEER4, 2));
    wait_for_lines(&world, 2, &["[BLOCKED] outgoing eth0 ICMP ", &format!("rule=block_ips:{PEER4}")]);
    std::fs::write(world.path("rules.json"), "{ nonsense").expect("written");
    pfw.signal(libc::SIGHUP);
    pfw.wait_to_say("stay");
    assert!(!ping(PEER4, 1), "a bad file changes nothing");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    assert!(ping(PEER4, 1));
}

fn nothing_stays_behind_however_it_ends() {
    let world = World::new();
    sh(
        "iptables -A INPUT -p tcp --dport 81 -j DROP && ip6tables -A INPUT -p tcp --dport 81 -j DROP && iptables -A FORWARD -j ACCEPT && ip6tables -P OUTPUT ACCEPT",
    );
    let before = saved();
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT, libc::SIGKILL] {
        let pfw = enforce(&world, r#"{ "block_ips": ["192.0.2.0/24"], "default_policy": "deny" }"#, []);
        assert_ne!(saved(), before);
        pfw.stop(signal);
        wait_for(&format!("nothing to be left after signal {signal}"), || (saved() == before).then_some(()));
    }
}

fn keep_leaves_the_rules() {
    let world = World::new();
    sh("iptables -L >/dev/null && ip6tables -L >/dev/null");
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), ["--keep"]);
    let refused = run_in(world.folder.path(), ["clean"]);
    assert_eq!(refused.code, 1, "a pfw lives: {refused:?}");
    let (_, said) = pfw.stop(libc::SIGTERM);
    assert!(said.contains("pfw clean"), "{said}");
    assert!(!ping(PEER4, 1), "the rules are in force");
    // Told where the kernel tells it without a tool.
    let tells = sh("iptables --version").contains("nf_tables");
    let warned = |watching: &Running| {
        let warns = run_in(world.folder.path(), ["status"]).stdout.contains("! rules of a pfw are in force");
        let ready = watching.said.iter().find(|line| line.contains("ready: ")).expect("it is ready");
        assert_eq!(ready.contains("rules of a pfw are in force"), warns, "{ready}");
        assert_eq!(ready.contains("(nothing is blocked)"), !warns, "{ready}");
        let status = run_in(world.folder.path(), ["status"]).stdout;
        assert_eq!(status.lines().next().is_some_and(|line| line.contains("nothing is blocked")), !warns, "{status}");
        warns
    };
    let watching = world.watch("{}", []);
    assert_eq!(warned(&watching), tells);
    let cleaned = run_in(world.folder.path(), ["clean"]);
    assert_eq!(cleaned.code, 0, "{cleaned:?}");
    assert_eq!(watching.stop(libc::SIGTERM).0, 0);
    let watching = world.watch("{}", []);
    assert!(!warned(&watching));
    assert_eq!(watching.stop(libc::SIGTERM).0, 0);
    assert!(ping(PEER4, 1));
    assert!(!saved().contains("PFW"), "{}", saved());
}

fn unconfirmed_rules_are_taken_back() {
    let world = World::new();
    let mut pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), ["--confirm", "2"]);
    assert!(!ping(PEER4, 1));
    pfw.wait_to_say("not confirmed");
    wait_for("the rules to go", || ping(PEER4, 1).then_some(()));
}

fn a_second_pfw_is_refused() {
    let world = World::new();
    let pfw = enforce(&world, "{}", []);
    let second = run_in(world.folder.path(), ["run", "--config", "rules.json", "--log-file", "second.log"]);
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.stderr.contains(&pfw.pid().to_string()), "{second:?}");
    let watching = world.watch("{}", ["--log-file", "watching.log"]);
    assert_eq!(watching.stop(libc::SIGTERM).0, 0, "one that only watches may run beside it");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_deny_default_lets_replies_through() {
    let world = World::new();
    let rules = r#"{ "default_policy": { "in": "deny", "out": "allow" } }"#;
    let pfw = enforce(&world, rules, []);
    let listener = on_peer(|| TcpListener::bind((PEER4, 8080)).expect("a free port"));
    let stream = TcpStream::connect_timeout(&listener.local_addr().expect("bound"), PATIENCE).expect("replies come in");
    drop(stream);
    assert!(ping("127.0.0.1", 1) && ping("::1", 1) && ping(PEER4, 1));
    wait_for("neighbour discovery to have found the peer", || ping(PEER6, 1).then_some(()));
    let closed = TcpListener::bind((HOST4, 8081)).expect("a free port");
    let refused = on_peer(|| {
        TcpStream::connect_timeout(
            &(HOST4.parse::<std::net::IpAddr>().expect("an address"), 8081).into(),
            Duration::from_millis(500),
        )
    });
    assert!(refused.is_err(), "nobody comes in");
    drop(closed);
    wait_for("the blocked SYN", || {
        (count(&world, &["[BLOCKED] incoming eth0 TCP", ":8081 ", "rule=default_policy"]) >= 1).then_some(())
    });
    ends_as_predicted(pfw);
}

/// On loopback rules see the fragments of a datagram. The kernel gives each pair of ports a flow label by chance, which
/// bytes of the header where a port would be are a part of.
fn the_flow_label_of_a_fragment_is_no_port() {
    let world = World::new();
    sh("ip link set lo mtu 1280");
    let rule = r#"{ "id": "high", "action": "block", "interface": "lo", "protocol": "udp", "dst_port": "1024-65535" }"#;
    let pfw = enforce(&world, &format!(r#"{{ "rules": [{rule}] }}"#), []);
    let server = UdpSocket::bind("[::1]:443").expect("a free port");
    server.set_read_timeout(Some(PATIENCE)).expect("a time");
    let mut buffer = [0; 4000];
    for _ in 0..8 {
        let client = UdpSocket::bind("[::1]:0").expect("a free port");
        client.send_to(&[7; 3000], "[::1]:443").expect("sent");
        assert_eq!(server.recv(&mut buffer).expect("all fragments arrive"), 3000);
    }
    // The same rule blocks what it is about.
    let client = UdpSocket::bind("[::1]:0").expect("a free port");
    assert!(client.send_to(&[7; 10], "[::1]:5000").is_err(), "the kernel refuses it");
    wait_for_lines(&world, 1, &["[BLOCKED]", "UDP", "rule=high"]);
    ends_as_predicted(pfw);
}
