//! Rules files on file systems that refuse: full, and read-only.

use crate::Case;
use crate::world::sh;
use pfw::rules::store::{Locked, save};
use std::fs;
use std::io::Write;
use std::path::Path;

pub const CASES: &[Case] = &[
    ("a_full_file_system_keeps_the_old_rules_file", a_full_file_system_keeps_the_old_rules_file),
    ("a_read_only_file_system_is_told_with_its_remedy", a_read_only_file_system_is_told_with_its_remedy),
];

const OLD: &str = "{ \"comment\": \"old\" }\n";

/// A folder with a file system of its own, of 64 KiB, that holds a rules file.
fn file_system() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    sh(&format!("mount -t tmpfs -o size=64k tmpfs {}", folder.path().display()));
    fs::write(folder.path().join("rules.json"), OLD).expect("an empty file system takes a file");
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn a_full_file_system_keeps_the_old_rules_file() {
    let folder = file_system();
    let (path, filler) = (folder.path().join("rules.json"), folder.path().join("filler"));
    let mut file = fs::File::create(&filler).expect("a file");
    while file.write_all(&[0; 1024]).is_ok() {}
    let new = format!("{{ \"comment\": \"{}\" }}", "new".repeat(50));
    for _ in 0..3 {
        let error = save(&path, OLD.as_bytes(), &new).expect_err("nothing can be written").to_string();
        assert!(error.contains("No space left") && error.contains("free some space"), "{error}");
        assert_eq!(fs::read_to_string(&path).expect("readable"), OLD);
        assert_eq!(names(folder.path()), ["filler", "rules.json"]);
    }
    drop(file);
    fs::remove_file(filler).expect("removable");
    save(&path, OLD.as_bytes(), &new).expect("there is space again");
    assert_eq!(fs::read_to_string(&path).expect("readable"), new);
    sh(&format!("umount -l {}", folder.path().display()));
}

fn a_read_only_file_system_is_told_with_its_remedy() {
    let folder = file_system();
    let path = folder.path().join("rules.json");
    sh(&format!("mount -o remount,ro {}", folder.path().display()));
    let error = Locked::open(&path).expect_err("nothing can be locked").to_string();
    assert!(error.contains("Read-only file system") && error.contains("mount the file system writable"), "{error}");
    assert_eq!(names(folder.path()), ["rules.json"]);
    sh(&format!("umount -l {}", folder.path().display()));
}
