//! What the kernel's rules dropped, held against what was reported of it and what was logged.

use crate::record::Summary;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The account of a rule, or of all.
///
/// `dropped + unread = reported + missing`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Packets that the kernel's counters tell. They are those of the rules that drop (DROP, REJECT); a rule that
    /// reports (NFLOG) stands in front of each, with a counter of its own that is not asked.
    pub dropped: u64,
    /// Packets that the kernel reported.
    pub reported: u64,
    /// Reports beyond what the counters told: of packets that were dropped after their rule's counter had been read for
    /// the last time, be it that the rule was replaced an instant later or that this is under way. Counters that
    /// somebody else has set to zero show up here too.
    pub unread: u64,
    /// Packets that were dropped, and of which no report came.
    pub missing: u64,
    /// Reports whose packets have a line in the log.
    pub logged: u64,
}

impl Account {
    /// What was dropped by a counter, reported and logged of one rule.
    pub const fn new(dropped: u64, reported: u64, logged: u64) -> Self {
        let (unread, missing) = (reported.saturating_sub(dropped), dropped.saturating_sub(reported));
        Self { dropped, reported, unread, missing, logged }
    }

    /// Adds another account.
    pub const fn add(&mut self, other: &Self) {
        self.dropped += other.dropped;
        self.reported += other.reported;
        self.unread += other.unread;
        self.missing += other.missing;
        self.logged += other.logged;
    }
}

/// The account of each rule, by id.
pub type Accounts = BTreeMap<Arc<str>, Account>;

/// What `pfw audit` shows: as a table, or serialized.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Rules that dropped or reported anything, by id.
    pub rules: BTreeMap<String, Account>,
    /// All of them together.
    pub sum: Account,
    /// Reports that the kernel numbered and had no room for. Which rules made them is not known.
    pub lost: u64,
    /// Dropped packets of which neither a report nor its loss is known: `sum.missing` less `lost`.
    pub unaccounted: u64,
    /// Nothing is reported, because nothing is logged: the counters are all there is.
    pub unreported: bool,
}

impl Audit {
    /// The audit of these accounts, `lost` reports being known to be lost.
    pub fn new(accounts: &Accounts, lost: u64) -> Self {
        let told = accounts.iter().filter(|(_, account)| **account != Account::default());
        let rules: BTreeMap<_, _> = told.map(|(id, &account)| (id.to_string(), account)).collect();
        let mut sum = Account::default();
        for account in rules.values() {
            sum.add(account);
        }
        Self { rules, sum, lost, unaccounted: sum.missing.saturating_sub(lost), unreported: false }
    }

    /// The same, where nobody expects reports.
    #[must_use]
    pub fn of_counters_alone(self) -> Self {
        Self { unaccounted: 0, unreported: true, ..self }
    }

    /// Adds the packets that were dropped to what is said of a run that saw none of them.
    pub fn instead_of_reports(self, mut summary: Summary) -> Summary {
        summary.packets += self.sum.dropped;
        summary.blocked += self.sum.dropped;
        for (id, account) in self.rules {
            *summary.rules.entry(id).or_default() += account.dropped;
        }
        summary
    }

    /// Whether each dropped packet was reported, or its report is known to be lost.
    pub const fn adds_up(&self) -> bool {
        self.unaccounted == 0
    }
}

impl fmt::Display for Audit {
    /// A line for each rule, their sum, and whether it adds up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>12} {:>12} {:>12} {:>12} {:>12}  rule", "dropped", "reported", "unread", "missing", "logged")?;
        let all = self.rules.iter().map(|(id, account)| (id.as_str(), account));
        for (id, account) in all.chain([("all together", &self.sum)]) {
            let Account { dropped, reported, unread, missing, logged } = account;
            writeln!(f, "{dropped:>12} {reported:>12} {unread:>12} {missing:>12} {logged:>12}  {id}")?;
        }
        writeln!(f, "reports lost: {}", self.lost)?;
        if self.unreported {
            writeln!(f, "nothing is logged, and so nothing is reported: the kernel's counters are all there is")
        } else if self.adds_up() {
            writeln!(f, "the kernel's counters, its reports and the losses add up")
        } else {
            writeln!(f, "{} packets were dropped of which neither a report nor its loss is known", self.unaccounted)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(all: &[(&str, [u64; 3])]) -> Accounts {
        all.iter()
            .map(|&(id, [dropped, reported, logged])| (id.into(), Account::new(dropped, reported, logged)))
            .collect()
    }

    #[test]
    fn the_table_shows_each_rule_and_the_sum() {
        let audit = Audit::new(&accounts(&[("ping", [3, 3, 3]), ("web", [10, 8, 7]), ("idle", [0; 3])]), 2);
        assert_eq!(
            audit.to_string(),
            "     dropped     reported       unread      missing       logged  rule
           3            3            0            0            3  ping
          10            8            0            2            7  web
          13           11            0            2           10  all together
reports lost: 2
the kernel's counters, its reports and the losses add up
"
        );
    }

    #[test]
    fn a_drop_that_nobody_told_is_seen_though_another_rule_has_reports_to_spare() {
        let audit = Audit::new(&accounts(&[("a", [5, 9, 9]), ("b", [4, 2, 2])]), 1);
        assert_eq!((audit.sum.unread, audit.sum.missing, audit.unaccounted), (4, 2, 1));
        assert!(!audit.adds_up());
        assert!(
            audit.to_string().ends_with("\n1 packets were dropped of which neither a report nor its loss is known\n")
        );
        let json = serde_json::to_value(&audit).unwrap();
        assert_eq!((&json["rules"]["b"]["missing"], &json["unaccounted"]), (&2.into(), &1.into()));
    }

    #[test]
    fn both_sides_are_equal_whatever_was_counted() {
        for (dropped, reported) in [(0, 0), (7, 3), (3, 7)] {
            let account = Account::new(dropped, reported, 0);
            assert_eq!(account.dropped + account.unread, account.reported + account.missing);
        }
    }
}
