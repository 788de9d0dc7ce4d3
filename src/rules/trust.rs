//! Who can change a rules file: with it they steer a firewall that runs as root.
//!
//! [`check`] follows the way to the file (`rules::path`): each folder, link and file on it must belong to root or to
//! the one user who is trusted (who called sudo), and nobody else may write there. POSIX access lists that let
//! somebody write show in the group's bits (`acl(5)`), so that they are found too.

use super::path::steps;
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const GROUP_WRITE: u32 = 0o020;
const OTHER_WRITE: u32 = 0o002;
/// In a folder with this bit only its owner and the owner of a file can replace the file (`unlink(2)`).
const STICKY: u32 = 0o1000;

/// Why a file is not to be trusted.
#[derive(Debug)]
pub struct Distrust {
    /// The file, or the folder or link on the way to it.
    pub component: PathBuf,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with a file, a folder or a link.
#[derive(Debug)]
pub enum Why {
    /// It belongs to another user.
    Owner {
        /// Whose it is.
        owner: u32,
        /// Whose it may be, besides root's.
        trusted: u32,
    },
    /// Its group may write it.
    GroupWrites,
    /// Everybody may write it.
    EverybodyWrites,
    /// It is neither a regular file nor a folder.
    Kind,
    /// It can't be looked at.
    Unseen(io::Error),
}

/// Whether only root and the user `uid` can change what is read from `path`.
pub fn check(path: &Path, uid: u32) -> Result<(), Distrust> {
    let (steps, result) = steps(path);
    for (index, step) in steps.iter().enumerate() {
        let is_file = result.is_ok() && index + 1 == steps.len();
        judge(&step.metadata, is_file, uid).map_err(|why| Distrust { component: step.path(), why })?;
    }
    result.map_err(|broken| Distrust { component: broken.path, why: Why::Unseen(broken.error) })
}

fn judge(metadata: &Metadata, is_file: bool, uid: u32) -> Result<(), Why> {
    let what = if metadata.is_symlink() {
        What::Link
    } else if is_file && metadata.is_file() {
        What::File
    } else if !is_file && metadata.is_dir() {
        What::Folder
    } else {
        return Err(Why::Kind);
    };
    judge_mode(what, metadata.uid(), metadata.mode(), uid)
}

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    File,
    Folder,
    Link,
}

fn judge_mode(what: What, owner: u32, mode: u32, trusted: u32) -> Result<(), Why> {
    if owner != 0 && owner != trusted {
        return Err(Why::Owner { owner, trusted });
    }
    // A link has no mode of its own: who may write its folder decides.
    let is_open = what == What::File || what == What::Folder && mode & STICKY == 0;
    match mode {
        _ if !is_open => Ok(()),
        mode if mode & OTHER_WRITE != 0 => Err(Why::EverybodyWrites),
        mode if mode & GROUP_WRITE != 0 => Err(Why::GroupWrites),
        _ => Ok(()),
    }
}

impl Distrust {
    /// Whether there is nothing of that name: neither anybody's nor anything to read.
    pub fn is_missing(&self) -> bool {
        matches!(&self.why, Why::Unseen(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.component.display();
        match &self.why {
            Why::Owner { owner, trusted } if *trusted == 0 => {
                write!(f, "{path} belongs to user {owner}, who could change the rules; chown root {path}")
            }
            Why::Owner { owner, trusted } => {
                write!(f, "{path} belongs to user {owner}, who could change the rules; chown {trusted} {path}")
            }
            Why::GroupWrites => {
                write!(f, "the group of {path} may write it and could change the rules; chmod g-w {path}")
            }
            Why::EverybodyWrites => {
                write!(f, "everybody may write {path} and could change the rules; chmod go-w {path}")
            }
            Why::Kind => write!(f, "{path} is neither a file nor a folder"),
            Why::Unseen(_) if self.is_missing() => write!(f, "{path} is missing"),
            Why::Unseen(error) => write!(f, "{path}: {error}"),
        }
    }
}

impl std::error::Error for Distrust {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    const ME: u32 = 1000;

    #[test]
    fn every_owner_and_mode_is_judged() {
        for what in [What::File, What::Folder, What::Link] {
            for (owner, is_trusted) in [(0, true), (ME, true), (1001, false), (65_534, false)] {
                for mode in (0..0o1000).flat_map(|mode| [mode, mode | STICKY]) {
                    let others_write =
                        mode & 0o022 != 0 && what != What::Link && !(what == What::Folder && mode & STICKY != 0);
                    let judged = judge_mode(what, owner, mode, ME);
                    assert_eq!(judged.is_ok(), is_trusted && !others_write, "{what:?} {owner} {mode:o} {judged:?}");
                }
            }
        }
        assert!(judge_mode(What::File, ME, 0o600, 0).is_err());
    }

    /// A folder with `conf/rules.json`, which belong to whoever runs the tests.
    fn world() -> (tempfile::TempDir, PathBuf, u32) {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir(top.join("conf")).unwrap();
        fs::write(top.join("conf/rules.json"), "{}").unwrap();
        for (name, mode) in [("", 0o755), ("conf", 0o755), ("conf/rules.json", 0o644)] {
            fs::set_permissions(top.join(name), Permissions::from_mode(mode)).unwrap();
        }
        let me = fs::metadata(&top).unwrap().uid();
        (folder, top, me)
    }

    #[test]
    fn each_step_of_the_way_counts() {
        let (_folder, top, me) = world();
        let file = top.join("conf/rules.json");
        check(&file, me).unwrap();
        for (name, mode, remedy) in [
            ("conf/rules.json", 0o666, "everybody may write it: chmod go-w"),
            ("conf/rules.json", 0o664, "chmod g-w"),
            ("conf", 0o775, "chmod g-w"),
            ("", 0o777, "chmod go-w"),
        ] {
            let path = top.join(name);
            let before = fs::metadata(&path).unwrap().permissions();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let told = check(&file, me).unwrap_err();
            assert_eq!(told.component, path.components().collect::<PathBuf>());
            let command = remedy.rsplit(": ").next().unwrap();
            assert!(told.to_string().ends_with(&format!("{command} {}", told.component.display())), "{told}");
            fs::set_permissions(&path, before).unwrap();
        }
        fs::set_permissions(top.join("conf"), Permissions::from_mode(0o1777)).unwrap();
        check(&file, me).unwrap();
    }

    #[test]
    fn a_link_is_no_way_around() {
        let (_folder, top, me) = world();
        fs::create_dir(top.join("open")).unwrap();
        symlink("../conf/rules.json", top.join("open/rules.json")).unwrap();
        check(&top.join("open/rules.json"), me).unwrap();
        fs::set_permissions(top.join("open"), Permissions::from_mode(0o777)).unwrap();
        assert_eq!(check(&top.join("open/rules.json"), me).unwrap_err().component, top.join("open"));
        fs::set_permissions(top.join("open"), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(top.join("conf"), Permissions::from_mode(0o777)).unwrap();
        assert_eq!(check(&top.join("open/rules.json"), me).unwrap_err().component, top.join("conf"));
    }

    #[test]
    fn what_is_no_file_or_not_there_is_told() {
        let (_folder, top, me) = world();
        assert!(matches!(check(&top.join("conf"), me).unwrap_err().why, Why::Kind));
        assert!(matches!(check(&top.join("conf/none.json"), me).unwrap_err().why, Why::Unseen(_)));
        let gone = top.join("conf/none/rules.json");
        let told = check(&gone, me).unwrap_err().to_string();
        assert_eq!(told, format!("{} is missing", top.join("conf/none").display()));
        symlink("none", top.join("conf/link")).unwrap();
        assert_eq!(check(&top.join("conf/link"), me).unwrap_err().component, top.join("conf/none"));
        assert!(matches!(check(&top.join("conf/rules.json/x"), me).unwrap_err().why, Why::Kind | Why::Unseen(_)));
    }

    #[test]
    fn what_belongs_to_a_third_user_is_not_trusted() {
        let (_folder, top, me) = world();
        let (file, stranger) = (top.join("conf/rules.json"), 54_321);
        if me != 0 {
            // Only root can give files away; but the file of a user is a stranger's to everybody else.
            assert!(matches!(check(&file, stranger).unwrap_err().why, Why::Owner { owner, .. } if owner == me));
            return;
        }
        for name in ["conf/rules.json", "conf", ""] {
            chown(top.join(name), Some(stranger), None).unwrap();
            let told = check(&file, 1000).unwrap_err();
            assert!(matches!(told.why, Why::Owner { owner: 54_321, trusted: 1000 }), "{told}");
            assert_eq!(told.component, top.join(name).components().collect::<PathBuf>());
            check(&file, stranger).unwrap();
            chown(top.join(name), Some(0), None).unwrap();
        }
    }
}
