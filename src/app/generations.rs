//! The rule sets that were given to the kernel, one after the other: whose rule a report names, and the account of each.

use super::audit::{Accounts, Audit};
use super::kernel_rules::{KernelRule, KernelRules};
use super::withheld::By;
use crate::control::report::Account;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Rule sets that are remembered after they were replaced: reports of packets that they dropped may still come, for a
/// tenth of a second. A large one takes some ten megabytes.
const REMEMBERED: usize = 4;
/// Rule sets that are remembered while their last counters are awaited: small ones can follow each other faster than
/// counters are taken. One that never came into force has none.
const AWAITED: usize = 32;
/// How long it may take until the kernel has all of a rule set that was announced: the two families get it one after
/// the other, and large sets take seconds.
const SWITCH: Duration = Duration::from_secs(5);

/// Counters of the kernel, read just now.
#[derive(Debug)]
pub struct Counted {
    /// Of which generation.
    pub generation: u32,
    /// The rules have been taken out: there will be no others.
    pub last: bool,
    /// Packets that each rule has dropped, by number.
    pub dropped: Vec<u64>,
}

/// The generations whose reports can still come, the latest first.
#[derive(Debug, Default)]
pub struct Generations {
    known: VecDeque<Generation>,
    /// The accounts of those that were forgotten.
    past: Accounts,
}

#[derive(Debug)]
struct Generation {
    kernel: Arc<KernelRules>,
    tallies: Vec<Tally>,
    /// Its last counters have been taken.
    settled: bool,
}

/// What is known of a rule.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    dropped: u64,
    reported: u64,
    logged: u64,
}

impl Tally {
    const fn account(self) -> Account {
        Account::new(self.dropped, self.reported, self.logged)
    }
}

impl Generation {
    fn new(kernel: Arc<KernelRules>) -> Self {
        Self { tallies: vec![Tally::default(); kernel.rules.len()], kernel, settled: false }
    }

    fn accounts(&self) -> impl Iterator<Item = (&Arc<str>, Account)> {
        self.kernel.rules.iter().map(|rule| &rule.info.id).zip(self.tallies.iter().map(|tally| tally.account()))
    }
}

impl Generations {
    /// Takes a generation in before it is put in force. One that is known comes back: what was to replace it failed.
    pub fn add(&mut self, kernel: Arc<KernelRules>) {
        let known = self.known.iter().position(|known| known.kernel.generation == kernel.generation);
        let generation = known.and_then(|place| self.known.remove(place)).unwrap_or_else(|| Generation::new(kernel));
        self.known.push_front(generation);
        self.forget();
    }

    /// Keeps of rule sets whose time is over their accounts alone.
    fn forget(&mut self) {
        while self.known.len() > REMEMBERED {
            let settled = self.known.iter().rposition(|known| known.settled).filter(|&place| place >= REMEMBERED);
            let too_old = self.known.len().checked_sub(1).filter(|&place| place >= AWAITED);
            let Some(forgotten) = settled.or(too_old).and_then(|place| self.known.remove(place)) else { return };
            add(&mut self.past, forgotten.accounts());
        }
    }

    /// The rule that a report names.
    pub fn rule(&self, by: &By) -> Option<&KernelRule> {
        self.kernel(by)?.rules.get(by.number as usize)
    }

    /// The rule set that a report names.
    pub fn kernel(&self, by: &By) -> Option<&KernelRules> {
        self.known.iter().map(|known| &*known.kernel).find(|kernel| kernel.generation == by.generation)
    }

    /// The rule set that was given to the kernel after the one that a report names.
    pub fn successor(&self, by: &By) -> Option<&KernelRules> {
        let place = self.known.iter().position(|known| known.kernel.generation == by.generation)?;
        self.known.get(place.checked_sub(1)?).map(|known| &*known.kernel)
    }

    /// The rule sets that can have been in force at a time, the latest first.
    pub fn in_force(&self, time: Timestamp) -> impl Iterator<Item = &KernelRules> {
        let replaced = std::iter::once(Timestamp::MAX).chain(self.known.iter().map(|next| next.kernel.announced));
        let all = self.known.iter().map(|known| &*known.kernel).zip(replaced);
        let may = move |&(kernel, replaced): &(&KernelRules, Timestamp)| {
            kernel.announced <= time && time <= replaced.plus(SWITCH)
        };
        all.filter(may).map(|(kernel, _)| kernel)
    }

    /// Whether the rules may have been taken out at a time, because enforcement rested or ended.
    pub fn may_rest(&self, time: Timestamp) -> bool {
        self.in_force(time).any(|kernel| kernel.rest)
    }

    /// A report came.
    pub fn reported(&mut self, by: &By) {
        self.tally(by, |tally| tally.reported += 1);
    }

    /// A line was written about a report.
    pub fn logged(&mut self, by: &By) {
        self.tally(by, |tally| tally.logged += 1);
    }

    fn tally(&mut self, by: &By, count: impl FnOnce(&mut Tally)) {
        let known = self.known.iter_mut().find(|known| known.kernel.generation == by.generation);
        if let Some(tally) = known.and_then(|known| known.tallies.get_mut(by.number as usize)) {
            return count(tally);
        }
        let mut tally = Tally::default();
        count(&mut tally);
        // Without the other half of its account a tally can't be held against anything.
        let Tally { reported, logged, .. } = tally;
        let unknown = self.past.entry(Arc::from("unknown")).or_default();
        unknown.add(&Account { reported, unread: reported, logged, ..Account::default() });
    }

    /// The kernel's counters were read.
    pub fn counted(&mut self, counted: &Counted) {
        let known = self.known.iter_mut().find(|known| known.kernel.generation == counted.generation);
        let Some(known) = known else { return };
        known.settled |= counted.last;
        for (tally, &dropped) in known.tallies.iter_mut().zip(&counted.dropped) {
            tally.dropped = dropped;
        }
        self.forget();
    }

    /// All accounts, `lost` reports being known to be lost.
    pub fn audit(&self, lost: u64) -> Audit {
        let mut accounts = self.past.clone();
        for known in &self.known {
            add(&mut accounts, known.accounts());
        }
        Audit::new(&accounts, lost)
    }
}

fn add<'a>(accounts: &mut Accounts, more: impl Iterator<Item = (&'a Arc<str>, Account)>) {
    for (id, account) in more.filter(|(_, account)| *account != Account::default()) {
        accounts.entry(Arc::clone(id)).or_default().add(&account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Matcher;
    use crate::firewall::{Origin, PlannedRule};
    use crate::host::Host;
    use crate::rules::Ruleset;

    fn kernel(generation: u32, announced: i64) -> Arc<KernelRules> {
        let rule =
            |id: &str| PlannedRule { id: id.into(), list: None, origin: Origin::Rules, rejects: false, shares: false };
        let rules = ["ping", "web"].map(|id| rule(id).into()).into();
        let matcher = Arc::new(Matcher::new(&Ruleset::default(), &Host::default(), Timestamp::MIN));
        let announced = Timestamp::from_parts(announced, 0);
        Arc::new(KernelRules { generation, rules, matcher, announced, shared: None, rest: false })
    }

    fn by(generation: u32, number: u32) -> By {
        By { generation, number, uid: None, corrupt: false }
    }

    fn counted(generation: u32, dropped: &[u64]) -> Counted {
        Counted { generation, last: true, dropped: dropped.into() }
    }

    fn generations(n: u32) -> Generations {
        let mut generations = Generations::default();
        replace(&mut generations, 1..=n);
        generations
    }

    /// Rule sets come and go.
    fn replace(generations: &mut Generations, numbers: std::ops::RangeInclusive<u32>) {
        for number in numbers {
            generations.add(kernel(number, i64::from(number) * 100));
            generations.counted(&counted(number - 1, &[]));
        }
    }

    #[test]
    fn accounts_outlive_their_rule_sets() {
        let mut generations = generations(1);
        for _ in 0..5 {
            generations.reported(&by(1, 1));
            generations.logged(&by(1, 1));
        }
        // Two more are dropped before the rules are replaced; one of the reports is lost.
        generations.counted(&counted(1, &[0, 5]));
        generations.reported(&by(1, 1));
        replace(&mut generations, 2..=8);
        generations.reported(&by(8, 1));
        generations.counted(&counted(8, &[4, 1]));
        let audit = generations.audit(3);
        assert_eq!(audit.rules["web"], Account { dropped: 6, reported: 7, unread: 1, missing: 0, logged: 5 });
        assert_eq!((audit.rules["ping"].missing, audit.unaccounted), (4, 1));
    }

    #[test]
    fn a_rule_set_is_remembered_until_its_last_counters_came_but_not_for_ever() {
        let mut generations = Generations::default();
        let wanted = |generations: &Generations| generations.known.len();
        (1..=10).for_each(|number| generations.add(kernel(number, 100)));
        generations.reported(&by(1, 1));
        generations.counted(&Counted { last: false, ..counted(1, &[0, 1]) });
        assert_eq!(wanted(&generations), 10);
        generations.counted(&counted(1, &[0, 3]));
        assert_eq!(wanted(&generations), 9);
        assert_eq!(generations.audit(0).rules["web"], Account::new(3, 1, 0));
        (2..=9).for_each(|number| generations.counted(&counted(number, &[])));
        assert_eq!(wanted(&generations), REMEMBERED);
        (11..=90).for_each(|number| generations.add(kernel(number, 100)));
        assert_eq!(wanted(&generations), AWAITED);
    }

    #[test]
    fn a_report_by_rules_that_are_forgotten_is_counted_all_the_same() {
        let mut generations = generations(9);
        generations.reported(&by(1, 0));
        generations.reported(&by(9, 7));
        let audit = generations.audit(0);
        assert_eq!((audit.rules["unknown"].reported, audit.rules["unknown"].unread), (2, 2));
        assert_eq!(audit.unaccounted, 0);
        assert!(generations.rule(&by(1, 0)).is_none() && generations.rule(&by(9, 1)).is_some());
        assert_eq!(generations.successor(&by(8, 0)).map(|kernel| kernel.generation), Some(9));
        assert!(generations.successor(&by(9, 0)).is_none() && generations.successor(&by(1, 0)).is_none());
    }

    #[test]
    fn the_rule_sets_of_a_time_are_those_that_it_may_have_fallen_to() {
        let at = |seconds| {
            let time = Timestamp::from_parts(seconds, 0);
            generations(3).in_force(time).map(|kernel| kernel.generation).collect::<Vec<_>>()
        };
        assert_eq!(at(99), [0; 0]);
        assert_eq!(at(199), [1]);
        assert_eq!(at(202), [2, 1], "it was announced and may not be in force yet");
        assert_eq!(at(206), [2]);
        assert_eq!(at(100_000), [3]);
    }

    #[test]
    fn a_rule_set_whose_successor_failed_is_the_latest_again_and_keeps_its_account() {
        let mut generations = generations(2);
        generations.reported(&by(1, 0));
        generations.add(kernel(1, 100));
        assert_eq!(generations.in_force(Timestamp::from_parts(1000, 0)).next().unwrap().generation, 1);
        assert_eq!(generations.audit(0).rules["ping"].reported, 1);
    }
}
