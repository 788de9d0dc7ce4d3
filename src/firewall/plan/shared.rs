//! Many ordered rules that block: one kernel rule each instead of two.
//!
//! Few of them report and drop in place, where users look for them. Of many each only leads into a chain that does both
//! for all, and counts what it led there; that halves what there is to be put in force, to be read back, and to be walked
//! through. A report from there names no rule of the file. But it holds the packet, and the first ordered rule that the
//! packet satisfies is the one that led it there; so only those rules share whose conditions a report shows.

use super::ledger::{Ledger, Origin};
use crate::rules::{Action, Rule};

/// How many ordered rules that block share: what they save then is some milliseconds at the start, and two microseconds
/// for each packet that passes them.
pub(super) const MANY: usize = 100;

/// Gives the reports of all that share a number, if they are enough.
pub(super) fn number<'r>(rules: impl Iterator<Item = &'r Rule>, ledger: &mut Ledger) -> Option<u32> {
    let many = rules.filter(|rule| can_share(rule)).nth(MANY - 1).is_some();
    many.then(|| ledger.add(&"shared-rules".into(), Origin::Rules))
}

/// Whether what a rule blocks can be told from a report. The name of an interface can be another by then.
pub(super) fn can_share(rule: &Rule) -> bool {
    rule.action == Action::Block && rule.interface.is_empty()
}
