//! Any bytes as a capture file: no panic, an end, bounded memory, and the same frames however the bytes come.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pfw::capture::file::{CaptureFile, MAX_INTERFACES};
use pfw::capture::{FrameSource, Polled};
use std::io::Read;
use std::time::Duration;

/// A reader that brings a few bytes at a time, as a pipe may.
struct Drips<'a>(&'a [u8]);

impl Read for Drips<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(7);
        self.0.read(&mut buffer[..len])
    }
}

/// What is to be the same: interface, time and lengths of each frame, and how it ended.
fn frames(reader: impl Read, size: usize) -> (Vec<(u32, i64, usize, u32)>, Option<String>) {
    let mut seen = Vec::new();
    let mut file = match CaptureFile::new("fuzz", reader) {
        Ok(file) => file,
        Err(error) => return (seen, Some(error.to_string())),
    };
    let end = loop {
        let polled = file.poll(Duration::ZERO, &mut |frame| {
            assert!(frame.bytes.len() <= frame.original_len as usize);
            seen.push((frame.interface, frame.time.nanos(), frame.bytes.len(), frame.original_len));
        });
        match polled {
            Ok(Polled::More) => {}
            Ok(Polled::End) => break None,
            Err(error) => break Some(error.to_string()),
        }
    };
    let interfaces = file.interfaces();
    assert!(interfaces.len() <= MAX_INTERFACES);
    assert!(seen.iter().all(|frame| (frame.0 as usize) < interfaces.len()));
    assert_eq!(file.counters().frames, seen.len() as u64);
    assert!(seen.iter().map(|frame| frame.2).sum::<usize>() <= size);
    (seen, end)
}

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(frames(bytes, bytes.len()), frames(Drips(bytes), bytes.len()));
});
