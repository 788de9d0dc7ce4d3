//! Opens the log file so that nobody can make it something else, or forge what it says.

use crate::sys::effective_user;
use anyhow::{Context, bail, ensure};
use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

/// Mode of a new log file, whatever the umask, and the most that an old one may allow.
const MODE: u32 = 0o640;

/// Opens the log file `path` for appending; makes it, with mode 0640 and the group, if it is missing. One of ours that
/// allows others more than that is given that mode and group too.
pub(super) fn open_log(path: &Path, group: Option<u32>) -> anyhow::Result<File> {
    let shown = path.display();
    // Not to wait for the reader of a FIFO, and not to follow a link that somebody put here.
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    let open = |create| OpenOptions::new().append(true).create_new(create).custom_flags(flags).mode(MODE).open(path);
    match open(true) {
        Ok(file) => {
            close_to_others(path, &file, group)?;
            Ok(file)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let file = open(false).or_else(|error| explain(path, error))?;
            let metadata = file.metadata().with_context(|| format!("cannot look at {shown}"))?;
            require_plain_file(path, &metadata)?;
            require_trusted(path, metadata.uid(), effective_user(), metadata.mode())?;
            if metadata.uid() == effective_user() && allows_too_much(metadata.mode()) {
                close_to_others(path, &file, group)?;
                let before = metadata.mode() & 0o7777;
                tracing::warn!(
                    "the log file {shown} allowed others too much (mode {before:04o}): it is {MODE:04o} now"
                );
            }
            Ok(file)
        }
        Err(error) => Err(error).with_context(|| format!("cannot create the log file {shown}")),
    }
}

/// The reason why an existing file can't be opened: what it is, where that is the reason.
fn explain(path: &Path, error: io::Error) -> anyhow::Result<File> {
    if let Ok(metadata) = path.symlink_metadata() {
        require_plain_file(path, &metadata)?;
    }
    Err(error).with_context(|| format!("cannot open the log file {}", path.display()))
}

/// A regular file of one name: anything else was put there by somebody who wants the log to end up elsewhere.
fn require_plain_file(path: &Path, metadata: &Metadata) -> anyhow::Result<()> {
    let shown = path.display();
    let kind = metadata.file_type();
    ensure!(!kind.is_symlink(), "the log file {shown} is a symbolic link; remove it, or name its target as --log-file");
    if !kind.is_file() {
        let what = match () {
            () if kind.is_dir() => "a folder",
            () if kind.is_fifo() => "a FIFO",
            () if kind.is_socket() => "a socket",
            () => "a device",
        };
        bail!("the log file {shown} is {what}; choose another --log-file, or - for standard output");
    }
    let links = metadata.nlink();
    ensure!(links <= 1, "the log file {shown} has {links} names (hard links); remove it, or choose another --log-file");
    Ok(())
}

/// Owned by us or by root, for the owner of a log can rewrite it; and if by root, whose mode we can't set, then not
/// open to everybody. What root allows a group is taken as meant.
fn require_trusted(path: &Path, owner: u32, user: u32, mode: u32) -> anyhow::Result<()> {
    let shown = path.display();
    ensure!(
        owner == user || owner == 0,
        "the log file {shown} belongs to user {owner}, and pfw runs as user {user}; remove it, or choose another \
         --log-file",
    );
    ensure!(
        owner == user || mode & 0o002 == 0,
        "anybody may write to the log file {shown}, and only root can change that (chmod o-w); or choose another \
         --log-file",
    );
    Ok(())
}

/// Whether a mode allows anything that [`MODE`] does not. Less than that is somebody's wish.
fn allows_too_much(mode: u32) -> bool {
    mode & 0o7777 & !MODE != 0
}

/// Gives our file mode and group of a log.
fn close_to_others(path: &Path, file: &File, group: Option<u32>) -> anyhow::Result<()> {
    let shown = path.display();
    file.set_permissions(Permissions::from_mode(MODE)).with_context(|| format!("cannot set the mode of {shown}"))?;
    if let Some(group) = group
        && let Err(error) = fchown(file, None, Some(group))
    {
        tracing::warn!("cannot give {shown} to group {group}: {error}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_allows_too_much_if_it_allows_anything_beyond_0640() {
        for mode in [0o100_666, 0o100_660, 0o100_644, 0o100_604, 0o100_642, 0o100_641, 0o100_740, 0o104_640] {
            assert!(allows_too_much(mode), "{mode:o}");
        }
        for mode in [0o100_640, 0o100_600, 0o100_440, 0o100_200] {
            assert!(!allows_too_much(mode), "{mode:o}");
        }
    }

    #[test]
    fn a_file_is_trusted_if_it_is_ours_or_one_of_root_that_not_everybody_writes_to() {
        let trusted = |owner, user, mode| require_trusted(Path::new("x.log"), owner, user, mode);
        trusted(1000, 1000, 0o666).unwrap();
        trusted(0, 0, 0o666).unwrap();
        trusted(0, 1000, 0o664).unwrap();
        let refused = |owner, user, mode| trusted(owner, user, mode).unwrap_err().to_string();
        assert!(refused(1001, 1000, 0o600).starts_with("the log file x.log belongs to user 1001, and pfw runs as"));
        assert!(refused(1001, 0, 0o600).starts_with("the log file x.log belongs to user 1001, and pfw runs as user 0"));
        assert!(refused(0, 1000, 0o666).starts_with("anybody may write to the log file x.log, and only root can"));
    }
}
