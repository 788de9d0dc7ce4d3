//! The checksum of a transport header (RFC 1071), for those who ask: reading a packet does not.

use super::{Ip, Net, Packet, Protocol, ipv6};
use std::net::IpAddr;

/// The one's complement arithmetic of checksums is that of remainders of this.
const MODULUS: u64 = 0xffff;

/// Whether the TCP, UDP or ICMP checksum of `packet` is wrong, whose bytes from the IP header on are `bytes`.
///
/// What can't be told is not wrong: a packet of which `bytes` hold only a part, a fragment, a transport behind IPv6
/// extension headers. Nor is a checksum wrong that a network card was to fill in: the kernel puts the sum of addresses,
/// protocol and length there until then (`CHECKSUM_PARTIAL`, `linux/skbuff.h`).
pub fn has_wrong_checksum(packet: &Packet, bytes: &[u8]) -> bool {
    let Net::Ip(ip) = &packet.net else { return false };
    let whole = ip.fragment.is_none() && bytes.len() as u64 == u64::from(ip.len);
    whole && payload(ip, bytes).is_some_and(|payload| is_wrong(ip, payload))
}

/// What stands behind the IP header, if that is the transport.
fn payload<'a>(ip: &Ip, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let header = match ip.src {
        IpAddr::V4(_) => usize::from(bytes.first()? & 0x0f) * 4,
        IpAddr::V6(_) if *bytes.get(6)? == ip.protocol.0 => ipv6::HEADER as usize,
        IpAddr::V6(_) => return None,
    };
    bytes.get(header..)
}

fn is_wrong(ip: &Ip, payload: &[u8]) -> bool {
    let (at, pseudo_header) = match ip.protocol {
        Protocol::TCP => (16, true),
        Protocol::UDP => (6, true),
        Protocol::ICMP => (2, false),
        Protocol::ICMPV6 => (2, true),
        _ => return false,
    };
    let Some(stated) = payload.get(at..).and_then(<[u8]>::first_chunk).map(|&bytes| u16::from_be_bytes(bytes)) else {
        return false;
    };
    let pseudo = if pseudo_header { pseudo_sum(ip, payload.len() as u64) } else { 0 };
    let none = ip.protocol == Protocol::UDP && stated == 0;
    let to_be_filled_in = pseudo_header && u64::from(stated) % MODULUS == pseudo % MODULUS;
    !none && !to_be_filled_in && !(pseudo + sum(payload)).is_multiple_of(MODULUS)
}

/// The sum of the pseudo header (RFC 9293 section 3.1, RFC 8200 section 8.1).
fn pseudo_sum(ip: &Ip, len: u64) -> u64 {
    let addresses = [ip.src, ip.dst].map(|address| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    });
    addresses.iter().sum::<u64>() + u64::from(ip.protocol.0) + len
}

/// The sum of 16-bit words; an odd byte at the end stands for a word that ends in 0.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let odd = rest.first().map_or(0, |&byte| u64::from(byte) << 8);
    words.iter().map(|&word| u64::from(u16::from_be_bytes(word))).sum::<u64>() + odd
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Link, parse};

    /// A datagram of 3 bytes from 10.0.0.1 to 10.0.0.2, with the checksum that a Linux host gave it.
    const UDP: [u8; 31] = [
        0x45, 0, 0, 31, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0x04, 0, 0x08, 0, 0, 11, 0x1b, 0x73, b'a',
        b'b', b'c',
    ];
    /// An ICMP echo request without a payload.
    const PING: [u8; 28] =
        [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0, 0xf7, 0xfd, 0, 1, 0, 1];

    fn is_wrong(bytes: &[u8]) -> bool {
        let ethertype = if bytes[0] >> 4 == 4 { 0x0800 } else { 0x86dd };
        let len = u32::try_from(bytes.len()).unwrap();
        has_wrong_checksum(&parse(Link::Cooked { ethertype }, bytes, len), bytes)
    }

    #[test]
    fn a_changed_byte_makes_the_checksum_wrong() {
        for right in [&UDP[..], &PING] {
            assert!(!is_wrong(right), "{right:?}");
            for at in 20..right.len() {
                let mut changed = right.to_vec();
                changed[at] ^= 0x40;
                assert!(is_wrong(&changed), "{at}");
            }
        }
    }

    #[test]
    fn the_pseudo_header_counts_in_both_families() {
        let mut v6 = vec![0x60, 0, 0, 0, 0, 8, 58, 64];
        v6.extend([[0xfd; 16], [0xfe; 16]].concat());
        v6.extend([128, 0, 0, 0, 0, 1, 0, 1]);
        let packet = parse(Link::Cooked { ethertype: 0x86dd }, &v6, 48);
        let Net::Ip(ip) = packet.net else { panic!("{packet:?}") };
        let right = MODULUS - (pseudo_sum(&ip, 8) + sum(&v6[40..])) % MODULUS;
        assert!(is_wrong(&v6));
        v6[42..44].copy_from_slice(&u16::try_from(right).unwrap().to_be_bytes());
        assert!(!is_wrong(&v6));
        v6[39] ^= 1;
        assert!(is_wrong(&v6));
    }

    #[test]
    fn what_is_absent_or_left_to_the_network_card_is_not_wrong() {
        let mut none = UDP;
        none[26..28].fill(0);
        assert!(!is_wrong(&none), "UDP may do without");
        let packet = parse(Link::Cooked { ethertype: 0x0800 }, &UDP, 31);
        let Net::Ip(ip) = packet.net else { panic!("{packet:?}") };
        let mut partial = UDP;
        partial[26..28].copy_from_slice(&u16::try_from(pseudo_sum(&ip, 11) % MODULUS).unwrap().to_be_bytes());
        assert!(!is_wrong(&partial));
        let mut cut = UDP;
        cut[27] ^= 1;
        assert!(is_wrong(&cut));
        let packet = parse(Link::Cooked { ethertype: 0x0800 }, &cut[..30], 31);
        assert!(!has_wrong_checksum(&packet, &cut[..30]), "a part tells nothing");
    }
}
