//! The only place that starts threads, and waits for them.

use anyhow::{Context, Result, anyhow};
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};

/// How long standard output and error are given for the last lines; Ctrl-C is to end pfw within a second.
pub const PATIENCE: Duration = Duration::from_millis(400);

/// Does what may have to wait for a terminal, but waits no longer than `patience` for it.
pub fn within(patience: Duration, work: impl FnOnce() + Send + 'static) {
    if let Ok(thread) = start("last words", work) {
        // What could not be said can't be told either.
        let _ = join_within("last words", thread, patience);
    }
}

/// Starts a thread. Its name is what `top -H` and a panic's message show.
pub fn start<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(work).with_context(|| format!("cannot start the {name} thread"))
}

/// Waits for a thread's result. `name` is for the error of one that panicked.
pub fn join<T>(name: &str, thread: JoinHandle<T>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("the {name} thread has failed"))
}

/// Waits for a thread that writes to standard output, but no longer than `patience`: a terminal that was stopped or a
/// pipe that nobody reads must not keep pfw from ending.
pub fn join_within(name: &str, thread: JoinHandle<()>, patience: Duration) -> Result<()> {
    /// How often it is asked whether it has ended: not noticed by who waits for the prompt.
    const LOOK: Duration = Duration::from_millis(5);
    let end = Instant::now() + patience;
    while !thread.is_finished() {
        if Instant::now() >= end {
            tracing::warn!("standard output takes no more: some lines were not shown");
            return Ok(());
        }
        thread::sleep(LOOK);
    }
    join(name, thread)
}
