//! A program that `pfw run` needs fails, whichever call it is: what was before is still there, and the message says what
//! was run, how it ended and what it said.

use crate::Case;
use crate::common::{Running, wait_for};
use crate::enforce::{command, count, enforce};
use crate::firewall::life::{calls, fail_at, rules_of_others, sabotage};
use crate::firewall::{everything, nothing_of_pfw};
use crate::variant::choose;
use crate::world::World;

pub const CASES: &[Case] = &[
    ("a_failure_at_any_call_of_the_start_leaves_what_was_and_says_why_nft", || failures_at_the_start("nft")),
    ("a_failure_at_any_call_of_the_start_leaves_what_was_and_says_why_legacy", || failures_at_the_start("legacy")),
    ("a_failure_at_any_call_of_a_reload_leaves_what_was_and_says_why_nft", || {
        failures_at_a_reload("nft", [FIRST, SECOND], 7);
    }),
    ("a_failure_at_any_call_of_a_reload_leaves_what_was_and_says_why_legacy", || {
        failures_at_a_reload("legacy", [FIRST, SECOND], 7);
    }),
    // Four programs add in both families at once and change them, two read them back.
    ("a_failure_at_any_call_of_an_addition_leaves_what_was_and_says_why", || {
        failures_at_a_reload("nft", [FEW, MORE], 6);
    }),
];

const FIRST: &str = r#"{ "block_ports": [1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33], "block_ips": ["192.0.2.1"] }"#;
const SECOND: &str = r#"{ "block_ports": [2,4,6,8,10,12,14,16,18,20,22,24,26,28,30,32,34], "default_policy": "deny" }"#;
const FEW: &str = r#"{ "block_ports": [1] }"#;
const MORE: &str = r#"{ "block_ports": [1, 3] }"#;

/// What a program does instead of its work.
const HOW: &str = "echo nonsense >&2; exit 2";
/// Whether the command, its end and its words are told.
fn explains(said: &str) -> bool {
    said.contains("'/usr/sbin/ip") && said.contains("ended with exit status 2: nonsense")
}

fn failures_at_the_start(variant: &str) {
    let world = World::new();
    choose(variant);
    rules_of_others();
    sabotage();
    let clean = everything();
    let mut failures = 0;
    for call in 1.. {
        fail_at(call, HOW);
        let mut pfw = Running::begin(command(&world, FIRST, ["--yes"]));
        let ready = pfw.gets_ready();
        let made = calls();
        fail_at(0, "");
        if ready {
            // It was a failure that did no harm, or there was none.
            assert!(!nothing_of_pfw());
            assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
        } else {
            failures += 1;
            let (code, said) = pfw.end();
            assert_eq!(code, 1, "call {call}: {said}");
            assert!(explains(&said), "call {call}: {said}");
        }
        assert_eq!(everything(), clean, "call {call}");
        if made < call {
            break;
        }
    }
    assert!(failures >= 9, "{failures}");
}

fn failures_at_a_reload(variant: &str, [first, second]: [&str; 2], at_least: u32) {
    let world = World::new();
    choose(variant);
    rules_of_others();
    sabotage();
    let mut pfw = enforce(&world, first, ["--yes", "--no-watch"]);
    let loaded = || count(&world, &["event=rules-loaded"]);
    let read = |pfw: &Running, rules| {
        std::fs::write(world.path("rules.json"), rules).expect("written");
        pfw.signal(libc::SIGHUP);
    };
    let (mut failures, mut call) = (0, 0);
    loop {
        call += 1;
        let (before, log) = (everything(), loaded());
        fail_at(call, HOW);
        read(&pfw, second);
        // Whether it fails or not, it is over when the one or the other has been said.
        let failed = wait_for("the reload to end", || {
            let failed = pfw.has_said("stay");
            (failed || loaded() > log).then_some(failed)
        });
        let made = calls();
        fail_at(0, "");
        if failed {
            failures += 1;
            let said = pfw.said.last().expect("it said so");
            assert!(explains(said), "call {call}: {said}");
            assert_eq!(everything(), before, "call {call}: {said}");
            continue;
        }
        if made < call {
            break;
        }
        // A failure that did no harm: once more, from the first rules.
        let log = loaded();
        read(&pfw, first);
        wait_for("the first rules", || (loaded() > log).then_some(()));
    }
    assert!(failures >= at_least, "{failures}");
    assert_eq!(pfw.stop(libc::SIGTERM).0, 0);
    assert!(nothing_of_pfw());
}
