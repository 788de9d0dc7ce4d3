//! A receive ring of the kernel's packet socket (`AF_PACKET`, `TPACKET_V3`), cooked, on all interfaces at once.
//!
//! The kernel writes frames into blocks of shared memory; we read them without a system call for each. Cooked
//! (`SOCK_DGRAM`) means that a frame begins at its network header whatever the link layer is, so that one socket
//! serves Ethernet, tun and WireGuard alike. Not promiscuous: no membership is asked for.

mod block;
mod group;
mod inlet;
mod memory;

pub(super) use block::{Walked, walk};
pub(super) use group::open_group;
pub(super) use inlet::Inlet;
pub(super) use memory::Glance;

use super::filter::Selection;
use super::interfaces::{Interfaces, LinkEvent};
use super::live::Tap;
use super::{Frame, SourceCounters};
use crate::sys;
use memory::Blocks;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How large the ring is, who reads it, and how much of each frame it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingConfig {
    /// Bytes of memory for frames that wait to be read, from [`RingConfig::MIN_BYTES`] to [`RingConfig::MAX_BYTES`].
    pub bytes: usize,
    /// So many threads read frames, each from a ring of its own with its share of the memory; of one the thread is that
    /// which takes them. From 1 to [`RingConfig::MAX_THREADS`].
    pub threads: u8,
    /// Bytes that are kept of each frame; of a long TCP segment it is less.
    pub snaplen: u32,
}

impl RingConfig {
    /// Two of the smallest blocks.
    pub const MIN_BYTES: usize = 2 * MIN_BLOCK;
    /// What the kernel could take without anybody's noticing that it was too much.
    pub const MAX_BYTES: usize = 1 << 30;
    /// Reading is a third of the work, and one thread does the rest: more than a few wait for that.
    pub const MAX_THREADS: u8 = 8;
}

impl Default for RingConfig {
    /// 32 MiB hold 240,000 small frames: a sixth of a second at the 1.5 million a second that one core can send.
    /// 2 KiB hold a frame of any ordinary MTU in full, and of the kernel's super-frames (up to 64 KiB and more) all
    /// headers without the cost of copying what nobody looks at, of which long TCP segments are all but their headers.
    fn default() -> Self {
        Self { bytes: 32 << 20, threads: 1, snaplen: 2048 }
    }
}

/// A block that isn't full is handed over after this time. It is the longest that a lone frame waits, and the kernel's
/// timer costs nothing measurable at this rate.
const RETIRE_MILLIS: u32 = 20;
/// The size of a block: large enough that handing it over costs nothing per frame, small enough that the blocks of
/// the default ring are many.
const BLOCK: usize = 1 << 20;
/// The size of a block in a ring that is too small for four of the other size. The largest frames, of 64 KiB, fit.
const MIN_BLOCK: usize = 128 << 10;
/// The kernel wants a frame size for its arithmetic; with version 3 it doesn't limit the size of frames.
const NOMINAL_FRAME: usize = 2048;
/// How long [`Tap::drain`] waits at most for the open block.
const DRAIN_LIMIT: Duration = Duration::from_millis(3 * RETIRE_MILLIS as u64);

/// The ring, in the hands of who reads it.
pub(super) struct Ring {
    inlet: Arc<Inlet>,
    blocks: Blocks,
}

impl Ring {
    /// Opens the ring for the selected interfaces. The first frame that can be in it is one that came after this.
    pub(super) fn open(config: RingConfig, selection: &Selection) -> io::Result<Self> {
        let ring = Self::open_shut(config)?;
        ring.inlet.select(selection)?;
        Ok(ring)
    }

    /// Opens a ring that lets nothing in so far.
    pub(super) fn open_shut(config: RingConfig) -> io::Result<Self> {
        let (block_size, count) = geometry(config.bytes)?;
        // Protocol 0 and no binding: nothing arrives before all is set up.
        let socket = sys::socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0).map_err(explain_open)?;
        let fd = socket.as_fd();
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_VERSION, &version)
            .and_then(|()| sys::set_option(fd, libc::SOL_PACKET, libc::PACKET_RX_RING, &request(block_size, count)))
            .map_err(|error| explain_ring(&error, config.bytes))?;
        // The same stamp in the ring as in NFLOG: the kernel takes it when the frame comes in, not when it is copied.
        sys::set_option(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1)?;
        let blocks = Blocks::map(fd, block_size, count).map_err(|error| explain_ring(&error, config.bytes))?;
        let inlet = Inlet::new(socket, config.snaplen);
        inlet.shut()?;
        sys::bind(inlet.fd(), &all_interfaces())?;
        Ok(Self { inlet: Arc::new(inlet), blocks })
    }

    /// What steers it, for another thread.
    pub(super) fn inlet(&self) -> Arc<Inlet> {
        Arc::clone(&self.inlet)
    }

    /// What tells another thread whether anything is in it.
    pub(super) fn glance(&self) -> Glance {
        self.blocks.glance()
    }

    /// Has `read` read the next block, if it is ready; it goes back to the kernel afterwards. Whether it was.
    pub(super) fn read_block(&mut self, read: impl FnOnce(&[u8]) -> Walked) -> bool {
        let Some(block) = self.blocks.filled() else { return false };
        self.inlet.count(read(block.bytes()));
        true
    }

    /// Has `read` read the blocks that are there, and that which is open until its time is up. Nothing may come in any more.
    pub(super) fn read_rest(&mut self, read: &mut dyn FnMut(&[u8]) -> Walked) -> io::Result<()> {
        let limit = Instant::now() + DRAIN_LIMIT;
        loop {
            while self.read_block(&mut *read) {}
            let left = limit.saturating_duration_since(Instant::now());
            if self.inlet.is_accounted_for()? || left.is_zero() {
                return Ok(());
            }
            // The open block is handed over when its time is up.
            self.wait(&[], left)?;
        }
    }
}

impl Tap for Ring {
    fn has_frames(&self) -> bool {
        self.blocks.is_begun()
    }

    fn wait(&mut self, others: &[libc::pollfd], timeout: Duration) -> io::Result<()> {
        if self.blocks.is_filled() {
            return Ok(());
        }
        let mut fds = vec![sys::readable(self.inlet.fd())];
        fds.extend_from_slice(others);
        sys::wait(&mut fds, timeout)?;
        if fds.first().is_some_and(|ring| ring.revents & libc::POLLERR != 0) { self.inlet.take_error() } else { Ok(()) }
    }

    /// The batch is a block.
    fn hand_out(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        self.read_block(|block| walk(block, sink));
        Ok(())
    }

    fn follow(&mut self, _: &Interfaces, selection: &Selection) -> io::Result<Vec<LinkEvent>> {
        self.inlet.select(selection)?;
        Ok(Vec::new())
    }

    fn counters(&mut self) -> SourceCounters {
        self.inlet.counters()
    }

    /// Afterwards the frames that were handed out and those that were dropped are all that the kernel counted.
    fn drain(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        self.inlet.shut()?;
        self.read_rest(&mut |block| walk(block, sink))
    }
}

/// Size and number of the blocks of a ring of `bytes`.
fn geometry(bytes: usize) -> io::Result<(usize, usize)> {
    let (min, max) = (RingConfig::MIN_BYTES, RingConfig::MAX_BYTES);
    if !(min..=max).contains(&bytes) {
        let what = format!("a ring of {bytes} bytes; it must have from {} KiB to {} MiB", min >> 10, max >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let block_size = if bytes >= 4 * BLOCK { BLOCK } else { MIN_BLOCK };
    Ok((block_size, bytes / block_size))
}

/// The ring as the kernel wants it described.
fn request(block_size: usize, count: usize) -> libc::tpacket_req3 {
    // `geometry` keeps all of these below 2^32.
    let number = |value: usize| libc::c_uint::try_from(value).unwrap_or(0);
    libc::tpacket_req3 {
        tp_block_size: number(block_size),
        tp_block_nr: number(count),
        tp_frame_size: number(NOMINAL_FRAME),
        tp_frame_nr: number(block_size / NOMINAL_FRAME * count),
        tp_retire_blk_tov: RETIRE_MILLIS,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    }
}

/// The address of a packet socket for every protocol on every interface.
fn all_interfaces() -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        // Both constants have 16 bits.
        sll_family: libc::AF_PACKET.try_into().unwrap_or(0),
        sll_protocol: u16::try_from(libc::ETH_P_ALL).unwrap_or(0).to_be(),
        ..sys::zeroed()
    }
}

/// Says what a packet socket needs.
pub(super) fn explain_open(error: io::Error) -> io::Error {
    let remedy = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "run with sudo or grant CAP_NET_RAW",
        Some(libc::EAFNOSUPPORT) => "this kernel has no packet sockets (CONFIG_PACKET)",
        _ => return error,
    };
    io::Error::new(error.kind(), format!("cannot open a packet socket: {error}; {remedy}"))
}

/// Says what to do where the ring itself can't be had.
fn explain_ring(error: &io::Error, bytes: usize) -> io::Error {
    let remedy = match error.raw_os_error() {
        Some(libc::ENOMEM) => "choose a smaller one",
        _ => "the other kind of capture needs none",
    };
    io::Error::new(error.kind(), format!("cannot set up a packet ring of {bytes} bytes: {error}; {remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_divided_into_blocks() {
        assert_eq!(geometry(32 << 20).unwrap(), (1 << 20, 32));
        assert_eq!(geometry(4 << 20).unwrap(), (1 << 20, 4));
        assert_eq!(geometry((4 << 20) - 1).unwrap(), (128 << 10, 31));
        assert_eq!(geometry(256 << 10).unwrap(), (128 << 10, 2));
        assert_eq!(geometry(1 << 30).unwrap(), (1 << 20, 1024));
    }

    #[test]
    fn a_size_that_no_ring_can_have_is_refused() {
        for bytes in [0, (256 << 10) - 1, (1 << 30) + 1, usize::MAX] {
            let error = geometry(bytes).unwrap_err().to_string();
            assert_eq!(error, format!("a ring of {bytes} bytes; it must have from 256 KiB to 1024 MiB"));
        }
    }

    #[test]
    fn the_request_holds_the_kernels_conditions() {
        for bytes in [RingConfig::MIN_BYTES, RingConfig::default().bytes, RingConfig::MAX_BYTES] {
            let (block_size, count) = geometry(bytes).unwrap();
            let request = request(block_size, count);
            assert!(request.tp_block_size.is_multiple_of(4096) && request.tp_frame_size.is_multiple_of(16));
            assert_eq!(request.tp_block_size / request.tp_frame_size * request.tp_block_nr, request.tp_frame_nr);
        }
    }
}
