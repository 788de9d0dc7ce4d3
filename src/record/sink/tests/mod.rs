//! The sink with real files, real threads and real errors.

mod ending;
mod queue;
mod refused;
mod replaced;
mod rotation;

use super::*;
use crate::engine::{RuleInfo, Step};
use crate::packet::{Net, Packet};
use crate::record::line::{LostCause, PacketLine, PfwEvent, PfwLine, RuleText, Sighting, Verdict};
use crate::record::{EscapedName, Lost};
use crate::time::Timestamp;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;
use tempfile::TempDir;

fn config(path: &Path) -> Config {
    Config {
        target: Target::File(FileConfig::new(path)),
        format: Format::Text,
        zone: TimeZone::UTC,
        when_full: WhenFull::Lose,
    }
}

fn rotating(path: &Path, max_size: u64, keep: u32) -> Config {
    Config { target: Target::File(FileConfig { max_size, keep, ..FileConfig::new(path) }), ..config(path) }
}

/// A log that numbers its lines.
struct Numbered {
    log: Log,
    next: u64,
    interface: EscapedName,
    rule: RuleText,
}

impl Numbered {
    fn new(log: Log) -> Self {
        let rule = RuleText::new(&RuleInfo { id: Arc::from("r"), step: Step::NonIp });
        Self { log, next: 0, interface: EscapedName::new(b"eth0"), rule }
    }

    /// Logs `n` lines, a microsecond apart.
    fn lines(&mut self, n: u64) {
        let packet = Packet::of(Net::Other { ethertype: 0x88cc, len: 46 });
        for _ in 0..n {
            let time = Timestamp::from_nanos(i64::try_from(self.next).unwrap() * 1000);
            let seen = Sighting { time, direction: None, interface: &self.interface, packet: &packet };
            let line = PacketLine { seen, verdict: Verdict::Allowed, uid: None, rule: &self.rule, standing: None };
            let number = self.next.to_string();
            self.log.packet(&line, |out| out.extend_from_slice(number.as_bytes()));
            self.next += 1;
        }
    }

    /// Logs `n` lines and hands them on.
    fn send(&mut self, n: u64) {
        self.lines(n);
        self.log.flush();
    }
}

fn open_numbered(config: Config) -> (Numbered, Writer) {
    let (log, writer) = open(config).unwrap();
    (Numbered::new(log), writer)
}

fn start(writer: Writer) -> JoinHandle<()> {
    thread::spawn(|| writer.run())
}

/// A log that is being written, and what may be asked of it.
fn begin(config: Config) -> (Numbered, Handle, JoinHandle<()>) {
    let (log, writer) = open_numbered(config);
    let handle = log.log.handle();
    (log, handle, start(writer))
}

/// Waits until `what` is true, at most ten seconds.
fn wait_for(what: impl Fn() -> bool) {
    let begin = Instant::now();
    while !what() {
        assert!(begin.elapsed() < Duration::from_secs(10), "waited for too long");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a line of the file says.
#[derive(Debug, PartialEq)]
enum Said {
    Number(u64),
    Lost(u64),
}

/// The lines of a file, which must all be whole.
fn said(path: &Path) -> Vec<Said> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is torn");
    let number = |text: &str| text.parse().unwrap();
    text.lines()
        .map(|line| {
            if let Some((_, rest)) = line.split_once("[LOST] n=") {
                return Said::Lost(number(rest.split_once(' ').unwrap().0));
            }
            let (start, reason) = line.split_once(" reason=\"").unwrap();
            assert!(start.ends_with(" [ALLOWED] - eth0 LLDP - > - len=46 rule=r"), "{line}");
            Said::Number(number(reason.strip_suffix('"').unwrap()))
        })
        .collect()
}

fn numbers(range: std::ops::Range<u64>) -> Vec<Said> {
    range.map(Said::Number).collect()
}

/// Lines and losses in a file must account for every number below `produced`, in order.
fn assert_accounts_for(said: &[Said], produced: u64) {
    let mut next = 0;
    for said in said {
        match *said {
            Said::Number(n) => {
                assert_eq!(n, next, "a line is missing that no [LOST] line speaks of");
                next += 1;
            }
            Said::Lost(n) => next += n,
        }
    }
    assert_eq!(next, produced);
}
