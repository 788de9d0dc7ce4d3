//! Others change what is ours: it is noticed, told from what we do ourselves, and put right without a gap.

use super::{BOTH, enforce, ping, plan, world};
use crate::Case;
use crate::world::{PEER4, sh};
use pfw::firewall::{Changes, Disturbance, Variant};

pub const CASES: &[Case] = &[
    ("firewall_own_reloads_are_no_alarm", own_reloads_are_no_alarm),
    ("firewall_a_changed_condition_is_noticed_and_put_right", a_changed_condition_is_noticed),
    ("firewall_a_changed_set_is_noticed_and_put_right", a_changed_set_is_noticed),
    ("firewall_a_repair_lets_the_counters_go_on", a_repair_lets_the_counters_go_on),
];

fn own_reloads_are_no_alarm() {
    let _world = world();
    let mut changes = Changes::listen().expect("the kernel has nf_tables");
    let texts = [r#"{ "block_ports": [81] }"#, r#"{ "block_ips": ["192.0.2.0/24"], "default_policy": "deny" }"#];
    changes.wait().expect("the latest so far is told at once");
    let mut installed = enforce(Variant::Nft, texts[0]);
    let latest = || Changes::listen().and_then(|mut changes| changes.wait()).expect("it is told at once");
    assert!(!installed.may_concern(&latest()), "who listens from now on is told of ours");
    for reload in 0..=100 {
        // One change for each family.
        for _ in 0..2 {
            let change = changes.wait().expect("it is told");
            assert!(!installed.may_concern(&change), "reload {reload}: {change}");
        }
        installed.replace(plan(texts[(reload + 1) % 2])).unwrap_or_else(|error| panic!("{error}"));
    }
    (0..2).for_each(|_| drop(changes.wait()));
    sh("nft add table ip another");
    let change = changes.wait().expect("it is told");
    assert!(installed.may_concern(&change), "{change}");
    assert!(change.to_string().starts_with("nft (pid "), "{change}");
    assert!(installed.may_concern(&latest()), "who listens from now on is told of it");
    assert_eq!(installed.check().expect("readable"), [], "it does no harm");
    assert!(!installed.may_concern(&change), "that is known now");
}

fn a_changed_condition_is_noticed() {
    let _world = world();
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        let mut installed = enforce(
            variant,
            &format!(r#"{{ "rules": [{{ "action": "block", "direction": "out", "dst": "{PEER4}" }}] }}"#),
        );
        let ours = sh(&format!("iptables-{word} -S PFW-OUT"));
        let number = ours.lines().position(|line| line.contains(PEER4) && line.ends_with("DROP")).expect("it is there");
        let rule = ours.lines().nth(number).expect("it is there").replace(PEER4, "192.0.2.9");
        let rule = rule.strip_prefix("-A PFW-OUT").expect("a rule of the chain");
        sh(&format!("iptables-{word} -R PFW-OUT {number} {rule}"));
        let found = installed.check().expect("readable");
        let told = matches!(&found[..], [Disturbance::Altered { what, .. }] if what.contains("192.0.2.9") && what.contains(PEER4));
        assert!(told, "{word}: {found:?}");
        assert!(ping(PEER4), "the address is free now");
        installed.repair().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(installed.check().expect("readable"), []);
        assert!(!ping(PEER4));
    }
}

fn a_changed_set_is_noticed() {
    let _world = world();
    let many = (0..40).map(|n| format!("\"1.2.{}.0/24\"", 2 * n)).collect::<Vec<_>>().join(",");
    for variant in BOTH {
        let mut installed = enforce(
            variant,
            &format!(
                r#"{{ "block_ips": ["{PEER4}", {many}], "block_ports": [1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33] }}"#
            ),
        );
        let set = installed.plan().sets().iter().find(|set| set.name.starts_with("PFW4")).expect("a set").clone();
        assert!(!ping(PEER4));
        for how in [
            format!("flush {}", set.name),
            format!("del {} {PEER4}", set.name),
            format!("flush {}; ipset add {0} 9.9.9.9", set.name),
        ] {
            sh(&format!("ipset {how}"));
            let found = installed.check().expect("readable");
            assert!(matches!(&found[..], [Disturbance::Set { name, .. }] if *name == set.name), "{how}: {found:?}");
            installed.repair().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(installed.check().expect("readable"), []);
            assert!(!ping(PEER4));
            assert!(!sh("ipset list -n").contains("-f0000"), "nothing is left aside");
        }
    }
}

fn a_repair_lets_the_counters_go_on() {
    let _world = world();
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        let mut installed = enforce(variant, &format!(r#"{{ "block_ips": ["{PEER4}"] }}"#));
        let dropped = |installed: &pfw::firewall::Installed| {
            installed.counters().expect("readable").iter().map(|counter| counter.packets).sum::<u64>()
        };
        assert!(!ping(PEER4));
        sh(&format!("iptables-{word} -I OUTPUT 1 -j ACCEPT"));
        installed.repair().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(dropped(&installed), 1, "{word}");
        assert!(!ping(PEER4));
        assert_eq!(dropped(&installed), 2, "{word}");
    }
}
