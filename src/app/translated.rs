//! Connections from and to this machine that are translated: in which form the rules see their packets.
//!
//! The rules stand between the two translations. What comes in has its destination translated in front of them, and what
//! goes out its source behind them: so it is this machine's end that is another to them than to the tap.

use super::first_fragments::FirstFragments;
use super::remembered::Remembered;
use super::withheld::Seen;
use crate::conntrack::{Change, Ends, Flow};
use crate::engine::Direction;
use crate::host::Host;
use crate::packet::{About, Icmp, Ip, Net, Packet, Ports, Protocol, Quoted, Transport};
use crate::time::Timestamp;
use std::net::IpAddr;

/// Connections that are remembered, half of what conntrack has room for on a usual machine, in some 15 MB. Packets of one
/// that finds no room are judged as the tap sees them.
const MAX_CONNECTIONS: usize = 1 << 17;

/// An address and a port.
type End = (IpAddr, u16);

/// What is known of translated connections.
#[derive(Debug)]
pub struct Translated {
    /// This machine's end of each, by both ends on the wire, and when notice of it came.
    ends: Remembered<Ends, (OwnEnd, Timestamp)>,
    /// The same of datagrams in fragments.
    datagrams: FirstFragments<OwnEnd>,
}

/// A packet in the form in which the rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// The packet.
    pub packet: Packet,
    /// It was sent to this machine itself, and led elsewhere: to the rules it leaves by loopback.
    pub by_loopback: bool,
}

/// This machine's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnEnd {
    /// On the wire.
    outside: End,
    /// To the rules, and to the socket.
    inside: End,
    /// The machine sends to an address of its own, from which it is led elsewhere in front of the rules: they still see it
    /// leave by loopback, as it was routed before.
    by_loopback: bool,
}

impl Default for Translated {
    fn default() -> Self {
        Self { ends: Remembered::new(MAX_CONNECTIONS), datagrams: FirstFragments::default() }
    }
}

impl Translated {
    /// Takes in what became of a translated flow.
    pub fn change(&mut self, host: &Host, change: &Change, now: Timestamp) {
        let (Change::Opened(flow) | Change::Closed(flow)) = change;
        let Some((on_wire, end)) = own_end(host, flow) else { return };
        match change {
            Change::Opened(_) => self.ends.remember(on_wire, (end, now), Timestamp::MAX, now),
            // Another may bear the same ends by now.
            Change::Closed(_) => {
                if self.ends.get(&on_wire, Timestamp::MAX).is_some_and(|(known, _)| *known == end) {
                    self.ends.end(&on_wire, now);
                }
            }
        }
    }

    /// Takes in which translated flows there are.
    pub fn changed_to(&mut self, host: &Host, flows: &[Flow], now: Timestamp) {
        self.ends.end_all(now);
        for flow in flows {
            self.change(host, &Change::Opened(*flow), now);
        }
    }

    /// Takes in that a packet at `time` opened a connection that is not translated: one with its ends is over, although notice
    /// of that may come later.
    pub fn opens_another(&mut self, packet: &Ip, time: Timestamp) {
        let Some(ends) = Ends::of_packet(packet) else { return };
        // One that has begun since is another.
        if self.ends.get(&ends, time).is_some_and(|&(_, since)| since <= time) {
            self.ends.end(&ends, time);
        }
    }

    /// A packet in the form in which the rules see it, if that is another than the one that the tap saw.
    pub fn as_rules_see(&mut self, seen: &Seen) -> Option<Behind> {
        let Net::Ip(ip) = &seen.packet.net else { return None };
        if self.ends.is_empty() {
            return None;
        }
        let end = self.own_end(ip, seen.time)?;
        let (inside, by_loopback) = match seen.direction {
            Direction::Incoming => (end.of_incoming(ip), false),
            Direction::Outgoing => (end.of_outgoing(ip), end.by_loopback),
            Direction::Loopback | Direction::LedAway | Direction::Forwarded => return None,
        };
        let packet = Packet { net: Net::Ip(inside), ..seen.packet };
        (inside != *ip || by_loopback).then_some(Behind { packet, by_loopback })
    }

    /// This machine's end of the connection that a packet is part of.
    fn own_end(&mut self, ip: &Ip, time: Timestamp) -> Option<OwnEnd> {
        let Some(ends) = Ends::of_packet(ip) else { return self.datagrams.get(ip, time).copied() };
        let (end, _) = *self.ends.get(&ends, time)?;
        self.datagrams.remember(ip, end, time);
        Some(end)
    }

    /// Connections that found no room.
    pub fn forgotten(&self) -> u64 {
        self.ends.forgotten()
    }

    /// Datagrams in fragments that found no room: their later fragments are judged as the tap sees them.
    pub fn forgotten_datagrams(&self) -> u64 {
        self.datagrams.forgotten()
    }
}

impl OwnEnd {
    fn of_incoming(&self, ip: &Ip) -> Ip {
        let address = |address| self.address(address);
        let inside = Ip { dst: address(ip.dst), ..*ip };
        let of_ports = |ports: Ports| Ports { dst: self.end((ip.dst, ports.dst)).1, ..ports };
        // An error quotes what went out.
        let of_quoted = |quoted: Quoted| {
            let (src, port) = self.end((quoted.src, quoted.ports.src));
            Quoted { src, ports: Ports { src: port, ..quoted.ports }, ..quoted }
        };
        Ip { transport: translate(ip.transport, of_ports, of_quoted), ..inside }
    }

    fn of_outgoing(&self, ip: &Ip) -> Ip {
        let inside = Ip { src: self.address(ip.src), ..*ip };
        let of_ports = |ports: Ports| Ports { src: self.end((ip.src, ports.src)).1, ..ports };
        // An error quotes what came in.
        let of_quoted = |quoted: Quoted| {
            let (dst, port) = self.end((quoted.dst, quoted.ports.dst));
            Quoted { dst, ports: Ports { dst: port, ..quoted.ports }, ..quoted }
        };
        Ip { transport: translate(ip.transport, of_ports, of_quoted), ..inside }
    }

    fn address(&self, address: IpAddr) -> IpAddr {
        if address == self.outside.0 { self.inside.0 } else { address }
    }

    fn end(&self, end: End) -> End {
        if end == self.outside { self.inside } else { end }
    }
}

fn translate(
    transport: Transport,
    of_ports: impl Fn(Ports) -> Ports,
    of_quoted: impl Fn(Quoted) -> Quoted,
) -> Transport {
    match transport {
        Transport::Icmp(icmp @ Icmp { about: About::Quoted(quoted), .. }) => {
            Transport::Icmp(Icmp { about: About::Quoted(of_quoted(quoted)), ..icmp })
        }
        other => other.with_ports(of_ports),
    }
}

/// The ends on the wire of a flow between this machine and another, and this machine's own if that is translated.
fn own_end(host: &Host, flow: &Flow) -> Option<(Ends, OwnEnd)> {
    let Flow { original, reply } = flow;
    // In place of a port ICMP has what each side asks, which is not translated.
    let is_icmp = matches!(original.protocol, Protocol::ICMP | Protocol::ICMPV6);
    let end = |address, port| (address, if is_icmp { 0 } else { port });
    let (on_wire, own) = match (host.takes_in(original.src), host.takes_in(reply.src)) {
        (false, true) => {
            let outside = end(original.dst, original.ports.dst);
            (original.ends(), OwnEnd { outside, inside: end(reply.src, reply.ports.src), by_loopback: false })
        }
        (true, false) => {
            let outside = end(reply.dst, reply.ports.dst);
            let by_loopback = host.takes_in(original.dst);
            (reply.ends(), OwnEnd { outside, inside: end(original.src, original.ports.src), by_loopback })
        }
        // On its way through, or on loopback.
        _ => return None,
    };
    (own.outside != own.inside || own.by_loopback).then_some((on_wire, own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::Tuple;
    use crate::packet::Fragment;

    const HOST: [u8; 4] = [198, 51, 100, 1];
    const PEER: [u8; 4] = [203, 0, 113, 9];
    const SERVICE: [u8; 4] = [10, 96, 0, 10];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(1_800_000_000 + seconds, 0)
    }

    fn tuple((src, from): ([u8; 4], u16), (dst, to): ([u8; 4], u16)) -> Tuple {
        Tuple { src: src.into(), dst: dst.into(), protocol: Protocol::UDP, ports: Ports { src: from, dst: to } }
    }

    fn datagram(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Ip {
        let Tuple { src, dst, protocol, ports } = tuple(from, to);
        Ip { src, dst, protocol, ttl: 64, len: 40, fragment: None, transport: Transport::Udp(ports) }
    }

    fn knows(flow: Flow) -> Translated {
        let host = Host { addresses: vec![(HOST.into(), 24)], ..Host::default() };
        let mut translated = Translated::default();
        translated.change(&host, &Change::Opened(flow), at(1));
        translated
    }

    fn seen(translated: &mut Translated, direction: Direction, ip: Ip) -> Option<Ip> {
        let seen = Seen {
            time: at(2),
            packet: Packet::of(Net::Ip(ip)),
            direction,
            interface: 2,
            fingerprint: None,
            for_another: false,
        };
        match translated.as_rules_see(&seen)?.packet.net {
            Net::Ip(ip) => Some(ip),
            _ => None,
        }
    }

    #[test]
    fn a_connection_that_is_led_to_another_port_bears_that_to_the_rules_both_ways() {
        let flow = Flow { original: tuple((PEER, 4000), (HOST, 2222)), reply: tuple((HOST, 22), (PEER, 4000)) };
        let mut known = knows(flow);
        let incoming = seen(&mut known, Direction::Incoming, datagram((PEER, 4000), (HOST, 2222)));
        assert_eq!(incoming, Some(datagram((PEER, 4000), (HOST, 22))));
        let outgoing = seen(&mut known, Direction::Outgoing, datagram((HOST, 2222), (PEER, 4000)));
        assert_eq!(outgoing, Some(datagram((HOST, 22), (PEER, 4000))));
        assert_eq!(seen(&mut known, Direction::Incoming, datagram((PEER, 4001), (HOST, 2222))), None, "another");
        let back = seen(&mut known, Direction::Incoming, datagram((HOST, 2222), (PEER, 4000)));
        assert_eq!(back, None, "it can't have come from outside");
    }

    #[test]
    fn a_service_address_that_leads_here_is_this_machines_own_to_the_rules() {
        let flow = Flow { original: tuple((PEER, 4000), (SERVICE, 53)), reply: tuple((HOST, 53), (PEER, 4000)) };
        let incoming = seen(&mut knows(flow), Direction::Incoming, datagram((PEER, 4000), (SERVICE, 53)));
        assert_eq!(incoming, Some(datagram((PEER, 4000), (HOST, 53))));
    }

    #[test]
    fn what_this_machine_opens_bears_its_own_port_to_the_rules_and_the_peers_as_it_is_on_the_wire() {
        let flow = Flow { original: tuple((HOST, 5000), (SERVICE, 53)), reply: tuple((PEER, 5353), (HOST, 6000)) };
        let mut known = knows(flow);
        let outgoing = seen(&mut known, Direction::Outgoing, datagram((HOST, 6000), (PEER, 5353)));
        assert_eq!(outgoing, Some(datagram((HOST, 5000), (PEER, 5353))));
        let incoming = seen(&mut known, Direction::Incoming, datagram((PEER, 5353), (HOST, 6000)));
        assert_eq!(incoming, Some(datagram((PEER, 5353), (HOST, 5000))));
        let flow = Flow { reply: tuple((PEER, 5353), (HOST, 5000)), ..flow };
        let mut known = knows(flow);
        let incoming = seen(&mut known, Direction::Incoming, datagram((PEER, 5353), (HOST, 5000)));
        assert_eq!(incoming, None, "the rules see what the tap sees");
    }

    #[test]
    fn later_fragments_bear_what_the_first_of_their_datagram_does_and_those_of_another_protocol_do_not() {
        let flow = Flow { original: tuple((PEER, 4000), (SERVICE, 53)), reply: tuple((HOST, 53), (PEER, 4000)) };
        let mut known = knows(flow);
        let part = |offset, ip| Ip { fragment: Some(Fragment { id: 7, offset, len: 16, more: true }), ..ip };
        let later = |to| Ip { transport: Transport::None, ..part(16, datagram((PEER, 0), (to, 0))) };
        seen(&mut known, Direction::Incoming, part(0, datagram((PEER, 4000), (SERVICE, 53)))).expect("translated");
        assert_eq!(seen(&mut known, Direction::Incoming, later(SERVICE)), Some(later(HOST)));
        let other = Ip { protocol: Protocol::TCP, ..later(SERVICE) };
        assert_eq!(seen(&mut known, Direction::Incoming, other), None);
    }

    #[test]
    fn an_error_is_about_the_connection_as_the_rules_know_it() {
        let flow = Flow { original: tuple((PEER, 4000), (HOST, 2222)), reply: tuple((HOST, 22), (PEER, 4000)) };
        let quoting = |port| {
            let ports = Ports { src: port, dst: 4000 };
            let quoted = Quoted { src: HOST.into(), dst: PEER.into(), protocol: Protocol::UDP, ports };
            let icmp = Icmp { kind: 3, code: 3, id: 0, about: About::Quoted(quoted) };
            Ip {
                protocol: Protocol::ICMP,
                transport: Transport::Icmp(icmp),
                ..datagram(([192, 0, 2, 1], 0), (HOST, 0))
            }
        };
        assert_eq!(seen(&mut knows(flow), Direction::Incoming, quoting(2222)), Some(quoting(22)));
    }

    #[test]
    fn a_connection_is_known_while_it_is_there() {
        let host = Host { addresses: vec![(HOST.into(), 24)], ..Host::default() };
        let flow = Flow { original: tuple((PEER, 4000), (HOST, 2222)), reply: tuple((HOST, 22), (PEER, 4000)) };
        let packet = datagram((PEER, 4000), (HOST, 2222));
        let is_known = |known: &mut Translated| seen(known, Direction::Incoming, packet).is_some();
        let mut known = knows(flow);
        let another = Flow { reply: tuple((HOST, 23), (PEER, 4000)), ..flow };
        known.change(&host, &Change::Closed(another), at(1));
        assert!(is_known(&mut known));
        known.change(&host, &Change::Closed(flow), at(1));
        assert!(!is_known(&mut known));
        known.changed_to(&host, &[flow], at(3));
        assert!(is_known(&mut known));
    }
}
