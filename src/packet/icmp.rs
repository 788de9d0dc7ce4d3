//! ICMP (RFC 792) and ICMPv6 (RFC 4443), with the packet that an error message quotes.

use super::extension::Chain;
use super::malformed::Faults;
use super::net::Family;
use super::reason::Reason;
use super::span::Span;
use super::{About, Icmp, Ports, Protocol, Quoted, Transport, ipv4, ipv6, neighbour, transport};
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::ipv6::Ipv6Packet;

/// Size of the header, up to where an error message's quote begins.
pub(super) const HEADER: u32 = 8;

/// Reads an ICMP message of the IP version's own kind.
pub(super) fn parse(family: Family, message: Span<'_>, faults: &mut Faults) -> Transport {
    let truncated = if family == Family::V4 { Reason::IcmpHeader } else { Reason::Icmpv6Header };
    faults.require(message, HEADER, truncated);
    let Some(&[kind, code]) = message.bytes().first_chunk() else { return Transport::None };
    let about = match family {
        _ if quotes(family, kind) => quoted(family, message.skip(HEADER), faults).map(About::Quoted),
        Family::V6 => neighbour::read(kind, message.bytes()).map(About::Neighbour),
        Family::V4 => None,
    };
    let id = query_id(family, kind, message.bytes()).unwrap_or(0);
    Transport::Icmp(Icmp { kind, code, id, about: about.unwrap_or(About::Nothing) })
}

/// Whether messages of this type carry the packet that they are about. For ICMPv6, all types below 128 are errors.
const fn quotes(family: Family, kind: u8) -> bool {
    match family {
        // Unreachable, source quench, redirect, time exceeded, parameter problem.
        Family::V4 => matches!(kind, 3 | 4 | 5 | 11 | 12),
        Family::V6 => kind < 128,
    }
}

/// Whether messages of this type are queries or answers with an identifier.
const fn has_id(family: Family, kind: u8) -> bool {
    match family {
        // Echo, timestamp, information, address mask; extended echo (RFC 8335).
        Family::V4 => matches!(kind, 0 | 8 | 13..=18 | 42 | 43),
        // Echo; node information (RFC 4620), of which connection tracking takes the question for one; extended echo.
        Family::V6 => matches!(kind, 128 | 129 | 139 | 140 | 160 | 161),
    }
}

/// The type of the query that a message of type `kind` asks or answers, and whether it asks. `None` if it does
/// neither, as far as connection tracking knows: echo, timestamp, information and address mask; of ICMPv6 echo and node
/// information (`nf_conntrack_proto_icmp.c`, `nf_conntrack_proto_icmpv6.c`).
pub const fn query(protocol: Protocol, kind: u8) -> Option<(u8, bool)> {
    match (protocol, kind) {
        (Protocol::ICMP, 8 | 13 | 15 | 17) | (Protocol::ICMPV6, 128 | 139) => Some((kind, true)),
        (Protocol::ICMP, 0) => Some((8, false)),
        (Protocol::ICMP, 14 | 16 | 18) | (Protocol::ICMPV6, 129 | 140) => Some((kind - 1, false)),
        _ => None,
    }
}

/// The identifier of a query or answer, if the message has one.
fn query_id(family: Family, kind: u8, message: &[u8]) -> Option<u16> {
    let &[_, _, _, _, high, low] = message.first_chunk()?;
    has_id(family, kind).then_some(u16::from_be_bytes([high, low]))
}

fn quoted(family: Family, quote: Span<'_>, faults: &mut Faults) -> Option<Quoted> {
    check_quote(family, quote, faults);
    match family {
        Family::V4 => quoted_ipv4(quote.bytes()),
        Family::V6 => quoted_ipv6(quote),
    }
}

/// An error message must quote the IP header at least (RFC 792, RFC 4443 section 3).
fn check_quote(family: Family, quote: Span<'_>, faults: &mut Faults) {
    let (version, header, truncated, foreign) = match family {
        Family::V4 => (4, ipv4::HEADER, Reason::IcmpQuote, Reason::IcmpQuoteVersion),
        Family::V6 => (6, ipv6::HEADER, Reason::Icmpv6Quote, Reason::Icmpv6QuoteVersion),
    };
    faults.require(quote, header, truncated);
    if let Some(found) = quote.bytes().first().map(|first| first >> 4).filter(|&found| found != version) {
        faults.note(foreign, found, version);
    }
}

fn quoted_ipv4(quote: &[u8]) -> Option<Quoted> {
    let header = Ipv4Packet::new(quote)?;
    let words = header.get_header_length();
    // A later fragment has no ports by which to find its connection.
    if header.get_version() != 4 || words < ipv4::HEADER_WORDS || header.get_fragment_offset() > 0 {
        return None;
    }
    let protocol = Protocol(header.get_next_level_protocol().0);
    let ports = quoted_ports(Family::V4, protocol, quote.get(usize::from(words) * 4..)?)?;
    Some(Quoted { src: header.get_source().into(), dst: header.get_destination().into(), protocol, ports })
}

fn quoted_ipv6(quote: Span<'_>) -> Option<Quoted> {
    let header = Ipv6Packet::new(quote.bytes()).filter(|header| header.get_version() == 6)?;
    let first = Protocol(header.get_next_header().0);
    // The quote ends where the sender of the error cut it, which is nobody's fault.
    let chain = Chain::walk(first, quote.skip(ipv6::HEADER).open_ended(), &mut Faults::default());
    let ports = quoted_ports(Family::V6, chain.protocol, chain.payload?.bytes())?;
    Some(Quoted {
        src: header.get_source().into(),
        dst: header.get_destination().into(),
        protocol: chain.protocol,
        ports,
    })
}

/// What tells the connection apart within its addresses and protocol, as [`Quoted::ports`] says it.
fn quoted_ports(family: Family, protocol: Protocol, payload: &[u8]) -> Option<Ports> {
    match (protocol, family) {
        (Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP, _) => transport::ports(payload),
        (Protocol::ICMP, Family::V4) | (Protocol::ICMPV6, Family::V6) => {
            let &[kind, code] = payload.first_chunk()?;
            let id = query_id(family, kind, payload).or((!has_id(family, kind)).then_some(0))?;
            Some(Ports { src: id, dst: u16::from_be_bytes([kind, code]) })
        }
        _ => Some(Ports { src: 0, dst: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, ipv4_of, ipv6_of, reason, sentence, transport};
    use super::super::{Link, Packet, parse as parse_cut};
    use super::*;

    const V4_ADDRESSES: &str = "0a000005 c0a80107";
    const V6_ADDRESSES: &str = "20010db8000000000000000000000001 20010db8000000000000000000000002";

    fn icmp(packet: &Packet) -> Icmp {
        match transport(packet) {
            Transport::Icmp(icmp) => icmp,
            other => panic!("{other:?}"),
        }
    }

    fn quoted_by(packet: &Packet) -> Quoted {
        *icmp(packet).quoted().unwrap()
    }

    #[test]
    fn an_echo_has_its_identifier() {
        let v4 = ipv4_of(1, "0800 f7fd 1234 0001");
        assert_eq!(icmp(&v4), Icmp { kind: 8, code: 0, id: 0x1234, about: About::Nothing });
        let v6 = ipv6_of(58, "8100 0000 1234 0001");
        assert_eq!(icmp(&v6), Icmp { kind: 129, code: 0, id: 0x1234, about: About::Nothing });
        assert_eq!((v4.malformed, v6.malformed), (None, None));
    }

    #[test]
    fn a_query_has_an_identifier_if_connection_tracking_knows_one() {
        for kind in (0..=255_u8).filter(|&kind| query(Protocol::ICMPV6, kind).is_some()) {
            assert_eq!(icmp(&ipv6_of(58, &format!("{kind:02x}00 0000 1234 0001"))).id, 0x1234, "{kind}");
        }
        for kind in (0..=255_u8).filter(|&kind| query(Protocol::ICMP, kind).is_some()) {
            assert_eq!(icmp(&ipv4_of(1, &format!("{kind:02x}00 0000 1234 0001"))).id, 0x1234, "{kind}");
        }
    }

    #[test]
    fn types_without_an_identifier_have_0() {
        assert_eq!(icmp(&ipv6_of(58, "8700 0000 ffffffff")).id, 0);
        assert_eq!(icmp(&ipv4_of(1, "0900 0000 ffffffff")).id, 0);
    }

    #[test]
    fn an_icmp_error_quotes_the_ports() {
        let quote = format!("4500003c 0000 4000 40 11 0000 {V4_ADDRESSES} c000 0035 0028 0000");
        let packet = ipv4_of(1, &format!("0303 0000 00000000 {quote}"));
        let expected = Quoted {
            src: [10, 0, 0, 5].into(),
            dst: [192, 168, 1, 7].into(),
            protocol: Protocol::UDP,
            ports: Ports { src: 49152, dst: 53 },
        };
        assert_eq!((quoted_by(&packet), packet.malformed), (expected, None));
    }

    #[test]
    fn four_bytes_behind_a_quoted_header_are_enough_for_ports_and_fewer_are_not() {
        let quote = |rest: &str| {
            ipv4_of(1, &format!("0b00 0000 00000000 4600003c 0000 4000 40 06 0000 {V4_ADDRESSES} 01010101 {rest}"))
        };
        assert_eq!(quoted_by(&quote("c0000050")).ports, Ports { src: 49152, dst: 80 });
        assert_eq!(icmp(&quote("c00000")).quoted(), None);
        assert_eq!(quote("c00000").malformed, None);
    }

    #[test]
    fn a_quoted_echo_has_identifier_type_and_code() {
        let quote = format!("4500001c 0000 4000 40 01 0000 {V4_ADDRESSES} 0800 0000 1234 0001");
        let packet = ipv4_of(1, &format!("0301 0000 00000000 {quote}"));
        assert_eq!(quoted_by(&packet).ports, Ports { src: 0x1234, dst: 0x0800 });
        let cut = format!("4500001c 0000 4000 40 01 0000 {V4_ADDRESSES} 0800 0000");
        assert_eq!(icmp(&ipv4_of(1, &format!("0301 0000 00000000 {cut}"))).quoted(), None);
    }

    #[test]
    fn other_quoted_protocols_have_no_ports() {
        let quote = format!("4500001c 0000 4000 40 2f 0000 {V4_ADDRESSES} ffffffff");
        let packet = ipv4_of(1, &format!("0302 0000 00000000 {quote}"));
        assert_eq!((quoted_by(&packet).protocol, quoted_by(&packet).ports), (Protocol(47), Ports { src: 0, dst: 0 }));
    }

    #[test]
    fn a_quoted_later_fragment_leads_to_no_connection() {
        let quote = format!("4500001c 0000 0001 40 11 0000 {V4_ADDRESSES} c000 0035 0028 0000");
        assert_eq!(icmp(&ipv4_of(1, &format!("0303 0000 00000000 {quote}"))).quoted(), None);
        let quote = format!("60000000 0010 2c 40 {V6_ADDRESSES} 11 00 0008 00000001 c000 0035 0008 0000");
        assert_eq!(icmp(&ipv6_of(58, &format!("0100 0000 00000000 {quote}"))).quoted(), None);
    }

    #[test]
    fn an_icmpv6_error_quotes_the_ports_behind_extension_headers() {
        let chain = "3c 00 05 02 0000 0100  2c 00 01 04 00000000  11 00 0001 00000007";
        let quote = format!("60000000 0400 00 40 {V6_ADDRESSES} {chain} c000 0035");
        let packet = ipv6_of(58, &format!("0200 0000 00000500 {quote}"));
        let expected = Quoted {
            src: "2001:db8::1".parse().unwrap(),
            dst: "2001:db8::2".parse().unwrap(),
            protocol: Protocol::UDP,
            ports: Ports { src: 49152, dst: 53 },
        };
        assert_eq!((quoted_by(&packet), packet.malformed), (expected, None));
    }

    #[test]
    fn a_quoted_icmpv6_echo_has_identifier_type_and_code() {
        let quote = format!("60000000 0008 3a 40 {V6_ADDRESSES} 8000 0000 1234 0001");
        let packet = ipv6_of(58, &format!("0300 0000 00000000 {quote}"));
        assert_eq!(quoted_by(&packet).ports, Ports { src: 0x1234, dst: 0x8000 });
    }

    #[test]
    fn faults_are_named() {
        let truncated = ipv4_of(1, "0800 0000");
        assert_eq!(sentence(&truncated), "icmp: header of 4 bytes, 8 needed");
        assert_eq!(icmp(&truncated), Icmp { kind: 8, code: 0, id: 0, about: About::Nothing });
        assert_eq!(reason(&ipv6_of(58, "80")), Some(Reason::Icmpv6Header));
        for (packet, expected) in [
            (ipv4_of(1, "0300 0000 00000000 45000014"), "icmp: quotes 4 bytes of a packet, at least 20"),
            (ipv6_of(58, "0100 0000 00000000 60"), "icmpv6: quotes 1 bytes of a packet, at least 40"),
            (
                ipv4_of(1, &format!("0300 0000 00000000 {}", "60".repeat(20))),
                "icmp: quotes a packet of IP version 6, not 4",
            ),
            (
                ipv6_of(58, &format!("0100 0000 00000000 {}", "45".repeat(40))),
                "icmpv6: quotes a packet of IP version 4, not 6",
            ),
        ] {
            assert_eq!(sentence(&packet), expected);
            assert_eq!(icmp(&packet).quoted(), None);
        }
    }

    #[test]
    fn a_message_that_the_capture_cut_is_read_as_far_as_it_goes() {
        let error = "0303 0000 00000000";
        let quote = format!("4500003c 0000 4000 40 11 0000 {V4_ADDRESSES} c000 0035 0028 0000");
        let whole = bytes(&format!("45000038 0000 0000 40 01 0000 0a000001 0a000002 {error} {quote}"));
        for kept in 22..whole.len() {
            let packet = parse_cut(Link::RawIp, &whole[..kept], 56);
            assert_eq!((packet.malformed, icmp(&packet).kind), (None, 3), "{kept}");
            assert_eq!(icmp(&packet).quoted().is_some(), kept >= 52, "{kept}");
        }
    }
}
