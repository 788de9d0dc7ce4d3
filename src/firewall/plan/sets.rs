//! The ipsets of a plan: each content once, however many rules use it.
//!
//! A set's name holds the generation, and its content never changes: the transaction that replaces the rules is what
//! changes sets, so that rules and sets are always of one rule set.

use super::prefixes::{Address, prefixes};
use crate::firewall::family::Family;
use crate::firewall::names::{SetKind, set_name};
use crate::rules::ranges::Ranges;
use std::collections::HashMap;
use std::fmt::Write;

/// What a set holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Content {
    /// IPv4 addresses.
    V4(Ranges<u32>),
    /// IPv6 addresses.
    V6(Ranges<u128>),
    /// Ports.
    Ports(Ranges<u16>),
}

/// A set of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSet {
    /// Its name in the kernel.
    pub name: String,
    /// How many entries the kernel counts once it is filled.
    pub entries: usize,
}

/// Sets, as they are asked for.
#[derive(Debug)]
pub(super) struct Sets {
    generation: u32,
    numbers: HashMap<Content, u32>,
}

impl Sets {
    /// None yet.
    pub(super) fn new(generation: u32) -> Self {
        Self { generation, numbers: HashMap::new() }
    }

    /// The name of the set that holds `content`.
    pub(super) fn name(&mut self, content: Content) -> String {
        let kind = content.kind();
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(content).or_insert(next);
        set_name(kind, self.generation, number)
    }

    /// The text for `ipset restore`, and the sets that it makes.
    pub(super) fn finish(self) -> (String, Vec<PlannedSet>) {
        let mut all: Vec<_> = self.numbers.into_iter().collect();
        all.sort_unstable_by_key(|&(_, number)| number);
        let mut text = String::new();
        let mut sets = Vec::with_capacity(all.len());
        for (content, number) in all {
            let name = set_name(content.kind(), self.generation, number);
            let entries = content.write(&name, &mut text);
            sets.push(PlannedSet { name, entries });
        }
        (text, sets)
    }
}

impl Content {
    const fn kind(&self) -> SetKind {
        match self {
            Self::V4(_) => SetKind::Networks(Family::V4),
            Self::V6(_) => SetKind::Networks(Family::V6),
            Self::Ports(_) => SetKind::Ports,
        }
    }

    /// Writes the commands that make the set; how many entries it has.
    fn write(&self, name: &str, out: &mut String) -> usize {
        match self {
            Self::V4(ranges) => write_networks(name, "inet", ranges, out),
            Self::V6(ranges) => write_networks(name, "inet6", ranges, out),
            Self::Ports(ranges) => write_ports(name, ranges, out),
        }
    }
}

fn write_networks<A: Address>(name: &str, family: &str, ranges: &Ranges<A>, out: &mut String) -> usize {
    // A set can't hold a network of length 0: two halves can.
    let halves = |(first, len): (A, u32)| match len {
        0 => vec![(first, 1), (first.block_end(A::BITS - 1).next().unwrap_or(first), 1)],
        len => vec![(first, len)],
    };
    let networks: Vec<_> = ranges.iter().flat_map(prefixes).flat_map(halves).collect();
    let count = networks.len();
    let size = count.next_power_of_two().clamp(64, 1 << 20);
    let _ = writeln!(out, "create {name} hash:net family {family} hashsize {size} maxelem {}", count.max(1));
    for (first, len) in networks {
        let _ = writeln!(out, "add {name} {}/{len}", first.text());
    }
    count
}

fn write_ports(name: &str, ranges: &Ranges<u16>, out: &mut String) -> usize {
    let _ = writeln!(out, "create {name} bitmap:port range 0-65535");
    for (first, last) in ranges.iter() {
        let _ = writeln!(out, "add {name} {first}-{last}");
    }
    ranges.iter().map(|(first, last)| usize::from(last - first) + 1).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_share_a_set_and_the_text_makes_each_once() {
        let mut sets = Sets::new(7);
        let networks =
            || Content::V4(Ranges::from_ranges([(0x0a00_0000_u32, 0x0a00_00ff), (0x0a00_0101, 0x0a00_0103)]));
        assert_eq!(sets.name(networks()), "PFW4-00000007-00000");
        assert_eq!(sets.name(Content::Ports(Ranges::from_ranges([(1_u16, 5), (80, 80)]))), "PFWP-00000007-00001");
        assert_eq!(sets.name(networks()), "PFW4-00000007-00000");
        assert_eq!(sets.name(Content::V6(Ranges::all())), "PFW6-00000007-00002");
        let (text, planned) = sets.finish();
        assert_eq!(
            text,
            "create PFW4-00000007-00000 hash:net family inet hashsize 64 maxelem 3\n\
             add PFW4-00000007-00000 10.0.0.0/24\n\
             add PFW4-00000007-00000 10.0.1.1/32\n\
             add PFW4-00000007-00000 10.0.1.2/31\n\
             create PFWP-00000007-00001 bitmap:port range 0-65535\n\
             add PFWP-00000007-00001 1-5\n\
             add PFWP-00000007-00001 80-80\n\
             create PFW6-00000007-00002 hash:net family inet6 hashsize 64 maxelem 2\n\
             add PFW6-00000007-00002 ::/1\n\
             add PFW6-00000007-00002 8000::/1\n"
        );
        assert_eq!(planned.iter().map(|set| set.entries).collect::<Vec<_>>(), [3, 6, 2]);
    }
}
