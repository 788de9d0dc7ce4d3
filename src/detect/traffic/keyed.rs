//! Keys of what is counted: 64 bits of a keyed hash. The key is drawn when pfw starts, so that nobody outside can make
//! two things fall together.

use foldhash::quality::FixedState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The hasher, with its key.
#[derive(Clone, Debug)]
pub(super) struct Keyed(FixedState);

impl Keyed {
    pub(super) fn new(seed: u64) -> Self {
        Self(FixedState::with_seed(seed))
    }

    /// The key of something about two addresses; `what` tells apart what is counted of them.
    #[inline]
    pub(super) fn pair(&self, what: u8, one: IpAddr, other: IpAddr, port: u16) -> u64 {
        self.0.hash_one((what, bits(one), bits(other), port))
    }

    /// The key of a connection from one end to the other.
    #[inline]
    pub(super) fn connection(&self, from: (IpAddr, u16), to: (IpAddr, u16)) -> u64 {
        self.0.hash_one((bits(from.0), bits(to.0), from.1, to.1))
    }

    /// The key of something about one address.
    #[inline]
    pub(super) fn one(&self, what: u8, address: IpAddr, port: u16) -> u64 {
        self.0.hash_one((what, bits(address), port))
    }

    /// The key of a station.
    pub(super) fn station(&self, what: u8, station: [u8; 6]) -> u64 {
        self.0.hash_one((what, station))
    }

    /// A thing of which several are counted.
    #[inline]
    pub(super) fn item(&self, item: u64) -> u64 {
        self.0.hash_one(item)
    }
}

#[inline]
pub(super) fn bits(address: IpAddr) -> u128 {
    match address {
        // Where no IPv6 address is that could be meant.
        IpAddr::V4(address) => u128::from(address.to_bits()) | 1 << 127 | 1 << 126,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The network that one owner is likely to have all of: /24, in IPv6 /64.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0xff).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}
