//! The pcap format (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html>): one header, then records.

use super::ticks::Ticks;
use super::window::Window;
use super::{Damage, FileInterface, MAX_RECORD, Step};
use crate::capture::Frame;
use pcap_parser::{PcapHeader, parse_pcap_header};
use std::io::Read;

/// Bytes of the header of the file.
pub(super) const FILE_HEADER: usize = 24;
/// Bytes of the header of a record.
const RECORD_HEADER: usize = 16;
/// Bytes of the header of a record in the variant that some patched libpcaps wrote (magic `a1b2cd34`).
const MODIFIED_RECORD_HEADER: usize = 24;
/// The link type is in the lower bits of its field; above are flags and the length of the frame check sequence.
const LINKTYPE_MASK: u32 = 0x03ff_ffff;

/// In which order a record has its two lengths.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lengths {
    /// Captured, original.
    InOrder,
    /// Version 2.3: either way, and the smaller one is the captured length.
    Unknown,
    /// Before version 2.3, and AIX ("543.0"): original, captured.
    Swapped,
}

/// The beginning of each record.
struct RecordHeader {
    seconds: u32,
    /// Micro- or nanoseconds.
    fraction: u32,
    captured_len: u32,
    original_len: u32,
}

/// Reads the records of a pcap file. `pcap-parser` reads the header of the file; its readers of records know nothing
/// of swapped lengths.
pub(super) struct Reader {
    header_len: usize,
    big_endian: bool,
    lengths: Lengths,
    ticks: Ticks,
}

impl Reader {
    /// Reads the header of the file, which describes the only interface.
    pub(super) fn begin<R: Read>(window: &mut Window<R>, interfaces: &mut Vec<FileInterface>) -> Result<Self, Damage> {
        let header = match parse_pcap_header(window.bytes()) {
            Ok((_, header)) => header,
            Err(pcap_parser::nom::Err::Incomplete(_)) => {
                return Err(Damage::cut_short(0, FILE_HEADER as u64, window.bytes().len() as u64));
            }
            Err(_) => return Err(Damage::no_capture(window.bytes())),
        };
        let lengths = lengths_of(&header)?;
        window.take(FILE_HEADER);
        interfaces.push(FileInterface::new(None, header.network.0.cast_unsigned() & LINKTYPE_MASK));
        Ok(Self {
            header_len: if header.is_modified_format() { MODIFIED_RECORD_HEADER } else { RECORD_HEADER },
            big_endian: header.is_bigendian(),
            lengths,
            ticks: if header.is_nanosecond_precision() { Ticks::NANOS } else { Ticks::MICROS },
        })
    }

    /// The record at the beginning of the window.
    pub(super) fn next<'w, R: Read>(
        &mut self,
        window: &'w mut Window<R>,
        interfaces: &[FileInterface],
    ) -> Result<Step<'w>, Damage> {
        let Some(header) = self.record_header(window.bytes()) else { return Ok(Step::Need(self.header_len)) };
        let record_len = self.header_len.saturating_add(header.captured_len as usize);
        let Some(link) = interfaces.first().and_then(|interface| interface.link) else {
            return Ok(Step::SkipFrame(0, record_len as u64));
        };
        if record_len > MAX_RECORD {
            let what = format!("a record of {record_len} bytes, at most {MAX_RECORD} are read");
            return Err(Damage { offset: window.offset(), what });
        }
        if window.bytes().len() < record_len {
            return Ok(Step::Need(record_len));
        }
        Ok(Step::Frame(Frame {
            time: self.ticks.time_of_parts(header.seconds, header.fraction),
            interface: 0,
            packet_type: None,
            vlan: None,
            sender: None,
            link,
            bytes: window.take(record_len).get(self.header_len..).unwrap_or_default(),
            original_len: header.original_len.max(header.captured_len),
            read: None,
        }))
    }

    /// The header of the record at the beginning of `bytes`, if all of it is there.
    fn record_header(&self, bytes: &[u8]) -> Option<RecordHeader> {
        let header: &[u8; RECORD_HEADER] = bytes.get(..self.header_len)?.first_chunk()?;
        let &[s0, s1, s2, s3, f0, f1, f2, f3, a0, a1, a2, a3, b0, b1, b2, b3] = header;
        let number = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        let (first, second) = (number([a0, a1, a2, a3]), number([b0, b1, b2, b3]));
        let (captured_len, original_len) = match self.lengths {
            Lengths::InOrder => (first, second),
            Lengths::Unknown => (first.min(second), first.max(second)),
            Lengths::Swapped => (second, first),
        };
        Some(RecordHeader {
            seconds: number([s0, s1, s2, s3]),
            fraction: number([f0, f1, f2, f3]),
            captured_len,
            original_len,
        })
    }
}

/// The order of lengths that the version of the file means.
fn lengths_of(header: &PcapHeader) -> Result<Lengths, Damage> {
    match (header.version_major, header.version_minor) {
        (2, 0..=2) | (543, 0) => Ok(Lengths::Swapped),
        (2, 3) => Ok(Lengths::Unknown),
        (2, 4) => Ok(Lengths::InOrder),
        (major, minor) => Err(Damage {
            offset: 0,
            what: format!("a pcap file of version {major}.{minor}, only 2.4 and before are read"),
        }),
    }
}
