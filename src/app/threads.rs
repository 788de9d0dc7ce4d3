//! The only place that starts threads.

use anyhow::{Context, Result};
use std::thread::{Builder, JoinHandle};

/// Starts a thread. Its name is what `top -H` and a panic's message show.
pub fn start<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    Builder::new().name(name.to_owned()).spawn(work).with_context(|| format!("cannot start the {name} thread"))
}
