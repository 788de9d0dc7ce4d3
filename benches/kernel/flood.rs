//! A bounded flood of small UDP datagrams, written frame by frame: what `pktgen` does, where there is none.
//!
//! The sender bypasses the queueing discipline, and over a veth pair the receiving host's work is done on the sender's
//! processor between two frames: the rate is that of sender and receiver together, with nothing waiting in between.

use crate::world::sh;
use std::ffi::CString;
use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Frames that are given to the kernel in one call.
const BATCH: usize = 64;
/// Length of a frame: Ethernet, IPv4, UDP and 18 bytes.
const FRAME: usize = 60;

/// Where a flood goes, and how it looks.
pub struct Flood {
    /// Name of the sending interface.
    pub interface: &'static str,
    /// The receiver's hardware address.
    pub to: [u8; 6],
    /// The receiver.
    pub dst: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// The sources, in turn.
    pub sources: Vec<Ipv4Addr>,
}

impl Flood {
    /// Sends `packets` frames, as fast as it goes or so many a second; how much time of a processor that took.
    pub fn send(&self, packets: usize, rate: Option<f64>) -> io::Result<Duration> {
        let socket = Socket::open(self.interface)?;
        let mut frames: Vec<[u8; FRAME]> = self.sources.iter().map(|&src| self.frame(src)).collect();
        // Whole batches, so that each call has as many.
        let round = frames.len().next_multiple_of(BATCH);
        frames = frames.into_iter().cycle().take(round).collect();
        let mut vectors: Vec<_> = frames.iter_mut().map(vector).collect();
        let mut messages: Vec<_> = vectors.iter_mut().map(message).collect();
        let (start, begin) = (cpu_time(), Instant::now());
        let mut left = packets;
        for batch in messages.chunks_mut(BATCH).map(<[_]>::as_mut_ptr).collect::<Vec<_>>().into_iter().cycle() {
            if left == 0 {
                break;
            }
            while rate.is_some_and(|rate| begin.elapsed().as_secs_f64() * rate < (packets - left) as f64) {
                std::hint::spin_loop();
            }
            left = left.saturating_sub(socket.send(batch)?);
        }
        Ok(cpu_time().saturating_sub(start))
    }

    fn frame(&self, src: Ipv4Addr) -> [u8; FRAME] {
        let mut frame = [0; FRAME];
        frame[..6].copy_from_slice(&self.to);
        frame[6..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 0x08, 0x00]);
        let length = u16::try_from(FRAME - 14).expect("small");
        frame[14..26].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0]);
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        frame[26..30].copy_from_slice(&src.octets());
        frame[30..34].copy_from_slice(&self.dst.octets());
        let sum = checksum(&frame[14..34]);
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        frame[34..36].copy_from_slice(&40_000_u16.to_be_bytes());
        frame[36..38].copy_from_slice(&self.port.to_be_bytes());
        // No checksum of UDP: 0 says so.
        frame[38..40].copy_from_slice(&(length - 20).to_be_bytes());
        frame
    }
}

/// The hardware address of an interface of this network namespace.
pub fn hardware_address(interface: &str) -> [u8; 6] {
    let text = sh(&format!("ip -o link show dev {interface} | sed 's/.*ether //; s/ .*//'"));
    let bytes: Vec<_> = text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect();
    bytes.try_into().expect("six bytes")
}

fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded")
}

fn vector(frame: &mut [u8; FRAME]) -> libc::iovec {
    libc::iovec { iov_base: frame.as_mut_ptr().cast(), iov_len: FRAME }
}

fn message(vector: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all zero bytes are a message without address, vectors and control data.
    let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
    message.msg_hdr.msg_iov = vector;
    message.msg_hdr.msg_iovlen = 1;
    message
}

/// A packet socket that only sends.
struct Socket(libc::c_int);

impl Socket {
    fn open(interface: &str) -> io::Result<Self> {
        let name = CString::new(interface)?;
        // SAFETY: the name ends with a zero byte.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        // SAFETY: takes numbers; protocol 0 receives nothing.
        let socket = Self(checked(unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?);
        let bypass: libc::c_int = 1;
        // SAFETY: the option is a number of this length.
        checked(unsafe {
            libc::setsockopt(
                socket.0,
                libc::SOL_PACKET,
                libc::PACKET_QDISC_BYPASS,
                (&raw const bypass).cast(),
                libc::socklen_t::try_from(size_of_val(&bypass)).expect("small"),
            )
        })?;
        // SAFETY: all zero bytes are an address.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET.try_into().expect("small");
        address.sll_ifindex = index.try_into().expect("small");
        let length = libc::socklen_t::try_from(size_of_val(&address)).expect("small");
        // SAFETY: the address lives for the call and has this length.
        checked(unsafe { libc::bind(socket.0, (&raw const address).cast(), length) })?;
        Ok(socket)
    }

    /// Sends a batch; how many frames of it went out.
    fn send(&self, batch: *mut libc::mmsghdr) -> io::Result<usize> {
        // SAFETY: `batch` points at `BATCH` messages, whose vectors and frames outlive the call.
        let sent = unsafe { libc::sendmmsg(self.0, batch, BATCH.try_into().expect("small"), 0) };
        match checked(sent) {
            Ok(sent) => Ok(usize::try_from(sent).expect("not negative")),
            // The receiver's queue is full: the frame is lost, as on a wire.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(1),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours, and nobody uses it after this.
        unsafe { libc::close(self.0) };
    }
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The time that this thread has had a processor, what the kernel did for the receiver on it included.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is written within the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a thousand million"))
}
