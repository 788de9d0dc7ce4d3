//! Steps 2 and 3 as one table: `allow_ips`, `block_ips` and `block_lists`, in this order of precedence.

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

/// The lists, compiled. Entries are numbered through, those of lower number first.
#[derive(Debug)]
pub(super) struct Peers {
    table: AddressTable,
    /// Entries of `allow_ips`, then of `block_ips`, each with its rule.
    entries: Vec<(RuleNumber, ListEntry)>,
    /// How many of `entries` allow.
    allowing: u32,
    /// `block_lists`, in their order.
    bulk: Vec<Bulk>,
    spared: Spared,
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

/// A block list: its networks, IPv4 first, are the entries from `start` on.
#[derive(Debug)]
struct Bulk {
    rule: RuleNumber,
    start: u32,
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// Ranges of both families, with an entry's number as value.
#[derive(Default)]
struct Ranked {
    v4: Vec<Interval<u32>>,
    v6: Vec<Interval<u128>>,
}

impl Peers {
    /// Compiles what of the lists is in force at `now`.
    pub(super) fn new(rules: &Ruleset, protected: &Protected, now: Timestamp, catalogue: &mut Catalogue) -> Self {
        let mut build = Builder { ranked: Ranked::default(), entries: Vec::new(), catalogue };
        build.list(&rules.allow_ips, now, Step::AllowIps, " is in allow_ips");
        let allowing = number(build.entries.len());
        build.list(&rules.block_ips, now, Step::BlockIps, " is in block_ips");
        // A number between the entries that act on protected addresses and those that don't: in the sweep it beats
        // the block lists, and what it has won is taken out.
        let shield = number(build.entries.len());
        build.ranked.shield(protected, shield);
        let (mut bulk, mut spared, mut start) = (Vec::new(), Spared::default(), shield + 1);
        for list in rules.block_lists.iter().filter(|list| list.in_force(now)) {
            list.networks.iter().for_each(|&network| spared.note(&list.id, network, protected));
            let compiled = build.bulk(list, start);
            start = compiled.end();
            bulk.push(compiled);
        }
        let Builder { ranked, entries, .. } = build;
        Self { table: ranked.into_table(shield), entries, allowing, bulk, spared }
    }

    /// What the lists say of `address`.
    pub(super) fn get(&self, address: IpAddr) -> Option<Listed> {
        let entry = self.table.get(address)?;
        let rule = match self.entries.get(entry as usize) {
            Some(&(rule, _)) => rule,
            None => self.bulk_of(entry)?.rule,
        };
        Some(Listed { entry, allows: entry < self.allowing, rule })
    }

    /// The entry of number `entry`.
    pub(super) fn entry(&self, entry: u32) -> Option<ListEntry> {
        if let Some(&(_, listed)) = self.entries.get(entry as usize) {
            return Some(listed);
        }
        let bulk = self.bulk_of(entry)?;
        let at = (entry - bulk.start) as usize;
        let addresses = if let Some(&(first, last)) = bulk.v4.get(at) {
            AddressRange::V4 { first: first.into(), last: last.into() }
        } else {
            let &(first, last) = bulk.v6.get(at - bulk.v4.len())?;
            AddressRange::V6 { first: first.into(), last: last.into() }
        };
        Some(ListEntry { negated: false, addresses })
    }

    /// What the block lists do not act on.
    pub(super) fn spared(&self) -> &Spared {
        &self.spared
    }

    fn bulk_of(&self, entry: u32) -> Option<&Bulk> {
        let behind = self.bulk.partition_point(|bulk| bulk.start <= entry);
        self.bulk.get(behind.checked_sub(1)?)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let networks = |bulk: &Bulk| bulk.v4.capacity() * 8 + bulk.v6.capacity() * 32;
        self.table.bytes() + self.bulk.iter().map(networks).sum::<usize>()
    }
}

impl Bulk {
    fn end(&self) -> u32 {
        self.start + number(self.v4.len() + self.v6.len())
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

    fn bulk(&mut self, list: &BlockList, start: u32) -> Bulk {
        let name = list.id.strip_prefix("block_lists:").unwrap_or(&list.id);
        let words = format!(" is in block_lists {name}");
        let rule = self.catalogue.add_entry(&list.id, Step::BlockIps, &words, list.comment.as_deref());
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in list.networks.iter() {
            match network {
                AddressRange::V4 { first, last } => v4.push((first.to_bits(), last.to_bits())),
                AddressRange::V6 { first, last } => v6.push((first.to_bits(), last.to_bits())),
            }
        }
        v4.shrink_to_fit();
        v6.shrink_to_fit();
        self.ranked.v4.extend((start..).zip(&v4).map(|(value, &(first, last))| Interval { first, last, value }));
        let start_v6 = start + number(v4.len());
        self.ranked.v6.extend((start_v6..).zip(&v6).map(|(value, &(first, last))| Interval { first, last, value }));
        Bulk { rule, start, v4, v6 }
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

    fn shield(&mut self, protected: &Protected, value: u32) {
        add(&mut self.v4, &protected.set.v4, value);
        add(&mut self.v6, &protected.set.v6, value);
    }

    fn into_table(self, shield: u32) -> AddressTable {
        let (mut v4, mut v6) = (sweep::lowest(self.v4), sweep::lowest(self.v6));
        v4.retain(|interval| interval.value != shield);
        v6.retain(|interval| interval.value != shield);
        AddressTable::new(&v4, &v6)
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
fn number(count: usize) -> u32 {
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
