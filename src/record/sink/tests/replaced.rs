//! A file that is moved, removed, replaced or emptied by others.

use super::*;

#[test]
fn on_request_it_opens_the_file_anew() {
    let folder = TempDir::new().unwrap();
    let (path, moved) = (folder.path().join("firewall.log"), folder.path().join("moved"));
    let (mut log, handle, writer) = begin(config(&path));
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
    let (mut log, handle, writer) = begin(config(&path));
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
    let (mut log, handle, writer) = begin(config(&path));
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
    let (mut log, handle, writer) = begin(config(&path));
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
    let (mut log, handle, writer) = begin(config(&path));
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
    let (mut log, handle, writer) = begin(config(&path));
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
