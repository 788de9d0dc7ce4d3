//! Words to people, on standard error. Whoever reads them may have gone away or stopped reading: neither is a reason to
//! panic, nor to wait longer than a moment.

use crate::app::threads;
use crate::record::terminal;
use anyhow::Result;
use std::io::Write;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Says a line, if anybody listens. What is not printable (the name of a file can hold anything) is escaped.
pub fn say(line: &str) {
    tell(printable(line).as_bytes());
}

/// A line for people, with its end.
fn printable(line: &str) -> String {
    let line = without_error_numbers(line);
    let mut escaped = String::with_capacity(line.len() + 1);
    for character in line.chars() {
        if character.is_control() {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped.push('\n');
    escaped
}

/// Without what std adds to the system's words: `Permission denied (os error 13)`.
fn without_error_numbers(line: &str) -> String {
    const BEGINNING: &str = " (os error ";
    let mut words = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(BEGINNING) {
        words.push_str(before);
        let behind = after.trim_start_matches(|character: char| character.is_ascii_digit());
        rest = match behind.strip_prefix(')') {
            Some(behind) if behind.len() + 1 < after.len() => behind,
            _ => {
                words.push_str(BEGINNING);
                after
            }
        };
    }
    words + rest
}

/// Says whole lines as they are.
pub fn say_lines(lines: &str) {
    for line in lines.lines() {
        say(line);
    }
}

/// Says the last lines of a run, but waits no more than a moment for a terminal that was stopped.
pub fn say_at_last(lines: &str) {
    let lines = lines.to_owned();
    threads::within(threads::PATIENCE, move || say_lines(&lines));
}

/// Says lines while pfw runs: on a thread of its own, so that a terminal that was stopped (Ctrl-S) holds up nothing.
pub struct Messages {
    queue: Option<SyncSender<String>>,
    thread: Option<JoinHandle<()>>,
    /// Lines that found no room.
    missed: usize,
}

impl Messages {
    /// Lines that wait for the terminal at most; what comes then is counted, and told when there is room.
    const QUEUE: usize = 1_000;

    /// Starts the thread.
    pub fn start() -> Result<Self> {
        let (queue, lines) = sync_channel::<String>(Self::QUEUE);
        let thread = threads::start("messages", move || lines.iter().for_each(|line| say(&line)))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), missed: 0 })
    }

    /// Says a line when the terminal takes it.
    pub fn say(&mut self, line: &str) {
        let Some(queue) = &self.queue else { return };
        if self.missed > 0 {
            let words = format!("pfw: {} messages were not shown: the terminal was stopped", self.missed);
            if queue.try_send(words).is_err() {
                self.missed += 1;
                return;
            }
            self.missed = 0;
        }
        self.missed += usize::from(queue.try_send(line.to_owned()).is_err());
    }
}

impl Drop for Messages {
    /// Waits for what was said last, but no longer than a moment.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = threads::join_within("messages", thread, threads::PATIENCE);
        }
    }
}

fn tell(bytes: &[u8]) {
    // Nobody is left to be told that nobody listens.
    let _ = terminal::Messages.write_all(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_errors_are_left_out_and_nothing_else() {
        for (line, said) in [
            ("pfw: x: Permission denied (os error 13); use sudo", "pfw: x: Permission denied; use sudo"),
            ("a (os error 2)b (os error 3)", "ab"),
            ("a (os error ) b (os error x) (os error 4", "a (os error ) b (os error x) (os error 4"),
            ("", ""),
        ] {
            assert_eq!(without_error_numbers(line), said);
        }
    }

    #[test]
    fn what_is_said_can_do_nothing_to_a_terminal() {
        assert_eq!(printable("a\u{1b}[2J\nb"), "a\\u{1b}[2J\\nb\n");
    }
}
