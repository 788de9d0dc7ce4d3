//! The sink with real files, real threads and real errors.

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
        let packet = Packet {
            vlan: None,
            link_direction: None,
            net: Net::Other { ethertype: 0x88cc, len: 46 },
            malformed: None,
        };
        for _ in 0..n {
            let time = Timestamp::from_nanos(i64::try_from(self.next).unwrap() * 1000);
            let seen = Sighting { time, direction: None, interface: &self.interface, packet: &packet };
            let line = PacketLine { seen, verdict: Verdict::Allowed, uid: None, rule: &self.rule };
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

#[test]
fn everything_accepted_is_in_the_file_after_the_end_whatever_the_queue_held() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    // The writer only begins when the producer is gone.
    log.lines(150_000);
    drop(log);
    writer.run();
    assert_eq!(said(&path), numbers(0..150_000));
    let counts = handle.counts();
    assert_eq!(counts.lines, 150_000);
    assert_eq!(counts.lost_log(), 0);
    assert_eq!(counts.bytes, fs::metadata(&path).unwrap().len());
}

#[test]
fn a_full_queue_loses_lines_and_says_so_before_the_next() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    for _ in 0..QUEUE_CHUNKS + 3 {
        log.send(10);
    }
    assert_eq!(handle.counts().lost_queue, 30);
    let writer = start(writer);
    wait_for(|| handle.counts().lines == 10 * QUEUE_CHUNKS as u64);
    log.send(5);
    drop(log);
    writer.join().unwrap();
    let kept = 10 * QUEUE_CHUNKS as u64;
    let mut expected = numbers(0..kept);
    expected.push(Said::Lost(30));
    expected.extend(numbers(kept + 30..kept + 35));
    assert_eq!(said(&path), expected);
    let text = fs::read_to_string(&path).unwrap();
    let lost = text.lines().find(|line| line.contains("[LOST]")).unwrap();
    assert!(
        lost.contains(" cause=log-queue-full from=1970-01-01T00:00:00.001280+00:00 to=1970-01-01T00:00:00.001309"),
        "{lost}"
    );
}

#[test]
fn a_loss_is_told_though_no_line_follows() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    for _ in 0..=QUEUE_CHUNKS {
        log.send(1);
    }
    let writer = start(writer);
    wait_for(|| handle.counts().lines == QUEUE_CHUNKS as u64);
    let now = Instant::now();
    log.log.flush_if_due(now);
    log.log.flush_if_due(now + FLUSH_AFTER);
    wait_for(|| said(&path).last() == Some(&Said::Lost(1)));
    drop(log);
    writer.join().unwrap();
}

#[test]
fn what_the_kernel_lost_stands_between_the_lines_before_and_behind() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    log.lines(2);
    let (from, to) = (Timestamp::from_nanos(0), Timestamp::from_nanos(9));
    log.log.lost(Lost { n: 7, cause: LostCause::KernelRing, from, to });
    log.lines(1);
    drop(log);
    writer.run();
    assert_eq!(said(&path), [Said::Number(0), Said::Number(1), Said::Lost(7), Said::Number(2)]);
    assert_eq!((handle.counts().lost_kernel, handle.counts().lost_log()), (7, 0));
}

#[test]
fn a_chunk_is_handed_on_after_a_tenth_of_a_second_and_not_before() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    let writer = start(writer);
    let now = Instant::now();
    log.lines(1);
    log.log.flush_if_due(now);
    log.log.flush_if_due(now + FLUSH_AFTER.mul_f32(0.99));
    thread::sleep(Duration::from_millis(50));
    assert_eq!(handle.counts().lines, 0, "too early");
    log.log.flush_if_due(now + FLUSH_AFTER);
    wait_for(|| handle.counts().lines == 1);
    drop(log);
    writer.join().unwrap();
}

#[test]
fn it_rotates_at_line_ends_and_keeps_as_many_files_as_it_should() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(rotating(&path, 10_000, 3));
    let handle = log.log.handle();
    log.lines(1000);
    drop(log);
    writer.run();
    let names =
        ["firewall.log.3", "firewall.log.2", "firewall.log.1", "firewall.log"].map(|name| folder.path().join(name));
    let all: Vec<Said> = names.iter().flat_map(|name| said(name)).collect();
    let first = 1000 - all.len() as u64;
    assert_eq!(all, numbers(first..1000));
    for name in &names {
        let metadata = fs::metadata(name).unwrap();
        assert!(metadata.len() <= 10_000);
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
    }
    // Full means that one line more would not have fitted.
    assert!(fs::metadata(&names[0]).unwrap().len() > 9_800);
    assert!(!folder.path().join("firewall.log.4").exists());
    assert_eq!(handle.counts().lines, 1000);
    assert!(handle.counts().rotations > 3);
}

#[test]
fn a_limit_smaller_than_a_line_gives_each_line_its_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(rotating(&path, 1, 1));
    log.lines(3);
    drop(log);
    writer.run();
    assert_eq!(said(&path), numbers(2..3));
    assert_eq!(said(&folder.path().join("firewall.log.1")), numbers(1..2));
}

#[test]
fn with_nothing_to_keep_a_full_file_is_removed_and_so_are_surplus_ones() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    for n in 1..=3 {
        fs::write(folder.path().join(format!("firewall.log.{n}")), "").unwrap();
    }
    let (mut log, writer) = open_numbered(rotating(&path, 1, 0));
    log.lines(2);
    drop(log);
    writer.run();
    assert_eq!(said(&path), numbers(1..2));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_link_in_the_place_of_a_rotated_file_stops_rotation_and_not_the_log() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let victim = folder.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, folder.path().join("firewall.log.1")).unwrap();
    let (mut log, writer) = open_numbered(rotating(&path, 1, 2));
    log.lines(3);
    drop(log);
    writer.run();
    assert_eq!(said(&path), numbers(0..3));
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[test]
fn on_request_it_opens_the_file_anew() {
    let folder = TempDir::new().unwrap();
    let (path, moved) = (folder.path().join("firewall.log"), folder.path().join("moved"));
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    let writer = start(writer);
    log.send(2);
    wait_for(|| handle.counts().lines == 2);
    fs::rename(&path, &moved).unwrap();
    handle.reopen();
    log.send(1);
    drop(log);
    writer.join().unwrap();
    assert_eq!(said(&moved), numbers(0..2));
    assert_eq!(said(&path), numbers(2..3));
}

#[test]
fn without_a_request_it_finds_out_within_a_second_that_the_file_was_moved() {
    let folder = TempDir::new().unwrap();
    let (path, moved) = (folder.path().join("firewall.log"), folder.path().join("moved"));
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    let writer = start(writer);
    log.send(1);
    wait_for(|| handle.counts().lines == 1);
    fs::rename(&path, &moved).unwrap();
    wait_for(|| path.exists());
    log.send(1);
    drop(log);
    writer.join().unwrap();
    assert_eq!((said(&moved), said(&path)), (numbers(0..1), numbers(1..2)));
}

#[test]
fn a_removed_file_is_made_anew_before_the_next_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    let writer = start(writer);
    for round in 1..=3 {
        log.send(2);
        wait_for(|| handle.counts().lines == 2 * round);
        assert_eq!(said(&path), numbers(2 * round - 2..2 * round));
        fs::remove_file(&path).unwrap();
    }
    drop(log);
    writer.join().unwrap();
}

#[test]
fn a_file_put_in_the_place_of_the_log_gets_the_next_line() {
    let folder = TempDir::new().unwrap();
    let (path, moved) = (folder.path().join("firewall.log"), folder.path().join("moved"));
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    let writer = start(writer);
    log.send(2);
    wait_for(|| handle.counts().lines == 2);
    fs::rename(&path, &moved).unwrap();
    fs::write(&path, "").unwrap();
    log.send(1);
    drop(log);
    writer.join().unwrap();
    assert_eq!((said(&moved), said(&path)), (numbers(0..2), numbers(2..3)));
}

#[test]
fn a_loss_that_is_told_last_of_all_is_not_told_to_a_removed_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    // A folder in its place: it can't be made anew.
    log.send(1);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let writer = start(writer);
    wait_for(|| handle.counts().lost_write == 1);
    fs::remove_dir(&path).unwrap();
    drop(log);
    writer.join().unwrap();
    assert_eq!(said(&path), [Said::Lost(1)]);
}

#[test]
fn a_file_that_was_copied_and_emptied_is_written_on_from_its_beginning() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    let writer = start(writer);
    log.send(3);
    wait_for(|| handle.counts().lines == 3);
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    log.send(2);
    drop(log);
    writer.join().unwrap();
    assert_eq!(said(&path), numbers(3..5));
}

#[test]
fn a_folder_that_vanishes_and_comes_back_costs_only_what_is_told() {
    let folder = TempDir::new().unwrap();
    let logs = folder.path().join("logs");
    let path = logs.join("firewall.log");
    fs::create_dir(&logs).unwrap();
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    let writer = start(writer);
    log.send(3);
    wait_for(|| handle.counts().lines == 3);
    fs::remove_dir_all(&logs).unwrap();
    log.send(1);
    log.send(5);
    wait_for(|| handle.counts().lost_write == 6);
    assert_eq!((handle.counts().lines, handle.counts().outages), (3, 1));
    fs::create_dir(&logs).unwrap();
    wait_for(|| path.exists() && said(&path) == [Said::Lost(handle.counts().lost_write)]);
    log.send(1);
    let last = log.next - 1;
    drop(log);
    writer.join().unwrap();
    assert_eq!(said(&path), [Said::Lost(handle.counts().lost_write), Said::Number(last)]);
    assert_eq!(handle.counts().lines + handle.counts().lost_log(), last + 1);
}

#[test]
fn nobody_at_the_other_end_of_standard_output_closes_the_log() {
    let (reader, output) = std::io::pipe().unwrap();
    let (queue, chunks) = sync_channel(QUEUE_CHUNKS);
    let (spent, spares) = sync_channel(SPARE_CHUNKS);
    let shared = Arc::default();
    let formatter = Formatter::new(Format::Text, TimeZone::UTC);
    let output = File::from(std::os::fd::OwnedFd::from(output));
    let output = writer::Output::StandardOutput(append::Appender::new(output));
    let writer = start(Writer::new(output, formatter.clone(), chunks, spent, Arc::clone(&shared)));
    let mut log = Numbered::new(Log::new(formatter, Patience { usual: None, last: None }, queue, spares, shared));
    let handle = log.log.handle();
    let mut begin = [0; 1];
    log.send(1);
    (&reader).read_exact(&mut begin).unwrap();
    assert!(!handle.is_closed());
    drop(reader);
    log.send(1);
    wait_for(|| handle.is_closed());
    drop(log);
    writer.join().unwrap();
    assert_eq!((handle.counts().lines, handle.counts().lost_write, handle.counts().outages), (1, 1, 0));
}

#[test]
fn a_full_queue_that_nobody_empties_does_not_keep_a_live_log_on_standard_output_from_ending() {
    // The writer never runs: as if it waited for a pipe that nobody reads.
    let (mut log, writer) = open_numbered(Config { target: Target::StandardOutput, ..config(Path::new("-")) });
    let handle = log.log.handle();
    for _ in 0..QUEUE_CHUNKS {
        log.send(10);
    }
    log.lines(7);
    let begin = Instant::now();
    let (ended, end) = sync_channel(1);
    let ending = thread::spawn(move || {
        drop(log);
        ended.send(()).unwrap();
    });
    end.recv_timeout(Duration::from_secs(10)).expect("it waits without a bound");
    assert!(begin.elapsed() >= LAST_PATIENCE, "it did not wait at all");
    ending.join().unwrap();
    let counts = handle.counts();
    assert_eq!((counts.lost_queue, counts.accepted, counts.lines), (7, 10 * QUEUE_CHUNKS as u64, 0));
    assert_eq!(counts.abandoned(), 10 * QUEUE_CHUNKS as u64);
    drop(writer);
}

#[test]
fn a_log_that_is_to_wait_waits_at_its_end_too() {
    for config in [
        Config { target: Target::StandardOutput, when_full: WhenFull::Wait, ..config(Path::new("-")) },
        config(&TempDir::new().unwrap().path().join("firewall.log")),
    ] {
        assert_eq!(Patience::of(&config).last, None, "{config:?}");
    }
}

#[test]
fn a_file_waits_for_its_last_lines_longer_than_standard_output_does() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    for _ in 0..QUEUE_CHUNKS {
        log.send(1);
    }
    log.lines(1);
    let late = thread::spawn(move || {
        thread::sleep(LAST_PATIENCE * 2);
        writer.run();
    });
    drop(log);
    late.join().unwrap();
    let counts = handle.counts();
    assert_eq!((counts.lines, counts.lost_log(), counts.abandoned()), (QUEUE_CHUNKS as u64 + 1, 0, 0));
    assert_eq!(said(&path), numbers(0..QUEUE_CHUNKS as u64 + 1));
}

#[test]
fn a_log_file_has_its_mode_and_group_and_an_old_one_is_closed_to_others() {
    let folder = TempDir::new().unwrap();
    let (own, other) = (fs::metadata(folder.path()).unwrap().gid(), 12_345);
    // Only root may give a file to any group.
    let group = if fs::metadata(folder.path()).unwrap().uid() == 0 { other } else { own };
    let opened = |old: Option<u32>| {
        let path = folder.path().join("firewall.log");
        if let Some(mode) = old {
            fs::write(&path, "before\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let target = Target::File(FileConfig { group: Some(group), ..FileConfig::new(&path) });
        open(Config { target, ..config(&path) }).unwrap();
        let (text, metadata) = (fs::read_to_string(&path).unwrap(), fs::metadata(&path).unwrap());
        fs::remove_file(&path).unwrap();
        assert_eq!(text, if old.is_some() { "before\n" } else { "" });
        (metadata.permissions().mode() & 0o7777, metadata.gid())
    };
    assert_eq!(opened(None), (0o640, group));
    for open_to_others in [0o666, 0o660, 0o644, 0o604] {
        assert_eq!(opened(Some(open_to_others)), (0o640, group), "{open_to_others:o}");
    }
    for closed in [0o640, 0o600] {
        assert_eq!(opened(Some(closed)), (closed, own), "{closed:o}");
    }
}

fn refusal(path: &Path) -> String {
    format!("{:#}", open(config(path)).expect_err("the file must be refused"))
}

#[test]
fn what_is_not_a_plain_file_of_ours_is_refused() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("victim"), "precious").unwrap();
    symlink(at("victim"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    fs::hard_link(at("victim"), at("hard")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    assert!(refusal(&at("link")).contains("is a symbolic link; remove it"));
    assert!(refusal(&at("dangling")).contains("is a symbolic link; remove it"));
    assert!(refusal(&at("hard")).contains("has 2 names (hard links); remove it"));
    assert!(refusal(&at("folder")).contains("is a folder; choose another --log-file"));
    assert!(refusal(&at("fifo")).contains("is a FIFO; choose another --log-file"));
    assert!(refusal(&at("socket")).contains("is a socket; choose another --log-file"));
    assert!(refusal(Path::new("/dev/null")).contains("is a device; choose another --log-file"));
    assert!(refusal(&at("missing/firewall.log")).ends_with("No such file or directory (os error 2)"));
    assert_eq!(fs::read_to_string(at("victim")).unwrap(), "precious");
    assert!(!at("nowhere").exists());
}

/// Runs itself again in a process whose files can't grow beyond 64 KiB: the kernel then writes as much as fits and
/// fails, as on a full disk.
#[test]
fn a_full_disk_costs_only_what_is_told_and_leaves_no_torn_line() {
    if let Some(folder) = std::env::var_os("PFW_TEST_FOLDER") {
        return the_file_is_full(Path::new(&folder));
    }
    let folder = TempDir::new().unwrap();
    let script = r#"trap "" XFSZ; ulimit -f 128
        exec "$0" --exact record::sink::tests::a_full_disk_costs_only_what_is_told_and_leaves_no_torn_line"#;
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env("PFW_TEST_FOLDER", folder.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

/// Needs a folder in which files can't grow without end.
fn the_file_is_full(folder: &Path) {
    let path = folder.join("firewall.log");
    let (mut log, writer) = open_numbered(config(&path));
    let handle = log.log.handle();
    let writer = start(writer);
    while handle.counts().lost_write == 0 {
        log.send(100);
        thread::sleep(Duration::from_millis(1));
    }
    log.send(100);
    wait_for(|| handle.counts().lines + handle.counts().lost_write == log.next);
    let before = said(&path);
    assert_eq!(before, numbers(0..handle.counts().lines));
    assert_eq!(handle.counts().outages, 1);
    // Still full: the next try fails too, and is no new outage.
    thread::sleep(LOOK_EVERY + LOOK_EVERY / 4);
    log.send(1);
    wait_for(|| handle.counts().lines + handle.counts().lost_write == log.next);
    assert_eq!((said(&path), handle.counts().outages), (before, 1));
    // Somebody makes room. The loss is told within a second and without any new line.
    let lost = handle.counts().lost_write;
    let begin = handle.counts().lines;
    OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
    wait_for(|| said(&path) == [Said::Lost(lost)]);
    log.send(100);
    let produced = log.next;
    drop(log);
    writer.join().unwrap();
    let mut all = numbers(0..begin);
    all.extend(said(&path));
    assert_accounts_for(&all, produced);
    assert_eq!(all.len() as u64, begin + 1 + 100);
    assert_eq!(handle.counts().lines + handle.counts().lost_log(), produced);
}

#[test]
fn a_half_line_that_is_no_longer_the_end_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let open = || OpenOptions::new().append(true).create(true).open(&path).unwrap();
    let mut appender = append::Appender::new(open());
    appender.append(b"whole\nhal").unwrap();
    appender.cut(3).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole\n");
    appender.append(b"hal").unwrap();
    open().write_all(b"theirs\n").unwrap();
    appender.cut(3).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"whole\nhaltheirs\n");
}

#[test]
fn a_line_about_pfw_itself_is_handed_on_at_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, writer) = open(config(&path)).unwrap();
    let handle = log.handle();
    let writer = start(writer);
    log.pfw(&PfwLine { time: Timestamp::default(), event: PfwEvent::Started, interface: None, reason: "ready" });
    wait_for(|| handle.counts().lines == 1);
    drop(log);
    writer.join().unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "1970-01-01T00:00:00.000000+00:00 [PFW] event=started reason=\"ready\"\n"
    );
}
