//! Whole files: what they come to, and what is said of broken ones.

mod meaning;
mod robust;
mod schema;

use super::*;
use std::io;
use std::path::Path;

/// Reads `text` as `rules.json`; the only block list there is, `drop.txt`, holds `list`.
pub(super) fn read_with(text: impl Into<Vec<u8>>, list: &str) -> Result<Loaded, Errors> {
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

/// A case of a file of cases: `== ` and what it is about, a rules file, and behind it what is to be said of that, each
/// in a line with `! `.
pub(super) struct Case<'t> {
    pub(super) title: &'t str,
    pub(super) text: String,
    said: Vec<&'t str>,
}

pub(super) fn cases(file: &str) -> Vec<Case<'_>> {
    file.split("\n== ").skip(1).map(Case::read).collect()
}

impl<'t> Case<'t> {
    fn read(case: &'t str) -> Self {
        let (title, body) = case.split_once('\n').unwrap();
        let (said, text): (Vec<_>, Vec<_>) = body.lines().partition(|line| line.starts_with("! "));
        let said = said.iter().map(|line| line.trim_start_matches("! ")).collect();
        Self { title, text: text.join("\n").trim_end().to_owned(), said }
    }

    /// The case with what is `told` of it, if that is not what it expects.
    pub(super) fn mismatch(&self, told: &str) -> Option<String> {
        let told: Vec<_> = told.lines().map(|line| line.trim_start_matches("rules.json:")).collect();
        let told_lines: String = told.iter().map(|line| ["! ", line, "\n"].concat()).collect();
        (told != self.said).then(|| format!("\n== {}\n{}\n{told_lines}", self.title, self.text))
    }
}

#[test]
fn broken_files_get_all_their_errors_at_the_right_place() {
    let cases = cases(include_str!("broken.txt"));
    assert!(cases.len() >= 40);
    let told = |case: &Case<'_>| read(&case.text).err().map(|errors| errors.to_string()).unwrap_or_default();
    let wrong: String = cases.iter().filter_map(|case| case.mismatch(&told(case))).collect();
    assert!(wrong.is_empty(), "these are told differently:\n{wrong}");
}
