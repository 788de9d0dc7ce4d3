//! Bytes as they come -> lines.

use super::limits::MAX_REQUEST;

/// What came and is not taken yet, [`MAX_REQUEST`] bytes and what was read at once beyond them.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Up to here there is no end of a line.
    searched: usize,
}

/// A line is longer than a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    /// Takes in what came.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next line, without its end; `None` if it has not come as a whole.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let unseen = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(end) = unseen.iter().position(|&byte| byte == b'\n').map(|at| self.searched + at) else {
            self.searched = self.bytes.len();
            return if self.bytes.len() > MAX_REQUEST { Err(TooLong) } else { Ok(None) };
        };
        self.searched = 0;
        let mut line: Vec<u8> = self.bytes.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() > MAX_REQUEST { Err(TooLong) } else { Ok(Some(line)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for byte in b"one\ntwo\r\n\nthree" {
            lines.push(&[*byte]);
            seen.extend(lines.next().unwrap());
        }
        assert_eq!(seen, [b"one".to_vec(), b"two".to_vec(), b"".to_vec()]);
        lines.push(b"\nfour\n");
        assert_eq!(lines.next(), Ok(Some(b"three".to_vec())));
        assert_eq!(lines.next(), Ok(Some(b"four".to_vec())));
        assert_eq!(lines.next(), Ok(None));
    }

    #[test]
    fn a_line_may_have_so_many_bytes_and_no_more() {
        let mut lines = Lines::default();
        lines.push(&vec![b'x'; MAX_REQUEST]);
        assert_eq!(lines.next(), Ok(None));
        lines.push(b"\n");
        assert_eq!(lines.next().map(|line| line.unwrap().len()), Ok(MAX_REQUEST));
        lines.push(&vec![b'x'; MAX_REQUEST + 1]);
        assert_eq!(lines.next(), Err(TooLong));
    }
}
