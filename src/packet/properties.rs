//! What holds for any bytes, and how the parser agrees with an independent one.

use super::{Link, Net, Packet, Ports, Protocol, Transport, parse};
use etherparse::{
    IpAuthHeader, IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions, Ipv6FragmentHeader,
    Ipv6Header, Ipv6RawExtHeader, Ipv6RoutingExtensions, LaxNetSlice, LaxSlicedPacket, PacketBuilder, TransportSlice,
};
use proptest::prelude::*;
use proptest::sample::Index;
use std::net::IpAddr;

const ETHERNET_HEADER: usize = 14;
/// Where the EtherType stands in an Ethernet frame.
const ETHERTYPE_AT: usize = 12;

fn any_link() -> impl Strategy<Value = Link> {
    prop_oneof![
        Just(Link::Ethernet),
        Just(Link::LinuxSll),
        Just(Link::LinuxSll2),
        Just(Link::RawIp),
        Just(Link::BsdNull),
        Just(Link::BsdLoop),
        prop_oneof![Just(0x0800), Just(0x86dd), Just(0x0806), Just(0x8100), Just(0x0004), any::<u16>()]
            .prop_map(|ethertype| Link::Cooked { ethertype }),
    ]
}

/// What the transport header of a built frame holds.
#[derive(Clone, Copy, Debug)]
enum Carried {
    Tcp(Ports),
    Udp(Ports),
    Echo { id: u16 },
}

fn any_carried() -> impl Strategy<Value = Carried> {
    let ports = || (any::<u16>(), any::<u16>()).prop_map(|(src, dst)| Ports { src, dst });
    prop_oneof![
        ports().prop_map(Carried::Tcp),
        ports().prop_map(Carried::Udp),
        any::<u16>().prop_map(|id| Carried::Echo { id }),
    ]
}

fn any_ipv4() -> impl Strategy<Value = IpHeaders> {
    (any::<[u8; 4]>(), any::<[u8; 4]>(), any::<u8>(), 0..=10_usize).prop_map(|(src, dst, ttl, option_words)| {
        let mut header = Ipv4Header::new(0, ttl, IpNumber::UDP, src, dst).unwrap();
        // No-operations.
        header.options = vec![1; option_words * 4].as_slice().try_into().unwrap();
        IpHeaders::Ipv4(header, Ipv4Extensions::default())
    })
}

/// An extension header whose content is zeros: eight padding bytes at most, which are legal as options.
fn raw_extension() -> impl Strategy<Value = Option<Ipv6RawExtHeader>> {
    prop::option::of(Just(Ipv6RawExtHeader::new_raw(IpNumber::UDP, &[0; 6]).unwrap()))
}

fn any_extensions() -> impl Strategy<Value = Ipv6Extensions> {
    let routing = (raw_extension(), raw_extension()).prop_map(|(routing, final_destination_options)| {
        Some(Ipv6RoutingExtensions { routing: routing?, final_destination_options })
    });
    let atomic = any::<u32>().prop_map(|id| Ipv6FragmentHeader::new(IpNumber::UDP, IpFragOffset::ZERO, false, id));
    let auth = (any::<u32>(), 0..4_usize)
        .prop_map(|(spi, words)| IpAuthHeader::new(IpNumber::UDP, spi, 1, &vec![0; words * 4]).unwrap());
    (raw_extension(), raw_extension(), routing, prop::option::of(atomic), prop::option::of(auth)).prop_map(
        |(hop_by_hop_options, destination_options, routing, fragment, auth)| Ipv6Extensions {
            hop_by_hop_options,
            destination_options,
            routing,
            fragment,
            auth,
        },
    )
}

fn any_ipv6() -> impl Strategy<Value = IpHeaders> {
    (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u8>(), any_extensions()).prop_map(
        |(source, destination, hop_limit, extensions)| {
            IpHeaders::Ipv6(Ipv6Header { source, destination, hop_limit, ..Ipv6Header::default() }, extensions)
        },
    )
}

/// An Ethernet frame as the independent library builds it, and what it put in.
#[derive(Clone, Debug)]
struct Built {
    ip: IpHeaders,
    carried: Carried,
    vlans: Vec<u16>,
    bytes: Vec<u8>,
}

fn build(ip: IpHeaders, carried: Carried, vlans: Vec<u16>, payload: &[u8]) -> Built {
    let step = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ip(ip.clone());
    let mut bytes = Vec::new();
    match (carried, &ip) {
        (Carried::Tcp(ports), _) => step.tcp(ports.src, ports.dst, 1, 1024).syn().write(&mut bytes, payload),
        (Carried::Udp(ports), _) => step.udp(ports.src, ports.dst).write(&mut bytes, payload),
        (Carried::Echo { id }, IpHeaders::Ipv4(..)) => step.icmpv4_echo_request(id, 1).write(&mut bytes, payload),
        (Carried::Echo { id }, IpHeaders::Ipv6(..)) => step.icmpv6_echo_request(id, 1).write(&mut bytes, payload),
    }
    .unwrap();
    let tags = vlans.iter().flat_map(|id| [0x81, 0x00, (id >> 8) as u8 | 0x20, (id & 0xff) as u8]);
    bytes.splice(ETHERTYPE_AT..ETHERTYPE_AT, tags);
    Built { ip, carried, vlans, bytes }
}

fn any_built() -> impl Strategy<Value = Built> {
    let vlans = prop::collection::vec(0..4096_u16, 0..=3);
    let payload = prop::collection::vec(any::<u8>(), 0..64);
    (prop_oneof![any_ipv4(), any_ipv6()], any_carried(), vlans, payload)
        .prop_map(|(ip, carried, vlans, payload)| build(ip, carried, vlans, &payload))
}

/// A built frame with a few bytes overwritten, and perhaps its end cut off.
fn any_mutated() -> impl Strategy<Value = Vec<u8>> {
    let overwritten = prop::collection::vec((any::<Index>(), any::<u8>()), 0..6);
    (any_built(), overwritten, prop::option::of(any::<Index>())).prop_map(|(built, overwritten, end)| {
        let mut bytes = built.bytes;
        for (place, byte) in overwritten {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        bytes.truncate(end.map_or(bytes.len(), |end| end.index(bytes.len())));
        bytes
    })
}

/// A frame of any link layer: bytes at random, or a mutated frame without what stands in front of the part that this
/// link layer carries.
fn any_frame() -> impl Strategy<Value = (Link, Vec<u8>)> {
    let random = (any_link(), prop::collection::vec(any::<u8>(), 0..200));
    let headers = prop_oneof![
        Just((Link::RawIp, vec![])),
        Just((Link::BsdNull, vec![2, 0, 0, 0])),
        Just((Link::BsdLoop, vec![0, 0, 0, 24])),
        Just((Link::Cooked { ethertype: 0x0800 }, vec![])),
        Just((Link::Cooked { ethertype: 0x86dd }, vec![])),
        Just((Link::LinuxSll, vec![0, 4, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0])),
        Just((Link::LinuxSll2, vec![0x86, 0xdd, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 2, 0, 0, 0, 0, 1, 0, 0])),
    ];
    let other = (headers, any_mutated()).prop_map(|((link, mut header), frame)| {
        header.extend(frame.get(ETHERNET_HEADER..).unwrap_or_default());
        (link, header)
    });
    prop_oneof![random, any_mutated().prop_map(|frame| (Link::Ethernet, frame)), other]
}

/// Reads everything that there is to be read of a packet, and checks what must hold for each.
fn check(packet: &Packet) {
    assert!(!format!("{packet:?}").is_empty());
    if let Some(malformed) = packet.malformed {
        assert!(malformed.to_string().starts_with(malformed.reason().layer()));
    }
    assert!(packet.vlan.is_none_or(|vlan| vlan < 4096));
    let Net::Ip(ip) = packet.net else { return };
    assert_eq!(ip.src.is_ipv4(), ip.dst.is_ipv4());
    if let Some(fragment) = ip.fragment {
        assert!(fragment.more || fragment.offset > 0);
        let is_later = matches!(ip.transport, Transport::TcpRest(_) | Transport::None);
        assert!(fragment.offset == 0 || is_later);
    }
    let expected = match ip.transport {
        Transport::Tcp(_) | Transport::TcpRest(_) => vec![Protocol::TCP],
        Transport::Udp(_) => vec![Protocol::UDP, Protocol::UDPLITE],
        Transport::Sctp(_) => vec![Protocol::SCTP],
        Transport::Icmp(_) if ip.src.is_ipv4() => vec![Protocol::ICMP],
        Transport::Icmp(_) => vec![Protocol::ICMPV6],
        Transport::None => return,
    };
    assert!(expected.contains(&ip.protocol));
}

fn whole(link: Link, frame: &[u8]) -> Packet {
    parse(link, frame, u32::try_from(frame.len()).unwrap())
}

/// What the independent parser read of a frame; `None` for what it could not, or not for certain.
struct Theirs {
    src: IpAddr,
    dst: IpAddr,
    protocol: Option<u8>,
    ports: Option<Ports>,
}

fn theirs(frame: &[u8]) -> Option<Theirs> {
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let (src, dst, protocol) = match packet.net.as_ref()? {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            (header.source_addr().into(), header.destination_addr().into(), Some(header.protocol().0))
        }
        LaxNetSlice::Ipv6(ip) => {
            // It walks on behind the header of a later fragment, takes length 0 for "unknown", and stops at errors.
            let is_whole = !ip.payload().fragmented && ip.header().payload_length() > 0;
            let is_certain = is_whole && packet.stop_err.is_none();
            let protocol = is_certain.then_some(ip.payload().ip_number.0);
            (ip.header().source_addr().into(), ip.header().destination_addr().into(), protocol)
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let ports = match packet.transport {
        Some(TransportSlice::Tcp(tcp)) => Some(Ports { src: tcp.source_port(), dst: tcp.destination_port() }),
        Some(TransportSlice::Udp(udp)) => Some(Ports { src: udp.source_port(), dst: udp.destination_port() }),
        _ => None,
    };
    Some(Theirs { src, dst, protocol, ports })
}

fn ours(packet: &Packet) -> Option<Ports> {
    match packet.net {
        Net::Ip(ip) => match ip.transport {
            Transport::Tcp(tcp) => Some(tcp.ports),
            Transport::Udp(ports) => Some(ports),
            _ => None,
        },
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_of_any_link_layer_and_length_are_read((link, frame) in any_frame(), original_len in any::<u32>()) {
        check(&parse(link, &frame, original_len));
        check(&whole(link, &frame));
    }

    #[test]
    fn what_a_capture_cuts_off_is_never_a_fault((link, frame) in any_frame()) {
        let complete = whole(link, &frame);
        let len = u32::try_from(frame.len()).unwrap();
        for kept in 0..frame.len() {
            let cut = parse(link, &frame[..kept], len);
            prop_assert!(cut.malformed.is_none() || complete.malformed.is_some(), "{kept} kept: {cut:?}");
            if let (Net::Ip(cut), Net::Ip(complete)) = (cut.net, complete.net) {
                prop_assert_eq!((cut.src, cut.dst, cut.ttl), (complete.src, complete.dst, complete.ttl));
            }
        }
    }

    #[test]
    fn a_built_frame_is_read_as_it_was_built(built in any_built()) {
        let packet = whole(Link::Ethernet, &built.bytes);
        prop_assert_eq!(packet.malformed, None);
        prop_assert_eq!(packet.vlan, built.vlans.first().copied());
        let Net::Ip(ip) = packet.net else { return Err(TestCaseError::fail("no IP packet")) };
        let addresses: (IpAddr, IpAddr) = match &built.ip {
            IpHeaders::Ipv4(header, _) => (header.source.into(), header.destination.into()),
            IpHeaders::Ipv6(header, _) => (header.source.into(), header.destination.into()),
        };
        prop_assert_eq!((ip.src, ip.dst, ip.fragment), (addresses.0, addresses.1, None));
        let in_frame = built.bytes.len() - ETHERNET_HEADER - 4 * built.vlans.len();
        prop_assert_eq!(ip.len as usize, in_frame);
        let is_authenticated = matches!(&built.ip, IpHeaders::Ipv6(_, extensions) if extensions.auth.is_some());
        match (built.carried, ip.transport) {
            (_, transport) if is_authenticated => {
                prop_assert_eq!((ip.protocol, transport), (Protocol::AH, Transport::None));
            }
            (Carried::Tcp(ports), Transport::Tcp(tcp)) => prop_assert_eq!((tcp.ports, tcp.flags.0), (ports, 2)),
            (Carried::Udp(expected), Transport::Udp(ports)) => prop_assert_eq!(ports, expected),
            (Carried::Echo { id }, Transport::Icmp(icmp)) => prop_assert_eq!((icmp.id, icmp.quoted()), (id, None)),
            (_, other) => return Err(TestCaseError::fail(format!("{other:?}"))),
        }
    }

    #[test]
    fn an_independent_parser_reads_the_same(frame in any_mutated()) {
        let packet = whole(Link::Ethernet, &frame);
        if let (Net::Ip(ip), Some(theirs)) = (packet.net, theirs(&frame)) {
            prop_assert_eq!((ip.src, ip.dst), (theirs.src, theirs.dst));
            // It looks behind an authentication header.
            let ends_there = ip.protocol == Protocol::AH;
            prop_assert!(ends_there || theirs.protocol.is_none_or(|protocol| protocol == ip.protocol.0));
            if let (Some(ours), Some(theirs)) = (ours(&packet), theirs.ports) {
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
