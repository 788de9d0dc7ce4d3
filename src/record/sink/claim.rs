//! Keeps two pfw from writing to one log: each would tell its own of the same packets.
//!
//! The lock goes with the process, however that ends. Whoever may read the log can lock it too, and must not keep pfw
//! from starting: only a lock of root, or of the user who runs pfw, can be another pfw's.

use super::owner::effective_user;
use anyhow::bail;
use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// All locks of the machine, a line each (`proc_locks(5)`).
const LOCKS: &str = "/proc/locks";

/// Locks the log file as long as it is open. A file system that knows no locks is done without.
///
/// # Errors
/// Another pfw has it.
pub(super) fn claim(path: &Path, file: &File) -> anyhow::Result<()> {
    if !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Ok(());
    }
    let shown = path.display();
    let holder = holder(file);
    match holder.and_then(|id| Some((id, fs::metadata(format!("/proc/{id}")).ok()?.uid()))) {
        Some((id, user)) if user != 0 && user != effective_user() => {
            tracing::warn!(
                "process {id} of user {user}, who can't be a pfw, has locked the log file {shown}: whether another pfw writes to it can't be told"
            );
            Ok(())
        }
        _ => {
            let who = holder.map_or_else(String::new, |id| format!(" (process {id})"));
            bail!("another pfw{who} writes to the log file {shown}; choose another --log-file, or end that one first")
        }
    }
}

/// The process that has locked a file, if it is one of those that can be seen from here.
fn holder(file: &File) -> Option<u32> {
    let data = file.metadata().ok()?;
    let device = (libc::major(data.dev()), libc::minor(data.dev()));
    holder_in(&fs::read_to_string(LOCKS).ok()?, device, data.ino())
}

/// The same by the text of that file: `1: FLOCK  ADVISORY  WRITE 4711 00:2b:1234 0 EOF`, the device in hexadecimal.
fn holder_in(locks: &str, (major, minor): (u32, u32), inode: u64) -> Option<u32> {
    let place = format!("{major:02x}:{minor:02x}:{inode}");
    let holder = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        // Of those who wait for it, a line has an arrow more.
        let &[_, "FLOCK", _, _, id, at, ..] = &words[..] else { return None };
        // Process 0 is one of another namespace.
        id.parse().ok().filter(|&id| at == place && id > 0)
    };
    locks.lines().find_map(holder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_among_all() {
        let locks = "1: POSIX  ADVISORY  READ 7 00:2b:1234 0 EOF\n2: FLOCK  ADVISORY  WRITE 8 00:2b:12345 0 EOF\n\
            3: FLOCK  ADVISORY  WRITE 4711 00:2b:1234 0 EOF\n3: -> FLOCK  ADVISORY  WRITE 9 00:2b:1234 0 EOF\n\
            4: FLOCK  ADVISORY  WRITE 0 fe:01:1 0 EOF\n";
        assert_eq!(holder_in(locks, (0, 0x2b), 1234), Some(4711));
        assert_eq!(holder_in(locks, (0xfe, 1), 1), None, "somewhere else");
        assert_eq!(holder_in(locks, (0, 0x2b), 99), None);
    }

    #[test]
    fn a_lock_of_our_own_user_is_another_pfw() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("firewall.log");
        let first = File::create(&path).unwrap();
        claim(&path, &first).unwrap();
        let said = claim(&path, &File::open(&path).unwrap()).unwrap_err().to_string();
        assert!(
            said.contains(&format!("another pfw (process {}) writes to the log file ", std::process::id())),
            "{said}"
        );
    }
}
