//! `firewall.log` -> `firewall.log.1` -> `firewall.log.2` ...

use anyhow::{Context, bail};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Moves the file `path` to `path.1`, each `path.N` to the next number, and removes those behind `path.keep`. With
/// `keep` 0 the file itself is removed. Each step is a rename within one folder, and so happens or doesn't.
///
/// # Errors
/// A step failed, or one of the names is not a regular file: then nothing has been moved.
pub(super) fn rotate(path: &Path, keep: u32) -> anyhow::Result<()> {
    // Numbers from 1 without a gap: what there is to move. A gap stays one.
    let count = (1..u32::MAX).map(|n| numbered(path, n)).take_while(|name| name.symlink_metadata().is_ok()).count();
    let present = u32::try_from(count).unwrap_or(u32::MAX);
    for n in 0..=present {
        require_regular(&numbered(path, n))?;
    }
    for n in (0..=present).rev() {
        let name = numbered(path, n);
        if n >= keep {
            fs::remove_file(&name).with_context(|| format!("cannot remove {}", name.display()))?;
        } else {
            let next = numbered(path, n + 1);
            fs::rename(&name, &next)
                .with_context(|| format!("cannot rename {} to {}", name.display(), next.display()))?;
        }
    }
    Ok(())
}

/// `path.n`; the file itself for 0.
fn numbered(path: &Path, n: u32) -> PathBuf {
    if n == 0 {
        return path.to_owned();
    }
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    name.into()
}

fn require_regular(path: &Path) -> anyhow::Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => bail!("{} is not a regular file; remove it", path.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
}
