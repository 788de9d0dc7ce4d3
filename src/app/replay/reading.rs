//! A capture file read ahead: a thread reads frames and makes packets of them while another decides on those before.
//!
//! Packets go over in batches, in the order of the file, and so does what the file says of interfaces. There are as many
//! batches as [`BATCHES`]: who is ahead waits for the other. Reading is about a third of a replay's work, and the only
//! part that needs nothing of what the rest remembers; on one processor the two cost what one thread did.

use crate::batches::{self, Desk, batches};
use crate::capture::file::{CaptureFile, FileInterface};
use crate::capture::{Frame, FrameSource, Polled};
use crate::packet::{self, HardwarePair, Packet};
use crate::time::Timestamp;
use std::io::{self, Read};
use std::time::Duration;

/// Packets in a batch: so many that a hand-over does not show among them, in 80 KiB.
const BATCH: usize = 512;
/// Batches in all: one with each side, and two between them, so that neither waits for a short delay of the other.
const BATCHES: usize = 4;

/// A frame without its bytes.
pub(super) struct Seen {
    pub(super) time: Timestamp,
    pub(super) interface: u32,
    pub(super) packet: Packet,
    pub(super) hardware: Option<HardwarePair>,
    pub(super) on_loopback: bool,
}

impl Seen {
    pub(super) fn of(frame: &Frame<'_>) -> Self {
        let mut packet = packet::parse(frame.link, frame.bytes, frame.original_len);
        packet.link_direction = packet.link_direction.or(frame.packet_type);
        packet.vlan = frame.vlan.or(packet.vlan);
        let hardware = packet::hardware_addresses(frame.link, frame.bytes);
        let on_loopback = packet::on_loopback(frame.link, frame.bytes);
        Self { time: frame.time, interface: frame.interface, packet, hardware, on_loopback }
    }
}

/// Packets that are handed over together.
#[derive(Default)]
pub(super) struct Batch {
    /// Interfaces that were described since the batch before.
    pub(super) interfaces: Vec<FileInterface>,
    /// Packets, which know these interfaces.
    pub(super) seen: Vec<Seen>,
}

/// The end that reads.
pub(super) struct Reader<R> {
    source: CaptureFile<R>,
    /// How many interfaces were told.
    told: usize,
    desk: Desk<Batch>,
}

/// The end that takes packets. Dropping it ends the reader.
pub(super) type Batches = batches::Batches<Batch>;

/// Both ends, for what is left of `source`; the interfaces that it has described so far are known.
pub(super) fn reader<R: Read>(source: CaptureFile<R>) -> (Reader<R>, Batches) {
    let (desk, batches) = batches(BATCHES);
    (Reader { told: source.interfaces().len(), source, desk }, batches)
}

impl<R: Read> Reader<R> {
    /// Reads up to the end or the damage, or until nobody wants more.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            let Self { source, told, desk } = &mut self;
            let polled = source.poll(Duration::ZERO, &mut |frame| {
                desk.batch.seen.push(Seen::of(frame));
                if desk.batch.seen.len() >= BATCH {
                    desk.hand_on();
                }
            });
            // Before a pipe is waited for, and before an error is told.
            if !desk.batch.seen.is_empty() {
                desk.hand_on();
            }
            let new = source.interfaces().get(*told..).unwrap_or_default();
            desk.batch.interfaces.extend_from_slice(new);
            *told += new.len();
            if polled? == Polled::End || desk.is_unwanted() {
                return Ok(());
            }
        }
    }
}

impl Batch {
    /// Without what was in it.
    pub(super) fn emptied(mut self) -> Self {
        self.interfaces.clear();
        self.seen.clear();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A pcap file of so many records, each an ARP frame cut short whose time is its number in seconds.
    fn file(records: u32) -> Vec<u8> {
        let number = u32::to_le_bytes;
        let header = [[0xd4, 0xc3, 0xb2, 0xa1], [2, 0, 4, 0], [0; 4], [0; 4], number(65_535), number(1)];
        let mut file = header.concat();
        for second in 0..records {
            file.extend([second, 0, 14, 14].map(number).concat());
            file.extend([0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 8, 6]);
        }
        file
    }

    fn source(file: &[u8]) -> CaptureFile<&[u8]> {
        CaptureFile::new("test.pcap", file).unwrap()
    }

    #[test]
    fn packets_come_over_in_the_order_of_the_file_however_slow_the_other_side_is() {
        let records = u32::try_from(BATCH * (BATCHES + 3) + 7).unwrap();
        let file = file(records);
        let (reader, batches) = reader(source(&file));
        thread::scope(|scope| {
            let reader = scope.spawn(|| reader.run());
            let mut next = 0;
            while let Some(batch) = batches.next() {
                assert!((1..=BATCH).contains(&batch.seen.len()));
                for seen in &batch.seen {
                    assert_eq!(seen.time, Timestamp::from_parts(next, 0));
                    next += 1;
                }
                thread::yield_now();
                batches.give_back(batch.emptied());
            }
            assert_eq!(next, i64::from(records));
            reader.join().unwrap().unwrap();
        });
    }

    #[test]
    fn what_stands_before_the_damage_comes_over() {
        let mut file = file(3);
        file.truncate(file.len() - 1);
        let (reader, batches) = reader(source(&file));
        let read = thread::scope(|scope| {
            let reader = scope.spawn(|| reader.run());
            assert_eq!(batches.next().unwrap().seen.len(), 2);
            assert!(batches.next().is_none());
            reader.join().unwrap()
        });
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_reader_whose_packets_nobody_wants_ends() {
        let file = file(u32::try_from(BATCH * (BATCHES + 10)).unwrap());
        let (reader, batches) = reader(source(&file));
        thread::scope(|scope| {
            let reader = scope.spawn(|| reader.run());
            assert!(batches.next().is_some());
            drop(batches);
            reader.join().unwrap().unwrap();
        });
    }
}
