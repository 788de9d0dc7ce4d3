//! Packet time in whole seconds, for tables where every byte counts.

use crate::time::Timestamp;

/// The second of a time, modulo 2^32: only differences count.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "modulo by intent")]
pub(super) fn seconds(time: Timestamp) -> u32 {
    time.parts().0 as u32
}

/// Seconds from `then` to `now`; 0 if it is after it: packets come a little out of order.
#[expect(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "a difference of half the range is negative")]
pub(super) fn since(now: u32, then: u32) -> u32 {
    (now.wrapping_sub(then) as i32).max(0) as u32
}
