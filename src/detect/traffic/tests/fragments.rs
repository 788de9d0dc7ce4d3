//! Datagrams in fragments, honest and not.

use super::*;
use crate::packet::{Link, parse};

/// A fragment as it is on the wire: of datagram `id` from the peer to us, `len` bytes at `offset`.
fn fragment(id: u16, protocol: u8, offset: u16, len: u16, more: bool) -> Packet {
    let [total, id] = [20 + len, id].map(u16::to_be_bytes);
    let [high, low] = ((offset / 8) | (u16::from(more) << 13)).to_be_bytes();
    let header = [0x45, 0, total[0], total[1], id[0], id[1], high, low, 64, protocol, 0, 0, 192, 0, 2, 7, 10, 0, 0, 5];
    let bytes = [&header[..], &vec![1; len.into()]].concat();
    parse(Link::RawIp, &bytes, u32::try_from(bytes.len()).unwrap())
}

/// The same over IPv6.
fn fragment_v6(id: u32, offset: u16, len: u16, more: bool) -> Packet {
    let [len_high, len_low] = (8 + len).to_be_bytes();
    let [high, low] = (offset | u16::from(more)).to_be_bytes();
    let fixed = [0x60, 0, 0, 0, len_high, len_low, 44, 64];
    let [src, dst] = ["2001:db8::7", "2001:db8::5"].map(|it| it.parse::<std::net::Ipv6Addr>().unwrap().octets());
    let header = [[17, 0, high, low], id.to_be_bytes()].concat();
    let bytes = [&fixed[..], &src, &dst, &header, &vec![1; len.into()]].concat();
    parse(Link::RawIp, &bytes, u32::try_from(bytes.len()).unwrap())
}

fn told(fragments: &[Packet]) -> Wire {
    let mut wire = Wire::new();
    for fragment in fragments {
        wire.wait(MS).send(fragment, State::New);
    }
    wire
}

#[test]
fn overlapping_fragments_are_named_with_their_numbers() {
    let teardrop = told(&[fragment(242, 17, 0, 36, true), fragment(242, 17, 24, 4, false)]);
    assert_eq!(teardrop.names(), ["ip.fragment_overlap"]);
    let reason = &teardrop.found[0].reason;
    let expected = "192.0.2.7 sent 10.0.0.5 the bytes 24 to 28 of datagram 242, which overlap the bytes 0 to 36";
    assert!(reason.starts_with(expected), "{reason}");
    // Flags that a filter let through are replaced by others (RFC 1858 section 4).
    let rewritten = told(&[fragment(7, 6, 0, 24, true), fragment(7, 6, 8, 16, true)]);
    assert_eq!(rewritten.names(), ["ip.fragment_overlap"]);
    let v6 = told(&[fragment_v6(9, 0, 64, true), fragment_v6(9, 32, 64, false)]);
    assert_eq!(v6.names(), ["ip.fragment_overlap"]);
}

#[test]
fn overlaps_of_one_sender_are_one_incident() {
    let many: Vec<_> =
        (0..100).flat_map(|id| [fragment(id, 17, 0, 32, true), fragment(id, 17, 24, 4, false)]).collect();
    let wire = told(&many);
    assert_eq!(wire.names(), ["ip.fragment_overlap"]);
    assert_eq!(wire.found.last().map(|it| it.packets), Some(64));
}

#[test]
fn honest_fragments_raise_nothing() {
    // A file server: datagrams of 8 kB, some of their fragments lost, twice there, or out of order.
    let datagram = |id: u16| (0..6).map(move |n| fragment(id, 17, n * 1480, 1480, n < 5));
    let mut all = Vec::new();
    for id in 0..2000 {
        let mut parts: Vec<_> = datagram(id).collect();
        match id % 5 {
            0 => drop(parts.remove(usize::from(id % 6))),
            1 => parts.push(parts[2]),
            2 => parts.reverse(),
            _ => {}
        }
        all.extend(parts);
    }
    assert_eq!(told(&all).names(), [""; 0]);
    assert_eq!(told(&[fragment_v6(1, 0, 1232, true), fragment_v6(1, 1232, 100, false)]).names(), [""; 0]);
}
