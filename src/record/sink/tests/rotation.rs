//! A file that is full.

use super::*;

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
