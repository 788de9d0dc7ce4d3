//! What the kernel's rules dropped, held against what was reported of it and what was logged.

use crate::control::limits::RULES_IN_AUDIT;
use crate::control::report::{Account, AuditReport, RuleAccount};
use crate::record::{Differences, Summary};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The account of each rule, by id.
pub type Accounts = BTreeMap<Arc<str>, Account>;

/// What the kernel's rules dropped, reported and have lines of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    /// What is told of it: the rules that dropped most, with what else counts beside.
    pub fn report(self, differences: Differences, lost_log: u64) -> AuditReport {
        let mut rules: Vec<_> = self.rules.into_iter().map(|(id, account)| RuleAccount { id, account }).collect();
        // The sort is stable, and the map is in the order of ids.
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.account.dropped.max(rule.account.reported)));
        let left_out = rules.len().saturating_sub(RULES_IN_AUDIT);
        rules.truncate(RULES_IN_AUDIT);
        AuditReport {
            rules,
            left_out,
            sum: self.sum,
            lost_reports: self.lost,
            lost_log,
            unaccounted: self.unaccounted,
            unreported: self.unreported,
            differences: differences.iter().map(|(cause, n)| (cause.name().to_owned(), n)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Cause;

    fn accounts(all: &[(&str, [u64; 3])]) -> Accounts {
        all.iter()
            .map(|&(id, [dropped, reported, logged])| (id.into(), Account::new(dropped, reported, logged)))
            .collect()
    }

    #[test]
    fn the_report_has_the_rules_that_dropped_most_first() {
        let audit = Audit::new(&accounts(&[("ping", [3, 3, 3]), ("web", [10, 8, 7]), ("idle", [0; 3])]), 2);
        let mut differences = Differences::default();
        differences.add(Cause::Window);
        let report = audit.report(differences, 5);
        let ids: Vec<_> = report.rules.iter().map(|rule| rule.id.as_str()).collect();
        assert_eq!((ids, report.left_out), (vec!["web", "ping"], 0));
        assert_eq!(report.sum, Account { dropped: 13, reported: 11, unread: 0, missing: 2, logged: 10 });
        assert_eq!((report.lost_reports, report.lost_log, report.unaccounted), (2, 5, 0));
        assert_eq!(report.differences, BTreeMap::from([("window".to_owned(), 1)]));
    }

    #[test]
    fn rules_that_find_no_room_in_the_report_are_counted_and_in_the_sum() {
        let many: Accounts = (1..=u64::try_from(RULES_IN_AUDIT).unwrap() + 5)
            .map(|n| (n.to_string().as_str().into(), Account::new(n, n, n)))
            .collect();
        let all: u64 = many.values().map(|account| account.dropped).sum();
        let report = Audit::new(&many, 0).report(Differences::default(), 0);
        assert_eq!((report.rules.len(), report.left_out, report.sum.dropped), (RULES_IN_AUDIT, 5, all));
        assert!(report.rules.iter().all(|rule| rule.account.dropped > 5));
    }

    #[test]
    fn a_drop_that_nobody_told_is_seen_though_another_rule_has_reports_to_spare() {
        let audit = Audit::new(&accounts(&[("a", [5, 9, 9]), ("b", [4, 2, 2])]), 1);
        assert_eq!((audit.sum.unread, audit.sum.missing, audit.unaccounted), (4, 2, 1));
    }
}
