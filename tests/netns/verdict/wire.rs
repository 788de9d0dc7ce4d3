//! Packets as bytes: right in every checksum and length, but for what a [`Flaw`] asks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub const ICMP: u8 = 1;
pub const IGMP: u8 = 2;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// An IP packet before it is bytes.
#[derive(Clone, Debug)]
pub struct Spec {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub ttl: u8,
    /// IPv4 identification or IPv6 flow label: tells packets of a batch apart, and survives translation, putting
    /// together and forwarding.
    pub id: u16,
    pub body: Body,
    /// IPv6 extension headers, in their order.
    pub extensions: Vec<Extension>,
    pub flaw: Flaw,
}

/// What a packet carries.
#[derive(Clone, Debug)]
pub enum Body {
    Tcp(Segment),
    Udp { ports: (u16, u16), data: Vec<u8> },
    Icmp { kind: u8, code: u8, rest: [u8; 4], data: Vec<u8> },
    Other { protocol: u8, data: Vec<u8> },
}

/// A TCP segment.
#[derive(Clone, Debug)]
pub struct Segment {
    pub ports: (u16, u16),
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extension {
    HopByHop,
    Routing,
    Destination,
    /// A fragment header on a whole packet.
    Atomic,
}

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// The transport's checksum.
    Checksum,
    /// The transport header is cut.
    Short,
    /// IPv4: the header's checksum.
    HeaderChecksum,
    /// The length says more than there is.
    TooLong,
    /// TCP: a header of fewer than five words.
    DataOffset,
    /// UDP: a length that is more than there is.
    UdpLength,
}

impl Spec {
    pub fn is_v6(&self) -> bool {
        self.dst.is_ipv6()
    }

    pub fn protocol(&self) -> u8 {
        match &self.body {
            Body::Tcp(_) => TCP,
            Body::Udp { .. } => UDP,
            Body::Icmp { .. } if self.is_v6() => ICMPV6,
            Body::Icmp { .. } => ICMP,
            Body::Other { protocol, .. } => *protocol,
        }
    }

    /// The packet.
    pub fn bytes(&self) -> Vec<u8> {
        let (first, chain) = self.chain();
        self.ip(first, &[chain, self.payload()].concat(), None)
    }

    /// The packet in pieces, of `unit` bytes (a multiple of eight) but for the last.
    pub fn fragments(&self, unit: usize) -> Vec<Vec<u8>> {
        let (first, payload) = (self.protocol(), self.payload());
        let count = payload.chunks(unit).count();
        let pieces = payload.chunks(unit).enumerate();
        pieces.map(|(n, piece)| self.ip(first, piece, Some((n * unit, n + 1 < count)))).collect()
    }

    /// A fragment of `len` bytes of it, behind which others come.
    pub fn fragment(&self, offset: usize, len: usize) -> Vec<u8> {
        self.ip(self.protocol(), &self.payload()[offset..offset + len], Some((offset, true)))
    }

    /// The extension headers, and the number of the first.
    fn chain(&self) -> (u8, Vec<u8>) {
        let mut next = self.protocol();
        let mut chain = Vec::new();
        for extension in self.extensions.iter().rev() {
            let (number, header) = match extension {
                Extension::HopByHop => (HOP_BY_HOP, [next, 0, 1, 4, 0, 0, 0, 0]),
                Extension::Destination => (DESTINATION_OPTIONS, [next, 0, 1, 4, 0, 0, 0, 0]),
                // Type 253 of RFC 4727, nothing left to visit.
                Extension::Routing => (ROUTING, [next, 0, 253, 0, 0, 0, 0, 0]),
                Extension::Atomic => (FRAGMENT, [next, 0, 0, 0, 0, 0, self.id.to_be_bytes()[0], 7]),
            };
            chain = [&header[..], &chain].concat();
            next = number;
        }
        (next, chain)
    }

    /// The transport header and what is behind it.
    fn payload(&self) -> Vec<u8> {
        let mut payload = match &self.body {
            Body::Tcp(segment) => tcp(segment, self.flaw),
            Body::Udp { ports, data } => udp(*ports, data, self.flaw),
            Body::Icmp { kind, code, rest, data } => [&[*kind, *code, 0, 0], &rest[..], data].concat(),
            Body::Other { protocol, data } => {
                // IGMP's checksum is that of ICMP; the rest has none that the kernel looks at.
                let mut data = data.clone();
                if *protocol == IGMP && data.len() >= 4 {
                    data[2..4].fill(0);
                    let sum = checksum(&[&data]);
                    data[2..4].copy_from_slice(&sum);
                }
                return data;
            }
        };
        let at = match self.body {
            Body::Tcp(_) => 16,
            Body::Udp { .. } => 6,
            Body::Icmp { .. } | Body::Other { .. } => 2,
        };
        let mut sum = match self.body {
            Body::Icmp { .. } if !self.is_v6() => checksum(&[&payload]),
            _ => checksum(&[&self.pseudo_header(payload.len()), &payload]),
        };
        if matches!(self.body, Body::Udp { .. }) && sum == [0, 0] {
            sum = [0xff, 0xff];
        }
        if self.flaw == Flaw::Checksum {
            // Never 0, which is no checksum for UDP.
            sum[0] = if sum[0] == 0x55 { 0x56 } else { 0x55 };
        }
        payload[at..at + 2].copy_from_slice(&sum);
        if self.flaw == Flaw::Short {
            payload.truncate(if self.protocol() == TCP { 12 } else { 5 });
        }
        payload
    }

    fn pseudo_header(&self, len: usize) -> Vec<u8> {
        let len = u32::try_from(len).expect("a packet").to_be_bytes();
        [&octets(self.src)[..], &octets(self.dst), &len, &[0, 0, 0, self.protocol()]].concat()
    }

    /// The IP header and its payload; with a fragment header for `(offset, more)`.
    fn ip(&self, next: u8, payload: &[u8], fragment: Option<(usize, bool)>) -> Vec<u8> {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.v4(src, dst, next, payload, fragment),
            (IpAddr::V6(src), IpAddr::V6(dst)) => self.v6(src, dst, next, payload, fragment),
            _ => panic!("ends of two families: {self:?}"),
        }
    }

    fn v4(&self, src: Ipv4Addr, dst: Ipv4Addr, next: u8, payload: &[u8], fragment: Option<(usize, bool)>) -> Vec<u8> {
        let place = fragment.map_or(0, |(offset, more)| word(offset / 8) | if more { 0x2000 } else { 0 });
        let extra = if self.flaw == Flaw::TooLong { 40 } else { 0 };
        let mut header = [
            &[0x45, 0][..],
            &word(20 + payload.len() + extra).to_be_bytes(),
            &self.id.to_be_bytes(),
            &place.to_be_bytes(),
            &[self.ttl, next, 0, 0],
            &src.octets(),
            &dst.octets(),
        ]
        .concat();
        let sum = checksum(&[&header]);
        header[10..12].copy_from_slice(&sum);
        match self.flaw {
            // As if a network card were to fill it in.
            Flaw::HeaderChecksum if self.id.is_multiple_of(4) => header[10..12].fill(0),
            Flaw::HeaderChecksum => header[10] ^= 0x40,
            _ => {}
        }
        [&header[..], payload].concat()
    }

    fn v6(&self, src: Ipv6Addr, dst: Ipv6Addr, next: u8, payload: &[u8], fragment: Option<(usize, bool)>) -> Vec<u8> {
        let cut = fragment.map(|(offset, more)| {
            let place = (word(offset) | u16::from(more)).to_be_bytes();
            [&[next, 0][..], &place, &[0x50, 0x46], &self.id.to_be_bytes()].concat()
        });
        let (next, cut) = cut.map_or((next, Vec::new()), |header| (FRAGMENT, header));
        let extra = if self.flaw == Flaw::TooLong { 40 } else { 0 };
        [
            &[0x60, 0][..],
            &self.id.to_be_bytes(),
            &word(cut.len() + payload.len() + extra).to_be_bytes(),
            &[next, self.ttl],
            &src.octets(),
            &dst.octets(),
            &cut,
            payload,
        ]
        .concat()
    }
}

/// A packet of IPv4 without options that is given a source route of one host, its destination, with `kind` of option and
/// `next` for the place of the host that comes next (4, or 8 if there is none).
pub fn source_routed(packet: &[u8], kind: u8, next: u8) -> Vec<u8> {
    let (header, payload) = packet.split_at(20);
    let route = [&[kind, 7, next][..], &header[16..20], &[0]].concat();
    let mut header = [header, &route].concat();
    header[0] = 0x47;
    header[2..4].copy_from_slice(&word(packet.len() + route.len()).to_be_bytes());
    header[10..12].fill(0);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum);
    [&header[..], payload].concat()
}

/// A frame of Ethernet around a packet, tagged if `vlan` says so.
pub fn frame(to: [u8; 6], from: [u8; 6], vlan: Option<u16>, packet: &[u8]) -> Vec<u8> {
    let ethertype: [u8; 2] = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [0x08, 0x00] };
    let tag = vlan.map_or_else(Vec::new, |vlan| [[0x81, 0x00], vlan.to_be_bytes()].concat());
    [&to[..], &from, &tag, &ethertype, packet].concat()
}

fn tcp(segment: &Segment, flaw: Flaw) -> Vec<u8> {
    let words = if flaw == Flaw::DataOffset { 0x30 } else { 0x50 };
    [
        &segment.ports.0.to_be_bytes()[..],
        &segment.ports.1.to_be_bytes(),
        &segment.seq.to_be_bytes(),
        &segment.ack.to_be_bytes(),
        &[words, segment.flags, 0x7f, 0xff, 0, 0, 0, 0],
        &segment.data,
    ]
    .concat()
}

fn udp(ports: (u16, u16), data: &[u8], flaw: Flaw) -> Vec<u8> {
    let extra = if flaw == Flaw::UdpLength { 30 } else { 0 };
    let len = word(8 + data.len() + extra).to_be_bytes();
    [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes(), &len, &[0, 0], data].concat()
}

fn word(number: usize) -> u16 {
    u16::try_from(number).expect("lengths of packets have 16 bits")
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The checksum of RFC 1071 over parts, of which only the last may have an odd length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let pairs = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = pairs.map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [.., high, low] = (!sum).to_be_bytes();
    [high, low]
}
