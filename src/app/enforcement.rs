//! The rules in the kernel, seen from the main thread: put in force at the start, replaced with each change, watched,
//! and taken out at the end.

use super::generations::Counted;
use super::kernel_rules::KernelRules;
use super::seeding::{Seeds, seed_kernel};
use crate::engine::Matcher;
use crate::firewall::{self, Backend, Backoff, Change, Counter, Disturbance, Installed, Options, Plan, Tools, Variant};
use crate::host::Host;
use crate::rules::Ruleset;
use crate::time::Timestamp;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::time::Duration;

/// Groups that are tried for the reports: away from those that administrators write by hand.
pub const NFLOG_GROUPS: std::ops::RangeInclusive<u16> = 20_700..=20_763;

/// What would be given to the kernel, as text; `reports` as for a run that wants to know of each packet that is dropped.
pub fn dry_run(ruleset: &Ruleset, host: &Host, reports: bool) -> String {
    let nflog_group = reports.then_some(*NFLOG_GROUPS.start());
    // Without any tools it is written for those that are usual.
    let backend = Tools::find(Variant::Usual).map_or(Backend::NfTables, |tools| tools.matches());
    Plan::new(ruleset, host, options(backend, (1, nflog_group)), Timestamp::now()).to_string()
}

/// Rules, and the machine that they are for.
#[derive(Clone, Copy)]
pub struct Acting<'a> {
    /// The rules.
    pub ruleset: &'a Ruleset,
    /// The machine.
    pub host: &'a Host,
}

/// The plan for a rule set that comes after another, with rules in the raw table where there is one.
fn plan(
    tools: &Tools,
    before: Option<&Plan>,
    Acting { ruleset, host }: Acting<'_>,
    marks: (u32, Option<u16>),
    now: Timestamp,
) -> Plan {
    let bpf = !before.is_some_and(Plan::does_without_bpf);
    let mut options = Options { bpf, ..options(tools.matches(), marks) };
    let compile = |options| match before {
        Some(before) => before.next(ruleset, host, options, now),
        None => Plan::new(ruleset, host, options, now),
    };
    let plan = compile(options);
    options.raw = !plan.uses_raw() || tools.have_raw();
    // It takes time to ask, and does not change.
    options.bpf &= !plan.uses_bpf() || before.is_some_and(Plan::uses_bpf) || tools.have_bpf();
    if (options.raw, options.bpf) == (true, bpf) { plan } else { compile(options) }
}

/// Options of a plan with this generation and group for reports.
fn options(backend: Backend, (generation, nflog_group): (u32, Option<u16>)) -> Options {
    let (last_user, forwards) = (firewall::last_user(), firewall::forwards());
    Options { generation, nflog_group, raw: true, bpf: true, last_user, backend, forwards }
}

/// The rules in force.
pub struct Enforcement {
    installed: Installed,
    /// Where what is dropped is reported; without it the kernel's counters are all there is.
    nflog_group: Option<u16>,
    keep: bool,
    repairs: Backoff,
    /// What the kernel was told of open connections, until the engine is.
    seeds: Option<Seeds>,
    /// What is wrong and was told, where it was not put right.
    told: Vec<Disturbance>,
    /// The names of the rules in force.
    names: Arc<KernelRules>,
    /// What their counters told before they began anew, because the rules were put in twice or put back.
    counted: Vec<u64>,
}

/// What a look at the kernel's rules has shown.
#[derive(Debug)]
pub struct Look {
    /// The rules are as they should be, by now.
    pub right: bool,
    /// What is to be said of it; nothing if all was well, or is as bad as before.
    pub words: Option<String>,
}

impl Enforcement {
    /// Puts the rules in force. `announce` is told their names before, `say` what is to be said to the user.
    pub fn start(
        acting: Acting<'_>,
        matcher: &Arc<Matcher>,
        nflog_group: Option<u16>,
        keep: bool,
        announce: impl Fn(Arc<KernelRules>),
        say: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        let tools = Tools::find(Variant::Usual)?;
        let now = Timestamp::now();
        // Another number than the last run's: its sets may still be there.
        let first = u32::try_from(now.parts().0 & i64::from(u32::MAX)).unwrap_or(1);
        let plan = plan(&tools, None, acting, (first, nflog_group), now);
        let names = Arc::new(KernelRules::new(&plan, Arc::clone(matcher), now));
        announce(Arc::clone(&names));
        let tracks = plan.tracks();
        if tracks {
            seed_kernel(say);
        }
        let installed = Installed::start(plan, tools).context("cannot put the rules in force")?;
        if tracks {
            // Those that were opened meanwhile, which the engine has seen. What goes wrong was said.
            seed_kernel(&mut |_| ());
        }
        let (repairs, told, counted) = (Backoff::default(), Vec::new(), Vec::new());
        Ok(Self { installed, nflog_group, keep, repairs, seeds: None, told, names, counted })
    }

    /// From when on the kernel has had the rules in force.
    pub fn since(&self) -> Timestamp {
        self.installed.since()
    }

    /// What the engine is to be told of open connections, once.
    pub fn take_seeds(&mut self) -> Option<Seeds> {
        self.seeds.take()
    }

    /// Which iptables carries the rules out, and what it lacks.
    pub fn tools(&self) -> String {
        let tools = self.installed.tools();
        let plan = self.installed.plan();
        let without_raw =
            plan.does_without_raw().then_some(", without a raw table: long lists act in the filter table");
        let without_bpf = plan
            .does_without_bpf()
            .then_some(", without the bpf match: with a rule that rejects, all IPv6 resets without a socket pass");
        format!("{tools}{}{}", without_raw.unwrap_or_default(), without_bpf.unwrap_or_default())
    }

    /// Puts other rules in force, or none at all, in one transaction for each family. On failure the old ones are.
    /// `matcher` is the rules compiled for packets. Returns what those that are replaced had dropped by an instant
    /// before: the kernel forgets it with them.
    pub fn replace(
        &mut self,
        acting: Acting<'_>,
        matcher: Option<&Arc<Matcher>>,
        announce: impl Fn(Arc<KernelRules>),
        say: &mut dyn FnMut(&str),
    ) -> Result<Counted> {
        let generation = self.installed.plan().generation().wrapping_add(1);
        let now = Timestamp::now();
        let marks = (generation, self.nflog_group);
        let (plan, names) = if let Some(matcher) = matcher {
            let plan = plan(self.installed.tools(), Some(self.installed.plan()), acting, marks, now);
            let names = KernelRules::new(&plan, Arc::clone(matcher), now);
            (plan, names)
        } else {
            (
                Plan::nothing(options(self.installed.tools().matches(), marks)),
                KernelRules::at_rest(generation, acting.host, now),
            )
        };
        let names = Arc::new(names);
        announce(Arc::clone(&names));
        let (tracked, tracks) = (self.installed.plan().tracks(), plan.tracks());
        let seeds = (tracks && !tracked).then(|| seed_kernel(say));
        match self.installed.replace(plan).context("cannot put the new rules in force") {
            Ok(ended) => {
                if seeds.is_some() {
                    // Those that were opened meanwhile, which the engine has seen. What goes wrong was said.
                    seed_kernel(&mut |_| ());
                }
                self.seeds = seeds;
                let counted = self.add_up(&ended.old, true);
                self.counted = ended.new.iter().map(|counter| counter.packets).collect();
                self.names = names;
                Ok(counted)
            }
            Err(error) => {
                announce(Arc::clone(&self.names));
                Err(error)
            }
        }
    }

    /// What each rule has dropped.
    pub fn count(&self) -> Result<Counted> {
        let counters = self.installed.counters().context("cannot read the kernel's counters")?;
        Ok(self.add_up(&counters, false))
    }

    fn add_up(&self, counters: &[Counter], last: bool) -> Counted {
        let before = self.counted.iter().copied().chain(std::iter::repeat(0));
        let dropped = counters.iter().zip(before).map(|(counter, before)| counter.packets + before).collect();
        Counted { generation: self.names.generation, last, dropped }
    }

    /// Remembers what the rules had dropped before they were written anew, if they were.
    fn keep_count(&mut self, before: Result<Counted>) {
        let (Ok(before), Ok(now)) = (before, self.count()) else { return };
        let lost = before.dropped.iter().zip(&now.dropped).map(|(before, now)| before.saturating_sub(*now));
        self.counted.resize(before.dropped.len(), 0);
        self.counted.iter_mut().zip(lost).for_each(|(counted, lost)| *counted += lost);
    }

    /// Whether the kernel tells of changes to the tables that the rules are in.
    pub fn is_told(&self) -> bool {
        !self.installed.tools().is_legacy()
    }

    /// Whether a change of the tables is a reason to look at our rules.
    pub fn may_concern(&self, change: &Change) -> bool {
        self.is_told() && self.installed.may_concern(change)
    }

    /// Looks whether the guardian is there still, and has another take its place. What there is to be said of it.
    pub fn mind_guardian(&mut self) -> Option<String> {
        match self.installed.mind_guardian() {
            Ok(false) => None,
            Ok(true) => Some("the guardian process was killed; another one watches now".to_owned()),
            Err(error) => Some(format!(
                "the guardian process was killed, and there is no other: {error}; if pfw is killed too, 'pfw clean' removes the rules"
            )),
        }
    }

    /// Looks whether somebody has changed our rules, and puts them back. `suspects` names who changed something.
    pub fn look_after(&mut self, uptime: Duration, suspects: &str) -> Result<Look> {
        let found = self.installed.check().context("cannot read the kernel's rules")?;
        if found.is_empty() {
            self.told.clear();
            return Ok(Look { right: true, words: None });
        }
        let by = Some(format!("changed by {suspects}")).filter(|_| !suspects.is_empty());
        let mut words = found.iter().map(Disturbance::to_string).chain(by).collect::<Vec<_>>().join("; ");
        if self.repairs.may_repair(uptime) {
            let before = self.count();
            self.installed.repair().with_context(|| format!("{words}; cannot put the rules back"))?;
            self.keep_count(before);
            self.told.clear();
            return Ok(Look { right: true, words: Some(words + "; the rules were put back") });
        }
        let is_news = self.told.is_empty();
        self.told = found;
        words += "; somebody keeps changing the rules: they are put back within a minute";
        Ok(Look { right: false, words: is_news.then_some(words) })
    }

    /// The rules may stay, as far as the user is concerned: from now on nobody takes them out when pfw dies, if they are
    /// to be kept.
    pub fn confirmed(&mut self) -> Result<()> {
        if self.keep { self.installed.keep().context("cannot leave the rules in force") } else { Ok(()) }
    }

    /// Whether the rules stay when pfw ends: it was asked for, and no confirmation is missing.
    pub const fn stays(&self, unconfirmed: bool) -> bool {
        self.keep && !unconfirmed
    }

    /// Takes the rules out, or leaves them where that was asked for and no confirmation is missing. Returns what was
    /// done, in words.
    pub fn finish(
        self,
        unconfirmed: bool,
        host: &Host,
        announce: impl FnOnce(Arc<KernelRules>),
    ) -> Result<&'static str> {
        if self.stays(unconfirmed) {
            return Ok("the rules stay in force; `pfw clean` removes them");
        }
        let generation = self.installed.plan().generation().wrapping_add(1);
        announce(Arc::new(KernelRules::at_rest(generation, host, Timestamp::now())));
        self.installed.remove().context("cannot remove the rules; `pfw clean` does")?;
        Ok("all rules were removed")
    }
}
