//! Patience with somebody who keeps moving our jump.

use std::collections::VecDeque;
use std::time::Duration;

/// So many repairs are made at once ...
const AT_ONCE: usize = 5;
/// ... in so long a time; then one for each such time.
const SPAN: Duration = Duration::from_mins(1);

/// Whether to repair now. Time is given, as how long ago some fixed moment was.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    recent: VecDeque<Duration>,
}

impl Backoff {
    /// Whether a repair may be made at `now`; if so it counts as made. A refusal is worth an alarm.
    pub fn may_repair(&mut self, now: Duration) -> bool {
        while self.recent.front().is_some_and(|&then| then + SPAN <= now) {
            self.recent.pop_front();
        }
        let may = self.recent.len() < AT_ONCE;
        if may {
            self.recent.push_back(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_repairs_a_minute_are_made_and_no_more() {
        let mut backoff = Backoff::default();
        let made = (0..600).filter(|&tenth| backoff.may_repair(Duration::from_millis(tenth * 100))).collect::<Vec<_>>();
        assert_eq!(made, [0, 1, 2, 3, 4]);
        assert!(backoff.may_repair(Duration::from_mins(1)));
        assert!(!backoff.may_repair(Duration::from_millis(60_050)));
    }
}
