//! The frames in a block of the ring: `struct tpacket_block_desc`, then for each frame a `struct tpacket3_hdr`, a
//! `struct sockaddr_ll` and the bytes (`linux/if_packet.h`).
//!
//! Every offset and length is checked against the block, though the kernel wrote them.

use crate::capture::Frame;
use crate::packet::{Link, PacketType};
use crate::time::Timestamp;
use libc::{sockaddr_ll, tpacket_block_desc, tpacket_hdr_v1, tpacket_hdr_variant1, tpacket3_hdr};
use std::mem::offset_of;

/// The part of a block's header that is the same for all versions of the ring.
const BLOCK_HEADER: usize = offset_of!(tpacket_block_desc, hdr);
const FRAME_COUNT: usize = BLOCK_HEADER + offset_of!(tpacket_hdr_v1, num_pkts);
const FIRST_FRAME: usize = BLOCK_HEADER + offset_of!(tpacket_hdr_v1, offset_to_first_pkt);

/// Where the address stands behind the header of a frame.
const ADDRESS: usize = size_of::<tpacket3_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);
const VLAN_TCI: usize = offset_of!(tpacket3_hdr, hv1) + offset_of!(tpacket_hdr_variant1, tp_vlan_tci);
/// Header and address of a frame.
const FRAME_HEADER: usize = ADDRESS + size_of::<sockaddr_ll>();

/// The lower 12 bits of a VLAN tag are its id.
const VLAN_ID: u32 = 0x0fff;

/// What became of the frames that the kernel put into a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::capture) struct Walked {
    /// Frames that were handed out.
    pub handed_out: u32,
    /// Frames whose place can't be right. This would be a defect of the kernel; they are not lost in silence.
    pub unreadable: u32,
}

/// Hands out the frames of a block in their order.
pub(in crate::capture) fn walk(block: &[u8], sink: &mut dyn FnMut(&Frame<'_>)) -> Walked {
    let count = u32_at(block, FRAME_COUNT).unwrap_or(0);
    let mut at = u32_at(block, FIRST_FRAME).unwrap_or(0) as usize;
    for handed_out in 0..count {
        let Some((frame, len)) = frame(block, at) else {
            return Walked { handed_out, unreadable: count - handed_out };
        };
        sink(&frame);
        // The last frame's length is 0. Any other that doesn't lead on is caught by the header that it leads to.
        at = if len < FRAME_HEADER { usize::MAX } else { at.saturating_add(len) };
    }
    Walked { handed_out: count, unreadable: 0 }
}

/// The frame at offset `at`, and how far behind it the next one is.
fn frame(block: &[u8], at: usize) -> Option<(Frame<'_>, usize)> {
    let record = block.get(at..)?;
    // One check for all fields of the header: the reads below are then at constant offsets of an array.
    let header: &[u8; FRAME_HEADER] = record.first_chunk()?;
    let captured = u32_at(header, offset_of!(tpacket3_hdr, tp_snaplen))?;
    let begin = usize::from(u16_at(header, offset_of!(tpacket3_hdr, tp_mac))?);
    let bytes = record.get(begin..begin.checked_add(captured as usize)?)?;
    let seconds = u32_at(header, offset_of!(tpacket3_hdr, tp_sec))?;
    let nanos = u32_at(header, offset_of!(tpacket3_hdr, tp_nsec))?;
    let tagged = u32_at(header, offset_of!(tpacket3_hdr, tp_status))? & libc::TP_STATUS_VLAN_VALID != 0;
    let vlan = u16::try_from(u32_at(header, VLAN_TCI)? & VLAN_ID).ok();
    let ethertype = u16::from_be_bytes(bytes_at(header, ADDRESS + offset_of!(sockaddr_ll, sll_protocol))?);
    let frame = Frame {
        time: Timestamp::from_parts(i64::from(seconds), nanos),
        interface: u32_at(header, ADDRESS + offset_of!(sockaddr_ll, sll_ifindex))?,
        packet_type: packet_type(*header.get(ADDRESS + offset_of!(sockaddr_ll, sll_pkttype))?),
        vlan: vlan.filter(|_| tagged),
        sender: sender(header),
        link: Link::Cooked { ethertype },
        bytes,
        original_len: u32_at(header, offset_of!(tpacket3_hdr, tp_len))?.max(captured),
        read: None,
    };
    Some((frame, u32_at(header, offset_of!(tpacket3_hdr, tp_next_offset))? as usize))
}

/// The sender's link-layer address, where it has the length of a MAC address.
fn sender(header: &[u8; FRAME_HEADER]) -> Option<[u8; 6]> {
    let len = *header.get(ADDRESS + offset_of!(sockaddr_ll, sll_halen))?;
    if len == 6 { bytes_at(header, ADDRESS + offset_of!(sockaddr_ll, sll_addr)) } else { None }
}

fn packet_type(kind: u8) -> Option<PacketType> {
    Some(match kind {
        libc::PACKET_HOST => PacketType::Host,
        libc::PACKET_BROADCAST => PacketType::Broadcast,
        libc::PACKET_MULTICAST => PacketType::Multicast,
        libc::PACKET_OTHERHOST => PacketType::OtherHost,
        libc::PACKET_OUTGOING => PacketType::Outgoing,
        _ => return None,
    })
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 4096;
    /// Where a kernel puts the first frame: behind `struct tpacket_block_desc`.
    const FIRST: usize = 48;

    fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
        block[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// A frame of the given data as the kernel lays it out.
    fn put_frame(block: &mut [u8], at: usize, next: u32, data: &[u8]) {
        let len = u32::try_from(data.len()).unwrap();
        for (field, value) in [(0, next), (4, 1_700_000_000), (8, 123_456_789), (12, len), (16, 9000), (20, 0x10)] {
            put(block, at + field, &value.to_ne_bytes());
        }
        put(block, at + 24, &80_u16.to_ne_bytes());
        put(block, at + 26, &80_u16.to_ne_bytes());
        put(block, at + 32, &0x6007_u32.to_ne_bytes());
        put(block, at + 50, &0x86dd_u16.to_be_bytes());
        put(block, at + 52, &3_u32.to_ne_bytes());
        put(block, at + 58, &[4, 6, 2, 0, 0, 0, 0, 1]);
        put(block, at + 80, data);
    }

    fn block(frames: u32, first: usize) -> Vec<u8> {
        let mut block = vec![0; BLOCK];
        put(&mut block, 12, &frames.to_ne_bytes());
        put(&mut block, 16, &u32::try_from(first).unwrap().to_ne_bytes());
        block
    }

    fn walked(block: &[u8]) -> (Walked, Vec<Vec<u8>>) {
        let mut seen = Vec::new();
        let walked = walk(block, &mut |frame| seen.push(frame.bytes.to_vec()));
        (walked, seen)
    }

    #[test]
    fn every_field_of_a_frame_is_handed_out() {
        let mut block = block(1, FIRST);
        put_frame(&mut block, FIRST, 0, b"abc");
        let mut calls = 0;
        let walked = walk(&block, &mut |frame| {
            calls += 1;
            assert_eq!(frame.time, Timestamp::from_parts(1_700_000_000, 123_456_789));
            assert_eq!(frame.interface, 3);
            assert_eq!(frame.packet_type, Some(PacketType::Outgoing));
            assert_eq!(frame.vlan, Some(7));
            assert_eq!(frame.sender, Some([2, 0, 0, 0, 0, 1]));
            assert_eq!(frame.link, Link::Cooked { ethertype: 0x86dd });
            assert_eq!((frame.bytes, frame.original_len), (&b"abc"[..], 9000));
        });
        assert_eq!((walked, calls), (Walked { handed_out: 1, unreadable: 0 }, 1));
    }

    #[test]
    fn the_frames_of_a_block_come_in_order() {
        let mut block = block(3, FIRST);
        put_frame(&mut block, FIRST, 96, b"a");
        put_frame(&mut block, FIRST + 96, 112, b"bc");
        put_frame(&mut block, FIRST + 96 + 112, 0, b"def");
        let (walked, seen) = walked(&block);
        assert_eq!(walked, Walked { handed_out: 3, unreadable: 0 });
        assert_eq!(seen, [&b"a"[..], b"bc", b"def"]);
    }

    #[test]
    fn a_frame_that_leaves_the_block_is_counted_with_all_behind_it() {
        let whole = {
            let mut block = block(3, FIRST);
            put_frame(&mut block, FIRST, 96, b"a");
            put_frame(&mut block, FIRST + 96, 0, b"b");
            block
        };
        // A next frame at the same place, within the header, at the last byte, behind the block, beyond all numbers.
        for next in [0, 1, 67, 3951, 3952, u32::MAX] {
            let mut block = whole.clone();
            put(&mut block, FIRST + 96, &next.to_ne_bytes());
            assert_eq!(walked(&block).0, Walked { handed_out: 2, unreadable: 1 }, "{next}");
        }
        for (field, value) in [(12, u32::MAX), (12, 4096), (24, u32::MAX)] {
            let mut block = whole.clone();
            put(&mut block, FIRST + 96 + field, &value.to_ne_bytes());
            assert_eq!(walked(&block).0, Walked { handed_out: 1, unreadable: 2 }, "{field} {value}");
        }
        for first in [BLOCK - 67, BLOCK, usize::try_from(u32::MAX).unwrap()] {
            assert_eq!(walked(&block(2, first)).0, Walked { handed_out: 0, unreadable: 2 });
        }
    }

    #[test]
    fn an_empty_block_has_no_frames() {
        assert_eq!(walked(&block(0, FIRST)).0, Walked::default());
        assert_eq!(walked(&[]).0, Walked::default());
    }

    proptest::proptest! {
        #[test]
        fn no_memory_makes_the_walk_panic_or_loop(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
            count in 0_u32..100,
            first in 0_u32..700,
        ) {
            let mut block = bytes;
            if block.len() >= 20 {
                put(&mut block, 12, &count.to_ne_bytes());
                put(&mut block, 16, &first.to_ne_bytes());
            }
            let (walked, seen) = walked(&block);
            assert_eq!(walked.handed_out as usize, seen.len());
        }
    }
}
