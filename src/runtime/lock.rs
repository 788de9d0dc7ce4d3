//! A lock that nobody can take who can't write to the folder that its file is in.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The lock on a file that only its owner can open, held; the file has the process id of who holds it.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// Why a lock could not be taken.
#[derive(Debug)]
pub enum Refused {
    /// Somebody else holds it.
    Held {
        /// His process, if the file tells.
        process: Option<u32>,
    },
    /// Its file can't be used.
    Unusable(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Unusable(error)
    }
}

impl Lock {
    /// Takes the lock, or says at once who has it. Makes the file if it is missing.
    ///
    /// # Errors
    ///
    /// If somebody else holds it, or the file can't be opened, locked or written.
    pub fn take(path: &Path) -> Result<Self, Refused> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let mut file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refused::Held { process: holder(&mut file) }),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
        Ok(Self { file })
    }

    /// The same lock for another process: it is free when both are gone.
    ///
    /// # Errors
    ///
    /// If there are too many open files.
    pub fn share(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Whether its file is the one of this name.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let (Ok(ours), Ok(there)) = (self.file.metadata(), path.symlink_metadata()) else { return false };
        (ours.dev(), ours.ino()) == (there.dev(), there.ino())
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn one_holds_it_and_another_is_told_who() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        // Left by one that was killed, with a longer number.
        fs::write(&path, "4194304000\n").unwrap();
        let lock = Lock::take(&path).unwrap();
        let refused = Lock::take(&path).unwrap_err();
        assert!(matches!(refused, Refused::Held { process } if process == Some(std::process::id())), "{refused:?}");
        let shared = lock.share().unwrap();
        drop(lock);
        assert!(matches!(Lock::take(&path), Err(Refused::Held { .. })));
        drop(shared);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn its_file_is_for_its_owner_and_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("lock"), folder.path().join("link"));
        let _lock = Lock::take(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        symlink(&path, &link).unwrap();
        assert!(matches!(Lock::take(&link), Err(Refused::Unusable(_))));
    }
}
