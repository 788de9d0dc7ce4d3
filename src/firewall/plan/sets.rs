//! The ipsets of a plan: each content once, however many rules use it.
//!
//! A set's name holds the generation that made it, and its content never changes: the transaction that replaces the
//! rules is what changes sets, so that rules and sets are always of one rule set. What the plan before has is used on.

use super::prefixes::{Address, prefixes, write_small};
use crate::firewall::family::Family;
use crate::firewall::names::{SetKind, set_name};
use crate::rules::ranges::{Number, Ranges};
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

/// Bytes of a line that adds a network, its set's name aside: those of IPv4 fit, of IPv6 most.
const ROOM: usize = 24;

/// Entries that a set can be given while rules use it ([`Plan::growth`](super::Plan::growth)). It costs a set nothing to
/// have room for some, and a set that gets many is as soon made anew.
const MAX_GROWTH: usize = 64;

/// What a set holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// IPv4 addresses.
    V4(Ranges<u32>),
    /// IPv6 addresses.
    V6(Ranges<u128>),
    /// Ports.
    Ports(Ranges<u16>),
}

/// A glance: contents that differ in the middle alone share a place, which comparing them tells apart.
impl Hash for Content {
    fn hash<H: Hasher>(&self, state: &mut H) {
        fn glance<T: Number + Hash>(ranges: &Ranges<T>, state: &mut impl Hasher) {
            (ranges.len(), ranges.iter().next(), ranges.iter().next_back()).hash(state);
        }
        match self {
            Self::V4(ranges) => glance(ranges, state),
            Self::V6(ranges) => glance(ranges, state),
            Self::Ports(ranges) => glance(ranges, state),
        }
    }
}

/// A set of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSet {
    /// Its name in the kernel.
    pub name: String,
    /// How many entries the kernel counts once it is filled.
    pub entries: usize,
    content: Arc<Content>,
}

impl PlannedSet {
    fn new(name: String, content: Content) -> Self {
        Self { name, entries: content.entries(), content: Arc::new(content) }
    }

    /// What `larger` has and it has not, networks with their prefixes, if that is all they differ in, and is little.
    pub(super) fn lacking(&self, larger: &Self) -> Option<Vec<(IpAddr, u8)>> {
        match (&*self.content, &*larger.content) {
            (Content::V4(own), Content::V4(all)) => lacking(own, all),
            (Content::V6(own), Content::V6(all)) => lacking(own, all),
            _ => None,
        }
    }

    /// The commands that make it, under this name or another.
    pub(super) fn write(&self, name: &str, out: &mut String) {
        self.content.write(name, out);
    }
}

/// Sets, as they are asked for.
#[derive(Debug)]
pub(super) struct Sets {
    generation: u32,
    /// Those of the plan before, by content.
    before: HashMap<Arc<Content>, PlannedSet, RandomState>,
    /// Those that were asked for, and the place of each.
    places: HashMap<Arc<Content>, usize, RandomState>,
    planned: Vec<PlannedSet>,
    /// How many of them are new.
    made: u32,
}

impl Sets {
    /// None yet; `before` are those of the plan before.
    pub(super) fn new(generation: u32, before: &[PlannedSet]) -> Self {
        let before = before.iter().map(|set| (Arc::clone(&set.content), set.clone())).collect();
        Self { generation, before, places: HashMap::default(), planned: Vec::new(), made: 0 }
    }

    /// The name of the set that holds `content`.
    pub(super) fn name(&mut self, content: Content) -> String {
        if let Some(set) = self.places.get(&content).and_then(|&place| self.planned.get(place)) {
            return set.name.clone();
        }
        let set = self.before.remove(&content).unwrap_or_else(|| {
            let name = set_name(content.kind(), self.generation, self.made);
            self.made += 1;
            PlannedSet::new(name, content)
        });
        let name = set.name.clone();
        self.places.insert(Arc::clone(&set.content), self.planned.len());
        self.planned.push(set);
        name
    }

    /// The sets, in the order in which they were asked for.
    pub(super) fn finish(self) -> Vec<PlannedSet> {
        self.planned
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

    /// How many entries the kernel counts once a set is filled with it.
    fn entries(&self) -> usize {
        match self {
            Self::V4(ranges) => networks(ranges).count(),
            Self::V6(ranges) => networks(ranges).count(),
            Self::Ports(ranges) => ranges.iter().map(|(first, last)| usize::from(last - first) + 1).sum(),
        }
    }

    /// Writes the commands that make the set.
    fn write(&self, name: &str, out: &mut String) {
        match self {
            Self::V4(ranges) => write_networks(name, "inet", ranges, out),
            Self::V6(ranges) => write_networks(name, "inet6", ranges, out),
            Self::Ports(ranges) => write_ports(name, ranges, out),
        }
    }
}

/// A set can't hold a network of length 0: two halves can.
fn networks<A: Address>(ranges: &Ranges<A>) -> impl Iterator<Item = (A, u32)> + '_ {
    ranges.iter().flat_map(prefixes).flat_map(|(first, len)| {
        let upper = (len == 0).then(|| (first.block_end(A::BITS - 1).next().unwrap_or(first), 1));
        std::iter::once((first, len.max(1))).chain(upper)
    })
}

fn write_networks<A: Address>(name: &str, family: &str, ranges: &Ranges<A>, out: &mut String) {
    let count = networks(ranges).count();
    let size = count.next_power_of_two().clamp(64, 1 << 20);
    let _ = writeln!(out, "create {name} hash:net family {family} hashsize {size} maxelem {}", count + MAX_GROWTH);
    out.reserve(count * (name.len() + ROOM));
    for (first, len) in networks(ranges) {
        out.push_str("add ");
        out.push_str(name);
        out.push(' ');
        first.write(out);
        out.push('/');
        write_small(prefix_len(len), out);
        out.push('\n');
    }
}

fn lacking<A: Address>(own: &Ranges<A>, all: &Ranges<A>) -> Option<Vec<(IpAddr, u8)>> {
    // The numbers alone tell most sets apart that have little in common.
    if all.len().abs_diff(own.len()) > MAX_GROWTH || !own.is_subset(all) {
        return None;
    }
    let entry = |(first, len): (A, u32)| (first.to_ip(), prefix_len(len));
    let entries: Vec<_> = networks(&all.difference(own)).take(MAX_GROWTH + 1).map(entry).collect();
    (entries.len() <= MAX_GROWTH).then_some(entries)
}

/// Prefixes have a byte.
fn prefix_len(len: u32) -> u8 {
    u8::try_from(len).unwrap_or(u8::MAX)
}

fn write_ports(name: &str, ranges: &Ranges<u16>, out: &mut String) {
    let _ = writeln!(out, "create {name} bitmap:port range 0-65535");
    for (first, last) in ranges.iter() {
        let _ = writeln!(out, "add {name} {first}-{last}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_share_a_set_and_the_text_makes_each_once() {
        let mut sets = Sets::new(7, &[]);
        let networks =
            || Content::V4(Ranges::from_ranges([(0x0a00_0000_u32, 0x0a00_00ff), (0x0a00_0101, 0x0a00_0103)]));
        assert_eq!(sets.name(networks()), "PFW4-00000007-00000");
        assert_eq!(sets.name(Content::Ports(Ranges::from_ranges([(1_u16, 5), (80, 80)]))), "PFWP-00000007-00001");
        assert_eq!(sets.name(networks()), "PFW4-00000007-00000");
        assert_eq!(sets.name(Content::V6(Ranges::all())), "PFW6-00000007-00002");
        let planned = sets.finish();
        let mut text = String::new();
        for set in &planned {
            set.write(&set.name, &mut text);
        }
        assert_eq!(
            text,
            "create PFW4-00000007-00000 hash:net family inet hashsize 64 maxelem 67\n\
             add PFW4-00000007-00000 10.0.0.0/24\n\
             add PFW4-00000007-00000 10.0.1.1/32\n\
             add PFW4-00000007-00000 10.0.1.2/31\n\
             create PFWP-00000007-00001 bitmap:port range 0-65535\n\
             add PFWP-00000007-00001 1-5\n\
             add PFWP-00000007-00001 80-80\n\
             create PFW6-00000007-00002 hash:net family inet6 hashsize 64 maxelem 66\n\
             add PFW6-00000007-00002 ::/1\n\
             add PFW6-00000007-00002 8000::/1\n"
        );
        assert_eq!(planned.iter().map(|set| set.entries).collect::<Vec<_>>(), [3, 6, 2]);
    }

    #[test]
    fn what_the_plan_before_has_is_used_on_and_new_names_are_of_the_new_generation() {
        let content = |n: u16| Content::Ports(Ranges::one(n));
        let mut first = Sets::new(7, &[]);
        let names = [1, 2].map(|n| first.name(content(n)));
        let mut second = Sets::new(8, &first.finish());
        assert_eq!(second.name(content(2)), names[1]);
        assert_eq!(second.name(content(3)), "PFWP-00000008-00000");
        assert_eq!(second.name(content(2)), names[1]);
        assert_eq!(second.finish().len(), 2, "what is not asked for is not kept");
    }
}
