//! Guards: the packets that a machine needs to have a network at all, which no list and no rule of the user reaches.

use super::subject::{Header, Subject};
use crate::packet::Protocol;
use crate::rules::RuleDirection;
use std::net::IpAddr;

/// A built-in permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard {
    /// Neighbour discovery and router messages (RFC 4861): ICMPv6 133 to 136 that no router has passed on.
    NeighbourDiscovery,
    /// Path MTU discovery (RFC 1191, RFC 8201): ICMP 3/4 and ICMPv6 2.
    PathMtu,
    /// The DHCP client (RFC 2131, RFC 8415).
    Dhcp,
    /// Multicast listener messages (RFC 2710, RFC 3810).
    MulticastListener,
    /// IGMP (RFC 3376), which is IPv4's alone.
    Igmp,
}

/// Step 1 of a packet from or to this machine.
pub(super) fn before_lists(subject: &Subject<'_>) -> Option<Guard> {
    let discovers = |kind| (133..=136).contains(&kind) && subject.ttl() == u8::MAX;
    match (subject.src(), subject.header) {
        (IpAddr::V6(_), Header::Icmp { kind, .. }) if discovers(kind) => Some(Guard::NeighbourDiscovery),
        _ => path_mtu(subject),
    }
}

/// Step 1 of a forwarded packet: neighbour discovery never crosses a router.
pub(super) fn path_mtu(subject: &Subject<'_>) -> Option<Guard> {
    match (subject.src(), subject.header) {
        (IpAddr::V4(_), Header::Icmp { kind: 3, code: 4 }) | (IpAddr::V6(_), Header::Icmp { kind: 2, .. }) => {
            Some(Guard::PathMtu)
        }
        _ => None,
    }
}

/// Step 4.
pub(super) fn behind_lists(subject: &Subject<'_>, direction: RuleDirection) -> Option<Guard> {
    use RuleDirection::{In, Out};
    match (subject.src(), subject.header) {
        (IpAddr::V6(_), Header::Icmp { kind: 130..=132 | 143, .. }) => Some(Guard::MulticastListener),
        (IpAddr::V4(_), Header::Udp(ports)) => {
            matches!((direction, ports.src, ports.dst), (In, 67, 68) | (Out, 68, 67)).then_some(Guard::Dhcp)
        }
        (IpAddr::V6(src), Header::Udp(ports)) => match (direction, ports.src, ports.dst) {
            (In, 547, 546) if src.is_unicast_link_local() => Some(Guard::Dhcp),
            (Out, 546, 547) => Some(Guard::Dhcp),
            _ => None,
        },
        (IpAddr::V4(_), _) if subject.protocol == Protocol::IGMP => Some(Guard::Igmp),
        _ => None,
    }
}
