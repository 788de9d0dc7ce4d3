//! What the steps look at: a packet reduced to the fields that conditions can name.

use crate::packet::{Ip, Ports, Protocol, Transport};
use std::net::IpAddr;

use super::Direction;
use crate::rules::RuleDirection;

/// What conditions can name of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    packet: &'a Ip,
    /// Protocol; of a later fragment, the one that its first fragment told.
    pub(super) protocol: Protocol,
    /// The transport header; of a later fragment, that of its first.
    pub(super) header: Header,
}

/// The part of a transport header that conditions can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// TCP.
    Tcp(Ports),
    /// UDP, and nothing like it: a port condition hits TCP and UDP alone.
    Udp(Ports),
    /// ICMP in IPv4 or ICMPv6 in IPv6.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// Nothing that a condition could name, or nothing visible.
    None,
}

impl Header {
    /// What conditions can name of the packet's own transport header.
    pub(super) fn of(packet: &Ip) -> Self {
        match packet.transport {
            Transport::Tcp(tcp) if packet.protocol == Protocol::TCP => Self::Tcp(tcp.ports),
            Transport::Udp(ports) if packet.protocol == Protocol::UDP => Self::Udp(ports),
            Transport::Icmp(icmp) if icmp_belongs(packet) => Self::Icmp { kind: icmp.kind, code: icmp.code },
            _ => Self::None,
        }
    }
}

/// Whether the packet's ICMP is that of its family; ICMPv6 in IPv4 is a protocol number like any other.
pub(super) fn icmp_belongs(packet: &Ip) -> bool {
    packet.protocol == if packet.src.is_ipv4() { Protocol::ICMP } else { Protocol::ICMPV6 }
}

impl<'a> Subject<'a> {
    /// The packet by itself.
    pub(super) fn of(packet: &'a Ip) -> Self {
        Self { packet, protocol: packet.protocol, header: Header::of(packet) }
    }

    /// The packet with what its first fragment told.
    pub(super) fn with(self, protocol: Protocol, header: Header) -> Self {
        Self { protocol, header, ..self }
    }

    /// Source address.
    pub(super) fn src(&self) -> IpAddr {
        self.packet.src
    }

    /// Destination address.
    pub(super) fn dst(&self) -> IpAddr {
        self.packet.dst
    }

    /// IPv4 time to live or IPv6 hop limit.
    pub(super) fn ttl(&self) -> u8 {
        self.packet.ttl
    }
}

/// One passage of a packet by the rules. A packet has one of them, but two on loopback, where it leaves and arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// In by a device.
    In,
    /// Out by a device.
    Out,
    /// Out by loopback.
    LoopbackOut,
    /// In by loopback.
    LoopbackIn,
    /// From device to device.
    Through,
}

impl Passage {
    /// The passage of a packet, and the one that follows it.
    pub(super) const fn of(direction: Direction) -> (Self, Option<Self>) {
        match direction {
            Direction::Incoming => (Self::In, None),
            Direction::Outgoing => (Self::Out, None),
            Direction::Loopback => (Self::LoopbackOut, Some(Self::LoopbackIn)),
            Direction::LedAway => (Self::LoopbackOut, None),
            Direction::Forwarded => (Self::Through, None),
        }
    }

    /// The direction that rules name. `Through` has none, and no step asks for it there.
    pub(super) fn direction(self) -> RuleDirection {
        match self {
            Self::Out | Self::LoopbackOut => RuleDirection::Out,
            Self::In | Self::LoopbackIn | Self::Through => RuleDirection::In,
        }
    }

    /// Whether it is by the loopback interface.
    pub(super) fn is_loopback(self) -> bool {
        matches!(self, Self::LoopbackOut | Self::LoopbackIn)
    }
}
