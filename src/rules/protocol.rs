//! Protocols in rules: a set of IP protocol numbers, independent of the family.

use crate::packet::Protocol;

/// A set of IP protocol numbers. `icmp` is {1, 58}: ICMP and ICMPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProtocolSet {
    /// Bit n of word n/64 stands for protocol n.
    bits: [u64; 4],
}

impl ProtocolSet {
    /// Every protocol.
    pub const ALL: Self = Self { bits: [u64::MAX; 4] };

    /// Whether `protocol` is in the set.
    pub fn contains(self, protocol: Protocol) -> bool {
        let word = self.bits.get(usize::from(protocol.0 >> 6)).copied().unwrap_or(0);
        word >> (protocol.0 & 63) & 1 == 1
    }

    /// The protocols of the set, ascending.
    pub fn iter(self) -> impl Iterator<Item = Protocol> {
        (0..=u8::MAX).map(Protocol).filter(move |&protocol| self.contains(protocol))
    }

    /// Protocols in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        self.merge(other, |a, b| a | b)
    }

    /// Protocols in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        self.merge(other, |a, b| a & b)
    }

    /// Protocols of this set that are not in `other`.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        self.merge(other, |a, b| a & !b)
    }

    /// Whether every protocol of this set is in `other`.
    pub fn is_subset(self, other: Self) -> bool {
        self.difference(other) == Self::default()
    }

    fn merge(self, other: Self, word: impl Fn(u64, u64) -> u64) -> Self {
        let mut bits = self.bits;
        for (mine, theirs) in bits.iter_mut().zip(other.bits) {
            *mine = word(*mine, theirs);
        }
        Self { bits }
    }
}

impl FromIterator<Protocol> for ProtocolSet {
    fn from_iter<I: IntoIterator<Item = Protocol>>(protocols: I) -> Self {
        let mut set = Self::default();
        for protocol in protocols {
            if let Some(word) = set.bits.get_mut(usize::from(protocol.0 >> 6)) {
                *word |= 1 << (protocol.0 & 63);
            }
        }
        set
    }
}
