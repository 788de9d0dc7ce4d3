//! A window on a stream of bytes: what was read and not yet taken, and where in the stream it begins.

use std::io::{self, Read};

/// Bytes that one read asks for: large enough that the cost of a system call vanishes among thousands of records,
/// small enough to stay in the processor's cache.
const CHUNK: usize = 256 * 1024;

/// The bytes between `start` and `end` of `buffer` are there; the first is byte `offset` of the stream.
pub(super) struct Window<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
}

impl<R: Read> Window<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; CHUNK], start: 0, end: 0, offset: 0 }
    }

    /// What is there.
    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Where in the stream [`Window::bytes`] begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes `len` bytes out, or all if there are fewer.
    pub(super) fn take(&mut self, len: usize) -> &[u8] {
        let from = self.start;
        self.start = self.end.min(from.saturating_add(len));
        self.offset += (self.start - from) as u64;
        self.buffer.get(from..self.start).unwrap_or_default()
    }

    /// Reads until `len` bytes are there. `false`: the stream ends before.
    pub(super) fn fill(&mut self, len: usize) -> io::Result<bool> {
        self.make_room(len);
        while self.end - self.start < len {
            if self.read()? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes `len` bytes out without keeping them; returns how many there were.
    pub(super) fn skip(&mut self, len: u64) -> io::Result<u64> {
        let mut left = len;
        loop {
            let here = usize::try_from(left).unwrap_or(usize::MAX);
            left -= self.take(here).len() as u64;
            if left == 0 {
                return Ok(len);
            }
            self.make_room(1);
            if self.read()? == 0 {
                return Ok(len - left);
            }
        }
    }

    /// Moves what is there to the front if `len` bytes don't fit behind it, and grows the buffer if they still don't.
    fn make_room(&mut self, len: usize) {
        if self.buffer.len() - self.start < len || self.start == self.end {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < len {
            self.buffer.resize(len.next_multiple_of(CHUNK), 0);
        }
    }

    /// One read behind what is there; 0 at the end of the stream.
    fn read(&mut self) -> io::Result<usize> {
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        loop {
            match self.reader.read(room) {
                Ok(len) => {
                    self.end += len;
                    return Ok(len);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out at most `step` bytes a read, and is interrupted before each.
    struct Slow<'a> {
        bytes: &'a [u8],
        step: usize,
        interrupted: bool,
    }

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let len = self.step.min(buffer.len());
            self.bytes.read(&mut buffer[..len])
        }
    }

    #[test]
    fn bytes_come_out_in_order_whatever_a_read_brings() {
        let stream: Vec<u8> = (0..=255).cycle().take(3000).collect();
        for step in [1, 2, 7, 1000, 4000] {
            let mut window = Window::new(Slow { bytes: &stream, step, interrupted: false });
            let mut seen = Vec::new();
            while window.fill(7).unwrap() {
                seen.extend_from_slice(window.take(7));
                assert_eq!(window.offset(), seen.len() as u64);
            }
            assert_eq!(window.bytes(), &stream[2996..]);
            assert_eq!(seen, &stream[..2996]);
        }
    }

    #[test]
    fn a_record_larger_than_the_buffer_makes_it_grow() {
        let stream = vec![7; 3 * CHUNK];
        let mut window = Window::new(&stream[..]);
        window.take(0);
        assert!(window.fill(2 * CHUNK + 1).unwrap());
        assert_eq!(window.take(2 * CHUNK + 1).len(), 2 * CHUNK + 1);
        assert!(!window.fill(CHUNK).unwrap());
        assert_eq!(window.bytes().len(), CHUNK - 1);
    }

    #[test]
    fn skipping_needs_no_memory_and_says_how_much_there_was() {
        let stream = vec![7; 5 * CHUNK];
        let mut window = Window::new(&stream[..]);
        assert_eq!(window.skip(4 * CHUNK as u64 + 3).unwrap(), 4 * CHUNK as u64 + 3);
        assert_eq!(window.offset(), 4 * CHUNK as u64 + 3);
        assert_eq!(window.buffer.len(), CHUNK);
        assert_eq!(window.skip(u64::MAX).unwrap(), CHUNK as u64 - 3);
    }

    #[test]
    fn a_read_error_is_no_end_of_file() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        assert_eq!(Window::new(Broken).fill(1).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
