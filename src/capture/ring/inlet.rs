//! The socket of a ring: which frames it lets in, and what became of them.

use super::block::Walked;
use crate::capture::SourceCounters;
use crate::capture::filter::{self, Selection};
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the kernel counted since the ring was opened (`PACKET_STATISTICS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct KernelCounters {
    /// Frames that passed the filter, whether they were dropped or not.
    frames: u64,
    /// Frames that were dropped because the ring was full.
    dropped: u64,
    /// How often the ring became full.
    freezes: u64,
}

/// The socket of a ring. Who reads the ring counts here, who steers it may be on another thread.
pub(in crate::capture) struct Inlet {
    socket: OwnedFd,
    snaplen: u32,
    /// What was selected last; nothing before.
    selection: Mutex<Option<Selection>>,
    handed_out: AtomicU64,
    unreadable: AtomicU64,
    kernel: Mutex<KernelCounters>,
}

impl Inlet {
    pub(super) fn new(socket: OwnedFd, snaplen: u32) -> Self {
        let (selection, handed_out, unreadable, kernel) = Default::default();
        Self { socket, snaplen, selection, handed_out, unreadable, kernel }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Lets in the frames of the selected interfaces, unless these were selected last.
    pub(in crate::capture) fn select(&self, selection: &Selection) -> io::Result<()> {
        let mut last = lock(&self.selection);
        if last.as_ref() != Some(selection) {
            sys::attach_filter(self.fd(), &filter::select(selection, self.snaplen))?;
            *last = Some(selection.clone());
        }
        Ok(())
    }

    /// Lets nothing in.
    pub(in crate::capture) fn shut(&self) -> io::Result<()> {
        sys::attach_filter(self.fd(), &filter::nothing())
    }

    /// Takes the error that `poll` reports, without which it would report it for ever. That an interface went down
    /// is none.
    pub(super) fn take_error(&self) -> io::Result<()> {
        match sys::take_error(self.fd())? {
            Some(error) if error.raw_os_error() != Some(libc::ENETDOWN) => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn count(&self, walked: Walked) {
        self.handed_out.fetch_add(walked.handed_out.into(), Ordering::Relaxed);
        self.unreadable.fetch_add(walked.unreadable.into(), Ordering::Relaxed);
    }

    /// What was counted; of what the kernel does not tell, as far as it told before.
    pub(in crate::capture) fn counters(&self) -> SourceCounters {
        let kernel = self.read_kernel().unwrap_or_else(|_| *lock(&self.kernel));
        let unreadable = self.unreadable.load(Ordering::Relaxed);
        let frames = self.handed_out.load(Ordering::Relaxed);
        SourceCounters { frames, dropped: kernel.dropped + unreadable, freezes: kernel.freezes }
    }

    /// Whether the frames that were handed out and those that were dropped are all that the kernel counted.
    pub(super) fn is_accounted_for(&self) -> io::Result<bool> {
        let kernel = self.read_kernel()?;
        let [handed_out, unreadable] = [&self.handed_out, &self.unreadable].map(|count| count.load(Ordering::Relaxed));
        Ok(handed_out + unreadable + kernel.dropped >= kernel.frames)
    }

    fn read_kernel(&self) -> io::Result<KernelCounters> {
        let mut kernel = lock(&self.kernel);
        // Reading sets the kernel's counters to zero, hence the sums.
        let new: libc::tpacket_stats_v3 = sys::option(self.fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        kernel.frames += u64::from(new.tp_packets);
        kernel.dropped += u64::from(new.tp_drops);
        kernel.freezes += u64::from(new.tp_freeze_q_cnt);
        Ok(*kernel)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked had changed nothing, or all.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
