//! Link layers: what stands in front of the network header.
//!
//! Ethernet and what can stand behind its header (VLAN tags, LLC) is in [`ethernet`].

use super::ethernet::{self, Framed};
use super::malformed::Faults;
use super::reason::Reason;
use super::span::Span;
use super::{Net, Packet, PacketType, dhcp, ethertype, net};

/// The type of a frame's first header. The numbers are those of the LINKTYPE registry
/// (<https://www.tcpdump.org/linktypes.html>), which pcap and pcapng files carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Ethernet (1), with any number of VLAN tags up to a bound.
    Ethernet,
    /// Linux cooked capture v1 (113).
    LinuxSll,
    /// Linux cooked capture v2 (276).
    LinuxSll2,
    /// Raw IP (101, and `DLT_RAW`'s 12 and 14): the version nibble tells the family.
    RawIp,
    /// BSD loopback (0): the address family in the byte order of the machine that captured.
    BsdNull,
    /// OpenBSD loopback (108): the address family in network byte order.
    BsdLoop,
    /// No link header at all: the bytes begin at the network header, of this EtherType (the live capture's cooked
    /// ring; in files, raw IPv4, 228, and raw IPv6, 229).
    Cooked {
        /// The EtherType (`sll_protocol`). Where it is that of a VLAN tag, the bytes begin with the tag. They can do
        /// so too where it is another: of several tags the kernel takes only the first off (`tpacket_rcv`), and says
        /// the type behind the last (`vlan_get_protocol_dgram`).
        ethertype: u16,
    },
}

/// The bits of a capture file's link type field that hold the number; those above tell of a frame check sequence.
const LINKTYPE_MASK: u32 = 0xffff;

impl Link {
    /// The link layer of a capture file's link type field; `None` for one that pfw does not read.
    pub const fn from_linktype(linktype: u32) -> Option<Self> {
        Some(match linktype & LINKTYPE_MASK {
            0 => Self::BsdNull,
            1 => Self::Ethernet,
            12 | 14 | 101 => Self::RawIp,
            108 => Self::BsdLoop,
            113 => Self::LinuxSll,
            228 => Self::Cooked { ethertype: ethertype::IPV4 },
            229 => Self::Cooked { ethertype: ethertype::IPV6 },
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }

    /// What to call it in a message.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ethernet => "Ethernet",
            Self::LinuxSll => "Linux cooked v1",
            Self::LinuxSll2 => "Linux cooked v2",
            Self::RawIp => "raw IP",
            Self::BsdNull => "BSD loopback",
            Self::BsdLoop => "OpenBSD loopback",
            Self::Cooked { ethertype: ethertype::IPV4 } => "raw IPv4",
            Self::Cooked { ethertype: ethertype::IPV6 } => "raw IPv6",
            Self::Cooked { .. } => "no link header",
        }
    }
}

impl PacketType {
    /// The packet type of the kernel's number (`sll_pkttype`); `None` for those that never leave the kernel.
    pub const fn from_sll(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::Host,
            1 => Self::Broadcast,
            2 => Self::Multicast,
            3 => Self::OtherHost,
            4 => Self::Outgoing,
            _ => return None,
        })
    }
}

/// The network layer's type and bytes, whatever stands in front of them.
pub(super) fn payload(link: Link, bytes: &[u8]) -> (u16, &[u8]) {
    let mut faults = Faults::default();
    let (_, framed) = open(link, Span::new(bytes, 0), &mut faults);
    let (_, framed) = ethernet::untag(framed, &mut faults);
    let (ethertype, payload) = ethernet::open_llc(framed, &mut faults);
    (ethertype, payload.bytes())
}

fn open<'a>(link: Link, frame: Span<'a>, faults: &mut Faults) -> (Option<PacketType>, Framed<'a>) {
    match link {
        Link::Ethernet => (None, ethernet::open(frame, faults)),
        Link::LinuxSll => linux_sll(frame, faults),
        Link::LinuxSll2 => linux_sll2(frame, faults),
        Link::RawIp => (None, raw_ip(frame, faults)),
        Link::BsdNull => (None, bsd(frame, ByteOrder::Capturing, faults)),
        Link::BsdLoop => (None, bsd(frame, ByteOrder::Network, faults)),
        Link::Cooked { ethertype } => (None, beheaded(ethertype, frame)),
    }
}

pub(super) fn parse(link: Link, bytes: &[u8], original_len: u32) -> Packet {
    let mut faults = Faults::default();
    let (link_direction, framed) = open(link, Span::new(bytes, original_len), &mut faults);
    let (vlan, framed) = ethernet::untag(framed, &mut faults);
    let (ethertype, payload) = ethernet::open_llc(framed, &mut faults);
    let net = Net::Other { ethertype, len: payload.len() };
    let mut packet = Packet { vlan, link_direction, ..Packet::of(net) };
    net::read(ethertype, payload, &mut packet.net, &mut faults);
    packet.malformed = faults.first();
    packet.malformed_as_sent = faults.first_as_sent();
    packet.odd = faults.odd();
    packet.dhcp_server = dhcp::server(&packet.net, payload);
    packet
}

/// Size of the Linux cooked header (`LINKTYPE_LINUX_SLL`).
const SLL_HEADER: u32 = 16;
/// Size of the Linux cooked header, version 2 (`LINKTYPE_LINUX_SLL2`).
const SLL2_HEADER: u32 = 20;
/// The hardware type of netlink messages (`ARPHRD_NETLINK`), whose protocol field is no EtherType.
const HARDWARE_NETLINK: u16 = 824;

fn linux_sll<'a>(frame: Span<'a>, faults: &mut Faults) -> (Option<PacketType>, Framed<'a>) {
    let payload = frame.skip(SLL_HEADER);
    let Some(&[type_high, type_low, hardware_high, hardware_low, .., ethertype_high, ethertype_low]) =
        frame.bytes().first_chunk::<{ SLL_HEADER as usize }>()
    else {
        faults.require(frame, SLL_HEADER, Reason::SllHeader);
        return (None, Framed::unknown(payload));
    };
    let packet_type = PacketType::from_sll(u16::from_be_bytes([type_high, type_low]));
    let hardware = u16::from_be_bytes([hardware_high, hardware_low]);
    let ethertype = u16::from_be_bytes([ethertype_high, ethertype_low]);
    (packet_type, cooked(hardware, ethertype, payload))
}

fn linux_sll2<'a>(frame: Span<'a>, faults: &mut Faults) -> (Option<PacketType>, Framed<'a>) {
    let payload = frame.skip(SLL2_HEADER);
    let Some(&[ethertype_high, ethertype_low, _, _, _, _, _, _, hardware_high, hardware_low, packet_type, ..]) =
        frame.bytes().first_chunk::<{ SLL2_HEADER as usize }>()
    else {
        faults.require(frame, SLL2_HEADER, Reason::Sll2Header);
        return (None, Framed::unknown(payload));
    };
    let packet_type = PacketType::from_sll(packet_type.into());
    let hardware = u16::from_be_bytes([hardware_high, hardware_low]);
    let ethertype = u16::from_be_bytes([ethertype_high, ethertype_low]);
    (packet_type, cooked(hardware, ethertype, payload))
}

/// A frame whose link header the kernel has taken off.
fn beheaded(ethertype: u16, frame: Span<'_>) -> Framed<'_> {
    if ethernet::begins_with_tag(ethertype, frame) {
        Framed::opaque(ethertype::VLAN, frame)
    } else {
        Framed::typed_by_linux(ethertype, frame)
    }
}

const fn cooked(hardware: u16, ethertype: u16, payload: Span<'_>) -> Framed<'_> {
    if hardware == HARDWARE_NETLINK {
        Framed::opaque(ethertype, payload)
    } else {
        Framed::typed_by_linux(ethertype, payload)
    }
}

fn raw_ip<'a>(frame: Span<'a>, faults: &mut Faults) -> Framed<'a> {
    let Some(first) = frame.bytes().first() else {
        faults.require(frame, 1, Reason::RawEmpty);
        return Framed::unknown(frame);
    };
    match first >> 4 {
        4 => Framed::opaque(ethertype::IPV4, frame),
        6 => Framed::opaque(ethertype::IPV6, frame),
        version => {
            faults.note(Reason::RawVersion, version, 4_u8);
            Framed::unknown(frame)
        }
    }
}

/// Size of the address family in front of a BSD loopback packet.
const BSD_HEADER: u32 = 4;

/// In which order the bytes of the address family stand.
#[derive(Clone, Copy)]
enum ByteOrder {
    /// That of the machine that captured, which nothing tells.
    Capturing,
    Network,
}

fn bsd<'a>(frame: Span<'a>, order: ByteOrder, faults: &mut Faults) -> Framed<'a> {
    let payload = frame.skip(BSD_HEADER);
    let Some(&family) = frame.bytes().first_chunk() else {
        faults.require(frame, BSD_HEADER, Reason::NullHeader);
        return Framed::unknown(payload);
    };
    let (little, big) = (u32::from_le_bytes(family), u32::from_be_bytes(family));
    // Address families are small numbers: in the wrong order one has its bits in the upper half.
    let family = match order {
        ByteOrder::Capturing if u16::try_from(little).is_ok() => little,
        ByteOrder::Capturing | ByteOrder::Network => big,
    };
    match family {
        2 => Framed::opaque(ethertype::IPV4, payload),
        // AF_INET6 of NetBSD and OpenBSD, FreeBSD, Darwin, and Linux.
        24 | 28 | 30 | 10 => Framed::opaque(ethertype::IPV6, payload),
        _ => Framed::unknown(payload),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse as parse_cut;
    use super::super::testing::{bytes, ip, parse, reason};
    use super::*;

    /// An ICMP echo request from 10.0.0.1 to 10.0.0.2.
    const PING: &str = "4500001c0001000040016 6de 0a000001 0a000002 0800f7fd00010001";
    /// No next header, from `fe80::1` to `fe80::2`.
    const EMPTY_V6: &str = "6000000000003b40 fe800000000000000000000000000001 fe800000000000000000000000000002";

    #[test]
    fn cooked_v1_says_how_the_frame_moved() {
        let header = "0004 0001 0006 001122334455 0000 0800";
        let packet = parse(Link::LinuxSll, &format!("{header} {PING}"));
        assert_eq!(packet.link_direction, Some(PacketType::Outgoing));
        assert_eq!(ip(&packet).src.to_string(), "10.0.0.1");
        assert_eq!(packet.malformed, None);
    }

    #[test]
    fn cooked_v2_says_how_the_frame_moved() {
        let header = "0800 0000 00000002 0001 03 06 001122334455 0000";
        let packet = parse(Link::LinuxSll2, &format!("{header} {PING}"));
        assert_eq!(packet.link_direction, Some(PacketType::OtherHost));
        assert_eq!(ip(&packet).dst.to_string(), "10.0.0.2");
    }

    #[test]
    fn cooked_frames_can_carry_a_vlan_tag_or_llc() {
        let tagged = parse(Link::LinuxSll, &format!("0000 0001 0006 001122334455 0000 8100 0064 0800 {PING}"));
        assert_eq!((tagged.vlan, ip(&tagged).len), (Some(100), 28));
        let stp = parse(Link::LinuxSll, "0002 0001 0006 001122334455 0000 0004 424203 0000000000");
        assert_eq!(stp.net, Net::Other { ethertype: 4, len: 8 });
    }

    #[test]
    fn netlink_families_are_no_ethertypes() {
        let packet = parse(Link::LinuxSll, "0004 0338 0000 0000000000000000 0004 1400 0000");
        assert_eq!(packet.net, Net::Other { ethertype: 4, len: 4 });
        assert_eq!(packet.malformed, None);
    }

    #[test]
    fn unknown_packet_types_say_nothing() {
        let packet = parse(Link::LinuxSll, &format!("0007 0001 0006 001122334455 0000 0800 {PING}"));
        assert_eq!(packet.link_direction, None);
    }

    #[test]
    fn raw_ip_is_told_by_its_version() {
        assert_eq!(ip(&parse(Link::RawIp, PING)).src.to_string(), "10.0.0.1");
        assert_eq!(ip(&parse(Link::RawIp, EMPTY_V6)).src.to_string(), "fe80::1");
        let other = parse(Link::RawIp, "50000000");
        assert_eq!(other.net, Net::Other { ethertype: 0, len: 4 });
        assert_eq!(other.malformed.unwrap().to_string(), "raw: IP version 5, neither 4 nor 6");
        assert_eq!(reason(&parse(Link::RawIp, "")), Some(Reason::RawEmpty));
    }

    #[test]
    fn bsd_loopback_is_read_in_either_byte_order() {
        for family in ["02000000", "00000002"] {
            assert_eq!(ip(&parse(Link::BsdNull, &format!("{family} {PING}"))).src.to_string(), "10.0.0.1");
        }
        for family in ["18000000", "0000001c", "1e000000", "0000000a"] {
            assert_eq!(ip(&parse(Link::BsdNull, &format!("{family} {EMPTY_V6}"))).src.to_string(), "fe80::1");
        }
        assert_eq!(ip(&parse(Link::BsdLoop, &format!("00000018 {EMPTY_V6}"))).len, 40);
        assert_eq!(parse(Link::BsdLoop, "02000000 45").net, Net::Other { ethertype: 0, len: 1 });
        assert_eq!(parse(Link::BsdNull, "07000000 ffff").net, Net::Other { ethertype: 0, len: 2 });
    }

    #[test]
    fn cooked_bytes_begin_at_the_network_header_or_at_a_tag() {
        assert_eq!(ip(&parse(Link::Cooked { ethertype: 0x0800 }, PING)).len, 28);
        let tagged = parse(Link::Cooked { ethertype: 0x88a8 }, &format!("0007 8100 0008 86dd {EMPTY_V6}"));
        assert_eq!((tagged.vlan, ip(&tagged).len), (Some(7), 40));
        assert_eq!(parse(Link::Cooked { ethertype: 0x88cc }, "0207").net, Net::Other { ethertype: 0x88cc, len: 2 });
    }

    /// A packet whose type is `ethertype`, behind tags that the kernel left.
    fn behind(tags: &str, ethertype: u16, packet: &str) -> Packet {
        parse(Link::Cooked { ethertype }, &format!("{tags} {packet}"))
    }

    #[test]
    fn tags_that_the_kernel_left_in_front_of_a_cooked_packet_are_taken_off() {
        // Every priority of a tag, two of which make it look like the beginning of an IP header.
        for priority in 0..8_u16 {
            for id in [0, 0x505] {
                let tci = priority << 13 | id;
                let v4 = behind(&format!("{tci:04x} 0800"), 0x0800, PING);
                assert_eq!((v4.vlan, v4.malformed, ip(&v4).src.to_string().as_str()), (Some(id), None, "10.0.0.1"));
                let v6 = behind(&format!("{tci:04x} 86dd"), 0x86dd, EMPTY_V6);
                assert_eq!((v6.vlan, v6.malformed, ip(&v6).src.to_string().as_str()), (Some(id), None, "fe80::1"));
            }
        }
        let two = behind("0007 8100 0008 0800", 0x0800, PING);
        assert_eq!((two.vlan, two.malformed, ip(&two).len), (Some(7), None, 28));
        let arp = behind("0000 0806", 0x0806, "0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002");
        assert_eq!((arp.malformed, matches!(arp.net, Net::Arp(_))), (None, true));
        let padded = behind("0000 0800", 0x0800, &format!("{PING} {}", "00".repeat(18)));
        assert_eq!((padded.vlan, padded.malformed, ip(&padded).len), (Some(0), None, 28));
    }

    #[test]
    fn a_cooked_packet_that_was_cut_behind_any_byte_of_its_tags_is_no_malformed_one() {
        let whole = bytes(&format!("f007 8100 f008 8100 f009 0800 {PING}"));
        for kept in 0..=whole.len() {
            let cut = parse_cut(Link::Cooked { ethertype: 0x0800 }, &whole[..kept], 40);
            // Of less than a tag nobody can tell that it is one.
            assert_eq!((cut.malformed, cut.vlan), (None, (kept >= 4).then_some(7)), "{kept}: {cut:?}");
        }
    }

    #[test]
    fn a_cooked_packet_too_short_for_a_tag_and_more_has_none_however_much_of_it_was_cut() {
        for (ethertype, whole) in [(4, "0000 8100 00"), (0x0806, "0000 0806 0000 0000"), (0x0800, "4000 0800 4500")] {
            let whole = bytes(whole);
            let as_it_is = parse_cut(Link::Cooked { ethertype }, &whole, 0);
            for kept in 0..whole.len() {
                let cut = parse_cut(Link::Cooked { ethertype }, &whole[..kept], u32::try_from(whole.len()).unwrap());
                assert!(
                    cut.vlan.is_none() && (as_it_is.malformed.is_some() || cut.malformed.is_none()),
                    "{kept}: {cut:?}"
                );
            }
        }
    }

    #[test]
    fn a_cooked_packet_that_only_looks_like_a_tag_is_left_as_it_is() {
        // 2048 bytes long, identification 0x4500: behind a tag another packet would fit.
        let long = format!("4500 0800 4500 0040 4011 0000 0a000001 0a000002 {}", "00".repeat(2028));
        let packet = behind("", 0x0800, &long);
        assert_eq!((packet.vlan, ip(&packet).len), (None, 2048));
        // The same in IPv6: a flow label of 0x086dd.
        let labelled = format!("6000 86dd 0000 3b40 {}", "00".repeat(32));
        let packet = behind("", 0x86dd, &labelled);
        assert_eq!((packet.vlan, ip(&packet).len), (None, 40));
        // Nothing fits behind what could be a tag: the fault is that of the packet itself.
        let broken = behind("", 0x0800, "5500 0800 5500 0000 4011 0000 0a000001 0a000002");
        assert_eq!((broken.vlan, reason(&broken)), (None, Some(Reason::Ipv4Version)));
    }

    #[test]
    fn a_link_header_that_is_too_short_is_named_and_one_that_was_cut_is_not() {
        for (link, whole, expected) in [
            (Link::Ethernet, 14, "ethernet: header of 3 bytes, 14 needed"),
            (Link::LinuxSll, 16, "sll: header of 3 bytes, 16 needed"),
            (Link::LinuxSll2, 20, "sll2: header of 3 bytes, 20 needed"),
            (Link::BsdNull, 4, "null: header of 3 bytes, 4 needed"),
        ] {
            let packet = parse(link, "000000");
            assert_eq!(packet.malformed.unwrap().to_string(), expected);
            assert_eq!(packet.net, Net::Other { ethertype: 0, len: 0 });
            let cut = parse_cut(link, &bytes("000000"), whole + 5);
            assert_eq!((cut.malformed, cut.net), (None, Net::Other { ethertype: 0, len: 5 }));
        }
    }

    #[test]
    fn link_types_are_those_of_the_registry() {
        for (number, link) in [
            (0, Link::BsdNull),
            (1, Link::Ethernet),
            (12, Link::RawIp),
            (14, Link::RawIp),
            (101, Link::RawIp),
            (108, Link::BsdLoop),
            (113, Link::LinuxSll),
            (228, Link::Cooked { ethertype: 0x0800 }),
            (229, Link::Cooked { ethertype: 0x86dd }),
            (276, Link::LinuxSll2),
            // With the length of a frame check sequence in the upper bits.
            (0x2400_0001, Link::Ethernet),
        ] {
            assert_eq!(Link::from_linktype(number), Some(link), "{number}");
        }
        assert_eq!(Link::from_linktype(105), None);
        assert_eq!(Link::LinuxSll2.name(), "Linux cooked v2");
    }
}
