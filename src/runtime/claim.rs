//! One pfw at a time that does something with a file, whatever name it has there.
//!
//! A lock on the file itself could be taken by anybody who may read it, and would keep pfw out. This one is on a file of
//! its own in [the folder](super::FOLDER), named after device and inode of what is claimed.
//!
//! The lock's file is removed when the claim ends, by who holds it, so that nobody takes it away from another. What a pfw
//! that was killed leaves is an empty claim: whoever claims the same takes it over, and the folder is emptied when the
//! machine starts.

use super::lock::{Lock, Refused};
use super::{FOLDER, make_folder};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that nobody else has claimed who uses the same folder.
#[derive(Debug)]
pub struct Claim {
    lock: Lock,
    path: PathBuf,
}

impl Claim {
    /// Claims an open file or folder.
    ///
    /// # Errors
    ///
    /// If another has claimed it, or the folder can't be used: an ordinary user's pfw has none.
    pub fn take(what: &File) -> Result<Self, Refused> {
        make_folder()?;
        Self::take_in(Path::new(FOLDER), what)
    }

    fn take_in(folder: &Path, what: &File) -> Result<Self, Refused> {
        let data = what.metadata()?;
        let (device, inode) = (data.dev(), data.ino());
        let path = folder.join(format!("{}:{}:{inode}.claim", libc::major(device), libc::minor(device)));
        loop {
            let lock = Lock::take(&path)?;
            // Who had it may have removed the file between our opening and our locking it.
            if lock.is_at(&path) {
                return Ok(Self { lock, path });
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // If somebody has removed ours, the one there is another's.
        if self.lock.is_at(&self.path) {
            // What stays is taken over by the next.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn a_file_is_claimed_by_one_under_all_its_names_and_another_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (one, other) = (File::create(at("one")).unwrap(), File::create(at("other")).unwrap());
        fs::hard_link(at("one"), at("again")).unwrap();
        fs::create_dir(at("run")).unwrap();
        let take = |file: &File| Claim::take_in(&at("run"), file);
        let claim = take(&one).unwrap();
        assert!(matches!(take(&File::open(at("again")).unwrap()), Err(Refused::Held { .. })));
        let _other = take(&other).unwrap();
        drop(claim);
        let _again = take(&one).unwrap();
        assert_eq!(fs::read_dir(at("run")).unwrap().count(), 2);
    }

    #[test]
    fn nothing_stays_and_what_is_another_s_does() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::open(folder.path()).unwrap();
        let take = || Claim::take_in(folder.path(), &file).unwrap();
        let first = take();
        fs::remove_file(&first.path).unwrap();
        let second = take();
        drop(first);
        assert!(second.path.exists());
        drop(second);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn of_many_that_come_and_go_one_has_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::open(folder.path()).unwrap();
        let (inside, had) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let visit = || {
            while had.load(Ordering::Relaxed) < 2_000 {
                let Ok(_claim) = Claim::take_in(folder.path(), &file) else { continue };
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                had.fetch_add(1, Ordering::Relaxed);
                inside.fetch_sub(1, Ordering::SeqCst);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(visit);
            }
        });
    }
}
