//! What the tests of this room share: packets written as hexadecimal digits.

use super::{Ip, Link, Malformed, Net, Packet, Reason, Transport};
use crate::alert::Alert;

/// The bytes of hexadecimal digits; blanks are for the reader.
pub(super) fn bytes(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    let byte = |start| u8::from_str_radix(&digits[start..start + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// Parses a frame that was captured whole.
pub(super) fn parse(link: Link, hex: &str) -> Packet {
    let frame = bytes(hex);
    super::parse(link, &frame, u32::try_from(frame.len()).unwrap())
}

/// Parses an IPv4 packet that carries `payload`.
pub(super) fn ipv4_of(protocol: u8, payload: &str) -> Packet {
    let length = 20 + bytes(payload).len();
    parse(Link::RawIp, &format!("4500 {length:04x} 0000 4000 40 {protocol:02x} 0000 0a000001 0a000002 {payload}"))
}

/// Parses an IPv6 packet that carries `payload`.
pub(super) fn ipv6_of(next_header: u8, payload: &str) -> Packet {
    let length = bytes(payload).len();
    let addresses = "fe800000000000000000000000000001 fe800000000000000000000000000002";
    parse(Link::RawIp, &format!("60000000 {length:04x} {next_header:02x} ff {addresses} {payload}"))
}

/// The IP layer of a packet that must have one.
pub(super) fn ip(packet: &Packet) -> Ip {
    match packet.net {
        Net::Ip(ip) => ip,
        other => panic!("{other:?} is no IP packet"),
    }
}

/// The transport header of a packet that must be IP.
pub(super) fn transport(packet: &Packet) -> Transport {
    ip(packet).transport
}

/// Why a packet is malformed.
pub(super) fn reason(packet: &Packet) -> Option<Reason> {
    packet.malformed.map(Malformed::reason)
}

/// What is odd about a packet: alert and numbers.
pub(super) fn odd(packet: &Packet) -> Option<(Alert, u32, u32)> {
    packet.odd.map(|odd| (odd.alert, odd.found, odd.bound))
}

/// What is wrong with a packet that must be malformed.
pub(super) fn sentence(packet: &Packet) -> String {
    packet.malformed.unwrap().to_string()
}
