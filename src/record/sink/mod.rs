//! `firewall.log`: from lines to a file that can be trusted.
//!
//! The producer fills a [`Log`] with lines; they gather in chunks, and each chunk goes to the [`Writer`]'s thread
//! whole, through a bounded queue. So a packet costs no lock, no allocation and no system call, and a slow disk
//! never holds up the capture.
//!
//! What holds at any time: *lines written + lines counted as lost = lines produced*. A loss is written down as a
//! `[LOST]` line before any line that came after it, as soon as the file takes lines again. The file never ends in
//! half a line for longer than a write takes.
//!
//! A clean end writes everything that was accepted, however much waits in the queue; only a live log on a standard
//! output that takes no more is given up, and [`LogCounts::abandoned`] says what that cost. It does not call `fsync`: what
//! the kernel has taken outlives the process, and only a crash of the whole machine could lose it.
//!
//! The process must ignore `SIGXFSZ`: a limit on the size of files is then an error like a full disk, not its end.

mod append;
mod chunk;
mod claim;
mod counters;
mod file;
mod guard;
mod log;
mod losses;
mod owner;
mod patience;
mod rotation;
mod size;
#[cfg(test)]
mod tests;
mod writer;

pub use counters::LogCounts;
pub use log::{Handle, Log};
pub use owner::sudo_group;
pub use size::parse_size;
pub use writer::Writer;

use super::line::{Format, Formatter};
use jiff::tz::TimeZone;
use patience::Patience;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// Bytes after which a chunk is handed on: about 1,400 lines, so that what a hand-over costs does not show.
const CHUNK_SIZE: usize = 256 * 1024;

/// Chunks that wait for the writer at most: 32 MiB, a flood of a million lines a second for 180 ms of a disk that
/// stands still. More would only move the moment of the first loss, and cost memory that the machine needs then.
const QUEUE_CHUNKS: usize = 128;

/// Empty chunks that are kept for use again; the rest of what a flood needed goes back to the system.
const SPARE_CHUNKS: usize = 16;

/// Age at which a chunk is handed on though it is not full. With the 100 ms that a caller may take to ask, a line is
/// in the file within 200 ms.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// How long a live log waits for room in the queue with its last lines when they go to standard output: Ctrl-C is to
/// end pfw within a second, though the terminal was stopped or nobody reads the pipe.
const LAST_PATIENCE: Duration = Duration::from_millis(300);

/// How often a file that could not be written is tried again, and how often the writer looks whether the file is
/// still the one of that name.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where lines go, and how.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to.
    pub target: Target,
    /// Text or JSON.
    pub format: Format,
    /// The time zone of the time stamps.
    pub zone: TimeZone,
    /// What happens to a chunk when the queue is full.
    pub when_full: WhenFull,
}

impl Config {
    /// The log file; none if it is standard output.
    pub fn file(&self) -> Option<&Path> {
        match &self.target {
            Target::StandardOutput => None,
            Target::File(file) => Some(&file.path),
        }
    }
}

/// Where lines go.
#[derive(Clone, Debug)]
pub enum Target {
    /// Standard output (`--log-file -`).
    StandardOutput,
    /// A file.
    File(FileConfig),
}

/// The log file and its rotation.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// Its path.
    pub path: PathBuf,
    /// Bytes that it may have before it becomes `PATH.1`; 0: no limit.
    pub max_size: u64,
    /// How many rotated files are kept: `PATH.1` to `PATH.keep`.
    pub keep: u32,
    /// Group that a new file gets ([`sudo_group`]).
    pub group: Option<u32>,
}

impl FileConfig {
    /// 100 MiB: about half a million lines, and still opened by an editor.
    pub const DEFAULT_MAX_SIZE: u64 = 100 * 1024 * 1024;
    /// With the live one 600 MiB at most.
    pub const DEFAULT_KEEP: u32 = 5;

    /// The file `path` with the default rotation.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), max_size: Self::DEFAULT_MAX_SIZE, keep: Self::DEFAULT_KEEP, group: None }
    }
}

/// What happens to a chunk when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Its lines are counted as lost: live packets don't wait.
    Lose,
    /// The producer waits: a capture file does.
    Wait,
}

/// Opens the log. The caller fills the first and runs the second on a thread of its own.
///
/// # Errors
/// The file can't be opened, or is not one that may be written to (a link, a device, somebody else's): one line with
/// the reason and the remedy.
pub fn open(config: Config) -> anyhow::Result<(Log, Writer)> {
    let shared = Arc::default();
    let patience = Patience::of(&config);
    let output = writer::Output::open(config.target, &shared)?;
    let formatter = Formatter::new(config.format, config.zone);
    let (queue, chunks) = sync_channel(QUEUE_CHUNKS);
    let (spent, spares) = sync_channel(SPARE_CHUNKS);
    let writer = Writer::new(output, formatter.clone(), chunks, spent, Arc::clone(&shared));
    Ok((Log::new(formatter, patience, queue, spares, shared), writer))
}
