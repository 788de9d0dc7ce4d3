//! The memory that the ring shares with the kernel, and who may touch which block of it.
//!
//! A block belongs to the kernel until its status word has `TP_STATUS_USER`, then to us until we write
//! `TP_STATUS_KERNEL` (`Documentation/networking/packet_mmap.rst`). The borrow of [`Filled`] is that ownership.

#![expect(unsafe_code, reason = "memory that is shared with the kernel can't be borrowed safely")]

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where in a block its status word is.
const STATUS: usize = offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, block_status);

/// Where the number of frames in it is, which the kernel counts up as it fills the block.
const FRAME_COUNT: usize = offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, num_pkts);

/// The mapped blocks of a ring.
pub(super) struct Blocks {
    base: NonNull<u8>,
    block_size: usize,
    count: usize,
}

// SAFETY: the mapping belongs to this value alone, and no thread has a part in it.
unsafe impl Send for Blocks {}

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
        Ok(Self { base, block_size, count })
    }

    /// How many blocks there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether the kernel has filled block `number` and handed it over.
    pub(super) fn is_filled(&self, number: usize) -> bool {
        // Acquire: what the kernel wrote to the block before it changed the status is seen after this.
        self.word(number, STATUS).is_some_and(|status| status.load(Ordering::Acquire) & libc::TP_STATUS_USER != 0)
    }

    /// Whether there are frames in block `number`, though the kernel may not have handed it over.
    pub(super) fn is_begun(&self, number: usize) -> bool {
        self.is_filled(number) || self.word(number, FRAME_COUNT).is_some_and(|count| count.load(Ordering::Acquire) > 0)
    }

    /// Block `number`, if [`Blocks::is_filled`].
    pub(super) fn filled(&mut self, number: usize) -> Option<Filled<'_>> {
        // Only then: to drop it is to hand the block back, which nobody may do with one that the kernel fills.
        if self.is_filled(number) { Some(Filled { ring: self, number }) } else { None }
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

impl Drop for Blocks {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this address and length, and no borrow of it outlives this value.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.block_size * self.count) };
    }
}

/// A block that is ours; it goes back to the kernel when it is dropped.
pub(super) struct Filled<'a> {
    ring: &'a mut Blocks,
    number: usize,
}

impl Filled<'_> {
    /// The whole block, its header included.
    pub(super) fn bytes(&self) -> &[u8] {
        let Some(start) = self.ring.start(self.number) else { return &[] };
        // SAFETY: the block lies within the mapping, all bytes of which are initialised (the kernel zeroes the
        // pages); the kernel doesn't write to it before `drop` hands it back, which needs this borrow to be over.
        unsafe { slice::from_raw_parts(start.as_ptr(), self.ring.block_size) }
    }
}

impl Drop for Filled<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.ring.word(self.number, FRAME_COUNT) {
            // The kernel itself does so only when it begins to fill the block, and until then it looks filled.
            count.store(0, Ordering::Relaxed);
        }
        if let Some(status) = self.ring.word(self.number, STATUS) {
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

    fn put(ring: &Blocks, offset: usize, value: u32) {
        ring.word(0, offset).unwrap().store(value, Ordering::Relaxed);
    }

    #[test]
    fn a_block_that_the_kernel_fills_is_left_alone() {
        let mut ring = ring();
        put(&ring, FRAME_COUNT, 3);
        put(&ring, STATUS, 1 << 30);
        assert!(ring.filled(0).is_none() && ring.is_begun(0));
        assert_eq!(ring.word(0, STATUS).unwrap().load(Ordering::Relaxed) >> 30, 1, "its status is as it was");
    }

    #[test]
    fn a_block_that_was_read_is_the_kernels_again_and_empty() {
        let mut ring = ring();
        put(&ring, FRAME_COUNT, 3);
        put(&ring, STATUS, libc::TP_STATUS_USER);
        assert_eq!(ring.filled(0).unwrap().bytes().len(), BLOCK);
        assert!(!ring.is_filled(0) && !ring.is_begun(0));
    }
}
