//! Frames, from a live interface or a file; nothing here knows rules or decisions.

mod fan;
pub mod file;
mod filter;
pub mod interfaces;
mod live;
mod pnet;
mod ring;

pub use fan::Reader;
pub use live::{Live, LiveConfig, LiveKind};
pub use ring::RingConfig;

use crate::packet::{self, Fingerprint, Link, Packet, PacketType};
use crate::time::Timestamp;
use std::io;
use std::time::Duration;

/// One frame as its source hands it out; the bytes are borrowed until the next one.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// When the kernel (or the capture file) says it was seen.
    pub time: Timestamp,
    /// The interface: the kernel's index when live, the number of the interface block in a file.
    pub interface: u32,
    /// Which way it moved, where the source says so (live: always).
    pub packet_type: Option<PacketType>,
    /// The VLAN id that the kernel took out of the frame.
    pub vlan: Option<u16>,
    /// The link-layer address of its sender, where the source tells it.
    pub sender: Option<[u8; 6]>,
    /// Type of the first header in `bytes`.
    pub link: Link,
    /// What was captured; nothing of a frame that was read already.
    pub bytes: &'a [u8],
    /// Length on the wire, from the same beginning as `bytes`.
    pub original_len: u32,
    /// What the thread that captured it has read of it, if it did.
    pub read: Option<&'a Read>,
}

/// What there is to be read of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// Its packet, as if it had come from outside: [`packet::parse_received`].
    pub packet: Packet,
    /// What it is known by after it was translated.
    pub fingerprint: Option<Fingerprint>,
}

impl Frame<'_> {
    /// Its packet, as if it had come from outside.
    pub fn packet(&self) -> Packet {
        self.read.map_or_else(|| packet::parse_received(self.link, self.bytes, self.original_len), |read| read.packet)
    }

    /// What its packet is known by after it was translated.
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.read.map_or_else(|| packet::fingerprint(self.link, self.bytes), |read| read.fingerprint)
    }

    /// All that there is to be read of it.
    fn read(&self) -> Read {
        Read { packet: self.packet(), fingerprint: self.fingerprint() }
    }
}

/// What a source did with a call of [`FrameSource::poll`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Frames were handed out, or the time was up.
    More,
    /// The end of the file: nothing will come any more.
    End,
}

/// What a source counted since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounters {
    /// Frames that were handed out.
    pub frames: u64,
    /// Frames that the kernel dropped because the ring or the socket buffer was full.
    pub dropped: u64,
    /// How often the ring became full.
    pub freezes: u64,
}

/// Where frames come from.
pub trait FrameSource {
    /// Hands each frame that is ready to `sink`, a bounded batch at most, and waits at most `timeout` for the first
    /// one. A signal ends the wait early.
    fn poll(&mut self, timeout: Duration, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<Polled>;

    /// What was counted since the source was opened.
    fn counters(&mut self) -> SourceCounters;

    /// Lets no further frame in, and hands out what had been captured before.
    fn drain(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()>;
}
