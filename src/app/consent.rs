//! What confirms `--confirm` at the keyboard: Enter alone, or `y` or `yes` before it.

use std::io::BufRead;

/// Reads lines until one says yes: whether one did before the input came to its end, at which nobody has confirmed
/// anything. `object` is called for each line that says something else; the time that is left goes on.
pub fn is_given(input: impl BufRead, mut object: impl FnMut()) -> bool {
    for line in input.split(b'\n').map_while(Result::ok) {
        if says_yes(&line) {
            return true;
        }
        object();
    }
    false
}

fn says_yes(line: &[u8]) -> bool {
    ["", "y", "yes"].iter().any(|word| line.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is confirmed, and after how many objections.
    fn told(input: &[u8]) -> (bool, usize) {
        let mut objections = 0;
        (is_given(input, || objections += 1), objections)
    }

    #[test]
    fn enter_alone_and_yes_confirm_and_nothing_else_does() {
        for yes in ["\n", "y\n", "yes\n", " YES \r\n", "Y"] {
            assert_eq!(told(yes.as_bytes()), (true, 0), "{yes:?}");
        }
        for no in ["no\n", "n\n", "yesterday\n", "nein", "\u{3}\n"] {
            assert_eq!(told(no.as_bytes()), (false, 1), "{no:?}");
        }
        assert_eq!(told(b"\xff\n"), (false, 1));
    }

    #[test]
    fn it_can_be_confirmed_after_something_else_was_typed_but_not_by_the_end_of_the_input() {
        assert_eq!(told(b"no\nwhat?\n\nno\n"), (true, 2));
        assert_eq!(told(b""), (false, 0));
    }
}
