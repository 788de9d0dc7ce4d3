//! Rule sets and packets for tests, written as briefly as they are read.

use super::{Context, Direction, InterfaceClass};
use crate::packet::{About, Fragment, Icmp, Ip, Ports, Protocol, Quoted, Tcp, TcpFlags, Transport};
use crate::rules::address::{AddressRange, AddressSet};
use crate::rules::icmp::IcmpSet;
use crate::rules::port::PortSet;
use crate::rules::protocol::ProtocolSet;
use crate::rules::ranges::Ranges;
use crate::rules::{Action, BlockList, Condition, Entry, Rule, RuleDirection};
use crate::time::Timestamp;
use std::net::IpAddr;

/// Seconds since the epoch.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_parts(seconds, 0)
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `10.0.0.0/8`, `10.0.0.1` or `10.0.0.1-10.0.0.9`.
pub(super) fn range(text: &str) -> AddressRange {
    if let Some((first, last)) = text.split_once('-') {
        match (ip(first), ip(last)) {
            (IpAddr::V4(first), IpAddr::V4(last)) => AddressRange::V4 { first, last },
            (IpAddr::V6(first), IpAddr::V6(last)) => AddressRange::V6 { first, last },
            _ => panic!("{text}"),
        }
    } else {
        let network: ipnetwork::IpNetwork = text.parse().unwrap();
        match network {
            ipnetwork::IpNetwork::V4(network) => network.into(),
            ipnetwork::IpNetwork::V6(network) => network.into(),
        }
    }
}

/// An entry; its id is `list:text`.
pub(super) fn entry<T>(list: &str, text: &str, value: T) -> Entry<T> {
    Entry {
        value,
        negated: text.starts_with('!'),
        id: format!("{list}:{text}").into(),
        comment: None,
        expires: None,
        enabled: true,
        offset: 0,
    }
}

/// Entries of `allow_ips` or `block_ips`.
pub(super) fn addresses(list: &str, texts: &[&str]) -> Vec<Entry<AddressRange>> {
    texts.iter().map(|text| entry(list, text, range(text.trim_start_matches('!')))).collect()
}

/// Entries of `block_ports`: `445`, `137-139`, each for TCP and UDP.
pub(super) fn block_ports(texts: &[&str]) -> Vec<Entry<PortSet>> {
    texts.iter().map(|text| entry("block_ports", text, ports(text.trim_start_matches('!')))).collect()
}

pub(super) fn ports(text: &str) -> PortSet {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let set = Ranges::from_ranges([(first.parse().unwrap(), last.parse().unwrap())]);
    PortSet { tcp: set.clone(), udp: set }
}

/// Entries of a list of protocols.
pub(super) fn protocols(list: &str, entries: &[(&str, &[u8])]) -> Vec<Entry<ProtocolSet>> {
    entries.iter().map(|&(text, numbers)| entry(list, text, protocol_set(numbers))).collect()
}

pub(super) fn protocol_set(numbers: &[u8]) -> ProtocolSet {
    numbers.iter().map(|&number| Protocol(number)).collect()
}

pub(super) fn block_list(name: &str, networks: &[&str]) -> BlockList {
    BlockList {
        id: format!("block_lists:{name}").into(),
        path: name.into(),
        networks: networks.iter().map(|text| range(text)).collect(),
        expires: None,
        enabled: true,
        comment: None,
        offset: 0,
    }
}

/// A condition, of which the engine looks at the set alone.
#[expect(clippy::unnecessary_wraps, reason = "as a rule's field has it")]
pub(super) fn condition<Term, Set>(set: Set) -> Option<Condition<Term, Set>> {
    Some(Condition { terms: Vec::new(), set, text: "".into() })
}

/// Any of the positive terms (everything, if there is none), and none of those with `!`.
pub(super) fn address_condition(texts: &[&str]) -> Option<Condition<AddressRange, AddressSet>> {
    let (negated, positive): (Vec<&str>, Vec<&str>) = texts.iter().partition(|text| text.starts_with('!'));
    let set = |texts: Vec<&str>| -> AddressSet {
        let ranges: Vec<_> = texts.into_iter().map(|text| range(text.trim_start_matches('!'))).collect();
        ranges.iter().collect()
    };
    let all = AddressSet { v4: Ranges::all(), v6: Ranges::all() };
    let positive = if positive.is_empty() { all } else { set(positive) };
    let negated = set(negated);
    condition(AddressSet { v4: positive.v4.difference(&negated.v4), v6: positive.v6.difference(&negated.v6) })
}

pub(super) fn icmp_condition(pairs: &[(u8, u8)]) -> Option<Condition<IcmpSet, IcmpSet>> {
    let set = Ranges::from_ranges(pairs.iter().map(|&(kind, code)| {
        let pair = u16::from_be_bytes([kind, code]);
        (pair, pair)
    }));
    condition(IcmpSet { v4: set.clone(), v6: set })
}

/// A rule without conditions.
pub(super) fn rule(index: u32, action: Action) -> Rule {
    Rule {
        id: format!("rule-{index}").into(),
        action,
        direction: None,
        protocol: None,
        src: None,
        dst: None,
        src_port: None,
        dst_port: None,
        icmp_type: None,
        interface: Vec::new(),
        comment: None,
        expires: None,
        enabled: true,
        index,
        offset: 0,
    }
}

/// A rule for packets that come in.
pub(super) fn incoming(index: u32, action: Action) -> Rule {
    Rule { direction: Some(RuleDirection::In), ..rule(index, action) }
}

fn packet(src: &str, dst: &str, protocol: Protocol, transport: Transport) -> Ip {
    Ip { src: ip(src), dst: ip(dst), protocol, ttl: 64, len: 60, fragment: None, transport }
}

/// Letters of `FSRPAUEC`.
pub(super) fn flags(letters: &str) -> TcpFlags {
    TcpFlags(letters.bytes().map(|letter| 1 << b"FSRPAUEC".iter().position(|&flag| flag == letter).unwrap()).sum())
}

/// A TCP segment; the flags as letters.
pub(super) fn tcp(src: (&str, u16), dst: (&str, u16), letters: &str) -> Ip {
    let ports = Ports { src: src.1, dst: dst.1 };
    packet(src.0, dst.0, Protocol::TCP, Transport::Tcp(Tcp { ports, flags: flags(letters), ..Tcp::default() }))
}

pub(super) fn udp(src: (&str, u16), dst: (&str, u16)) -> Ip {
    packet(src.0, dst.0, Protocol::UDP, Transport::Udp(Ports { src: src.1, dst: dst.1 }))
}

/// An ICMP message of the addresses' family.
pub(super) fn icmp(src: &str, dst: &str, kind: u8, code: u8, id: u16) -> Ip {
    let protocol = if ip(src).is_ipv4() { Protocol::ICMP } else { Protocol::ICMPV6 };
    packet(src, dst, protocol, Transport::Icmp(Icmp { kind, code, id, about: About::Nothing }))
}

/// An ICMP error from `src` to the sender of `about`, which it quotes.
pub(super) fn icmp_error(src: IpAddr, about: &Ip) -> Ip {
    let ports = match about.transport {
        Transport::Tcp(tcp) => tcp.ports,
        Transport::Udp(ports) | Transport::Sctp(ports) => ports,
        Transport::Icmp(icmp) => Ports { src: icmp.id, dst: u16::from_be_bytes([icmp.kind, icmp.code]) },
        Transport::TcpRest(_) | Transport::None => Ports { src: 0, dst: 0 },
    };
    let quoted = About::Quoted(Quoted { src: about.src, dst: about.dst, protocol: about.protocol, ports });
    let (protocol, kind) = if src.is_ipv4() { (Protocol::ICMP, 3) } else { (Protocol::ICMPV6, 1) };
    let transport = Transport::Icmp(Icmp { kind, code: 1, id: 0, about: quoted });
    Ip { src, dst: about.src, protocol, transport, fragment: None, ..*about }
}

/// A packet of a protocol without header.
pub(super) fn bare(src: &str, dst: &str, protocol: u8) -> Ip {
    packet(src, dst, Protocol(protocol), Transport::None)
}

/// The packet as a fragment of datagram `id`; a later one has no transport header.
pub(super) fn fragment(mut packet: Ip, id: u32, offset: u32) -> Ip {
    let header = if packet.src.is_ipv4() { 20 } else { 48 };
    packet.fragment = Some(Fragment { id, offset, len: packet.len.saturating_sub(header), more: true });
    if offset > 0 {
        packet.transport = Transport::None;
    }
    packet
}

pub(super) fn context(direction: Direction, seconds: i64) -> Context {
    Context { direction, interface: InterfaceClass::default(), time: at(seconds) }
}
