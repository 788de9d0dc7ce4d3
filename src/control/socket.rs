//! Puts the socket in its place, so that nobody but who may can ever connect to it, and takes it away at the end.
//!
//! What is in its place already is removed only if it is a socket of ours at which nobody answers: a pfw that was
//! killed left it. All of that happens while no other pfw is at work in the folder, so that two that start at once don't
//! take each other's socket for a dead one's.

use super::access::{Access, Peer};
use super::limits::BACKLOG;
use super::os;
use crate::runtime::{self, Claim, Refused};
use anyhow::{Context, Result, anyhow, bail};
use std::fs::{self, File, Metadata, Permissions, TryLockError};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long another pfw may take to put its socket into the same folder. It needs a millisecond.
const SETUP: Duration = Duration::from_secs(2);

/// A socket in its place. Dropped, it is taken away.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    identity: (u64, u64),
    access: Access,
}

/// Somebody answers at the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupied {
    /// The process, if the kernel tells.
    pub process: Option<u32>,
}

impl std::fmt::Display for Occupied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let who = self.process.map_or_else(String::new, |process| format!(", process {process},"));
        write!(f, "another pfw{who} has the control socket ('pfw status' shows it, 'pfw stop' ends it)")
    }
}

impl std::error::Error for Occupied {}

impl Socket {
    /// Puts a socket at `path`; whoever connects from now on waits to be served.
    ///
    /// # Errors
    ///
    /// [`Occupied`] if a pfw that lives has it. Otherwise what is there that is not ours, or what the system refused.
    pub fn open(path: &Path, access: Access) -> Result<Self> {
        let failed = || format!("cannot make the control socket {}", path.display());
        let folder = folder_of(path);
        prepare_folder(folder, access).with_context(failed)?;
        let _turn = take_turn(folder).with_context(failed)?;
        remove_stale(path, access.user).with_context(failed)?;
        let listener = os::bind(path, access.mode()).with_context(failed)?;
        // From here on `Drop` takes it away.
        let data = fs::symlink_metadata(path).with_context(failed)?;
        let socket = Self { listener, path: path.to_owned(), identity: identity(&data), access };
        if let Some(group) = access.group {
            lchown(path, None, Some(group)).with_context(failed)?;
        }
        // The umask may have taken bits away. Nobody can put something else here: the folder is ours.
        fs::set_permissions(path, Permissions::from_mode(access.mode())).with_context(failed)?;
        os::listen(&socket.listener, BACKLOG).with_context(failed)?;
        Ok(socket)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Who may use it.
    pub fn access(&self) -> Access {
        self.access
    }

    pub(super) fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Somebody who took ours away and put another there keeps it. What fails is only a dead socket in a folder.
        let Ok(_turn) = take_turn(folder_of(&self.path)) else { return };
        if fs::symlink_metadata(&self.path).is_ok_and(|data| identity(&data) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(data: &Metadata) -> (u64, u64) {
    (data.dev(), data.ino())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes our own folder and lets the group pass through it; makes sure that nobody can exchange what is in another.
fn prepare_folder(folder: &Path, access: Access) -> Result<()> {
    if folder == Path::new(runtime::FOLDER) {
        runtime::make_folder().with_context(|| format!("cannot use {}", folder.display()))?;
        if access.group.is_some() {
            fs::set_permissions(folder, Permissions::from_mode(0o755))?;
        }
        return Ok(());
    }
    let data = fs::metadata(folder).with_context(|| format!("cannot look at {}", folder.display()))?;
    let (writable, sticky) = (data.mode() & 0o022 != 0, data.mode() & 0o1000 != 0);
    if !(data.uid() == 0 || data.uid() == access.user) || writable && !sticky {
        bail!("others could exchange it, because they can write to {}; name a folder of your own", folder.display());
    }
    Ok(())
}

/// Waits until no other pfw is at work in a folder, and keeps others from it until both are dropped. Where it can't be
/// claimed a lock on the folder has to do, which anybody can hold who may read it.
fn take_turn(folder: &Path) -> Result<(File, Option<Claim>)> {
    let file = File::open(folder).with_context(|| format!("cannot open {}", folder.display()))?;
    let start = Instant::now();
    loop {
        match Claim::take(&file) {
            Ok(claim) => return Ok((file, Some(claim))),
            Err(Refused::Unusable(_)) if try_lock(&file)? => return Ok((file, None)),
            Err(_) if start.elapsed() < SETUP => std::thread::sleep(Duration::from_millis(5)),
            Err(_) => bail!("somebody else keeps {} locked", folder.display()),
        }
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes the socket of a pfw that died.
fn remove_stale(path: &Path, user: u32) -> Result<()> {
    let data = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !data.file_type().is_socket() {
        bail!("there is something else of that name; remove it, or name another with --control");
    }
    if data.uid() != user {
        bail!("the socket there belongs to user {}; remove it, or name another with --control", data.uid());
    }
    match UnixStream::connect(path) {
        Ok(stream) => Err(Occupied { process: Peer::of(stream.as_fd()).ok().and_then(|peer| peer.process) }.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(fs::remove_file(path)?),
        Err(error) => Err(anyhow!(error).context("cannot tell whether somebody answers there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::effective_user;
    use std::os::unix::fs::symlink;

    fn own() -> Access {
        Access { user: effective_user(), group: None }
    }

    fn refusal(path: &Path) -> String {
        format!("{:#}", Socket::open(path, own()).unwrap_err())
    }

    #[test]
    fn the_socket_is_for_its_owner_alone_and_goes_with_its_pfw() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pfw.sock");
        let socket = Socket::open(&path, own()).unwrap();
        let data = fs::symlink_metadata(&path).unwrap();
        assert!(data.file_type().is_socket());
        assert_eq!(data.mode() & 0o7777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_group_may_be_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pfw.sock");
        let group = fs::metadata(folder.path()).unwrap().gid();
        let _socket = Socket::open(&path, Access { group: Some(group), ..own() }).unwrap();
        let data = fs::symlink_metadata(&path).unwrap();
        assert_eq!((data.mode() & 0o7777, data.gid()), (0o660, group));
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pfw.sock");
        // std's listener leaves its file behind, as a pfw does that is killed.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _socket = Socket::open(&path, own()).unwrap();
        let error = Socket::open(&path, own()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Occupied { process: Some(std::process::id()) }));
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn what_is_not_a_socket_of_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "precious").unwrap();
        drop(UnixListener::bind(at("target")).unwrap());
        symlink(at("target"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        fs::create_dir(at("folder")).unwrap();
        for name in ["file", "link", "dangling", "folder"] {
            assert!(refusal(&at(name)).contains("something else"), "{name}");
            assert!(fs::symlink_metadata(at(name)).is_ok(), "{name}");
        }
        assert_eq!(fs::read(at("file")).unwrap(), b"precious");
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(refusal(&folder.path().join("pfw.sock")).contains("others could exchange it"));
        fs::set_permissions(folder.path(), Permissions::from_mode(0o1777)).unwrap();
        Socket::open(&folder.path().join("pfw.sock"), own()).unwrap();
    }

    #[test]
    fn of_many_that_start_at_once_one_gets_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pfw.sock");
        for _ in 0..20 {
            drop(UnixListener::bind(&path).unwrap());
            let opened: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Socket::open(&path, own()))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1, "{opened:?}");
            UnixStream::connect(&path).unwrap();
        }
    }

    #[test]
    fn a_socket_that_was_exchanged_is_not_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pfw.sock");
        let socket = Socket::open(&path, own()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop(socket);
        assert!(path.exists());
    }
}
