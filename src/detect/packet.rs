//! What a single packet tells: what `packet` has noted while reading it, and what its addresses, ports and fragments
//! say. Nothing is remembered. A packet with nothing odd about it costs one combined test.

use super::home::Home;
use crate::alert::Alert;
use crate::alert::Oddity;
use crate::engine::Direction;
use crate::packet::{Fragment, Icmp, Ip, Net, Packet, Ports, Protocol, Tcp, Transport};
use std::net::IpAddr;

/// How much can be odd about one packet at once: what was noted while reading, the addresses, the fragment, and the
/// ports or the message.
const MOST: usize = 4;

/// Size of a TCP header without options: no fragment but the first begins in it.
const TCP_HEADER: u32 = 20;

/// Where a DHCP server listens: who has no address yet asks it.
const DHCP_SERVER_PORT: u16 = 67;

/// Types of redirects: ICMP (RFC 792) and ICMPv6 (RFC 4861).
const REDIRECT: u8 = 5;
const REDIRECT_V6: u8 = 137;

/// All that is odd about `packet`.
pub(super) fn oddities(packet: &Packet, direction: Direction, home: &Home) -> impl Iterator<Item = Oddity> + use<> {
    let found = match &packet.net {
        Net::Ip(ip) => named(packet, ip, is_from_outside(direction), home),
        _ => [None; MOST],
    };
    found.into_iter().flatten()
}

/// Whether there may be something odd about `packet`: of most there is not.
#[inline]
pub(super) fn may_be_odd(packet: &Packet, direction: Direction, home: &Home) -> bool {
    let Net::Ip(ip) = &packet.net else { return false };
    packet.odd.is_some()
        || ip.fragment.is_some()
        || is_odd_behind_ip(ip)
        || is_from_outside(direction) && (is_odd_source(ip.src) || ip.src == ip.dst || home.owns(ip.src))
}

fn is_from_outside(direction: Direction) -> bool {
    matches!(direction, Direction::Incoming | Direction::Forwarded)
}

/// Whether a look at ports or message is worth it.
#[inline]
fn is_odd_behind_ip(ip: &Ip) -> bool {
    match ip.transport {
        Transport::Tcp(Tcp { ports, .. }) | Transport::Sctp(ports) => ports.src == 0 || ports.dst == 0,
        Transport::Udp(ports) => ports.dst == 0,
        Transport::Icmp(icmp) => matches!(icmp.kind, REDIRECT | REDIRECT_V6),
        Transport::TcpRest(_) | Transport::None => false,
    }
}

/// Whether no host can have this address.
#[inline]
fn is_odd_source(src: IpAddr) -> bool {
    match src {
        IpAddr::V4(src) => {
            // From 1.0.0.0 on up to 223.255.255.255, but for 127.0.0.0/8.
            let first = src.octets()[0];
            first == 0 || first == 127 || first >= 224
        }
        IpAddr::V6(src) => src.is_multicast() || src.to_bits() <= 1,
    }
}

#[cold]
fn named(packet: &Packet, ip: &Ip, from_outside: bool, home: &Home) -> [Option<Oddity>; MOST] {
    let source = if from_outside { source(ip, home) } else { None };
    [
        packet.odd,
        source.map(plain),
        ip.fragment.and_then(|fragment| in_header(ip, fragment)),
        behind_ip(ip, from_outside, home),
    ]
}

fn plain(alert: Alert) -> Oddity {
    Oddity { alert, found: 0, bound: 0 }
}

/// What is odd about the source of a packet from outside.
fn source(ip: &Ip, home: &Home) -> Option<Alert> {
    let src = ip.src;
    if src.is_unspecified() {
        return (!may_lack_source(ip)).then_some(Alert::IpSourceUnspecified);
    }
    if src.is_loopback() {
        return Some(Alert::IpSourceLoopback);
    }
    if src.is_multicast() {
        return Some(Alert::IpSourceMulticast);
    }
    if matches!(src, IpAddr::V4(src) if src.is_broadcast()) {
        return Some(Alert::IpSourceBroadcast);
    }
    if src == ip.dst {
        return Some(Alert::IpLand);
    }
    home.owns(src).then_some(Alert::IpOwnSource)
}

/// Who has no address yet asks for one, or tells the routers what it listens to.
fn may_lack_source(ip: &Ip) -> bool {
    match ip.transport {
        Transport::Udp(ports) => ports.dst == DHCP_SERVER_PORT,
        Transport::Icmp(_) => ip.dst.is_multicast(),
        _ => ip.protocol == Protocol::IGMP,
    }
}

/// A fragment that begins inside the TCP header.
fn in_header(ip: &Ip, Fragment { offset, .. }: Fragment) -> Option<Oddity> {
    let inside = ip.protocol == Protocol::TCP && (1..TCP_HEADER).contains(&offset);
    inside.then_some(Oddity { alert: Alert::IpFragmentInHeader, found: offset, bound: TCP_HEADER })
}

fn behind_ip(ip: &Ip, from_outside: bool, home: &Home) -> Option<Oddity> {
    let zero = |bound| Oddity { alert: Alert::IpPortZero, found: 0, bound };
    match ip.transport {
        Transport::Tcp(_) | Transport::Udp(_) | Transport::Sctp(_) if ports(ip)?.dst == 0 => Some(zero(1)),
        Transport::Tcp(_) | Transport::Sctp(_) if ports(ip)?.src == 0 => Some(zero(0)),
        Transport::Icmp(icmp) if from_outside => redirect(ip, icmp, home),
        _ => None,
    }
}

fn ports(ip: &Ip) -> Option<Ports> {
    match ip.transport {
        Transport::Tcp(Tcp { ports, .. }) | Transport::Udp(ports) | Transport::Sctp(ports) => Some(ports),
        Transport::Icmp(_) | Transport::TcpRest(_) | Transport::None => None,
    }
}

fn redirect(ip: &Ip, icmp: Icmp, home: &Home) -> Option<Oddity> {
    let is_redirect = icmp.kind == if ip.src.is_ipv4() { REDIRECT } else { REDIRECT_V6 };
    let gateways = home.gateways();
    let bound = u32::try_from(gateways.len()).unwrap_or(u32::MAX);
    (is_redirect && !gateways.contains(&ip.src)).then_some(Oddity {
        alert: Alert::IcmpRedirect,
        found: icmp.code.into(),
        bound,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{self, Link};

    const OWN: &str = "10.0.0.5";

    fn home() -> Home {
        let (own, gateways) = (vec![OWN.parse().unwrap()], vec!["10.0.0.1".parse().unwrap()]);
        Home::new(&crate::engine::Premises { own, gateways, ..Default::default() })
    }

    /// An IPv4 packet with these fragment bits.
    fn ipv4(src: &str, dst: &str, protocol: u8, fragment: u16, payload: &[u8]) -> Packet {
        let address = |text: &str| text.parse::<std::net::Ipv4Addr>().unwrap().octets();
        let len = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
        let [high, low] = fragment.to_be_bytes();
        let mut bytes = vec![0x45, 0, len[0], len[1], 0, 7, high, low, 64, protocol, 0, 0];
        bytes.extend(address(src).into_iter().chain(address(dst)).chain(payload.iter().copied()));
        packet::parse(Link::RawIp, &bytes, u32::try_from(bytes.len()).unwrap())
    }

    fn udp(src: &str, dst: &str, ports: [u8; 4]) -> Packet {
        ipv4(src, dst, 17, 0, &[ports[0], ports[1], ports[2], ports[3], 0, 8, 0, 0])
    }

    fn syn(ports: [u8; 4]) -> Packet {
        let [a, b, c, d] = ports;
        ipv4("192.0.2.1", OWN, 6, 0, &[a, b, c, d, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0])
    }

    fn names(packet: &Packet, direction: Direction) -> Vec<&'static str> {
        let names: Vec<_> = oddities(packet, direction, &home()).map(|odd| odd.alert.name()).collect();
        assert!(names.is_empty() || may_be_odd(packet, direction, &home()));
        names
    }

    #[test]
    fn a_source_that_nobody_can_have_is_odd_from_outside_alone() {
        let cases = [
            ("224.0.0.1", "ip.source_multicast"),
            ("255.255.255.255", "ip.source_broadcast"),
            ("127.0.0.1", "ip.source_loopback"),
            ("0.0.0.0", "ip.source_unspecified"),
            (OWN, "ip.land"),
        ];
        for (src, name) in cases {
            let packet = udp(src, OWN, [1, 1, 1, 1]);
            assert_eq!(names(&packet, Direction::Incoming), [name]);
            assert_eq!(names(&packet, Direction::Outgoing), [""; 0]);
            assert_eq!(names(&packet, Direction::Loopback), [""; 0]);
        }
        assert_eq!(names(&udp(OWN, "10.0.0.6", [1, 1, 1, 1]), Direction::Incoming), ["ip.own_source"]);
        assert_eq!(names(&udp("10.0.0.69", OWN, [1, 1, 1, 1]), Direction::Incoming), [""; 0], "the same ending");
    }

    #[test]
    fn who_asks_for_an_address_has_none() {
        assert_eq!(names(&udp("0.0.0.0", "255.255.255.255", [0, 68, 0, 67]), Direction::Incoming), [""; 0]);
        let report = ipv4("0.0.0.0", "224.0.0.22", 2, 0, &[0x22, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(names(&report, Direction::Incoming), [""; 0]);
    }

    #[test]
    fn port_0_is_odd_but_as_the_source_of_udp() {
        assert_eq!(names(&syn([0, 0, 0, 80]), Direction::Incoming), ["ip.port_zero"]);
        assert_eq!(names(&syn([1, 0, 0, 0]), Direction::Incoming), ["ip.port_zero"]);
        assert_eq!(names(&udp("192.0.2.1", OWN, [1, 0, 0, 0]), Direction::Outgoing), ["ip.port_zero"]);
        assert_eq!(names(&udp("192.0.2.1", OWN, [0, 0, 0, 53]), Direction::Incoming), [""; 0]);
        assert_eq!(names(&syn([1, 0, 0, 80]), Direction::Incoming), [""; 0]);
    }

    #[test]
    fn a_fragment_that_begins_in_the_tcp_header_is_odd() {
        let fragment = |protocol, units| ipv4("192.0.2.1", OWN, protocol, units, &[0; 8]);
        assert_eq!(names(&fragment(6, 1), Direction::Incoming), ["ip.fragment_in_header"]);
        assert_eq!(names(&fragment(6, 3), Direction::Incoming), [""; 0]);
        assert_eq!(names(&fragment(17, 1), Direction::Incoming), [""; 0], "a UDP header has eight bytes");
    }

    #[test]
    fn a_redirect_is_odd_unless_a_gateway_sends_it() {
        let redirect = |src: &str| ipv4(src, OWN, 1, 0, &[5, 1, 0, 0, 10, 0, 0, 9]);
        assert_eq!(names(&redirect("10.0.0.66"), Direction::Incoming), ["icmp.redirect"]);
        assert_eq!(names(&redirect("10.0.0.1"), Direction::Incoming), [""; 0]);
        assert_eq!(names(&redirect("10.0.0.66"), Direction::Outgoing), [""; 0]);
    }

    #[test]
    fn all_that_is_odd_about_a_packet_is_named() {
        let null = ipv4(OWN, OWN, 6, 0, &[0, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(names(&null, Direction::Incoming), ["tcp.flags_none", "ip.land", "ip.port_zero"]);
    }
}
