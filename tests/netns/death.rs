//! However `pfw run` dies, a second later nothing of it is left in the kernel, and the rules of others are as they were.

use crate::Case;
use crate::common::{Running, run_in, wait_for};
use crate::enforce::{command, enforce};
use crate::firewall::life::{count_only, fail_at, rules_of_others, sabotage};
use crate::firewall::{everything, nothing_of_pfw};
use crate::lifeline::{Lifeline, SOON, time_to_clean};
use crate::variant::{BOTH, choose};
use crate::world::{World, sh};
use std::path::Path;
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("kills_at_random_moments_leave_nothing", kills_at_random_moments_leave_nothing),
    ("a_kill_while_a_program_runs_leaves_nothing_nft", || a_kill_while_a_program_runs("nft")),
    ("a_kill_while_a_program_runs_leaves_nothing_legacy", || a_kill_while_a_program_runs("legacy")),
    ("what_iptables_stands_for_may_change_while_pfw_runs", what_iptables_stands_for_may_change),
    ("what_two_killed_processes_left_is_taken_over_or_cleaned", what_two_killed_processes_left),
    ("a_killed_guardian_is_replaced", a_killed_guardian_is_replaced),
    ("a_panic_in_any_thread_takes_the_rules_out", a_panic_in_any_thread),
    ("the_oom_killer_leaves_nothing", the_oom_killer_leaves_nothing),
    ("two_interrupts_are_no_more_than_one", two_interrupts),
    ("a_terminal_that_is_closed_takes_the_rules_with_it", a_closed_terminal),
    ("a_closed_standard_output_ends_nothing", a_closed_standard_output),
    ("kept_rules_outlive_a_kill", kept_rules_outlive_a_kill),
];

/// Plain rules, sets and a deny default, in turns with other such ones.
const RULES: [&str; 2] = [
    r#"{ "block_ips": ["1.0.0.1","1.0.0.3","1.0.0.5","1.0.0.7","1.0.0.9","1.0.0.11","1.0.0.13","1.0.0.15","1.0.0.17","1.0.0.19","1.0.0.21",
        "1.0.0.23","1.0.0.25","1.0.0.27","1.0.0.29","1.0.0.31","1.0.0.33"], "block_ports": [81] }"#,
    r#"{ "block_ips": ["2.0.0.1","2.0.0.3","2.0.0.5","2.0.0.7","2.0.0.9","2.0.0.11","2.0.0.13","2.0.0.15","2.0.0.17","2.0.0.19","2.0.0.21",
        "2.0.0.23","2.0.0.25","2.0.0.27","2.0.0.29","2.0.0.31","2.0.0.33"], "default_policy": "deny" }"#,
];

fn reload(world: &World, pfw: &Running, rules: &str) {
    std::fs::write(world.path("rules.json"), rules).expect("written");
    pfw.signal(libc::SIGHUP);
}

/// `PFW_KILLS` sets how many; they are spread over both variants, and over start, reload and stop.
fn kills_at_random_moments_leave_nothing() {
    let world = World::new();
    rules_of_others();
    let kills = std::env::var("PFW_KILLS").map_or(21, |kills| kills.parse().expect("a number"));
    let clean = everything();
    let mut slowest = Duration::ZERO;
    // Not all kills find something to clean; but if few do, the test is none.
    let mut dirty = 0;
    for round in 0_u64..kills {
        choose(BOTH[usize::from(round % 2 == 0)]);
        // A multiplier without common factors with the range spreads the moments over it evenly.
        let moment = Duration::from_micros(round * 7919 % 400 * 500);
        let mut life = Lifeline::new();
        let held = |rules| {
            let mut command = command(&world, rules, ["--yes"]);
            life.hold(&mut command);
            command
        };
        let pfw = match round % 3 {
            0 => Running::begin(held(RULES[0])),
            1 => {
                let pfw = Running::start(held(RULES[0]));
                reload(&world, &pfw, RULES[1]);
                pfw
            }
            _ => {
                let pfw = Running::start(held(RULES[1]));
                pfw.signal(libc::SIGTERM);
                pfw
            }
        };
        std::thread::sleep(moment);
        // Afterwards the guardian may have been faster than who looks.
        dirty += u64::from(sh("ipset list -n").contains("PFW"));
        pfw.kill();
        // A tool that pfw had started ends in its own time; the guardian cleans behind it.
        let took = life.time_to_clean();
        slowest = slowest.max(took);
        assert!(took < SOON, "round {round}: {took:?}");
        if round % 7 == 0 {
            // Nothing comes later either.
            std::thread::sleep(Duration::from_millis(500));
        }
        assert_eq!(everything(), clean, "round {round}");
    }
    assert!(dirty * 5 > kills, "{dirty}");
    println!("{kills} kills; the slowest cleaning took {slowest:?}; {dirty} had something to clean");
}

/// Command lines that change something, after which nothing stands in the way of the next.
const CHANGES: &str = r"restore\( --noflush -w 5\)\?$";

/// Has the call of this number that changes something held up, does `work`, and waits until it is held up.
fn held_up<T>(what: &str, number: u32, work: impl FnOnce() -> T) -> T {
    let _ = std::fs::remove_file("/run/waiting");
    fail_at(number, "/bin/touch /run/waiting; /bin/sleep 0.4");
    let result = work();
    wait_for(&format!("call {number} of the {what}"), || Path::new("/run/waiting").exists().then_some(()));
    result
}

fn a_kill_while_a_program_runs(variant: &str) {
    let world = World::new();
    choose(variant);
    sabotage();
    count_only(CHANGES);
    let begin = |life: &Lifeline| {
        let mut command = command(&world, RULES[0], []);
        life.hold(&mut command);
        Running::begin(command)
    };
    let started = |life: &Lifeline| {
        let mut pfw = begin(life);
        pfw.wait_to_say("pfw: ready");
        pfw
    };
    // The one that was held up goes on when pfw is dead, and does its work; soon after its end all is clean.
    let all_is_clean_in_time = |what: &str, mut life: Lifeline, pfw: Running| {
        pfw.kill();
        let took = life.time_to_clean();
        assert!(took < SOON, "{what}: {took:?}");
    };
    // Sets, and each family.
    for number in 1..=3 {
        let life = Lifeline::new();
        let pfw = held_up("start", number, || begin(&life));
        all_is_clean_in_time(&format!("call {number} of the start"), life, pfw);
    }
    // The old sets go too.
    for number in 1..=4 {
        let life = Lifeline::new();
        let pfw = started(&life);
        held_up("reload", number, || reload(&world, &pfw, RULES[1]));
        all_is_clean_in_time(&format!("call {number} of the reload"), life, pfw);
    }
    for number in 1..=3 {
        let life = Lifeline::new();
        let pfw = started(&life);
        held_up("end", number, || pfw.signal(libc::SIGTERM));
        all_is_clean_in_time(&format!("call {number} of the end"), life, pfw);
    }
}

fn what_iptables_stands_for_may_change() {
    let world = World::new();
    rules_of_others();
    let clean = everything();
    for (before, after) in [("nft", "legacy"), ("legacy", "nft")] {
        for signal in [libc::SIGTERM, libc::SIGKILL] {
            choose(before);
            let mut life = Lifeline::new();
            let mut command = command(&world, RULES[0], []);
            life.hold(&mut command);
            let pfw = Running::start(command);
            choose(after);
            // A change, and a look at the rules, go where they have gone before.
            reload(&world, &pfw, RULES[1]);
            let saved = format!("iptables-{before}-save");
            wait_for("the other rules", || sh(&saved).contains("default_policy").then_some(()));
            std::thread::sleep(Duration::from_millis(1500));
            assert!(!sh(&format!("iptables-{after}-save")).contains("PFW"), "{before} {after}");
            if signal == libc::SIGKILL {
                pfw.kill();
                assert!(life.time_to_clean() < SOON, "{before} {after}");
            } else {
                let (code, said) = pfw.stop(signal);
                assert_eq!((code, said.contains("put back")), (0, false), "{said}");
            }
            assert_eq!(everything(), clean, "{before} {after} {signal}");
        }
    }
}

/// The guardian of a pfw: its only child that stays.
fn guardian_of(pfw: &Running) -> i32 {
    let children = sh(&format!("cat /proc/{0}/task/{0}/children", pfw.pid()));
    let mut pids = children.split_whitespace().filter(|pid| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.windows(10).any(|part| part == b"__guardian"))
    });
    pids.next().and_then(|pid| pid.parse().ok()).expect("there is a guardian")
}

fn kill(pid: i32) {
    // SAFETY: kill has no memory effects; the pid is that of a process that this test started and that lives.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
}

fn what_two_killed_processes_left() {
    let world = World::new();
    rules_of_others();
    let clean = everything();
    for variant in BOTH {
        choose(variant);
        let kill_both = || {
            let pfw = enforce(&world, RULES[0], ["--yes"]);
            // It would have another one take its place.
            pfw.signal(libc::SIGSTOP);
            kill(guardian_of(&pfw));
            pfw.kill();
            std::thread::sleep(SOON);
            assert!(!nothing_of_pfw(), "nobody was left to clean");
        };
        kill_both();
        let next = enforce(&world, RULES[1], ["--yes"]);
        let saved = sh(&format!("iptables-{variant}-save -t filter; ip6tables-{variant}-save -t filter"));
        let hooks = [("INPUT", "PFW-IN"), ("FORWARD", "PFW-FWD"), ("OUTPUT", "PFW-OUT")];
        let jumps: usize =
            hooks.iter().map(|(hook, own)| saved.matches(&format!("-A {hook} -j {own}\n")).count()).sum();
        assert_eq!(jumps, 6, "{variant}: one in each chain");
        assert!(!sh("ipset save").contains("1.0.0."), "{variant}: no set of the first is left");
        assert_eq!(next.stop(libc::SIGTERM).0, 0);
        assert_eq!(everything(), clean);
        kill_both();
        assert_eq!(run_in(world.folder.path(), ["clean"]).code, 0);
        assert_eq!(everything(), clean);
        assert_eq!(run_in(world.folder.path(), ["clean"]).stderr, "pfw: there was nothing to remove\n");
    }
}

fn a_killed_guardian_is_replaced() {
    let world = World::new();
    rules_of_others();
    let clean = everything();
    let mut pfw = enforce(&world, RULES[1], ["--yes"]);
    for _ in 0..3 {
        kill(guardian_of(&pfw));
        pfw.wait_to_say("the guardian process was killed; another one watches now");
    }
    // The last one does its work.
    pfw.kill();
    assert!(time_to_clean() < SOON);
    assert_eq!(everything(), clean);
    let mut pfw = enforce(&world, RULES[1], ["--yes"]);
    kill(guardian_of(&pfw));
    pfw.wait_to_say("another one watches now");
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!((code, everything()), (0, clean), "{said}");
}

fn a_panic_in_any_thread() {
    let world = World::new();
    rules_of_others();
    let clean = everything();
    for thread in ["main", "capture", "reader", "writer", "printer", "signals", "changes", "confirm"] {
        let mut command = command(&world, RULES[1], ["--yes", "--print", "--confirm", "60", "--capture-threads", "2"]);
        command.env("PFW_PANIC", thread).stdout(std::process::Stdio::null());
        let (code, said) = Running::begin(command).end();
        assert!(said.contains("rehearsed"), "{thread}: {said}");
        assert!(code == if thread == "main" { 101 } else { 1 }, "{thread}: {code}: {said}");
        assert!(thread == "main" || said.contains(&format!("the {thread} thread has failed")), "{said}");
        assert_eq!(everything(), clean, "{thread}");
    }
}

fn the_oom_killer_leaves_nothing() {
    let world = World::new();
    rules_of_others();
    let clean = everything();
    let group = format!("/sys/fs/cgroup/memory/pfw-test-{}", std::process::id());
    if std::fs::create_dir(&group).is_err() {
        println!("no memory cgroup to be had here: what SIGKILL leaves, which other cases see, is the same");
        return;
    }
    sh(&format!("echo 48M >{group}/memory.limit_in_bytes"));
    let pfw = enforce(&world, RULES[0], ["--yes", "--ring-size", "1M"]);
    sh(&format!("echo {} >{group}/cgroup.procs; echo {} >{group}/cgroup.procs", pfw.pid(), guardian_of(&pfw)));
    let list: Vec<_> = (0..3_000_000_u32).map(|n| std::net::Ipv4Addr::from(0x0b00_0000 + 2 * n).to_string()).collect();
    std::fs::write(world.path("list.txt"), list.join("\n")).expect("written");
    reload(&world, &pfw, r#"{ "block_lists": ["list.txt"] }"#);
    let (code, said) = pfw.end();
    let took = time_to_clean();
    let killed = std::fs::read_to_string(format!("{group}/memory.oom_control")).unwrap_or_default();
    wait_for("the group to be empty", || std::fs::remove_dir(&group).ok());
    assert!(code == -1 && killed.contains("oom_kill 1"), "{code} {killed}: {said}");
    println!("cleaned after {took:?}");
    assert!(took < SOON, "{took:?}");
    assert_eq!(everything(), clean);
}

fn two_interrupts() {
    let world = World::new();
    let clean = everything();
    for gap in [0, 1, 5, 20, 50] {
        let pfw = enforce(&world, RULES[1], ["--yes"]);
        pfw.signal(libc::SIGINT);
        std::thread::sleep(Duration::from_millis(gap));
        let (code, said) = pfw.stop(libc::SIGINT);
        assert_eq!(code, 0, "{said}");
        assert_eq!(everything(), clean);
    }
}

fn a_closed_terminal() {
    let world = World::new();
    let clean = everything();
    std::fs::write(world.path("rules.json"), RULES[1]).expect("written");
    // `script` runs a command on a terminal of its own; when it dies, the terminal is gone.
    let mut script = std::process::Command::new("script");
    let pfw = env!("CARGO_BIN_EXE_pfw");
    script.args(["-qfc", &format!("exec {pfw} run --yes"), "/dev/null"]).current_dir(world.folder.path());
    let mut script =
        script.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().expect("script runs");
    wait_for("the rules", || sh("iptables-save").contains("-j PFW-").then_some(()));
    wait_for("the log", || world.log().iter().any(|line| line.contains("event=started")).then_some(()));
    std::thread::sleep(Duration::from_millis(300));
    script.kill().expect("killed");
    script.wait().expect("gone");
    let took = time_to_clean();
    assert!(took < 2 * SOON, "{took:?}");
    assert_eq!(everything(), clean);
    wait_for("its own end", || world.log().iter().any(|line| line.contains("event=stopped")).then_some(()));
}

fn a_closed_standard_output() {
    let world = World::new();
    let clean = everything();
    let mut command = command(&world, RULES[1], ["--yes", "--print"]);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    command.stdout(writer);
    drop(reader);
    let pfw = Running::start(command);
    sh("ping -q -c 2 -i 0.1 127.0.0.1");
    wait_for("lines", || world.log().iter().any(|line| line.contains("127.0.0.1")).then_some(()));
    assert!(!nothing_of_pfw());
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    assert_eq!(everything(), clean);
}

fn kept_rules_outlive_a_kill() {
    let world = World::new();
    let clean = everything();
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let pfw = enforce(&world, RULES[0], ["--keep"]);
        pfw.stop(signal);
        std::thread::sleep(SOON);
        assert!(sh("iptables-save").contains("-j PFW-"), "after signal {signal}");
        assert_eq!(run_in(world.folder.path(), ["clean"]).code, 0);
        assert_eq!(everything(), clean);
    }
    let pfw = enforce(&world, RULES[0], ["--keep", "--confirm", "60"]);
    pfw.stop(libc::SIGKILL);
    time_to_clean();
}
