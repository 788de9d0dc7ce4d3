//! Block lists that were read: a file that has not changed since is not read again, or not understood again if it may
//! have. A long one takes longer to parse and to compile than everything else that a change of one rule needs.

use super::block_list::{self, Content};
use super::file;
use super::limits::{MAX_LIST_BYTES, MAX_LIST_NETWORKS};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::mem;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file that was changed less than this before it was read is read again: a second change within the same tick of its
/// file system's clock would not show.
const SETTLED: Duration = Duration::from_secs(2);

/// The block lists of a rules file that was read.
#[derive(Clone, Debug, Default)]
pub struct Lists {
    known: RefCell<HashMap<PathBuf, Known>>,
    /// Those that were asked for since reading began: the others are forgotten when it ends.
    used: RefCell<HashMap<PathBuf, Known>>,
    /// Keyed anew in each process, so that nobody can make two lists of the same digest.
    digests: RandomState,
}

#[derive(Clone, Debug)]
struct Known {
    mark: Mark,
    /// A next change will show in the mark.
    settled: bool,
    /// Of the bytes.
    digest: u64,
    content: Arc<Content>,
}

/// What of a file is different once it has been changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    identity: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn of(data: &Metadata) -> Self {
        Self {
            identity: (data.dev(), data.ino()),
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        }
    }

    /// Whether the last change was long enough ago to be told from a next one.
    fn is_settled(&self) -> bool {
        let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return false };
        u64::try_from(self.changed.0).is_ok_and(|changed| Duration::from_secs(changed) + SETTLED < now)
    }
}

impl Lists {
    /// A rules file is going to be read.
    pub(super) fn begin(&mut self) {
        self.used.get_mut().clear();
    }

    /// It has been read: what it did not name is forgotten.
    pub(super) fn end(&mut self) {
        self.known = mem::take(&mut self.used);
    }

    /// The list in the file `path`.
    pub(super) fn read(&self, path: &Path) -> io::Result<Arc<Content>> {
        let read = self.look(path)?;
        let content = Arc::clone(&read.content);
        self.used.borrow_mut().insert(path.to_owned(), read);
        Ok(content)
    }

    /// The list in the file `path` as it was read, whatever it says now; it is read if it never was.
    pub(super) fn recall(&self, path: &Path) -> io::Result<Arc<Content>> {
        if let Some(known) = self.known.borrow().get(path) {
            return Ok(Arc::clone(&known.content));
        }
        let read = self.look(path)?;
        let content = Arc::clone(&read.content);
        self.known.borrow_mut().insert(path.to_owned(), read);
        Ok(content)
    }

    /// What the file `path` says now: what is known of it if it has not changed since.
    fn look(&self, path: &Path) -> io::Result<Known> {
        // Before it is read: a change while it is read shows the next time.
        let mark = Mark::of(&fs::metadata(path)?);
        let settled = mark.is_settled();
        let known = self.known.borrow().get(path).cloned();
        Ok(match known {
            Some(known) if known.settled && known.mark == mark => known,
            known => self.read_bytes(known, mark, settled, &file::read(path, MAX_LIST_BYTES)?),
        })
    }

    /// What the bytes of a file say: the same as those `known` if they are the same, which need not be compiled again.
    fn read_bytes(&self, known: Option<Known>, mark: Mark, settled: bool, bytes: &[u8]) -> Known {
        let digest = self.digests.hash_one(bytes);
        let same = known.filter(|known| known.digest == digest);
        let content = same.map_or_else(|| Arc::new(block_list::parse(bytes, MAX_LIST_NETWORKS)), |known| known.content);
        Known { mark, settled, digest, content }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Loaded, load_with, parse_recalling};
    use std::fs::{File, FileTimes};
    use tempfile::TempDir;

    fn networks(loaded: &Loaded) -> &Arc<[crate::rules::address::AddressRange]> {
        &loaded.ruleset.block_lists[0].networks
    }

    const RULES: &str = r#"{ "block_lists": ["list.txt"] }"#;

    /// Rules that name a list, and where the list is to be; as long as the folder is held.
    fn files() -> (TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (rules, list) = (folder.path().join("rules.json"), folder.path().join("list.txt"));
        fs::write(&rules, RULES).unwrap();
        (folder, rules, list)
    }

    #[test]
    fn a_list_is_read_once_until_it_changes() {
        let (_folder, rules, list) = files();
        fs::write(&list, "192.0.2.1\n").unwrap();
        std::thread::sleep(SETTLED + Duration::from_secs(1));
        let mut lists = Lists::default();
        let first = load_with(&rules, &mut lists).unwrap();
        let again = load_with(&rules, &mut lists).unwrap();
        assert!(Arc::ptr_eq(networks(&first), networks(&again)));
        // As long, and of the same time as far as its writer can tell.
        let time = fs::metadata(&list).unwrap().modified().unwrap();
        fs::write(&list, "192.0.2.2\n").unwrap();
        File::options().write(true).open(&list).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
        let changed = load_with(&rules, &mut lists).unwrap();
        assert_eq!(networks(&changed)[0].to_string(), "192.0.2.2");
        fs::remove_file(&list).unwrap();
        assert!(load_with(&rules, &mut lists).is_err(), "what is not there any more is not known either");
    }

    #[test]
    fn a_list_that_was_just_written_is_not_relied_upon() {
        let (_folder, rules, list) = files();
        let mut lists = Lists::default();
        for n in 1..9 {
            fs::write(&list, format!("192.0.2.{n}\n")).unwrap();
            assert_eq!(networks(&load_with(&rules, &mut lists).unwrap())[0].to_string(), format!("192.0.2.{n}"));
        }
    }

    #[test]
    fn a_list_that_is_recalled_says_what_it_said() {
        let (_folder, rules, list) = files();
        fs::write(&list, "192.0.2.1\n").unwrap();
        let mut lists = Lists::default();
        let first = load_with(&rules, &mut lists).unwrap();
        fs::write(&list, "192.0.2.2\n").unwrap();
        let recalled = parse_recalling(RULES.to_owned(), &rules, &lists).unwrap();
        assert!(Arc::ptr_eq(networks(&first), networks(&recalled)));
        let read = parse_recalling(RULES.to_owned(), &rules, &Lists::default()).unwrap();
        assert_eq!(networks(&read)[0].to_string(), "192.0.2.2", "what was never read is");
    }

    #[test]
    fn a_list_that_was_just_written_is_not_made_anew_if_it_says_the_same() {
        let (_folder, rules, list) = files();
        let mut lists = Lists::default();
        let mut read = || {
            fs::write(&list, "192.0.2.1\n").unwrap();
            load_with(&rules, &mut lists).unwrap()
        };
        assert!(Arc::ptr_eq(networks(&read()), networks(&read())));
    }
}
