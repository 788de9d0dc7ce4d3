//! How long the producer waits for room in the queue.

use super::{Config, LAST_PATIENCE, Target, WhenFull};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

/// How often a full queue is tried again by who waits with a bound.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// How long a chunk may wait for room; `None` is without a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Patience {
    /// As long as more may come.
    pub(super) usual: Option<Duration>,
    /// With the last chunk.
    pub(super) last: Option<Duration>,
}

impl Patience {
    /// What a log of this configuration has. Who waits for a slow reader (`pfw replay | less`) does so to the end.
    pub(super) fn of(config: &Config) -> Self {
        match (config.when_full, &config.target) {
            (WhenFull::Wait, _) => Self { usual: None, last: None },
            (WhenFull::Lose, Target::File(_)) => Self { usual: Some(Duration::ZERO), last: None },
            (WhenFull::Lose, Target::StandardOutput) => Self { usual: Some(Duration::ZERO), last: Some(LAST_PATIENCE) },
        }
    }
}

/// Sends `value`, and waits for room no longer than `patience`. Gives back what was not sent.
pub(super) fn send_within<T>(queue: &SyncSender<T>, value: T, patience: Option<Duration>) -> Result<(), T> {
    let Some(patience) = patience else { return queue.send(value).map_err(|error| error.0) };
    let begin = Instant::now();
    let mut value = value;
    loop {
        match queue.try_send(value) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(refused)) if begin.elapsed() < patience => value = refused,
            Err(TrySendError::Full(refused) | TrySendError::Disconnected(refused)) => return Err(refused),
        }
        thread::sleep(TRY_EVERY);
    }
}
