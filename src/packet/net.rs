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

/// See [`packet::stated_len`](super::stated_len).
pub(super) fn stated_len(bytes: &[u8]) -> Option<u32> {
    let &[version, _, v4_high, v4_low, v6_high, v6_low] = bytes.first_chunk()?;
    match version >> 4 {
        4 => Some(u16::from_be_bytes([v4_high, v4_low]).into()),
        6 => Some(u32::from(u16::from_be_bytes([v6_high, v6_low])) + ipv6::HEADER),
        _ => None,
    }
}

/// Whether `payload` begins with a header of this type, of IP or of ARP for IPv4, and is long enough for what it says.
/// What a capture cut off is taken to fit, where there was room for the header.
pub(super) fn fits(ethertype: u16, payload: Span<'_>) -> bool {
    let least = match ethertype {
        ethertype::IPV4 => ipv4::HEADER,
        ethertype::IPV6 => ipv6::HEADER,
        _ => arp::WHOLE,
    };
    let may_be = payload.is_cut() && payload.len() >= least;
    let whole = || stated_len(payload.bytes()).map_or(may_be, |len| len <= payload.len());
    match (ethertype, payload.bytes()) {
        (ethertype::IPV4, [0x45..=0x4f, ..]) | (ethertype::IPV6, [0x60..=0x6f, ..]) => whole(),
        (ethertype::ARP, [_, _, high, low, ..]) => u16::from_be_bytes([*high, *low]) == ethertype::IPV4,
        (ethertype::IPV4 | ethertype::IPV6, []) | (ethertype::ARP, _) => may_be,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_that_an_ip_header_states_is_read() {
        assert_eq!(stated_len(&[0x45, 0, 0x05, 0xdc, 0, 0]), Some(1500));
        assert_eq!(stated_len(&[0x60, 0, 0, 0, 0x01, 0x00, 17, 64]), Some(296));
        assert_eq!(stated_len(&[0x75, 0, 0x05, 0xdc, 0, 0]), None);
        assert_eq!(stated_len(&[0x45, 0, 0x05, 0xdc, 0]), None);
    }
}
