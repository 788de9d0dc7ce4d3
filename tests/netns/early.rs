//! `pfw run` with long lists: what the raw table drops has one line, as what any other table drops.

use crate::Case;
use crate::audit::{FLOOD, reload_under_a_flood};
use crate::common::{Running, pfw, wait_for};
use crate::enforce::{ends_as_predicted, enforce, wait_for_lines};
use crate::firewall::long_list;
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh, try_sh};
use std::net::UdpSocket;

pub const CASES: &[Case] = &[
    ("a_long_lists_peer_has_one_line_for_each_packet", a_long_lists_peer_has_one_line),
    ("a_fragmented_datagram_of_a_long_lists_peer_has_one_line", a_fragmented_datagram_has_one_line),
    ("what_a_long_list_stops_on_its_way_through_is_forwarded", what_is_stopped_on_its_way_is_forwarded),
    ("a_long_list_is_gone_however_it_ends", a_long_list_is_gone_however_it_ends),
    ("without_a_log_the_kernel_counts", without_a_log_the_kernel_counts),
    ("without_a_log_nothing_is_miscounted_while_a_long_list_is_replaced", nothing_is_miscounted),
];

fn send_from_peer(any: &str, to: &str, datagrams: usize, length: usize) {
    on_peer(|| {
        let socket = UdpSocket::bind((any, 4000)).expect("a free port");
        for _ in 0..datagrams {
            socket.send_to(&vec![7; length], (to, 5000)).expect("sent");
        }
    });
}

fn a_long_lists_peer_has_one_line() {
    let world = World::new();
    std::fs::write(world.path("bulk.txt"), long_list(&[PEER4, PEER6]).replace(['"', ','], "\n")).expect("written");
    let pfw = enforce(&world, r#"{ "block_lists": ["bulk.txt"] }"#, []);
    for (any, host, peer) in [("0.0.0.0", HOST4, PEER4), ("::", HOST6, PEER6)] {
        send_from_peer(any, host, 200, 20);
        wait_for_lines(&world, 200, &["[BLOCKED] incoming eth0 UDP", peer, "rule=block_lists:", "bulk.txt"]);
        assert!(!try_sh(&format!("ping -q -c 2 -i 0.05 -W 0.3 {peer}")).status.success());
        wait_for_lines(&world, 2, &["[BLOCKED] outgoing eth0 ICMP", peer, "type="]);
        assert_eq!(world.lines(&["UDP", peer]).len(), 200, "one line for each");
    }
    let counted = sh("iptables -t raw -L PREROUTING -v -n -x; ip6tables -t raw -L PREROUTING -v -n -x");
    assert_eq!(counted.matches("PFW-RAW").count(), 2, "{counted}");
    let (code, said) = pfw.stop(libc::SIGINT);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("differences"), "{said}");
}

fn a_fragmented_datagram_has_one_line() {
    let world = World::new();
    let list = long_list(&[PEER4, PEER6]);
    for tracked in [r#""default_policy": { "in": "deny" }, "#, ""] {
        let pfw = enforce(&world, &format!(r#"{{ {tracked}"block_ips": [{list}] }}"#), []);
        std::fs::write(world.path("firewall.log"), "").expect("emptied");
        for (any, host, peer) in [("0.0.0.0", HOST4, PEER4), ("::", HOST6, PEER6)] {
            send_from_peer(any, host, 3, 5000);
            wait_for_lines(&world, 3, &["[BLOCKED] incoming eth0 UDP", peer, "rule=block_ips"]);
        }
        let (code, said) = pfw.stop(libc::SIGTERM);
        assert_eq!(code, 0, "{said}");
    }
}

fn what_is_stopped_on_its_way_is_forwarded() {
    let world = World::new();
    crate::firewall::container_network();
    sh("ip -n peer route add 10.88.0.0/24 via 10.77.0.1 \
        && iptables -t nat -A PREROUTING -p udp -d 10.77.0.1 --dport 5000 -j DNAT --to-destination 10.88.0.2:80");
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": [{}] }}"#, long_list(&[PEER4])), []);
    send_from_peer("0.0.0.0", "10.88.0.2", 20, 20);
    wait_for_lines(&world, 20, &["[BLOCKED] forwarded eth0 UDP 10.77.0.2:4000 > 10.88.0.2:5000", "rule=block_ips"]);
    // Dropped before anybody knew that it would be translated.
    send_from_peer("0.0.0.0", HOST4, 20, 20);
    wait_for_lines(&world, 20, &["[BLOCKED] incoming eth0 UDP 10.77.0.2:4000 > 10.77.0.1:5000", "rule=block_ips"]);
    assert_eq!(world.lines(&["UDP", PEER4]).len(), 40, "one line for each");
    ends_as_predicted(pfw);
}

fn a_long_list_is_gone_however_it_ends() {
    let world = World::new();
    sh("iptables -t raw -A PREROUTING -p tcp --dport 81 -j DROP && ip6tables -t raw -A PREROUTING -j NOTRACK");
    sh("iptables -L >/dev/null && ip6tables -L >/dev/null");
    // Table by table: they are printed in the order in which they were made.
    let saved = || {
        let each = |tool| sh(&format!("for t in raw filter; do {tool}-save -t $t; done | sed '/^#/d; s/ \\[.*//'"));
        ["iptables", "ip6tables"].map(each).concat()
    };
    let before = saved();
    for signal in [libc::SIGINT, libc::SIGKILL] {
        let pfw = enforce(&world, &format!(r#"{{ "block_ips": [{}] }}"#, long_list(&[PEER4])), []);
        assert!(saved().contains("-A PREROUTING -j PFW-RAW"));
        pfw.stop(signal);
        // Sets go behind the rules that name them.
        let is_clean = || saved() == before && sh("ipset list -n").is_empty();
        wait_for(&format!("nothing to be left after signal {signal}"), || is_clean().then_some(()));
    }
}

fn without_a_log_the_kernel_counts() {
    let world = World::new();
    std::fs::write(world.path("rules.json"), format!(r#"{{ "block_ips": [{}] }}"#, long_list(&[PEER4])))
        .expect("written");
    let mut command = pfw(["run", "--config", "rules.json", "--log", "none"]);
    command.current_dir(world.folder.path());
    let pfw = Running::start(command);
    assert!(!sh("iptables-save").contains("NFLOG"));
    send_from_peer("0.0.0.0", HOST4, 50, 20);
    std::fs::write(world.path("rules.json"), format!(r#"{{ "block_ips": ["{PEER4}"] }}"#)).expect("written");
    pfw.signal(libc::SIGHUP);
    wait_for("the new rules", || sh("iptables-save").contains(PEER4).then_some(()));
    send_from_peer("0.0.0.0", HOST4, 30, 20);
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    let number = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {said}"));
        line.split_whitespace().last().and_then(|n| n.parse::<u64>().ok()).expect("a number")
    };
    assert_eq!(number("blocked"), 80);
    assert_eq!((number("packets"), number("allowed")), (80, 0), "nobody looks at what passes");
    assert!(said.contains("  50  block_ips\n") && said.contains("  30  block_ips:10.77.0.2"), "{said}");
    assert_eq!(world.lines(&["BLOCKED"]), <[&str; 0]>::default());
}

/// For a moment the rules of two lists stand one behind the other in the chain that drops.
fn nothing_is_miscounted() {
    let world = World::new();
    let other: Vec<_> = (0..200).map(|n| format!("\"10.99.{n}.0/24\"")).collect();
    let lists = [long_list(&[PEER4]), format!("\"1.2.3.4\", {}, {}", other.join(","), long_list(&[PEER4]))];
    let rules = lists.map(|list| format!(r#"{{ "block_ports": [9], "block_ips": [{list}] }}"#));
    let mut pfw = enforce(&world, &rules[0], ["--log", "none", "--no-watch"]);
    reload_under_a_flood(&world, &mut pfw, &rules, 5000);
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    assert!(said.lines().any(|line| line.split_whitespace().eq([&*FLOOD.to_string(), "block_ips"])), "{said}");
}
