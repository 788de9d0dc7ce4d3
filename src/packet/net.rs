//! EtherType -> network layer.
//!
//! From here on a layer is read into the place where it stays, not returned: a [`Net`] is large, and handing it up
//! layer by layer would cost more than reading it.

use super::malformed::Faults;
use super::span::Span;
use super::{Net, arp, ethertype, ipv4, ipv6};

/// The two families of IP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

/// Reads what stands behind the link layer into `net`, which stays as it is where there is too little to read.
pub(super) fn read(ethertype: u16, payload: Span<'_>, net: &mut Net, faults: &mut Faults) {
    match ethertype {
        ethertype::IPV4 => ipv4::read(payload, net, faults),
        ethertype::IPV6 => ipv6::read(payload, net, faults),
        ethertype::ARP => arp::read(payload, net, faults),
        _ => {}
    }
}
