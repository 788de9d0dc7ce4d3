//! How long the capture thread waits for frames at most. Frames, reports, and whoever leaves rules or wants to see
//! something wake it in any case.

use std::time::Duration;

/// As a rule: a line that is due is handed on after that, and an order to stop is seen.
const WAIT: Duration = Duration::from_millis(100);
/// While packets wait for the kernel's verdict.
pub const SHORT_WAIT: Duration = Duration::from_millis(10);
/// While nothing happens, once it has been so for some rounds: all that was due has been handed on then. Ten wake-ups a
/// second are most of what an idle machine is cost.
const WAIT_AT_REST: Duration = Duration::from_millis(250);
const ROUNDS_TO_REST: u32 = 20;

/// The pace of the rounds.
#[derive(Debug, Default)]
pub struct Pace {
    /// Rounds in a row in which nothing came.
    quiet: u32,
}

impl Pace {
    /// Takes in whether something came in a round, be it work for the next ones.
    pub fn hear(&mut self, something: bool) {
        self.quiet = if something { 0 } else { self.quiet.saturating_add(1) };
    }

    /// How long the next wait is at most; `for_verdicts` if packets are waiting for those.
    pub fn wait(&self, for_verdicts: bool) -> Duration {
        match self.quiet {
            _ if for_verdicts => SHORT_WAIT,
            ROUNDS_TO_REST.. => WAIT_AT_REST,
            _ => WAIT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_long_only_after_a_quiet_time() {
        let mut pace = Pace::default();
        for _ in 0..ROUNDS_TO_REST {
            assert_eq!((pace.wait(false), pace.wait(true)), (WAIT, SHORT_WAIT));
            pace.hear(false);
        }
        assert_eq!((pace.wait(false), pace.wait(true)), (WAIT_AT_REST, SHORT_WAIT));
        pace.hear(true);
        assert_eq!(pace.wait(false), WAIT);
    }
}
