//! Addresses in rules: a range of one family, and sets of ranges.

use super::ranges::Ranges;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All addresses from `first` to `last`, both included, of one family; `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressRange {
    /// IPv4.
    V4 {
        /// Lowest address.
        first: Ipv4Addr,
        /// Highest address.
        last: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// Lowest address.
        first: Ipv6Addr,
        /// Highest address.
        last: Ipv6Addr,
    },
}

/// A set of addresses of both families, exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    /// IPv4 addresses.
    pub v4: Ranges<u32>,
    /// IPv6 addresses.
    pub v6: Ranges<u128>,
}

impl AddressRange {
    /// Whether `address` lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (*self, address) {
            (Self::V4 { first, last }, IpAddr::V4(address)) => first <= address && address <= last,
            (Self::V6 { first, last }, IpAddr::V6(address)) => first <= address && address <= last,
            _ => false,
        }
    }
}

impl From<IpAddr> for AddressRange {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4 { first: address, last: address },
            IpAddr::V6(address) => Self::V6 { first: address, last: address },
        }
    }
}

impl AddressSet {
    /// Whether `address` is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }
}

impl<'a> FromIterator<&'a AddressRange> for AddressSet {
    fn from_iter<I: IntoIterator<Item = &'a AddressRange>>(ranges: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match range {
                AddressRange::V4 { first, last } => v4.push((first.to_bits(), last.to_bits())),
                AddressRange::V6 { first, last } => v6.push((first.to_bits(), last.to_bits())),
            }
        }
        Self { v4: Ranges::from_ranges(v4), v6: Ranges::from_ranges(v6) }
    }
}
