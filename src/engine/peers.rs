//! Steps 2 and 3 as two tables: one of `allow_ips` and `block_ips`, in this order of precedence, and behind it that of
//! `block_lists`, which is made anew only when they change.

use super::bulk::Bulk;
use super::catalogue::Catalogue;
use super::decision::{RuleNumber, Step};
use super::in_force::Expires;
use super::protected::{Protected, Spared};
use super::sweep::{self, Interval};
use super::table::AddressTable;
use crate::rules::address::{AddressRange, AddressSet};
use crate::rules::ranges::{Number, Ranges};
use crate::rules::{AddressEntry, BlockList, Ruleset};
use crate::time::Timestamp;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The lists, compiled. Entries are numbered through, those of lower number first.
#[derive(Debug)]
pub(super) struct Peers {
    /// Of `allow_ips` and `block_ips`.
    table: AddressTable,
    /// Entries of `allow_ips`, then of `block_ips`, each with its rule.
    entries: Vec<(RuleNumber, ListEntry)>,
    /// How many of `entries` allow.
    allowing: u32,
    /// `block_lists`, whose networks are numbered on behind `entries`.
    bulk: Arc<Bulk>,
    /// The rule of each list in `bulk`.
    bulk_rules: Vec<RuleNumber>,
}

/// What the lists say of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// The entry.
    pub(super) entry: u32,
    /// Whether it allows; else it blocks.
    pub(super) allows: bool,
    /// The rule that the entry belongs to.
    pub(super) rule: RuleNumber,
}

/// An entry of an address list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// Whether it was written with `!`. Such an entry hits only in a list that has no others, for what is outside.
    pub negated: bool,
    /// Its addresses.
    pub addresses: AddressRange,
}

/// Ranges of both families, with an entry's number as value.
#[derive(Default)]
struct Ranked {
    v4: Vec<Interval<u32>>,
    v6: Vec<Interval<u128>>,
}

impl Peers {
    /// Compiles what of the lists is in force at `now`. What `before` has of them already is not made again.
    pub(super) fn new(
        rules: &Ruleset,
        protected: Protected,
        now: Timestamp,
        catalogue: &mut Catalogue,
        before: Option<&Self>,
    ) -> Self {
        let mut build = Builder { ranked: Ranked::default(), entries: Vec::new(), catalogue };
        build.list(&rules.allow_ips, now, Step::AllowIps, " is in allow_ips");
        let allowing = number(build.entries.len());
        build.list(&rules.block_ips, now, Step::BlockIps, " is in block_ips");
        let in_force = rules.block_lists.iter().filter(|list| list.in_force(now));
        let bulk_rules = in_force.map(|list| build.bulk_rule(list)).collect();
        let bulk = Bulk::new(&rules.block_lists, now, protected, before.map(|before| &before.bulk));
        let Builder { ranked, entries, .. } = build;
        Self { table: ranked.into_table(), entries, allowing, bulk, bulk_rules }
    }

    /// What the lists say of `address`.
    pub(super) fn get(&self, address: IpAddr) -> Option<Listed> {
        if let Some(entry) = self.table.get(address) {
            let &(rule, _) = self.entries.get(entry as usize)?;
            return Some(Listed { entry, allows: entry < self.allowing, rule });
        }
        let network = self.bulk.get(address)?;
        let rule = *self.bulk_rules.get(self.bulk.list_of(network)?)?;
        Some(Listed { entry: number(self.entries.len()) + network, allows: false, rule })
    }

    /// The entry of number `entry`.
    pub(super) fn entry(&self, entry: u32) -> Option<ListEntry> {
        match self.entries.get(entry as usize) {
            Some(&(_, listed)) => Some(listed),
            None => self.bulk.entry(entry - number(self.entries.len())),
        }
    }

    /// What the block lists do not act on.
    pub(super) fn spared(&self) -> &Spared {
        self.bulk.spared()
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.table.bytes() + self.bulk.bytes()
    }
}

struct Builder<'a> {
    ranked: Ranked,
    entries: Vec<(RuleNumber, ListEntry)>,
    catalogue: &'a mut Catalogue,
}

impl Builder<'_> {
    fn list(&mut self, list: &[AddressEntry], now: Timestamp, step: Step, words: &str) {
        let active: Vec<_> = list.iter().filter(|entry| entry.in_force(now)).collect();
        self.ranked.add_list(&active, number(self.entries.len()));
        for entry in active {
            let rule = self.catalogue.add_entry(&entry.id, step, words, entry.comment.as_deref());
            self.entries.push((rule, ListEntry { negated: entry.negated, addresses: entry.value }));
        }
    }

    fn bulk_rule(&mut self, list: &BlockList) -> RuleNumber {
        let name = list.id.strip_prefix("block_lists:").unwrap_or(&list.id);
        let words = format!(" is in block_lists {name}");
        self.catalogue.add_entry(&list.id, Step::BlockIps, &words, list.comment.as_deref())
    }
}

impl Ranked {
    /// Adds a list: any of its positive entries (if there is one) and none of the negated. A list without positive
    /// entries is everything outside, and its first entry stands for that.
    fn add_list(&mut self, active: &[&AddressEntry], first_number: u32) {
        let negated: AddressSet = active.iter().filter(|entry| entry.negated).map(|entry| &entry.value).collect();
        let mut positive = (first_number..).zip(active).filter(|(_, entry)| !entry.negated).peekable();
        if positive.peek().is_none() && !active.is_empty() {
            add(&mut self.v4, &negated.v4.complement(), first_number);
            add(&mut self.v6, &negated.v6.complement(), first_number);
        }
        for (value, entry) in positive {
            match entry.value {
                AddressRange::V4 { first, last } => {
                    add_without(&mut self.v4, (first.to_bits(), last.to_bits()), &negated.v4, value);
                }
                AddressRange::V6 { first, last } => {
                    add_without(&mut self.v6, (first.to_bits(), last.to_bits()), &negated.v6, value);
                }
            }
        }
    }

    fn into_table(self) -> AddressTable {
        AddressTable::new(&sweep::lowest(self.v4), &sweep::lowest(self.v6))
    }
}

fn add<K: Number>(to: &mut Vec<Interval<K>>, ranges: &Ranges<K>, value: u32) {
    to.extend(ranges.iter().map(|(first, last)| Interval { first, last, value }));
}

fn add_without<K: Number>(to: &mut Vec<Interval<K>>, (first, last): (K, K), without: &Ranges<K>, value: u32) {
    if without.is_empty() {
        to.push(Interval { first, last, value });
    } else {
        add(to, &Ranges::from_ranges([(first, last)]).difference(without), value);
    }
}

/// Entries are bounded far below the range of numbers.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl ListEntry {
    /// Whether it is a single address.
    pub(super) fn is_one_address(&self) -> bool {
        !self.negated && self.addresses.first() == self.addresses.last()
    }
}

impl fmt::Display for ListEntry {
    /// As a rules file has it: an address, a network, or a range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negated { "!" } else { "" }, self.addresses)
    }
}
