//! What the kernel refuses, and what pfw does: modes, foreign files, a full disk.

use super::*;

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
        exec "$0" --exact record::sink::tests::refused::a_full_disk_costs_only_what_is_told_and_leaves_no_torn_line"#;
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
    let (mut log, handle, writer) = begin(config(&path));
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
fn a_file_that_another_log_is_written_to_is_refused_until_that_one_has_ended() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("firewall.log");
    let (mut log, handle, writer) = begin(rotating(&path, 1, 3));
    let refused = || {
        let said = refusal(&path);
        let names = said.contains(&format!("the log file {}", path.display()));
        assert!(names && said.contains("another pfw") && said.contains("--log-file"), "{said}");
    };
    refused();
    // Rotated, and opened anew: where it was, and where somebody has moved it away.
    log.send(3);
    wait_for(|| handle.counts().rotations == 2);
    refused();
    handle.reopen();
    log.send(1);
    wait_for(|| handle.counts().lines == 4);
    refused();
    fs::rename(&path, folder.path().join("moved")).unwrap();
    handle.reopen();
    wait_for(|| path.exists());
    wait_for(|| open(config(&path)).is_err());
    refused();
    drop(log);
    writer.join().unwrap();
    open(config(&path)).unwrap();
}

#[test]
fn a_log_that_was_moved_away_is_written_on_there_while_another_pfw_has_its_place() {
    let folder = TempDir::new().unwrap();
    let (path, moved) = (folder.path().join("firewall.log"), folder.path().join("moved"));
    let (mut log, writer) = open_numbered(config(&path));
    fs::rename(&path, &moved).unwrap();
    let (other, _unwritten) = open_numbered(config(&path));
    let handle = log.log.handle();
    let writer = start(writer);
    log.send(2);
    wait_for(|| handle.counts().lines == 2);
    drop(log);
    writer.join().unwrap();
    assert_eq!((said(&moved), said(&path)), (numbers(0..2), Vec::new()));
    drop(other);
}
