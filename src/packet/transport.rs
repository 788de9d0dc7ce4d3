//! TCP, UDP, UDP-Lite and SCTP headers, and which protocol has which.

use super::malformed::Faults;
use super::net::Family;
use super::reason::Reason;
use super::span::Span;
use super::{Fragment, Ports, Protocol, Tcp, TcpFlags, Transport, icmp, tlv};
use crate::alert::Alert;
use pnet::packet::tcp::TcpPacket;
use pnet::packet::udp::UdpPacket;

/// Size of a TCP header without options.
pub(super) const TCP_HEADER: u32 = 20;
/// The same in words of four bytes, as the header says it.
const TCP_HEADER_WORDS: u8 = 5;
/// Where the flags stand in a TCP header.
pub(super) const TCP_FLAGS_AT: u32 = 13;
/// Where the second fragment of a TCP segment begins if the first is as small as can be.
const TCP_REST_AT: u32 = 8;
/// Size of a UDP or UDP-Lite header.
const UDP_HEADER: u16 = 8;
/// Size of an SCTP header.
const SCTP_HEADER: u32 = 12;
/// Size of the header of an SCTP chunk; its length counts it.
const SCTP_CHUNK_HEADER: u16 = 4;
/// Size of the smallest IGMP message.
const IGMP_MESSAGE: u32 = 8;

/// Reads the header of `protocol` that `payload` begins with into `transport`, which stays as it is where there is
/// none that pfw reads.
pub(super) fn read(
    family: Family,
    protocol: Protocol,
    payload: Span<'_>,
    transport: &mut Transport,
    faults: &mut Faults,
) {
    match (protocol, family) {
        (Protocol::TCP, _) => *transport = tcp(payload, faults),
        (Protocol::UDP, _) => *transport = udp(family, payload, faults),
        (Protocol::UDPLITE, _) => *transport = udplite(payload, faults),
        (Protocol::SCTP, _) => *transport = sctp(payload, faults),
        (Protocol::ICMP, Family::V4) | (Protocol::ICMPV6, Family::V6) => {
            *transport = icmp::parse(family, payload, faults);
        }
        (Protocol::IGMP, Family::V4) => faults.require(payload, IGMP_MESSAGE, Reason::IgmpHeader),
        _ => {}
    }
}

/// What a later fragment holds of the transport header: it has none of its own.
pub(super) fn rest(fragment: Fragment, protocol: Protocol, payload: Span<'_>) -> Transport {
    let flags = || payload.bytes().get((TCP_FLAGS_AT - TCP_REST_AT) as usize);
    let is_rest = protocol == Protocol::TCP && fragment.offset == TCP_REST_AT;
    is_rest.then(flags).flatten().map_or(Transport::None, |&flags| Transport::TcpRest(TcpFlags(flags)))
}

/// How much of a first IPv6 fragment Linux wants behind the last extension header (`ipv6frag_thdr_truncated`).
pub(super) const fn header_size(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::TCP => TCP_HEADER,
        Protocol::UDP => UDP_HEADER as u32,
        Protocol::ICMPV6 => icmp::HEADER,
        _ => 1,
    }
}

/// The ports at the beginning of a TCP, UDP, UDP-Lite or SCTP header.
pub(super) fn ports(bytes: &[u8]) -> Option<Ports> {
    let &[src_high, src_low, dst_high, dst_low] = bytes.first_chunk()?;
    Some(Ports { src: u16::from_be_bytes([src_high, src_low]), dst: u16::from_be_bytes([dst_high, dst_low]) })
}

fn tcp(segment: Span<'_>, faults: &mut Faults) -> Transport {
    let Some(header) = TcpPacket::new(segment.bytes()) else {
        faults.require(segment, TCP_HEADER, Reason::TcpHeader);
        return beginning_of_tcp(segment.bytes());
    };
    let words = header.get_data_offset();
    let size = u32::from(words) * 4;
    if words < TCP_HEADER_WORDS {
        faults.note(Reason::TcpDataOffset, words, TCP_HEADER_WORDS);
    }
    faults.fits(size, segment, Reason::TcpHeaderBeyondSegment);
    if words > TCP_HEADER_WORDS {
        let options = segment.limit(size).skip(TCP_HEADER);
        tlv::check(options, Reason::TcpOptionLength, Reason::TcpOptionBeyondHeader, faults);
    }
    let ports = Ports { src: header.get_source(), dst: header.get_destination() };
    let flags = TcpFlags(header.get_flags());
    suspect_flags(flags, faults);
    Transport::Tcp(Tcp { ports, flags, seq: header.get_sequence(), ack: header.get_acknowledgement() })
}

/// Notes combinations of flags that no TCP sends.
#[inline]
fn suspect_flags(flags: TcpFlags, faults: &mut Faults) {
    const ODD: u64 = {
        let (mut odd, mut flags) = (0, 0);
        while flags <= ALL_FLAGS {
            odd |= (odd_flags(TcpFlags(flags)).is_some() as u64) << flags;
            flags += 1;
        }
        odd
    };
    if ODD >> (flags.0 & ALL_FLAGS) & 1 == 1
        && let Some(alert) = odd_flags(flags)
    {
        faults.suspect(alert, flags.0, 0_u8);
    }
}

/// The flags of RFC 793; the two above belong to congestion control and may stand with any.
const ALL_FLAGS: u8 = 0x3f;

const fn odd_flags(flags: TcpFlags) -> Option<Alert> {
    const XMAS: u8 = TcpFlags::FIN | TcpFlags::PSH | TcpFlags::URG;
    match flags.0 & ALL_FLAGS {
        0 => Some(Alert::TcpFlagsNone),
        ALL_FLAGS => Some(Alert::TcpFlagsAll),
        XMAS => Some(Alert::TcpFlagsXmas),
        _ if flags.has(TcpFlags::SYN | TcpFlags::FIN) => Some(Alert::TcpFlagsSynFin),
        _ if flags.has(TcpFlags::SYN | TcpFlags::RST) => Some(Alert::TcpFlagsSynRst),
        _ => None,
    }
}

/// What can be read of a TCP header that is not whole: the ports decide about the packet.
fn beginning_of_tcp(bytes: &[u8]) -> Transport {
    let flags = TcpFlags(bytes.get(TCP_FLAGS_AT as usize).copied().unwrap_or_default());
    ports(bytes).map_or(Transport::None, |ports| Transport::Tcp(Tcp { ports, flags, ..Tcp::default() }))
}

fn udp(family: Family, datagram: Span<'_>, faults: &mut Faults) -> Transport {
    let Some(header) = UdpPacket::new(datagram.bytes()) else {
        return beginning_of_udp(datagram, Reason::UdpHeader, faults);
    };
    let length = header.get_length();
    // 0 stands for a length that the field can't say (RFC 2675 section 4). Linux takes it so for any in IPv6.
    let is_unsaid = length == 0 && (family == Family::V6 || datagram.len() > u16::MAX.into());
    if length < UDP_HEADER && !is_unsaid {
        faults.note(Reason::UdpLength, length, UDP_HEADER);
    }
    faults.fits(length.into(), datagram, Reason::UdpBeyondPacket);
    Transport::Udp(Ports { src: header.get_source(), dst: header.get_destination() })
}

/// What can be read of a UDP header that is not whole: the ports decide about the packet, whether the capture cut it
/// or the sender. Netfilter's rules look at them too, although conntrack calls the packet invalid (`udp_error`).
fn beginning_of_udp(datagram: Span<'_>, reason: Reason, faults: &mut Faults) -> Transport {
    faults.require(datagram, UDP_HEADER.into(), reason);
    ports(datagram.bytes()).map_or(Transport::None, Transport::Udp)
}

fn udplite(datagram: Span<'_>, faults: &mut Faults) -> Transport {
    // The header is that of UDP, with the checksum's coverage in place of the length.
    let Some(header) = UdpPacket::new(datagram.bytes()) else {
        return beginning_of_udp(datagram, Reason::UdpLiteHeader, faults);
    };
    let coverage = header.get_length();
    if (1..UDP_HEADER).contains(&coverage) {
        faults.note(Reason::UdpLiteCoverage, coverage, UDP_HEADER);
    }
    faults.fits(coverage.into(), datagram, Reason::UdpLiteBeyondPacket);
    Transport::Udp(Ports { src: header.get_source(), dst: header.get_destination() })
}

fn sctp(packet: Span<'_>, faults: &mut Faults) -> Transport {
    faults.require(packet, SCTP_HEADER, Reason::SctpHeader);
    check_chunks(packet.skip(SCTP_HEADER), faults);
    ports(packet.bytes()).map_or(Transport::None, Transport::Sctp)
}

/// Walks over the chunks; each step takes at least four bytes.
fn check_chunks(mut chunks: Span<'_>, faults: &mut Faults) {
    while chunks.len() > 0 {
        let Some(&[_, _, high, low]) = chunks.bytes().first_chunk() else {
            return faults.require(chunks, SCTP_CHUNK_HEADER.into(), Reason::SctpChunkHeader);
        };
        let length = u16::from_be_bytes([high, low]);
        if length < SCTP_CHUNK_HEADER {
            return faults.note(Reason::SctpChunkLength, length, SCTP_CHUNK_HEADER);
        }
        faults.fits(length.into(), chunks, Reason::SctpChunkBeyondPacket);
        // The padding to a multiple of four is not part of the length, and may be missing at the end.
        chunks = chunks.skip(u32::from(length).next_multiple_of(4));
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, ipv4_of, odd, reason, sentence, transport};
    use super::super::{Link, parse as parse_cut};
    use super::*;

    const PORTS: Ports = Ports { src: 49152, dst: 80 };

    #[test]
    fn tcp_has_ports_flags_and_numbers() {
        let packet = ipv4_of(6, "c000 0050 00000001 00000007 50c2 0000 0000 0000");
        let expected =
            Tcp { ports: PORTS, flags: TcpFlags(TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR), seq: 1, ack: 7 };
        assert_eq!((transport(&packet), packet.malformed), (Transport::Tcp(expected), None));
    }

    #[test]
    fn flags_that_no_tcp_sends_are_odd() {
        let with = |flags: u8| ipv4_of(6, &format!("c000 0050 00000001 00000000 50{flags:02x} 0000 0000 0000"));
        for (flags, expected) in [
            (0x00, Alert::TcpFlagsNone),
            (0xc0, Alert::TcpFlagsNone),
            (0x03, Alert::TcpFlagsSynFin),
            (0x13, Alert::TcpFlagsSynFin),
            (0x06, Alert::TcpFlagsSynRst),
            (0x29, Alert::TcpFlagsXmas),
            (0x3f, Alert::TcpFlagsAll),
        ] {
            assert_eq!(odd(&with(flags)), Some((expected, flags.into(), 0)), "{flags:#x}");
        }
        for flags in [0x02, 0x12, 0x10, 0x18, 0x38, 0x11, 0x19, 0x39, 0x04, 0x14, 0xc2, 0x01] {
            assert_eq!(odd(&with(flags)), None, "{flags:#x}");
        }
        let segment = "4500 0028 0000 4000 40 06 0000 0a000001 0a000002 c000 0050 00000001 00000000";
        assert_eq!(odd(&parse_cut(Link::RawIp, &bytes(segment), 40)), None, "flags that were cut off are unknown");
    }

    #[test]
    fn tcp_options_are_walked() {
        let with = |options: &str| ipv4_of(6, &format!("c000 0050 00000001 00000000 7010 0000 0000 0000 {options}"));
        assert_eq!(with("020405b4 01010000").malformed, None);
        assert_eq!(sentence(&with("0201 0000 00000000")), "tcp: option length 1, at least 2");
        assert_eq!(sentence(&with("01010101 01010804")), "tcp: option of 4 bytes, 2 left");
    }

    #[test]
    fn faults_of_tcp_are_named_and_the_ports_stay() {
        for (segment, expected) in [
            ("c000 0050 00000001", "tcp: header of 8 bytes, 20 needed"),
            ("c000 0050 00000001 00000000 4010 0000 0000 0000", "tcp: data offset 4 words, at least 5"),
            ("c000 0050 00000001 00000000 6010 0000 0000 0000", "tcp: header of 24 bytes in a segment of 20"),
        ] {
            let packet = ipv4_of(6, segment);
            assert_eq!(sentence(&packet), expected);
            let Transport::Tcp(tcp) = transport(&packet) else { panic!("{packet:?}") };
            assert_eq!(tcp.ports, PORTS);
            assert!(!packet.malformed.unwrap().discarded_by_kernel());
        }
        assert_eq!(transport(&ipv4_of(6, "c00000")), Transport::None);
    }

    #[test]
    fn what_the_capture_cut_off_of_tcp_is_unknown_and_not_malformed() {
        let header = "45000034 0000 4000 40 06 0000 0a000001 0a000002";
        let segment = "c000 0050 00000001 00000000 8012 0000 0000 0000 01010402 020405b4 01030307";
        let whole = bytes(&format!("{header} {segment}"));
        for kept in 20..whole.len() {
            let packet = parse_cut(Link::RawIp, &whole[..kept], 52);
            assert_eq!(packet.malformed, None, "{kept}");
            let seq = u32::from(kept >= 40);
            let expected = |flags| Transport::Tcp(Tcp { ports: PORTS, flags: TcpFlags(flags), seq, ack: 0 });
            match kept {
                ..24 => assert_eq!(transport(&packet), Transport::None),
                24..34 => assert_eq!(transport(&packet), expected(0)),
                _ => assert_eq!(transport(&packet), expected(TcpFlags::SYN | TcpFlags::ACK)),
            }
        }
    }

    #[test]
    fn udp_has_ports_and_its_faults_are_named() {
        let whole = ipv4_of(17, "c000 0050 0009 0000 61");
        assert_eq!((transport(&whole), whole.malformed), (Transport::Udp(PORTS), None));
        for (datagram, expected) in [
            ("c000 0050 0007 0000", "udp: length 7, at least 8"),
            ("c000 0050 0000 0000", "udp: length 0, at least 8"),
            ("c000 0050 000a 0000 61", "udp: length 10, but 9 bytes in the packet"),
        ] {
            let packet = ipv4_of(17, datagram);
            assert_eq!((sentence(&packet).as_str(), transport(&packet)), (expected, Transport::Udp(PORTS)));
        }
    }

    #[test]
    fn a_udp_header_that_is_not_whole_has_its_ports_whoever_cut_it() {
        for datagram in ["c000 0050", "c000 0050 0009", "c000 0050 0008 00"] {
            let packet = ipv4_of(17, datagram);
            assert_eq!(
                (reason(&packet), transport(&packet)),
                (Some(Reason::UdpHeader), Transport::Udp(PORTS)),
                "{datagram}"
            );
            let lite = ipv4_of(136, datagram);
            assert_eq!(
                (reason(&lite), transport(&lite)),
                (Some(Reason::UdpLiteHeader), Transport::Udp(PORTS)),
                "{datagram}"
            );
        }
        assert_eq!(transport(&ipv4_of(17, "c000 00")), Transport::None, "the ports themselves are cut");
        let whole = bytes("45000020 0000 4000 40 11 0000 0a000001 0a000002 c000 0050 000c 0000 61626364");
        for kept in 24..whole.len() {
            let packet = parse_cut(Link::RawIp, &whole[..kept], 32);
            assert_eq!((packet.malformed, transport(&packet)), (None, Transport::Udp(PORTS)), "{kept}");
        }
    }

    #[test]
    fn udplite_has_the_ports_of_udp_and_a_coverage_in_place_of_the_length() {
        let whole = ipv4_of(136, "c000 0050 0000 0000 61");
        assert_eq!((transport(&whole), whole.malformed), (Transport::Udp(PORTS), None));
        assert_eq!(reason(&ipv4_of(136, "c000 0050 0000")), Some(Reason::UdpLiteHeader));
        assert_eq!(sentence(&ipv4_of(136, "c000 0050 0007 0000")), "udplite: checksum coverage 7, 0 or at least 8");
        let beyond = ipv4_of(136, "c000 0050 0009 0000");
        assert_eq!(sentence(&beyond), "udplite: checksum coverage 9, but 8 bytes in the packet");
    }

    #[test]
    fn sctp_has_ports_and_its_faults_are_named() {
        let header = "c000 0050 00000000 00000000";
        // A chunk of 5 bytes with its padding, and one whose padding is missing.
        let whole = ipv4_of(132, &format!("{header} 0b00 0005 00000000 0600 0005 00"));
        assert_eq!((transport(&whole), whole.malformed), (Transport::Sctp(PORTS), None));
        for (chunks, expected) in [
            ("0b0000", "sctp: chunk header of 3 bytes, 4 needed"),
            ("0b000003", "sctp: chunk length 3, at least 4"),
            ("0b000008", "sctp: chunk of 8 bytes, 4 left"),
        ] {
            assert_eq!(sentence(&ipv4_of(132, &format!("{header} {chunks}"))), expected);
        }
        let short = ipv4_of(132, "c000 0050 00000000");
        assert_eq!(sentence(&short), "sctp: header of 8 bytes, 12 needed");
        assert_eq!(transport(&short), Transport::Sctp(PORTS));
    }

    #[test]
    fn other_protocols_have_no_header_that_is_read() {
        let igmp = ipv4_of(2, "1100 0000 00000000");
        assert_eq!((transport(&igmp), igmp.malformed), (Transport::None, None));
        assert_eq!(sentence(&ipv4_of(2, "11000000")), "igmp: message of 4 bytes, at least 8");
        let gre = ipv4_of(47, "0000 0800");
        assert_eq!((transport(&gre), gre.malformed), (Transport::None, None));
        // ICMPv6 is no ICMP of IPv4.
        assert_eq!(transport(&ipv4_of(58, "8000 0000 00010001")), Transport::None);
    }
}
