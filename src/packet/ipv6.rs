//! IPv6 (RFC 8200): the fixed header and the length of the packet. The headers behind it are walked in
//! [`extension`](super::extension).

use super::extension::Chain;
use super::hop_by_hop::{self, Jumbo};
use super::malformed::Faults;
use super::net::Family;
use super::reason::Reason;
use super::span::Span;
use super::{Ip, Net, Protocol, Transport, ipv4, transport};
use pnet::packet::ipv6::Ipv6Packet;
use std::net::Ipv6Addr;

/// Size of the fixed header.
pub(super) const HEADER: u32 = 40;
/// Where the addresses stand in it.
const ADDRESSES_AT: usize = 8;

/// Reads an IPv6 packet into `net`, which stays as it is if there is no whole header, or one of another version.
pub(super) fn read(frame: Span<'_>, net: &mut Net, faults: &mut Faults) {
    let (Some(header), Some((src, dst))) = (Ipv6Packet::new(frame.bytes()), addresses(frame.bytes())) else {
        return faults.require(frame, HEADER, Reason::Ipv6Header);
    };
    let version = header.get_version();
    if version != 6 {
        return faults.note(Reason::Ipv6Version, version, 6_u8);
    }
    let first = Protocol(header.get_next_header().0);
    let behind = frame.skip(HEADER);
    let payload_len = payload_length(header.get_payload_length(), first, behind, faults);
    let chain = Chain::walk(first, behind.limit(payload_len), faults);
    *net = Net::Ip(Ip {
        src: src.into(),
        dst: dst.into(),
        protocol: chain.protocol,
        ttl: header.get_hop_limit(),
        len: payload_len.saturating_add(HEADER),
        fragment: chain.fragment,
        transport: Transport::None,
    });
    if let (Net::Ip(ip), Some(payload)) = (net, readable(&chain, faults)) {
        transport::read(Family::V6, chain.protocol, payload, &mut ip.transport, faults);
    }
}

/// Source and destination. The header view puts them together word by word, which takes longer than all the rest.
fn addresses(header: &[u8]) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let (_, addresses) = header.split_at_checked(ADDRESSES_AT)?;
    let (&src, behind) = addresses.split_first_chunk()?;
    let &dst = behind.first_chunk()?;
    Some((Ipv6Addr::from_octets(src), Ipv6Addr::from_octets(dst)))
}

/// The payload's length as the packet says it: in the header, or for more than 65,535 bytes in a jumbo payload option
/// (RFC 2675) or, where segmentation is left to the network card, by its frame alone.
fn payload_length(stated: u16, first: Protocol, behind: Span<'_>, faults: &mut Faults) -> u32 {
    let is_hop_by_hop = first == Protocol::HOPOPT;
    if stated > 0 || !is_hop_by_hop {
        faults.fits(stated.into(), behind, Reason::Ipv6BeyondFrame);
    }
    match stated {
        0 if is_hop_by_hop => match hop_by_hop::check(stated, behind, faults) {
            Jumbo::Length(length) => length,
            Jumbo::Unknown => behind.len(),
            Jumbo::Absent => {
                faults.note(Reason::Ipv6JumboMissing, 0_u32, 0_u32);
                // The kernel goes on with all that there is.
                behind.len()
            }
        },
        0 if ipv4::is_super_segment(first, behind.len()) => behind.len(),
        _ => {
            if is_hop_by_hop {
                hop_by_hop::check(stated, behind.limit(stated.into()), faults);
            }
            stated.into()
        }
    }
}

/// Where the transport header is to be read: the first of several fragments must hold all of it, but not more.
fn readable<'a>(chain: &Chain<'a>, faults: &mut Faults) -> Option<Span<'a>> {
    let payload = chain.payload?;
    if chain.fragment.is_none() {
        return Some(payload);
    }
    faults.require(payload, transport::header_size(chain.protocol), Reason::Ipv6FirstFragment);
    Some(payload.open_ended())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, ip, odd, parse, reason, sentence};
    use super::super::{Fragment, Link, Packet, Ports, parse as parse_cut};
    use super::*;
    use crate::alert::Alert;

    const IPV6: Link = Link::Cooked { ethertype: 0x86dd };
    /// From `2001:db8::1` to `2001:db8::2`.
    const ADDRESSES: &str = "20010db8000000000000000000000001 20010db8000000000000000000000002";
    const UDP_53: &str = "c000 0035 0008 0000";
    const PORTS: Ports = Ports { src: 49152, dst: 53 };
    /// A destination options header of 8 bytes, UDP behind it.
    const OPTIONS_UDP: &str = "11 00 01 04 00000000";

    /// A packet whose payload begins with `next`; the payload length is that of `payload`.
    fn ipv6(next: &str, payload: &str) -> Packet {
        let length = bytes(payload).len();
        parse(IPV6, &format!("60000000 {length:04x} {next} 40 {ADDRESSES} {payload}"))
    }

    fn stating(length: &str, next: &str, payload: &str) -> Packet {
        parse(IPV6, &format!("60000000 {length} {next} 40 {ADDRESSES} {payload}"))
    }

    #[test]
    fn a_packet_is_read() {
        let packet = ipv6("11", UDP_53);
        let expected = Ip {
            src: "2001:db8::1".parse().unwrap(),
            dst: "2001:db8::2".parse().unwrap(),
            protocol: Protocol::UDP,
            ttl: 64,
            len: 48,
            fragment: None,
            transport: Transport::Udp(PORTS),
        };
        assert_eq!((packet.net, packet.malformed), (Net::Ip(expected), None));
    }

    #[test]
    fn every_kind_of_extension_header_is_walked() {
        let hop_by_hop = "2b 00 05 02 0000 01 00";
        let routing = "2c 02 04 00 00000000 20010db8000000000000000000000009";
        let atomic = "3c 00 0000 00000007";
        let packet = ipv6("00", &format!("{hop_by_hop} {routing} {atomic} {OPTIONS_UDP} {UDP_53}"));
        assert_eq!((ip(&packet).protocol, ip(&packet).transport), (Protocol::UDP, Transport::Udp(PORTS)));
        assert_eq!((ip(&packet).fragment, packet.malformed), (None, None));
    }

    #[test]
    fn an_authentication_header_is_a_protocol_as_in_ipv4() {
        let authentication = "3c 04 0000 00000001 00000002 000102030405060708090a0b";
        let packet = ipv6("33", &format!("{authentication} {OPTIONS_UDP} {UDP_53}"));
        assert_eq!((ip(&packet).protocol, ip(&packet).transport), (Protocol::AH, Transport::None));
        assert_eq!(packet.malformed, None);
    }

    #[test]
    fn a_chain_is_walked_to_the_end_of_the_packet() {
        let chain = "3c 00 01 04 00000000".repeat(8000);
        let packet = ipv6("3c", &format!("{chain} {OPTIONS_UDP} {UDP_53}"));
        assert_eq!((ip(&packet).transport, packet.malformed), (Transport::Udp(PORTS), None));
    }

    #[test]
    fn extension_headers_out_of_place_are_odd() {
        // Of eight bytes each; the first argument of `chain` is the type of the first header.
        let chain = |types: &[u8]| {
            let header = |next: u8, kind: u8| match kind {
                44 => format!("{next:02x} 00 0000 00000007"),
                43 => format!("{next:02x} 00 04 00 00000000"),
                _ => format!("{next:02x} 00 01 04 00000000"),
            };
            let nexts = types[1..].iter().copied().chain([17]);
            let headers: String = types.iter().zip(nexts).map(|(&kind, next)| header(next, kind)).collect();
            odd(&ipv6(&format!("{:02x}", types[0]), &format!("{headers} {UDP_53}")))
        };
        for usual in [&[0, 60, 43, 44, 60][..], &[60], &[60, 60], &[0, 60], &[44, 60], &[43, 60]] {
            assert_eq!(chain(usual), None, "{usual:?}");
        }
        assert_eq!(chain(&[44, 43]), Some((Alert::Ipv6ExtensionOrder, 43, 44)));
        assert_eq!(chain(&[60, 43, 0]), Some((Alert::Ipv6ExtensionOrder, 0, 43)));
        assert_eq!(chain(&[43, 43]), Some((Alert::Ipv6ExtensionRepeated, 43, 1)));
        assert_eq!(chain(&[60, 60, 60]), Some((Alert::Ipv6ExtensionRepeated, 60, 2)));
        assert_eq!(chain(&[60; 9]), Some((Alert::Ipv6ExtensionCount, 9, 8)));
    }

    #[test]
    fn a_routing_header_of_type_0_is_odd() {
        let routed = |kind: u8| ipv6("2b", &format!("11 02 {kind:02x} 01 00000000 {} {UDP_53}", "00".repeat(16)));
        assert_eq!(odd(&routed(0)), Some((Alert::Ipv6RoutingType0, 1, 0)));
        assert_eq!(odd(&routed(2)), None);
    }

    #[test]
    fn esp_mobility_and_no_next_header_are_where_the_chain_ends() {
        for number in [50, 59, 135, 139, 140, 253] {
            let packet = ipv6(&format!("{number:02x}"), "1100000000000000");
            assert_eq!((ip(&packet).protocol, ip(&packet).transport), (Protocol(number), Transport::None));
            assert_eq!(packet.malformed, None);
        }
    }

    #[test]
    fn a_first_fragment_has_the_ports_and_a_later_one_its_next_header() {
        let first = ipv6("2c", "11 00 0001 89abcdef c000 0035 03e8 0000");
        assert_eq!(ip(&first).fragment, Some(Fragment { id: 0x89ab_cdef, offset: 0, len: 8, more: true }));
        assert_eq!((ip(&first).transport, first.malformed), (Transport::Udp(PORTS), None));
        let later = ipv6("2c", &format!("3c 00 00b8 89abcdef {UDP_53}"));
        assert_eq!(ip(&later).fragment, Some(Fragment { id: 0x89ab_cdef, offset: 184, len: 8, more: false }));
        assert_eq!((ip(&later).protocol, ip(&later).transport), (Protocol::IPV6_OPTS, Transport::None));
        assert_eq!(later.malformed, None);
    }

    #[test]
    fn a_jumbo_payload_option_says_the_length() {
        let headers = format!("60000000 0000 00 40 {ADDRESSES} 11 00 c2 04 00011170 {UDP_53}");
        let packet = parse_cut(IPV6, &bytes(&headers), 70_040);
        assert_eq!((ip(&packet).len, packet.malformed), (70_040, None));
        assert_eq!(ip(&packet).transport, Transport::Udp(PORTS));
    }

    #[test]
    fn a_super_segment_without_length_is_as_long_as_its_frame() {
        let segment = "c000 0050 00000001 00000000 50100000 00000000";
        let headers = bytes(&format!("60000000 0000 06 40 {ADDRESSES} {segment}"));
        let large = parse_cut(IPV6, &headers, 70_000);
        assert_eq!((ip(&large).len, large.malformed), (70_000, None));
        let small = parse_cut(IPV6, &headers, 1000);
        assert_eq!((ip(&small).len, reason(&small)), (40, Some(Reason::TcpHeader)));
    }

    #[test]
    fn udp_of_length_0_is_as_long_as_its_packet() {
        assert_eq!(ipv6("11", "c000 0035 0000 0000").malformed, None);
    }

    #[test]
    fn faults_of_the_header_are_named() {
        assert_eq!(sentence(&parse(IPV6, "60000000")), "ipv6: header of 4 bytes, 40 needed");
        let version = parse(IPV6, &format!("40000000 0000 3b 40 {ADDRESSES}"));
        assert_eq!(sentence(&version), "ipv6: version 4, not 6");
        assert_eq!(version.net, Net::Other { ethertype: 0x86dd, len: 40 });
        let beyond = stating("0009", "11", UDP_53);
        assert_eq!(sentence(&beyond), "ipv6: payload length 9, but 8 bytes follow");
        assert_eq!((ip(&beyond).len, ip(&beyond).transport), (49, Transport::Udp(PORTS)));
    }

    #[test]
    fn faults_of_jumbo_payloads_are_named() {
        for (length, option, expected) in [
            ("0000", "c2 02 0001 0000", "ipv6: jumbo payload option length 2, not 4"),
            ("0000", "c2 04 0000ffff", "ipv6: jumbo payload length 65535, more than 65535 needed"),
            ("0010", "c2 04 00010000", "ipv6: jumbo payload option beside a payload length of 16"),
            ("0000", "c2 04 00010000", "ipv6: jumbo payload length 65536, but 16 bytes follow"),
            ("0000", "01 04 00000000", "ipv6: payload length 0 with hop-by-hop options, but no jumbo payload option"),
        ] {
            let packet = stating(length, "00", &format!("11 00 {option} {UDP_53}"));
            assert_eq!(sentence(&packet), expected);
            assert_eq!(ip(&packet).transport, Transport::Udp(PORTS));
        }
        let misplaced = stating("0000", "00", &format!("11 01 00 c2 04 00010000 01 05 0000000000 {UDP_53}"));
        assert_eq!(sentence(&misplaced), "ipv6: jumbo payload option at offset 43, not 4n+2");
    }

    #[test]
    fn faults_of_hop_by_hop_options_are_named() {
        for (header, expected) in [
            ("11 04 05 02 0000 0100", "ipv6: hop-by-hop header of 40 bytes, 16 left"),
            ("11 00 05 05 0000 0000", "ipv6: hop-by-hop option of 7 bytes, 6 left"),
            ("11 00 00 00 00 00 00 05", "ipv6: hop-by-hop option of 2 bytes, 1 left"),
            ("11 01 01 06 000000000000 01 04 00000000", "ipv6: 8 bytes of hop-by-hop padding, at most 7"),
            ("11 00 01 04 00020000", "ipv6: hop-by-hop padding contains 0x02"),
            ("11 00 63 04 00000000", "ipv6: unknown hop-by-hop option 0x63 asks to be discarded"),
            ("11 00 05 04 00000000", "ipv6: router alert length 4, not 2"),
        ] {
            let packet = ipv6("00", &format!("{header} {UDP_53}"));
            assert_eq!(sentence(&packet), expected);
            assert!(packet.malformed.unwrap().discarded_by_kernel(), "{expected}");
        }
        let many = ipv6("00", &format!("11 02 {} 01 02 0000 {UDP_53}", "1e00".repeat(9)));
        assert_eq!(sentence(&many), "ipv6: more than 8 hop-by-hop options");
    }

    #[test]
    fn hop_by_hop_options_that_linux_knows_or_ignores_are_right() {
        for header in
            ["11 00 05 02 0000 0100", "11 00 00 00 00 00 00 00", "11 00 1e 04 00000000", "11 00 31 04 00000000"]
        {
            assert_eq!(ipv6("00", &format!("{header} {UDP_53}")).malformed, None, "{header}");
        }
    }

    #[test]
    fn faults_of_extension_headers_are_named_and_do_not_keep_the_packet_from_netfilter() {
        for (next, payload, expected) in [
            (
                "3c",
                "00 00 01 04 00000000 11 00 01 04 00000000",
                "ipv6: hop-by-hop options behind another extension header",
            ),
            ("3c", "11 00 01 0400", "ipv6: extension header of 8 bytes, 5 left"),
            ("3c", "11 09 01 04 00000000", "ipv6: extension header of 80 bytes, 8 left"),
            ("3c", "3b 00 01 05 00000000", "ipv6: destination option of 7 bytes, 6 left"),
            ("2c", "2c 00 0001 00000001 3b 00 0001 00000002 0000000000000000", "ipv6: second fragment header"),
            ("2c", "3b 00 fff8 00000001 0000000000000000", "ipv6: fragment ends at 65536, at most 65535"),
            ("2c", "3b 00 0009 00000001 0000000000", "ipv6: fragment of 5 bytes, not a multiple of 8"),
            ("2c", "3b 00 0008 00000001", "ipv6: fragment without payload"),
            (
                "2c",
                "06 00 0001 00000001 c000 0050 00000000",
                "ipv6: first fragment ends 8 bytes into a transport header of 20",
            ),
        ] {
            let packet = ipv6(next, payload);
            assert_eq!(sentence(&packet), expected);
            assert!(!packet.malformed.unwrap().discarded_by_kernel(), "{expected}");
        }
    }

    #[test]
    fn what_the_capture_cut_off_is_unknown_and_not_malformed() {
        let whole = bytes(&format!("60000000 0018 00 40 {ADDRESSES} 3c 00 05 02 0000 0100 {OPTIONS_UDP} {UDP_53}"));
        for kept in 0..whole.len() {
            let packet = parse_cut(IPV6, &whole[..kept], 64);
            assert_eq!(packet.malformed, None, "{kept}");
            if kept >= 60 {
                assert_eq!(ip(&packet).transport, Transport::Udp(PORTS), "{kept}");
            }
        }
    }
}
