//! Keeps two pfw from writing to one log: each would tell its own of the same packets.
//!
//! Which of them may is told by a claim in pfw's own folder, where nobody else can make one. There is a lock on the log
//! itself too, which shows a pfw that has another such folder (in a container) or can't use it (an ordinary user's). But
//! anybody who may read the log can hold that lock: whose claim stands is not kept from writing by it.

use crate::runtime::{self, Refused};
use anyhow::bail;
use std::fs::{File, TryLockError};
use std::path::Path;

/// The claim to a log; none where the folder can't be used. The lock on the log is held as long as that is open.
pub(super) type Claim = Option<runtime::Claim>;

/// Claims the log file. A file system that knows no locks is done without.
///
/// # Errors
/// Another pfw writes to it; or it is locked, and whose lock that is can't be told.
pub(super) fn claim(path: &Path, file: &File) -> anyhow::Result<Claim> {
    let (shown, remedy) = (path.display(), "choose another --log-file, or end that one first");
    let claimed = runtime::Claim::take(file);
    if let Err(Refused::Held { process }) = &claimed {
        let who = process.map_or_else(String::new, |id| format!(" (process {id})"));
        bail!("another pfw{who} writes to the log file {shown}; {remedy}");
    }
    let is_locked = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
    if is_locked && claimed.is_err() {
        bail!("the log file {shown} is locked, as it is while another pfw writes to it; {remedy}");
    }
    if is_locked {
        tracing::warn!(
            "somebody has locked the log file {shown}, as anybody can who may read it: whether a pfw that does not use {} writes to it can't be told",
            runtime::FOLDER
        );
    }
    Ok(claimed.ok())
}
