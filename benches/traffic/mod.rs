//! Ordinary traffic of one machine, made up: connections in both directions, names asked for, calls, pings, neighbours,
//! over IPv4 and IPv6, mixed. The same packets in every run.

use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader, UdpHeader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The machine whose traffic it is.
pub const OWN: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 168, 1, 10)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10))];

const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Conversations at once.
const CONVERSATIONS: usize = 256;
/// Other hosts.
const HOSTS: usize = 1 << 12;
/// Microseconds from packet to packet.
const APART: i64 = 50;
/// When the first packet was sent: a Sunday in 2026.
const BEGINNING: i64 = 1_782_000_000;

/// A frame with its time, in microseconds.
pub struct Sent {
    /// When.
    pub micros: i64,
    /// The Ethernet frame.
    pub frame: Vec<u8>,
}

/// So many frames.
pub fn mixed(count: usize) -> impl Iterator<Item = Sent> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut open: Vec<_> = (0..CONVERSATIONS).map(|_| Conversation::new(&mut dice)).collect();
    (0..count).map(move |n| {
        let at = dice.below(CONVERSATIONS);
        if open[at].is_over() {
            open[at] = Conversation::new(&mut dice);
        }
        let micros = BEGINNING * 1_000_000 + i64::try_from(n).expect("few") * APART;
        Sent { micros, frame: open[at].next() }
    })
}

/// The same as a capture file (pcap, Ethernet).
pub fn capture(count: usize) -> Vec<u8> {
    let number = |n: usize| u32::try_from(n).expect("small").to_le_bytes();
    let header = [[0xd4, 0xc3, 0xb2, 0xa1], [2, 0, 4, 0], [0; 4], [0; 4], number(65_535), number(1)];
    let mut file = header.concat();
    for Sent { micros, frame } in mixed(count) {
        let [seconds, micros] = [micros / 1_000_000, micros % 1_000_000].map(|n| usize::try_from(n).expect("positive"));
        file.extend([seconds, micros, frame.len(), frame.len()].map(number).concat());
        file.extend(frame);
    }
    file
}

/// Numbers that look random (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).expect("below a usize")
    }

    fn port(&mut self, first: u16) -> u16 {
        first + u16::try_from(self.roll() % 20_000).expect("small")
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Tcp,
    Dns,
    Call,
    Ping,
    Arp,
    Mdns,
}

/// Packets that belong together, one after the other.
struct Conversation {
    kind: Kind,
    /// The machine opens it.
    outgoing: bool,
    own: (IpAddr, u16),
    other: (IpAddr, u16),
    sent: usize,
    length: usize,
}

impl Conversation {
    fn new(dice: &mut Dice) -> Self {
        let kind = match dice.below(100) {
            0..55 => Kind::Tcp,
            55..75 => Kind::Dns,
            75..85 => Kind::Call,
            85..92 => Kind::Ping,
            92..96 => Kind::Arp,
            _ => Kind::Mdns,
        };
        let outgoing = kind != Kind::Tcp || dice.below(10) > 0;
        let v6 = dice.below(4) == 0;
        let host = u32::try_from(dice.below(HOSTS)).expect("small");
        let other = if v6 {
            IpAddr::V6((0x2001_0db8_ffff_u128 << 80 | u128::from(host)).into())
        } else {
            IpAddr::V4(somewhere(host))
        };
        let (own_port, other_port, length) = match kind {
            Kind::Tcp if outgoing => (dice.port(32_768), 443, 7 + dice.below(80)),
            Kind::Tcp => (443, dice.port(32_768), 7 + dice.below(20)),
            Kind::Dns => (dice.port(32_768), 53, 2),
            Kind::Call => (dice.port(32_768), 3478, 400),
            Kind::Ping | Kind::Arp => (0, 0, 2),
            Kind::Mdns => (5353, 5353, 1),
        };
        Self { kind, outgoing, own: (OWN[usize::from(v6)], own_port), other: (other, other_port), sent: 0, length }
    }

    fn is_over(&self) -> bool {
        self.sent >= self.length
    }

    fn next(&mut self) -> Vec<u8> {
        let n = self.sent;
        self.sent += 1;
        // An answer to each; a TCP client has the third packet too, which ends its handshake.
        let by_opener = match self.kind {
            Kind::Tcp if n > 1 => n % 3 != 1,
            _ => n.is_multiple_of(2),
        };
        let from_own = by_opener == self.outgoing;
        match self.kind {
            Kind::Arp => return arp(from_own),
            Kind::Mdns => return mdns(self.own.0),
            _ => {}
        }
        let (from, to) = if from_own { (self.own, self.other) } else { (self.other, self.own) };
        match self.kind {
            Kind::Ping => ping(from_own, from.0, to.0, n),
            Kind::Tcp => {
                let last = n + 2 >= self.length;
                let payload = if n < 3 || last {
                    0
                } else if by_opener {
                    60
                } else {
                    1200
                };
                let mut header = TcpHeader::new(from.1, to.1, u32::try_from(n).expect("small") * 1000, 64_240);
                (header.syn, header.ack) = (n < 2, n > 0);
                (header.psh, header.fin) = (payload > 0, last);
                if n < 2 {
                    // MSS, SACK, time stamps and window scale, as Linux has them.
                    let options = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
                    header.set_options_raw(&options).expect("short");
                }
                tcp(from_own, from.0, to.0, header, payload)
            }
            _ => udp(from_own, from, to, if self.kind == Kind::Dns { 60 } else { 180 }),
        }
    }
}

/// The address of another host: from many networks, as on the Internet, so that nobody's table of names degenerates.
fn somewhere(host: u32) -> Ipv4Addr {
    let [.., page, byte] = host.to_be_bytes();
    Ipv4Addr::new(64 + byte % 60, 16 + byte / 60, page, byte)
}

fn ethernet(from_own: bool) -> PacketBuilderStep<etherparse::Ethernet2Header> {
    let (src, dst) = if from_own { (OWN_MAC, ROUTER_MAC) } else { (ROUTER_MAC, OWN_MAC) };
    PacketBuilder::ethernet2(src, dst)
}

fn ip(
    step: PacketBuilderStep<etherparse::Ethernet2Header>,
    from: IpAddr,
    to: IpAddr,
) -> PacketBuilderStep<etherparse::IpHeaders> {
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => step.ipv4(from.octets(), to.octets(), 64),
        (from, to) => {
            let bytes = |address: IpAddr| if let IpAddr::V6(v6) = address { v6.octets() } else { [0; 16] };
            step.ipv6(bytes(from), bytes(to), 64)
        }
    }
}

fn tcp(from_own: bool, from: IpAddr, to: IpAddr, header: TcpHeader, payload: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let step: PacketBuilderStep<TcpHeader> = ip(ethernet(from_own), from, to).tcp_header(header);
    step.write(&mut frame, &vec![0x5a; payload]).expect("in memory");
    frame
}

fn udp(from_own: bool, from: (IpAddr, u16), to: (IpAddr, u16), payload: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    let step: PacketBuilderStep<UdpHeader> = ip(ethernet(from_own), from.0, to.0).udp(from.1, to.1);
    step.write(&mut frame, &vec![0x5a; payload]).expect("in memory");
    frame
}

fn ping(from_own: bool, from: IpAddr, to: IpAddr, n: usize) -> Vec<u8> {
    let (mut frame, step, request) = (Vec::new(), ip(ethernet(from_own), from, to), n == 0);
    let written = match (from.is_ipv4(), request) {
        (true, true) => step.icmpv4_echo_request(7, 1).write(&mut frame, &[0; 56]),
        (true, false) => step.icmpv4_echo_reply(7, 1).write(&mut frame, &[0; 56]),
        (false, true) => step.icmpv6_echo_request(7, 1).write(&mut frame, &[0; 56]),
        (false, false) => step.icmpv6_echo_reply(7, 1).write(&mut frame, &[0; 56]),
    };
    written.expect("in memory");
    frame
}

fn mdns(own: IpAddr) -> Vec<u8> {
    let group: IpAddr = if own.is_ipv4() { Ipv4Addr::new(224, 0, 0, 251).into() } else { MDNS_V6.into() };
    udp(true, (own, 5353), (group, 5353), 80)
}

const MDNS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// The machine asks for its router, or the router answers.
fn arp(from_own: bool) -> Vec<u8> {
    let ((own, own_mac), (router, router_mac)) = (([192, 168, 1, 10], OWN_MAC), ([192, 168, 1, 1], ROUTER_MAC));
    let fixed = [8, 6, 0, 1, 8, 0, 6, 4, 0];
    if from_own {
        [&[0xff; 6][..], &own_mac, &fixed, &[1], &own_mac, &own, &[0; 6], &router].concat()
    } else {
        [&own_mac[..], &router_mac, &fixed, &[2], &router_mac, &router, &own_mac, &own].concat()
    }
}
