//! Whole lines at the end of a file, or none of a line.

use crate::record::terminal::write_counting;
use std::fs::File;
use std::io::{self, Seek};

/// A file and whether it ends where a line ends.
#[derive(Debug)]
pub(super) struct Appender {
    pub(super) file: File,
    /// Half a line stands at the end, and could not be taken away.
    torn: bool,
}

/// Writing stopped.
#[derive(Debug)]
pub(super) struct Stopped {
    /// Bytes of whole lines that were written before.
    pub(super) written: usize,
    /// Why.
    pub(super) error: io::Error,
}

impl Appender {
    pub(super) fn new(file: File) -> Self {
        Self { file, torn: false }
    }

    /// Appends `lines`. If it stops halfway, the file is cut back to the last whole line, so that `written` bytes
    /// are there and no more.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), Stopped> {
        if self.torn {
            // The half line that we could not take away gets a line of its own.
            write_counting(&mut self.file, b"\n").map_err(|(_, error)| Stopped { written: 0, error })?;
            self.torn = false;
        }
        write_counting(&mut self.file, lines).map_err(|(done, error)| {
            let whole = end_of_last_line(lines.get(..done).unwrap_or_default());
            if done > whole {
                self.torn = self.cut((done - whole) as u64).is_err();
            }
            Stopped { written: whole, error }
        })
    }

    /// Takes our last `torn` bytes away, if they are still the end of the file: others may append too.
    pub(super) fn cut(&mut self, torn: u64) -> io::Result<()> {
        // The file is in append mode, so after a write the position is the end of what we wrote.
        let ours = self.file.stream_position()?;
        if self.file.metadata()?.len() != ours {
            return Err(io::Error::other("somebody else has appended"));
        }
        self.file.set_len(ours.saturating_sub(torn))
    }
}

/// How many bytes of `text` are whole lines.
pub(super) fn end_of_last_line(text: &[u8]) -> usize {
    text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1)
}
