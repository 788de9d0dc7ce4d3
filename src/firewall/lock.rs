//! One enforcing pfw in a network namespace.
//!
//! The lock is on a file that only root can open, and is held for life: by the process, and by its guardian for as long
//! as that has something to undo.

use super::error::Error;
use crate::runtime;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a dead pfw's guardian may take to clean.
const GUARDIAN: Duration = Duration::from_secs(5);

/// The lock of this network namespace, held.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock. Whose holder lives is refused at once; a guardian is given time to finish.
    pub(super) fn take() -> Result<Self, Error> {
        let path = path()?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(Error::io(format!("open {}", path.display())))?;
        let start = Instant::now();
        while let Err(error) = file.try_lock() {
            let TryLockError::WouldBlock = error else {
                return Err(Error::io(format!("lock {}", path.display()))(error.into()));
            };
            let pid = holder(&mut file);
            if pid.is_some_and(lives) || start.elapsed() > GUARDIAN {
                return Err(Error::Locked { pid });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(pid.as_bytes()))
            .map_err(Error::io(format!("write {}", path.display())))?;
        Ok(Self { file })
    }

    /// The same lock for another process: it is free when both are gone.
    pub(super) fn share(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(Error::io("share the lock"))
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether a process is there and not a corpse that waits for its parent.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// The lock's file, named after the network namespace.
fn path() -> Result<PathBuf, Error> {
    let own = std::fs::metadata("/proc/self").map_err(Error::io("tell who runs this"))?.uid();
    runtime::make_folder(own).map_err(Error::io(format!("use {}", runtime::FOLDER)))?;
    runtime::path("lock").map_err(Error::io("tell the network namespace"))
}
