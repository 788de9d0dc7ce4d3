//! The live lines on standard output: copies of what goes to the log, as many as the terminal takes.
//!
//! The [`Feed`] never waits. A terminal that is slow or stopped loses lines on the screen, and is told how many; the
//! log loses none by it.

use super::line::{Format, Formatter, Lost, LostCause};
use super::terminal::{standard_output, write_counting};
use crate::time::Timestamp;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Buffers between log and screen, each a chunk of the log: 4 MiB at most, some 20,000 lines. A person reads fewer.
const BUFFERS: usize = 16;

/// The log's end: takes copies.
#[derive(Debug)]
pub struct Feed {
    queue: SyncSender<Shown>,
    /// Empty buffers. There are [`BUFFERS`] of them in all, which is what bounds the queue.
    spent: Receiver<Vec<u8>>,
    /// Lines that were left out since the last that were handed on.
    missed: Option<Lost>,
    /// Forms the line that says so, if the log has JSON lines: who reads them expects nothing else.
    json: Option<Formatter>,
}

/// The screen's end: writes them.
#[derive(Debug)]
pub struct Printer {
    queue: Receiver<Shown>,
    spent: SyncSender<Vec<u8>>,
    coloured: bool,
}

/// Lines for the screen.
#[derive(Debug)]
struct Shown {
    /// Says what was left out before these.
    notice: Vec<u8>,
    bytes: Vec<u8>,
}

/// Makes a printer and what feeds it. Text gets colours if `coloured`; JSON never does.
pub fn printer(format: Format, coloured: bool) -> (Feed, Printer) {
    // One more than there are buffers: for the count of what was left out last.
    let (queue, lines) = sync_channel(BUFFERS + 1);
    let (spent, buffers) = sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        // There is room for exactly these, and the receiver is in our hands.
        let _ = spent.try_send(Vec::new());
    }
    let feed = Feed { queue, spent: buffers, missed: None, json: None };
    (feed, Printer { queue: lines, spent, coloured: coloured && format == Format::Text })
}

impl Feed {
    /// What was left out will be told in lines of this formatter's kind.
    pub(super) fn in_form_of(self, formatter: &Formatter) -> Self {
        // `Feed` has a `Drop`, so its fields can't be moved out by `..self`.
        let mut feed = self;
        feed.json = (formatter.format() == Format::Json).then(|| formatter.clone());
        feed
    }

    /// Copies lines for the screen if there is room. `span` is the earliest and the latest time of them.
    pub(super) fn offer(&mut self, bytes: &[u8], lines: u64, span: (Timestamp, Timestamp)) {
        if lines == 0 {
            return;
        }
        match self.spent.try_recv() {
            Ok(mut buffer) => {
                buffer.clear();
                buffer.extend_from_slice(bytes);
                self.send(buffer);
            }
            Err(TryRecvError::Empty) => {
                self.miss(Lost { n: lines, cause: LostCause::Screen, from: span.0, to: span.1 });
            }
            // The printer has ended: nobody reads standard output.
            Err(TryRecvError::Disconnected) => {}
        }
    }

    fn miss(&mut self, lines: Lost) {
        match &mut self.missed {
            Some(missed) => missed.add(&lines),
            None => self.missed = Some(lines),
        }
    }

    /// The line that says what was left out; empty if nothing was.
    fn take_notice(&mut self) -> Vec<u8> {
        let Some(missed) = self.missed.take() else { return Vec::new() };
        let Some(formatter) = &mut self.json else {
            return format!("pfw: {} lines were not shown: the terminal is too slow\n", missed.n).into_bytes();
        };
        let mut line = Vec::new();
        formatter.lost(&mut line, &missed);
        line
    }

    fn send(&mut self, bytes: Vec<u8>) {
        let notice = self.take_notice();
        // Never full: there are no more buffers than places. Without a printer there is nobody to tell.
        let _ = self.queue.try_send(Shown { notice, bytes });
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if self.missed.is_some() {
            self.send(Vec::new());
        }
    }
}

impl Printer {
    /// Prints to standard output until the log is closed, or nobody reads any more. While a terminal is stopped this
    /// does not return: who ends the program must not wait for it without a bound.
    pub fn run(self) {
        // No error to tell: there is nobody at the other end to tell it to.
        let _ = standard_output().and_then(|mut screen| self.print(&mut screen));
    }

    fn print(self, screen: &mut impl Write) -> io::Result<()> {
        let mut show = |bytes: &[u8]| write_counting(screen, bytes).map_err(|(_, error)| error);
        let mut coloured = Vec::new();
        for Shown { notice, bytes } in &self.queue {
            show(&notice)?;
            if self.coloured {
                coloured.clear();
                push_coloured(&mut coloured, &bytes);
                show(&coloured)?;
            } else {
                show(&bytes)?;
            }
            // The pool has room for every buffer there is, but for the empty one at the end.
            let _ = self.spent.try_send(bytes);
        }
        Ok(())
    }
}

/// Appends `lines` with their words (`[BLOCKED]`) in colour.
fn push_coloured(out: &mut Vec<u8>, lines: &[u8]) {
    for line in lines.split_inclusive(|&byte| byte == b'\n') {
        match split_word(line) {
            Some((time, word, rest)) => {
                out.extend_from_slice(time);
                out.extend_from_slice(colour(word));
                out.extend_from_slice(word);
                out.extend_from_slice(b"\x1b[0m");
                out.extend_from_slice(rest);
            }
            None => out.extend_from_slice(line),
        }
    }
}

/// Time, word in brackets, and the rest of a line.
fn split_word(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let start = line.iter().position(|&byte| byte == b'[')?;
    let (time, rest) = line.split_at_checked(start)?;
    let end = rest.iter().position(|&byte| byte == b']')? + 1;
    let (word, rest) = rest.split_at_checked(end)?;
    Some((time, word, rest))
}

/// The escape sequence before a word.
fn colour(word: &[u8]) -> &'static [u8] {
    match word {
        b"[ALLOWED]" => b"\x1b[32m",
        b"[BLOCKED]" => b"\x1b[31m",
        b"[WOULD-BLOCK]" => b"\x1b[33m",
        b"[SUSPICIOUS]" => b"\x1b[35m",
        b"[LOST]" => b"\x1b[1;31m",
        _ => b"\x1b[36m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use std::sync::mpsc::channel;

    /// The time of lines whose time doesn't matter.
    const SPAN: (Timestamp, Timestamp) = (Timestamp::from_nanos(0), Timestamp::from_nanos(0));

    fn printed(feed: impl FnOnce(Feed), coloured: bool) -> String {
        let (source, printer) = printer(Format::Text, coloured);
        feed(source);
        let mut screen = Vec::new();
        printer.print(&mut screen).unwrap();
        String::from_utf8(screen).unwrap()
    }

    #[test]
    fn lines_come_as_they_are_or_with_their_word_in_colour() {
        let lines = b"T [BLOCKED] incoming\nT [ALLOWED] [fe80::1]:1 > x\n";
        assert_eq!(printed(|mut feed| feed.offer(lines, 2, SPAN), false).as_bytes(), lines);
        assert_eq!(
            printed(|mut feed| feed.offer(lines, 2, SPAN), true),
            "T \x1b[31m[BLOCKED]\x1b[0m incoming\nT \x1b[32m[ALLOWED]\x1b[0m [fe80::1]:1 > x\n"
        );
    }

    #[test]
    fn a_stopped_screen_never_holds_up_the_log_and_is_told_what_it_missed() {
        // Nobody prints while the feed is used: as if the terminal were stopped.
        let text = printed(
            |mut feed| {
                for n in 0..BUFFERS + 5 {
                    feed.offer(format!("line {n}\n").as_bytes(), 1, SPAN);
                }
            },
            false,
        );
        let mut lines = text.lines();
        for n in 0..BUFFERS {
            assert_eq!(lines.next(), Some(format!("line {n}").as_str()));
        }
        assert!(lines.next().unwrap().starts_with("pfw: 5 lines were not shown"));
        assert_eq!(lines.next(), None);
    }

    #[test]
    fn what_a_screen_of_json_missed_is_told_in_json_at_its_place() {
        let (feed, printer) = printer(Format::Json, true);
        let mut feed = feed.in_form_of(&Formatter::new(Format::Json, TimeZone::UTC));
        for n in 0..BUFFERS {
            feed.offer(format!("{{\"line\":{n}}}\n").as_bytes(), 1, SPAN);
        }
        let span = |from, to| (Timestamp::from_parts(from, 0), Timestamp::from_parts(to, 0));
        feed.offer(b"{}\n{}\n", 2, span(20, 30));
        feed.offer(b"{}\n", 1, span(10, 15));
        // Nobody has read so far. Here the rest is told by the end of the log.
        drop(feed);
        let mut screen = Vec::new();
        printer.print(&mut screen).unwrap();
        let text = String::from_utf8(screen).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), BUFFERS + 1);
        assert_eq!(lines[BUFFERS - 1]["line"], BUFFERS - 1);
        let told = &lines[BUFFERS];
        assert_eq!((&told["event_type"], &told["n"], &told["cause"]), (&"lost".into(), &3.into(), &"not-shown".into()));
        assert_eq!(told["from"], "1970-01-01T00:00:10.000000+0000");
        assert_eq!(told["to"], "1970-01-01T00:00:30.000000+0000");
    }

    #[test]
    fn buffers_are_used_again() {
        struct Counting(std::sync::mpsc::Sender<usize>);
        impl Write for Counting {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.send(bytes.len()).unwrap();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut feed, printer) = printer(Format::Text, false);
        let (sent, seen) = channel();
        let thread = std::thread::spawn(move || printer.print(&mut Counting(sent)));
        for _ in 0..10 * BUFFERS {
            feed.offer(b"x\n", 1, SPAN);
            assert_eq!(seen.recv().unwrap(), 2, "each line is printed before the next is offered");
        }
        drop(feed);
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn a_reader_who_left_ends_the_printing_and_not_the_log() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut feed, printer) = printer(Format::Text, false);
        feed.offer(b"x\n", 1, SPAN);
        assert_eq!(printer.print(&mut Gone).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        for _ in 0..3 * BUFFERS {
            feed.offer(b"y\n", 1, SPAN);
        }
    }
}
