//! `inotify(7)`: what happens to files and in folders, told by a descriptor that can be polled.

use super::check;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Bytes that are read at once: hundreds of events, each of 16 bytes and a name of 255 at most.
const BUFFER: usize = 16 * 1024;

/// A set of watches and the events of them that wait.
#[derive(Debug)]
pub struct Inotify {
    file: File,
    buffer: Vec<u8>,
}

/// A watch of an [`Inotify`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchId(i32);

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'b> {
    /// The watch that saw it; for a lost event none that there is.
    pub watch: WatchId,
    /// What happened: `libc::IN_*`.
    pub mask: u32,
    /// The name in a folder; empty for what is watched itself.
    pub name: &'b OsStr,
}

impl Inotify {
    /// Without any watch yet. Reading never waits.
    pub fn open() -> io::Result<Self> {
        // SAFETY: no pointers.
        let fd = check(unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) })?;
        // SAFETY: the kernel just made `fd`, and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { file: File::from(fd), buffer: vec![0; BUFFER] })
    }

    /// Watches `path` for the events of `mask`. What is watched already keeps its id, and its mask becomes this one.
    pub fn watch(&self, path: &Path, mask: u32) -> io::Result<WatchId> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: `path` ends with a zero and lives through the call.
        check(unsafe { libc::inotify_add_watch(self.file.as_raw_fd(), path.as_ptr(), mask) }).map(WatchId)
    }

    /// Ends a watch. One that the kernel ended already, because what it watched is gone, is no error.
    pub fn forget(&self, watch: WatchId) {
        // SAFETY: no pointers.
        unsafe { libc::inotify_rm_watch(self.file.as_raw_fd(), watch.0) };
    }

    /// Hands each event that waits to `take`, and returns when there is none.
    pub fn events(&mut self, mut take: impl FnMut(Event<'_>)) -> io::Result<()> {
        loop {
            let length = match self.file.read(&mut self.buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let mut rest = self.buffer.get(..length).unwrap_or_default();
            while let Some((event, behind)) = split(rest) {
                take(event);
                rest = behind;
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The first event of `bytes` and what follows it: `struct inotify_event` of `linux/inotify.h`.
fn split(bytes: &[u8]) -> Option<(Event<'_>, &[u8])> {
    let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (watch, mask, length) = (number(0)?, number(4)?, number(12)? as usize);
    let name = bytes.get(16..16 + length)?;
    // The name ends with zeros, as many as the next event's alignment needs.
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    let event = Event { watch: WatchId(watch.cast_signed()), mask, name: OsStr::from_bytes(name) };
    Some((event, bytes.get(16 + length..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_in_order_with_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let mut inotify = Inotify::open().unwrap();
        let watch = inotify.watch(folder.path(), libc::IN_CREATE | libc::IN_DELETE).unwrap();
        let names = ["a", "a-longer-name-than-sixteen-bytes"];
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let mut told = Vec::new();
        inotify.events(|event| told.push((event.watch, event.mask, event.name.to_owned()))).unwrap();
        assert_eq!(told, names.map(|name| (watch, libc::IN_CREATE, name.into())));
        inotify.forget(watch);
        std::fs::write(folder.path().join("b"), "").unwrap();
        told.clear();
        inotify.events(|event| told.push((event.watch, event.mask, event.name.to_owned()))).unwrap();
        assert_eq!(told, [(watch, libc::IN_IGNORED, "".into())]);
    }

    #[test]
    fn half_an_event_is_none() {
        assert_eq!(split(&[]), None);
        assert_eq!(split(&[0; 15]), None);
        let mut bytes = [0; 16];
        bytes[12] = 1;
        assert_eq!(split(&bytes), None);
    }
}
