//! IPv4 (RFC 791), with options and fragments.

use super::malformed::Faults;
use super::net::Family;
use super::reason::Reason;
use super::span::Span;
use super::{Fragment, Ip, Net, Protocol, Transport, icmp, tlv, transport};
use crate::alert::Alert;
use pnet::packet::ipv4::Ipv4Packet;

/// Size of a header without options.
pub(super) const HEADER: u32 = 20;
/// The same in words of four bytes, as the header says it.
pub(super) const HEADER_WORDS: u8 = 5;
/// The length of the largest packet, and so the end of the last fragment.
pub(super) const MAX_PACKET: u32 = 65_535;
/// Fragments begin and, but for the last, end at multiples of this.
pub(super) const FRAGMENT_UNIT: u32 = 8;
/// The longest payload of an ordinary Ethernet frame.
const MAX_UNSEGMENTED: u32 = 1500;
/// The one's complement arithmetic of the checksum is that of remainders of this; a right header has remainder 0.
const CHECKSUM_MODULUS: u64 = 0xffff;
/// Options that hold a source route (RFC 791): loose, and strict.
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;
/// Size of such an option without addresses: type, length and pointer.
const SOURCE_ROUTE_FIXED: u8 = 3;
/// The flag "more fragments" among the three of the header.
const MORE_FRAGMENTS: u8 = 0b001;

/// Reads an IPv4 packet into `net`, which stays as it is if there are fewer bytes than a header has without options, or
/// a header of another version.
pub(super) fn read(frame: Span<'_>, net: &mut Net, faults: &mut Faults) {
    let Some(header) = Ipv4Packet::new(frame.bytes()) else {
        return faults.require(frame, HEADER, Reason::Ipv4Header);
    };
    let version = header.get_version();
    if version != 4 {
        return faults.note(Reason::Ipv4Version, version, 4_u8);
    }
    let protocol = Protocol(header.get_next_level_protocol().0);
    let header_len = u32::from(header.get_header_length()) * 4;
    let len = total_length(header.get_total_length(), protocol, frame);
    check_lengths(&header, header_len, len, frame, faults);
    check_checksum(&header, frame.limit(header_len), faults);
    check_options(frame.limit(header_len), faults);
    let packet = frame.limit(len);
    // Nobody knows where the payload begins behind a header shorter than the shortest.
    let payload = if header_len < HEADER { packet.limit(0) } else { packet.skip(header_len) };
    let fragment = fragment(&header, len.saturating_sub(header_len));
    if let Some(fragment) = fragment {
        let reasons = [Reason::Ipv4FragmentEmpty, Reason::Ipv4FragmentLength, Reason::Ipv4FragmentEnd];
        check_fragment(fragment, len, reasons, faults);
        suspect_tiny(fragment, protocol, payload, faults);
    }
    *net = Net::Ip(Ip {
        src: header.get_source().into(),
        dst: header.get_destination().into(),
        protocol,
        ttl: header.get_ttl(),
        len,
        fragment,
        transport: Transport::None,
    });
    let Net::Ip(ip) = net else { return };
    match fragment {
        None => transport::read(Family::V4, protocol, payload, &mut ip.transport, faults),
        // It may end anywhere in the header.
        Some(Fragment { offset: 0, .. }) => {
            transport::read(Family::V4, protocol, payload.open_ended(), &mut ip.transport, faults);
        }
        Some(later) => ip.transport = transport::rest(later, protocol, payload),
    }
}

/// The length of the packet as it says it, or of its frame where segmentation was left to the network card.
fn total_length(stated: u16, protocol: Protocol, frame: Span<'_>) -> u32 {
    if stated == 0 && is_super_segment(protocol, frame.len()) { frame.len() } else { stated.into() }
}

/// Whether a packet of this many bytes that says length 0 is one that the network card was to cut into segments: TCP
/// that is longer than a frame, or anything (TCP in a tunnel) that is longer than the field can say ("BIG TCP").
pub(super) fn is_super_segment(protocol: Protocol, len: u32) -> bool {
    len > MAX_PACKET || protocol == Protocol::TCP && len > MAX_UNSEGMENTED
}

/// In the order of `ip_rcv_core`.
fn check_lengths(header: &Ipv4Packet<'_>, header_len: u32, len: u32, frame: Span<'_>, faults: &mut Faults) {
    let words = header.get_header_length();
    if words < HEADER_WORDS {
        faults.note(Reason::Ipv4HeaderLength, words, HEADER_WORDS);
    }
    faults.fits(header_len, frame, Reason::Ipv4HeaderBeyondFrame);
    faults.fits(len, frame, Reason::Ipv4BeyondFrame);
    if len < header_len {
        faults.note(Reason::Ipv4TotalLength, len, header_len);
    }
}

fn check_options(header: Span<'_>, faults: &mut Faults) {
    if header.len() > HEADER {
        let options = header.skip(HEADER);
        tlv::check(options, Reason::Ipv4OptionLength, Reason::Ipv4OptionBeyondHeader, faults);
        suspect_source_route(options, faults);
    }
}

/// A source route option says which hosts the packet is to go through.
fn suspect_source_route(options: Span<'_>, faults: &mut Faults) {
    for (kind, strict) in [(LOOSE_SOURCE_ROUTE, 0_u32), (STRICT_SOURCE_ROUTE, 1)] {
        if let Some(length) = tlv::find(options, kind) {
            faults.suspect(Alert::Ipv4SourceRoute, length.saturating_sub(SOURCE_ROUTE_FIXED) / 4, strict);
        }
    }
}

/// Where the packet belongs if it is one of several, with `len` bytes of payload.
fn fragment(header: &Ipv4Packet<'_>, len: u32) -> Option<Fragment> {
    let more = header.get_flags() & MORE_FRAGMENTS != 0;
    let offset = u32::from(header.get_fragment_offset()) * FRAGMENT_UNIT;
    (more || offset > 0).then(|| Fragment { id: header.get_identification().into(), offset, len, more })
}

/// Notes what is wrong about a fragment of either family: it has no payload, it is not the last and its payload is none
/// of whole units, or it ends beyond the longest packet. `len` is what the packet put together has behind its offset.
pub(super) fn check_fragment(fragment: Fragment, len: u32, reasons: [Reason; 3], faults: &mut Faults) {
    let [empty, length, beyond] = reasons;
    if fragment.len == 0 {
        faults.note(empty, 0_u32, 1_u32);
    }
    if fragment.more && !fragment.len.is_multiple_of(FRAGMENT_UNIT) {
        faults.note(length, fragment.len, FRAGMENT_UNIT);
    }
    let end = fragment.offset.saturating_add(len);
    if end > MAX_PACKET {
        faults.note(beyond, end, MAX_PACKET);
    }
}

/// A first fragment should hold the whole transport header (RFC 1858).
fn suspect_tiny(fragment: Fragment, protocol: Protocol, payload: Span<'_>, faults: &mut Faults) {
    let header = if protocol == Protocol::ICMP { icmp::HEADER } else { transport::header_size(protocol) };
    if fragment.offset == 0 && (1..header).contains(&payload.len()) {
        faults.suspect(Alert::IpTinyFragment, payload.len(), header);
    }
}

/// Holds the header's checksum against its bytes, if they were all captured and no length is wrong.
fn check_checksum(header: &Ipv4Packet<'_>, header_bytes: Span<'_>, faults: &mut Faults) {
    let stated = header.get_checksum();
    let is_whole = header_bytes.bytes().len() == header_bytes.len() as usize;
    if !is_whole || faults.first().is_some() {
        return;
    }
    let sum = sum(header_bytes.bytes());
    if !sum.is_multiple_of(CHECKSUM_MODULUS) {
        let right = (CHECKSUM_MODULUS - (sum - u64::from(stated)) % CHECKSUM_MODULUS) % CHECKSUM_MODULUS;
        match stated {
            0 => faults.note_if_received(Reason::Ipv4Checksum, stated, right as u16),
            _ => faults.note(Reason::Ipv4Checksum, stated, right as u16),
        }
    }
}

/// The sum of a header's words for the checksum of RFC 1071: two at a time, since 2^16 is 1 in its arithmetic.
fn sum(header: &[u8]) -> u64 {
    let (words, _) = header.as_chunks();
    words.iter().map(|&word| u64::from(u32::from_be_bytes(word))).sum()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bytes, ip, odd, parse, reason, sentence};
    use super::super::{Link, Packet, Ports, parse as parse_cut, parse_received};
    use super::*;

    const IPV4: Link = Link::Cooked { ethertype: 0x0800 };
    const ADDRESSES: &str = "c0a80107 0a000005";
    /// Behind the length: identification, flags and offset, time to live, protocol UDP, checksum not filled in.
    const UDP_FIELDS: &str = "1234 0000 40 11 0000";
    const UDP_53: &str = "c000 0035 0008 0000";

    fn ipv4(hex: &str) -> Packet {
        parse(IPV4, hex)
    }

    #[test]
    fn a_packet_is_read() {
        let packet = ipv4(&format!("4500001c {UDP_FIELDS} {ADDRESSES} {UDP_53}"));
        let expected = Ip {
            src: [192, 168, 1, 7].into(),
            dst: [10, 0, 0, 5].into(),
            protocol: Protocol::UDP,
            ttl: 64,
            len: 28,
            fragment: None,
            transport: Transport::Udp(Ports { src: 49152, dst: 53 }),
        };
        assert_eq!((packet.net, packet.malformed), (Net::Ip(expected), None));
    }

    #[test]
    fn padding_behind_the_packet_is_not_part_of_it() {
        // A TCP segment of 20 bytes, announced with 16: the rest is padding.
        let packet = ipv4(&format!("45000024 1234 0000 40 06 0000 {ADDRESSES} {}", "00".repeat(30)));
        assert_eq!((ip(&packet).len, reason(&packet)), (36, Some(Reason::TcpHeader)));
    }

    #[test]
    fn the_transport_header_is_behind_the_options() {
        let packet = ipv4(&format!("46000020 {UDP_FIELDS} {ADDRESSES} 94040000 {UDP_53}"));
        assert_eq!(ip(&packet).transport, Transport::Udp(Ports { src: 49152, dst: 53 }));
        assert_eq!(packet.malformed, None);
    }

    #[test]
    fn a_first_fragment_has_the_ports_and_a_later_one_has_not() {
        // A datagram of 1000 bytes whose first 16 are here.
        let first = ipv4(&format!("45000024 1234 2000 40 11 0000 {ADDRESSES} c000 0035 03e8 0000 0000000000000000"));
        assert_eq!(ip(&first).fragment, Some(Fragment { id: 0x1234, offset: 0, len: 16, more: true }));
        assert_eq!(ip(&first).transport, Transport::Udp(Ports { src: 49152, dst: 53 }));
        assert_eq!(first.malformed, None);
        let last = ipv4(&format!("4500001c 1234 0002 40 11 0000 {ADDRESSES} {UDP_53}"));
        assert_eq!(ip(&last).fragment, Some(Fragment { id: 0x1234, offset: 16, len: 8, more: false }));
        assert_eq!((ip(&last).transport, last.malformed), (Transport::None, None));
    }

    #[test]
    fn a_tiny_first_fragment_is_legal() {
        let packet = ipv4(&format!("4500001c 1234 2000 40 06 0000 {ADDRESSES} c000 0050 00000001"));
        let Transport::Tcp(tcp) = ip(&packet).transport else { panic!("{packet:?}") };
        assert_eq!((tcp.ports.dst, tcp.flags.0, packet.malformed), (80, 0, None));
        assert_eq!(odd(&packet), Some((Alert::IpTinyFragment, 8, 20)), "and no network makes one");
        let ordinary = ipv4(&format!("45000024 1234 2000 40 11 0000 {ADDRESSES} c000 0035 03e8 0000 0000000000000000"));
        assert_eq!(odd(&ordinary), None);
    }

    #[test]
    fn a_source_route_is_odd_and_other_options_are_not() {
        let with = |words: u8, options: &str| {
            let len = u32::from(words) * 4 + 8;
            ipv4(&format!("4{words:x}00{len:04x} {UDP_FIELDS} {ADDRESSES} {options} {UDP_53}"))
        };
        assert_eq!(odd(&with(7, "83 07 04 0a000001 00")), Some((Alert::Ipv4SourceRoute, 1, 0)));
        assert_eq!(odd(&with(8, "01 89 0b 04 0a000001 0a000002")), Some((Alert::Ipv4SourceRoute, 2, 1)));
        assert_eq!(odd(&with(7, "07 07 04 00000000 00")), None, "record route");
        assert_eq!(odd(&with(6, "94040000")), None, "router alert");
        assert_eq!(odd(&with(6, "00 83 07 04")), None, "behind the end of the list");
    }

    #[test]
    fn length_0_of_a_super_segment_is_that_of_the_frame() {
        let segment =
            format!("45000000 1234 4000 40 06 0000 {ADDRESSES} c000 0050 00000001 00000000 50100000 00000000");
        let large = parse_cut(IPV4, &bytes(&segment), 70_000);
        assert_eq!((ip(&large).len, large.malformed), (70_000, None));
        assert!(matches!(ip(&large).transport, Transport::Tcp(_)));
        let small = parse_cut(IPV4, &bytes(&segment), 1500);
        assert_eq!((ip(&small).len, reason(&small)), (0, Some(Reason::Ipv4TotalLength)));
        // In a tunnel, where UDP can't say the length either.
        let tunnel = bytes(&format!("45000000 {UDP_FIELDS} {ADDRESSES} c000 12b5 0000 0000"));
        assert_eq!(parse_cut(IPV4, &tunnel, 70_000).malformed, None);
        assert_eq!(reason(&parse_cut(IPV4, &tunnel, 9000)), Some(Reason::Ipv4TotalLength));
    }

    #[test]
    fn ah_is_a_protocol_of_ipv4() {
        let packet = ipv4(&format!("45000020 1234 0000 40 33 0000 {ADDRESSES} 0604 0000 00000001 00000001"));
        assert_eq!((ip(&packet).protocol, ip(&packet).transport), (Protocol::AH, Transport::None));
    }

    #[test]
    fn a_wrong_checksum_is_reported_before_what_is_behind_it() {
        let with =
            |checksum: &str, total: &str| ipv4(&format!("4500 {total} 1234 0000 4011 {checksum} {ADDRESSES} {UDP_53}"));
        assert_eq!(with("9ce9", "001c").malformed, None);
        assert_eq!(with("0000", "001c").malformed, None, "the network card was to fill it in");
        let wrong = with("9cea", "001c");
        assert_eq!(sentence(&wrong), "ipv4: header checksum 0x9cea, should be 0x9ce9");
        assert_eq!(ip(&wrong).transport, Transport::Udp(Ports { src: 49152, dst: 53 }));
        assert_eq!(reason(&with("9cea", "00ff")), Some(Reason::Ipv4BeyondFrame));
        let cut_off =
            |checksum: &str| reason(&ipv4(&format!("45000018 1234 0000 4011 {checksum} {ADDRESSES} c0000035")));
        assert_eq!([cut_off("9cea"), cut_off("0000")], [Some(Reason::Ipv4Checksum), Some(Reason::UdpHeader)]);
    }

    #[test]
    fn a_checksum_of_0_in_what_came_in_is_wrong_whatever_else_is() {
        let received = |hex: &str| {
            let frame = bytes(hex);
            reason(&parse_received(IPV4, &frame, u32::try_from(frame.len()).unwrap()))
        };
        let cut_off = format!("45000018 1234 0000 4011 0000 {ADDRESSES} c0000035");
        let bad_option = format!("46000020 1234 0000 4011 0000 {ADDRESSES} 94010000 {UDP_53}");
        assert_eq!([received(&cut_off), received(&bad_option)], [Some(Reason::Ipv4Checksum); 2]);
        assert_eq!(reason(&ipv4(&bad_option)), Some(Reason::Ipv4OptionLength));
    }

    #[test]
    fn what_the_capture_cut_off_is_unknown_and_not_malformed() {
        let whole = bytes(&format!("46000020 1234 0000 4011 0001 {ADDRESSES} 94040000 {UDP_53}"));
        for kept in 20..=24 {
            let packet = parse_cut(IPV4, &whole[..kept], 32);
            assert_eq!(ip(&packet).len, 32);
            let checked = kept == 24;
            assert_eq!(reason(&packet), checked.then_some(Reason::Ipv4Checksum), "{kept}");
        }
        let nothing = parse_cut(IPV4, &whole[..19], 32);
        assert_eq!((nothing.net, nothing.malformed), (Net::Other { ethertype: 0x0800, len: 32 }, None));
    }

    #[test]
    fn faults_of_the_header_are_named_and_what_was_read_stays() {
        assert_eq!(sentence(&ipv4("45000014")), "ipv4: header of 4 bytes, 20 needed");
        let version = ipv4(&format!("6500001c {UDP_FIELDS} {ADDRESSES} {UDP_53}"));
        assert_eq!(sentence(&version), "ipv4: version 6, not 4");
        assert_eq!(version.net, Net::Other { ethertype: 0x0800, len: 28 });
        for (start, expected) in [
            ("4300001c", "ipv4: header length 3 words, at least 5"),
            ("4f00001c", "ipv4: header of 60 bytes in a frame of 28"),
            ("45000013", "ipv4: total length 19, header 20"),
            ("4500001d", "ipv4: total length 29, frame 28"),
        ] {
            let packet = ipv4(&format!("{start} {UDP_FIELDS} {ADDRESSES} {UDP_53}"));
            assert_eq!(sentence(&packet), expected);
            assert_eq!((ip(&packet).src, ip(&packet).protocol), ([192, 168, 1, 7].into(), Protocol::UDP));
        }
    }

    #[test]
    fn ports_are_kept_where_only_the_total_length_is_wrong() {
        let packet = ipv4(&format!("4500ffff {UDP_FIELDS} {ADDRESSES} {UDP_53}"));
        assert_eq!(ip(&packet).transport, Transport::Udp(Ports { src: 49152, dst: 53 }));
    }

    #[test]
    fn faults_of_options_are_named() {
        for (options, expected) in [
            ("94010000", "ipv4: option length 1, at least 2"),
            ("01940800", "ipv4: option of 8 bytes, 3 left"),
            ("01010194", "ipv4: option of 2 bytes, 1 left"),
        ] {
            assert_eq!(sentence(&ipv4(&format!("46000020 {UDP_FIELDS} {ADDRESSES} {options} {UDP_53}"))), expected);
        }
        // Behind the end of the list nothing is an option.
        let ended = ipv4(&format!("46000020 {UDP_FIELDS} {ADDRESSES} 00940100 {UDP_53}"));
        assert_eq!(ended.malformed, None);
    }

    #[test]
    fn faults_of_fragments_are_named() {
        for (length_and_place, payload, expected) in [
            ("0014 1234 0002", "", "ipv4: fragment without payload"),
            ("0019 1234 2002", "0000000000", "ipv4: fragment of 5 bytes, not a multiple of 8"),
            ("001c 1234 1fff", UDP_53, "ipv4: fragment ends at 65556, at most 65535"),
        ] {
            let packet = ipv4(&format!("4500 {length_and_place} 4011 0000 {ADDRESSES} {payload}"));
            assert_eq!(sentence(&packet), expected);
            assert!(ip(&packet).fragment.is_some());
        }
    }
}
