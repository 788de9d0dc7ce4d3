//! `pfw run` held to account: who sent what was dropped, which entry hit, what the kernel's counters, its reports and
//! the log say of one another, and why the kernel did otherwise than was predicted.

use crate::Case;
use crate::common::{Running, run_in, wait_for};
use crate::enforce::{count, ends_as_predicted, enforce, wait_for_lines};
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh, try_sh};
use serde_json::Value;
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("a_blocked_line_names_the_user_who_sent_the_packet", a_blocked_line_names_the_user),
    ("a_blocked_line_names_the_entry_of_a_long_list", a_blocked_line_names_the_entry),
    ("a_blocked_line_names_the_id_that_an_entry_of_a_long_list_was_given", a_blocked_line_names_the_given_id),
    ("counters_reports_and_lines_add_up_over_reloads", counters_reports_and_lines_add_up),
    ("those_of_a_rule_that_comes_and_goes_add_up_over_reloads", those_of_a_rule_that_comes_and_goes_add_up),
    ("those_of_a_long_list_add_up_over_reloads", those_of_a_long_list_add_up),
    ("those_of_many_ordered_rules_add_up_over_reloads", those_of_many_rules_add_up),
    ("the_audit_of_a_running_pfw_adds_up_while_packets_are_dropped", the_audit_of_a_running_pfw_adds_up),
    ("without_enforcement_there_is_nothing_to_audit", without_enforcement_there_is_nothing_to_audit),
    ("drops_that_nobody_reported_are_said_at_the_end", drops_that_nobody_reported_are_said),
    ("a_packet_whose_report_was_lost_is_not_said_to_have_passed", a_packet_whose_report_was_lost),
    ("a_connection_that_only_the_kernel_forgot_is_a_time_out", a_forgotten_connection_is_a_time_out),
    ("a_reply_that_is_not_tracked_is_a_difference_of_that_cause", an_untracked_reply_is_told),
    ("a_wrong_checksum_is_told_as_the_cause", a_wrong_checksum_is_told),
    ("a_segment_outside_the_window_is_told_as_the_cause", a_segment_outside_the_window_is_told),
    ("an_invalid_datagram_is_told_as_the_cause", an_invalid_datagram_is_told),
    ("a_full_table_is_said_and_told_as_the_cause", a_full_table_is_told),
];

/// Lets nobody in; replies pass.
const DENY: &str = r#"{ "default_policy": { "in": "deny", "out": "allow" } }"#;

fn a_blocked_line_names_the_user() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_ports": ["9001/udp"] }"#, []);
    let outgoing = UdpSocket::bind((HOST4, 4001)).expect("a free port");
    assert!(outgoing.send_to(b"x", (PEER4, 9001)).is_err(), "the kernel says EPERM");
    wait_for_lines(&world, 1, &["[BLOCKED] outgoing eth0 UDP", " len=29 uid=0 rule=block_ports:9001/udp reason="]);
    // Where the case has only one user, that is all there is to be seen.
    let mut other = Command::new("bash");
    other.args(["-c", &format!("echo x >/dev/udp/{PEER4}/9001")]).uid(1000);
    if other.output().is_ok() {
        wait_for_lines(&world, 1, &["[BLOCKED] outgoing eth0 UDP", " uid=1000 rule="]);
    }
    on_peer(|| UdpSocket::bind((PEER4, 4000)).and_then(|socket| socket.send_to(b"x", (HOST4, 9001))).expect("sent"));
    wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0 UDP"]);
    assert_eq!(count(&world, &["[BLOCKED] incoming", "uid="]), 0, "nobody listens there");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

/// Entries: more than the kernel gets a plain rule for each of, and one that holds the peer.
fn long_list() -> String {
    let others: Vec<_> = (1..40).map(|n| format!("\"198.51.100.{n}\"")).collect();
    format!("{}, \"10.77.0.2/31\"", others.join(", "))
}

fn a_blocked_line_names_the_entry() {
    let world = World::new();
    let pings = || {
        assert!(!try_sh(&format!("ping -q -c 2 -i 0.05 -W 0.3 {PEER4}")).status.success());
        on_peer(|| UdpSocket::bind((PEER4, 4000)).and_then(|socket| socket.send_to(b"x", (HOST4, 9))).expect("sent"));
    };
    let mut pfw = enforce(&world, &format!(r#"{{ "block_ips": [{}] }}"#, long_list()), []);
    assert!(sh("iptables-save").contains("--comment block_ips "), "the list is one rule in the kernel");
    pings();
    let entry = "rule=block_ips:10.77.0.2/31 reason=\"peer 10.77.0.2 is in block_ips (10.77.0.2/31)\"";
    wait_for_lines(&world, 2, &["[BLOCKED] outgoing eth0 ICMP", entry]);
    wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0 UDP", entry]);
    // The same from a file; the last packets of the old rules are told while the new ones are in force.
    let lines: Vec<_> = (1..40).map(|n| format!("198.51.100.{n}\n")).chain(["10.77.0.0/29\n".to_owned()]).collect();
    std::fs::write(world.path("drop.txt"), lines.concat()).expect("written");
    std::fs::write(world.path("rules.json"), r#"{ "block_lists": ["drop.txt"] }"#).expect("written");
    pfw.signal(libc::SIGHUP);
    on_peer(|| {
        let socket = UdpSocket::bind((PEER4, 4002)).expect("a free port");
        let end = Instant::now() + Duration::from_secs(1);
        while Instant::now() < end {
            socket.send_to(b"x", (HOST4, 9)).expect("sent");
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    pfw.wait_to_say("again");
    wait_for("the new rules", || sh("iptables-save").contains("block_lists:drop.txt").then_some(()));
    pings();
    let entry = "rule=block_lists:drop.txt reason=\"peer 10.77.0.2 is in block_lists drop.txt (10.77.0.0/29)\"";
    wait_for_lines(&world, 2, &["[BLOCKED] outgoing eth0 ICMP", entry]);
    let blocked = count(&world, &["[BLOCKED] incoming eth0 UDP", ":4002 "]);
    let told = count(&world, &["[BLOCKED] incoming eth0 UDP", ":4002 ", "reason=\"peer 10.77.0.2 is in block_", "("]);
    assert_eq!(told, blocked, "{}", world.log().join("\n"));
    ends_as_predicted(pfw);
}

fn a_blocked_line_names_the_given_id() {
    let world = World::new();
    let entry = r#"{ "ip": ["10.77.0.0/30", "fd77::2"], "id": "that-one" }"#;
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": [{entry}, {}] }}"#, long_list()), []);
    for (host, peer) in [(HOST4, PEER4), (HOST6, PEER6)] {
        on_peer(|| UdpSocket::bind((peer, 4000)).and_then(|socket| socket.send_to(b"x", (host, 9))).expect("sent"));
    }
    wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 UDP", "rule=that-one "]);
    ends_as_predicted(pfw);
}

/// The number that the summary gives under a name.
fn summary(said: &str, name: &str) -> Option<u64> {
    said.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// Datagrams of a sender, and reloads meanwhile.
pub const FLOOD: u64 = 20_000;
const RELOADS: usize = 10;

fn counters_reports_and_lines_add_up() {
    let rules = [r#"{ "block_ports": ["9001/udp"] }"#, r#"{ "block_ports": ["9001/udp", "9002/udp"] }"#];
    add_up_over_reloads(&rules.map(str::to_owned), "block_ports:9001/udp");
}

/// It is in the kernel ahead of the rest of its rule set, and is put in again with that.
fn those_of_a_rule_that_comes_and_goes_add_up() {
    let world = World::new();
    let rules = [r#"{ "block_ports": ["9001/udp"] }"#, r#"{ "block_ports": ["9001/udp", "9002/udp"] }"#];
    let mut pfw = enforce(&world, rules[0], ["--no-watch"]);
    reload_under_a_flood(&world, &mut pfw, &rules.map(str::to_owned), 9002);
    let lines = |verdict: &str| count(&world, &[verdict, "incoming eth0 UDP", ":9002 "]);
    let all = usize::try_from(FLOOD).expect("a small number");
    wait_for("a line for each", || (lines("[BLOCKED]") + lines("[ALLOWED]") == all).then_some(()));
    let (_, said) = pfw.stop(libc::SIGTERM);
    let (counted, reports) = (summary(&said, "kernel's counters"), summary(&said, "kernel's reports"));
    assert!(reports.is_some_and(|reports| reports == lines("[BLOCKED]") as u64 && reports > 0), "{said}");
    assert!(counted <= reports, "{said}");
    assert!(!said.contains("unaccounted") && !said.contains("differences"), "{said}");
}

/// It acts in the raw table, where old and new rules stand beside each other for a moment.
fn those_of_a_long_list_add_up() {
    let rules = [r#""block_ports": []"#, r#""block_ports": ["9002/udp"]"#];
    let rules = rules.map(|more| format!(r#"{{ "block_ips": [{}], {more} }}"#, long_list()));
    add_up_over_reloads(&rules, "block_ips:10.77.0.2/31");
}

/// They share their reports; which rule it was that dropped a packet, the packet tells.
fn those_of_many_rules_add_up() {
    let rule = |n: u16| format!(r#"{{ "id": "to-{n}", "action": "block", "protocol": "udp", "dst_port": {n} }}"#);
    let rules = [8950..9050, 8900..9100].map(|ports| ports.map(rule).collect::<Vec<_>>().join(",\n"));
    add_up_over_reloads(&rules.map(|rules| format!(r#"{{ "rules": [{rules}] }}"#)), "to-9001");
}

/// All datagrams of a flood are dropped by one rule, and accounted for, while the rules are replaced again and again.
fn add_up_over_reloads(rules: &[String; 2], rule: &str) {
    let world = World::new();
    // Reloads that nobody asked for would come between.
    let mut pfw = enforce(&world, &rules[0], ["--no-watch"]);
    reload_under_a_flood(&world, &mut pfw, rules, 9001);
    let flood = usize::try_from(FLOOD).expect("a small number");
    wait_for_lines(&world, flood, &["[BLOCKED] incoming eth0 UDP", ":9001 ", &format!("rule={rule} ")]);
    let (_, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(summary(&said, "kernel's reports"), Some(FLOOD), "{said}");
    let counted = summary(&said, "kernel's counters").expect("there is such a line");
    // What was dropped between the reading of a counter and its end is told by the reports alone.
    assert!(counted <= FLOOD && counted * 100 >= FLOOD * 80, "{said}");
    assert!(!said.contains("unaccounted") && !said.contains("differences"), "{said}");
}

/// Sends datagrams to a port while one of two rule sets takes the place of the other again and again.
pub fn reload_under_a_flood(world: &World, pfw: &mut Running, rules: &[String; 2], port: u16) {
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            on_peer(|| {
                let socket = UdpSocket::bind((PEER4, 4000)).expect("a free port");
                for n in 0..FLOOD {
                    socket.send_to(b"x", (HOST4, port)).expect("sent");
                    if n % 10 == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        });
        for n in 0..RELOADS {
            std::fs::write(world.path("rules.json"), &rules[(n + 1) % 2]).expect("written");
            pfw.signal(libc::SIGHUP);
            pfw.wait_to_say("again");
        }
        sender.join().expect("all were sent");
    });
}

fn the_audit_of_a_running_pfw_adds_up() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_ports": ["9001/udp"], "block_protocols": ["icmp"] }"#, []);
    let folder = world.folder.path();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            on_peer(|| {
                let socket = UdpSocket::bind((PEER4, 4000)).expect("a free port");
                for n in 0..FLOOD / 4 {
                    socket.send_to(b"x", (HOST4, 9001)).expect("sent");
                    if n % 10 == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            });
        });
        // The counters are read at one moment and the reports of that moment awaited: it adds up under way, too.
        for _ in 0..5 {
            let ran = run_in(folder, ["audit"]);
            assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
            assert!(ran.stdout.contains("reports and the losses add up"), "{ran:?}");
        }
        sender.join().expect("all were sent");
    });
    assert!(!try_sh(&format!("ping -q -c 3 -i 0.05 -W 0.3 {PEER4}")).status.success());
    let ran = run_in(folder, ["audit", "--json"]);
    let audit: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let flood = FLOOD / 4;
    let rule = |id: &str| audit["rules"].as_array().and_then(|rules| rules.iter().find(|rule| rule["id"] == id));
    for (id, n) in [("block_ports:9001/udp", flood), ("block_protocols:icmp", 3)] {
        let account = rule(id).unwrap_or_else(|| panic!("{id} in {audit}"));
        for name in ["dropped", "reported", "logged"] {
            assert_eq!(account[name], n, "{id} {name}: {audit}");
        }
    }
    assert_eq!((&audit["sum"]["dropped"], &audit["unaccounted"]), (&(flood + 3).into(), &0.into()));
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn without_enforcement_there_is_nothing_to_audit() {
    let world = World::new();
    let pfw = world.watch("{}", []);
    let ran = run_in(world.folder.path(), ["audit"]);
    assert!(ran.code == 1 && ran.stderr.starts_with("pfw: no rules are enforced"), "{ran:?}");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn drops_that_nobody_reported_are_said() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_ports": ["9001/udp"] }"#, []);
    // Somebody else turns the rule that reports into one that doesn't, while pfw can't put it back.
    pfw.signal(libc::SIGSTOP);
    let line = sh("iptables -S PFW-IN | grep -n NFLOG | head -1 | cut -d: -f1");
    let place = line.trim().parse::<u32>().expect("a number") - 1;
    sh(&format!("iptables -R PFW-IN {place} -s 192.0.2.1 -j ACCEPT"));
    on_peer(|| {
        let socket = UdpSocket::bind((PEER4, 4000)).expect("a free port");
        for _ in 0..3 {
            socket.send_to(b"x", (HOST4, 9001)).expect("sent");
        }
    });
    pfw.signal(libc::SIGCONT);
    let ran = run_in(world.folder.path(), ["audit"]);
    assert!(ran.code == 1 && ran.stdout.contains("\n3 packets were dropped of which neither"), "{ran:?}");
    let (_, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(summary(&said, "unaccounted drops"), Some(3), "{said}");
}

/// A socket here and one at the peer that have spoken to each other: both remember the connection.
fn acquainted(port: u16) -> (UdpSocket, UdpSocket) {
    let here = UdpSocket::bind((HOST4, 4000)).expect("a free port");
    let there = on_peer(|| UdpSocket::bind((PEER4, port)).expect("a free port"));
    here.send_to(b"x", (PEER4, port)).expect("sent");
    there.recv(&mut [0; 8]).expect("received");
    (here, there)
}

/// The kernel dropped what was predicted to pass: the line follows it and tells both, the difference is told once, and
/// counted under its cause.
fn assert_difference(world: &World, pfw: Running, words: &str, cause: &str, n: usize) {
    let predicted = format!("predicted: allowed by reply ({cause})");
    wait_for_lines(world, n, &["[BLOCKED] incoming eth0", words, "rule=default_policy", &predicted]);
    assert_eq!(count(world, &["[PFW] event=difference", &format!("cause: {cause}")]), 1, "{}", world.log().join("\n"));
    let (_, said) = pfw.stop(libc::SIGTERM);
    let differences: Vec<_> = said.lines().filter(|line| line.starts_with("differences")).collect();
    assert_eq!(differences.len(), 1, "{said}");
    assert!(differences[0].ends_with(&format!("{n}  {cause}")), "{said}");
}

/// pfw gets no processor for so long that the kernel has no room for its reports any more. The tap has room for others.
fn a_packet_whose_report_was_lost() {
    const SENT: u64 = 650_000;
    const AWAKE: u64 = 50_000;
    let world = World::new();
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), ["--log-max-size", "0"]);
    // A build without optimization takes its time for so many.
    let pfw = pfw.with_patience(Duration::from_secs(90));
    pfw.signal(libc::SIGSTOP);
    let send = |packets: u64| {
        on_peer(|| {
            let socket = UdpSocket::bind((PEER4, 4000)).expect("a free port");
            socket.connect((HOST4, 9001)).expect("connected");
            (0..packets).for_each(|_| assert_eq!(socket.send(b"x").expect("sent"), 1));
        });
    };
    send(SENT - AWAKE);
    pfw.signal(libc::SIGCONT);
    // Of these the tap sees many, and of most of them nobody reports.
    send(AWAKE);
    wait_for("the reports that there are", || (!world.lines(&["[BLOCKED]", ":9001 "]).is_empty()).then_some(()));
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    let reports = summary(&said, "kernel's reports").expect("a number");
    assert!(reports < SENT && summary(&said, "kernel's counters") == Some(SENT), "{said}");
    assert_eq!(count(&world, &["[BLOCKED]", ":9001 "]) as u64, reports);
    assert_eq!(count(&world, &["[ALLOWED]", ":9001 "]), 0, "{said}");
    assert!(!said.contains("differences"), "{said}");
    let lost = |line: &String| line.split(" n=").nth(1)?.split(' ').next()?.parse::<u64>().ok();
    let lost: u64 = world.lines(&["[LOST]", "cause=reports-lost"]).iter().filter_map(lost).sum();
    assert_eq!(reports + lost, SENT, "{said}");
}

fn a_forgotten_connection_is_a_time_out() {
    let world = World::new();
    let pfw = enforce(&world, DENY, []);
    sh("echo 1 >/proc/sys/net/netfilter/nf_conntrack_udp_timeout");
    let (_here, there) = acquainted(9000);
    wait_for("the kernel to forget", || (!sh("conntrack -L").contains("dport=9000")).then_some(()));
    there.send_to(b"y", (HOST4, 4000)).expect("sent");
    assert_difference(&world, pfw, ":9000 > 10.77.0.1:4000 ", "time-out", 1);
}

fn an_untracked_reply_is_told() {
    let world = World::new();
    let pfw = enforce(&world, DENY, []);
    sh("iptables -t raw -A PREROUTING -p udp --sport 9000 -j CT --notrack");
    let (_here, there) = acquainted(9000);
    for _ in 0..3 {
        there.send_to(b"y", (HOST4, 4000)).expect("sent");
    }
    assert_difference(&world, pfw, ":9000 > 10.77.0.1:4000 ", "untracked", 3);
}

fn a_wrong_checksum_is_told() {
    let world = World::new();
    let pfw = enforce(&world, DENY, []);
    let (_here, _there) = acquainted(9000);
    on_peer(|| send_raw(17, &udp(9000, 4000, 9, [0x12, 0x34])));
    assert_difference(&world, pfw, ":9000 > 10.77.0.1:4000 ", "checksum", 1);
}

fn an_invalid_datagram_is_told() {
    let world = World::new();
    let pfw = enforce(&world, DENY, []);
    let (_here, _there) = acquainted(9000);
    // It says that it is longer than it is; without a checksum there is none to be wrong.
    on_peer(|| send_raw(17, &udp(9000, 4000, 200, [0, 0])));
    assert_difference(&world, pfw, ":9000 > 10.77.0.1:4000 ", "invalid", 1);
}

fn a_segment_outside_the_window_is_told() {
    let world = World::new();
    let pfw = enforce(&world, DENY, []);
    let listener = on_peer(|| TcpListener::bind((PEER4, 8080)).expect("a free port"));
    let stream = TcpStream::connect((PEER4, 8080)).expect("replies come in");
    let (_accepted, client) = listener.accept().expect("it is there");
    // Beyond what may come; of much older ones the kernel lets some pass.
    let beyond = expected_sequence(&stream).wrapping_add(0x4000_0000);
    on_peer(|| send_raw(6, &tcp(8080, client.port(), beyond)));
    assert_difference(&world, pfw, &format!(":8080 > 10.77.0.1:{} ", client.port()), "window", 1);
    drop(stream);
}

/// The sequence number that a connection expects next (`TCP_REPAIR` of `tcp(7)`).
fn expected_sequence(stream: &TcpStream) -> u32 {
    /// Of an `int`, which all of these are.
    const SIZE: libc::socklen_t = 4;
    let (mut number, mut size) = (0_u32, SIZE);
    let set = |name, value: libc::c_int| {
        // SAFETY: the option's value is an `int` that outlives the call.
        let status =
            unsafe { libc::setsockopt(stream.as_raw_fd(), libc::IPPROTO_TCP, name, (&raw const value).cast(), SIZE) };
        assert_eq!(status, 0, "{}", io::Error::last_os_error());
    };
    let (receive_queue, off_without_probe) = (1, -1);
    set(libc::TCP_REPAIR, 1);
    set(libc::TCP_REPAIR_QUEUE, receive_queue);
    // SAFETY: both places outlive the call, and the size is that of the first.
    let status = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_QUEUE_SEQ,
            (&raw mut number).cast(),
            &raw mut size,
        )
    };
    assert_eq!(status, 0, "{}", io::Error::last_os_error());
    set(libc::TCP_REPAIR, off_without_probe);
    number
}

/// A UDP datagram of one byte.
fn udp(src: u16, dst: u16, len: u16, checksum: [u8; 2]) -> Vec<u8> {
    [&src.to_be_bytes()[..], &dst.to_be_bytes(), &len.to_be_bytes(), &checksum, b"x"].concat()
}

/// A TCP segment without data, with a right checksum, from the peer to the host.
fn tcp(src: u16, dst: u16, sequence: u32) -> Vec<u8> {
    let mut segment = [&src.to_be_bytes()[..], &dst.to_be_bytes(), &sequence.to_be_bytes(), &[0, 0, 0, 1]].concat();
    segment.extend([0x50, 0x10, 0x20, 0, 0, 0, 0, 0]);
    let [peer, host] = [PEER4, HOST4].map(|address| address.parse::<Ipv4Addr>().expect("an address").octets());
    let pseudo = [&peer[..], &host, &[0, 6, 0, 20]].concat();
    let words = [pseudo, segment.clone()].concat();
    let mut sum: u32 = words.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let checksum = !u16::try_from(sum).expect("folded");
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    segment
}

/// Sends an IPv4 packet to the host from where this is called; the kernel makes the IP header.
pub fn send_raw(protocol: i32, payload: &[u8]) {
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the kernel just made it, and nobody else knows it. A UDP socket's type sends on any socket.
    let socket: UdpSocket = unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) };
    assert!(socket.as_raw_fd() >= 0);
    socket.send_to(payload, (HOST4, 0)).expect("sent");
}

/// Connections that are filled into the table at most: what a kernel of this size of machine holds, and some more.
const MOST: u32 = 400_000;

fn a_full_table_is_told() {
    let max: u32 = sh("cat /proc/sys/net/netfilter/nf_conntrack_max").trim().parse().expect("a number");
    // Only the first network namespace of a machine may make it smaller, which would concern others.
    assert!(max < MOST, "the table holds {max} connections: too many to be filled by a test");
    let world = World::new();
    // A second way to the peer, which pfw does not watch: it would only be kept busy.
    sh("ip link add flood0 type veth peer name flood1 netns peer && ip addr add 10.78.0.1/16 dev flood0");
    sh("ip link set flood0 up && ip -n peer link set flood1 up && ip link set flood0 arp off");
    let mut pfw = enforce(&world, DENY, ["-i", "eth0"]);
    let here: Vec<_> = (0..200).map(|n| UdpSocket::bind((HOST4, 5000 + n)).expect("a free port")).collect();
    let there = on_peer(|| UdpSocket::bind((PEER4, 9000)).expect("a free port"));
    for socket in &here {
        socket.send_to(b"x", (PEER4, 9000)).expect("sent");
    }
    let flood = UdpSocket::bind("10.78.0.1:4000").expect("a free port");
    for n in 0..max + max / 2 {
        let [_, _, high, low] = (n % 60_000).to_be_bytes();
        let port = 10_000 + u16::try_from(n / 60_000).expect("a small number");
        // A full queue or table refuses some.
        let _ = flood.send_to(b"x", (Ipv4Addr::new(10, 78, high.max(1), low), port));
    }
    for n in 0..200 {
        there.send_to(b"y", (HOST4, 5000 + n)).expect("sent");
    }
    wait_for("the line about the table", || {
        (count(&world, &["[PFW] event=conntrack-full", "connections given up"]) > 0).then_some(())
    });
    wait_for("a difference", || {
        (count(&world, &["[BLOCKED] incoming eth0 UDP", "allowed by reply (table-full)"]) > 0).then_some(())
    });
    pfw.said.clear();
    let (_, said) = pfw.stop(libc::SIGTERM);
    assert!(summary(&said, "evicted: conntrack").is_some_and(|n| n > 0), "{said}");
    assert!(said.lines().any(|line| line.starts_with("differences") && line.ends_with("  table-full")), "{said}");
}
