//! Notices that a rules file, or a block list that it names, says something else than before.
//!
//! [`Watch`] has no thread: a loop polls its descriptor, sleeps no longer than [`Watch::due`] says, and asks
//! [`Watch::changed`]. What counts is the content: a touch, or a file that was replaced by an equal one, is no change.
//! A burst of events is waited out, so that a file is read when its writer is done with it.
//!
//! inotify by hand and not the `notify` crate: that one starts a thread of its own, follows no symbolic links, and
//! leaves to its user what is most of this module.
//!
//! # What is watched
//!
//! Every folder on the way to a file (`rules::path`) for being moved or removed itself; a folder that holds the file
//! or a link on the way also for what its names are given to; and the file for being written. A folder is not watched
//! for writes, because the log is often in the same one. Where the way is broken, or can't be watched, it is looked
//! at again every `LOOK_AGAIN`.

#[cfg(test)]
mod tests;

use super::file;
use super::limits::{MAX_FILE_BYTES, MAX_LIST_BYTES};
use super::path::{Step, steps};
use crate::sys::inotify::{Event, Inotify, WatchId};
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long nothing must happen before a file is read: editors take some steps to save one.
const QUIET: Duration = Duration::from_millis(200);

/// The same while somebody has written to the file and not closed it yet: half a block list is a sound one.
const QUIET_WHILE_WRITTEN: Duration = Duration::from_millis(700);

/// How long a file that is saved over and over is waited for at most.
const PATIENCE: Duration = Duration::from_millis(800);

/// The same while it is being written without being closed.
const PATIENCE_WHILE_WRITTEN: Duration = Duration::from_secs(5);

/// How often the way to a file is gone again, if it turns elsewhere while it is gone.
const TURNS: usize = 4;

/// How often a way that can't be watched is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// For a folder on the way.
const OF_FOLDER: u32 = libc::IN_MOVE_SELF | libc::IN_DELETE_SELF | libc::IN_ONLYDIR | libc::IN_MASK_ADD;
/// For a folder whose names matter.
const OF_NAMES: u32 = libc::IN_CREATE | libc::IN_DELETE | libc::IN_MOVED_FROM | libc::IN_MOVED_TO;
/// For the file itself.
const OF_FILE: u32 = libc::IN_MODIFY | libc::IN_CLOSE_WRITE | libc::IN_MASK_ADD;

/// Files that are watched.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    files: Vec<Watched>,
    /// What each watch of the kernel is good for.
    watches: HashMap<WatchId, Purpose>,
    hasher: RandomState,
    /// Something happened that is not looked at yet.
    stir: Option<Stir>,
    /// When the ways that can't be watched are looked at next, if there are any.
    look_again: Option<Instant>,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// What it held when it was looked at last.
    content: Content,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// A hash of it.
    Known(u64),
    /// It can't be read, and why not.
    None(io::ErrorKind),
}

/// What a watch of the kernel is good for.
#[derive(Debug, Default)]
struct Purpose {
    /// The names in this folder that matter.
    names: HashSet<OsString>,
}

/// Events since a time.
#[derive(Clone, Copy, Debug)]
struct Stir {
    first: Instant,
    last: Instant,
    /// The last one told of a write that may not have been the last.
    being_written: bool,
}

/// A file that says something else than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The file, as it was named.
    pub path: PathBuf,
    /// Whether it can be read at all.
    pub readable: bool,
}

impl Watch {
    /// Watches `files`. What they hold now is what they are held against: open the watch before reading them.
    pub fn open(files: impl IntoIterator<Item = PathBuf>, now: Instant) -> io::Result<Self> {
        let mut watch = Self {
            inotify: Inotify::open()?,
            files: Vec::new(),
            watches: HashMap::new(),
            hasher: RandomState::new(),
            stir: None,
            look_again: None,
        };
        watch.follow(files, now);
        Ok(watch)
    }

    /// Watches `files` from now on, and no others. Those that were watched are still held against what they were.
    pub fn follow(&mut self, files: impl IntoIterator<Item = PathBuf>, now: Instant) {
        let mut before = std::mem::take(&mut self.files);
        let mut seen = HashSet::new();
        let paths: Vec<_> = files.into_iter().filter(|path| seen.insert(path.clone())).collect();
        let new: Vec<Watched> = paths
            .into_iter()
            .map(|path| match before.iter().position(|file| file.path == path) {
                Some(index) => before.swap_remove(index),
                None => Watched { path, content: Content::None(io::ErrorKind::Other) },
            })
            .collect();
        let known: Vec<bool> = new.iter().map(|file| file.content != Content::None(io::ErrorKind::Other)).collect();
        self.files = new;
        self.place(now);
        // A file is read after its watch is there, so that no write falls between the two.
        for (index, known) in known.into_iter().enumerate() {
            if let Some(path) = self.files.get(index).filter(|_| !known).map(|file| file.path.clone()) {
                let content = self.look(&path);
                self.files.get_mut(index).into_iter().for_each(|file| file.content = content);
            }
        }
    }

    /// Whether `path` is watched.
    pub fn watches(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    /// Takes `content` for what `path` held when it was looked at: for a change that the caller makes itself.
    pub fn expect(&mut self, path: &Path, content: &[u8]) {
        let content = Content::Known(self.hasher.hash_one(content));
        self.files.iter_mut().filter(|file| file.path == path).for_each(|file| file.content = content);
    }

    /// How long to wait for the descriptor at most before [`Self::changed`] is asked; none: as long as it takes.
    pub fn due(&self, now: Instant) -> Option<Duration> {
        let next = [self.stir.map(Stir::ends), self.look_again].into_iter().flatten().min()?;
        Some(next.saturating_duration_since(now))
    }

    /// The files that say something else than when they were looked at last. Never waits.
    pub fn changed(&mut self, now: Instant) -> io::Result<Vec<Changed>> {
        self.take_events(now)?;
        let calm = self.stir.is_some_and(|stir| now >= stir.ends());
        let again = self.stir.is_none() && self.look_again.is_some_and(|time| now >= time);
        if !calm && !again {
            return Ok(Vec::new());
        }
        self.stir = None;
        self.place(now);
        let contents: Vec<_> = self.files.iter().map(|file| self.look(&file.path)).collect();
        let differs = self.files.iter().zip(&contents).any(|(file, content)| file.content != *content);
        if differs && !calm {
            // It has come back where nothing could be watched: whoever writes it may not be done.
            self.stir = Some(Stir { first: now, last: now, being_written: false });
            return Ok(Vec::new());
        }
        let files = self.files.iter_mut().zip(contents).filter(|(file, content)| file.content != *content);
        let changed = files.map(|(file, content)| {
            file.content = content;
            Changed { path: file.path.clone(), readable: matches!(content, Content::Known(_)) }
        });
        Ok(changed.collect())
    }

    fn take_events(&mut self, now: Instant) -> io::Result<()> {
        let (watches, stir) = (&mut self.watches, &mut self.stir);
        self.inotify.events(|event| {
            let matters = match watches.get(&event.watch) {
                // The queue ran over: anything may have happened.
                None => event.mask & libc::IN_Q_OVERFLOW != 0,
                Some(purpose) => purpose.concerns(&event),
            };
            if event.mask & libc::IN_IGNORED != 0 {
                watches.remove(&event.watch);
            }
            if matters {
                let before = stir.unwrap_or(Stir { first: now, last: now, being_written: false });
                let being_written = match event.mask & OF_FILE {
                    0 => before.being_written,
                    mask => mask & libc::IN_MODIFY != 0,
                };
                *stir = Some(Stir { first: before.first, last: now, being_written });
            }
        })
    }

    /// Puts watches on the way to each file as it is now, and ends those that no way needs any more.
    fn place(&mut self, now: Instant) {
        let mut needed: HashMap<WatchId, Purpose> = HashMap::new();
        let mut is_whole = true;
        for file in &self.files {
            is_whole &= place_on_way(&self.inotify, &file.path, &mut needed);
        }
        for old in self.watches.keys().filter(|old| !needed.contains_key(old)) {
            self.inotify.forget(*old);
        }
        self.watches = needed;
        self.look_again = (!is_whole).then(|| now + LOOK_AGAIN);
    }

    fn look(&self, path: &Path) -> Content {
        match file::read(path, MAX_LIST_BYTES.max(MAX_FILE_BYTES)) {
            Ok(bytes) => Content::Known(self.hasher.hash_one(&*bytes)),
            Err(error) => Content::None(error.kind()),
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Watches the way to `path`. False if it is broken or a part of it can't be watched.
fn place_on_way(inotify: &Inotify, path: &Path, needed: &mut HashMap<WatchId, Purpose>) -> bool {
    let mut way = steps(path);
    for _ in 0..TURNS {
        let is_whole = place_on_steps(inotify, &way.0, needed) && way.1.is_ok();
        // A link that was turned before its folder was watched: nobody would tell.
        let again = steps(path);
        let same =
            |(one, other): (&Step, &Step)| one.path() == other.path() && one.metadata.ino() == other.metadata.ino();
        if way.0.len() == again.0.len() && way.0.iter().zip(&again.0).all(same) {
            return is_whole;
        }
        way = again;
    }
    false
}

/// Watches these steps. False if one of them can't be watched, or if they don't end at a file.
fn place_on_steps(inotify: &Inotify, steps: &[Step], needed: &mut HashMap<WatchId, Purpose>) -> bool {
    let mut is_whole = true;
    let mut watch = |path: &Path, mask: u32, name: Option<&OsStr>| match inotify.watch(path, mask) {
        Ok(id) => {
            let names = &mut needed.entry(id).or_default().names;
            names.extend(name.map(OsStr::to_owned));
            true
        }
        Err(_) => false,
    };
    for (index, step) in steps.iter().enumerate() {
        let is_last = index + 1 == steps.len();
        is_whole &= match (&step.metadata, is_last) {
            (metadata, _) if metadata.is_symlink() => watch(&step.folder, OF_FOLDER | OF_NAMES, Some(&step.name)),
            (metadata, _) if metadata.is_dir() => watch(&step.path(), OF_FOLDER, None),
            (metadata, true) if metadata.is_file() => {
                let in_folder = watch(&step.folder, OF_FOLDER | OF_NAMES, Some(&step.name));
                in_folder & watch(&step.path(), OF_FILE, None)
            }
            _ => false,
        };
    }
    is_whole
}

impl Purpose {
    fn concerns(&self, event: &Event<'_>) -> bool {
        if event.mask & (libc::IN_IGNORED | libc::IN_UNMOUNT) != 0 {
            return true;
        }
        event.name.is_empty() || self.names.contains(event.name)
    }
}

impl Stir {
    /// When it is over, if nothing more happens.
    fn ends(self) -> Instant {
        let (quiet, patience) =
            if self.being_written { (QUIET_WHILE_WRITTEN, PATIENCE_WHILE_WRITTEN) } else { (QUIET, PATIENCE) };
        (self.last + quiet).min(self.first + patience)
    }
}
