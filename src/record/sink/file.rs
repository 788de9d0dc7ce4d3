//! The log file: rotated by size, and found again when somebody moved it.

use super::FileConfig;
use super::append::{Appender, Stopped, end_of_last_line};
use super::claim::{Claim, claim};
use super::counters::Shared;
use super::guard::open_log;
use super::rotation::rotate;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// The file of a log, and how much is in it.
#[derive(Debug)]
pub(super) struct LogFile {
    config: FileConfig,
    appender: Appender,
    claim: Claim,
    size: u64,
    /// Rotation failed: the file grows on until the next look.
    stuck: bool,
    /// This was said.
    stuck_said: bool,
    /// The file was removed, and there is no other yet: what is written to it nobody could find.
    gone: bool,
    shared: Arc<Shared>,
}

impl LogFile {
    /// Opens or makes the file.
    pub(super) fn open(config: FileConfig, shared: Arc<Shared>) -> anyhow::Result<Self> {
        let file = open_log(&config.path, config.group)?;
        let claim = claim(&config.path, &file)?;
        let (size, appender) = (size_of(&file), Appender::new(file));
        Ok(Self { config, appender, claim, size, stuck: false, stuck_said: false, gone: false, shared })
    }

    /// Appends lines, in as many files as the limit asks for. The error counts what was written of them in all.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), Stopped> {
        let mut rest = lines;
        while !rest.is_empty() {
            if self.gone {
                let error = io::Error::new(ErrorKind::NotFound, "the log file was removed");
                return Err(Stopped { written: lines.len() - rest.len(), error });
            }
            let fits = self.fitting(rest);
            if fits == 0 {
                self.rotate();
                continue;
            }
            let (now, later) = rest.split_at_checked(fits).unwrap_or((rest, &[]));
            if let Err(stopped) = self.appender.append(now) {
                self.size += stopped.written as u64;
                return Err(Stopped { written: stopped.written + lines.len() - rest.len(), ..stopped });
            }
            self.size += fits as u64;
            rest = later;
        }
        Ok(())
    }

    /// How many bytes of `lines` the file takes before it has to be rotated: whole lines, and into an empty file one
    /// at least.
    fn fitting(&self, lines: &[u8]) -> usize {
        let room = self.config.max_size.saturating_sub(self.size);
        if self.config.max_size == 0 || self.stuck || lines.len() as u64 <= room {
            return lines.len();
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let fits = end_of_last_line(lines.get(..room).unwrap_or_default());
        if fits == 0 && self.size == 0 {
            return lines.iter().position(|&byte| byte == b'\n').map_or(lines.len(), |end| end + 1);
        }
        fits
    }

    /// Begins a new file, and keeps the full one under the next name. If that can't be done, the log goes on in the
    /// old file: too long a log is better than none.
    fn rotate(&mut self) {
        let done = self.try_rotate();
        self.stuck = done.is_err();
        if let Err(error) = &done
            && !self.stuck_said
        {
            tracing::warn!("cannot rotate the log, it grows on: {error:#}");
        }
        self.stuck_said = done.is_err();
    }

    fn try_rotate(&mut self) -> anyhow::Result<()> {
        // If the name is no longer our file's, somebody else has rotated.
        if self.is_in_place() {
            rotate(&self.config.path, self.config.keep)?;
            self.shared.count_rotation();
        }
        self.reopen()
    }

    /// Opens the file of that name anew, and makes it if it is missing.
    ///
    /// # Errors
    /// The old file stays in use as long as it has a name, be it another one.
    pub(super) fn reopen(&mut self) -> anyhow::Result<()> {
        match self.open_anew() {
            Ok(opened) => {
                if let Some((file, claim)) = opened {
                    (self.appender, self.claim) = (Appender::new(file), claim);
                }
                self.size = size_of(&self.appender.file);
                self.stuck = false;
                self.gone = false;
                Ok(())
            }
            Err(error) => {
                self.gone = !self.appender.file.metadata().is_ok_and(|metadata| metadata.nlink() > 0);
                Err(error)
            }
        }
    }

    /// The file of that name; none if it is the one in use, which is ours alone already.
    fn open_anew(&self) -> anyhow::Result<Option<(File, Claim)>> {
        let file = open_log(&self.config.path, self.config.group)?;
        if self.is_in_place() {
            return Ok(None);
        }
        let claim = claim(&self.config.path, &file)?;
        Ok(Some((file, claim)))
    }

    /// Whether the file of that name still is ours.
    pub(super) fn is_in_place(&self) -> bool {
        let there = self.config.path.symlink_metadata();
        let ours = self.appender.file.metadata();
        there.is_ok_and(|there| ours.is_ok_and(|ours| identity(&there) == identity(&ours)))
    }

    /// Whether lines would go where nobody looks for them: our file has no name any more, or another has its place. A
    /// file that was only moved away is none of that: who rotates logs makes the new file himself, and soon.
    pub(super) fn is_replaced(&self) -> bool {
        let Ok(ours) = self.appender.file.metadata() else { return false };
        let there = self.config.path.symlink_metadata();
        ours.nlink() == 0 || there.is_ok_and(|there| identity(&there) != identity(&ours))
    }

    /// Takes note of what others did to the file (copied and emptied it, say), and allows another try at rotating.
    pub(super) fn look(&mut self) {
        self.stuck = false;
        self.size = size_of(&self.appender.file);
    }
}

fn size_of(file: &File) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}
