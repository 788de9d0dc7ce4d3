//! Where a running pfw keeps what belongs to this run: `/run/pfw`, and in it a name for each network namespace.
//!
//! The firewall's lock, the control socket and the [claims](Claim) to log files are there. All are as safe as the folder:
//! only who runs pfw may write to it.

mod claim;
mod lock;

pub use claim::Claim;
pub use lock::{Lock, Refused};

use crate::sys::effective_user;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The folder.
pub const FOLDER: &str = "/run/pfw";

/// A path in the folder, for this network namespace: `/run/pfw/4026531840.lock`. The folder need not be there.
///
/// # Errors
///
/// If the kernel does not tell the namespace.
pub fn path(extension: &str) -> io::Result<PathBuf> {
    let namespace = std::fs::metadata("/proc/self/ns/net")?.ino();
    Ok(Path::new(FOLDER).join(format!("{namespace}.{extension}")))
}

/// Makes the folder if it is not there, and makes sure that nobody but who runs this can put anything into it.
///
/// # Errors
///
/// If it can't be made, or somebody else could write to it.
pub fn make_folder() -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o750).create(FOLDER) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let data = std::fs::symlink_metadata(FOLDER)?;
    let user = effective_user();
    if data.is_dir() && data.uid() == 0 && user != 0 {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    if !data.is_dir() || data.uid() != user || data.mode() & 0o022 != 0 {
        return Err(io::Error::other("it is no folder that only its owner, who runs this, can write to"));
    }
    Ok(())
}
