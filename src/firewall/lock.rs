//! One enforcing pfw in a network namespace.
//!
//! The lock is on a file that only root can open, and is held for life: by the process, and by its guardian for as long
//! as that has something to undo.

use super::error::Error;
use crate::runtime::{self, Lock, Refused};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a dead pfw's guardian may take to clean.
const GUARDIAN: Duration = Duration::from_secs(5);

/// Takes the lock of this network namespace. Whose holder lives is refused at once; a guardian is given time to finish.
pub(super) fn take() -> Result<Lock, Error> {
    let path = path()?;
    let start = Instant::now();
    loop {
        match Lock::take(&path) {
            Ok(lock) => return Ok(lock),
            Err(Refused::Unusable(error)) => return Err(Error::io(format!("lock {}", path.display()))(error)),
            Err(Refused::Held { process: pid }) if pid.is_some_and(lives) || start.elapsed() > GUARDIAN => {
                return Err(Error::Locked { pid });
            }
            Err(Refused::Held { .. }) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Whether a process is there and not a corpse that waits for its parent.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// The lock's file, named after the network namespace.
fn path() -> Result<PathBuf, Error> {
    runtime::make_folder().map_err(Error::io(format!("use {}", runtime::FOLDER)))?;
    runtime::path("lock").map_err(Error::io("tell the network namespace"))
}
