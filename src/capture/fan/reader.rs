//! The thread that reads one ring.

use crate::batches::Desk;
use crate::capture::live::Tap;
use crate::capture::ring::{Ring, Walked, walk};
use crate::capture::{Frame, Read};
use crate::sys;
use crate::sys::waker::{Alarm, Waker};
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Frames in a batch: so many that a hand-over does not show among them.
const BATCH: usize = 512;
/// Batches in all: what two blocks of small frames make, so that one can be read while that before is handed out.
pub(super) const MAX_BATCHES: usize = 32;

/// A frame without its bytes, and what was read of them.
pub(super) struct Item {
    pub(super) frame: Frame<'static>,
    pub(super) read: Read,
}

impl Item {
    fn of(frame: &Frame<'_>) -> Self {
        let read = frame.read();
        let &Frame { time, interface, packet_type, vlan, sender, link, original_len, .. } = frame;
        let frame = Frame { time, interface, packet_type, vlan, sender, link, original_len, bytes: &[], read: None };
        Self { frame, read }
    }
}

/// How far a reader is.
#[derive(Debug, Default)]
enum Progress {
    /// It reads.
    #[default]
    Reading,
    /// It is to read what is left, and end.
    Ending,
    /// It can't read any more.
    Failed(io::Error),
}

/// What reader and lane both see.
#[derive(Default)]
pub(super) struct Shared {
    /// Frames that were handed over in all.
    handed_over: AtomicU64,
    progress: Mutex<Progress>,
}

impl Shared {
    pub(super) fn handed_over(&self) -> u64 {
        self.handed_over.load(Ordering::Acquire)
    }

    /// The reader is to end; one that can't read any more has ended, and why is still to be told.
    pub(super) fn end(&self) {
        let mut progress = self.progress();
        if matches!(*progress, Progress::Reading) {
            *progress = Progress::Ending;
        }
    }

    /// Whether a reader that has ended was to end; what has kept it from going on otherwise.
    pub(super) fn why_ended(&self) -> io::Result<()> {
        match std::mem::replace(&mut *self.progress(), Progress::Ending) {
            Progress::Ending => Ok(()),
            Progress::Failed(error) => Err(error),
            Progress::Reading => Err(io::Error::other("a thread that reads frames has failed")),
        }
    }

    fn is_ending(&self) -> bool {
        matches!(*self.progress(), Progress::Ending)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a ring on a thread of its own.
pub struct Reader {
    ring: Ring,
    pen: Pen,
    /// Rings when the reader is to end.
    alarm: Alarm,
}

/// Puts what is read into batches.
struct Pen {
    desk: Desk<Vec<Item>>,
    shared: Arc<Shared>,
    /// Tells the thread that takes batches that there is one, or none any more.
    bell: Waker,
}

impl Reader {
    pub(super) fn new(ring: Ring, desk: Desk<Vec<Item>>, shared: Arc<Shared>, alarm: Alarm, bell: Waker) -> Self {
        Self { ring, pen: Pen { desk, shared, bell }, alarm }
    }

    /// Reads until nobody wants more, or it fails, which the other side is told.
    pub fn run(mut self) {
        if let Err(error) = self.read() {
            *self.pen.shared.progress() = Progress::Failed(error);
        }
        let Pen { desk, bell, .. } = self.pen;
        // First the end, then the word of it.
        drop(desk);
        bell.wake();
    }

    fn read(&mut self) -> io::Result<()> {
        let Self { ring, pen, alarm } = self;
        while !pen.shared.is_ending() {
            ring.wait(&[sys::readable(alarm.as_fd())], Duration::MAX)?;
            while ring.read_block(|block| walk_into(pen, block)) && !pen.desk.is_unwanted() {
                // Now the ring looks empty, if it is: others need not wait for what comes from here.
                pen.bell.wake();
            }
        }
        if pen.desk.is_unwanted() { Ok(()) } else { ring.read_rest(&mut |block| walk_into(pen, block)) }
    }
}

fn walk_into(pen: &mut Pen, block: &[u8]) -> Walked {
    let walked = walk(block, &mut |frame| pen.add(frame));
    // Before the block is the kernel's again: until then it is to be seen that something comes.
    if !pen.desk.batch.is_empty() {
        pen.hand_over();
    }
    walked
}

impl Pen {
    fn add(&mut self, frame: &Frame<'_>) {
        self.desk.batch.push(Item::of(frame));
        if self.desk.batch.len() >= BATCH {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        self.shared.handed_over.fetch_add(self.desk.batch.len() as u64, Ordering::Release);
        self.desk.hand_on();
        self.bell.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_reader_has_ended_is_told_once_though_it_is_to_end() {
        let shared = Shared::default();
        assert!(shared.why_ended().is_err(), "nobody wanted it to");
        let shared = Shared::default();
        *shared.progress() = Progress::Failed(io::Error::other("no more"));
        shared.end();
        assert_eq!(shared.why_ended().unwrap_err().to_string(), "no more");
        shared.why_ended().unwrap();
        let shared = Shared::default();
        shared.end();
        shared.why_ended().unwrap();
    }
}
