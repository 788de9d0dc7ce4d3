//! From the producer to the file: what is handed on when, and what a full queue costs.

use super::*;

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
    let (mut log, handle, writer) = begin(config(&path));
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
