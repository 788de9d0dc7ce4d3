//! Standard output and standard error: whether there is a terminal, and how to write without waiting for a lock.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a target that asks for patience (a pipe or terminal that somebody made non-blocking) is given each time.
const PATIENCE: Duration = Duration::from_millis(5);

/// Bytes of messages that are kept while a view has the terminal; what comes then is counted.
const MAX_KEPT: usize = 256 * 1024;

/// Messages that wait until a view has given the terminal back; none while nobody has it.
static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    missed: u64,
}

fn kept() -> MutexGuard<'static, Option<Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what is said on standard error from now on, since a view has the terminal.
pub fn keep_messages() {
    kept().get_or_insert_default();
}

/// Lets messages through again, and hands out those that were kept.
pub fn release_messages() -> String {
    let Some(Kept { bytes, missed }) = kept().take() else { return String::new() };
    let text = String::from_utf8_lossy(&bytes);
    match missed {
        0 => text.into_owned(),
        missed => format!("{text}pfw: {missed} more messages came while the view had the terminal\n"),
    }
}

/// Standard error, for whole messages: they are kept while a view has the terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Messages;

impl Write for Messages {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kept) = &mut *kept() {
            if kept.bytes.len() + bytes.len() <= MAX_KEPT {
                kept.bytes.extend_from_slice(bytes);
            } else {
                kept.missed += 1;
            }
            return Ok(bytes.len());
        }
        io::stderr().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Whether lines on standard output are to have colours: on a terminal, unless `NO_COLOR` is set.
pub fn stdout_wants_colours() -> bool {
    wants_colours(&io::stdout())
}

/// Whether what is written there is to have colours (<https://no-color.org>).
pub(super) fn wants_colours(target: &impl IsTerminal) -> bool {
    target.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Standard output as a file of its own: std's `Stdout` would hold lines back, keep others waiting for its lock, and
/// not say how much it wrote when it fails.
pub(super) fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Writes all of `bytes`, or says how many it wrote and why no more.
pub(super) fn write_counting(target: &mut impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match target.write(rest) {
            Ok(0) => return Err((bytes.len() - rest.len(), ErrorKind::WriteZero.into())),
            Ok(n) => rest = rest.get(n..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PATIENCE),
            Err(error) => return Err((bytes.len() - rest.len(), error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each write with the next of what it was given: how many bytes it takes, or why none.
    struct Moody(Vec<Result<usize, ErrorKind>>);

    impl Write for Moody {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0.remove(0).map_err(io::Error::from)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn interruptions_and_pauses_cost_nothing() {
        let mut target = Moody(vec![Ok(2), Err(ErrorKind::Interrupted), Err(ErrorKind::WouldBlock), Ok(3)]);
        write_counting(&mut target, b"12345").unwrap();
        assert!(target.0.is_empty());
    }

    #[test]
    fn a_failure_says_how_much_was_written_before() {
        let (written, error) =
            write_counting(&mut Moody(vec![Ok(2), Err(ErrorKind::StorageFull)]), b"12345").unwrap_err();
        assert_eq!((written, error.kind()), (2, ErrorKind::StorageFull));
        let (written, error) = write_counting(&mut Moody(vec![Ok(0)]), b"12345").unwrap_err();
        assert_eq!((written, error.kind()), (0, ErrorKind::WriteZero));
    }
}
