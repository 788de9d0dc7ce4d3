//! Packets per second, from looks at a counter.

use std::time::{Duration, Instant};

/// Looks that are closer together are one: they would say little.
const APART: Duration = Duration::from_millis(900);

/// The rate between the two latest looks.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    count: u64,
    at: Instant,
    per_second: u64,
}

impl Rate {
    /// Nothing was counted until now.
    pub fn new(now: Instant) -> Self {
        Self { count: 0, at: now, per_second: 0 }
    }

    /// Takes a look.
    pub fn take(&mut self, count: u64, now: Instant) {
        let time = now.saturating_duration_since(self.at);
        if time < APART {
            return;
        }
        let more = u128::from(count.saturating_sub(self.count));
        let per_second = more * 1_000 / time.as_millis().max(1);
        *self = Self { count, at: now, per_second: u64::try_from(per_second).unwrap_or(u64::MAX) };
    }

    /// The rate.
    pub fn per_second(&self) -> u64 {
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_latest_second() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        rate.take(1_000, start + Duration::from_secs(1));
        assert_eq!(rate.per_second(), 1_000);
        rate.take(5_000, start + Duration::from_millis(1_100));
        assert_eq!(rate.per_second(), 1_000, "too soon to tell");
        rate.take(5_000, start + Duration::from_secs(3));
        assert_eq!(rate.per_second(), 2_000);
    }
}
