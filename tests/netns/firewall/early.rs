//! Long lists act in the raw table, and say the same there as anywhere else.

use super::{BOTH, PACE, enforce, everything, nothing_of_pfw, ping, ping_from_peer, plan, plan_after, world};
use crate::Case;
use crate::stream::send_until;
use crate::world::{HOST4, HOST6, PEER4, PEER6, sh, try_sh};
use pfw::firewall::{Disturbance, Hook};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};

pub const CASES: &[Case] = &[
    ("firewall_a_long_list_drops_in_the_raw_table", a_long_list_drops_in_the_raw_table),
    ("firewall_what_stands_before_a_long_list_stands_before_it_in_raw_too", what_stands_before_stands_there_too),
    ("firewall_a_long_list_acts_on_both_ends_of_forwarded_traffic", a_long_list_acts_on_both_ends),
    ("firewall_a_displaced_jump_in_raw_is_put_back", a_displaced_jump_in_raw_is_put_back),
    ("firewall_a_list_that_grows_and_shrinks_leaks_nothing", a_list_that_grows_and_shrinks_leaks_nothing),
    ("firewall_an_entry_of_a_set_is_taken_or_all_is_as_it_was", an_entry_is_taken_or_all_is_as_it_was),
];

/// A list too long for plain rules that names these addresses too.
pub fn long_list(addresses: &[&str]) -> String {
    let others = (0..40).flat_map(|n| [format!("198.18.{n}.0/25"), format!("2001:db8:{n}::/49")]);
    let all: Vec<_> = addresses.iter().map(|&one| one.to_owned()).chain(others).map(|one| format!("{one:?}")).collect();
    all.join(",")
}

/// Packets that DROP rules of ours in a table have counted.
fn dropped(word: &str, table: &str) -> u64 {
    let listed = sh(&format!("iptables-{word} -t {table} -L -v -n -x; ip6tables-{word} -t {table} -L -v -n -x"));
    let drops = listed.lines().filter(|line| line.contains(" DROP ") && line.contains("/*"));
    drops.map(|line| line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).expect("a count")).sum()
}

fn a_long_list_drops_in_the_raw_table() {
    let _world = world();
    let before = everything();
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        let installed = enforce(variant, &format!(r#"{{ "block_ips": [{}] }}"#, long_list(&[PEER4, PEER6])));
        assert_eq!(installed.check().expect("readable"), []);
        // Neighbour discovery is no matter of lists: it is done before, and again now.
        sh("ip -6 neigh flush dev eth0; ip -n peer -6 neigh flush dev eth0");
        assert!(!ping_from_peer(HOST4) && !ping_from_peer(HOST6));
        assert_eq!((dropped(word, "raw"), dropped(word, "filter")), (2, 0), "{word}: what comes in");
        assert!(!ping(PEER4) && !ping(PEER6));
        assert_eq!((dropped(word, "raw"), dropped(word, "filter")), (2, 2), "{word}: what goes out");
        assert_eq!(installed.counters().expect("readable").iter().map(|counter| counter.packets).sum::<u64>(), 4);
        assert!(ping("127.0.0.1") && ping(HOST4) && ping(HOST6));
        installed.remove().unwrap_or_else(|error| panic!("{error}"));
        assert!(ping(PEER4) && ping_from_peer(HOST6));
        assert_eq!(everything(), before);
    }
}

fn what_stands_before_stands_there_too() {
    let _world = world();
    for variant in BOTH {
        let allowed = format!(
            r#"{{ "allow_ips": ["{PEER4}", "{PEER6}"], "block_ips": [{}] }}"#,
            long_list(&["10.77.0.0/24", "fd77::/64"])
        );
        let installed = enforce(variant, &allowed);
        assert!(ping_from_peer(HOST4) && ping_from_peer(HOST6), "{variant:?}: allow_ips comes first");
        drop(installed);
        let loopback = format!(r#"{{ "block_ips": [{}] }}"#, long_list(&["127.0.0.1", "::1"]));
        let installed = enforce(variant, &loopback);
        assert!(!ping("127.0.0.1") && !ping("::1"), "{variant:?}: lists act on loopback");
        assert!(ping(PEER4) && ping_from_peer(HOST6));
        drop(installed);
    }
}

fn a_long_list_acts_on_both_ends() {
    let _world = world();
    super::acts::container_network();
    sh("ip -n peer route add 10.88.0.0/24 via 10.77.0.1");
    let there = || ping_from_peer("10.88.0.2");
    let back = || try_sh(&format!("ip netns exec inner ping -q -c 1 -W 0.3 {PEER4}")).status.success();
    assert!(there() && back());
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        for (listed, raw, filter) in [(PEER4, 1, 1), ("10.88.0.2", 2, 0)] {
            let installed = enforce(variant, &format!(r#"{{ "block_ips": [{}] }}"#, long_list(&[listed])));
            assert!(!there());
            // The source in raw; a destination there too as long as nothing is to be translated.
            assert_eq!((dropped(word, "raw"), dropped(word, "filter")), (1, 0), "{word} {listed}");
            assert!(!back());
            assert_eq!(dropped(word, "raw") + dropped(word, "filter"), raw + filter, "{word} {listed}");
            installed.remove().unwrap_or_else(|error| panic!("{error}"));
        }
        // An address that is nobody's but stands for the inner machine.
        sh(&format!(
            "ip -n peer route replace 10.99.0.1/32 via 10.77.0.1 \
             && iptables-{word} -t nat -A PREROUTING -d 10.99.0.1 -j DNAT --to-destination 10.88.0.2"
        ));
        assert!(ping_from_peer("10.99.0.1"));
        let installed = enforce(variant, &format!(r#"{{ "block_ips": [{}] }}"#, long_list(&["10.99.0.1"])));
        assert!(!ping_from_peer("10.99.0.1"), "{word}: translation is no way around");
        assert!(there());
        installed.remove().unwrap_or_else(|error| panic!("{error}"));
        sh(&format!("iptables-{word} -t nat -F"));
    }
    assert!(nothing_of_pfw());
}

fn a_displaced_jump_in_raw_is_put_back() {
    let _world = world();
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        let mut installed = enforce(variant, &format!(r#"{{ "block_ips": [{}] }}"#, long_list(&[PEER4])));
        sh(&format!("iptables-{word} -t raw -I PREROUTING 1 -p icmp -j ACCEPT"));
        let found = installed.check().expect("readable");
        let displaced = |one: &Disturbance| matches!(one, Disturbance::Displaced { hook: Hook::PreRouting, by, .. } if by.contains("icmp"));
        assert!(found.len() == 1 && displaced(&found[0]), "{found:?}");
        assert!(found[0].to_string().contains("PREROUTING"));
        installed.repair().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(installed.check().expect("readable"), []);
        assert!(!ping_from_peer(HOST4), "{word}");
        sh(&format!("iptables-{word} -t raw -F; iptables-{word} -t raw -X"));
        assert!(!installed.check().expect("readable").is_empty());
        installed.repair().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(installed.check().expect("readable"), []);
        assert!(!ping_from_peer(HOST4), "{word}");
        installed.remove().unwrap_or_else(|error| panic!("{error}"));
        assert!(nothing_of_pfw(), "{}", everything());
    }
}

fn a_list_that_grows_and_shrinks_leaks_nothing() {
    let _world = world();
    let texts = [
        format!(r#"{{ "block_ips": ["{PEER4}"] }}"#),
        format!(r#"{{ "block_ips": [{}] }}"#, long_list(&[PEER4])),
        format!(r#"{{ "block_ips": [{}, "192.0.2.1"] }}"#, long_list(&[PEER4])),
    ];
    let receiver = UdpSocket::bind((HOST4, 5001)).expect("free");
    receiver.set_nonblocking(true).expect("set");
    for variant in BOTH {
        let mut installed = enforce(variant, &texts[0]);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| send_until(&stop, &[5001], PACE));
            // To raw, within raw, and back.
            for reload in 1..=18 {
                installed.replace(plan(&texts[reload % 3])).unwrap_or_else(|error| panic!("{error}"));
            }
            stop.store(true, Ordering::Relaxed);
            assert!(sender.join().expect("it sent") > 1000);
        });
        assert!(receiver.recv(&mut [0; 8]).is_err(), "{variant:?}: nothing leaks");
        drop(installed);
    }
}

fn an_entry_is_taken_or_all_is_as_it_was() {
    let _world = world();
    let text = |more: &[&str]| format!(r#"{{ "block_ips": [{}] }}"#, long_list(&[&[PEER4], more].concat()));
    for variant in BOTH {
        let mut installed = enforce(variant, &text(&[]));
        let before = everything();
        let set = installed.plan().sets().iter().find(|set| set.name.starts_with("PFW4")).expect("a set").name.clone();
        sh(&format!("ipset add {set} 198.19.0.1"));
        let next = plan_after(&installed, &text(&["198.19.0.1"]));
        let error = installed.replace(next).expect_err("somebody else has put it there");
        assert_eq!(error.to_string(), format!("set {set}: cannot add 198.19.0.1/32: it is there already"));
        assert_eq!(everything(), before, "{variant:?}");
        let [four, six] = ["198.19.0.1", "2001:db8:5:8000::1"];
        for more in [&[four][..], &[four, six]] {
            let next = plan_after(&installed, &text(more));
            installed.replace(next).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(installed.check().expect("readable"), []);
            assert!(more.iter().all(|one| sh("ipset save").contains(&format!(" {one}\n"))), "{}", everything());
        }
        drop(installed);
    }
}
