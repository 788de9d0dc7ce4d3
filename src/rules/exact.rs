//! Sets with exact arithmetic: what every condition comes to, whatever it was written as.

use super::address::{AddressRange, AddressSet};
use super::icmp::IcmpSet;
use super::port::PortSet;
use super::protocol::ProtocolSet;
use super::ranges::Ranges;

/// A set of addresses, ports, protocols or ICMP types.
pub trait ExactSet: Clone + Default + PartialEq {
    /// Everything there is.
    fn all() -> Self;
    /// What is in either.
    #[must_use]
    fn union(&self, other: &Self) -> Self;
    /// What is in both.
    #[must_use]
    fn intersection(&self, other: &Self) -> Self;
    /// What is in this one alone.
    #[must_use]
    fn difference(&self, other: &Self) -> Self;

    /// Whether there is nothing in it.
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all of it is in `other`.
    fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).is_empty()
    }
}

/// A value that stands in a list, and the set that many of them make.
pub trait Term: Sized {
    /// The set.
    type Set: ExactSet;

    /// What is in any of the terms.
    fn union_of<'a>(terms: impl Iterator<Item = &'a Self>) -> Self::Set
    where
        Self: 'a;

    /// What a list of (negated, term) means: any of the positive ones (everything, if there is none) and none of the
    /// negated.
    fn meaning(terms: &[(bool, Self)]) -> Self::Set {
        let of = |wanted: bool| terms.iter().filter(move |(negated, _)| *negated == wanted).map(|(_, term)| term);
        let positive = if of(false).next().is_none() { Self::Set::all() } else { Self::union_of(of(false)) };
        if of(true).next().is_none() { positive } else { positive.difference(&Self::union_of(of(true))) }
    }
}

/// Sets that are two sets of numbers side by side.
macro_rules! pair {
    ($set:ty, $first:ident, $second:ident) => {
        impl ExactSet for $set {
            fn all() -> Self {
                Self { $first: Ranges::all(), $second: Ranges::all() }
            }
            fn union(&self, other: &Self) -> Self {
                Self { $first: self.$first.union(&other.$first), $second: self.$second.union(&other.$second) }
            }
            fn intersection(&self, other: &Self) -> Self {
                Self {
                    $first: self.$first.intersection(&other.$first),
                    $second: self.$second.intersection(&other.$second),
                }
            }
            fn difference(&self, other: &Self) -> Self {
                Self { $first: self.$first.difference(&other.$first), $second: self.$second.difference(&other.$second) }
            }
        }
    };
}
pair!(AddressSet, v4, v6);
pair!(PortSet, tcp, udp);
pair!(IcmpSet, v4, v6);

impl ExactSet for ProtocolSet {
    fn all() -> Self {
        Self::ALL
    }
    fn union(&self, other: &Self) -> Self {
        ProtocolSet::union(*self, *other)
    }
    fn intersection(&self, other: &Self) -> Self {
        ProtocolSet::intersection(*self, *other)
    }
    fn difference(&self, other: &Self) -> Self {
        ProtocolSet::difference(*self, *other)
    }
}

impl Term for AddressRange {
    type Set = AddressSet;

    fn union_of<'a>(terms: impl Iterator<Item = &'a Self>) -> AddressSet {
        terms.collect()
    }
}

impl Term for PortSet {
    type Set = Self;

    fn union_of<'a>(terms: impl Iterator<Item = &'a Self>) -> Self {
        let (tcp, udp): (Vec<_>, Vec<_>) = terms.map(|term| (&term.tcp, &term.udp)).unzip();
        Self { tcp: flattened(&tcp), udp: flattened(&udp) }
    }
}

impl Term for IcmpSet {
    type Set = Self;

    fn union_of<'a>(terms: impl Iterator<Item = &'a Self>) -> Self {
        let (v4, v6): (Vec<_>, Vec<_>) = terms.map(|term| (&term.v4, &term.v6)).unzip();
        Self { v4: flattened(&v4), v6: flattened(&v6) }
    }
}

impl Term for ProtocolSet {
    type Set = Self;

    fn union_of<'a>(terms: impl Iterator<Item = &'a Self>) -> Self {
        terms.fold(Self::default(), |all, &term| all.union(term))
    }
}

fn flattened(sets: &[&Ranges<u16>]) -> Ranges<u16> {
    Ranges::from_ranges(sets.iter().flat_map(|set| set.iter()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Protocol;

    #[test]
    fn a_list_means_any_positive_and_no_negated() {
        let [tcp, udp, gre] = [6, 17, 47].map(|n| ProtocolSet::from_iter([Protocol(n)]));
        assert_eq!(Term::meaning(&[(false, tcp), (false, udp), (true, udp)]), tcp);
        assert_eq!(Term::meaning(&[(true, tcp), (true, gre)]), ProtocolSet::ALL.difference(tcp).difference(gre));
        assert!(ProtocolSet::meaning(&[(false, tcp), (true, tcp)]).is_empty());
    }

    #[test]
    fn a_negated_port_leaves_the_other_protocol_whole() {
        let ssh = PortSet { tcp: Ranges::one(22), udp: Ranges::default() };
        let set = PortSet::meaning(&[(true, ssh)]);
        assert!(!set.tcp.contains(22) && set.tcp.contains(21));
        assert!(set.udp.is_all());
    }

    #[test]
    fn a_negated_address_lets_the_other_family_in() {
        let one = AddressRange::from("10.0.0.1".parse::<std::net::IpAddr>().unwrap());
        let set = AddressRange::meaning(&[(true, one)]);
        assert!(set.v6.is_all() && !set.contains("10.0.0.1".parse().unwrap()));
    }
}
