//! What was allowed, blocked and suspicious in each of the last seconds: counts of the running pfw -> a series. It is
//! made of what pfw counted, so that events that this view was too slow for are in it.

use crate::control::report::Counts;
use std::collections::VecDeque;

/// Seconds that are remembered: what the widest terminals can show, two to a column.
pub const SECONDS: usize = 900;

/// Packets of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Let through.
    pub allowed: u64,
    /// Dropped; where nobody enforces, what would have been.
    pub blocked: u64,
    /// Odd: suspicious by themselves.
    pub suspicious: u64,
}

/// The series.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The newest last.
    seconds: VecDeque<Rates>,
    /// What was counted when, in seconds of that pfw's life.
    last: Option<(Counts, u64)>,
}

impl History {
    /// Takes in what pfw has counted after so many seconds of its life.
    pub fn take(&mut self, counts: Counts, uptime: u64) {
        let Some((before, then)) = self.last.replace((counts, uptime)) else { return };
        if uptime < then || counts.packets < before.packets {
            // Another pfw has come.
            return;
        }
        if uptime == then {
            // The same second, asked twice: it is counted with the next.
            self.last = Some((before, then));
            return;
        }
        let passed = uptime - then;
        let rate = |now: u64, before: u64| now.saturating_sub(before) / passed;
        let rates = Rates {
            allowed: rate(counts.allowed, before.allowed),
            blocked: rate(counts.blocked + counts.would_block, before.blocked + before.would_block),
            suspicious: rate(counts.suspicious, before.suspicious),
        };
        // A view that was stopped for long has nothing better to show for that time than the mean.
        for _ in 0..passed.min(SECONDS as u64) {
            self.seconds.push_back(rates);
        }
        while self.seconds.len() > SECONDS {
            self.seconds.pop_front();
        }
    }

    /// The latest so many seconds, the newest last.
    pub fn latest(&self, n: usize) -> impl ExactSizeIterator<Item = Rates> + Clone {
        self.seconds.range(self.seconds.len().saturating_sub(n)..).copied()
    }

    /// The latest second.
    pub fn now(&self) -> Rates {
        self.seconds.back().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(allowed: u64, blocked: u64) -> Counts {
        Counts { packets: allowed + blocked, allowed, blocked, ..Counts::default() }
    }

    fn series(history: &History) -> Vec<(u64, u64)> {
        history.latest(SECONDS).map(|rates| (rates.allowed, rates.blocked)).collect()
    }

    #[test]
    fn each_second_has_what_was_counted_in_it() {
        let mut history = History::default();
        history.take(counts(100, 10), 5);
        assert_eq!(series(&history), [], "of the time before nothing is known");
        history.take(counts(150, 10), 6);
        history.take(counts(150, 17), 7);
        assert_eq!(series(&history), [(50, 0), (0, 7)]);
        history.take(counts(150, 99), 7);
        history.take(counts(151, 99), 8);
        assert_eq!(series(&history), [(50, 0), (0, 7), (1, 82)], "the second that was asked twice");
        history.take(counts(157, 99), 11);
        assert_eq!(series(&history)[3..], [(2, 0); 3], "three seconds, and the mean of them");
    }

    #[test]
    fn another_pfw_begins_anew_and_what_is_shown_stays() {
        let mut history = History::default();
        history.take(counts(100, 0), 5);
        history.take(counts(200, 0), 6);
        history.take(counts(3, 0), 1);
        history.take(counts(5, 0), 2);
        assert_eq!(series(&history), [(100, 0), (2, 0)]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut history = History::default();
        history.take(counts(0, 0), 0);
        history.take(counts(1, 0), u64::MAX);
        history.take(counts(2, 0), u64::MAX);
        assert_eq!(history.latest(usize::MAX).len(), SECONDS);
    }
}
