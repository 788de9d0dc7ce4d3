//! Frames from a capture file: pcap and pcapng, in either byte order, from a file or a pipe.
//!
//! This module knows where records begin, where they end and what may be wrong with that; what the bytes of a frame
//! mean is `packet`'s business. Memory is bounded whatever the file says: one window that grows to the largest
//! record that is read ([`MAX_RECORD`]), and a list of interfaces ([`MAX_INTERFACES`]).
//!
//! `pcap-parser` decodes the headers and blocks. The window around it is ours, because an error must name the byte
//! where the damage begins, and because a read error must not look like the end of the file.

mod damage;
mod linktype;
mod pcap;
mod pcapng;
mod ticks;
mod window;

pub use damage::{Damage, Unread};

use super::{Frame, FrameSource, Polled, SourceCounters};
use crate::packet::Link;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;
use window::Window;

/// The largest record that is read, in bytes, its own header included. An IPv6 jumbo frame from the kernel's "BIG
/// TCP" has 512 KiB at most; a length beyond this is damage, and must not make pfw buffer whatever follows.
pub const MAX_RECORD: usize = 1 << 20;

/// How many interfaces a file may describe: far more than anybody has, and a bound on what a forged file can make
/// pfw remember.
pub const MAX_INTERFACES: usize = 1 << 16;

/// Frames that one call of [`FrameSource::poll`] hands out at most.
const BATCH: usize = 4096;

/// An interface that a file describes; a pcap file has exactly one, without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInterface {
    /// The name (`if_name` of pcapng) as the file gives it, which is not to be trusted.
    pub name: Option<String>,
    /// The number of the link type, from <https://www.tcpdump.org/linktypes.html>.
    pub linktype: u32,
    /// The link type as `packet` knows it; without it the frames of this interface are skipped.
    pub link: Option<Link>,
    /// Frames that were skipped because of their link type.
    pub skipped: u64,
}

impl FileInterface {
    fn new(name: Option<String>, linktype: u32) -> Self {
        Self { name, linktype, link: Link::from_linktype(linktype), skipped: 0 }
    }
}

/// What a reader of one format found at the beginning of the window.
enum Step<'a> {
    /// A frame, whose record has been taken out of the window.
    Frame(Frame<'a>),
    /// Something that is not a frame to be handed out; it has been taken out of the window.
    Passed,
    /// A new interface; it has been taken out of the window.
    Interface,
    /// The record is of this many bytes, and they are not all in the window yet.
    Need(usize),
    /// These many bytes are of no interest, however many they are.
    Skip(u64),
    /// The same, and they are a frame of this interface.
    SkipFrame(usize, u64),
}

enum Format {
    Pcap(pcap::Reader),
    PcapNg(pcapng::Reader),
}

/// A capture file as a source of frames.
///
/// [`poll`](FrameSource::poll) never waits longer than the file or pipe makes it wait: it ignores its time-out. It
/// returns before it reads from a pipe if frames were handed out, so that these don't wait for what comes next, and
/// it returns when an interface was described, so that the caller can look at [`CaptureFile::interfaces`].
///
/// At the first damage all before it has been handed out; the error names the byte. If there were frames of link
/// types that pfw doesn't read, the end of the file is an error, too, which counts them.
pub struct CaptureFile<R> {
    name: String,
    window: Window<R>,
    format: Format,
    interfaces: Vec<FileInterface>,
    frames: u64,
    ended: bool,
}

impl CaptureFile<Box<dyn Read + Send>> {
    /// Opens the file at `path`; `-` is standard input.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Self::new("standard input", Box::new(io::stdin()));
        }
        let name = path.display().to_string();
        match File::open(path) {
            Ok(file) => Self::new(&name, Box::new(file)),
            Err(error) => Err(io::Error::new(error.kind(), format!("cannot open {name}: {error}"))),
        }
    }
}

impl<R: Read> CaptureFile<R> {
    /// Reads the beginning of a capture from `reader`; `name` is what errors call it.
    ///
    /// An error of kind [`io::ErrorKind::InvalidData`] says that this is no capture, or a damaged one.
    pub fn new(name: &str, reader: R) -> io::Result<Self> {
        let mut window = Window::new(reader);
        let mut interfaces = Vec::new();
        let format = begin(&mut window, &mut interfaces).map_err(|problem| problem.named(name))?;
        Ok(Self { name: name.to_owned(), window, format, interfaces, frames: 0, ended: false })
    }

    /// The interfaces that were described so far; [`Frame::interface`] is an index of this list. In a pcapng file of
    /// several sections the numbers go on.
    pub fn interfaces(&self) -> &[FileInterface] {
        &self.interfaces
    }

    /// What a reader found, or the end.
    fn hand_out(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> Result<Polled, Problem> {
        let mut handed_out = 0;
        while handed_out < BATCH {
            let step = match &mut self.format {
                Format::Pcap(reader) => reader.next(&mut self.window, &self.interfaces),
                Format::PcapNg(reader) => reader.next(&mut self.window, &mut self.interfaces),
            };
            match step? {
                Step::Frame(frame) => {
                    sink(&frame);
                    self.frames += 1;
                    handed_out += 1;
                }
                Step::Passed => {}
                Step::Interface => return Ok(Polled::More),
                Step::Need(_) if handed_out > 0 => return Ok(Polled::More),
                Step::Need(bytes) => {
                    if !self.window.fill(bytes)? {
                        return self.end(bytes as u64);
                    }
                }
                Step::Skip(bytes) => self.skip(bytes)?,
                Step::SkipFrame(interface, bytes) => {
                    self.skip(bytes)?;
                    if let Some(interface) = self.interfaces.get_mut(interface) {
                        interface.skipped += 1;
                    }
                }
            }
        }
        Ok(Polled::More)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Problem> {
        let begin = self.window.offset();
        let there = self.window.skip(bytes)?;
        if there < bytes { Err(Damage::cut_short(begin, bytes, there).into()) } else { Ok(()) }
    }

    /// The file is at its end, where a record of `needed` bytes was looked for.
    fn end(&self, needed: u64) -> Result<Polled, Problem> {
        let there = self.window.bytes().len() as u64;
        if there > 0 {
            return Err(Damage::cut_short(self.window.offset(), needed, there).into());
        }
        Unread::of(&self.interfaces).map_or(Ok(Polled::End), |unread| Err(unread.into()))
    }
}

impl<R: Read> FrameSource for CaptureFile<R> {
    fn poll(&mut self, _timeout: Duration, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<Polled> {
        if self.ended {
            return Ok(Polled::End);
        }
        let polled = self.hand_out(sink);
        self.ended = !matches!(polled, Ok(Polled::More));
        polled.map_err(|problem| problem.named(&self.name))
    }

    fn counters(&mut self) -> SourceCounters {
        SourceCounters { frames: self.frames, ..SourceCounters::default() }
    }

    /// A file holds nothing that would be lost: nothing more is handed out.
    fn drain(&mut self, _sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        self.ended = true;
        Ok(())
    }
}

/// Tells the format by the first four bytes and reads what stands before the first record.
fn begin<R: Read>(window: &mut Window<R>, interfaces: &mut Vec<FileInterface>) -> Result<Format, Problem> {
    window.fill(pcap::FILE_HEADER)?;
    let Some(&magic) = window.bytes().first_chunk() else {
        return Err(Damage::no_capture(window.bytes()).into());
    };
    if pcapng::is_section_header(magic) {
        return Ok(Format::PcapNg(pcapng::Reader::default()));
    }
    pcap::Reader::begin(window, interfaces).map(Format::Pcap).map_err(Problem::from)
}

/// Why reading ended early.
enum Problem {
    Io(io::Error),
    Damage(Damage),
    Unread(Unread),
}

impl Problem {
    /// As an error that says which file it is about.
    fn named(self, name: &str) -> io::Error {
        match self {
            Self::Io(error) => io::Error::new(error.kind(), format!("cannot read {name}: {error}")),
            Self::Damage(damage) => io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {damage}")),
            Self::Unread(unread) => io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {unread}")),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Damage> for Problem {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

impl From<Unread> for Problem {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

#[cfg(test)]
mod tests;
