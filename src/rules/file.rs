//! Reading a file that the user named: a regular one, of bounded size, and never waiting for anybody.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The content of the regular file `path`, `most` bytes at most. A pipe or a device is an error at once.
pub(super) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK, opening a pipe would wait for a writer; with O_NOCTTY a terminal stays nobody's.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::other("this is a folder"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let too_big = || io::Error::other(format!("more than {} MiB", most >> 20));
    let size = usize::try_from(metadata.len()).ok().filter(|&size| size <= most).ok_or_else(too_big)?;
    let mut bytes = Vec::with_capacity(size);
    // It may grow while it is read.
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(too_big()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.json");
        std::fs::write(&path, "{}").unwrap();
        assert_eq!(read(&path, 2).unwrap(), b"{}");
        assert!(read(&path, 1).is_err());
        assert!(read(folder.path(), 100).unwrap_err().to_string().contains("folder"));
        assert!(read(Path::new("/dev/zero"), 100).unwrap_err().to_string().contains("not a regular file"));
    }

    #[test]
    fn a_pipe_without_a_writer_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let began = Instant::now();
        assert!(read(&path, 100).is_err());
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}
