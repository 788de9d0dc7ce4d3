//! What stays the same in a packet when a router passes it on and translates its destination.

use super::Protocol;
use super::ethertype::{IPV4, IPV6};
use super::extension::Chain;
use super::malformed::Faults;
use super::span::Span;
use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hasher};

/// Bytes behind the IP headers that count: a TCP header with all its options.
const LOOKED_AT: usize = 64;
/// The same of a first fragment, which has no fewer.
const HEAD: usize = 8;
/// Size of an IPv6 header.
const IPV6_HEADER: usize = 40;

/// What stays the same in a packet when the kernel passes it on and translates its destination: two sightings of one
/// packet have the same fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// Of its source, its identification or flow label, and what is behind the IP headers.
    pub whole: u64,
    /// Of so much of it that a first fragment has it too.
    pub head: u64,
}

/// The fingerprint of an IP packet; `None` if it is none, or ends before there is any to be had.
pub(super) fn of(ethertype: u16, packet: &[u8]) -> Option<Fingerprint> {
    match ethertype {
        IPV4 => of_ipv4(packet),
        IPV6 => of_ipv6(packet),
        _ => None,
    }
}

fn of_ipv4(packet: &[u8]) -> Option<Fingerprint> {
    let &[first, _, _, _, id_high, id_low, _, _, _, protocol, _, _, a, b, c, d, ..] = packet.first_chunk::<20>()?;
    let payload = packet.get(usize::from(first & 0x0f) * 4..)?;
    Some(both(Protocol(protocol), &[id_high, id_low, a, b, c, d], payload))
}

fn of_ipv6(packet: &[u8]) -> Option<Fingerprint> {
    let (header, behind) = packet.split_first_chunk::<IPV6_HEADER>()?;
    let (&[_, class_and_label, label_middle, label_low, _, _, next, _], addresses) = header.split_first_chunk()?;
    // The traffic class can change on the way.
    let label = [class_and_label & 0x0f, label_middle, label_low];
    let mut known_by = [0; 3 + 16];
    known_by.iter_mut().zip(label.iter().chain(addresses.first_chunk::<16>()?)).for_each(|(to, from)| *to = *from);
    // What is wrong with it has been said.
    let chain = Chain::walk(Protocol(next), Span::new(behind, 0).open_ended(), &mut Faults::default());
    Some(both(chain.protocol, &known_by, chain.payload?.bytes()))
}

fn both(protocol: Protocol, known_by: &[u8], payload: &[u8]) -> Fingerprint {
    let of = |size| hash(protocol, known_by, payload.get(..size).unwrap_or(payload));
    Fingerprint { whole: of(LOOKED_AT), head: of(HEAD) }
}

/// The destination port and the checksum are left out.
fn hash(protocol: Protocol, known_by: &[u8], payload: &[u8]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write_u8(protocol.0);
    hasher.write(known_by);
    // Up to two parts of the header, and all that is behind.
    let kept = match protocol {
        Protocol::TCP => [0..2, 4..16, 18..LOOKED_AT],
        Protocol::UDP | Protocol::UDPLITE => [0..2, 4..6, 8..LOOKED_AT],
        Protocol::SCTP => [0..2, 4..8, 12..LOOKED_AT],
        // In an error the packet is translated too that it is about: its addresses, and what is behind them.
        Protocol::ICMP if is_error(protocol, payload) => [0..2, 4..8, 8..18],
        Protocol::ICMPV6 if is_error(protocol, payload) => [0..2, 4..8, 8..16],
        Protocol::ICMP | Protocol::ICMPV6 => [0..2, 4..8, 8..LOOKED_AT],
        _ => [0..2, 2..4, 4..LOOKED_AT],
    };
    for range in kept {
        let end = range.end.min(payload.len());
        hasher.write(payload.get(range.start..end).unwrap_or_default());
    }
    hasher.finish()
}

/// Whether an ICMP message is about another packet: unreachable, source quench, redirect, time exceeded, parameter
/// problem (RFC 792), and those of ICMPv6 with numbers below 128 (RFC 4443 section 2.1).
fn is_error(protocol: Protocol, message: &[u8]) -> bool {
    message.first().is_some_and(|&kind| match protocol {
        Protocol::ICMP => matches!(kind, 3 | 4 | 5 | 11 | 12),
        _ => kind < 128,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::bytes;
    use super::*;

    const TCP: &str =
        "4500 003c 1234 4000 4006 0000 0a4d0002 0a4d0001  9c40 1f90 11223344 00000000 a002 fd78 aaaa 0000";

    fn v4(text: &str) -> Fingerprint {
        of(IPV4, &bytes(text)).unwrap()
    }

    #[test]
    fn a_router_and_a_new_destination_change_nothing() {
        // Time to live, both checksums, destination address and port.
        let behind = "4500 003c 1234 4000 3f06 ffff 0a4d0002 0a580002  9c40 0050 11223344 00000000 a002 fd78 bbbb 0000";
        assert_eq!(v4(TCP), v4(behind));
        let v6 = |hop: &str, dst: &str, port: &str| {
            let text = format!("6000 0000 000a 11{hop} fd77{:028}  {dst}{:028}  0fa0 {port} 000a 1111 7878", 2, 1);
            of(IPV6, &bytes(&text)).unwrap()
        };
        assert_eq!(v6("40", "fd77", "1f90"), v6("3f", "fd88", "0050"));
    }

    #[test]
    fn extension_headers_hide_no_port() {
        let v6 = |hop: &str, dst: &str, port: &str| {
            let text = format!(
                "6000 0000 0012 3c{hop} fd77{:028}  {dst}{:028}  1100 0104 00000000  0fa0 {port} 000a 1111 7878",
                2, 1
            );
            of(IPV6, &bytes(&text)).unwrap()
        };
        assert_eq!(v6("40", "fd77", "1f90"), v6("3f", "fd88", "0050"));
    }

    #[test]
    fn the_packet_that_an_error_is_about_is_translated_with_it() {
        let error = |sum: &str, quoted: &str| {
            v4(&format!(
                "4500 0038 1234 4000 4001 0000 0a4d0002 0a4d0001  0303 {sum} 00000000
                 4500 001d {quoted} 0a4d0002  08ae 0fa0 0009 1111"
            ))
        };
        let outside = error("aaaa", "5678 4000 4011 2222 0a4d0001");
        assert_eq!(outside, error("bbbb", "5678 4000 4011 3333 0a580001"));
        assert_ne!(outside, error("aaaa", "5679 4000 4011 2222 0a4d0001"), "about another");
        let asks =
            |data: &str| v4(&format!("4500 0020 1234 4000 4001 0000 0a4d0002 0a4d0001  0800 aaaa 00010001 {data}"));
        assert_ne!(asks("4500 001d"), asks("4500 001e"), "it is no error");
    }

    #[test]
    fn everything_else_does() {
        for (from, to) in
            [("1234", "1235"), ("0a4d0002", "0a4d0003"), ("9c40", "9c41"), ("11223344", "11223345"), ("a002", "a010")]
        {
            assert_ne!(v4(TCP), v4(&TCP.replacen(from, to, 1)), "{from}");
        }
    }

    #[test]
    fn the_flow_label_stays_and_the_traffic_class_may_change() {
        let v6 = |first: &str| {
            let text = format!("{first} 000a 1140 fd77{:028} fd77{:028} 0fa0 1f90 000a 1111 7878", 2, 1);
            of(IPV6, &bytes(&text)).unwrap()
        };
        assert_eq!(v6("6000 1234"), v6("60b0 1234"));
        assert_ne!(v6("6000 1234"), v6("6000 1235"));
        assert_ne!(v6("6000 1234"), v6("6001 1234"));
    }

    #[test]
    fn a_first_fragment_has_the_head_of_the_whole() {
        let of = |text: String| of(IPV6, &bytes(&text)).unwrap();
        let between = format!("fd77{:028} fd77{:028}", 2, 1);
        let whole = of(format!("6000 0000 000c 1140 {between} 0fa0 1f90 0fa8 1111 78787878"));
        let first = of(format!("6000 0000 0010 2c40 {between} 11000001 00000009 0fa0 0050 0fa8 2222"));
        let other = of(format!("6000 0000 0010 2c40 {between} 11000001 00000009 0fa1 0050 0fa8 2222"));
        assert_eq!(whole.head, first.head);
        assert_ne!(whole.head, other.head);
        assert_eq!(v4(TCP), v4(&TCP.replace("4000", "2000")));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
            let _ = (of(IPV4, &bytes), of(IPV6, &bytes));
        }
    }
}
