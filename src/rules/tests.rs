//! Whole files: what they come to, and what is said of broken ones.

use super::*;
use std::io;
use std::path::Path;

/// Reads `text` as `rules.json`; the only block list there is, `drop.txt`, holds `list`.
fn read_with(text: impl Into<Vec<u8>>, list: &str) -> Result<Loaded, Errors> {
    let read = |path: &Path| match path.to_str() {
        Some("/etc/drop.txt") => Ok(list.as_bytes().to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    parse(text.into(), &Origin { file: "rules.json", folder: Path::new("/etc"), read: &read })
}

fn read(text: &str) -> Result<Loaded, Errors> {
    read_with(text, "192.0.2.1\n2001:db8::/32\n")
}

#[test]
fn the_example_reads_without_a_warning() {
    let loaded = read(include_str!("../../rules.example.json")).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.ruleset.rules.len(), 6);
}
