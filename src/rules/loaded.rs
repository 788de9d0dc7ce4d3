//! From bytes to a rule set or to all that is wrong with them.

use super::block_list;
use super::diagnostic::{Diagnostic, Errors, Finding, locate};
use super::file;
use super::json::Node;
use super::limits::{MAX_ERRORS, MAX_FILE_BYTES, MAX_LIST_NETWORKS};
use super::lint::lint;
use super::lists::Lists;
use super::model::Ruleset;
use super::read::{Reader, Source};
use crate::host::Host;
use crate::time::Timestamp;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A rules file that was read without an error.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says.
    pub ruleset: Ruleset,
    /// What is legal in it but surely not meant, as far as the text alone tells.
    pub warnings: Vec<Finding>,
    /// How many more warnings there were than are kept.
    pub more_warnings: usize,
    /// Its name, as in messages.
    pub file: String,
    /// Its text, which all offsets point into.
    pub text: String,
}

/// Where a rules file comes from, and how the files that it names are read.
pub struct Origin<'o> {
    /// Its name, for messages.
    pub file: &'o str,
    /// The folder that the names of block lists start from.
    pub folder: &'o Path,
    /// Reads a block list.
    pub read: &'o dyn Fn(&Path) -> io::Result<Vec<u8>>,
}

impl Loaded {
    /// All there is to warn of, ordered by place: of the file itself, and of what it means on `machine` at `now`.
    /// Behind [`MAX_ERRORS`] of them, a last one says how many more there are.
    pub fn all_warnings(&self, machine: &Host, now: Timestamp) -> Vec<Diagnostic> {
        let mut findings = self.warnings.clone();
        findings.extend(lint(&self.ruleset, machine, now));
        let more = self.more_warnings + findings.len().saturating_sub(MAX_ERRORS);
        let mut warnings = self.locate(findings);
        warnings.truncate(MAX_ERRORS);
        if more > 0 {
            let message = format!("and {more} more warnings");
            warnings.push(Diagnostic { file: self.file.clone(), place: None, path: String::new(), message });
        }
        warnings
    }

    /// Puts line and column to findings about this file, ordered by place.
    pub fn locate(&self, findings: Vec<Finding>) -> Vec<Diagnostic> {
        locate(findings, &self.file, &self.text)
    }
}

/// Reads the rules file `path` and the block lists that it names.
pub fn load(path: &Path) -> Result<Loaded, Errors> {
    load_with(path, &mut Lists::default())
}

/// The same, but of the block lists only those that are not known yet, or have changed since.
pub fn load_with(path: &Path, lists: &mut Lists) -> Result<Loaded, Errors> {
    let name = path.display().to_string();
    let unreadable = |error: io::Error| Diagnostic {
        file: name.clone(),
        place: None,
        path: String::new(),
        message: error.to_string(),
    };
    let bytes = file::read(path, MAX_FILE_BYTES).map_err(unreadable)?;
    parse_with(bytes, path, lists)
}

/// What `bytes` say if they are the content of the rules file `path`, with its block lists as by [`load_with`].
pub fn parse_with(bytes: Vec<u8>, path: &Path, lists: &mut Lists) -> Result<Loaded, Errors> {
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    lists.begin();
    let parsed =
        parse_from(bytes, &path.display().to_string(), Source { folder: &folder, list: &|path| lists.read(path) });
    lists.end();
    parsed
}

/// What `text` says if it is the content of the rules file `path`; its block lists say what they said when they were read.
pub fn parse_recalling(text: String, path: &Path, lists: &Lists) -> Result<Loaded, Errors> {
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
    let source = Source { folder: &folder, list: &|path| lists.recall(path) };
    parse_from(text.into_bytes(), &path.display().to_string(), source)
}

/// Reads the rules file whose content is `bytes`: the rule set with its warnings, or all errors.
pub fn parse(bytes: Vec<u8>, origin: &Origin<'_>) -> Result<Loaded, Errors> {
    let list = |path: &Path| Ok(Arc::new(block_list::parse(&(origin.read)(path)?, MAX_LIST_NETWORKS)));
    parse_from(bytes, origin.file, Source { folder: origin.folder, list: &list })
}

fn parse_from(bytes: Vec<u8>, file: &str, source: Source<'_>) -> Result<Loaded, Errors> {
    let text = text_of(bytes, file)?;
    let root = Node::root(&text).map_err(|fault| at(&text, fault.offset, fault.message, file))?;
    let mut reader = Reader::new(source);
    let ruleset = reader.ruleset(&root);
    let (warnings, more_warnings) = reader.findings.finish(file, &text)?;
    Ok(Loaded { ruleset, warnings, more_warnings, file: file.to_owned(), text })
}

/// The text of a file, if it can be JSON at all.
fn text_of(bytes: Vec<u8>, file: &str) -> Result<String, Errors> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(at("", 0, format!("more than {} MiB", MAX_FILE_BYTES >> 20), file));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(at("", 0, "the file begins with a byte order mark; save it as UTF-8 without one".to_owned(), file));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(at("", 0, "the file is UTF-16; save it as UTF-8".to_owned(), file));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(at("", 0, "the file is empty; a file without rules is {}".to_owned(), file));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let byte = error.as_bytes().get(valid).copied().unwrap_or_default();
        let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
        let offset = u32::try_from(valid).unwrap_or(u32::MAX);
        at(&before, offset, format!("the byte 0x{byte:02x} is not UTF-8"), file)
    })
}

/// One error that leaves nothing else to be read.
fn at(text: &str, offset: u32, message: String, file: &str) -> Errors {
    Errors { errors: locate(vec![Finding::new(offset, "", message)], file, text), more: 0 }
}
