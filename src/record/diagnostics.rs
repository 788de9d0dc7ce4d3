//! pfw's own messages, on standard error: what it is doing and what goes wrong. Never packets.
//!
//! They go through a thread of their own, so that a terminal that was stopped stops nobody else. That way is made
//! for few messages: it drops what does not fit its queue, and its guard waits a second at most at the end.

use super::escape::{Place, push_escaped};
use super::terminal::{Messages, wants_colours};
use std::fmt;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Messages that wait for standard error at most.
const QUEUE_LINES: usize = 1024;

/// Begins to show messages: warnings and errors, with `-v` (`verbosity` 1) what happens, then what is behind it (2),
/// and everything (3). The environment's `RUST_LOG` comes before that. Messages are shown until the guard is
/// dropped.
///
/// # Errors
/// `RUST_LOG` makes no sense, or messages are shown already.
pub fn init(verbosity: u8) -> anyhow::Result<WorkerGuard> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(text) if !text.is_empty() => {
            EnvFilter::try_new(&text).map_err(|error| anyhow::anyhow!("RUST_LOG={text:?}: {error}"))?
        }
        _ => EnvFilter::new(default_filter(verbosity)),
    };
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(QUEUE_LINES).thread_name("pfw-messages").finish(Messages);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .event_format(Message { style: Style::of_stderr() })
        .with_writer(writer)
        .try_init()
        .map_err(|error| anyhow::anyhow!("messages are shown already: {error}"))?;
    Ok(guard)
}

const fn default_filter(verbosity: u8) -> &'static str {
    match verbosity {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    }
}

/// How a message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// `<4>`: syslog's number, which journald turns into a priority; it knows time and program itself.
    Journal,
    /// `pfw: warning: `, as errors of a command begin.
    Plain,
    /// The same, and the word in colour.
    Coloured,
}

impl Style {
    fn of_stderr() -> Self {
        if is_journal(std::env::var("JOURNAL_STREAM").ok().as_deref(), stderr_identity()) {
            Self::Journal
        } else if wants_colours(&std::io::stderr()) {
            Self::Coloured
        } else {
            Self::Plain
        }
    }
}

/// Whether standard error goes to the journal: `JOURNAL_STREAM` (systemd.exec(5)) is inherited by processes whose
/// standard error is something else, so the numbers in it must be those of the file.
fn is_journal(stream: Option<&str>, identity: Option<(u64, u64)>) -> bool {
    let named = stream.and_then(|stream| {
        let (device, inode) = stream.split_once(':')?;
        Some((device.parse().ok()?, inode.parse().ok()?))
    });
    named.is_some() && named == identity
}

/// Device and inode of standard error.
fn stderr_identity() -> Option<(u64, u64)> {
    let file = std::fs::File::from(std::io::stderr().as_fd().try_clone_to_owned().ok()?);
    let metadata = file.metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// One message, one line: what begins it, the message, its fields, with everything but printable ASCII escaped.
#[derive(Clone, Copy, Debug)]
struct Message {
    style: Style,
}

impl<S, N> FormatEvent<S, N> for Message
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = String::new();
        context.format_fields(Writer::new(&mut fields), event)?;
        let mut escaped = Vec::new();
        push_escaped(&mut escaped, Place::Message, fields.as_bytes());
        push_beginning(&mut out, self.style, *event.metadata().level())?;
        writeln!(out, "{}", String::from_utf8_lossy(&escaped))
    }
}

fn push_beginning(out: &mut impl fmt::Write, style: Style, level: Level) -> fmt::Result {
    let (number, word, colour) = match level {
        Level::ERROR => (3, "error", 31),
        Level::WARN => (4, "warning", 33),
        Level::INFO => (6, "info", 32),
        Level::DEBUG => (7, "debug", 34),
        Level::TRACE => (7, "trace", 35),
    };
    match style {
        Style::Journal => write!(out, "<{number}>"),
        Style::Plain => write!(out, "pfw: {word}: "),
        Style::Coloured => write!(out, "pfw: \x1b[{colour}m{word}\x1b[0m: "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(style: Style, say: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new(default_filter(0)))
            .event_format(Message { style })
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, say);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn messages_begin_as_their_reader_expects() {
        let say = || tracing::warn!(lines = 3, "the log is full");
        assert_eq!(shown(Style::Plain, say), "pfw: warning: the log is full lines=3\n");
        assert_eq!(shown(Style::Journal, say), "<4>the log is full lines=3\n");
        assert_eq!(shown(Style::Coloured, say), "pfw: \x1b[33mwarning\x1b[0m: the log is full lines=3\n");
        assert_eq!(shown(Style::Plain, || tracing::info!("not asked for")), "");
    }

    #[test]
    fn what_a_message_quotes_can_do_nothing_to_a_terminal_or_a_journal() {
        let name = "eth\x1b[2J\n<0>\"x\"\\";
        let text = shown(Style::Journal, || tracing::error!("interface {name}"));
        assert!(text.starts_with("<3>interface eth") && text.ends_with("<0>\"x\"\\\n"), "{text}");
        assert!(text.trim_end_matches('\n').bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text}");
    }

    #[test]
    fn the_journal_is_only_where_its_numbers_say() {
        assert!(is_journal(Some("8:1234"), Some((8, 1234))));
        assert!(!is_journal(Some("8:1234"), Some((8, 1235))));
        assert!(!is_journal(Some("nonsense"), None));
        assert!(!is_journal(None, None));
    }
}
