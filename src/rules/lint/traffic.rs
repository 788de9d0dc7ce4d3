//! Sets of packets, exact: what a rule matches, as boxes that can be taken away from each other.
//!
//! A packet is a point: way, family and class choose the space it lies in, and there it has five coordinates. A
//! condition is a set of ranges along one of them, so that a rule is one box in each space that it reaches.

use crate::packet::Protocol;
use crate::rules::address::AddressSet;
use crate::rules::icmp::IcmpSet;
use crate::rules::model::{Rule, RuleDirection};
use crate::rules::port::PortSet;
use crate::rules::protocol::ProtocolSet;
use crate::rules::ranges::{Number, Ranges};
use std::rc::Rc;

/// The space a packet lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) way: RuleDirection,
    pub(super) family: Family,
    pub(super) class: Class,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// What a packet has beside its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Source and destination port.
    Tcp,
    /// Source and destination port.
    Udp,
    /// Type and code; ICMP in IPv4, ICMPv6 in IPv6.
    Icmp,
    /// The number of its protocol alone.
    Other,
}

/// How many spaces there are.
pub(super) const SPACES: usize = 16;

/// A set of numbers along one coordinate.
pub(super) type Side = Rc<Ranges<u128>>;

/// The packets of one space whose every coordinate lies in the side of that coordinate: interface, source address,
/// destination address, and two more as [`Class`] has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Box5 {
    pub(super) space: Space,
    pub(super) sides: [Side; 5],
}

/// The conditions of a rule or a step, each missing one true for every packet.
#[derive(Clone, Copy, Default)]
pub(super) struct Matches<'r> {
    pub(super) way: Option<RuleDirection>,
    pub(super) protocol: Option<ProtocolSet>,
    pub(super) src: Option<&'r AddressSet>,
    pub(super) dst: Option<&'r AddressSet>,
    pub(super) src_port: Option<&'r PortSet>,
    pub(super) dst_port: Option<&'r PortSet>,
    pub(super) icmp_type: Option<&'r IcmpSet>,
}

impl<'r> From<&'r Rule> for Matches<'r> {
    fn from(rule: &'r Rule) -> Self {
        Self {
            way: rule.direction,
            protocol: rule.protocol.as_ref().map(|condition| condition.set),
            src: rule.src.as_ref().map(|condition| &condition.set),
            dst: rule.dst.as_ref().map(|condition| &condition.set),
            src_port: rule.src_port.as_ref().map(|condition| &condition.set),
            dst_port: rule.dst_port.as_ref().map(|condition| &condition.set),
            icmp_type: rule.icmp_type.as_ref().map(|condition| &condition.set),
        }
    }
}

impl Space {
    /// All of them.
    fn all() -> impl Iterator<Item = Self> {
        let ways = [RuleDirection::In, RuleDirection::Out].into_iter();
        let spaces = ways.flat_map(|way| [Family::V4, Family::V6].map(|family| (way, family)));
        spaces.flat_map(|(way, family)| {
            [Class::Tcp, Class::Udp, Class::Icmp, Class::Other].map(|class| Self { way, family, class })
        })
    }

    /// Its number, below [`SPACES`].
    pub(super) fn number(self) -> usize {
        usize::from(self.way == RuleDirection::Out) * 8
            + usize::from(self.family == Family::V6) * 4
            + self.class as usize
    }
}

impl Matches<'_> {
    /// The boxes of the packets that match, on interfaces of `interfaces`. None is empty.
    pub(super) fn boxes(&self, interfaces: &Side) -> Vec<Box5> {
        let of_family = |family| [self.src, self.dst].map(|set| address_side(set, family));
        let (v4, v6) = (of_family(Family::V4), of_family(Family::V6));
        let boxes = Space::all().filter(|space| self.way.is_none_or(|way| way == space.way)).filter_map(|space| {
            let [first, second] = self.class_sides(space)?;
            let [src, dst] = if space.family == Family::V4 { v4.clone() } else { v6.clone() };
            Some(Box5 { space, sides: [Rc::clone(interfaces), src, dst, Rc::new(first), Rc::new(second)] })
        });
        boxes.filter(|it| it.sides.iter().all(|side| !side.is_empty())).collect()
    }

    /// The two sides that depend on the class; none if no packet of that class can match.
    fn class_sides(&self, Space { family, class, .. }: Space) -> Option<[Ranges<u128>; 2]> {
        let protocols = self.protocol.unwrap_or(ProtocolSet::ALL);
        let has_ports = self.src_port.is_some() || self.dst_port.is_some();
        let icmp = if family == Family::V4 { Protocol::ICMP } else { Protocol::ICMPV6 };
        let all = Ranges::all();
        let ports = |pick: fn(&PortSet) -> &Ranges<u16>| {
            [self.src_port, self.dst_port].map(|ports| widened(ports.map_or(&all, pick)))
        };
        match class {
            Class::Tcp if protocols.contains(Protocol::TCP) && self.icmp_type.is_none() => Some(ports(|set| &set.tcp)),
            Class::Udp if protocols.contains(Protocol::UDP) && self.icmp_type.is_none() => Some(ports(|set| &set.udp)),
            Class::Icmp if protocols.contains(icmp) && !has_ports => {
                let of_family: fn(&IcmpSet) -> &Ranges<u16> =
                    if family == Family::V4 { |set| &set.v4 } else { |set| &set.v6 };
                Some([widened(self.icmp_type.map_or(&all, of_family)), Ranges::all()])
            }
            Class::Other if !has_ports && self.icmp_type.is_none() => {
                let own = ProtocolSet::from_iter([Protocol::TCP, Protocol::UDP, icmp]);
                let numbers = protocols.difference(own).iter().map(|protocol| u128::from(protocol.0));
                Some([Ranges::from_ranges(numbers.map(|number| (number, number))), Ranges::all()])
            }
            _ => None,
        }
    }
}

impl Box5 {
    /// Whether every packet of this box is in `other`.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.space == other.space && self.sides.iter().zip(&other.sides).all(|(mine, theirs)| is_within(mine, theirs))
    }

    /// Whether no packet is in both boxes, which lie in one space.
    pub(super) fn is_apart(&self, other: &Self) -> bool {
        self.sides.iter().zip(&other.sides).any(|(mine, theirs)| is_apart(mine, theirs))
    }

    /// What is left of this box without `other`, which lies in the same space: at most five boxes, disjoint.
    pub(super) fn without(&self, other: &Self) -> Vec<Self> {
        if self.is_apart(other) {
            return vec![self.clone()];
        }
        let mut left = Vec::new();
        let mut rest = self.clone();
        for (index, theirs) in other.sides.iter().enumerate() {
            let Some(mine) = rest.sides.get(index).map(Rc::clone) else { break };
            let (outside, inside) = (mine.difference(theirs), mine.intersection(theirs));
            if !outside.is_empty() {
                left.push(rest.with_side(index, outside));
            }
            rest = rest.with_side(index, inside);
        }
        left
    }

    /// How many ranges its sides have: what working with it costs.
    pub(super) fn weight(&self) -> usize {
        self.sides.iter().map(|side| side.len()).sum()
    }

    fn with_side(&self, index: usize, side: Ranges<u128>) -> Self {
        let mut changed = self.clone();
        if let Some(old) = changed.sides.get_mut(index) {
            *old = Rc::new(side);
        }
        changed
    }
}

/// [`Ranges::is_subset`], at once for the two common cases.
fn is_within(mine: &Side, theirs: &Side) -> bool {
    theirs.is_all() || Rc::ptr_eq(mine, theirs) || mine.iter().all(|(first, last)| theirs.covers(first, last))
}

fn is_apart(a: &Side, b: &Side) -> bool {
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    !few.iter().any(|(first, last)| many.overlaps(first, last))
}

fn address_side(set: Option<&AddressSet>, family: Family) -> Side {
    Rc::new(match (set, family) {
        (None, Family::V4) => widened(&Ranges::<u32>::all()),
        (None, Family::V6) => Ranges::all(),
        (Some(set), Family::V4) => widened(&set.v4),
        (Some(set), Family::V6) => set.v6.clone(),
    })
}

/// The same numbers, wider.
fn widened<T: Number + Into<u128>>(set: &Ranges<T>) -> Ranges<u128> {
    Ranges::from_ranges(set.iter().map(|(first, last)| (first.into(), last.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn side() -> impl Strategy<Value = Side> {
        let range = (0_u128..6, 0_u128..6);
        prop::collection::vec(range, 1..3)
            .prop_map(|ranges| Rc::new(Ranges::from_ranges(ranges.into_iter().map(|(a, b)| (a.min(b), a.max(b))))))
    }

    fn a_box() -> impl Strategy<Value = Box5> {
        let space = Space { way: RuleDirection::In, family: Family::V4, class: Class::Tcp };
        [side(), side(), side(), side(), side()].prop_map(move |sides| Box5 { space, sides })
    }

    fn has(it: &Box5, point: [u128; 5]) -> bool {
        it.sides.iter().zip(point).all(|(side, number)| side.contains(number))
    }

    proptest! {
        #[test]
        fn boxes_agree_with_membership(a in a_box(), b in a_box(), points in prop::collection::vec([0_u128..6, 0..6, 0..6, 0..6, 0..6], 60)) {
            let left = a.without(&b);
            for point in points {
                let wanted = usize::from(has(&a, point) && !has(&b, point));
                prop_assert_eq!(left.iter().filter(|it| has(it, point)).count(), wanted);
            }
            prop_assert_eq!(a.is_within(&b), left.is_empty());
            prop_assert_eq!(a.is_apart(&b), left == [a.clone()]);
        }
    }

    #[test]
    fn spaces_are_numbered_apart() {
        let mut numbers: Vec<_> = Space::all().map(Space::number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..SPACES).collect::<Vec<_>>());
    }
}
