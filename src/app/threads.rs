//! The only place that starts threads, and waits for them.

use super::signals::Event;
use anyhow::{Context, Result, anyhow};
use std::sync::mpsc::Sender;
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

/// Starts a thread that pfw can't go on without: if it panics, the main thread is told, and takes the rules out.
pub fn start_vital<T: Send + 'static>(
    name: &'static str,
    events: &Sender<Event>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let alarm = Alarm { name, events: events.clone() };
    start(name, move || {
        let _alarm = alarm;
        rehearse_panic(name);
        work()
    })
}

struct Alarm {
    name: &'static str,
    events: Sender<Event>,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            // If nobody listens, the main thread is ending too.
            let _ = self.events.send(Event::ThreadFailed(self.name));
        }
    }
}

/// Lets the tests see what becomes of pfw when a thread fails.
///
/// # Panics
///
/// In debug builds, if the environment variable `PFW_PANIC` names the thread.
pub fn rehearse_panic(name: &str) {
    let asked = cfg!(debug_assertions) && std::env::var("PFW_PANIC").as_deref() == Ok(name);
    assert!(!asked, "rehearsed");
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
