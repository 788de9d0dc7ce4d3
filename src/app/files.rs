//! The rules file and the block lists that it names, watched by a thread of their own. What came of a change is the main
//! thread's matter; so are changes that pfw makes itself, which are expected and tell nothing new.

use super::signals::Event;
use super::threads;
use crate::rules::trust::{self, Distrust};
use crate::rules::watch::Watch;
use crate::sys;
use crate::sys::waker::{Alarm, Waker, waker};
use anyhow::{Context, Result};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the thread waits where nothing is due.
const LONG: Duration = Duration::from_hours(1);

/// The files, seen from the main thread.
pub struct Files {
    watch: Arc<Mutex<Watch>>,
    /// Ends the thread's wait: what it waits for has changed.
    waker: Waker,
    /// Whose changes count, beside root's.
    user: u32,
}

impl Files {
    /// Watches from now on.
    pub fn watch(files: impl Iterator<Item = PathBuf>, user: u32, events: &Sender<Event>) -> Result<Self> {
        let watch = Watch::open(files, Instant::now()).context("cannot watch the rules file")?;
        let watch = Arc::new(Mutex::new(watch));
        let (waker, alarm) = waker()?;
        let fd = lock(&watch).as_fd().try_clone_to_owned()?;
        let (watched, sender) = (Arc::clone(&watch), events.clone());
        // Nobody waits for this thread: it ends with the process.
        threads::start_vital("files", events, move || {
            while let Ok(()) = wait(&watched, &fd, &alarm) {
                match lock(&watched).changed(Instant::now()) {
                    Ok(changed) => {
                        if !changed.is_empty() && sender.send(Event::FilesChanged(changed)).is_err() {
                            return;
                        }
                    }
                    Err(error) => return tracing::warn!("the rules file is watched no more: {error}"),
                }
            }
        })?;
        Ok(Self { watch, waker, user })
    }

    /// Watches these files from now on; of `path` it is known that it says `text`.
    pub fn follow(&self, files: impl Iterator<Item = PathBuf>, path: &Path, text: &str) {
        let mut watch = lock(&self.watch);
        watch.follow(files, Instant::now());
        watch.expect(path, text.as_bytes());
        drop(watch);
        self.waker.wake();
    }

    /// Watches these files from now on, and says whether some were not watched before: what was read of them may have
    /// changed since.
    pub fn add(&self, files: impl Iterator<Item = PathBuf>) -> bool {
        let files: Vec<_> = files.collect();
        let mut watch = lock(&self.watch);
        let is_new = files.iter().any(|path| !watch.watches(path));
        if is_new {
            watch.follow(files, Instant::now());
            drop(watch);
            self.waker.wake();
        }
        is_new
    }

    /// Writes `path`, from the text that it has to another: nobody is told of that.
    pub fn write<E>(&self, path: &Path, from: &str, to: &str, write: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        // The thread does not look at what is half done.
        let mut watch = lock(&self.watch);
        watch.expect(path, to.as_bytes());
        write().inspect_err(|_| watch.expect(path, from.as_bytes()))
    }

    /// Why what these files say may be another's wish than the user's, if so.
    pub fn distrust(&self, files: impl Iterator<Item = PathBuf>) -> Option<Distrust> {
        files.map(|path| trust::check(&path, self.user)).find_map(Result::err)
    }
}

fn wait(watch: &Mutex<Watch>, fd: &impl AsFd, alarm: &Alarm) -> std::io::Result<()> {
    let patience = lock(watch).due(Instant::now()).unwrap_or(LONG);
    let mut fds = [sys::readable(fd.as_fd()), sys::readable(alarm.as_fd())];
    sys::wait(&mut fds, patience)?;
    alarm.clear();
    Ok(())
}

fn lock(watch: &Mutex<Watch>) -> MutexGuard<'_, Watch> {
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}
