//! How a log ends whose reader is slow, or gone.

use super::*;

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
