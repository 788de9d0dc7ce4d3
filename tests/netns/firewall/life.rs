//! Start, failure, death and removal.

use super::{BOTH, enforce, everything, nothing_of_pfw, plan, tools, world};
use crate::lifeline::{Lifeline, SOON};
use crate::world::sh;
use crate::{CASE, Case};
use pfw::firewall::{self, Disturbance, Error, Installed, Variant};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("firewall_leaves_the_tables_as_they_were", leaves_the_tables_as_they_were),
    ("firewall_a_failing_step_leaves_what_was_before", a_failing_step_leaves_what_was_before),
    ("firewall_a_killed_pfw_leaves_nothing", a_killed_pfw_leaves_nothing),
    ("firewall_a_restore_that_outlives_a_killed_pfw_leaves_nothing", a_restore_that_outlives_a_killed_pfw),
    ("firewall_a_kept_installation_stays_until_it_is_cleaned", a_kept_installation_stays),
    ("firewall_there_is_one_in_a_namespace", there_is_one_in_a_namespace),
    ("firewall_chains_of_others_are_never_touched", chains_of_others_are_never_touched),
    ("firewall_a_displaced_jump_is_put_back", a_displaced_jump_is_put_back),
];

/// Rules as Docker and ufw have them, in front and behind, in both variants.
pub fn rules_of_others() {
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
            assert_eq!(first.matches("-j PFW-").count(), 2, "{first}");
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

/// Puts a script in the place of the tools: it counts calls (`/run/which` picks them, the empty line all), and where a
/// call's number is that in `/run/fail` it does what `/run/how` says before, or instead of, the real thing.
pub fn sabotage() {
    sh(r#"mkdir -p /run/real && for tool in xtables-nft-multi xtables-legacy-multi ipset; do
        real=$(readlink -f /usr/sbin/$tool) && cp $real /run/real/$tool; done
        for family in iptables ip6tables; do for verb in restore save; do
            ln -s xtables-nft-multi /run/real/$family-nft-$verb; ln -s xtables-legacy-multi /run/real/$family-legacy-$verb
            real=$(basename $(readlink -f /usr/sbin/$family-$verb)); ln -s $real /run/real/$family-$verb; done; done
        cat >/run/script <<'END'
#!/bin/sh
n=0; if echo "$0 $*" | grep -q -- "$(cat /run/which)"; then
    exec 9>>/run/counting; flock 9; n=$(cat /run/calls); n=$((n + 1)); echo $n >/run/calls; exec 9>&-; fi
if [ "$n" = "$(cat /run/fail)" ]; then . /run/how; fi
exec /run/real/$(basename $0) "$@"
END
        chmod 755 /run/script; echo 0 >/run/calls; echo 0 >/run/fail; echo >/run/which
        for tool in xtables-nft-multi xtables-legacy-multi ipset; do mount --bind /run/script $(readlink -f /usr/sbin/$tool); done"#);
}

pub fn fail_at(call: u32, how: &str) {
    std::fs::write("/run/calls", "0\n").expect("written");
    std::fs::write("/run/how", how).expect("written");
    std::fs::write("/run/fail", format!("{call}\n")).expect("written");
}

/// From now on only calls are counted whose command line matches a regular expression of grep's.
pub fn count_only(calls: &str) {
    std::fs::write("/run/which", calls).expect("written");
}

pub fn calls() -> u32 {
    std::fs::read_to_string("/run/calls").expect("readable").trim().parse().expect("a number")
}

const FIRST: &str = r#"{ "block_ips": ["1.0.0.1","1.0.0.3","1.0.0.5","1.0.0.7","1.0.0.9","1.0.0.11","1.0.0.13","1.0.0.15","1.0.0.17","1.0.0.19","1.0.0.21",
    "1.0.0.23","1.0.0.25","1.0.0.27","1.0.0.29","1.0.0.31","1.0.0.33"], "block_ports": [81] }"#;
/// The first with one entry more, which its set gets before all else.
const GROWN: &str = r#"{ "block_ips": ["1.0.0.1","1.0.0.3","1.0.0.5","1.0.0.7","1.0.0.9","1.0.0.11","1.0.0.13","1.0.0.15","1.0.0.17","1.0.0.19","1.0.0.21",
    "1.0.0.23","1.0.0.25","1.0.0.27","1.0.0.29","1.0.0.31","1.0.0.33","1.0.0.6"], "block_ports": [81] }"#;
const SECOND: &str = r#"{ "block_ips": ["2.0.0.1","2.0.0.3","2.0.0.5","2.0.0.7","2.0.0.9","2.0.0.11","2.0.0.13","2.0.0.15","2.0.0.17","2.0.0.19","2.0.0.21",
    "2.0.0.23","2.0.0.25","2.0.0.27","2.0.0.29","2.0.0.31","2.0.0.33"], "default_policy": "deny" }"#;

/// What was done in spite of a failure is complete, but perhaps for an old set.
fn complete(installed: &mut Installed) {
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
                    Ok(mut installed) => {
                        let made = calls();
                        fail_at(0, "");
                        complete(&mut installed);
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
        // Hardest to take back is what was done by a program that says it was not.
        let changes = ways.map(|how| (how, SECOND)).into_iter().chain([(ways[2], GROWN)]);
        for (how, other) in changes {
            let mut replaced = false;
            for call in 1..40 {
                let before = everything();
                fail_at(call, how);
                let result = installed.replace(plan(other));
                let made = calls();
                fail_at(0, "");
                if let Err(error) = result {
                    assert_eq!(everything(), before, "{variant:?}, call {call} of the reload, {how}: {error}");
                } else {
                    complete(&mut installed);
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
pub fn holder() {
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

fn start_holder(variant: &str, life: &Lifeline) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("known"));
    command.env(CASE, "firewall_holder").env("PFW_TEST_VARIANT", variant).stdout(Stdio::null()).stderr(Stdio::null());
    life.hold(&mut command);
    command.spawn().expect("it starts")
}

fn a_killed_pfw_leaves_nothing() {
    let _world = world();
    rules_of_others();
    let clean = everything();
    let kills = std::env::var("PFW_KILLS").map_or(20, |kills| kills.parse().expect("a number"));
    let mut slowest = Duration::ZERO;
    for round in 0_u64..kills {
        let mut life = Lifeline::new();
        let mut pfw = start_holder(if round % 2 == 0 { "nft" } else { "legacy" }, &life);
        // Spread over start and reloads.
        std::thread::sleep(Duration::from_millis(round * 37 % 300));
        pfw.kill().expect("killed");
        pfw.wait().expect("gone");
        slowest = slowest.max(life.time_to_clean());
        std::thread::sleep(Duration::from_millis(if round % 5 == 0 { 300 } else { 0 }));
        assert_eq!(everything(), clean, "round {round}");
    }
    assert!(slowest < SOON, "{slowest:?}");
}

fn a_restore_that_outlives_a_killed_pfw() {
    let _world = world();
    sabotage();
    for variant in ["nft", "legacy"] {
        // The restores of a start: sets, then validation and change of each family. Whichever it is, it is held up.
        for call in 1..=14 {
            let mut life = Lifeline::new();
            fail_at(call, "/bin/touch /run/waiting; /bin/sleep 0.6");
            let _ = std::fs::remove_file("/run/waiting");
            let mut pfw = start_holder(variant, &life);
            let start = Instant::now();
            while !Path::new("/run/waiting").exists() {
                assert!(start.elapsed() < Duration::from_secs(10), "call {call} is made");
                std::thread::sleep(Duration::from_millis(2));
            }
            pfw.kill().expect("killed");
            pfw.wait().expect("gone");
            // The guardian waits for the sleeper, which then does its work; a second later all is clean.
            let slow = life.time_to_clean();
            assert!(slow < SOON, "{variant}, call {call}: {slow:?}");
        }
    }
}

fn a_kept_installation_stays() {
    let _world = world();
    for variant in BOTH {
        let keep = |mut installed: Installed| installed.keep().expect("kept");
        keep(enforce(variant, FIRST));
        assert!(!nothing_of_pfw());
        assert!(firewall::clean().expect("it can clean"));
        assert!(nothing_of_pfw(), "{}", everything());
        keep(enforce(variant, FIRST));
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
        let mut installed = enforce(variant, FIRST);
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
