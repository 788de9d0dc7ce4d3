//! What a plan has more than the one in force, where that is some entries of one set of blocked peers: they can be in
//! the kernel long before the transaction that makes the new plan whole.
//!
//! The set in force gets them while its rules still stand. With them the old rules do what the new ones will do, and
//! what they drop bears the mark of the old rule set.

use super::sets::PlannedSet;
use super::{Origin, Plan};
use crate::firewall::family::Family;
use crate::firewall::names::without_marks;
use std::net::IpAddr;

/// Entries for a set that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// The set.
    pub(in crate::firewall) set: String,
    /// Networks, each with the length of its prefix.
    pub(in crate::firewall) entries: Vec<(IpAddr, u8)>,
}

impl Plan {
    /// What a set of `taken`, which is in force, lacks of the set that takes its place here. `None` where anything else
    /// is different, or the set serves more than to tell which peers are blocked: a packet on its way through could then
    /// meet it both without the entries and with them.
    pub(in crate::firewall) fn growth(&self, taken: &Self) -> Option<Growth> {
        let (old, new) = self.replaced_set(taken)?;
        let entries = old.lacking(new)?;
        let are_alike = |family| is_alike(self, taken, (old, new), family);
        (Family::BOTH.into_iter().all(are_alike) && taken.only_blocks_peers(old))
            .then(|| Growth { set: old.name.clone(), entries })
    }

    /// The one set that has another in its place.
    fn replaced_set<'a>(&'a self, taken: &'a Self) -> Option<(&'a PlannedSet, &'a PlannedSet)> {
        if self.sets.len() != taken.sets.len() {
            return None;
        }
        let mut replaced = taken.sets.iter().zip(&self.sets).filter(|(old, new)| old.name != new.name);
        let one = replaced.next();
        one.filter(|_| replaced.next().is_none())
    }

    fn only_blocks_peers(&self, set: &PlannedSet) -> bool {
        let rules = Family::BOTH.into_iter().flat_map(|family| self.chains(family)).flat_map(|chain| &chain.rules);
        let mut users = rules.filter(|rule| rule.text.contains(&set.name));
        users.all(|rule| {
            let served = rule.number.and_then(|number| self.rules.get(number as usize));
            served.is_some_and(|rule| matches!(rule.origin, Origin::BlockIps | Origin::BlockLists))
        })
    }
}

/// Whether two plans are the same but for their marks and a set that has another in its place.
fn is_alike(next: &Plan, taken: &Plan, (old, new): (&PlannedSet, &PlannedSet), family: Family) -> bool {
    let (now, before) = (next.chains(family), taken.chains(family));
    let plain = |text: &str, of: &Plan| without_marks(text, of.options.generation);
    now.len() == before.len()
        && now.iter().zip(before).all(|(now, before)| {
            now.rules.len() == before.rules.len()
                && plain(&now.name, next) == plain(&before.name, taken)
                && now.rules.iter().zip(&before.rules).all(|(now, before)| {
                    plain(&now.text, next) == plain(&before.text.replace(&old.name, &new.name), taken)
                })
        })
}
