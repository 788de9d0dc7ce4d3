//! The memory that the ring shares with the kernel, and who may touch which block of it.
//!
//! A block belongs to the kernel until its status word has `TP_STATUS_USER`, then to us until we write
//! `TP_STATUS_KERNEL` (`Documentation/networking/packet_mmap.rst`). The borrow of [`Filled`] is that ownership. Which block
//! is next, and whether anything is in it, other threads may see, too ([`Glance`]).

#![expect(unsafe_code, reason = "memory that is shared with the kernel can't be borrowed safely")]

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Where in a block its status word is.
const STATUS: usize = offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, block_status);

/// Where the number of frames in it is, which the kernel counts up as it fills the block.
const FRAME_COUNT: usize = offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, num_pkts);

/// The memory of a ring, and how many of its blocks were read.
struct Mapping {
    base: NonNull<u8>,
    block_size: usize,
    count: usize,
    /// Blocks that were read in all: the next is this one, from the beginning again behind the last.
    read: AtomicU64,
}

// SAFETY: the mapping belongs to this value alone. Shared, it gives out atomics only.
unsafe impl Send for Mapping {}
// SAFETY: see above.
unsafe impl Sync for Mapping {}

/// The blocks of a ring, in the hands of who reads them.
pub(super) struct Blocks(Arc<Mapping>);

/// Sees from elsewhere whether there is anything in a ring.
pub(in crate::capture) struct Glance(Arc<Mapping>);

impl Blocks {
    /// Maps the ring that was set up on `socket`: `count` blocks of `block_size` bytes, a multiple of the page size.
    pub(super) fn map(socket: BorrowedFd<'_>, block_size: usize, count: usize) -> io::Result<Self> {
        let len = block_size.checked_mul(count).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel chooses a free address range; the file behind it is a ring of exactly this size, or the
        // call fails.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self(Arc::new(Mapping { base, block_size, count, read: AtomicU64::new(0) })))
    }

    /// Whether the kernel has filled the next block and handed it over.
    pub(super) fn is_filled(&self) -> bool {
        self.0.is_filled(self.0.next(self.0.read.load(Ordering::Relaxed)))
    }

    /// Whether there are frames that were not read, though the kernel may not have handed over the block that they are in.
    pub(super) fn is_begun(&self) -> bool {
        self.0.has_unread()
    }

    /// The next block, if [`Blocks::is_filled`].
    pub(super) fn filled(&mut self) -> Option<Filled<'_>> {
        // Only then: to drop it is to hand the block back, which nobody may do with one that the kernel fills.
        if self.is_filled() { Some(Filled(&self.0)) } else { None }
    }

    /// For another thread.
    pub(super) fn glance(&self) -> Glance {
        Glance(Arc::clone(&self.0))
    }
}

impl Glance {
    /// See [`Blocks::is_begun`].
    pub(in crate::capture) fn is_begun(&self) -> bool {
        self.0.has_unread()
    }
}

impl Mapping {
    /// The number of the block that is next when so many were read.
    fn next(&self, read: u64) -> usize {
        // Less than `count`, which is a `usize`.
        usize::try_from(read % self.count.max(1) as u64).unwrap_or(0)
    }

    fn has_unread(&self) -> bool {
        let read = self.read.load(Ordering::Acquire);
        // Where a block was handed back meanwhile there may be some in the one behind it.
        self.is_begun(self.next(read)) || self.read.load(Ordering::Acquire) != read
    }

    fn is_filled(&self, number: usize) -> bool {
        // Acquire: what the kernel wrote to the block before it changed the status is seen after this.
        self.word(number, STATUS).is_some_and(|status| status.load(Ordering::Acquire) & libc::TP_STATUS_USER != 0)
    }

    fn is_begun(&self, number: usize) -> bool {
        self.is_filled(number) || self.word(number, FRAME_COUNT).is_some_and(|count| count.load(Ordering::Acquire) > 0)
    }

    /// Where block `number` begins.
    fn start(&self, number: usize) -> Option<NonNull<u8>> {
        // SAFETY: a block whose number is less than `count` lies within the mapping.
        (number < self.count).then(|| unsafe { self.base.add(number * self.block_size) })
    }

    /// A word of a block's header.
    fn word(&self, number: usize, offset: usize) -> Option<&AtomicU32> {
        // SAFETY: the word lies within the mapping, aligned because blocks begin at pages and `offset` is that of a
        // field, and is written through this atomic and by the kernel alone.
        self.start(number).map(|start| unsafe { AtomicU32::from_ptr(start.add(offset).as_ptr().cast()) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this address and length, and no borrow of it outlives this value.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.block_size * self.count) };
    }
}

/// The next block, which is ours; it goes back to the kernel when it is dropped.
pub(super) struct Filled<'a>(&'a Mapping);

impl Filled<'_> {
    /// The whole block, its header included.
    pub(super) fn bytes(&self) -> &[u8] {
        let Some(start) = self.0.start(self.number()) else { return &[] };
        // SAFETY: the block lies within the mapping, all bytes of which are initialised (the kernel zeroes the
        // pages); the kernel doesn't write to it before `drop` hands it back, which needs this borrow to be over. Nobody
        // else writes to it either: there is one `Blocks` of a mapping, which is borrowed mutably.
        unsafe { slice::from_raw_parts(start.as_ptr(), self.0.block_size) }
    }

    fn number(&self) -> usize {
        self.0.next(self.0.read.load(Ordering::Relaxed))
    }
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        let number = self.number();
        // Before the block looks empty, so that no glance takes that for an empty ring.
        self.0.read.fetch_add(1, Ordering::Release);
        if let Some(count) = self.0.word(number, FRAME_COUNT) {
            // The kernel itself does so only when it begins to fill the block, and until then it looks filled. Release:
            // whoever sees this sees the number above, and what was done with the frames.
            count.store(0, Ordering::Release);
        }
        if let Some(status) = self.0.word(number, STATUS) {
            // Release: our reads of the block are over before the kernel sees that it may write to it.
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    const BLOCK: usize = 4096;

    /// A ring in a file, whose other side is the test.
    fn ring() -> Blocks {
        let file: File = tempfile::tempfile().unwrap();
        file.set_len(2 * BLOCK as u64).unwrap();
        Blocks::map(file.as_fd(), BLOCK, 2).unwrap()
    }

    fn put(ring: &Blocks, number: usize, offset: usize, value: u32) {
        ring.0.word(number, offset).unwrap().store(value, Ordering::Relaxed);
    }

    #[test]
    fn a_block_that_the_kernel_fills_is_left_alone() {
        let mut ring = ring();
        put(&ring, 0, FRAME_COUNT, 3);
        put(&ring, 0, STATUS, 1 << 30);
        assert!(ring.filled().is_none() && ring.glance().is_begun());
        assert_eq!(ring.0.word(0, STATUS).unwrap().load(Ordering::Relaxed) >> 30, 1, "its status is as it was");
    }

    #[test]
    fn a_block_that_was_read_is_the_kernels_again_and_the_next_is_looked_at() {
        let mut ring = ring();
        let glance = ring.glance();
        for number in [0, 1, 0] {
            assert!(!glance.is_begun());
            put(&ring, number, FRAME_COUNT, 3);
            put(&ring, number, STATUS, libc::TP_STATUS_USER);
            assert!(glance.is_begun());
            assert_eq!(ring.filled().unwrap().bytes().len(), BLOCK);
            assert!(!ring.is_filled() && !glance.is_begun());
        }
    }
}
