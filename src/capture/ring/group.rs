//! Rings that share the frames of the machine: each frame goes to one of them (`PACKET_FANOUT`, `packet(7)`).

use super::{Ring, RingConfig, geometry};
use crate::sys;
use std::io;

// From `linux/if_packet.h`.
const PACKET_FANOUT: libc::c_int = 18;
/// The rings take turns, so that all threads have as much to do whoever sends what. The order is found by the times.
const LOAD_BALANCE: u16 = 1;
/// A frame whose turn is at a full ring goes to another.
const ROLLOVER: u16 = 0x1000;
/// The kernel chooses the number of the group, which nobody else has then.
const UNIQUE: u16 = 0x2000;

/// Opens so many rings as there are to be threads, each with its share of the memory. They let nothing in so far: before
/// they are one group each would get all.
pub(in crate::capture) fn open_group(config: RingConfig) -> io::Result<Vec<Ring>> {
    // All of them together are to be of a size that one may have.
    geometry(config.bytes)?;
    let share = RingConfig { bytes: config.bytes / usize::from(config.threads.max(1)), ..config };
    let too_small = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidInput => {
            let what = format!("of {} threads each would have {error}; choose a larger --ring-size", config.threads);
            io::Error::new(error.kind(), what)
        }
        _ => error,
    };
    let mut rings: Vec<Ring> = Vec::new();
    let mut number = None;
    for _ in 0..config.threads {
        let ring = Ring::open_shut(share).map_err(too_small)?;
        number = Some(join(&ring, number)?);
        rings.push(ring);
    }
    Ok(rings)
}

/// Makes a ring one of the group of that number, or of a new one; the number.
fn join(ring: &Ring, group: Option<u16>) -> io::Result<u16> {
    let flags = LOAD_BALANCE | ROLLOVER | if group.is_none() { UNIQUE } else { 0 };
    let value = i32::from_ne_bytes((u32::from(group.unwrap_or(0)) | u32::from(flags) << 16).to_ne_bytes());
    let fd = ring.inlet.fd();
    sys::set_option(fd, libc::SOL_PACKET, PACKET_FANOUT, &value)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot let rings share the frames: {error}")))?;
    let value: libc::c_int = sys::option(fd, libc::SOL_PACKET, PACKET_FANOUT)?;
    // The lower half.
    Ok(u16::try_from(value & 0xffff).unwrap_or(0))
}
