//! Whole files: what they come to, and what is said of broken ones.

mod meaning;

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
    let loaded = read(include_str!("../../../rules.example.json")).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.ruleset.rules.len(), 6);
}

/// A case of `broken.txt`.
struct Broken<'t> {
    title: &'t str,
    text: String,
    errors: Vec<&'t str>,
}

fn broken() -> Vec<Broken<'static>> {
    let cases = include_str!("broken.txt").split("\n== ").skip(1);
    let read = |case: &'static str| {
        let (title, body) = case.split_once('\n').unwrap();
        let (errors, text): (Vec<_>, Vec<_>) = body.lines().partition(|line| line.starts_with("! "));
        let errors = errors.iter().map(|line| line.trim_start_matches("! ")).collect();
        Broken { title, text: text.join("\n").trim_end().to_owned(), errors }
    };
    cases.map(read).collect()
}

#[test]
fn broken_files_get_all_their_errors_at_the_right_place() {
    let cases = broken();
    assert!(cases.len() >= 40);
    let mut wrong = String::new();
    for Broken { title, text, errors } in cases {
        let told = read(&text).err().map(|errors| errors.to_string()).unwrap_or_default();
        let told: Vec<_> = told.lines().map(|line| line.trim_start_matches("rules.json:")).collect();
        if told != errors {
            wrong.push_str(&format!("\n== {title}\n{text}\n"));
            told.iter().for_each(|line| wrong.push_str(&format!("! {line}\n")));
        }
    }
    assert!(wrong.is_empty(), "these are told differently:\n{wrong}");
}
