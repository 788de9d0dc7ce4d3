//! Packets -> the connection that they would belong to (netfilter's tuples).

use super::connections::Key;
use crate::packet::{Icmp, Ip, Ports, Protocol, Quoted, TcpFlags, Transport, icmp_query};
use std::net::{IpAddr, Ipv4Addr};

/// What a packet is to the tracker.
pub(super) enum Flow<'a> {
    /// A packet of the connection `Tuple`.
    Of(Tuple, Kind),
    /// An error about the packet that it quotes.
    Error(Option<&'a Quoted>),
    /// Not tracked.
    Untracked,
    /// Can't be tracked: too short, or a message that belongs to nothing.
    Invalid,
}

/// Which protocol's rules it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// With its acknowledgement number.
    Tcp(TcpFlags, u32),
    Udp,
    /// An ICMP query or its answer; a query alone can open.
    Icmp,
    Generic,
}

impl Kind {
    /// Whether it is a TCP segment that ends its connection at once.
    pub(super) const fn is_reset(self) -> bool {
        matches!(self, Self::Tcp(flags, _) if flags.has(TcpFlags::RST))
    }
}

/// A connection and the direction of a packet in it. With the packet's addresses it makes the key, which is the same
/// for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tuple {
    /// The packet's source is the end that the key names first.
    pub(super) from_first: bool,
    /// Both ends are the same, so that no direction can be told.
    pub(super) symmetric: bool,
    /// Ports (or what stands for them) and protocol: the last word of the key.
    tail: u64,
}

impl<'a> Flow<'a> {
    /// What `packet`, which is no later fragment, is to the tracker.
    #[inline]
    pub(super) fn of(packet: &'a Ip) -> Self {
        let between = |ports| Tuple::between(packet.src, packet.dst, ports, packet.protocol);
        match (packet.protocol, &packet.transport) {
            (Protocol::ICMP | Protocol::ICMPV6, Transport::Icmp(icmp)) => Self::of_icmp(packet, icmp),
            (Protocol::TCP, Transport::Tcp(tcp)) => Self::Of(between(tcp.ports), Kind::Tcp(tcp.flags, tcp.ack)),
            // Too short to be the header that it should be.
            (protocol, Transport::None) if has_header(protocol) => Self::Invalid,
            (_, Transport::Udp(ports)) => Self::Of(between(*ports), Kind::Udp),
            (_, Transport::Sctp(ports)) => Self::Of(between(*ports), Kind::Generic),
            _ => Self::Of(between(Ports { src: 0, dst: 0 }), Kind::Generic),
        }
    }

    fn of_icmp(packet: &Ip, icmp: &'a Icmp) -> Self {
        match (packet.src, packet.protocol, icmp.kind) {
            (IpAddr::V4(_), Protocol::ICMP, 3 | 4 | 5 | 11 | 12) | (IpAddr::V6(_), Protocol::ICMPV6, 0..=127) => {
                Self::Error(icmp.quoted())
            }
            (IpAddr::V6(_), Protocol::ICMPV6, 130..=137 | 143) => Self::Untracked,
            (src, protocol, _) if src.is_ipv4() == (protocol == Protocol::ICMP) => {
                let query = Query { id: icmp.id, kind: icmp.kind, code: icmp.code };
                Tuple::of_query(query, protocol).map_or(Self::Invalid, |tuple| Self::Of(tuple, Kind::Icmp))
            }
            _ => Self::Invalid,
        }
    }
}

/// Whether the protocol's packets can be tracked by their header alone.
const fn has_header(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::ICMP | Protocol::ICMPV6 | Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP
    )
}

/// What tells ICMP queries apart.
#[derive(Clone, Copy)]
struct Query {
    id: u16,
    kind: u8,
    code: u8,
}

impl Tuple {
    /// The connection of a packet that an error quotes.
    pub(super) fn of_quoted(quoted: &Quoted) -> Option<Self> {
        let Quoted { src, dst, protocol, ports } = *quoted;
        match protocol {
            Protocol::ICMP | Protocol::ICMPV6 if src.is_ipv4() != (protocol == Protocol::ICMP) => None,
            Protocol::ICMP | Protocol::ICMPV6 => {
                let [kind, code] = ports.dst.to_be_bytes();
                Self::of_query(Query { id: ports.src, kind, code }, protocol)
            }
            _ => Some(Self::between(src, dst, ports, protocol)),
        }
    }

    /// The ends are ordered by address and port.
    #[inline]
    pub(super) fn between(src: IpAddr, dst: IpAddr, ports: Ports, protocol: Protocol) -> Self {
        let order = match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => src.to_bits().cmp(&dst.to_bits()),
            (IpAddr::V6(src), IpAddr::V6(dst)) => src.to_bits().cmp(&dst.to_bits()),
            _ => src.cmp(&dst),
        };
        let order = order.then(ports.src.cmp(&ports.dst));
        let from_first = order.is_le();
        let (first, second) = if from_first { (ports.src, ports.dst) } else { (ports.dst, ports.src) };
        Self { from_first, symmetric: order.is_eq(), tail: tail(first, second, protocol) }
    }

    /// The ends are the one that asks and the one that answers; the answer's type is mapped to the query's.
    fn of_query(query: Query, protocol: Protocol) -> Option<Self> {
        let (asked, is_query) = icmp_query(protocol, query.kind)?;
        let what = u16::from_be_bytes([asked, query.code]);
        Some(Self { from_first: is_query, symmetric: false, tail: tail(query.id, what, protocol) })
    }

    /// The key between IPv4 addresses.
    pub(super) fn v4_key(&self, src: Ipv4Addr, dst: Ipv4Addr) -> Key<2> {
        let (first, second) = if self.from_first { (src, dst) } else { (dst, src) };
        [u64::from(first.to_bits()) << 32 | u64::from(second.to_bits()), self.tail]
    }

    /// The key between IPv6 addresses.
    pub(super) fn v6_key(&self, src: IpAddr, dst: IpAddr) -> Key<5> {
        let (first, second) = if self.from_first { (src, dst) } else { (dst, src) };
        let ([a, b], [c, d]) = (words(first), words(second));
        [a, b, c, d, self.tail]
    }
}

fn tail(first: u16, second: u16, protocol: Protocol) -> u64 {
    u64::from(first) << 48 | u64::from(second) << 32 | u64::from(protocol.0)
}

/// A packet's addresses are of one family; of two, which nothing builds, the IPv4 one stands for its mapped address.
fn words(address: IpAddr) -> [u64; 2] {
    let bits = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    };
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let halves = [(bits >> 64) as u64, bits as u64];
    halves
}
