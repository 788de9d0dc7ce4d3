//! The writer's end of the log: a loop that ends when the producer is gone and everything is written.

use super::append::{Appender, Stopped};
use super::chunk::Chunk;
use super::counters::Shared;
use super::file::LogFile;
use super::losses::Losses;
use super::{LOOK_EVERY, Target};
use crate::record::line::{Formatter, Lost, LostCause};
use crate::record::terminal::standard_output;
use anyhow::Context;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Instant;

/// Where lines go.
#[derive(Debug)]
pub(super) enum Output {
    File(LogFile),
    StandardOutput(Appender),
}

impl Output {
    pub(super) fn open(target: Target, shared: &Arc<Shared>) -> anyhow::Result<Self> {
        Ok(match target {
            Target::File(config) => Self::File(LogFile::open(config, Arc::clone(shared))?),
            Target::StandardOutput => {
                Self::StandardOutput(Appender::new(standard_output().context("cannot use standard output")?))
            }
        })
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), Stopped> {
        match self {
            Self::File(file) => file.append(lines),
            Self::StandardOutput(appender) => appender.append(lines),
        }
    }
}

/// Writes what the [`Log`](super::Log) hands on.
#[derive(Debug)]
pub struct Writer {
    output: Output,
    formatter: Formatter,
    queue: Receiver<Chunk>,
    spent: SyncSender<Chunk>,
    shared: Arc<Shared>,
    /// Losses that are not in the file yet.
    losses: Losses,
    /// Writing fails: when to try again.
    retry_at: Option<Instant>,
    /// When to look at the file again.
    look_at: Instant,
    /// The file is not where it should be, and this was said.
    misplaced: bool,
}

impl Writer {
    pub(super) fn new(
        output: Output,
        formatter: Formatter,
        queue: Receiver<Chunk>,
        spent: SyncSender<Chunk>,
        shared: Arc<Shared>,
    ) -> Self {
        let look_at = Instant::now() + LOOK_EVERY;
        let losses = Losses::default();
        Self { output, formatter, queue, spent, shared, losses, retry_at: None, look_at, misplaced: false }
    }

    /// Writes until the [`Log`](super::Log) is dropped and everything that it handed on is written or counted as
    /// lost.
    pub fn run(mut self) {
        loop {
            match self.queue.recv_timeout(LOOK_EVERY) {
                Ok(chunk) => {
                    self.tend(Instant::now());
                    self.take(chunk);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.tend(Instant::now());
                    if self.may_write() {
                        self.tell_losses();
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if !self.losses.is_empty() {
            // The last chance to say what is missing, whenever the next try would have been.
            self.tend(Instant::now());
            self.tell_losses();
        }
    }

    /// Writes a chunk, after the losses before it.
    fn take(&mut self, mut chunk: Chunk) {
        self.losses.append(&mut chunk.losses);
        if self.may_write() && self.tell_losses() {
            let before = chunk.lines;
            let written = self.append(&chunk.bytes);
            let lines = if written == chunk.bytes.len() { before } else { count_lines(&chunk.bytes, written) };
            self.shared.count_written(lines, written);
            self.lose(&chunk, before - lines);
        } else {
            self.lose(&chunk, chunk.lines);
        }
        chunk.clear();
        // If there are spares enough, this one goes back to the system.
        let _ = self.spent.try_send(chunk);
    }

    /// Whether writing works as far as is known, or it is time to try again.
    fn may_write(&self) -> bool {
        self.retry_at.is_none_or(|at| Instant::now() >= at)
    }

    /// Writes a `[LOST]` line for each cause. Whether nothing is left to tell, and lines may follow.
    fn tell_losses(&mut self) -> bool {
        while let Some(lost) = self.losses.first() {
            let mut line = Vec::new();
            self.formatter.lost(&mut line, &lost);
            let written = self.append(&line);
            if written < line.len() {
                return false;
            }
            self.shared.count_written(0, written);
            self.losses.told(lost.cause);
        }
        true
    }

    /// Appends lines and says how many bytes of them were written; keeps what there is to know of an outage.
    fn append(&mut self, lines: &[u8]) -> usize {
        match self.output.append(lines) {
            Ok(()) => {
                if !lines.is_empty() && self.retry_at.take().is_some() {
                    tracing::warn!("the log is being written again");
                }
                lines.len()
            }
            Err(stopped) => {
                self.fail(&stopped.error);
                stopped.written
            }
        }
    }

    fn fail(&mut self, error: &io::Error) {
        if error.kind() == ErrorKind::BrokenPipe {
            // `pfw ... | head`: the reader has enough. That is no failure to complain of.
            self.shared.close();
        } else if self.retry_at.is_none() {
            self.shared.count_outage();
            // If the file is gone, that has been said.
            if error.kind() != ErrorKind::NotFound {
                tracing::warn!("the log can't be written, its lines are lost until it can: {error}");
            }
        }
        self.retry_at = Some(Instant::now() + LOOK_EVERY);
    }

    fn lose(&mut self, chunk: &Chunk, n: u64) {
        let (from, to) = chunk.span;
        self.shared.count_lost(LostCause::LogWrite, n);
        self.losses.add(Lost { n, cause: LostCause::LogWrite, from, to });
    }

    /// Opens the file anew if that was asked for, or if it is no longer the one of its name: at once if lines would be
    /// lost with it, else when it is time to look.
    ///
    /// Asked before each chunk: two system calls for up to 256 KiB.
    fn tend(&mut self, now: Instant) {
        let asked = self.shared.take_reopen();
        let Output::File(file) = &mut self.output else { return };
        let due = now >= self.look_at;
        if due {
            self.look_at = now + LOOK_EVERY;
            file.look();
        }
        let astray = if due { !file.is_in_place() } else { file.is_replaced() };
        if !asked && !astray {
            return;
        }
        match file.reopen() {
            Ok(()) => {
                self.misplaced = false;
                // What failed was the old file.
                self.retry_at = self.retry_at.map(|_| now);
            }
            Err(error) if !self.misplaced => {
                self.misplaced = true;
                tracing::warn!("cannot open the log anew: {error:#}");
            }
            Err(_) => {}
        }
    }
}

/// How many lines are whole in the first `written` bytes.
fn count_lines(bytes: &[u8], written: usize) -> u64 {
    bytes.iter().take(written).filter(|&&byte| byte == b'\n').count() as u64
}
