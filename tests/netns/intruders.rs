//! `pfw run` while others change the tables: it says who, puts its rules back, and does not fight for ever.

use crate::Case;
use crate::common::{Running, run_in, wait_for};
use crate::enforce::{enforce, ping};
use crate::firewall::life::{calls, sabotage};
use crate::variant::{BOTH, choose};
use crate::world::{PEER4, World, sh};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("whatever_others_do_to_our_rules_is_put_right_and_told", whatever_others_do_is_put_right),
    ("who_keeps_changing_our_rules_is_not_fought_for_ever", who_keeps_changing_is_not_fought),
    ("an_idle_firewall_starts_no_programs", an_idle_firewall_starts_no_programs),
    ("a_reload_is_no_alarm", a_reload_is_no_alarm),
];

/// How soon rules are to be back, far above what is measured on an idle machine: where the kernel tells of changes, and
/// where one has to look.
const SOON: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// What others do, with `$T` for the tool's name, and what is said of it. They are ended by one that names itself.
const DEEDS: &[(&str, &str)] = &[
    ("$T -I OUTPUT 1 -m comment --comment intruder -j ACCEPT", "intruder"),
    ("$T -D OUTPUT -j PFW-OUT", "OUTPUT has 0 jumps"),
    ("$T -F", "chain PFW-"),
    ("$T -F PFW-OUT", "chain PFW-OUT has 0 rules"),
    ("$T -F; $T -X", "chain PFW-"),
    (
        "printf '*filter\\n:INPUT ACCEPT [0:0]\\n:OUTPUT ACCEPT [0:0]\\n-A OUTPUT -j ACCEPT\\nCOMMIT\\n' | $T-restore",
        "is missing",
    ),
    ("n=$($T -S PFW-OUT | grep -n 10.77.0.2.*DROP | cut -d: -f1); $T -R PFW-OUT $((n - 1)) -j RETURN", "-j RETURN"),
    ("nft flush ruleset", "is missing"),
];

fn is_whole(variant: &str) -> bool {
    let first = sh(&format!("iptables-{variant} -S OUTPUT 1"));
    first.contains("-j PFW-OUT") && !ping(PEER4, 1)
}

fn whatever_others_do_is_put_right() {
    let world = World::new();
    for (variant, soon) in BOTH.into_iter().zip(SOON) {
        choose(variant);
        let deeds = DEEDS.iter().filter(|(deed, _)| variant == "nft" || !deed.starts_with("nft"));
        // So many are put right in a minute.
        for some in deeds.collect::<Vec<_>>().chunks(5) {
            let mut pfw = enforce(&world, &format!(r#"{{ "block_ips": ["192.0.2.1", "{PEER4}"] }}"#), ["-vv"]);
            for (deed, words) in some {
                sh(&format!("T=iptables-{variant}; {deed}"));
                let done = Instant::now();
                let said = pfw.wait_to_say("put back");
                let took = done.elapsed();
                println!("{variant}: {deed}: {took:?}: {said}");
                assert!(said.contains(words), "{deed}: {said}");
                assert!(is_whole(variant), "{deed}");
                assert!(took < soon, "{deed}: {took:?}\n{}", pfw.all_said());
                if variant == "nft" {
                    assert!(
                        said.contains("changed by iptables-nft") || said.contains("changed by nft (pid "),
                        "{said}"
                    );
                }
                let noted = || {
                    world.log().iter().any(|line| line.contains("[PFW] event=rules-disturbed") && line.contains(words))
                };
                wait_for("the line in the log", || noted().then_some(()));
            }
            let (code, said) = pfw.stop(libc::SIGTERM);
            assert_eq!(code, 0, "{said}");
            sh("iptables -F");
        }
    }
}

fn who_keeps_changing_is_not_fought() {
    let world = World::new();
    let mut pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), []);
    for _ in 0..5 {
        sh("iptables -F PFW-OUT");
        pfw.wait_to_say("put back");
    }
    sh("iptables -F PFW-OUT");
    pfw.wait_to_say("keeps changing");
    let status = run_in(world.folder.path(), ["status"]);
    assert!(status.stdout.contains(" is degraded: somebody has changed its rules"), "{status:?}");
    for _ in 0..20 {
        sh("for chain in INPUT OUTPUT; do iptables -I $chain 1 -m comment --comment again -j ACCEPT; done");
    }
    assert!(ping(PEER4, 1), "it is not put back now");
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    assert_eq!(said.matches("keeps changing").count(), 1, "{said}");
    assert!(said.contains(" others\n") && !said.contains("unexplained"), "{said}");
    assert!(!sh("iptables-save").to_lowercase().contains("pfw"));
    assert_eq!(sh("iptables -S OUTPUT").matches("again").count(), 20, "theirs is theirs");
}

fn an_idle_firewall_starts_no_programs() {
    let world = World::new();
    choose("nft");
    sabotage();
    let pfw = enforce(&world, r#"{ "default_policy": "deny" }"#, []);
    // The kernel tells of what was done at the start a moment later.
    std::thread::sleep(Duration::from_millis(500));
    let before = calls();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(calls(), before);
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
}

fn a_reload_is_no_alarm() {
    let world = World::new();
    for variant in BOTH {
        choose(variant);
        let mut pfw = enforce(&world, r#"{ "block_ports": [81] }"#, []);
        for _ in 0..10 {
            reload(&mut pfw);
        }
        std::thread::sleep(Duration::from_millis(1500));
        let (_, said) = pfw.stop(libc::SIGTERM);
        assert!(!said.contains("put back") && !said.contains("changed by"), "{said}");
        assert!(!world.log().iter().any(|line| line.contains("rules-disturbed")));
    }
}

fn reload(pfw: &mut Running) {
    pfw.signal(libc::SIGHUP);
    pfw.wait_to_say("again");
}
