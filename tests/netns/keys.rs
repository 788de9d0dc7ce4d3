//! Each key of the rules file: what passes and what does not, by ping, TCP and UDP, out and in, in both families, with
//! both variants of iptables.

use crate::Case;
use crate::common::{Running, wait_for};
use crate::enforce::{count, enforce};
use crate::variant::{BOTH, choose};
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh, try_sh};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("each_key_of_the_rules_file_acts_as_it_says", each_key_acts_as_it_says),
    ("the_classic_exercise_succeeds", the_classic_exercise_succeeds),
];

/// Rules, and what passes with them: ping, TCP to port 80, UDP from port 6000 to port 5000; of each the way out over
/// IPv4 and IPv6, then the way in.
const KEYS: &[(&str, &str)] = &[
    ("{}", "1111 1111 1111"),
    (r#"{ "default_policy": "deny" }"#, "0000 0000 0000"),
    (r#"{ "default_policy": { "in": "deny" } }"#, "1100 1100 1100"),
    (r#"{ "default_policy": { "out": "deny" } }"#, "0011 0011 0011"),
    (r#"{ "block_ips": ["PEER4"] }"#, "0101 0101 0101"),
    (
        r#"{ "block_ips": ["10.77.0.2-10.77.0.9", { "ip": "PEER6", "expires": "2099-01-01T00:00:00Z" }] }"#,
        "0000 0000 0000",
    ),
    (r#"{ "block_ips": [{ "ip": "PEER4", "enabled": false }] }"#, "1111 1111 1111"),
    (r#"{ "block_lists": ["list.txt"] }"#, "1010 1010 1010"),
    (
        r#"{ "allow_ips": ["PEER4"], "block_ips": ["10.77.0.0/24", "fd77::/64"], "block_ports": [80] }"#,
        "1010 1010 1010",
    ),
    (r#"{ "block_ports": [80] }"#, "1111 0000 1111"),
    (r#"{ "block_ports": ["4000-5000/udp"] }"#, "1111 1111 0000"),
    (r#"{ "block_protocols": ["ICMP"] }"#, "0000 1111 1111"),
    (r#"{ "block_protocols": ["icmpv6", "udp"] }"#, "1010 1111 0000"),
    (r#"{ "allow_protocols": ["tcp"] }"#, "0000 1111 0000"),
    (r#"{ "rules": [{ "action": "block", "direction": "in", "protocol": "tcp" }] }"#, "1111 1100 1111"),
    (r#"{ "rules": [{ "action": "reject", "direction": "out", "protocol": "tcp" }] }"#, "1111 0011 1111"),
    (r#"{ "rules": [{ "action": "block", "src": "PEER4" }] }"#, "1101 1101 1101"),
    (
        r#"{ "rules": [{ "action": "block", "dst": "!PEER4", "direction": "out", "protocol": ["udp", "tcp"] }] }"#,
        "1111 1011 1011",
    ),
    (r#"{ "rules": [{ "action": "block", "src_port": 6000 }] }"#, "1111 1111 0000"),
    (r#"{ "sets": { "web": [80, 443] }, "rules": [{ "action": "block", "dst_port": "@web" }] }"#, "1111 0000 1111"),
    (
        r#"{ "sets": { "us": ["HOST4", "HOST6"] }, "rules": [{ "action": "block", "dst": "@us", "protocol": "udp" }] }"#,
        "1111 1111 1100",
    ),
    (r#"{ "rules": [{ "action": "block", "interface": "eth0", "protocol": "udp" }] }"#, "1111 1111 0000"),
    (
        r#"{ "rules": [{ "action": "block", "interface": "eth9" }, { "action": "block", "enabled": false }] }"#,
        "1111 1111 1111",
    ),
    (
        r#"{ "rules": [{ "action": "block", "protocol": "icmp", "icmp_type": "echo-request", "direction": "in" }] }"#,
        "1100 1111 1111",
    ),
    (
        r#"{ "default_policy": "deny", "rules": [{ "action": "allow", "protocol": "icmp", "icmp_type": "echo-request" },
             { "action": "allow", "direction": "out", "dst_port": "80/tcp" }, { "action": "block" }] }"#,
        "1111 1100 0000",
    ),
];

fn with_addresses(rules: &str) -> String {
    let names = [("PEER4", PEER4), ("PEER6", PEER6), ("HOST4", HOST4), ("HOST6", HOST6)];
    names.iter().fold(rules.to_owned(), |rules, (name, address)| rules.replace(name, address))
}

/// The way out, and the way in: who sends, who receives.
const WAYS: [[(&str, &str); 2]; 2] = [[(HOST4, PEER4), (HOST6, PEER6)], [(PEER4, HOST4), (PEER6, HOST6)]];

/// Does `work` where `address` is.
fn at<T: Send>(address: &str, work: impl FnOnce() -> T + Send) -> T {
    if [PEER4, PEER6].contains(&address) { on_peer(work) } else { work() }
}

fn pings(from: &str, to: &str) -> bool {
    let at = if from == HOST4 || from == HOST6 { "" } else { "ip netns exec peer " };
    try_sh(&format!("{at}ping -q -c 1 -W 0.4 {to}")).status.success()
}

fn connects(from: &str, to: &str) -> bool {
    let server = SocketAddr::new(to.parse::<IpAddr>().expect("an address"), 80);
    at(from, || TcpStream::connect_timeout(&server, Duration::from_millis(400)).is_ok())
}

fn delivers(from: &str, to: &str, receiver: &UdpSocket) -> bool {
    receiver.set_read_timeout(Some(Duration::from_millis(400))).expect("set");
    // Blocked in OUTPUT, it is refused at once.
    let _ = at(from, || UdpSocket::bind((from, 6000)).expect("free").send_to(b"x", (to, 5000)));
    receiver.recv(&mut [0; 8]).is_ok()
}

/// The servers of both hosts.
struct Servers {
    _tcp: Vec<TcpListener>,
    udp: Vec<Vec<UdpSocket>>,
}

impl Servers {
    fn new() -> Self {
        let ways = || WAYS.into_iter().flatten().map(|(_, to)| to);
        let tcp = ways().map(|to| at(to, || TcpListener::bind((to, 80)).expect("free"))).collect();
        let bind = |&(_, to): &(&'static str, &'static str)| at(to, || UdpSocket::bind((to, 5000)).expect("free"));
        Self { _tcp: tcp, udp: WAYS.iter().map(|way| way.iter().map(bind).collect()).collect() }
    }

    /// What passes, all tried at once.
    fn passes(&self) -> String {
        let tries: Vec<_> = WAYS.iter().zip(&self.udp).flat_map(|(way, sockets)| way.iter().zip(sockets)).collect();
        let of = |probe: &(dyn Fn(&str, &str, &UdpSocket) -> bool + Sync)| -> String {
            std::thread::scope(|scope| {
                let run = |((from, to), socket): ((&'static str, &'static str), _)| {
                    scope.spawn(move || probe(from, to, socket))
                };
                let threads: Vec<_> = tries.iter().map(|(way, socket)| run((**way, *socket))).collect();
                threads.into_iter().map(|thread| if thread.join().expect("tried") { '1' } else { '0' }).collect()
            })
        };
        [of(&|from, to, _| pings(from, to)), of(&|from, to, _| connects(from, to)), of(&delivers)].join(" ")
    }
}

/// Has other rules read, and waits until they are in force.
fn change(world: &World, pfw: &Running, rules: &str) {
    let loaded = || count(world, &["event=rules-loaded"]);
    let before = loaded();
    std::fs::write(world.path("rules.json"), rules).expect("written");
    pfw.signal(libc::SIGHUP);
    wait_for("the rules to be in force", || (loaded() > before).then_some(()));
}

fn each_key_acts_as_it_says() {
    let world = World::new();
    std::fs::write(world.path("list.txt"), format!("# a list\n{PEER6}\n")).expect("written");
    let servers = Servers::new();
    wait_for("the network", || (servers.passes() == KEYS[0].1).then_some(()));
    for variant in BOTH {
        choose(variant);
        let pfw = enforce(&world, "{}", ["--no-watch"]);
        for (rules, expected) in KEYS {
            change(&world, &pfw, &with_addresses(rules));
            let before = count(&world, &["[BLOCKED]"]);
            assert_eq!(servers.passes(), *expected, "{variant}: {rules}");
            if expected.contains('0') {
                wait_for("the lines of what was blocked", || (count(&world, &["[BLOCKED]"]) > before).then_some(()));
            }
        }
        let (code, said) = pfw.stop(libc::SIGTERM);
        assert_eq!(code, 0, "{said}");
        let otherwise = |line: &String| line.contains("predicted") || line.contains("not dropped by");
        let differences: Vec<_> = world.log().into_iter().filter(otherwise).collect();
        assert!(!said.contains("differences"), "{said}\n{}", differences.join("\n"));
        assert_eq!(servers.passes(), KEYS[0].1);
    }
}

/// A web server for as long as the case lives.
fn serve_web(address: &'static str) {
    let listener = at(address, || TcpListener::bind((address, 80)).expect("free"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        }
    });
}

/// The packets that DROP rules have counted, as `iptables -L -v -n --line-numbers` shows them.
fn dropped() -> u64 {
    let shown = sh("iptables -L -v -n --line-numbers");
    let drops = shown
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.get(3) == Some(&"DROP"));
    drops.map(|words| words[1].parse::<u64>().expect("a number")).sum()
}

fn the_classic_exercise_succeeds() {
    let world = World::new();
    serve_web(PEER4);
    serve_web(HOST4);
    let ping = || try_sh(&format!("ping -c 4 -i 0.2 -W 1 {PEER4}")).status.success();
    let has_curl = try_sh("curl --version").status.success();
    let fetch = |prefix: &str, address: &str| {
        let command = if has_curl {
            format!("{prefix}curl -s -m 1 http://{address}")
        } else {
            format!("{prefix}timeout 1 bash -c 'exec 3<>/dev/tcp/{address}/80'")
        };
        try_sh(&command).status.success()
    };
    for variant in BOTH {
        choose(variant);
        assert!(ping() && fetch("", PEER4) && fetch("ip netns exec peer ", HOST4), "before");
        let pfw = enforce(&world, r#"{ "block_protocols": ["ICMP"], "block_ports": [80] }"#, []);
        let at_first = dropped();
        assert!(!ping(), "ICMP is blocked");
        let then = dropped();
        assert!(then >= at_first + 4, "{at_first} {then}: each echo request is counted");
        assert!(!fetch("", PEER4), "port 80 is blocked");
        assert!(!fetch("ip netns exec peer ", HOST4) && dropped() > then);
        assert!(!try_sh(&format!("ip netns exec peer ping -c 2 -i 0.2 -W 0.5 {HOST4}")).status.success());
        for words in [
            "[BLOCKED] outgoing eth0 ICMP ",
            "[BLOCKED] incoming eth0 ICMP ",
            "[BLOCKED] outgoing eth0 TCP ",
            "[BLOCKED] incoming eth0 TCP ",
        ] {
            wait_for(words, || (count(&world, &[words]) > 0).then_some(()));
        }
        let (code, said) = pfw.stop(libc::SIGINT);
        assert_eq!(code, 0, "{said}");
        assert!(ping() && fetch("", PEER4) && fetch("ip netns exec peer ", HOST4), "all works again");
        assert!(!sh("iptables-save; ip6tables-save; ipset save").to_lowercase().contains("pfw"), "no rule is left");
    }
}
