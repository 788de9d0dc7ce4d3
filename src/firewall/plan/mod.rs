//! [`Ruleset`] -> [`Plan`]: what is to be given to the kernel, as text. Pure: no process, no clock, no file.
//!
//! The plan says the same as the engine. Chains follow the contract's order of decision ([`steps`]); conditions become
//! alternatives that one kernel rule each can express ([`conditions`]); [`spec`] is the only place that writes a line.
//! What pfw allows returns to the rules of others; what it blocks is reported by NFLOG and dropped in place, or, where
//! a set tells it, in a chain of its own, so that a set is looked up once; many ordered rules share one ([`shared`]).

mod ahead;
mod answers;
mod chains;
mod conditions;
mod effective;
mod groups;
mod growth;
mod icmp;
mod ledger;
mod peers;
mod prefixes;
mod resets;
mod sets;
mod shared;
mod spec;
mod steps;
#[cfg(test)]
mod tests;

pub(super) use ahead::{Addition, Placed, transaction as transaction_ahead};
pub(super) use chains::{Chain, KernelRule};
pub(super) use growth::Growth;
pub use ledger::{Origin, PlannedRule};
pub use sets::PlannedSet;

use super::family::Family;
use super::names::{Hook, TableName, set_aside, without_marks};
use super::tools::Backend;
use crate::host::Host;
use crate::rules::Ruleset;
use crate::time::Timestamp;
use chains::Writer;
use effective::{Effective, Lists};
use ledger::Ledger;
use sets::Sets;
use std::collections::HashMap;
use steps::Steps;

/// What a plan needs to know beside the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Tells rule sets apart in NFLOG prefixes and in the names of sets: two that are in the kernel one after the
    /// other need different ones, and the first of a process is best taken from the clock.
    pub generation: u32,
    /// The NFLOG group that is reported to: blocked packets, and the first of each forwarded flow that is not. Without
    /// one nothing is reported, and a drop costs half as much.
    pub nflog_group: Option<u16>,
    /// Whether there is a raw table, in which long lists act for what comes in.
    pub raw: bool,
    /// Whether the kernel runs BPF programs for rules of IPv6: they tell the resets of a rule that rejects.
    pub bpf: bool,
    /// The last user that a rule can name; the first is 0. A user namespace may have few.
    pub last_user: u32,
    /// Whose matches it is made of: each does what others do not.
    pub backend: Backend,
    /// Whether this machine passes packets on. If so, forwarded packets are judged by what translation hides too, and
    /// flows that pass are reported, which brings in connection tracking (translation itself does anyway).
    pub forwards: bool,
}

/// A rule set compiled for the kernel.
#[derive(Clone, Debug)]
pub struct Plan {
    options: Options,
    rules: Vec<PlannedRule>,
    /// The number of the reports that many rules share.
    shared: Option<u32>,
    sets: Vec<PlannedSet>,
    /// The block lists that it was made of: a long one takes time to be put in order.
    lists: Lists,
    v4: Vec<Chain>,
    v6: Vec<Chain>,
}

impl Plan {
    /// Compiles what of `rules` is in force at `now`, for the machine `host`.
    pub fn new(rules: &Ruleset, host: &Host, options: Options, now: Timestamp) -> Self {
        Self::compile(rules, host, options, now, None)
    }

    /// The same as what is to replace `self`: what is the same in both is not made again.
    #[must_use]
    pub fn next(&self, rules: &Ruleset, host: &Host, options: Options, now: Timestamp) -> Self {
        Self::compile(rules, host, options, now, Some(self))
    }

    /// A plan that has no rules at all.
    pub fn nothing(options: Options) -> Self {
        let (rules, sets, lists, v4, v6) = (Vec::new(), Vec::new(), Lists::default(), Vec::new(), Vec::new());
        Self { options, rules, shared: None, sets, lists, v4, v6 }
    }

    fn compile(rules: &Ruleset, host: &Host, options: Options, now: Timestamp, before: Option<&Self>) -> Self {
        let mut ledger = Ledger::default();
        let mut lists = before.map(|before| before.lists.clone()).unwrap_or_default();
        let effective = Effective::new(rules, host, now, &mut lists, &mut ledger);
        let mut sets = Sets::new(options.generation, before.map_or(&[], |before| before.sets.as_slice()));
        let own: Vec<_> = host.addresses.iter().map(|&(address, _)| address).collect();
        let mut family = |family| {
            let mut steps = Steps {
                effective: &effective,
                writer: Writer::new(family, options, &ledger),
                sets: &mut sets,
                own: &own,
                options,
                blocking: HashMap::new(),
                set_names: HashMap::new(),
            };
            steps.write();
            steps.writer.finish()
        };
        let (v4, v6) = (family(Family::V4), family(Family::V6));
        let shared = effective.shared;
        Self { options, rules: ledger.finish(), shared, sets: sets.finish(), lists, v4, v6 }
    }

    /// The rules by number: what an NFLOG prefix and [`Installed::counters`](super::Installed::counters) speak of.
    pub fn rules(&self) -> &[PlannedRule] {
        &self.rules
    }

    /// The number of the reports that many rules share, if they do ([`PlannedRule::shares`]).
    pub fn shared(&self) -> Option<u32> {
        self.shared
    }

    /// What it was made with.
    pub(super) fn options(&self) -> Options {
        self.options
    }

    /// The generation it was made with.
    pub fn generation(&self) -> u32 {
        self.options.generation
    }

    /// Whether it asks the kernel which connection a packet belongs to, and so has it track connections.
    pub fn tracks(&self) -> bool {
        let rules = [Family::V4, Family::V6].into_iter().flat_map(|family| self.chains(family));
        rules.flat_map(|chain| &chain.rules).any(|rule| rule.text.contains("-m conntrack"))
    }

    /// Its sets.
    pub fn sets(&self) -> &[PlannedSet] {
        &self.sets
    }

    /// The input of `ipset restore` that makes all its sets; empty if there are none.
    pub fn set_text(&self) -> String {
        self.set_text_of(|_| true)
    }

    /// The part of it that makes the sets that `wanted` picks.
    pub(super) fn set_text_of(&self, wanted: impl Fn(&PlannedSet) -> bool) -> String {
        let mut text = String::new();
        self.sets.iter().filter(|set| wanted(set)).for_each(|set| set.write(&set.name, &mut text));
        text
    }

    /// The commands that give a set its content again while rules use it: made anew beside it, and swapped.
    pub(super) fn set_text_again(set: &PlannedSet) -> String {
        let (name, aside) = (&set.name, set_aside(&set.name));
        let mut text = String::new();
        set.write(&aside, &mut text);
        text + &format!("swap {aside} {name}\ndestroy {aside}\n")
    }

    /// Whether it has a set of this name.
    pub(super) fn has_set(&self, name: &str) -> bool {
        self.sets.iter().any(|set| set.name == name)
    }

    /// Whether a table is the same as in a plan that the kernel has taken, but for the marks of rule sets and the numbers
    /// of rules.
    pub(super) fn is_alike(&self, taken: &Self, family: Family, table: TableName) -> bool {
        let of = |plan: &Self| plan.unmarked(family, table);
        of(self) == of(taken)
    }

    fn unmarked(&self, family: Family, table: TableName) -> Vec<(String, Vec<String>)> {
        let generation = self.options.generation;
        let rules = |chain: &Chain| chain.rules.iter().map(|rule| without_marks(&rule.text, generation)).collect();
        self.chains_of(family, table).map(|chain| (without_marks(&chain.name, generation), rules(chain))).collect()
    }

    fn chains_of(&self, family: Family, table: TableName) -> impl Iterator<Item = &Chain> {
        self.chains(family).iter().filter(move |chain| TableName::of_chain(&chain.name) == table)
    }

    /// Whether it has rules in the raw table.
    pub fn uses_raw(&self) -> bool {
        self.v4.iter().chain(&self.v6).any(|chain| chain.name == Hook::PreRouting.own())
    }

    /// Whether it has rules with BPF programs.
    pub fn uses_bpf(&self) -> bool {
        self.v6.iter().flat_map(|chain| &chain.rules).any(|rule| rule.text.contains("-m bpf "))
    }

    /// Whether it was made for a machine that runs no BPF programs for rules.
    pub fn does_without_bpf(&self) -> bool {
        !self.options.bpf
    }

    /// Whether it was made for a machine that has no raw table.
    pub fn does_without_raw(&self) -> bool {
        !self.options.raw
    }

    /// How many kernel rules it has in a family.
    pub fn len(&self, family: Family) -> usize {
        self.chains(family).iter().map(|chain| chain.rules.len()).sum()
    }

    pub(super) fn chains(&self, family: Family) -> &[Chain] {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}
