//! A point in time, as frames, rules and log lines carry it.
//!
//! Below every other room: it knows no clock. Who needs "now" is given it as an argument, so that a replay runs
//! on the capture's clock with the same code that runs live.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01T00:00:00Z; the range reaches from the year 1677 to 2262.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest time that can be told: "never" for an expiry.
    pub const MAX: Self = Self(i64::MAX);

    /// The earliest time that can be told.
    pub const MIN: Self = Self(i64::MIN);

    /// From nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds and nanoseconds since the epoch, clamped to what can be told.
    pub const fn from_parts(seconds: i64, nanos: u32) -> Self {
        // `i64::from` is not const.
        Self(seconds.saturating_mul(1_000_000_000).saturating_add(nanos as i64))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down, and the nanoseconds within that second.
    pub const fn parts(self) -> (i64, u32) {
        #[expect(clippy::cast_possible_truncation, reason = "a remainder of 10^9 fits")]
        let nanos = self.0.rem_euclid(1_000_000_000) as u32;
        (self.0.div_euclid(1_000_000_000), nanos)
    }

    /// The wall clock's time. Only `app` and `cli` call this.
    pub fn now() -> Self {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)),
            Err(before) => Self(i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n)),
        }
    }

    /// This time plus `duration`, clamped to what can be told.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// This time less `duration`, clamped to what can be told.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is before it (clocks step back).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}
