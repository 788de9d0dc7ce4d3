//! The way to a file, step by step, with the symbolic links on it: what whoever controls one of the steps can turn
//! elsewhere.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Component, Path, PathBuf};

/// Symbolic links on one way: as many as the kernel follows (`MAXSYMLINKS`, `linux/namei.h`).
const MAX_LINKS: usize = 40;

/// A name in a folder, on the way to a file.
#[derive(Debug)]
pub(super) struct Step {
    /// The folder, without links in its own path.
    pub(super) folder: PathBuf,
    /// The name in it; empty for the root itself.
    pub(super) name: OsString,
    /// What has this name: a folder, a link, and in the last step the file.
    pub(super) metadata: Metadata,
}

/// Where a way ends before its file.
#[derive(Debug)]
pub(super) struct Broken {
    /// What is to be the next step and can't be looked at.
    pub(super) path: PathBuf,
    /// Why not.
    pub(super) error: io::Error,
}

impl Step {
    /// The path of what has the name.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }
}

/// The steps from the root to `path`, links followed; and why they end before it, if they do.
pub(super) fn steps(path: &Path) -> (Vec<Step>, Result<(), Broken>) {
    let mut steps = Vec::new();
    let result = walk(path, &mut steps);
    (steps, result)
}

fn walk(path: &Path, steps: &mut Vec<Step>) -> Result<(), Broken> {
    let at = |path: &Path| {
        let path = path.to_owned();
        |error| Broken { path, error }
    };
    let absolute = std::path::absolute(path).map_err(at(path))?;
    let mut left: VecDeque<OsString> = names(&absolute).collect();
    let mut folder = PathBuf::from("/");
    steps.push(Step {
        metadata: fs::metadata(&folder).map_err(at(&folder))?,
        folder: folder.clone(),
        name: OsString::new(),
    });
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            folder.pop();
            continue;
        }
        let path = folder.join(&name);
        let metadata = fs::symlink_metadata(&path).map_err(at(&path))?;
        let is_link = metadata.is_symlink();
        steps.push(Step { folder: folder.clone(), name, metadata });
        if !is_link {
            folder = path;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(at(&path)(io::Error::from_raw_os_error(libc::ELOOP)));
        }
        let target = fs::read_link(&path).map_err(at(&path))?;
        if target.is_absolute() {
            folder = PathBuf::from("/");
        }
        for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
            left.push_front(name);
        }
    }
    Ok(())
}

/// The names of a path, `..` too.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn walked(path: &Path) -> Vec<PathBuf> {
        let (steps, result) = steps(path);
        result.unwrap();
        steps.iter().map(Step::path).collect()
    }

    #[test]
    fn links_are_steps_and_so_is_what_they_lead_through() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::create_dir(top.join("c")).unwrap();
        fs::write(top.join("a/b/rules.json"), "{}").unwrap();
        symlink("../a/b/../b", top.join("c/link")).unwrap();
        let steps = walked(&top.join("c/link/rules.json"));
        let inside: Vec<_> = steps.iter().filter_map(|path| path.strip_prefix(&top).ok()).collect();
        assert_eq!(
            inside.iter().skip(1).map(|path| path.to_str().unwrap()).collect::<Vec<_>>(),
            ["c", "c/link", "a", "a/b", "a/b", "a/b/rules.json"]
        );
        assert_eq!(steps[0], Path::new("/"));
    }

    #[test]
    fn a_broken_way_ends_where_it_breaks() {
        let folder = tempfile::tempdir().unwrap();
        symlink("x", folder.path().join("y")).unwrap();
        symlink("y", folder.path().join("x")).unwrap();
        assert_eq!(steps(&folder.path().join("x")).1.unwrap_err().error.raw_os_error(), Some(libc::ELOOP));
        let (taken, result) = steps(&folder.path().join("none/rules.json"));
        let broken = result.unwrap_err();
        assert_eq!(broken.error.kind(), io::ErrorKind::NotFound);
        assert_eq!(broken.path, folder.path().canonicalize().unwrap().join("none"));
        assert_eq!(taken.last().unwrap().path(), folder.path().canonicalize().unwrap());
    }
}
