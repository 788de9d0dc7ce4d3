//! What a plan adds to the chains in force, where it changes nothing else in them: that can be in the kernel before the
//! transaction that makes the new plan whole.
//!
//! Once a transaction has taken rules out, the kernel lets the next one wait until no processor can see them any more:
//! some twenty milliseconds, now and then four times that (`nft_compat_wait_for_destructors`, `nft_rcv_nl_event`). Of
//! two families that change, one would wait for the other. To add takes nothing out. With what is added the chains in
//! force say what the new ones will say, and what the added rules drop bears the mark of the new rule set.

use super::{Chain, KernelRule, Plan};
use crate::firewall::family::Family;
use crate::firewall::names::{TableName, without_marks};
use std::fmt::Write;

/// More rules than this are not added ahead: for each the tool counts those in front of it.
const MOST: usize = 64;

/// A chain in force, with what is added to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::firewall) struct Addition<'a> {
    /// Its name.
    pub(in crate::firewall) chain: &'a str,
    /// Its rules then, in their order.
    pub(in crate::firewall) rules: Vec<Placed<'a>>,
}

/// A rule in such a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::firewall) enum Placed<'a> {
    /// One in force.
    Stays(&'a KernelRule),
    /// One of the new plan.
    Added(&'a KernelRule),
}

impl<'a> Placed<'a> {
    /// The rule.
    pub(in crate::firewall) fn rule(self) -> &'a KernelRule {
        match self {
            Self::Stays(rule) | Self::Added(rule) => rule,
        }
    }
}

impl Plan {
    /// What this plan adds to the filter table of `taken`, which is in force. `None` if it is nothing, or if anything
    /// else is different.
    pub(in crate::firewall) fn ahead<'a>(&'a self, taken: &'a Self, family: Family) -> Option<Vec<Addition<'a>>> {
        let chains = |plan: &'a Self| plan.chains_of(family, TableName::Filter).collect::<Vec<_>>();
        let rules = |chains: &[&Chain]| chains.iter().map(|chain| chain.rules.len()).sum::<usize>();
        let (now, before) = (chains(self), chains(taken));
        // All rules in force stay, so that their numbers tell how many are added.
        let count = rules(&now).checked_sub(rules(&before))?;
        if now.len() != before.len() || !(1..=MOST).contains(&count) {
            return None;
        }
        let additions = now.iter().zip(before).map(|(now, before)| addition((now, self), (before, taken)));
        let mut additions = additions.collect::<Option<Vec<_>>>()?;
        additions.retain(|addition| addition.added().next().is_some());
        Some(additions)
    }
}

/// What is added to one chain; `None` if anything of it is gone or different.
fn addition<'a>((now, next): (&'a Chain, &Plan), (before, taken): (&'a Chain, &Plan)) -> Option<Addition<'a>> {
    if now.name != before.name {
        return None;
    }
    let plain = |rule: &KernelRule, of: &Plan| without_marks(&rule.text, of.options.generation);
    let mut there = before.rules.iter().peekable();
    let place = |rule: &'a KernelRule| {
        let stays = there.next_if(|there| plain(there, taken) == plain(rule, next));
        stays.map_or(Placed::Added(rule), Placed::Stays)
    };
    let rules = now.rules.iter().map(place).collect();
    there.next().is_none().then_some(Addition { chain: &now.name, rules })
}

impl<'a> Addition<'a> {
    /// The rules that are added, each with its place in the chain, counted from 1.
    fn added(&self) -> impl Iterator<Item = (usize, &'a KernelRule)> {
        let placed = (1..).zip(&self.rules);
        placed.filter_map(|(place, rule)| if let Placed::Added(rule) = *rule { Some((place, rule)) } else { None })
    }
}

/// The text for `iptables-restore --noflush` that adds them.
pub(in crate::firewall) fn transaction(additions: &[Addition<'_>]) -> String {
    let mut text = format!("*{}\n", TableName::Filter.word());
    for addition in additions {
        for (place, rule) in addition.added() {
            let _ = writeln!(text, "-I {} {place} {}", addition.chain, rule.text);
        }
    }
    text + "COMMIT\n"
}
