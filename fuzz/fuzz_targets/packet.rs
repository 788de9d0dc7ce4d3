//! Any bytes as a frame of any link layer: no panic, no endless loop, and values that fit together.
//!
//! The first byte of the input chooses the link layer, the next two how much longer the frame was on the wire than
//! what was captured of it.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use pfw::packet::{Link, Net, Packet, Transport, parse};
use std::fmt::Write as _;

const LINKS: [Link; 11] = [
    Link::Ethernet,
    Link::LinuxSll,
    Link::LinuxSll2,
    Link::RawIp,
    Link::BsdNull,
    Link::BsdLoop,
    Link::Cooked { ethertype: 0x0800 },
    Link::Cooked { ethertype: 0x86dd },
    Link::Cooked { ethertype: 0x0806 },
    Link::Cooked { ethertype: 0x8100 },
    Link::Cooked { ethertype: 0x0004 },
];

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((&[link, high, low], frame)) = input.split_first_chunk() else { return Corpus::Reject };
    let link = LINKS[usize::from(link) % LINKS.len()];
    let captured = u32::try_from(frame.len()).unwrap();
    let cut = parse(link, frame, captured + u32::from(u16::from_be_bytes([high, low])));
    let whole = parse(link, frame, captured);
    check(&cut);
    check(&whole);
    // What a capture cuts off is no fault of the packet.
    if whole.malformed.is_none() {
        let kept = &frame[..usize::from(low) % (frame.len() + 1)];
        assert!(parse(link, kept, captured).malformed.is_none());
    }
    Corpus::Keep
});

fn check(packet: &Packet) {
    let mut text = String::new();
    if let Some(malformed) = packet.malformed {
        write!(text, "{malformed}").unwrap();
        assert!(text.starts_with(malformed.reason().layer()));
    }
    if let Net::Ip(ip) = packet.net {
        write!(text, "{}", ip.protocol).unwrap();
        assert_eq!(ip.src.is_ipv4(), ip.dst.is_ipv4());
        let is_later = matches!(ip.transport, Transport::TcpRest(_) | Transport::None);
        assert!(ip.fragment.is_none_or(|fragment| fragment.offset == 0 || is_later));
    }
}
