//! Keys of what is counted: 64 bits of a keyed hash. The key is drawn when pfw starts, so that nobody outside can make
//! two things fall together.

use crate::packet::Ip;
use foldhash::quality::FixedState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What tells keys apart; the ways of scanning are 0 to 7, and the same plus this for those of a network.
pub(super) const OF_NETWORK: u8 = 16;
pub(super) const PORT: u8 = 32;
pub(super) const SWEEP_TCP: u8 = 33;
pub(super) const SWEEP_UDP: u8 = 34;
pub(super) const SWEEP_ICMP: u8 = 35;
pub(super) const SWEEP_ARP: u8 = 36;
pub(super) const FLOOD_SYN: u8 = 37;
pub(super) const FLOOD_UDP: u8 = 38;
pub(super) const FLOOD_ICMP: u8 = 39;
pub(super) const LOGIN: u8 = 40;
pub(super) const ADDRESS_CLAIM: u8 = 41;
pub(super) const ARP_GRATUITOUS: u8 = 42;
pub(super) const DHCP_SERVER: u8 = 43;
pub(super) const DNS_ANSWERS: u8 = 44;
pub(super) const LOGIN_OPENED: u8 = 45;
pub(super) const FRAGMENT_OVERLAP: u8 = 46;

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

    /// The key of a datagram that comes in fragments (RFC 791 section 3.2; in IPv6 the protocol is no part of it).
    pub(super) fn datagram(&self, ip: &Ip, id: u32) -> u64 {
        let protocol = if ip.src.is_ipv4() { ip.protocol.0 } else { 0 };
        self.0.hash_one((bits(ip.src), bits(ip.dst), id, protocol))
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

    /// The key of the network that an interface is in.
    pub(super) fn network(&self, interface: &[u8]) -> u64 {
        self.0.hash_one(interface)
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
