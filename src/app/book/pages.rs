//! What is to be in force: the file, and over it what was changed for the time of this run alone.

use crate::detect::Ban;
use crate::rules::edit::{Edit, Outcome, Refused};
use crate::rules::{BlockList, Errors, Lists, Loaded, Ruleset, load_with, parse_recalling, parse_with};
use crate::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file as it was read, with its block lists. They are read anew with the file alone: what becomes of one meanwhile
/// must not come into force with a change of something else.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    loaded: Loaded,
    lists: Lists,
}

/// What the file says, and what is different from it for now.
#[derive(Clone, Debug)]
pub struct Pages {
    file: Sheet,
    /// The file with the temporary changes, if there are any.
    changed: Option<Loaded>,
    temporary: Vec<Temporary>,
}

/// A change that is not in the file.
#[derive(Clone, Debug)]
pub struct Temporary {
    /// What was changed, in words.
    pub words: String,
    /// When it ends.
    pub until: Option<Timestamp>,
    pub(super) edit: Edit,
    pub(super) ids: Vec<Arc<str>>,
    /// What was added says itself when it ends.
    pub(super) ends_itself: bool,
    /// The ban that it is, if nobody asked for it.
    pub ban: Option<Ban>,
}

impl Temporary {
    /// Whether it has not ended.
    pub(super) fn lasts(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|end| end > now)
    }
}

impl Sheet {
    /// A file that was read, with the lists that were read with it.
    pub(super) fn new(loaded: Loaded, lists: Lists) -> Self {
        Self { loaded, lists }
    }

    /// What it says.
    pub(super) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Its text.
    pub(super) fn text(&self) -> &str {
        &self.loaded.text
    }

    /// The file as it is now.
    pub(super) fn read_anew(&self, path: &Path) -> Result<Self, Errors> {
        let mut lists = self.lists.clone();
        Ok(Self { loaded: load_with(path, &mut lists)?, lists })
    }

    /// The file if these are its bytes, with its lists as they are now.
    pub(super) fn parse_anew(&self, bytes: Vec<u8>, path: &Path) -> Result<Self, Errors> {
        let mut lists = self.lists.clone();
        Ok(Self { loaded: parse_with(bytes, path, &mut lists)?, lists })
    }

    /// The file if this is its text, with its lists as they were read.
    pub(super) fn with_text(&self, text: String, path: &Path) -> Result<Self, Errors> {
        Ok(Self { loaded: parse_recalling(text, path, &self.lists)?, lists: self.lists.clone() })
    }

    /// Whether block lists say something else than those of `other`.
    pub(super) fn has_other_lists_than(&self, other: &Self) -> bool {
        !have_same_lists(&self.loaded.ruleset, &other.loaded.ruleset)
    }
}

impl Pages {
    /// A file without changes.
    pub(super) fn new(file: Sheet) -> Self {
        Self { file, changed: None, temporary: Vec::new() }
    }

    /// With temporary changes, as far as they last at `now` and there is something to change; says which have not.
    pub(super) fn with(
        mut self,
        temporary: Vec<Temporary>,
        path: &Path,
        now: Timestamp,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self, Errors> {
        for one in temporary.into_iter().filter(|one| one.lasts(now)) {
            match one.edit.apply(self.loaded(), now).map(|answer| answer.outcome) {
                Ok(Outcome::Changed(change)) => self.add(one, change.text, path)?,
                Ok(Outcome::AlreadyThere | Outcome::NotThere) => self.temporary.push(one),
                Err(Refused(reason)) => say(&format!("a temporary change is no longer: {} ({reason})", one.words)),
            }
        }
        Ok(self)
    }

    /// Lays a temporary change over them, which makes `text` of what is to be in force.
    pub(super) fn add(&mut self, one: Temporary, text: String, path: &Path) -> Result<(), Errors> {
        self.changed = Some(parse_recalling(text, path, &self.file.lists)?);
        self.temporary.push(one);
        Ok(())
    }

    /// Takes over the file as it was read again, which says what it said.
    pub(super) fn renew(&mut self, file: Sheet) {
        self.file = file;
    }

    /// Without the temporary changes that do not stay. If all do, nothing is made anew.
    pub(super) fn keeping(
        &self,
        stays: impl Fn(&Temporary) -> bool,
        path: &Path,
        now: Timestamp,
    ) -> Result<Self, Errors> {
        if self.temporary.iter().all(&stays) {
            return Ok(self.clone());
        }
        let left = self.temporary.iter().filter(|one| stays(one)).cloned().collect();
        Self::new(self.file.clone()).with(left, path, now, &mut |_| ())
    }

    /// The files that they were read from; `path` is that of the rules.
    pub fn files(&self, path: &Path) -> impl Iterator<Item = PathBuf> {
        let lists = self.rules().block_lists.iter().filter(|list| list.enabled);
        std::iter::once(path.to_owned()).chain(lists.map(|list| list.path.clone()))
    }

    /// Whether they say something else than `others`.
    pub fn differ(&self, others: &Self) -> bool {
        self.file.text() != others.file.text() || !have_same_lists(self.rules(), others.rules())
    }

    /// What is to be in force.
    pub fn loaded(&self) -> &Loaded {
        self.changed.as_ref().unwrap_or(&self.file.loaded)
    }

    /// The file alone.
    pub(super) fn file(&self) -> &Sheet {
        &self.file
    }

    /// What is not in the file.
    pub(super) fn temporary(&self) -> &[Temporary] {
        &self.temporary
    }

    pub(super) fn rules(&self) -> &Ruleset {
        &self.loaded().ruleset
    }
}

/// Whether block lists hold the same. Those that were not made anew need not be compared, which takes milliseconds.
fn have_same_lists(ours: &Ruleset, theirs: &Ruleset) -> bool {
    let (ours, theirs) = (&ours.block_lists, &theirs.block_lists);
    let is_same = |(ours, theirs): (&BlockList, &BlockList)| {
        Arc::ptr_eq(&ours.networks, &theirs.networks) || ours.networks == theirs.networks
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(is_same)
}
