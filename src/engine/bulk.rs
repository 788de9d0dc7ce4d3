//! `block_lists` as one table, which rule sets that have the same lists share: a change of anything else leaves it as it
//! is, and to make it takes longer than all the rest of a rule set together.

use super::in_force::Expires;
use super::peers::{ListEntry, number};
use super::protected::{Protected, Spared};
use super::sweep::{self, Interval};
use super::table::AddressTable;
use crate::rules::BlockList;
use crate::rules::address::AddressRange;
use crate::rules::ranges::{Number, Ranges};
use crate::time::Timestamp;
use std::net::IpAddr;
use std::sync::Arc;

/// Stands in the sweep for the addresses that the lists do not act on: it beats every entry, and what it has won is taken
/// out.
const SHIELD: u32 = 0;

/// The lists, compiled. Their networks are numbered through from 1 on, those of a list IPv4 first.
#[derive(Debug)]
pub(super) struct Bulk {
    table: AddressTable,
    lists: Vec<List>,
    protected: Protected,
    spared: Spared,
}

/// A list.
#[derive(Debug)]
struct List {
    id: Arc<str>,
    /// As they were read, which tells the list from others.
    networks: Arc<[AddressRange]>,
    /// The number of its first network.
    start: u32,
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Bulk {
    /// Compiles what of `lists` is in force at `now`: `before`, if it was made of the very same.
    pub(super) fn new(
        lists: &[BlockList],
        now: Timestamp,
        protected: Protected,
        before: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        let lists: Vec<_> = lists.iter().filter(|list| list.in_force(now)).collect();
        let same = before.filter(|before| before.protected == protected && before.is_of(&lists));
        same.map_or_else(|| Arc::new(Self::compile(&lists, protected)), Arc::clone)
    }

    fn compile(lists: &[&BlockList], protected: Protected) -> Self {
        let (mut v4, mut v6) = (ranked(&protected.set.v4), ranked(&protected.set.v6));
        let (mut compiled, mut spared, mut start) = (Vec::new(), Spared::default(), SHIELD + 1);
        for list in lists {
            list.networks.iter().for_each(|&network| spared.note(&list.id, network, &protected));
            let list = List::new(list, start);
            v4.extend((start..).zip(&list.v4).map(|(value, &(first, last))| Interval { first, last, value }));
            let start_v6 = start + number(list.v4.len());
            v6.extend((start_v6..).zip(&list.v6).map(|(value, &(first, last))| Interval { first, last, value }));
            start = list.end();
            compiled.push(list);
        }
        let (mut v4, mut v6) = (sweep::lowest(v4), sweep::lowest(v6));
        v4.retain(|interval| interval.value != SHIELD);
        v6.retain(|interval| interval.value != SHIELD);
        Self { table: AddressTable::new(&v4, &v6), lists: compiled, protected, spared }
    }

    fn is_of(&self, lists: &[&BlockList]) -> bool {
        let is_same =
            |(known, list): (&List, &&BlockList)| known.id == list.id && Arc::ptr_eq(&known.networks, &list.networks);
        self.lists.len() == lists.len() && self.lists.iter().zip(lists).all(is_same)
    }

    /// The number of the network that blocks `address`.
    pub(super) fn get(&self, address: IpAddr) -> Option<u32> {
        self.table.get(address)
    }

    /// The place of the list that network `number` is of, among those in force.
    pub(super) fn list_of(&self, number: u32) -> Option<usize> {
        self.lists.partition_point(|list| list.start <= number).checked_sub(1)
    }

    /// Network `number`.
    pub(super) fn entry(&self, number: u32) -> Option<ListEntry> {
        let of = self.lists.get(self.list_of(number)?)?;
        let at = number.checked_sub(of.start)? as usize;
        let addresses = if let Some(&(first, last)) = of.v4.get(at) {
            AddressRange::V4 { first: first.into(), last: last.into() }
        } else {
            let &(first, last) = of.v6.get(at - of.v4.len())?;
            AddressRange::V6 { first: first.into(), last: last.into() }
        };
        Some(ListEntry { negated: false, addresses })
    }

    /// What the lists do not act on.
    pub(super) fn spared(&self) -> &Spared {
        &self.spared
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let networks = |list: &List| list.v4.capacity() * 8 + list.v6.capacity() * 32;
        self.table.bytes() + self.lists.iter().map(networks).sum::<usize>()
    }
}

impl List {
    fn new(list: &BlockList, start: u32) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in list.networks.iter() {
            match network {
                AddressRange::V4 { first, last } => v4.push((first.to_bits(), last.to_bits())),
                AddressRange::V6 { first, last } => v6.push((first.to_bits(), last.to_bits())),
            }
        }
        v4.shrink_to_fit();
        v6.shrink_to_fit();
        Self { id: Arc::clone(&list.id), networks: Arc::clone(&list.networks), start, v4, v6 }
    }

    fn end(&self) -> u32 {
        self.start + number(self.v4.len() + self.v6.len())
    }
}

fn ranked<K: Number>(ranges: &Ranges<K>) -> Vec<Interval<K>> {
    ranges.iter().map(|(first, last)| Interval { first, last, value: SHIELD }).collect()
}
