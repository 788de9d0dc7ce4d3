//! The producer's end of the log.

use super::chunk::Chunk;
use super::counters::{LogCounts, Shared};
use super::losses::Losses;
use super::patience::{Patience, send_within};
use super::{CHUNK_SIZE, FLUSH_AFTER};
use crate::record::line::{
    AlertLine, AnomalyLine, Formatter, Lost, LostCause, PacketLine, PfwLine, Selection, Verdict,
};
use crate::record::printer::Feed;
use crate::record::tap::{Kind, Tap};
use crate::time::Timestamp;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

/// Takes events, makes lines of them, and hands the lines on in chunks.
///
/// Dropping it hands on what is left, and so lets the writer come to its end. If the queue is full it waits for room,
/// on a live log to standard output for 300 ms at most: what finds no room by then is counted as lost.
#[derive(Debug)]
pub struct Log {
    formatter: Formatter,
    selection: Selection,
    /// Packets that are allowed are passed over.
    rests: bool,
    chunk: Chunk,
    /// When the chunk was first seen to have lines.
    since: Option<Instant>,
    queue: SyncSender<Chunk>,
    spares: Receiver<Chunk>,
    patience: Patience,
    /// Losses that no chunk carries yet.
    losses: Losses,
    printer: Option<Feed>,
    tap: Option<Box<Tap>>,
    shared: Arc<Shared>,
}

impl Log {
    pub(super) fn new(
        formatter: Formatter,
        patience: Patience,
        queue: SyncSender<Chunk>,
        spares: Receiver<Chunk>,
        shared: Arc<Shared>,
    ) -> Self {
        let chunk = Chunk::new();
        Self {
            formatter,
            selection: Selection::All,
            rests: false,
            chunk,
            since: None,
            queue,
            spares,
            patience,
            losses: Losses::default(),
            printer: None,
            tap: None,
            shared,
        }
    }

    /// Gives each chunk to a [`Printer`](crate::record::printer::Printer) too, as far as it keeps up.
    #[must_use]
    pub fn with_printer(self, printer: Feed) -> Self {
        // `Log` has a `Drop`, so its fields can't be moved out by `..self`.
        let mut log = self;
        log.printer = Some(printer.in_form_of(&log.formatter));
        log
    }

    /// Hands events to subscribers too, whatever is selected.
    #[must_use]
    pub fn with_tap(mut self, tap: Tap) -> Self {
        self.tap = Some(Box::new(tap));
        self
    }

    /// Writes down these packets alone.
    #[must_use]
    pub fn selecting(mut self, selection: Selection) -> Self {
        self.selection = selection;
        self
    }

    /// Passes over packets that are allowed, for now: they are neither written down nor handed on.
    pub fn rest(&mut self, rests: bool) {
        self.rests = rests;
    }

    /// Whether packets with this verdict are written down.
    pub fn selects(&self, verdict: Verdict) -> bool {
        self.selection.wants(verdict)
    }

    /// What other threads may ask for.
    pub fn handle(&self) -> Handle {
        Handle { shared: Arc::clone(&self.shared) }
    }

    /// Writes down the verdict on a packet, if it is selected. `reason` appends why, in plain words; it is escaped here.
    #[inline]
    pub fn packet(&mut self, line: &PacketLine<'_>, reason: impl Fn(&mut Vec<u8>)) {
        if self.rests && line.verdict == Verdict::Allowed {
            return;
        }
        if let Some(tap) = self.tap.as_mut().filter(|tap| tap.wants(line.verdict.into())) {
            tap.packet(line, &reason);
        }
        if self.selection.wants(line.verdict) {
            self.formatter.packet(&mut self.chunk.bytes, line, reason);
            self.count(line.seen.time);
        }
    }

    /// Writes down a malformed or odd packet, if such are selected.
    pub fn anomaly(&mut self, line: &AnomalyLine<'_>) {
        if let Some(tap) = self.tap.as_mut().filter(|tap| tap.wants(Kind::Suspicious)) {
            tap.anomaly(line);
        }
        if self.selection.wants_suspicious() {
            self.formatter.anomaly(&mut self.chunk.bytes, line);
            self.count(line.seen.time);
        }
    }

    /// Writes down suspicious traffic, if such is selected. Such lines are rare, and are handed on even if nobody has
    /// subscribed to any: who asks later is told of them.
    pub fn alert(&mut self, line: &AlertLine<'_>) {
        if let Some(tap) = &mut self.tap {
            tap.alert(line);
        }
        if self.selection.wants_suspicious() {
            self.formatter.alert(&mut self.chunk.bytes, line);
            self.count(line.seen.time);
        }
    }

    /// Writes down something about pfw itself, and hands it on: such lines are rare, and somebody may wait for them.
    pub fn pfw(&mut self, line: &PfwLine<'_>) {
        if let Some(tap) = self.tap.as_mut().filter(|tap| tap.wants(Kind::Pfw)) {
            tap.pfw(line);
        }
        self.formatter.pfw(&mut self.chunk.bytes, line);
        self.count(line.time);
        self.flush();
    }

    /// Counts events that never reached the log. Their `[LOST]` line comes before the next line that is written.
    pub fn lost(&mut self, lost: Lost) {
        // What is in the chunk came before: it must not stand behind the loss.
        self.flush();
        self.shared.count_lost(lost.cause, lost.n);
        self.owe(lost);
    }

    /// Takes in a loss that is to be told.
    fn owe(&mut self, lost: Lost) {
        if let Some(tap) = self.tap.as_mut().filter(|tap| lost.n > 0 && tap.wants(Kind::Lost)) {
            tap.lost(&lost);
        }
        self.losses.add(lost);
    }

    /// Hands the chunk on if it is old enough. To be called at least every 100 ms; `now` is a monotonic time.
    #[inline]
    pub fn flush_if_due(&mut self, now: Instant) {
        let untapped = self.tap.as_ref().is_none_or(|tap| tap.is_empty());
        if self.chunk.lines == 0 && self.losses.is_empty() && untapped {
            return;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= FLUSH_AFTER {
            self.flush();
        }
    }

    /// Hands on what there is.
    pub fn flush(&mut self) {
        self.hand_on(self.patience.usual);
    }

    #[inline]
    fn count(&mut self, time: Timestamp) {
        self.chunk.count(time);
        if self.chunk.bytes.len() >= CHUNK_SIZE {
            self.flush();
        }
    }

    /// Hands the chunk to the writer, with the losses before it; what finds no room within `patience` (`None`: however
    /// long that takes) is lost.
    #[cold]
    fn hand_on(&mut self, patience: Option<Duration>) {
        self.since = None;
        if let Some(tap) = &mut self.tap {
            tap.hand_on();
        }
        if self.chunk.is_empty() && self.losses.is_empty() {
            return;
        }
        if let Some(printer) = &mut self.printer {
            printer.offer(&self.chunk.bytes, self.chunk.lines, self.chunk.span);
        }
        let next = self.spares.try_recv().unwrap_or_else(|_| Chunk::new());
        let mut chunk = mem::replace(&mut self.chunk, next);
        chunk.losses.append(&mut self.losses);
        let lines = chunk.lines;
        match send_within(&self.queue, chunk, patience) {
            Ok(()) => self.shared.count_accepted(lines),
            Err(chunk) => self.lose(chunk),
        }
    }

    /// Counts the lines of a chunk that the queue did not take, and uses the chunk again.
    fn lose(&mut self, mut chunk: Chunk) {
        self.losses.append(&mut chunk.losses);
        self.shared.count_lost(LostCause::LogQueue, chunk.lines);
        let (from, to) = chunk.span;
        self.owe(Lost { n: chunk.lines, cause: LostCause::LogQueue, from, to });
        chunk.clear();
        self.chunk = chunk;
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.hand_on(self.patience.last);
    }
}

/// What other threads may ask of a log.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// What was counted so far.
    pub fn counts(&self) -> LogCounts {
        self.shared.counts()
    }

    /// Asks for the file to be opened anew under its name (SIGUSR1), which happens before the next chunk is written
    /// and within a second.
    pub fn reopen(&self) {
        self.shared.ask_reopen();
    }

    /// Whether nobody reads standard output any more, so that further lines are for nobody.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }
}
