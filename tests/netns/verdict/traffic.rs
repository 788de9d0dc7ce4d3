//! Packets by chance: opening ones and what may follow on them, and those that a network needs.

use super::chance::Chance;
use super::ground::{
    HOST_LAN4, HOST_LAN6, HOST_VLAN4, HOST_VLAN6, INNER_PORT, LAN4, LAN6, LED_PORT, LED_TO, Machinery, PUBLISHED_PORT,
};
use super::ruleset::{FAR4, FAR6, PORTS};
use super::shot::{Cut, Kind, Origin, Shot};
use super::wire::{Body, Extension, Flaw, ICMP, ICMPV6, IGMP, Segment, Spec, TCP, UDP};
use crate::world::{HOST4, HOST6, PEER4, PEER6};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr};

/// The most that is remembered of what was sent.
const REMEMBERED: usize = 40;

/// Makes packets.
pub struct Traffic {
    chance: Chance,
    /// What can be answered.
    sent: Vec<(Origin, Spec)>,
    /// Where the host sent from to its own published port.
    led_away: HashSet<(IpAddr, u16)>,
    next_id: u16,
    machinery: Machinery,
    vlan: bool,
    /// Some that come in bear addresses of the host. That is for rules which ask for no connections: to conntrack they would
    /// be part of those that the host has with itself.
    forges: bool,
}

impl Traffic {
    /// Identifications go on behind `last_id`: what was left of datagrams before is not to be taken for part of later ones.
    pub fn new(chance: Chance, machinery: Machinery, vlan: bool, forges: bool, last_id: u16) -> Self {
        Self { chance, sent: Vec::new(), led_away: HashSet::new(), next_id: last_id, machinery, vlan, forges }
    }

    /// The next packet.
    pub fn next(&mut self) -> Shot {
        let shot = match self.chance.below(20) {
            0..=5 => self.opening(),
            6..=10 => self.related_to_earlier(Self::reply),
            11..=12 => self.related_to_earlier(Self::following),
            13..=14 => self.related_to_earlier(Self::error),
            15..=16 => self.odd(),
            17 => self.flawed(),
            _ => self.network(),
        };
        if Self::is_posing(shot.origin, &shot.spec) && matches!(shot.spec.body, Body::Other { .. }) {
            // Without ports it would be part of a connection that passes between the same hosts.
            return self.next();
        }
        if matches!(shot.kind, Kind::Opening | Kind::Reply | Kind::Following) {
            self.sent.push((shot.origin, shot.spec.clone()));
            if self.sent.len() > REMEMBERED {
                self.sent.remove(0);
            }
        }
        shot
    }

    fn spec(&mut self, src: IpAddr, dst: IpAddr, body: Body) -> Spec {
        self.next_id = self.next_id.wrapping_add(1).max(1);
        Spec { src, dst, ttl: 64, id: self.next_id, body, extensions: Vec::new(), flaw: Flaw::None }
    }

    fn data(&mut self) -> Vec<u8> {
        let len = self.chance.below(120);
        let filling = self.chance.byte();
        vec![filling; len]
    }

    fn far(&mut self, v6: bool) -> IpAddr {
        let text = if v6 { self.chance.pick(&FAR6) } else { self.chance.pick(&FAR4) };
        address(text)
    }

    /// A way through the network: from where, and between whom.
    fn way(&mut self) -> (Origin, IpAddr, IpAddr) {
        let v6 = self.chance.one_in(2);
        let one = |v4: &str, v6_text: &str| address(if v6 { v6_text } else { v4 });
        let far = self.far(v6);
        let own = match self.chance.below(3) {
            0 => one(HOST_LAN4, HOST_LAN6),
            _ => one(HOST4, HOST6),
        };
        if self.forges && self.chance.one_in(5) {
            let forged = self.chance.pick(&[own, one(HOST4, HOST6), one(HOST_LAN4, HOST_LAN6)]);
            return (Origin::Peer, forged, self.chance.pick(&[own, one(HOST4, HOST6)]));
        }
        match self.chance.below(13) {
            0..=3 => (Origin::Peer, far, own),
            4 if self.vlan => (Origin::Vlan, far, one(HOST_VLAN4, HOST_VLAN6)),
            4 => (Origin::Vlan, far, own),
            5..=7 => (Origin::Host, own, far),
            8 => {
                let local = [one("127.0.0.1", "::1"), own, one(HOST4, HOST6)];
                (Origin::Host, self.chance.pick(&local), self.chance.pick(&local))
            }
            9 => (Origin::Peer, far, one(LAN4, LAN6)),
            10 => (Origin::Lan, one(LAN4, LAN6), one(PEER4, PEER6)),
            // As a transparent proxy does. What comes in for others this host must not discard, or pfw knows more of it than
            // the kernel.
            11 if self.machinery != Machinery::Bare => match self.chance.below(3) {
                0 => (Origin::Host, far, one(LAN4, LAN6)),
                1 => (Origin::Host, one(LAN4, LAN6), far),
                _ => (Origin::Host, one(PEER4, PEER6), one(LAN4, LAN6)),
            },
            _ => (Origin::Peer, far, one(HOST4, HOST6)),
        }
    }

    fn port(&mut self) -> u16 {
        if self.chance.one_in(5) { self.chance.word() } else { self.chance.pick(&PORTS) }
    }

    /// Ports of which one is hardly ever used twice, so that each packet opens.
    fn fresh_ports(&mut self) -> (u16, u16) {
        let fresh = 2000 + self.chance.word() % 60_000;
        let listed = self.port();
        if self.chance.one_in(6) { (listed, fresh) } else { (fresh, listed) }
    }

    fn opening(&mut self) -> Shot {
        if self.machinery == Machinery::Translated && self.chance.one_in(12) {
            return self.own_published_port();
        }
        let (origin, src, dst) = self.way();
        let data = self.data();
        let body = match self.chance.below(10) {
            0..=3 => Body::Tcp(Segment {
                ports: self.fresh_ports(),
                seq: self.chance.long(),
                ack: 0,
                flags: 0x02,
                data: Vec::new(),
            }),
            4..=6 => Body::Udp { ports: self.fresh_ports(), data },
            7..=8 => {
                let kind = if dst.is_ipv6() { 128 } else { self.chance.pick(&[8, 8, 8, 13]) };
                let rest = self.chance.long().to_be_bytes();
                let data = if kind == 13 { vec![0; 12] } else { data };
                Body::Icmp { kind, code: 0, rest, data }
            }
            _ => Body::Other {
                protocol: self.chance.pick(&[47, 50, 253, 136, 132, 4, 41]),
                data: [vec![0; 12], data].concat(),
            },
        };
        let mut spec = self.spec(src, dst, body);
        let translated = self.translated_port(origin, dst).filter(|_| self.chance.one_in(4));
        if let (Some(port), Body::Tcp(Segment { ports, .. }) | Body::Udp { ports, .. }) = (translated, &mut spec.body) {
            ports.1 = port;
        }
        self.cut_or_extend(Kind::Opening, origin, spec)
    }

    /// What the host sends to its own published port.
    fn own_published_port(&mut self) -> Shot {
        let v6 = self.chance.one_in(2);
        let one = |v4: &str, v6_text: &str| address(if v6 { v6_text } else { v4 });
        let (src, dst) = (self.chance.pick(&[one(HOST_LAN4, HOST_LAN6), one(HOST4, HOST6)]), one(HOST4, HOST6));
        let ports = (2000 + self.chance.word() % 60_000, PUBLISHED_PORT);
        let body = if self.chance.one_in(2) {
            Body::Udp { ports, data: self.data() }
        } else {
            Body::Tcp(Segment { ports, seq: self.chance.long(), ack: 0, flags: 0x02, data: Vec::new() })
        };
        let spec = self.spec(src, dst, body);
        self.cut_or_extend(Kind::Opening, Origin::Host, spec)
    }

    /// The port of a host that leads elsewhere, if one does.
    fn translated_port(&self, origin: Origin, dst: IpAddr) -> Option<u16> {
        let (to_host, to_lan) = ([HOST4, HOST6], [LAN4, LAN6]);
        let is_to = |one: [&str; 2]| self.machinery == Machinery::Translated && one.map(address).contains(&dst);
        match origin {
            Origin::Peer | Origin::Host if is_to(to_host) => Some(PUBLISHED_PORT),
            Origin::Peer if is_to(to_lan) => Some(LED_PORT),
            _ => None,
        }
    }

    /// Whether the host sends it from an address of others.
    fn is_posing(origin: Origin, spec: &Spec) -> bool {
        origin == Origin::Host && (FAR4.iter().chain(&FAR6)).any(|far| address(far) == spec.src)
    }

    fn published(&self, origin: Origin, dst: IpAddr) -> bool {
        self.machinery == Machinery::Translated && origin == Origin::Peer && [HOST4, HOST6].map(address).contains(&dst)
    }

    /// Some packets are cut, and some of IPv6 have extension headers.
    fn cut_or_extend(&mut self, kind: Kind, origin: Origin, mut spec: Spec) -> Shot {
        if spec.is_v6() && self.chance.one_in(4) {
            spec.extensions = match self.chance.below(6) {
                0 => vec![Extension::HopByHop],
                1 => vec![Extension::Destination],
                2 => vec![Extension::Atomic],
                3 => vec![Extension::HopByHop, Extension::Destination],
                4 => vec![Extension::Destination, Extension::Atomic],
                _ => vec![Extension::Routing],
            };
            return Shot::whole(kind, origin, spec);
        }
        if !self.chance.one_in(8) {
            return Shot::whole(kind, origin, spec);
        }
        if let Body::Udp { data, .. } | Body::Icmp { data, .. } | Body::Other { data, .. } = &mut spec.body {
            data.resize(100 + data.len(), 0x2a);
        }
        // By chance of its own: all else that a seed stands for stays as it was.
        let mut aside = self.chance.clone();
        let unit = self.chance.pick(&[24, 40, 64]);
        // A first fragment so small ends in front of TCP's flags.
        let unit = if aside.one_in(8) { 8 } else { unit };
        let count = spec.fragments(unit).len();
        let which = self.chance.below(count);
        let cut = match self.chance.below(8) {
            0 => Cut::Backwards(unit),
            1 => Cut::Missing(unit, which),
            2 => Cut::Twice(unit, which),
            3 => Cut::Within(unit, which),
            _ => Cut::Pieces(unit),
        };
        Shot { cut, ..Shot::whole(kind, origin, spec) }
    }

    fn related_to_earlier(&mut self, what: fn(&mut Self, Origin, &Spec) -> Shot) -> Shot {
        if self.sent.is_empty() {
            return self.opening();
        }
        let latest = if self.chance.one_in(2) { self.sent.len().min(4) } else { self.sent.len() };
        let place = self.sent.len() - 1 - self.chance.below(latest);
        let (origin, spec) = self.sent[place].clone();
        if Self::is_posing(origin, &spec) {
            // The rest of the connection would pass this host, and only the kernel sees both halves of it.
            return self.following(origin, &spec);
        }
        what(self, origin, &spec)
    }

    /// Where the answer to a packet comes from, and between whom it goes.
    fn back(&self, origin: Origin, spec: &Spec) -> (Origin, IpAddr, IpAddr) {
        let towards_lan = [LAN4, LAN6].map(address).contains(&spec.dst);
        let towards_host =
            [HOST4, HOST6, HOST_LAN4, HOST_LAN6, HOST_VLAN4, HOST_VLAN6].map(address).contains(&spec.dst);
        let from = match origin {
            Origin::Host | Origin::Peer | Origin::Vlan if towards_lan => Origin::Lan,
            Origin::Host if towards_host || spec.dst.is_loopback() => Origin::Host,
            Origin::Host if self.vlan && ["10.79.0.2", "fd79::2"].map(address).contains(&spec.dst) => Origin::Vlan,
            Origin::Lan if towards_host => Origin::Host,
            Origin::Host | Origin::Lan => Origin::Peer,
            Origin::Peer | Origin::Vlan => Origin::Host,
        };
        (from, spec.dst, spec.src)
    }

    /// What the host sends as it leaves: what it sends to its own published port goes to the third host.
    fn led_away(&mut self, origin: Origin, spec: &Spec) -> Spec {
        let mut spec = spec.clone();
        let is_own = self.machinery == Machinery::Translated && [HOST4, HOST6].map(address).contains(&spec.dst);
        if let (Origin::Host, true, Body::Tcp(Segment { ports, .. }) | Body::Udp { ports, .. }) =
            (origin, is_own, &mut spec.body)
            && ports.1 == PUBLISHED_PORT
            // Nobody answers there: the host discards what comes in for such an address.
            && !spec.src.is_loopback()
        {
            self.led_away.insert((spec.src, ports.0));
            ports.1 = INNER_PORT;
            spec.dst = address(if spec.dst.is_ipv6() { LAN6 } else { LAN4 });
        }
        spec
    }

    fn reply(&mut self, origin: Origin, spec: &Spec) -> Shot {
        let spec = &self.led_away(origin, spec);
        let (mut from, mut src, mut dst) = self.back(origin, spec);
        let mut body = answer(&spec.body, &mut self.chance);
        if self.machinery == Machinery::Translated {
            let own = |lan: bool| match (lan, spec.is_v6()) {
                (true, v6) => address(if v6 { LAN6 } else { LAN4 }),
                (false, v6) => address(if v6 { HOST6 } else { HOST4 }),
            };
            if let Body::Tcp(Segment { ports, .. }) | Body::Udp { ports, .. } = &mut body
                && origin == Origin::Peer
                && ports.0 == LED_PORT
                && src == own(true)
            {
                (from, src, ports.0) = (Origin::Host, own(false), LED_TO);
            }
            if let (true, Body::Tcp(Segment { ports, .. }) | Body::Udp { ports, .. }) =
                (self.published(origin, spec.dst), &mut body)
                && ports.0 == PUBLISHED_PORT
            {
                (from, src) = (Origin::Lan, address(if spec.is_v6() { LAN6 } else { LAN4 }));
                ports.0 = INNER_PORT;
            }
            if origin == Origin::Lan && from == Origin::Peer {
                dst = own(false);
            }
            if let Body::Tcp(Segment { ports, .. }) | Body::Udp { ports, .. } = &mut body
                && (from, dst, ports.1) == (Origin::Host, own(true), INNER_PORT)
                && self.led_away.contains(&(src, ports.0))
            {
                (dst, ports.1) = (own(false), PUBLISHED_PORT);
            }
        }
        let spec = self.spec(src, dst, body);
        self.cut_or_extend(Kind::Reply, from, spec)
    }

    /// Another packet the same way.
    fn following(&mut self, origin: Origin, spec: &Spec) -> Shot {
        let mut body = spec.body.clone();
        match &mut body {
            Body::Tcp(segment) => {
                let len = u32::try_from(segment.data.len()).expect("short");
                let opens = u32::from(segment.flags & 0x03 != 0);
                segment.seq = segment.seq.wrapping_add(len + opens);
                segment.flags = self.chance.pick(&[0x10, 0x10, 0x18, 0x11, 0x14, 0x04, 0x02]);
                segment.data = if segment.flags == 0x18 { self.data() } else { Vec::new() };
            }
            Body::Udp { data, .. } | Body::Icmp { data, .. } | Body::Other { data, .. } => {
                data.push(0x77);
            }
        }
        let spec = self.spec(spec.src, spec.dst, body);
        Shot::whole(Kind::Following, origin, spec)
    }

    /// An error about an earlier packet, from its other end or from somewhere on the way.
    fn error(&mut self, origin: Origin, spec: &Spec) -> Shot {
        let spec = &self.led_away(origin, spec);
        let (from, src, dst) = self.back(origin, spec);
        let quoted = Spec { extensions: Vec::new(), ..spec.clone() }.bytes();
        let quoted = quoted[..quoted.len().min(if spec.is_v6() { 200 } else { 120 })].to_vec();
        let src = if self.chance.one_in(3) && from != Origin::Host { self.far(spec.is_v6()) } else { src };
        let (kind, code) = if spec.is_v6() {
            self.chance.pick(&[(1, 0), (1, 4), (3, 0), (4, 1), (2, 0)])
        } else {
            self.chance.pick(&[(3, 1), (3, 3), (11, 0), (12, 0), (3, 4), (4, 0), (3, 13)])
        };
        let rest = if (kind, code) == (3, 4) || (kind, spec.is_v6()) == (2, true) { [0, 0, 5, 0x78] } else { [0; 4] };
        let spec = self.spec(src, dst, Body::Icmp { kind, code, rest, data: quoted });
        Shot::whole(Kind::Error, from, spec)
    }

    /// What no connection opens with.
    fn odd(&mut self) -> Shot {
        let (origin, src, dst) = self.way();
        let body = match self.chance.below(4) {
            0 | 1 => Body::Tcp(Segment {
                ports: self.fresh_ports(),
                seq: self.chance.long(),
                ack: self.chance.long(),
                flags: self.chance.byte(),
                data: self.data(),
            }),
            2 => {
                let kind = self.chance.byte();
                // Neighbour discovery would teach the host something.
                let kind = if dst.is_ipv6() && (133..=137).contains(&kind) { 200 } else { kind };
                Body::Icmp {
                    kind,
                    code: self.chance.below(5).to_be_bytes()[7],
                    rest: self.chance.long().to_be_bytes(),
                    data: self.data(),
                }
            }
            _ => {
                let protocol = self.chance.byte();
                let header =
                    matches!(protocol, 0 | ICMP | IGMP | TCP | UDP | 43 | 44 | 51 | ICMPV6 | 60 | 135 | 139 | 140);
                let protocol = if header { 253 } else { protocol };
                Body::Other { protocol, data: [vec![0; 20], self.data()].concat() }
            }
        };
        let spec = self.spec(src, dst, body);
        Shot::whole(Kind::Odd, origin, spec)
    }

    fn flawed(&mut self) -> Shot {
        let mut shot = self.opening();
        shot.kind = Kind::Flawed;
        shot.cut = Cut::Whole;
        let flaws: &[Flaw] = match (shot.origin, &shot.spec.body) {
            // The kernel mends what it sends itself, and refuses what is too long.
            (Origin::Host, _) => &[Flaw::Checksum],
            (_, Body::Tcp(_)) => &[Flaw::Checksum, Flaw::Short, Flaw::HeaderChecksum, Flaw::TooLong, Flaw::DataOffset],
            (_, Body::Udp { .. }) => {
                &[Flaw::Checksum, Flaw::Short, Flaw::HeaderChecksum, Flaw::TooLong, Flaw::UdpLength]
            }
            _ => &[Flaw::Checksum, Flaw::HeaderChecksum, Flaw::TooLong],
        };
        shot.spec.flaw = self.chance.pick(flaws);
        if shot.spec.is_v6() && shot.spec.flaw == Flaw::HeaderChecksum {
            shot.spec.flaw = Flaw::Checksum;
        }
        shot
    }

    /// What a network needs to be one, right and wrong.
    fn network(&mut self) -> Shot {
        let icmp = |kind, data: Vec<u8>| Body::Icmp { kind, code: 0, rest: [0; 4], data };
        let udp = |src, dst| Body::Udp { ports: (src, dst), data: vec![0; 60] };
        let query = || Body::Other { protocol: IGMP, data: vec![0x11, 0, 0, 0, 0, 0, 0, 0] };
        let (far4, far6) = (self.far(false).to_string(), self.far(true).to_string());
        let (far4, far6) = (far4.as_str(), far6.as_str());
        let (host, peer) = (Origin::Host, Origin::Peer);
        let (near, other, group4, group6) = ("fe80::77", "fe80::99", "224.0.0.1", "ff02::1");
        let target = HOST6.parse::<Ipv6Addr>().expect("an address").octets().to_vec();
        let ttl = self.chance.pick(&[255, 64]);
        let (origin, src, dst, body, ttl) = match self.chance.below(14) {
            0 => (peer, near, HOST6, icmp(135, target), ttl),
            1 => (peer, near, HOST6, icmp(136, target), ttl),
            2 => (peer, far6, group6, icmp(130, vec![0; 16]), 1),
            3 => (peer, near, group6, icmp(143, Vec::new()), 1),
            4 => (peer, other, group6, icmp(134, vec![0; 8]), ttl),
            5 => (peer, far4, group4, query(), 1),
            6 => (peer, far4, "255.255.255.255", udp(67, 68), 64),
            7 => (peer, far4, "10.77.0.255", udp(5000, 5001), 64),
            8 => (peer, near, HOST6, udp(547, 546), 64),
            9 => (host, HOST4, "255.255.255.255", udp(68, 67), 64),
            10 => (host, HOST6, PEER6, udp(546, 547), 64),
            11 => (peer, far4, group4, udp(5353, 5353), 1),
            12 => (peer, far6, group6, udp(5353, 53), 1),
            _ => (host, HOST4, group4, udp(5353, 5001), 1),
        };
        let spec = self.spec(address(src), address(dst), body);
        Shot::whole(Kind::Network, origin, Spec { ttl, ..spec })
    }
}

/// What the other end would answer, most of the time.
fn answer(body: &Body, chance: &mut Chance) -> Body {
    match body {
        Body::Tcp(segment) => {
            let len = u32::try_from(segment.data.len()).expect("short");
            let opens = u32::from(segment.flags & 0x03 != 0);
            let ack = segment.seq.wrapping_add(len + opens);
            let (flags, seq) = match segment.flags & 0x17 {
                0x02 => (chance.pick(&[0x12, 0x12, 0x12, 0x14]), chance.long()),
                _ => (chance.pick(&[0x10, 0x18, 0x10, 0x11, 0x14]), segment.ack),
            };
            Body::Tcp(Segment { ports: (segment.ports.1, segment.ports.0), seq, ack, flags, data: Vec::new() })
        }
        Body::Udp { ports, data } => Body::Udp { ports: (ports.1, ports.0), data: data.clone() },
        Body::Icmp { kind, code, rest, data } => {
            let kind = match kind {
                8 => 0,
                13 | 128 => kind + 1,
                other => *other,
            };
            Body::Icmp { kind, code: *code, rest: *rest, data: data.clone() }
        }
        Body::Other { protocol, data } => Body::Other { protocol: *protocol, data: data.clone() },
    }
}

pub fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
