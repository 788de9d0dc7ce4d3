//! Lines on their way to the file.

use super::CHUNK_SIZE;
use super::losses::Losses;
use crate::time::Timestamp;

/// Whole lines, handed on together.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The lines, each with its end.
    pub(super) bytes: Vec<u8>,
    /// How many there are.
    pub(super) lines: u64,
    /// Earliest and latest time of a line; only meaningful if there are lines.
    pub(super) span: (Timestamp, Timestamp),
    /// What was lost before these lines, and has to be told before them.
    pub(super) losses: Losses,
}

impl Chunk {
    /// An empty chunk with room for its lines, so that the last one need not grow it.
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(CHUNK_SIZE + 4096),
            lines: 0,
            span: (Timestamp::default(), Timestamp::default()),
            losses: Losses::default(),
        }
    }

    /// Counts a line of this time.
    #[inline]
    pub(super) fn count(&mut self, time: Timestamp) {
        self.span = if self.lines == 0 { (time, time) } else { (self.span.0.min(time), self.span.1.max(time)) };
        self.lines += 1;
    }

    /// Makes it empty for use again.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.lines = 0;
        self.losses = Losses::default();
    }

    /// Whether there is nothing to hand on.
    pub(super) fn is_empty(&self) -> bool {
        self.lines == 0 && self.losses.is_empty()
    }
}
