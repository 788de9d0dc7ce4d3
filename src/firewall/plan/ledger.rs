//! The numbers of rules: what an NFLOG prefix and a kernel counter are told apart by.

use crate::rules::{Action, Rule};
use std::collections::HashSet;
use std::sync::Arc;

/// Which part of the rules file a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// What every machine needs, and what belongs to no line of the file.
    BuiltIn,
    /// `pfw panic`
    Panic,
    /// `allow_ips`
    AllowIps,
    /// `block_ips`
    BlockIps,
    /// `block_lists`
    BlockLists,
    /// `block_ports`
    BlockPorts,
    /// `block_protocols`
    BlockProtocols,
    /// `rules`
    Rules,
    /// `allow_protocols`
    AllowProtocols,
    /// `default_policy`
    DefaultPolicy,
}

/// A rule of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRule {
    /// Its id. A list that is too long for a kernel rule each goes by its own name (`block_ips`): which entry hit is
    /// told from the packet.
    pub id: Arc<str>,
    /// If it is such a list, the ids of its entries that were not derived from that name.
    pub list: Option<Arc<HashSet<Arc<str>>>>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it answers what it blocks.
    pub rejects: bool,
    /// Whether its drops are reported by the number of all that share theirs: that of `shared-rules`, which is no rule of the
    /// file.
    pub shares: bool,
}

impl PlannedRule {
    /// Whether it is, or stands for, the rule of this id.
    pub fn is(&self, id: &Arc<str>) -> bool {
        self.id == *id || self.list.as_ref().is_some_and(|given| is_derived(id, &self.id) || given.contains(id))
    }
}

/// Whether the id of an entry was derived from the name of its list (`block_ips:192.0.2.1`).
fn is_derived(id: &str, name: &str) -> bool {
    id.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'))
}

/// The rules of a plan by number.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    rules: Vec<PlannedRule>,
}

impl Ledger {
    /// The number of a new rule.
    pub(super) fn add(&mut self, id: &Arc<str>, origin: Origin) -> u32 {
        self.push(PlannedRule { id: Arc::clone(id), list: None, origin, rejects: false, shares: false })
    }

    /// The number of a new rule that stands for a list whose entries have these ids.
    pub(super) fn add_list<'i>(&mut self, name: &str, origin: Origin, ids: impl Iterator<Item = &'i Arc<str>>) -> u32 {
        let given = ids.filter(|id| !is_derived(id, name)).map(Arc::clone).collect();
        let list = Some(Arc::new(given));
        self.push(PlannedRule { id: name.into(), list, origin, rejects: false, shares: false })
    }

    /// The number of a new ordered rule.
    pub(super) fn add_rule(&mut self, rule: &Rule, shares: bool) -> u32 {
        let rejects = rule.action == Action::Reject;
        self.push(PlannedRule { id: Arc::clone(&rule.id), list: None, origin: Origin::Rules, rejects, shares })
    }

    fn push(&mut self, rule: PlannedRule) -> u32 {
        self.rules.push(rule);
        // Rules are bounded far below the range of numbers.
        u32::try_from(self.rules.len() - 1).unwrap_or(u32::MAX)
    }

    /// The id of rule `number`.
    pub(super) fn id(&self, number: u32) -> &str {
        self.rules.get(number as usize).map_or("", |rule| &rule.id)
    }

    /// Whether rule `number` shares its reports.
    pub(super) fn shares(&self, number: u32) -> bool {
        self.rules.get(number as usize).is_some_and(|rule| rule.shares)
    }

    pub(super) fn finish(self) -> Vec<PlannedRule> {
        self.rules
    }
}
