//! Capture files made for a test: frames by an independent builder, in the classic pcap format.

use etherparse::PacketBuilder;

/// Addresses of the stories that the tests tell: our machine and a peer.
pub const US: [u8; 4] = [10, 0, 0, 5];
pub const PEER: [u8; 4] = [192, 168, 1, 7];
pub const US6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
pub const PEER6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0x66, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

const OUR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 5];
const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

/// The time of the first frame: 2026-11-21T19:40:01Z; each later one comes 1 ms after.
pub const START: u32 = 1_795_290_001;

/// A classic pcap file (microseconds, little endian, Ethernet) with `frames`, a millisecond apart.
pub fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let times = (0..).step_by(1000);
    pcap_of(1, &frames.iter().zip(times).map(|(frame, micros)| (START, micros, frame.clone())).collect::<Vec<_>>())
}

/// The same with a link type and each frame's time in seconds and microseconds.
pub fn pcap_of(link_type: u32, frames: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, link_type] {
        file.extend(word.to_le_bytes());
    }
    for (seconds, micros, frame) in frames {
        let len = u32::try_from(frame.len()).expect("a frame is small");
        for word in [*seconds, *micros, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

/// Which way a frame of the story goes.
#[derive(Clone, Copy)]
pub enum Way {
    In,
    Out,
}

impl Way {
    fn link(self) -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
        match self {
            Way::In => PacketBuilder::ethernet2(PEER_MAC, OUR_MAC),
            Way::Out => PacketBuilder::ethernet2(OUR_MAC, PEER_MAC),
        }
    }

    fn v4(self) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        let (src, dst) = if matches!(self, Way::In) { (PEER, US) } else { (US, PEER) };
        self.link().ipv4(src, dst, 64)
    }

    fn v6(self) -> etherparse::PacketBuilderStep<etherparse::IpHeaders> {
        let (src, dst) = if matches!(self, Way::In) { (PEER6, US6) } else { (US6, PEER6) };
        self.link().ipv6(src, dst, 64)
    }
}

fn finish<T>(
    step: etherparse::PacketBuilderStep<T>,
    write: impl FnOnce(etherparse::PacketBuilderStep<T>, &mut Vec<u8>),
) -> Vec<u8> {
    let mut frame = Vec::new();
    write(step, &mut frame);
    frame
}

/// A TCP segment without payload; `flags` of "SAFRP".
pub fn tcp(way: Way, src: u16, dst: u16, flags: &str) -> Vec<u8> {
    segment(way.v4(), src, dst, flags)
}

/// The same over IPv6.
pub fn tcp6(way: Way, src: u16, dst: u16, flags: &str) -> Vec<u8> {
    segment(way.v6(), src, dst, flags)
}

fn segment(ip: etherparse::PacketBuilderStep<etherparse::IpHeaders>, src: u16, dst: u16, flags: &str) -> Vec<u8> {
    let mut step = ip.tcp(src, dst, 1000, 1024);
    for flag in flags.chars() {
        step = match flag {
            'S' => step.syn(),
            'A' => step.ack(1),
            'F' => step.fin(),
            'R' => step.rst(),
            'P' => step.psh(),
            other => panic!("no flag {other}"),
        };
    }
    finish(step, |step, frame| step.write(frame, &[]).expect("a vector takes all"))
}

/// A UDP datagram.
pub fn udp(way: Way, src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    finish(way.v4().udp(src, dst), |step, frame| step.write(frame, payload).expect("a vector takes all"))
}

/// An ICMP echo request or reply.
pub fn ping(way: Way, request: bool) -> Vec<u8> {
    let step = if request { way.v4().icmpv4_echo_request(1, 1) } else { way.v4().icmpv4_echo_reply(1, 1) };
    finish(step, |step, frame| step.write(frame, b"ping").expect("a vector takes all"))
}

/// An ARP request from the peer.
pub fn arp() -> Vec<u8> {
    let mut frame =
        [&[0xff; 6][..], &PEER_MAC, &[8, 6], &[0, 1, 8, 0, 6, 4, 0, 1], &PEER_MAC, &PEER, &[0; 6], &US].concat();
    frame.resize(60, 0);
    frame
}

/// SYN segments to every port of this machine from sources that are all different, 2,000 a second, and among each 30,000
/// one of somebody who scans slowly. As records of a capture file.
#[derive(Default)]
pub struct SynFlood {
    sent: u32,
}

impl SynFlood {
    /// The next thousand records, and that of the scan if it is its turn.
    pub fn next_thousand(&mut self) -> Vec<u8> {
        let scan = self.sent.is_multiple_of(30_000).then(|| self.syn([192, 0, 2, 7], 1 + self.sent / 30_000));
        let mut records = scan.unwrap_or_default();
        for _ in 0..1000 {
            self.sent += 1;
            // Each number once, in no order that tells (Knuth's multiplicative hashing).
            let source = 0x0b00_0000 + self.sent.wrapping_mul(2_654_435_761) % 0x7000_0000;
            records.extend(self.syn(source.to_be_bytes(), 1 + source % 60_000));
        }
        records
    }

    fn syn(&self, source: [u8; 4], port: u32) -> Vec<u8> {
        let [high, low] = u16::try_from(port).expect("a port").to_be_bytes();
        let ip = [0x45, 0, 0, 44, 0, 1, 0, 0, 64, 6, 0, 0];
        let tcp = [0x9c, 0x40, high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 4, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4];
        let frame = [&OUR_MAC[..], &PEER_MAC, &[8, 0], &ip, &source, &US, &tcp].concat();
        let len = u32::try_from(frame.len()).expect("small");
        let record = [START + self.sent / 2000, self.sent % 2000 * 500, len, len];
        record.into_iter().flat_map(u32::to_le_bytes).chain(frame).collect()
    }
}
