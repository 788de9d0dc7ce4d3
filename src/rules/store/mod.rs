//! Writing a rules file: whole or not at all, and never over somebody else's change.
//!
//! The only place that writes rules files. A change goes to a new file beside the old one, which takes its name once
//! it is on disk: whenever the power fails or the process is killed, `rules.json` is the old text or the new one. The
//! old text stays as `rules.json.bak`. A path that is a symbolic link is followed, and all of this happens beside what
//! it leads to.
//!
//! # Two writers
//!
//! A writer first takes the lock on `.rules.json.lock`, and holds it from reading to renaming. It is a file of its
//! own, because the lock on a file that is replaced excludes nobody, and because a folder can be locked by whoever may
//! read it: this file only its owner can open. It goes away with the lock. Editors don't ask for it: for them the
//! text is compared with what was read, right before it is replaced; and what an editor writes in place in the
//! moment between is in the backup, which is the old file itself.
//!
//! Mode and owner of the old file are kept; access lists and other extended attributes are not.

#[cfg(test)]
mod tests;

use super::diagnostic::quoted;
use super::file;
use super::json::{Kind, Node};
use super::limits::MAX_FILE_BYTES;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long another writer is waited for. One holds the lock while the kernel takes its rules, which is well below a
/// second.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the lock is tried meanwhile.
const TRY_EVERY: Duration = Duration::from_millis(5);

/// A rules file that no other pfw changes as long as this value lives.
#[derive(Debug)]
pub struct Locked {
    names: Names,
    lock: File,
    bytes: Vec<u8>,
}

/// The file and what stands beside it while it is written.
#[derive(Debug)]
struct Names {
    folder: PathBuf,
    file: PathBuf,
    /// What will take the file's place; hidden, so that nobody takes it for a rules file.
    new: PathBuf,
    backup: PathBuf,
    /// What will take the backup's place.
    new_backup: PathBuf,
    lock: PathBuf,
}

/// What is done to write a file, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Write,
    KeepOwner,
    Sync,
    LinkBackup,
    RenameBackup,
    Compare,
    Rename,
    SyncFolder,
}

/// Why a rules file was not written. It is as it was, but for a folder that would not be synced after the change.
#[derive(Debug)]
pub enum Error {
    /// Another writer has held the lock for too long.
    Busy(PathBuf),
    /// The file is not what was read: somebody else has changed it.
    Changed(PathBuf),
    /// The new text is not one of a rules file: it is empty or torn off.
    NotRules(String),
    /// The system refuses.
    Io {
        /// What was being done, as in "cannot ...".
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Writes `new` over the file `path`, if that still holds `expected`.
pub fn save(path: &Path, expected: &[u8], new: &str) -> Result<(), Error> {
    let mut locked = Locked::open(path)?;
    if locked.bytes != expected {
        return Err(Error::Changed(locked.names.file.clone()));
    }
    locked.save(new)
}

impl Locked {
    /// Locks the file `path`, waiting for other writers for some seconds, and reads it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let real = fs::canonicalize(path).map_err(|error| io_error("find", path, error))?;
        let names = Names::of(&real);
        let lock = names.lock()?;
        // From here on the lock is released on each way out.
        let mut locked = Self { names, lock, bytes: Vec::new() };
        let file = &locked.names.file;
        locked.bytes = file::read(file, MAX_FILE_BYTES).map_err(|error| io_error("read", file, error))?;
        Ok(locked)
    }

    /// What the file holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes `new` over the file.
    pub fn save(&mut self, new: &str) -> Result<(), Error> {
        self.save_stepwise(new, &mut |_| Ok(()))
    }

    /// Writes `new`; `before` is asked before each step, and an error of it is taken for one of the step.
    fn save_stepwise(&mut self, new: &str, before: &mut dyn FnMut(Step) -> io::Result<()>) -> Result<(), Error> {
        check_text(new)?;
        self.check_unchanged()?;
        let written = self.write_beside(new, before).and_then(|()| self.replace(before));
        if written.is_err() {
            // What a failed attempt leaves is nobody's. After the renaming it has no name any more.
            drop(fs::remove_file(&self.names.new));
            drop(fs::remove_file(&self.names.new_backup));
        }
        written?;
        self.bytes = new.as_bytes().to_vec();
        let folder = &self.names.folder;
        let sync = before(Step::SyncFolder).and_then(|()| File::open(folder)?.sync_all());
        sync.map_err(|error| io_error("be sure that the new file is on disk: sync", folder, error))
    }

    /// Puts the new text, on disk, beside the file.
    fn write_beside(&self, text: &str, before: &mut dyn FnMut(Step) -> io::Result<()>) -> Result<(), Error> {
        let names = &self.names;
        let old = fs::metadata(&names.file).map_err(|error| io_error("look at", &names.file, error))?;
        let failed = |doing| move |error| io_error(doing, &names.new, error);
        // Left by a writer that was killed: whoever lives would hold the lock.
        drop(fs::remove_file(&names.new));
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&names.new);
        let mut file = before(Step::Create).and_then(|()| create()).map_err(failed("make"))?;
        before(Step::Write).and_then(|()| file.write_all(text.as_bytes())).map_err(failed("write"))?;
        before(Step::KeepOwner).and_then(|()| keep_owner(&file, &old)).map_err(failed("keep the owner and mode of"))?;
        before(Step::Sync).and_then(|()| file.sync_all()).map_err(failed("write"))
    }

    /// Makes the old file the backup and the new one the file.
    fn replace(&self, before: &mut dyn FnMut(Step) -> io::Result<()>) -> Result<(), Error> {
        let Names { file, new, backup, new_backup, .. } = &self.names;
        drop(fs::remove_file(new_backup));
        let failed = |doing, path| move |error| io_error(doing, path, error);
        before(Step::LinkBackup).and_then(|()| link_or_copy(file, new_backup)).map_err(failed("make", new_backup))?;
        before(Step::RenameBackup).and_then(|()| fs::rename(new_backup, backup)).map_err(failed("write", backup))?;
        // Renaming does nothing if both are the same file, after a crash right behind this step.
        drop(fs::remove_file(new_backup));
        before(Step::Compare).map_err(failed("read", file))?;
        self.check_unchanged()?;
        before(Step::Rename).and_then(|()| fs::rename(new, file)).map_err(failed("replace", file))
    }

    fn check_unchanged(&self) -> Result<(), Error> {
        let file = &self.names.file;
        match file::read(file, MAX_FILE_BYTES) {
            Ok(bytes) if bytes == self.bytes => Ok(()),
            Ok(_) => Err(Error::Changed(file.clone())),
            Err(error) => Err(io_error("read", file, error)),
        }
    }
}

impl Drop for Locked {
    /// The name goes first, while the lock is held: who waits for the lock finds that what was waited for is gone.
    fn drop(&mut self) {
        if is_same_file(&self.lock, &self.names.lock) {
            drop(fs::remove_file(&self.names.lock));
        }
    }
}

impl Names {
    fn of(file: &Path) -> Self {
        let folder = file.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let named = |before: &str, behind: &str| {
            let mut name = OsString::from(before);
            name.push(file.file_name().unwrap_or_default());
            name.push(behind);
            folder.join(name)
        };
        Self {
            file: file.to_owned(),
            new: named(".", ".new"),
            backup: named("", ".bak"),
            new_backup: named(".", ".bak.new"),
            lock: named(".", ".lock"),
            folder,
        }
    }

    /// Takes the lock.
    fn lock(&self) -> Result<File, Error> {
        let began = Instant::now();
        let failed = |error| io_error("lock", &self.lock, error);
        while began.elapsed() < PATIENCE {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
            let lock = options.open(&self.lock).map_err(failed)?;
            match lock.try_lock() {
                // The one before may have taken the name away meanwhile: then this lock excludes nobody.
                Ok(()) if is_same_file(&lock, &self.lock) => return Ok(lock),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_EVERY),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Err(Error::Busy(self.file.clone()))
    }
}

/// An error unless `text` holds a whole object: what is torn off never replaces a file.
fn check_text(text: &str) -> Result<(), Error> {
    if text.len() > MAX_FILE_BYTES {
        return Err(Error::NotRules(format!("it has more than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    match Node::root(text) {
        Ok(root) if root.kind() == Kind::Object => Ok(()),
        Ok(root) => Err(Error::NotRules(format!("it is {}, not an object", root.kind().noun()))),
        Err(fault) => Err(Error::NotRules(fault.message)),
    }
}

fn is_same_file(open: &File, path: &Path) -> bool {
    let id = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    matches!((open.metadata(), fs::symlink_metadata(path)), (Ok(open), Ok(named)) if id(&open) == id(&named))
}

/// Gives `file` the owner and the mode of `old`.
fn keep_owner(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
}

/// A second name for `file`; a copy where the file system has only one name for each.
fn link_or_copy(file: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(file, to) {
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
            fs::copy(file, to)?;
            File::open(to)?.sync_all()
        }
        result => result,
    }
}

fn io_error(doing: &'static str, path: &Path, error: io::Error) -> Error {
    Error::Io { doing, path: path.to_owned(), error }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &Path| quoted(&path.to_string_lossy());
        match self {
            Self::Busy(path) => {
                let seconds = PATIENCE.as_secs();
                write!(f, "{} has been locked by another pfw for {seconds} seconds; try again", shown(path))
            }
            Self::Changed(path) => {
                write!(f, "{} was changed by somebody else meanwhile and is left as it is; try again", shown(path))
            }
            Self::NotRules(reason) => write!(f, "the new text is no rules file ({reason}); nothing was written"),
            Self::Io { doing, path, error } => {
                write!(f, "cannot {doing} {}: {error}", shown(path))?;
                match error.kind() {
                    io::ErrorKind::PermissionDenied => f.write_str("; pfw needs to be allowed to write this folder"),
                    io::ErrorKind::ReadOnlyFilesystem => f.write_str(
                        "; mount the file system writable, or make the change without the file (--temporary)",
                    ),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        f.write_str("; the old file is untouched: free some space and try again")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let Self::Io { error, .. } = self { Some(error) } else { None }
    }
}
