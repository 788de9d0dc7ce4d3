//! Protocols in rules: a set of IP protocol numbers, independent of the family.

use super::diagnostic::{quoted, shown};
use super::parsed::Parsed;
use super::suggest::did_you_mean;
use crate::packet::Protocol;
use std::fmt;

/// A set of IP protocol numbers. `icmp` is {1, 58}: ICMP and ICMPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ProtocolSet {
    /// Bit n of word n/64 stands for protocol n.
    bits: [u64; 4],
}

impl ProtocolSet {
    /// Every protocol.
    pub const ALL: Self = Self { bits: [u64::MAX; 4] };

    /// ICMP and ICMPv6: what `icmp` means everywhere.
    pub fn icmp() -> Self {
        Self::from_iter([Protocol::ICMP, Protocol::ICMPV6])
    }

    /// The protocols that have ports.
    pub fn with_ports() -> Self {
        Self::from_iter([Protocol::TCP, Protocol::UDP])
    }

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

/// IPv6 extension headers (IANA "Internet Protocol Version 6 Parameters"): never what a packet carries. The
/// authentication header, 51, is one too; it counts as a protocol, as it does in IPv4.
const EXTENSION_HEADERS: [u8; 6] = [43, 44, 60, 135, 139, 140];

/// Reads the name of a protocol, in any case, or its number.
pub(super) fn parse(text: &str) -> Result<Parsed<ProtocolSet>, String> {
    let protocol = number(text)?;
    if protocol.0 == 0 {
        return Err("protocol 0 (ip, hopopt) is no protocol of its own; to mean every protocol, say nothing".to_owned());
    }
    if EXTENSION_HEADERS.contains(&protocol.0) {
        let name = name(protocol);
        return Err(format!("{name} ({}) is an IPv6 extension header; name the protocol behind it", protocol.0));
    }
    let value = if protocol == Protocol::ICMP { ProtocolSet::icmp() } else { ProtocolSet::from_iter([protocol]) };
    Ok(Parsed { value, warning: None })
}

fn number(text: &str) -> Result<Protocol, String> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse().map(Protocol).ok().filter(|_| text == "0" || !text.starts_with('0'));
        return number.ok_or_else(|| format!("{} is not a protocol number (1 to 255)", shown(text)));
    }
    // Aliases of 0 that the registry of names may not carry.
    if ["ip", "hopopt"].iter().any(|alias| text.eq_ignore_ascii_case(alias)) {
        return Ok(Protocol(0));
    }
    Protocol::from_name(text).ok_or_else(|| format!("{} is not a protocol{}", quoted(text), near(text)))
}

/// Whether no protocol has this name, or one like it.
pub(super) fn is_unlike_all(text: &str) -> bool {
    number(text).is_err() && near(text).is_empty()
}

/// The question whether the protocol whose name is nearest was meant, or nothing if none is near.
fn near(text: &str) -> String {
    let names = (1..=u8::MAX).map(|number| name(Protocol(number)));
    did_you_mean(text, names.filter(|name| name.parse::<u8>().is_err()))
}

/// The protocol's name in lower case, or its number if it has none.
fn name(protocol: Protocol) -> String {
    if protocol == Protocol::ICMPV6 {
        return "icmpv6".to_owned();
    }
    let name = protocol.to_string().to_ascii_lowercase();
    if Protocol::from_name(&name) == Some(protocol) { name } else { protocol.0.to_string() }
}

impl fmt::Display for ProtocolSet {
    /// Names as the rules file spells them, with commas: `icmp` where both ICMPs are in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both_icmp = Self::icmp().is_subset(*self);
        let mut separator = "";
        for protocol in self.iter().filter(|&protocol| !(both_icmp && protocol == Protocol::ICMPV6)) {
            // A packet may be ICMP alone only where something was taken away from `icmp`.
            write!(f, "{separator}{}", name(protocol))?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_read_in_any_case() {
        for (text, printed) in [
            ("TCP", "tcp"),
            ("6", "tcp"),
            ("icmp", "icmp"),
            ("1", "icmp"),
            ("ICMPv6", "icmpv6"),
            ("58", "icmpv6"),
            ("253", "253"),
        ] {
            assert_eq!(parse(text).unwrap().value.to_string(), printed);
        }
        assert_eq!(parse("icmp").unwrap().value.iter().collect::<Vec<_>>(), [Protocol::ICMP, Protocol::ICMPV6]);
    }

    #[test]
    fn what_is_no_protocol_is_refused_with_its_reason() {
        for (text, part) in [
            ("0", "protocol 0"),
            ("IP", "protocol 0"),
            ("hopopt", "protocol 0"),
            ("43", "extension header"),
            ("IPv6-Frag", "extension header"),
            ("60", "extension header"),
            ("256", "256 is not a protocol number (1 to 255)"),
            ("-1", "is not a protocol number"),
            ("06", "is not a protocol number"),
            ("tpc", "did you mean \"tcp\"?"),
            ("6.0", "\"6.0\" is not a protocol"),
            ("", "\"\" is not a protocol"),
        ] {
            let reason = parse(text).unwrap_err();
            assert!(reason.contains(part), "{text}: {reason}");
        }
    }
}
