//! Words to people, on standard error. Whoever reads them may have gone away or stopped reading: neither is a reason to
//! panic, nor to wait longer than a moment.

use crate::app::threads;
use std::io::{self, Write};

/// Says a line, if anybody listens. What is not printable (the name of a file can hold anything) is escaped.
pub fn say(line: &str) {
    let mut escaped = String::with_capacity(line.len() + 1);
    for character in line.chars() {
        if character.is_control() {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped.push('\n');
    tell(escaped.as_bytes());
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

fn tell(bytes: &[u8]) {
    // Nobody is left to be told that nobody listens.
    let _ = io::stderr().write_all(bytes);
}
