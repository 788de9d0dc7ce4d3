//! The sentences of the crate doc about who may use whom, held against the code.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms that it may import, as the crate doc says.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("time", &[]),
    ("sys", &[]),
    ("batches", &[]),
    ("text", &[]),
    ("netlink", &["sys"]),
    ("host", &["netlink"]),
    ("alert", &[]),
    ("packet", &["alert", "time"]),
    ("capture", &["batches", "packet", "time", "netlink", "sys"]),
    ("conntrack", &["packet", "host", "netlink", "sys"]),
    ("nflog", &["packet", "time", "netlink", "sys"]),
    ("rules", &["alert", "packet", "time", "host", "sys"]),
    ("runtime", &["sys"]),
    ("firewall", &["packet", "rules", "time", "host", "netlink", "runtime"]),
    ("engine", &["alert", "packet", "rules", "time", "host"]),
    ("detect", &["alert", "packet", "engine", "host", "time"]),
    ("record", &["alert", "packet", "rules", "engine", "runtime", "sys", "time"]),
    ("control", &["record", "runtime", "sys", "time"]),
    (
        "app",
        &[
            "alert",
            "batches",
            "capture",
            "conntrack",
            "control",
            "detect",
            "firewall",
            "nflog",
            "engine",
            "host",
            "netlink",
            "packet",
            "record",
            "rules",
            "sys",
            "time",
        ],
    ),
    ("tui", &["control", "sys", "text"]),
    (
        "cli",
        &[
            "alert", "app", "control", "firewall", "capture", "engine", "host", "packet", "record", "rules", "text",
            "time", "tui",
        ],
    ),
];

/// Words that change files.
const WRITES: &[&str] = &["fs::rename", "fs::write", "fs::remove_file", "create_new", "fs::hard_link", "fs::copy"];

/// Words that only some rooms may use, and those rooms.
const ONLY_IN: &[(&str, &[&str])] =
    &[("thread::spawn", &["app"]), ("thread::Builder", &["app"]), ("Command::new", &["firewall"])];

fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of sources").map_while(Result::ok) {
            let path = entry.path();
            if path.file_stem().is_some_and(|name| name == "tests") {
                // A room's unit tests may do what they need.
            } else if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found
}

/// The room that a source file is in, and its code without its unit tests and comments.
fn room_and_code(path: &Path) -> (String, String) {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("a source");
    let room = inside.iter().next().expect("a name").to_string_lossy().trim_end_matches(".rs").to_owned();
    let text = fs::read_to_string(path).expect("readable");
    let code = text.split("#[cfg(test)]").next().expect("a beginning");
    let code = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    (room, code)
}

/// The rooms that `crate::ROOM` names.
fn imports(code: &str) -> BTreeSet<String> {
    let rooms = MAY_IMPORT.iter().map(|(room, _)| *room);
    rooms
        .filter(|room| code.contains(&format!("crate::{room}::")) || code.contains(&format!("crate::{room};")))
        .map(str::to_owned)
        .collect()
}

#[test]
fn imports_go_one_way() {
    for path in sources() {
        let (room, code) = room_and_code(&path);
        if ["lib", "main"].contains(&room.as_str()) {
            continue;
        }
        let (_, allowed) =
            MAY_IMPORT.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("the house has no room {room}"));
        assert!(!code.contains("use crate::{"), "{}: one import a line, so that this test can read it", path.display());
        for used in imports(&code) {
            assert!(used == room || allowed.contains(&used.as_str()), "{} uses {used}", path.display());
        }
    }
}

#[test]
fn threads_and_processes_are_started_in_one_room_each() {
    for path in sources() {
        let (room, code) = room_and_code(&path);
        for (word, rooms) in ONLY_IN {
            assert!(rooms.contains(&room.as_str()) || !code.contains(word), "{} says {word}", path.display());
        }
    }
}

#[test]
fn the_rules_room_writes_files_in_one_place() {
    for path in sources() {
        let (room, code) = room_and_code(&path);
        if room == "rules" && !path.ends_with("rules/store/mod.rs") {
            for word in WRITES {
                assert!(!code.contains(word), "{} says {word}", path.display());
            }
        }
    }
}
