//! The verdict test: random rules, random packets, and three answers held against each other: what the engine says,
//! what the kernel did, what the log says.
//!
//! `pfw run` is the built binary, and so are kernel and log the real ones. A round is a rules file, taken in by SIGHUP,
//! and a few hundred packets; in some rounds a panic is on, and packets forge the addresses of the host. By itself it runs
//! for some seconds, always with the same seeds; or for as long as is wanted:
//!
//! ```text
//! PFW_VERDICT_SECONDS=600 cargo test --release --test netns verdict -- --nocapture
//! PFW_VERDICT_SEED=7 ...   begins with that seed, so that a run can be had again
//! PFW_VERDICT_VARIANT=legacy ...  by the other iptables
//! PFW_VERDICT_ALL=1 ...    prints every packet of rounds with disagreements
//! ```
//!
//! Engine and kernel may decide otherwise for these causes alone, which are counted (`judge::NAMED`):
//!
//! - `invalid`: conntrack calls the packet INVALID (window, checksum, no such connection), and the engine does not;
//! - `behind an invalid one`: so it was with an earlier packet of the connection, after which the two know different things;
//! - `untracked`: conntrack does not track it;
//! - `reject-answer`: an answer of a rule that rejects, which only the kernel knows from other errors;
//! - `no set of ports sees it`: its header is not whole, and so many ports are asked for that they are a set;
//! - `incomplete datagram`: fragments on loopback that wait for the rest, or of which the first was dropped.
//!
//! Otherwise than the engine's are told: a later fragment that came before its first, packets of a connection of which
//! one was dropped on its way out (pfw learns of that when it has judged later ones), and, where addresses are translated,
//! replies on loopback to one that the kernel has given another port.

mod chance;
mod expected;
mod ground;
mod judge;
mod lines;
pub mod raw;
mod reloads;
mod ruleset;
mod shot;
mod tally;
mod traffic;
pub mod wire;

pub use ground::mac;

use crate::Case;
use crate::common::{PATIENCE, Running, run_in};
use crate::enforce::enforce;
use crate::variant;
use crate::world::sh;
use chance::Chance;
use expected::{Expected, compare, expected};
use ground::{Ground, Machinery};
use judge::Judge;
use lines::Log;
use pfw::engine::Matcher;
use pfw::host::Host;
use pfw::rules::{Action, Policy, Ruleset};
use pfw::time::Timestamp;
use ruleset::Files;
use shot::Shot;
use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant};
use tally::Tally;
use traffic::Traffic;

pub const CASES: &[Case] = &[
    ("verdict_engine_kernel_and_log_agree", engine_kernel_and_log_agree),
    ("verdict_reloads_leak_and_lose_nothing", reloads::reloads_leak_and_lose_nothing),
];

/// Whether somebody watches a run that lasts: what it prints is shown as it comes.
pub fn is_watched() -> bool {
    number("PFW_VERDICT_SECONDS").is_some()
}

/// Packets under one rule set.
const SHOTS: usize = 400;
/// What the short form has time for.
const ROUNDS: u64 = 24;
/// Rounds with a disagreement after which the test ends.
const ENOUGH: usize = 1000;
/// How pfw is started: every line is kept, in a form that is easily read, and rules are read when they are told to be.
const JSON_LOG: [&str; 6] = ["--yes", "--no-watch", "--log-format", "json", "--log-max-size", "0"];
/// How long no line comes where enough have come and some are wrong.
const QUIET: Duration = Duration::from_millis(500);
/// How long pfw takes a packet between the ends of one that was rejected for the answer to that.
const ANSWER_TIME: Duration = Duration::from_secs(1);
/// Rounds with one pfw, and one machinery beside it.
const BLOCK: u64 = 8;
/// Of so many rounds one is under a panic: each machinery has its share.
const PANIC: u64 = 7;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn engine_kernel_and_log_agree() {
    let first = number("PFW_VERDICT_SEED").unwrap_or(1);
    let seconds = number("PFW_VERDICT_SECONDS");
    let rounds = number("PFW_VERDICT_ROUNDS").unwrap_or(if seconds.is_some() { u64::MAX } else { ROUNDS });
    let shown = number("PFW_VERDICT_SHOWN").map_or(6, |shown| usize::try_from(shown).expect("a small number"));
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    if let Ok(variant) = std::env::var("PFW_VERDICT_VARIANT") {
        variant::choose(&variant);
    }
    let mut bench = Bench::start(Ground::new(), setting(first));
    let mut tally = Tally::default();
    let mut bad = 0;
    for seed in first..first.saturating_add(rounds) {
        if end.is_some_and(|end| Instant::now() >= end) || bad == ENOUGH {
            break;
        }
        if seed > first && seed.is_multiple_of(BLOCK) {
            bench = Bench::start(bench.stop(), setting(seed));
        }
        let complaints = bench.round(seed, &mut tally);
        if !complaints.is_empty() {
            bad += 1;
            println!("== seed {seed}: {} disagreements", complaints.len());
            complaints.iter().take(shown).for_each(|complaint| println!("  {complaint}"));
        }
        if seconds.is_some() && (seed - first).is_multiple_of(25) {
            println!("seed {seed}: {} packets so far, {bad} rounds with disagreements", tally.packets());
        }
    }
    drop(bench.stop());
    println!("{tally}");
    assert_eq!(bad, 0, "rounds with disagreements; see above");
}

/// The identification of the last packet before the round of a seed. They come round after what is left of datagrams has
/// been forgotten.
fn last_id(seed: u64) -> u16 {
    u16::try_from(seed * SHOTS as u64 % 65_536).expect("16 bits")
}

/// What is at work beside pfw in the round of a seed, and how many threads of it read packets.
fn setting(seed: u64) -> (Machinery, &'static str) {
    let block = seed / BLOCK;
    let machinery = match block % 3 {
        1 => Machinery::Bare,
        2 => Machinery::Translated,
        _ => Machinery::Tracked,
    };
    (machinery, if block.is_multiple_of(2) { "1" } else { "3" })
}

/// The world, and pfw in it.
struct Bench {
    ground: Ground,
    pfw: Running,
    log: Log,
    judge: Judge,
    machinery: Machinery,
    host: Host,
    names: BTreeMap<u32, String>,
    /// The rule set of the last round had a rule that rejects.
    rejected: bool,
    /// Until when pfw may take a packet for an answer to one that was rejected by then.
    rejected_until: Instant,
}

impl Bench {
    fn start(mut ground: Ground, (machinery, threads): (Machinery, &str)) -> Self {
        ground.set(machinery);
        let _ = std::fs::remove_file(ground.world.path("firewall.log"));
        let args = JSON_LOG.iter().copied().chain(["--capture-threads", threads]);
        let pfw = enforce(&ground.world, "{}", args);
        ground.forget();
        let log = Log::open(&ground.world.path("firewall.log"));
        let host = pfw::host::read();
        let names = sh("ip -o link show").lines().filter_map(interface).collect();
        Self {
            ground,
            pfw,
            log,
            judge: Judge::new(),
            machinery,
            host,
            names,
            rejected: false,
            rejected_until: Instant::now(),
        }
    }

    /// Ends pfw; nothing may have been lost.
    fn stop(self) -> Ground {
        if let Ok(path) = std::env::var("PFW_VERDICT_LOG") {
            std::fs::copy(self.ground.world.path("firewall.log"), path).expect("the log can be copied");
        }
        let (code, said) = self.pfw.stop(libc::SIGTERM);
        assert_eq!(code, 0, "{said}");
        for nothing in ["lost in the kernel", "lost in the log"] {
            let is_zero = |line: &str| line.starts_with(nothing) && line.trim_end().ends_with(" 0");
            assert!(said.lines().any(is_zero), "{said}");
        }
        self.ground
    }

    /// One rule set and its packets. What disagreed.
    fn round(&mut self, seed: u64, tally: &mut Tally) -> Vec<String> {
        let start = Instant::now();
        let mut chance = Chance::new(seed);
        let (files, ruleset) = self.rules(&mut chance);
        let machinery = self.machinery;
        let is_panic = seed.is_multiple_of(PANIC);
        self.reload();
        let ruleset = if is_panic { self.begin_panic() } else { ruleset };
        let matcher = Matcher::new(&ruleset, &self.host, Timestamp::now());
        let late = self.clear();
        let mut traffic = Traffic::new(chance, machinery, self.ground.vlan, is_panic, last_id(seed));
        let shots: Vec<Shot> = (0..SHOTS).map(|_| traffic.next()).collect();
        for shot in &shots {
            tally.shot(shot);
            shot.send(&self.ground);
        }
        let happenings = self.ground.happened(&self.host);
        let frames = self.ground.frames();
        let names = &self.names;
        let name = |index: u32| names.get(&index).cloned().unwrap_or_default();
        let rejects = ruleset.rules.iter().any(|rule| rule.action == Action::Reject);
        // Answers to what an earlier rule set rejected are remembered for a while.
        let rejected = mem::replace(&mut self.rejected, rejects);
        self.judge.rejects = rejects || rejected || self.rejected_until > start;
        let verdicts = self.judge.decide(&matcher, happenings, &frames, name);
        let translates = machinery == Machinery::Translated;
        let expected = expected(&verdicts, &frames, &self.host, translates);
        let mut complaints: Vec<String> = late.into_iter().map(|line| format!("a late line: {line}")).collect();
        for verdict in &verdicts {
            tally.verdict(verdict);
            if !verdict.agrees() {
                complaints.push(format!("engine and kernel disagree: {verdict}"));
            }
        }
        complaints.extend(self.lines(&expected, tally));
        if is_panic {
            self.put_in_force(|bench| bench.steer(&["resume", "panic", "--force"]));
        }
        if rejects {
            self.rejected_until = Instant::now() + ANSWER_TIME;
        }
        if !complaints.is_empty() {
            if number("PFW_VERDICT_ALL").is_some() {
                for verdict in verdicts {
                    println!("{verdict}");
                }
            }
            complaints.insert(
                0,
                format!(
                    "{machinery:?}{}\n{}{}",
                    if is_panic { ", panic" } else { "" },
                    files.rules,
                    files.list.lines().take(8).collect::<Vec<_>>().join(" ")
                ),
            );
        }
        complaints
    }

    /// Rules that are valid.
    fn rules(&self, chance: &mut Chance) -> (Files, Ruleset) {
        loop {
            let files = Files::any(chance);
            std::fs::write(self.ground.world.path("rules.json"), &files.rules).expect("the scratch folder is writable");
            std::fs::write(self.ground.world.path("bulk.txt"), &files.list).expect("the scratch folder is writable");
            let loaded = pfw::rules::load(&self.ground.world.path("rules.json"));
            let fits = |rules: &Ruleset| self.machinery != Machinery::Bare || !tracks(rules);
            if let Some(loaded) = loaded.ok().filter(|loaded| fits(&loaded.ruleset)) {
                return (files, loaded.ruleset);
            }
        }
    }

    /// Has pfw read the rules again, and waits until they are in force.
    fn reload(&mut self) {
        self.put_in_force(|bench| bench.pfw.signal(libc::SIGHUP));
    }

    /// Has all blocked, but what the host says to itself. The rules that say so.
    fn begin_panic(&mut self) -> Ruleset {
        self.put_in_force(|bench| bench.steer(&["panic", "--force"]));
        Ruleset { panic: true, ..Ruleset::default() }
    }

    fn steer(&self, args: &[&str]) {
        let ran = run_in(self.ground.world.folder.path(), args.iter().copied());
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// Waits until pfw judges by the rules that `ask` has it put in force.
    fn put_in_force(&mut self, ask: impl FnOnce(&Self)) {
        self.log.read();
        self.log.about_itself.clear();
        ask(self);
        let start = Instant::now();
        while !self.log.about_itself.iter().any(|line| line.contains("rules-loaded")) {
            assert!(start.elapsed() < PATIENCE, "the rules are not in force: {:?}", self.log.about_itself);
            std::thread::sleep(Duration::from_millis(5));
            self.log.read();
        }
    }

    /// Forgets what happened before; the lines that came since are returned.
    fn clear(&mut self) -> Vec<String> {
        self.ground.forget();
        self.log.read().into_iter().map(|line| line.text).collect()
    }

    /// Waits for the lines, and holds them against what must be.
    fn lines(&mut self, expected: &[Expected], tally: &mut Tally) -> Vec<String> {
        let mut lines = Vec::new();
        let start = Instant::now();
        let mut last = Instant::now();
        loop {
            let more = self.log.read();
            if !more.is_empty() {
                last = Instant::now();
            }
            lines.extend(more);
            let verdicts = lines.iter().filter(|line| line.verdict != "anomaly").count();
            let enough = expected.iter().filter(|one| one.verdict != "anomaly" && !one.optional).count();
            let patience = if verdicts >= enough { QUIET } else { PATIENCE / 4 };
            let quiet = last.elapsed() > patience || start.elapsed() > PATIENCE;
            if verdicts >= enough || quiet {
                let complaints = compare(expected, &lines);
                if complaints.is_empty() || quiet {
                    for line in &lines {
                        tally.line(line);
                    }
                    return complaints;
                }
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether the rules need connection tracking.
fn tracks(rules: &Ruleset) -> bool {
    let denies = [rules.default_policy.incoming, rules.default_policy.outgoing].contains(&Policy::Deny);
    denies || !rules.allow_protocols.is_empty() || rules.rules.iter().any(|rule| rule.action != Action::Allow)
}

/// Index and name in a line of `ip -o link show`.
fn interface(line: &str) -> Option<(u32, String)> {
    let (index, rest) = line.split_once(": ")?;
    let (name, _) = rest.split_once(": ")?;
    Some((index.parse().ok()?, name.split('@').next()?.to_owned()))
}
