//! What is wrong or doubtful in a rules file, and where: `rules.json:12:9: rules[3].dst_port: 70000 is not ...`.
//!
//! While a file is read, findings carry a byte offset; `locate` turns all of them into lines and columns in one
//! walk over the text.

use super::limits::MAX_ERRORS;
use std::fmt;

/// Something to be said about a place in the rules file: an error or a warning, still with its byte offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Byte offset in the rules file.
    pub offset: u32,
    /// JSON path (`rules[3].dst_port`); empty for the file as a whole.
    pub path: String,
    /// What there is to say.
    pub message: String,
    /// The place in a block list, if it is that file's fault.
    pub(super) elsewhere: Option<(String, Place)>,
}

/// A line and a column, both from 1; a column is a character, a tab too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// A finding with its place, ready to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was named.
    pub file: String,
    /// Where in the file; none if it couldn't be read at all.
    pub place: Option<Place>,
    /// JSON path; empty for the file as a whole.
    pub path: String,
    /// What there is to say.
    pub message: String,
}

/// Why a rules file was refused: all its errors, ordered by place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    /// The errors, [`MAX_ERRORS`] at most.
    pub errors: Vec<Diagnostic>,
    /// How many more there are.
    pub more: usize,
}

/// Errors and warnings as they are gathered. What goes beyond [`MAX_ERRORS`] is counted only.
#[derive(Debug, Default)]
pub(super) struct Findings {
    errors: Vec<Finding>,
    more_errors: usize,
    warnings: Vec<Finding>,
    more_warnings: usize,
}

impl Finding {
    /// A finding about the rules file itself.
    pub fn new(offset: u32, path: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { offset, path: path.to_string(), message: message.into(), elsewhere: None }
    }
}

impl Findings {
    pub(super) fn error(&mut self, offset: u32, path: impl fmt::Display, message: impl Into<String>) {
        self.push_error(|| Finding::new(offset, path, message));
    }

    /// An error in another file, which the value at `offset` names.
    pub(super) fn error_elsewhere(&mut self, at: (u32, &str), file: &str, place: Place, message: String) {
        let elsewhere = Some((file.to_owned(), place));
        self.push_error(|| Finding { offset: at.0, path: at.1.to_owned(), message, elsewhere });
    }

    pub(super) fn warning(&mut self, offset: u32, path: impl fmt::Display, message: impl Into<String>) {
        if self.warnings.len() < MAX_ERRORS {
            self.warnings.push(Finding::new(offset, path, message));
        } else {
            self.more_warnings += 1;
        }
    }

    /// The warnings and how many more there were, or all errors if there is one.
    pub(super) fn finish(self, file: &str, text: &str) -> Result<(Vec<Finding>, usize), Errors> {
        if self.errors.is_empty() {
            return Ok((self.warnings, self.more_warnings));
        }
        Err(Errors { errors: locate(self.errors, file, text), more: self.more_errors })
    }

    fn push_error(&mut self, finding: impl FnOnce() -> Finding) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(finding());
        } else {
            self.more_errors += 1;
        }
    }
}

/// Sorts findings by place and says each one's line and column in `text`, the content of `file`.
pub(super) fn locate(mut findings: Vec<Finding>, file: &str, text: &str) -> Vec<Diagnostic> {
    findings.sort_by_key(|finding| finding.offset);
    let mut cursor = Cursor { text, offset: 0, place: Place { line: 1, column: 1 } };
    let diagnose = |Finding { offset, path, message, elsewhere }| {
        let here = cursor.advance(offset as usize);
        let (file, place) = elsewhere.unwrap_or_else(|| (file.to_owned(), here));
        Diagnostic { file, place: Some(place), path, message }
    };
    findings.into_iter().map(diagnose).collect()
}

/// Walks forward over a text, so that many places cost one pass.
struct Cursor<'t> {
    text: &'t str,
    offset: usize,
    place: Place,
}

impl Cursor<'_> {
    /// The place of `offset`, which is not before the last one asked for.
    fn advance(&mut self, offset: usize) -> Place {
        let passed = self.text.get(self.offset..offset).unwrap_or_default();
        let rest = match passed.rfind('\n') {
            Some(last) => {
                self.place.line += count(passed.bytes().filter(|&byte| byte == b'\n'));
                self.place.column = 1;
                passed.get(last + 1..).unwrap_or_default()
            }
            None => passed,
        };
        self.place.column += count(rest.chars());
        self.offset = offset;
        self.place
    }
}

fn count(items: impl Iterator) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

impl From<Diagnostic> for Errors {
    fn from(error: Diagnostic) -> Self {
        Self { errors: vec![error], more: 0 }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more errors", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// `text` in quotes, with nothing in it that a terminal could take for a command, and not endlessly long.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut chars = text.chars();
    let shown: String = chars.by_ref().take(SHOWN).flat_map(char::escape_debug).collect();
    let more = if chars.next().is_some() { "..." } else { "" };
    format!("\"{shown}{more}\"")
}

/// A number or something like it, bare if nothing in it needs quotes.
pub(super) fn shown(text: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"+-./".contains(&byte);
    if text.is_empty() || text.len() > 40 || !text.bytes().all(bare) { quoted(text) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_come_in_order() {
        let text = "{\n  \"ä\": 1,\n\tx";
        let findings = [13, 0, 8].map(|offset| Finding::new(offset, "", "m")).to_vec();
        let places: Vec<_> =
            locate(findings, "f", text).iter().map(|d| (d.place.unwrap().line, d.place.unwrap().column)).collect();
        assert_eq!(places, [(1, 1), (2, 6), (3, 1)]);
    }

    #[test]
    fn many_errors_are_counted() {
        let mut findings = Findings::default();
        for _ in 0..1_005 {
            findings.error(0, "p", "m");
        }
        let errors = findings.finish("f", "{}").unwrap_err();
        assert_eq!((errors.errors.len(), errors.more), (1_000, 5));
        assert!(errors.to_string().ends_with("f:1:1: p: m\nand 5 more errors"));
    }

    #[test]
    fn quotes_hide_what_a_terminal_would_obey() {
        assert_eq!(quoted("a\u{1b}[2J\n"), r#""a\u{1b}[2J\n""#);
        assert_eq!(quoted(&"x".repeat(61)), format!("\"{}...\"", "x".repeat(60)));
    }
}
