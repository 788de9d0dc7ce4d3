//! ICMP types in rules: types and codes of both families.

use super::ranges::Ranges;

/// A set of (type, code) pairs for each family; a pair is the number `type << 8 | code`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IcmpSet {
    /// ICMP.
    pub v4: Ranges<u16>,
    /// ICMPv6.
    pub v6: Ranges<u16>,
}
