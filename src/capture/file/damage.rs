//! What can be wrong with a capture file, in words that tell where.

use super::{FileInterface, linktype};
use std::fmt;

/// A place in the file from which on it can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the record begins that is damaged, in bytes from the beginning of the file.
    pub offset: u64,
    /// What is wrong with it.
    pub what: String,
}

/// The first bytes of compressed files, the name of the format, and what unpacks it.
const COMPRESSED: &[(&[u8], &str, &str)] = &[
    (&[0x1f, 0x8b], "gzip", "zcat"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "zstdcat"),
    (&[0xfd, 0x37, 0x7a, 0x58], "xz", "xzcat"),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4", "lz4cat"),
    (b"BZh", "bzip2", "bzcat"),
];

impl Damage {
    /// The file ends within a record of `needed` bytes.
    pub(super) fn cut_short(offset: u64, needed: u64, there: u64) -> Self {
        Self { offset, what: format!("the file ends within a record: {needed} bytes needed, {there} there") }
    }

    /// The file begins with `bytes`, and no capture does.
    pub(super) fn no_capture(bytes: &[u8]) -> Self {
        let what = if bytes.is_empty() {
            "the file is empty".to_owned()
        } else if let Some((_, format, tool)) = COMPRESSED.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
            format!("not a capture but a {format} file: unpack it first, for example with {tool}")
        } else {
            let first: Vec<String> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            format!("not a capture: it begins with {}, and pcap and pcapng files don't", first.join(" "))
        };
        Self { offset: 0, what }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            0 => formatter.write_str(&self.what),
            offset => write!(formatter, "damaged at byte {offset}: {}", self.what),
        }
    }
}

/// The frames of a whole file that were skipped because pfw doesn't read their link type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// Number of the interface, number of its link type, frames that were skipped.
    pub interfaces: Vec<(usize, u32, u64)>,
}

impl Unread {
    /// What was skipped of `interfaces`, if anything was.
    pub(super) fn of(interfaces: &[FileInterface]) -> Option<Self> {
        let skipped = interfaces.iter().enumerate().filter(|(_, interface)| interface.skipped > 0);
        let interfaces: Vec<_> =
            skipped.map(|(number, interface)| (number, interface.linktype, interface.skipped)).collect();
        (!interfaces.is_empty()).then_some(Self { interfaces })
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Interfaces that are named one by one; the others are counted.
        const NAMED: usize = 3;
        for (place, &(number, linktype, skipped)) in self.interfaces.iter().take(NAMED).enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            let name = linktype::name(linktype).map(|name| format!(" ({name})")).unwrap_or_default();
            write!(
                formatter,
                "{separator}interface {number} has link type {linktype}{name}, which pfw does not read: "
            )?;
            write!(formatter, "{skipped} {} skipped", if skipped == 1 { "frame" } else { "frames" })?;
        }
        if let Some(rest) = self.interfaces.get(NAMED..).filter(|rest| !rest.is_empty()) {
            let skipped: u64 = rest.iter().map(|&(.., skipped)| skipped).sum();
            write!(formatter, "; {} more interfaces of such types: {skipped} skipped", rest.len())?;
        }
        Ok(())
    }
}
