//! EtherType -> network layer.

use super::malformed::Faults;
use super::span::Span;
use super::{Net, arp, ethertype, ipv4, ipv6};

/// The two families of IP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// Reads what stands behind the link layer.
pub(super) fn parse(ethertype: u16, payload: Span<'_>, faults: &mut Faults) -> Net {
    let net = match ethertype {
        ethertype::IPV4 => ipv4::parse(payload, faults).map(Net::Ip),
        ethertype::IPV6 => ipv6::parse(payload, faults).map(Net::Ip),
        ethertype::ARP => arp::parse(payload, faults).map(Net::Arp),
        _ => None,
    };
    net.unwrap_or(Net::Other { ethertype, len: payload.len() })
}
