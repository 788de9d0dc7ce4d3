//! The reasons for which a packet is malformed, in one table: name, sentence, and whether the kernel lets such a packet
//! come as far as netfilter.
//!
//! What is legal but suspicious (strange flags, source routes) is not here.

use std::fmt;

impl Reason {
    /// The protocol whose header is wrong: the part of the name before the dot.
    pub fn layer(self) -> &'static str {
        self.name().split_once('.').map_or(self.name(), |(layer, _)| layer)
    }

    /// Whether Linux drops an incoming packet like this before netfilter sees it, so that no rule decides it: in the
    /// link layer, `arp_rcv`, `ip_rcv_core`, `ip6_rcv_core` or `ipv6_parse_hopopts`. Faults of the transport layer
    /// and of reassembly come later.
    pub const fn discarded_by_kernel(self) -> bool {
        matches!(self.fate(), Fate::Discarded)
    }
}

/// What the kernel does with a packet before netfilter.
#[derive(Clone, Copy)]
enum Fate {
    Discarded,
    Delivered,
}

/// Makes [`Reason`] from rows of `Variant: Fate, "name", |found, bound| "sentence";`.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident: $fate:ident, $name:literal,
       |$found:pat_param, $bound:pat_param| $sentence:literal;)*) => {
        /// The reasons for which a packet is malformed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
        }

        impl Reason {
            /// Every reason, outermost layer first.
            pub const ALL: &[Self] = &[$(Self::$reason,)*];

            /// The name for machines, which stays the same from version to version: `ipv4.header_length`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$reason => $name,)*
                }
            }

            const fn fate(self) -> Fate {
                match self {
                    $(Self::$reason => Fate::$fate,)*
                }
            }

            /// Writes what is wrong, with the number that was found and the one it is held against.
            pub(super) fn describe(self, found: u32, bound: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$reason => {
                        let ($found, $bound) = (found, bound);
                        write!(f, $sentence)
                    })*
                }
            }
        }
    };
}

reasons! {
    /// Fewer bytes than an Ethernet header.
    EthernetHeader: Discarded, "ethernet.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// An 802.3 length that the frame does not have.
    EthernetLength: Discarded, "ethernet.length",
        |found, bound| "802.3 length {found}, but {bound} bytes follow";
    /// A VLAN EtherType without a whole tag behind it.
    VlanTag: Discarded, "vlan.tag_truncated",
        |found, bound| "tag of {found} bytes, {bound} needed";
    /// More VLAN tags than pfw takes off.
    VlanStack: Delivered, "vlan.stack",
        |_, bound| "more than {bound} tags";
    /// Fewer bytes than an LLC header (IEEE 802.2).
    LlcHeader: Discarded, "llc.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// LLC says SNAP, but the frame ends before its header does.
    SnapHeader: Discarded, "snap.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// Fewer bytes than a Linux cooked header.
    SllHeader: Discarded, "sll.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// Fewer bytes than a Linux cooked header, version 2.
    Sll2Header: Discarded, "sll2.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// Fewer bytes than a BSD loopback header.
    NullHeader: Discarded, "null.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// No byte at all where the first of an IP packet should be.
    RawEmpty: Discarded, "raw.empty",
        |_, _| "no bytes";
    /// The first nibble of a raw packet is neither 4 nor 6.
    RawVersion: Discarded, "raw.version",
        |found, _| "IP version {found}, neither 4 nor 6";

    /// Fewer bytes than the fixed part of an ARP packet.
    ArpHeader: Discarded, "arp.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// Ethernet addresses are six bytes long.
    ArpHardwareLength: Discarded, "arp.hardware_length",
        |found, bound| "hardware address length {found}, not {bound}";
    /// IPv4 addresses are four bytes long.
    ArpProtocolLength: Discarded, "arp.protocol_length",
        |found, bound| "protocol address length {found}, not {bound}";
    /// The addresses do not fit.
    ArpAddresses: Discarded, "arp.addresses_truncated",
        |found, bound| "{found} bytes, {bound} needed";

    /// Fewer bytes than an IPv4 header.
    Ipv4Header: Discarded, "ipv4.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// Another version than 4.
    Ipv4Version: Discarded, "ipv4.version",
        |found, _| "version {found}, not 4";
    /// A header shorter than the smallest (RFC 791).
    Ipv4HeaderLength: Discarded, "ipv4.header_length",
        |found, bound| "header length {found} words, at least {bound}";
    /// The header does not fit in the frame.
    Ipv4HeaderBeyondFrame: Discarded, "ipv4.header_beyond_frame",
        |found, bound| "header of {found} bytes in a frame of {bound}";
    /// The packet says it is shorter than its header.
    Ipv4TotalLength: Discarded, "ipv4.total_length",
        |found, bound| "total length {found}, header {bound}";
    /// The packet says it is longer than the frame.
    Ipv4BeyondFrame: Discarded, "ipv4.beyond_frame",
        |found, bound| "total length {found}, frame {bound}";
    /// The header's checksum is wrong. Reported only if no length of it is.
    Ipv4Checksum: Discarded, "ipv4.checksum",
        |found, bound| "header checksum {found:#06x}, should be {bound:#06x}";
    /// An option shorter than its own type and length.
    Ipv4OptionLength: Delivered, "ipv4.option_length",
        |found, bound| "option length {found}, at least {bound}";
    /// An option that does not fit in the header.
    Ipv4OptionBeyondHeader: Delivered, "ipv4.option_beyond_header",
        |found, bound| "option of {found} bytes, {bound} left";
    /// A fragment that would end behind the largest packet.
    Ipv4FragmentEnd: Delivered, "ipv4.fragment_end",
        |found, bound| "fragment ends at {found}, at most {bound}";
    /// A fragment that is not the last must carry a multiple of 8 bytes.
    Ipv4FragmentLength: Delivered, "ipv4.fragment_length",
        |found, bound| "fragment of {found} bytes, not a multiple of {bound}";
    /// A fragment that carries nothing.
    Ipv4FragmentEmpty: Delivered, "ipv4.fragment_empty",
        |_, _| "fragment without payload";

    /// Fewer bytes than an IPv6 header.
    Ipv6Header: Discarded, "ipv6.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// Another version than 6.
    Ipv6Version: Discarded, "ipv6.version",
        |found, _| "version {found}, not 6";
    /// The packet says it is longer than the frame.
    Ipv6BeyondFrame: Discarded, "ipv6.beyond_frame",
        |found, bound| "payload length {found}, but {bound} bytes follow";
    /// The hop-by-hop options header does not fit in the packet.
    Ipv6HopByHopHeader: Discarded, "ipv6.hop_by_hop_beyond_packet",
        |found, bound| "hop-by-hop header of {found} bytes, {bound} left";
    /// A hop-by-hop option that does not fit in its header.
    Ipv6HopByHopOption: Discarded, "ipv6.hop_by_hop_option_length",
        |found, bound| "hop-by-hop option of {found} bytes, {bound} left";
    /// More padding in a row than alignment can need (RFC 4942 section 2.1.9.5).
    Ipv6HopByHopPadding: Discarded, "ipv6.hop_by_hop_padding",
        |found, bound| "{found} bytes of hop-by-hop padding, at most {bound}";
    /// `PadN` with other bytes than zeros.
    Ipv6HopByHopPaddingContent: Discarded, "ipv6.hop_by_hop_padding_content",
        |found, _| "hop-by-hop padding contains {found:#04x}";
    /// More hop-by-hop options than the kernel accepts (`net.ipv6.max_hbh_opts_number`).
    Ipv6HopByHopCount: Discarded, "ipv6.hop_by_hop_count",
        |_, bound| "more than {bound} hop-by-hop options";
    /// A hop-by-hop option that Linux does not know and whose type asks to discard the packet then.
    Ipv6HopByHopUnknown: Discarded, "ipv6.hop_by_hop_unknown",
        |found, _| "unknown hop-by-hop option {found:#04x} asks to be discarded";
    /// A router alert of another length than 2 (RFC 2711).
    Ipv6RouterAlert: Discarded, "ipv6.router_alert_length",
        |found, bound| "router alert length {found}, not {bound}";
    /// A jumbo payload option of another length than 4 (RFC 2675).
    Ipv6JumboOption: Discarded, "ipv6.jumbo_option_length",
        |found, bound| "jumbo payload option length {found}, not {bound}";
    /// A jumbo payload option at a place other than 4n + 2.
    Ipv6JumboAlignment: Discarded, "ipv6.jumbo_alignment",
        |found, _| "jumbo payload option at offset {found}, not 4n+2";
    /// A jumbo payload that is not larger than what the ordinary field can say.
    Ipv6JumboLength: Discarded, "ipv6.jumbo_length",
        |found, bound| "jumbo payload length {found}, more than {bound} needed";
    /// A jumbo payload option beside a payload length.
    Ipv6JumboPayloadLength: Discarded, "ipv6.jumbo_payload_length",
        |found, _| "jumbo payload option beside a payload length of {found}";
    /// The jumbo payload is longer than the frame.
    Ipv6JumboBeyondFrame: Discarded, "ipv6.jumbo_beyond_frame",
        |found, bound| "jumbo payload length {found}, but {bound} bytes follow";
    /// Payload length 0 and hop-by-hop options, but none of them says the length.
    Ipv6JumboMissing: Delivered, "ipv6.jumbo_missing",
        |_, _| "payload length 0 with hop-by-hop options, but no jumbo payload option";
    /// Hop-by-hop options elsewhere than directly behind the header (RFC 8200 section 4.1).
    Ipv6HopByHopPlace: Delivered, "ipv6.hop_by_hop_place",
        |_, _| "hop-by-hop options behind another extension header";
    /// An extension header does not fit in the packet.
    Ipv6ExtensionBeyondPacket: Delivered, "ipv6.extension_beyond_packet",
        |found, bound| "extension header of {found} bytes, {bound} left";
    /// A destination option that does not fit in its header.
    Ipv6DestinationOption: Delivered, "ipv6.destination_option_length",
        |found, bound| "destination option of {found} bytes, {bound} left";
    /// A fragment header inside a fragment.
    Ipv6FragmentRepeated: Delivered, "ipv6.fragment_repeated",
        |_, _| "second fragment header";
    /// A fragment that would end behind the largest packet.
    Ipv6FragmentEnd: Delivered, "ipv6.fragment_end",
        |found, bound| "fragment ends at {found}, at most {bound}";
    /// A fragment that is not the last must carry a multiple of 8 bytes.
    Ipv6FragmentLength: Delivered, "ipv6.fragment_length",
        |found, bound| "fragment of {found} bytes, not a multiple of {bound}";
    /// A fragment that carries nothing.
    Ipv6FragmentEmpty: Delivered, "ipv6.fragment_empty",
        |_, _| "fragment without payload";
    /// The first fragment must hold all headers (RFC 8200 section 4.5).
    Ipv6FirstFragment: Delivered, "ipv6.first_fragment",
        |found, bound| "first fragment ends {found} bytes into a transport header of {bound}";

    /// Fewer bytes than a TCP header.
    TcpHeader: Delivered, "tcp.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// A header shorter than the smallest (RFC 9293).
    TcpDataOffset: Delivered, "tcp.data_offset",
        |found, bound| "data offset {found} words, at least {bound}";
    /// The header does not fit in the segment.
    TcpHeaderBeyondSegment: Delivered, "tcp.header_beyond_segment",
        |found, bound| "header of {found} bytes in a segment of {bound}";
    /// An option shorter than its own type and length.
    TcpOptionLength: Delivered, "tcp.option_length",
        |found, bound| "option length {found}, at least {bound}";
    /// An option that does not fit in the header.
    TcpOptionBeyondHeader: Delivered, "tcp.option_beyond_header",
        |found, bound| "option of {found} bytes, {bound} left";

    /// Fewer bytes than a UDP header.
    UdpHeader: Delivered, "udp.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// The datagram says it is shorter than its header.
    UdpLength: Delivered, "udp.length",
        |found, bound| "length {found}, at least {bound}";
    /// The datagram says it is longer than the packet.
    UdpBeyondPacket: Delivered, "udp.beyond_packet",
        |found, bound| "length {found}, but {bound} bytes in the packet";
    /// Fewer bytes than a UDP-Lite header.
    UdpLiteHeader: Delivered, "udplite.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// The checksum must cover the header (RFC 3828 section 3.1).
    UdpLiteCoverage: Delivered, "udplite.coverage",
        |found, bound| "checksum coverage {found}, 0 or at least {bound}";
    /// The checksum would cover more than there is.
    UdpLiteBeyondPacket: Delivered, "udplite.beyond_packet",
        |found, bound| "checksum coverage {found}, but {bound} bytes in the packet";

    /// Fewer bytes than an SCTP header.
    SctpHeader: Delivered, "sctp.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// Fewer bytes than a chunk's header.
    SctpChunkHeader: Delivered, "sctp.chunk_truncated",
        |found, bound| "chunk header of {found} bytes, {bound} needed";
    /// A chunk shorter than its own header.
    SctpChunkLength: Delivered, "sctp.chunk_length",
        |found, bound| "chunk length {found}, at least {bound}";
    /// A chunk that does not fit in the packet.
    SctpChunkBeyondPacket: Delivered, "sctp.chunk_beyond_packet",
        |found, bound| "chunk of {found} bytes, {bound} left";

    /// Fewer bytes than an ICMP header.
    IcmpHeader: Delivered, "icmp.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// An error message that quotes less than an IPv4 header.
    IcmpQuote: Delivered, "icmp.quote_truncated",
        |found, bound| "quotes {found} bytes of a packet, at least {bound}";
    /// An error message that quotes another version than IPv4.
    IcmpQuoteVersion: Delivered, "icmp.quote_version",
        |found, _| "quotes a packet of IP version {found}, not 4";
    /// Fewer bytes than an ICMPv6 header.
    Icmpv6Header: Delivered, "icmpv6.header_truncated",
        |found, bound| "header of {found} bytes, {bound} needed";
    /// An error message that quotes less than an IPv6 header.
    Icmpv6Quote: Delivered, "icmpv6.quote_truncated",
        |found, bound| "quotes {found} bytes of a packet, at least {bound}";
    /// An error message that quotes another version than IPv6.
    Icmpv6QuoteVersion: Delivered, "icmpv6.quote_version",
        |found, _| "quotes a packet of IP version {found}, not 6";
    /// Fewer bytes than the smallest IGMP message.
    IgmpHeader: Delivered, "igmp.header_truncated",
        |found, bound| "message of {found} bytes, at least {bound}";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_reason_has_a_name_of_its_own_of_layer_and_fault() {
        let names: HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for name in names {
            let (layer, fault) = name.split_once('.').unwrap();
            assert!(layer.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{name}");
            assert!(fault.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        }
    }

    #[test]
    fn the_kernel_discards_for_faults_of_the_ip_header_and_not_of_what_is_behind() {
        let layers = |discarded: bool| -> HashSet<_> {
            let reasons = Reason::ALL.iter().filter(move |reason| reason.discarded_by_kernel() == discarded);
            reasons.map(|reason| reason.layer()).collect()
        };
        for layer in ["tcp", "udp", "udplite", "sctp", "icmp", "icmpv6", "igmp"] {
            assert!(layers(false).contains(layer) && !layers(true).contains(layer), "{layer}");
        }
        assert!(Reason::Ipv4Checksum.discarded_by_kernel());
        assert!(Reason::Ipv6HopByHopOption.discarded_by_kernel());
        assert!(!Reason::Ipv4FragmentEnd.discarded_by_kernel());
        assert!(!Reason::Ipv6ExtensionBeyondPacket.discarded_by_kernel());
    }
}
