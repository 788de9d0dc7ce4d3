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

#[cfg(test)]
mod tests {
    use super::super::testing::block_list;
    use super::*;
    use crate::host::Host;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(seconds, 0)
    }

    #[test]
    fn the_table_is_shared_for_as_long_as_lists_and_machine_are_the_same() {
        let host = |own: &str| Host { addresses: vec![(own.parse().unwrap(), 24)], ..Host::default() };
        let make =
            |lists: &[BlockList], own: &str, now, before| Bulk::new(lists, at(now), Protected::new(&host(own)), before);
        let ends = BlockList { expires: Some(at(9)), ..block_list("b", &["198.51.100.0/24"]) };
        let lists = [block_list("a", &["192.0.2.0/24", "2001:db8::/32"]), ends];
        let first = make(&lists, "192.0.2.1", 0, None);
        assert!(Arc::ptr_eq(&first, &make(&lists, "192.0.2.1", 8, Some(&first))));
        for (lists, own, now, why) in [
            (&lists[..], "192.0.2.2", 0, "the machine has another address"),
            (&lists[..], "192.0.2.1", 9, "a list has expired"),
            (&lists[..1], "192.0.2.1", 0, "a list has gone"),
            (
                &[block_list("a", &["192.0.2.0/24", "2001:db8::/32"]), lists[1].clone()],
                "192.0.2.1",
                0,
                "it was read anew",
            ),
        ] {
            let next = make(lists, own, now, Some(&first));
            assert!(!Arc::ptr_eq(&first, &next), "{why}");
            let anew = make(lists, own, now, None);
            for address in ["192.0.2.1", "192.0.2.2", "198.51.100.1", "2001:db8::1", "203.0.113.1"] {
                let address = address.parse().unwrap();
                let told = |bulk: &Bulk| {
                    bulk.get(address).and_then(|number| Some((bulk.list_of(number)?, bulk.entry(number)?)))
                };
                assert_eq!(told(&next), told(&anew), "{why}: {address}");
            }
        }
        assert_eq!(first.get("192.0.2.1".parse().unwrap()), None, "lists don't act on it");
        assert_eq!(first.spared().networks, 1);
    }
}
