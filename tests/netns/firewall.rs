//! The firewall room against the kernel: what is put in acts, what is taken out leaves nothing, and nothing of others
//! is touched, whatever fails and whoever dies.

use crate::common::wait_for;
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh, try_sh};
use crate::{CASE, Case};
use pfw::firewall::{self, Disturbance, Error, Installed, Options, Plan, Tools, Variant};
use pfw::host::Host;
use pfw::rules::{Origin, Ruleset};
use pfw::time::Timestamp;
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("firewall_leaves_the_tables_as_they_were", leaves_the_tables_as_they_were),
    ("firewall_lists_block_in_both_directions_and_families", lists_block),
    ("firewall_counters_rise_where_users_look", counters_rise),
    ("firewall_a_reject_is_answered", a_reject_is_answered),
    ("firewall_default_deny_keeps_what_a_machine_needs", default_deny_keeps_what_a_machine_needs),
    ("firewall_fragments_are_no_way_around", fragments_are_no_way_around),
    ("firewall_published_ports_are_no_way_around", published_ports_are_no_way_around),
    ("firewall_a_failing_step_leaves_what_was_before", a_failing_step_leaves_what_was_before),
    ("firewall_a_killed_pfw_leaves_nothing", a_killed_pfw_leaves_nothing),
    ("firewall_a_restore_that_outlives_a_killed_pfw_leaves_nothing", a_restore_that_outlives_a_killed_pfw),
    ("firewall_a_kept_installation_stays_until_it_is_cleaned", a_kept_installation_stays),
    ("firewall_there_is_one_in_a_namespace", there_is_one_in_a_namespace),
    ("firewall_chains_of_others_are_never_touched", chains_of_others_are_never_touched),
    ("firewall_a_displaced_jump_is_put_back", a_displaced_jump_is_put_back),
    ("firewall_a_hundred_thousand_networks_are_quick", a_hundred_thousand_networks_are_quick),
    ("firewall_reloads_leak_and_lose_nothing", reloads_leak_and_lose_nothing),
    ("firewall_any_rule_set_is_taken_by_the_kernel", any_rule_set_is_taken),
];

/// What this binary can be told to be beside a case.
pub const ROLES: &[Case] = &[("firewall_holder", holder)];

const BOTH: [Variant; 2] = [Variant::Nft, Variant::Legacy];

fn rules(text: &str) -> Ruleset {
    let read = |_: &Path| Err(ErrorKind::NotFound.into());
    let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
    pfw::rules::parse(text.as_bytes().to_vec(), &origin).unwrap_or_else(|errors| panic!("{errors}")).ruleset
}

/// A plan with a generation of its own.
fn plan(text: &str) -> Plan {
    plan_of(&rules(text))
}

fn plan_of(rules: &Ruleset) -> Plan {
    static GENERATION: AtomicU32 = AtomicU32::new(1);
    let generation = GENERATION.fetch_add(1, Ordering::Relaxed);
    let address = |text: &str| text.parse::<IpAddr>().expect("an address");
    let host = Host { addresses: vec![(address(HOST4), 24), (address(HOST6), 64)], ..Host::default() };
    Plan::new(rules, &host, Options { generation, nflog_group: 77, forwards: firewall::forwards() }, Timestamp::now())
}

fn tools(variant: Variant) -> Tools {
    Tools::find(variant).expect("both variants are installed")
}

fn enforce(variant: Variant, text: &str) -> Installed {
    Installed::start(plan(text), tools(variant)).unwrap_or_else(|error| panic!("{error}"))
}

/// All that a machine has of rules and sets, without times of day, counters, and tables that are as the tools make them.
fn everything() -> String {
    let as_made = |line: &str| line.starts_with(['#', '*']) || line == "COMMIT" || line.contains(" ACCEPT [");
    let without_counters = |line: &str| line.split(" [").next().map_or(String::new(), str::to_owned) + "\n";
    let tools =
        ["iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save", "ip6tables-legacy-save", "ipset save"];
    let all = tools.map(|tool| format!("== {tool}\n{}", sh(tool)));
    all.concat().lines().filter(|line| !as_made(line)).map(without_counters).collect()
}

fn nothing_of_pfw() -> bool {
    !everything().to_lowercase().contains("pfw")
}

/// Rules as Docker and ufw have them, in front and behind, in both variants.
fn rules_of_others() {
    for variant in ["nft", "legacy"] {
        for tool in ["iptables", "ip6tables"] {
            sh(&format!(
                "t={tool}-{variant}; $t -N DOCKER && $t -P FORWARD DROP && $t -A FORWARD -o docker0 -j DOCKER && $t -N ufw-before-input \
                 && $t -A INPUT -j ufw-before-input && $t -A ufw-before-input -i lo -j ACCEPT \
                 && $t -A ufw-before-input -m conntrack --ctstate ESTABLISHED,RELATED -m comment --comment 'a \"b\" c' -j ACCEPT \
                 && $t -A OUTPUT -p tcp --dport 9 -j REJECT && $t -t nat -A POSTROUTING -o docker0 -j MASQUERADE"
            ));
        }
    }
    sh(
        "ipset create theirs hash:ip && ipset add theirs 192.0.2.9 && iptables-nft -A INPUT -m set --match-set theirs src -j DROP",
    );
}

const SOME_OF_EACH: &str = r#"{ "default_policy": "deny", "allow_ips": ["192.0.2.1"], "allow_protocols": ["tcp", "udp", "icmp"],
    "block_ips": ["192.0.2.7", "203.0.113.10-203.0.113.20", "2001:db8:66::/48"], "block_ports": [80, "137-139/udp"],
    "block_protocols": ["sctp"],
    "rules": [{ "id": "ssh", "action": "allow", "direction": "in", "src": ["10.0.0.0/8", "fd00::/8"], "protocol": "tcp", "dst_port": 22 },
              { "id": "c", "action": "reject", "interface": ["!eth7", "!wg+"], "protocol": ["!tcp", "!gre"] },
              { "id": "ping", "action": "allow", "protocol": "icmp", "icmp_type": "!echo-reply" },
              { "id": "lo", "action": "block", "interface": "lo", "protocol": "udp", "dst_port": [1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33] },
              { "id": "many", "action": "block", "src": ["1.0.0.1","1.0.0.3","1.0.0.5","1.0.0.7","1.0.0.9","1.0.0.11","1.0.0.13","1.0.0.15","1.0.0.17"] }] }"#;

fn leaves_the_tables_as_they_were() {
    let _world = world();
    rules_of_others();
    let before = everything();
    for variant in BOTH {
        let installed = enforce(variant, SOME_OF_EACH);
        let tables = everything();
        for chain in ["INPUT", "FORWARD", "OUTPUT"] {
            let word = if variant == Variant::Nft { "nft" } else { "legacy" };
            let first = sh(&format!("iptables-{word} -S {chain} 1")) + &sh(&format!("ip6tables-{word} -S {chain} 1"));
            assert_eq!(first.matches("-m comment --comment \"pfw:jump\" -j PFW-").count(), 2, "{first}");
        }
        for line in before.lines().filter(|line| !line.is_empty()) {
            assert!(tables.contains(line), "{line} is still there");
        }
        assert_eq!(installed.check().expect("readable"), []);
        installed.remove().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(everything(), before);
    }
    drop(enforce(Variant::Usual, SOME_OF_EACH));
    assert_eq!(everything(), before, "dropping removes too");
    assert!(!firewall::clean().expect("it can clean"), "there is nothing to clean");
}

/// The two hosts, once they reach each other.
fn world() -> World {
    let world = World::new();
    wait_for("the network", || [PEER4, PEER6].iter().all(|peer| ping(peer)).then_some(()));
    world
}

/// Whether a ping from the host to `address` is answered.
fn ping(address: &str) -> bool {
    try_sh(&format!("ping -q -c 1 -W 0.3 {address}")).status.success()
}

fn ping_from_peer(address: &str) -> bool {
    try_sh(&format!("ip netns exec peer ping -q -c 1 -W 0.3 {address}")).status.success()
}

/// Whether a TCP connection to `address` opens within some tenths of a second.
fn connects(address: (&str, u16)) -> Result<(), ErrorKind> {
    let address = (address.0.parse::<IpAddr>().expect("an address"), address.1).into();
    TcpStream::connect_timeout(&address, Duration::from_millis(400)).map(drop).map_err(|error| error.kind())
}

/// Whether a datagram sent with `send` arrives at `receiver`.
fn arrives(sender: &UdpSocket, receiver: &UdpSocket) -> bool {
    receiver.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    // Blocked in OUTPUT, it is refused at once.
    let _ = sender.send_to(b"hello", receiver.local_addr().expect("bound"));
    receiver.recv(&mut [0; 8]).is_ok()
}

fn lists_block() {
    let _world = world();
    let ours = [HOST4, HOST6].map(|host| UdpSocket::bind((host, 5000)).expect("free"));
    let theirs = on_peer(|| [PEER4, PEER6].map(|peer| UdpSocket::bind((peer, 5000)).expect("free")));
    let our_servers = [HOST4, HOST6].map(|host| TcpListener::bind((host, 80)).expect("free"));
    let their_servers = on_peer(|| [PEER4, PEER6].map(|peer| TcpListener::bind((peer, 80)).expect("free")));
    // From a port of its own each time, so that no datagram is a reply.
    let fresh = |host: &str| UdpSocket::bind((host, 0)).expect("free");
    let state = || {
        let pings = [ping(PEER4), ping(PEER6), ping_from_peer(HOST4), ping_from_peer(HOST6)];
        let web_out = [connects((PEER4, 80)).is_ok(), connects((PEER6, 80)).is_ok()];
        let web_in = on_peer(|| [connects((HOST4, 80)).is_ok(), connects((HOST6, 80)).is_ok()]);
        let out = [HOST4, HOST6]
            .iter()
            .zip(&theirs)
            .map(|(host, receiver)| arrives(&fresh(host), receiver))
            .collect::<Vec<_>>();
        let senders = on_peer(|| [PEER4, PEER6].map(fresh));
        let incoming =
            senders.iter().zip(&ours).map(|(sender, receiver)| arrives(sender, receiver)).collect::<Vec<_>>();
        (pings == [true; 4], pings == [false; 4], web_out, web_in, [out, incoming].concat())
    };
    let open = (true, false, [true; 2], [true; 2], vec![true; 4]);
    assert_eq!(state(), open);
    for variant in BOTH {
        for (text, expected) in [
            (r#"{ "block_protocols": ["ICMP"] }"#.to_owned(), (false, true, [true; 2], [true; 2], vec![true; 4])),
            (r#"{ "block_ports": [80] }"#.to_owned(), (true, false, [false; 2], [false; 2], vec![true; 4])),
            (r#"{ "block_ports": ["4999-5001/udp"] }"#.to_owned(), (true, false, [true; 2], [true; 2], vec![false; 4])),
            (format!(r#"{{ "block_ips": ["{PEER4}", "{PEER6}"] }}"#), (false, true, [false; 2], [false; 2], vec![false; 4])),
            (format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), (false, false, [false, true], [false, true], vec![false, true, false, true])),
            (
                format!(r#"{{ "allow_ips": ["{PEER4}"], "block_ips": ["10.0.0.0/8", "fd77::/64"], "block_ports": [80] }}"#),
                (false, false, [true, false], [true, false], vec![true, false, true, false]),
            ),
            (
                r#"{ "rules": [{ "action": "block", "direction": "in", "protocol": "tcp" }, { "action": "block", "direction": "out", "protocol": "udp" }] }"#.to_owned(),
                (true, false, [true; 2], [false; 2], vec![false, false, true, true]),
            ),
            (r#"{ "default_policy": { "in": "deny" } }"#.to_owned(), (false, false, [true; 2], [false; 2], vec![true, true, false, false])),
        ] {
            let installed = enforce(variant, &text);
            let found = state();
            assert_eq!(found, expected, "{variant:?} {text}");
            installed.remove().unwrap_or_else(|error| panic!("{error}"));
        }
    }
    assert_eq!(state(), open);
    drop((our_servers, their_servers));
}

fn counters_rise() {
    let _world = world();
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        let installed =
            enforce(variant, &format!(r#"{{ "block_ips": ["192.0.2.1", "{PEER4}"], "block_ports": [81] }}"#));
        for _ in 0..3 {
            assert!(!ping(PEER4));
        }
        assert!(!ping_from_peer(HOST4));
        let shown = sh(&format!("iptables-{word} -L -v -n --line-numbers"));
        let drops: Vec<_> = shown.lines().filter(|line| line.contains("DROP") && line.contains(PEER4)).collect();
        assert!(drops.iter().any(|line| line.split_whitespace().nth(1) == Some("3")), "{shown}");
        let counters = installed.counters().expect("readable");
        let of =
            |id: &str| counters[installed.plan().rules().iter().position(|rule| &*rule.id == id).expect("planned")];
        assert_eq!(of(&format!("block_ips:{PEER4}")).packets, 4);
        assert_eq!(of("block_ips:192.0.2.1").packets, 0);
        drop(installed);
    }
}

fn a_reject_is_answered() {
    let _world = world();
    let server = TcpListener::bind((HOST4, 113)).expect("free");
    let text = r#"{ "default_policy": "deny", "block_protocols": ["icmp"],
        "rules": [{ "id": "in", "action": "reject", "direction": "in", "dst_port": 113 },
                  { "id": "out", "action": "reject", "direction": "out", "dst_port": 114 }] }"#;
    for variant in BOTH {
        let installed = enforce(variant, text);
        for host in [HOST4, HOST6] {
            assert_eq!(on_peer(|| connects((host, 113))), Err(ErrorKind::ConnectionRefused), "{variant:?} {host}");
            assert_eq!(on_peer(|| connects((host, 115))), Err(ErrorKind::TimedOut));
            let refused = on_peer(|| {
                let socket = UdpSocket::bind(if host == HOST4 { "0.0.0.0:0" } else { "[::]:0" }).expect("free");
                socket.connect((host, 113)).expect("connected");
                socket.set_read_timeout(Some(Duration::from_millis(400))).expect("set");
                socket.send(b"x").expect("sent");
                socket.recv(&mut [0; 8]).map_err(|error| error.kind())
            });
            assert_eq!(refused, Err(ErrorKind::ConnectionRefused), "{variant:?} {host}");
        }
        for peer in [PEER4, PEER6] {
            assert_eq!(connects((peer, 114)), Err(ErrorKind::ConnectionRefused), "{variant:?} {peer}");
        }
        drop(installed);
    }
    drop(server);
}

fn default_deny_keeps_what_a_machine_needs() {
    let _world = world();
    let multicast = UdpSocket::bind("[::]:5353").expect("free");
    let index = sh("ip -o link show dev eth0").split(':').next().and_then(|n| n.parse().ok()).expect("a number");
    let group = "ff02::fb".parse().expect("a group");
    multicast.join_multicast_v6(&group, index).expect("joined");
    multicast.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    let server = TcpListener::bind("127.0.0.1:7000").expect("free");
    for variant in BOTH {
        let out = enforce(variant, r#"{ "default_policy": { "in": "deny", "out": "allow" } }"#);
        sh("ip -6 neigh flush dev eth0; ip neigh flush dev eth0");
        assert!(ping(PEER4) && ping(PEER6), "{variant:?}: replies and neighbour discovery pass");
        assert!(!ping_from_peer(HOST4) && !ping_from_peer(HOST6));
        assert_eq!(connects(("127.0.0.1", 7000)), Ok(()));
        multicast.send_to(b"hi", std::net::SocketAddrV6::new(group, 5353, 0, index)).expect("sent");
        assert_eq!(multicast.recv(&mut [0; 8]).expect("a copy for ourselves"), 2, "{variant:?}");
        drop(out);
        let both = enforce(variant, r#"{ "default_policy": "deny" }"#);
        assert!(!ping(PEER4) && !ping(PEER6));
        assert!(ping("127.0.0.1") && ping("::1") && ping(HOST4) && ping(HOST6));
        drop(both);
        let lo = enforce(
            variant,
            r#"{ "rules": [{ "action": "block", "protocol": "tcp" }, { "id": "lo", "action": "block", "interface": "lo", "protocol": "udp" }] }"#,
        );
        assert_eq!(connects(("127.0.0.1", 7000)), Ok(()), "a rule that doesn't name loopback does not act there");
        let local = UdpSocket::bind("127.0.0.1:0").expect("free");
        assert!(!arrives(&UdpSocket::bind("127.0.0.1:0").expect("free"), &local));
        drop(lo);
        let listed = enforce(variant, r#"{ "block_ports": [7000] }"#);
        assert!(connects(("127.0.0.1", 7000)).is_err(), "lists are absolute");
        drop(listed);
    }
    drop(server);
}

fn fragments_are_no_way_around() {
    let _world = world();
    for variant in BOTH {
        for (host, any) in [(HOST4, "0.0.0.0:0"), (HOST6, "[::]:0")] {
            let receiver = UdpSocket::bind((host, 5000)).expect("free");
            receiver.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
            let send = || {
                on_peer(|| UdpSocket::bind(any).expect("free").send_to(&[7; 5000], (host, 5000)).expect("sent"));
                receiver.recv(&mut [0; 6000]).is_ok()
            };
            assert!(send());
            let installed = enforce(variant, r#"{ "block_ports": ["5000/udp"] }"#);
            assert!(!send(), "{variant:?} {host}");
            let counted: u64 = installed.counters().expect("readable").iter().map(|counter| counter.packets).sum();
            assert_eq!(counted, 1, "{variant:?} {host}: the datagram is whole when it is judged");
            assert!(!sh("iptables-save; iptables-legacy-save").contains("conntrack"));
            drop(installed);
        }
    }
}

/// Peer - host - inner, where the host publishes port 8080 as the inner one's 80, and hides the inner one.
fn container_network() {
    sh(
        "ip netns add inner && ip link add in0 type veth peer name eth0 netns inner && ip addr add 10.88.0.1/24 dev in0 && ip link set in0 up \
        && ip -n inner link set lo up && ip -n inner addr add 10.88.0.2/24 dev eth0 && ip -n inner link set eth0 up \
        && ip -n inner route add default via 10.88.0.1 && echo 1 >/proc/sys/net/ipv4/ip_forward",
    );
}

fn publish(variant: &str) {
    sh(&format!(
        "t=iptables-{variant}; $t -t nat -A PREROUTING -p tcp -d {HOST4} --dport 8080 -j DNAT --to-destination 10.88.0.2:80 \
         && $t -t nat -A POSTROUTING -o eth0 -s 10.88.0.0/24 -j MASQUERADE"
    ));
}

fn published_ports_are_no_way_around() {
    let _world = world();
    container_network();
    let server = std::thread::spawn(|| {
        let namespace = std::fs::File::open("/run/netns/inner").expect("there");
        // SAFETY: setns moves this thread alone; the descriptor is open for the call.
        assert_eq!(unsafe { libc::setns(std::os::fd::AsRawFd::as_raw_fd(&namespace), libc::CLONE_NEWNET) }, 0);
        TcpListener::bind("10.88.0.2:80").expect("free")
    });
    let server = server.join().expect("it listens");
    let theirs = on_peer(|| TcpListener::bind((PEER4, 81)).expect("free"));
    let published = || on_peer(|| connects((HOST4, 8080)).is_ok());
    let outgoing =
        || try_sh(&format!("ip netns exec inner timeout 0.4 bash -c 'exec 3<>/dev/tcp/{PEER4}/81'")).status.success();
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        publish(word);
        assert!(published() && outgoing(), "{word}");
        for (text, published_passes, outgoing_passes) in [
            (r#"{ "block_ports": [8080] }"#.to_owned(), false, true),
            (r#"{ "block_ports": [80] }"#.to_owned(), false, true),
            (r#"{ "block_ports": ["81/tcp"] }"#.to_owned(), true, false),
            (format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), false, false),
            (r#"{ "block_ips": ["10.88.0.2"] }"#.to_owned(), false, false),
            (format!(r#"{{ "block_ips": ["{HOST4}"] }}"#), false, false),
            (format!(r#"{{ "allow_ips": ["{PEER4}"], "block_ips": ["10.77.0.0/24"] }}"#), false, false),
            (format!(r#"{{ "allow_ips": ["{PEER4}", "{HOST4}"], "block_ips": ["10.77.0.0/24"] }}"#), true, true),
            (r#"{ "block_protocols": ["tcp"] }"#.to_owned(), false, false),
            (r#"{ "default_policy": "deny", "rules": [{ "action": "block" }] }"#.to_owned(), true, true),
        ] {
            let installed = enforce(variant, &text);
            assert_eq!((published(), outgoing()), (published_passes, outgoing_passes), "{word} {text}");
            installed.remove().unwrap_or_else(|error| panic!("{error}"));
        }
        sh(&format!("iptables-{word} -t nat -F"));
    }
    drop((server, theirs));
}

/// Puts a script in the place of the tools: it counts calls, and where a call's number is that in `/run/fail` it does
/// what `/run/how` says before, or instead of, the real thing.
fn sabotage() {
    sh(r#"mkdir -p /run/real && for tool in xtables-nft-multi xtables-legacy-multi ipset; do
        real=$(readlink -f /usr/sbin/$tool) && cp $real /run/real/$tool; done
        for family in iptables ip6tables; do for verb in restore save; do
            ln -s xtables-nft-multi /run/real/$family-nft-$verb; ln -s xtables-legacy-multi /run/real/$family-legacy-$verb
            real=$(basename $(readlink -f /usr/sbin/$family-$verb)); ln -s $real /run/real/$family-$verb; done; done
        cat >/run/script <<'END'
#!/bin/sh
n=$(cat /run/calls); n=$((n + 1)); echo $n >/run/calls
if [ "$n" = "$(cat /run/fail)" ]; then . /run/how; fi
exec /run/real/$(basename $0) "$@"
END
        chmod 755 /run/script; echo 0 >/run/calls; echo 0 >/run/fail
        for tool in xtables-nft-multi xtables-legacy-multi ipset; do mount --bind /run/script $(readlink -f /usr/sbin/$tool); done"#);
}

fn fail_at(call: u32, how: &str) {
    std::fs::write("/run/calls", "0\n").expect("written");
    std::fs::write("/run/how", how).expect("written");
    std::fs::write("/run/fail", format!("{call}\n")).expect("written");
}

fn calls() -> u32 {
    std::fs::read_to_string("/run/calls").expect("readable").trim().parse().expect("a number")
}

const FIRST: &str = r#"{ "block_ips": ["1.0.0.1","1.0.0.3","1.0.0.5","1.0.0.7","1.0.0.9","1.0.0.11","1.0.0.13","1.0.0.15","1.0.0.17","1.0.0.19","1.0.0.21",
    "1.0.0.23","1.0.0.25","1.0.0.27","1.0.0.29","1.0.0.31","1.0.0.33"], "block_ports": [81] }"#;
const SECOND: &str = r#"{ "block_ips": ["2.0.0.1","2.0.0.3","2.0.0.5","2.0.0.7","2.0.0.9","2.0.0.11","2.0.0.13","2.0.0.15","2.0.0.17","2.0.0.19","2.0.0.21",
    "2.0.0.23","2.0.0.25","2.0.0.27","2.0.0.29","2.0.0.31","2.0.0.33"], "default_policy": "deny" }"#;

/// What was done in spite of a failure is complete, but perhaps for an old set.
fn complete(installed: &Installed) {
    let found = installed.check().expect("readable");
    assert!(found.iter().all(|one| matches!(one, Disturbance::Set { .. })), "{found:?}");
    installed.repair().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(installed.check().expect("readable"), []);
}

fn a_failing_step_leaves_what_was_before() {
    let _world = world();
    rules_of_others();
    sabotage();
    let clean = everything();
    let all_tools = BOTH.map(tools);
    // What a program may do wrong: refuse, die, do its work and then die.
    let ways = ["echo nonsense >&2; exit 2", "kill -9 $$", "/run/real/$(basename $0) \"$@\"; exit 1"];
    for (variant, tools) in BOTH.into_iter().zip(all_tools) {
        for how in ways {
            let mut failures = 0;
            for call in 1.. {
                fail_at(call, how);
                match Installed::start(plan(FIRST), tools.clone()) {
                    Ok(installed) => {
                        let made = calls();
                        fail_at(0, "");
                        complete(&installed);
                        drop(installed);
                        if made < call {
                            break;
                        }
                    }
                    Err(error) => {
                        failures += 1;
                        fail_at(0, "");
                        assert_eq!(everything(), clean, "{variant:?}, call {call} of the start, {how}: {error}");
                        assert!(matches!(error, Error::Command(_)), "{error}");
                    }
                }
            }
            assert!(failures >= 9, "{failures}");
        }
        let mut installed = enforce(variant, FIRST);
        for how in ways {
            let mut replaced = false;
            for call in 1..40 {
                let before = everything();
                fail_at(call, how);
                let result = installed.replace(plan(SECOND));
                let made = calls();
                fail_at(0, "");
                if let Err(error) = result {
                    assert_eq!(everything(), before, "{variant:?}, call {call} of the reload, {how}: {error}");
                } else {
                    complete(&installed);
                    if made < call {
                        replaced = true;
                        break;
                    }
                }
            }
            assert!(replaced);
            installed.replace(plan(FIRST)).unwrap_or_else(|error| panic!("{error}"));
        }
        drop(installed);
        assert_eq!(everything(), clean);
    }
}

/// Puts a plan in force, says so, and then replaces it again and again.
fn holder() {
    let variant = if std::env::var("PFW_TEST_VARIANT").is_ok_and(|word| word == "legacy") {
        Variant::Legacy
    } else {
        Variant::Nft
    };
    let mut installed = enforce(variant, FIRST);
    println!("held");
    loop {
        for text in [SECOND, FIRST] {
            installed.replace(plan(text)).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

fn start_holder(variant: &str) -> Child {
    let this = std::env::current_exe().expect("known");
    Command::new(this)
        .env(CASE, "firewall_holder")
        .env("PFW_TEST_VARIANT", variant)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// Waits until nothing is left, and that it stays so; how long it took.
fn time_to_clean() -> Duration {
    let start = Instant::now();
    while !nothing_of_pfw() {
        assert!(start.elapsed() < Duration::from_secs(5), "left behind:\n{}", everything());
        std::thread::sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

fn a_killed_pfw_leaves_nothing() {
    let _world = world();
    rules_of_others();
    let clean = everything();
    let kills = std::env::var("PFW_KILLS").map_or(20, |kills| kills.parse().expect("a number"));
    let mut slowest = Duration::ZERO;
    for round in 0_u64..kills {
        let mut pfw = start_holder(if round % 2 == 0 { "nft" } else { "legacy" });
        // Spread over start and reloads.
        std::thread::sleep(Duration::from_millis(round * 37 % 300));
        pfw.kill().expect("killed");
        pfw.wait().expect("gone");
        slowest = slowest.max(time_to_clean());
        std::thread::sleep(Duration::from_millis(if round % 5 == 0 { 300 } else { 0 }));
        assert_eq!(everything(), clean, "round {round}");
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

fn a_restore_that_outlives_a_killed_pfw() {
    let _world = world();
    sabotage();
    for (variant, word) in [("nft", "nft"), ("legacy", "legacy")] {
        // The restores of a start: sets, then validation and change of each family. Whichever it is, it is held up.
        for call in 1..=14 {
            fail_at(call, "/bin/touch /run/waiting; /bin/sleep 0.6");
            let _ = std::fs::remove_file("/run/waiting");
            let mut pfw = start_holder(variant);
            let start = Instant::now();
            while !Path::new("/run/waiting").exists() {
                assert!(start.elapsed() < Duration::from_secs(10), "call {call} is made");
                std::thread::sleep(Duration::from_millis(2));
            }
            pfw.kill().expect("killed");
            pfw.wait().expect("gone");
            // The guardian waits for the sleeper, which then does its work; a second later all is clean.
            std::thread::sleep(Duration::from_millis(1600));
            assert!(nothing_of_pfw(), "{word}, call {call}:\n{}", everything());
        }
    }
}

fn a_kept_installation_stays() {
    let _world = world();
    for variant in BOTH {
        enforce(variant, FIRST).keep().expect("kept");
        assert!(!nothing_of_pfw());
        assert!(firewall::clean().expect("it can clean"));
        assert!(nothing_of_pfw(), "{}", everything());
        enforce(variant, FIRST).keep().expect("kept");
        let installed = enforce(variant, SECOND);
        assert_eq!(installed.check().expect("readable"), [], "the next start takes over");
        drop(installed);
        assert!(nothing_of_pfw(), "{}", everything());
    }
}

fn there_is_one_in_a_namespace() {
    let _world = world();
    let installed = enforce(Variant::Nft, FIRST);
    let before = everything();
    let own = Some(std::process::id());
    let second = Installed::start(plan(SECOND), tools(Variant::Nft)).expect_err("one is enough");
    assert!(matches!(second, Error::Locked { pid } if pid == own), "{second}");
    let clean = firewall::clean().expect_err("not while one lives");
    assert!(clean.to_string().contains(&format!("process {}", std::process::id())), "{clean}");
    assert_eq!(everything(), before);
    drop(installed);
    drop(enforce(Variant::Nft, SECOND));
    assert_eq!(sh("stat -c %a /run/pfw").trim(), "750");
}

fn chains_of_others_are_never_touched() {
    let _world = world();
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        for filled in [true, false] {
            sh(&format!("ip6tables-{word} -N PFW-OUT"));
            if filled {
                sh(&format!("ip6tables-{word} -A PFW-OUT -p tcp --dport 1 -j ACCEPT"));
            }
            let before = everything();
            let error = Installed::start(plan(FIRST), tools(variant)).expect_err("the name is taken");
            assert!(error.to_string().contains("PFW-OUT"), "{error}");
            assert!(!firewall::clean().expect("nothing of ours"));
            assert_eq!(everything(), before);
            sh(&format!("ip6tables-{word} -F PFW-OUT; ip6tables-{word} -X PFW-OUT"));
        }
    }
}

fn a_displaced_jump_is_put_back() {
    let _world = world();
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        let installed = enforce(variant, FIRST);
        sh(&format!("iptables-{word} -I INPUT 1 -p tcp --dport 7 -j ACCEPT"));
        let found = installed.check().expect("readable");
        assert!(matches!(&found[..], [Disturbance::Displaced { by, .. }] if by.contains("--dport 7")), "{found:?}");
        installed.repair().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(installed.check().expect("readable"), []);
        assert!(sh(&format!("iptables-{word} -S INPUT 2")).contains("--dport 7"), "theirs is still there");
        sh(&format!("iptables-{word} -F; ip6tables-{word} -F; ip6tables-{word} -X"));
        assert!(installed.check().expect("readable").len() >= 2);
        installed.repair().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(installed.check().expect("readable"), []);
        sh(&format!("iptables-{word} -F"));
        installed.remove().unwrap_or_else(|error| panic!("{error}"));
        assert!(nothing_of_pfw(), "{}", everything());
    }
}

fn a_hundred_thousand_networks_are_quick() {
    let _world = world();
    let networks = (0..100_000_u32).map(|n| {
        let first = 0x0b00_0000 + n * 512;
        pfw::rules::address::AddressRange::V4 { first: first.into(), last: (first + 255).into() }
    });
    let list = pfw::rules::BlockList {
        id: "block_lists:big".into(),
        path: "big".into(),
        networks: networks.collect(),
        expires: None,
        enabled: true,
        comment: None,
        offset: 0,
    };
    let rules = Ruleset { block_lists: vec![list], ..Ruleset::default() };
    for variant in BOTH {
        let start = Instant::now();
        let plan = plan_of(&rules);
        let planned = start.elapsed();
        let installed = Installed::start(plan, tools(variant)).unwrap_or_else(|error| panic!("{error}"));
        let started = start.elapsed();
        sh("ip addr add 11.0.2.5/32 dev lo");
        sh(
            "ip -n peer route replace 11.0.0.0/8 via 10.77.0.1; ip -n peer addr add 11.0.0.9/32 dev lo; ip route replace 11.0.0.9/32 via 10.77.0.2",
        );
        assert!(!ping("11.0.0.9"), "in the list");
        assert!(ping(PEER4));
        let removing = Instant::now();
        installed.remove().unwrap_or_else(|error| panic!("{error}"));
        assert!(ping("11.0.0.9"));
        println!("{variant:?}: planned in {planned:?}, in force after {started:?}, gone in {:?}", removing.elapsed());
        assert!(started < Duration::from_secs(4), "{started:?}");
        sh("ip addr del 11.0.2.5/32 dev lo");
    }
}

fn reloads_leak_and_lose_nothing() {
    let _world = world();
    let reloads = std::env::var("PFW_RELOADS").map_or(30, |reloads| reloads.parse().expect("a number"));
    let blocked = UdpSocket::bind((HOST4, 5001)).expect("free");
    let passing = UdpSocket::bind((HOST4, 5002)).expect("free");
    blocked.set_nonblocking(true).expect("set");
    passing.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    let others: Vec<_> = (0..20).map(|n| format!("\"1.2.{n}.0/24\"")).collect();
    let texts = [
        r#"{ "block_ports": ["5001/udp"], "block_ips": ["192.0.2.1"] }"#.to_owned(),
        format!(
            r#"{{ "rules": [{{ "action": "block", "protocol": "udp", "dst_port": 5001 }}], "block_ips": [{}] }}"#,
            others.join(",")
        ),
    ];
    for variant in BOTH {
        let mut installed = enforce(variant, &texts[0]);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| {
                on_peer(|| {
                    let socket = UdpSocket::bind((PEER4, 0)).expect("free");
                    let mut sent = 0_u32;
                    while !stop.load(Ordering::Relaxed) {
                        socket.send_to(&sent.to_be_bytes(), (HOST4, 5001)).expect("sent");
                        socket.send_to(&sent.to_be_bytes(), (HOST4, 5002)).expect("sent");
                        sent += 1;
                        std::thread::sleep(Duration::from_micros(20));
                    }
                    sent
                })
            });
            let receiver = scope.spawn(|| {
                let mut received = 0_u32;
                loop {
                    if passing.recv(&mut [0; 8]).is_ok() {
                        received += 1;
                    } else if stop.load(Ordering::Relaxed) {
                        return received;
                    }
                }
            });
            for reload in 0..reloads {
                installed.replace(plan(&texts[(reload + 1) % 2])).unwrap_or_else(|error| panic!("{error}"));
            }
            stop.store(true, Ordering::Relaxed);
            let sent = sender.join().expect("it sent");
            assert_eq!(receiver.join().expect("it received"), sent, "{variant:?}: nothing is lost");
            assert!(sent > 1000, "{sent}");
        });
        assert!(blocked.recv(&mut [0; 8]).is_err(), "{variant:?}: nothing leaks");
        drop(installed);
    }
}

/// A small generator of numbers, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("fits") % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn some(&mut self, from: &[&str]) -> String {
        let count = 1 + self.below(4);
        let values: Vec<_> = (0..count).map(|_| format!("{}\"{}\"", "", self.pick(from))).collect();
        format!("[{}]", values.join(","))
    }
}

fn any_rule_set_is_taken() {
    let _world = world();
    let mut numbers = Numbers(1);
    let v4 = ["1.2.3.4", "!1.2.3.5", "10.0.0.0/8", "!10.1.0.0/16", "1.0.0.1-1.0.0.9", "0.0.0.0/1"];
    let v6 = ["2001:db8::1", "!2001:db8::2", "fd00::/8", "2001:db8::5-2001:db8::99"];
    let ports = ["80", "!81", "100-200/udp", "0-65535", "!443/tcp", "1-1023"];
    let protocols = ["tcp", "udp", "icmp", "!icmp", "!tcp", "gre", "!udp", "esp", "igmp"];
    let types = ["echo-request", "!echo-reply", "3/4", "255", "!255", "destination-unreachable"];
    let interfaces = ["eth0", "!eth1", "wg+", "lo", "!lo", "we;$(x)"];
    let actions = ["allow", "block", "reject"];
    let rounds = std::env::var("PFW_ROUNDS").map_or(40, |rounds| rounds.parse().expect("a number"));
    let mut taken = 0;
    for round in 0..rounds {
        let mut rules = Vec::new();
        for id in 0..1 + numbers.below(12) {
            let mut rule = format!(r#"{{ "id": "r{id}", "action": "{}""#, numbers.pick(&actions));
            let addresses = if numbers.below(2) == 0 { &v4[..] } else { &v6[..] };
            for (key, from) in [("src", addresses), ("dst", addresses), ("interface", &interfaces)] {
                if numbers.below(3) == 0 {
                    rule += &format!(r#", "{key}": {}"#, numbers.some(from));
                }
            }
            match numbers.below(4) {
                0 => rule += &format!(r#", "dst_port": {}"#, numbers.some(&ports)),
                1 => {
                    rule += &format!(r#", "src_port": {}, "dst_port": {}"#, numbers.some(&ports), numbers.some(&ports))
                }
                2 => rule += &format!(r#", "protocol": {}"#, numbers.some(&protocols)),
                _ => rule += &format!(r#", "icmp_type": {}"#, numbers.some(&types)),
            }
            if numbers.below(2) == 0 {
                rule += &format!(r#", "direction": "{}""#, numbers.pick(&["in", "out"]));
            }
            rules.push(rule + " }");
        }
        let text = format!(
            r#"{{ "default_policy": "{}", "block_ips": {}, "block_ports": {}, "block_protocols": {}, "allow_ips": {}, "rules": [{}] }}"#,
            numbers.pick(&["allow", "deny"]),
            numbers.some(&v4),
            numbers.some(&ports),
            numbers.some(&protocols),
            numbers.some(&v6),
            rules.join(",\n")
        );
        let read = |_: &Path| Err(ErrorKind::NotFound.into());
        let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
        // Some of what is made up here is no valid file.
        let Ok(loaded) = pfw::rules::parse(text.into_bytes(), &origin) else { continue };
        taken += 1;
        let variant = BOTH[round % 2];
        let installed = Installed::start(plan_of(&loaded.ruleset), tools(variant))
            .unwrap_or_else(|error| panic!("{error}\n{}", loaded.text));
        assert_eq!(installed.check().expect("readable"), []);
        installed.remove().unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(taken * 4 > rounds, "{taken} of {rounds} were valid");
    assert!(nothing_of_pfw());
}
