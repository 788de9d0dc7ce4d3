//! This machine's own addresses: what it says to a group, and hears itself.

use crate::host::Host;
use std::net::{IpAddr, Ipv4Addr};

/// Own addresses, and the broadcast addresses of own networks.
#[derive(Debug)]
pub(super) struct OwnAddresses {
    /// Sorted.
    own: Vec<IpAddr>,
    /// Sorted.
    broadcasts: Vec<Ipv4Addr>,
}

impl OwnAddresses {
    /// Those of `host`.
    pub(super) fn new(host: &Host) -> Self {
        let mut own: Vec<_> = host.addresses.iter().map(|&(address, _)| address).collect();
        let mut broadcasts: Vec<_> =
            host.addresses.iter().filter_map(|&(address, prefix)| broadcast(address, prefix)).collect();
        broadcasts.push(Ipv4Addr::BROADCAST);
        own.sort_unstable();
        broadcasts.sort_unstable();
        Self { own, broadcasts }
    }

    /// Whether `address` is this machine's: one of its interfaces, or of loopback.
    pub(super) fn owns(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.own.binary_search(&address).is_ok()
    }

    /// Whether a packet from `src` to `dst` is what this machine sends to a group or a network that it is part of.
    pub(super) fn sends_to_itself(&self, src: IpAddr, dst: IpAddr) -> bool {
        let to_many =
            dst.is_multicast() || matches!(dst, IpAddr::V4(dst) if self.broadcasts.binary_search(&dst).is_ok());
        to_many && self.own.binary_search(&src).is_ok()
    }
}

/// The broadcast address of an IPv4 network; /31 (RFC 3021) and /32 have none.
fn broadcast(address: IpAddr, prefix: u8) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) if prefix <= 30 => {
            Some(Ipv4Addr::from_bits(address.to_bits() | u32::MAX.checked_shr(prefix.into()).unwrap_or(0)))
        }
        _ => None,
    }
}
