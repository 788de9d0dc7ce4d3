//! What the sink counts, and what is asked of it from other threads.

use crate::record::line::LostCause;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by the producer, the writer and whoever wants to know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    accepted: AtomicU64,
    lines: AtomicU64,
    bytes: AtomicU64,
    lost: [AtomicU64; LostCause::ALL.len()],
    rotations: AtomicU64,
    outages: AtomicU64,
    reopen: AtomicBool,
    closed: AtomicBool,
}

/// What was counted since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Lines that were handed to the writer: those in the file, those of `lost_write`, and those that it still has.
    pub accepted: u64,
    /// Lines in the file, but for the `[LOST]` lines.
    pub lines: u64,
    /// Bytes in the file, all lines.
    pub bytes: u64,
    /// Packets that the kernel lost, as far as the producer said so.
    pub lost_kernel: u64,
    /// Lines lost because the queue was full.
    pub lost_queue: u64,
    /// Lines lost because the file could not be written.
    pub lost_write: u64,
    /// Reports of dropped packets that the kernel lost, as far as the producer said so.
    pub lost_reports: u64,
    /// How often the file was rotated.
    pub rotations: u64,
    /// How often writing began to fail.
    pub outages: u64,
}

impl LogCounts {
    /// Lines that are not in the log because the log could not take them.
    pub fn lost_log(&self) -> u64 {
        self.lost_queue + self.lost_write
    }

    /// Lines that the writer was handed and has neither written nor counted as lost. None when it has ended; if it was
    /// abandoned because it can't get on, these are lost with it. A chunk counts as written when all of it is.
    pub fn abandoned(&self) -> u64 {
        self.accepted.saturating_sub(self.lines + self.lost_write)
    }
}

// The numbers are only read for people and after threads have been joined: no order between them is promised.
impl Shared {
    pub(super) fn count_accepted(&self, lines: u64) {
        self.accepted.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn count_written(&self, lines: u64, bytes: usize) {
        self.lines.fetch_add(lines, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn count_lost(&self, cause: LostCause, n: u64) {
        if let Some(counter) = self.lost.get(cause as usize) {
            counter.fetch_add(n, Ordering::Relaxed);
        }
    }

    pub(super) fn count_rotation(&self) {
        self.rotations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_outage(&self) {
        self.outages.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> LogCounts {
        let [lost_kernel, lost_queue, lost_write, lost_reports, ..] =
            self.lost.each_ref().map(|counter| counter.load(Ordering::Relaxed));
        LogCounts {
            accepted: self.accepted.load(Ordering::Relaxed),
            lines: self.lines.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            lost_kernel,
            lost_queue,
            lost_write,
            lost_reports,
            rotations: self.rotations.load(Ordering::Relaxed),
            outages: self.outages.load(Ordering::Relaxed),
        }
    }

    /// Asks for the file to be opened anew.
    pub(super) fn ask_reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }

    /// Whether that was asked for since the last call.
    pub(super) fn take_reopen(&self) -> bool {
        self.reopen.swap(false, Ordering::Acquire)
    }

    /// Nobody reads standard output any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}
