//! The rules as they are to be: what the file says, and over it what was changed for the time of this run alone.
//!
//! Every change is made on the file's text first, by `rules::edit`, and read again: what is in force has always been a
//! sound rules file. Nothing here touches the kernel: a [`Proposal`] is what would be, and becomes so when it is
//! [adopted](Book::adopt).

mod draft;
mod pages;

pub use pages::{Pages, Temporary};

use draft::{Draft, ends_itself};
use pages::Sheet;

use crate::control::limits::MAX_TARGETS;
use crate::control::{Change, Refusal, RefusalKind};
use crate::detect::Ban;
use crate::rules::address::AddressRange;
use crate::rules::diagnostic::quoted;
use crate::rules::edit::{Answer, Details, Edit, Outcome, Refused, Undo, Value};
use crate::rules::store::{self, Locked};
use crate::rules::{Errors, Lists, Loaded};
use crate::time::Timestamp;
use std::path::{Path, PathBuf};

/// Bans at once, beside temporary changes that were asked for: each costs as much.
const MAX_BANS: usize = 100;

/// Changes that can be taken back, the latest first.
const MAX_STEPS: usize = 100;

/// The longest time that a change is asked for: ten years.
const MAX_SECONDS: u64 = 10 * 366 * 86_400;

/// The rules.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    pages: Pages,
    steps: Vec<Step>,
}

/// What can be taken back.
#[derive(Clone, Debug)]
struct Step {
    words: String,
    /// In the file, the last one last.
    undos: Vec<Undo>,
    /// The temporary changes before.
    temporary: Vec<Temporary>,
}

/// What would be.
#[derive(Debug)]
pub struct Proposal {
    /// What was changed, in words.
    pub words: Vec<String>,
    /// What is as it is to be already, in words.
    pub unchanged: Vec<String>,
    /// The addresses that are to be blocked.
    pub blocks: Vec<AddressRange>,
    pages: Pages,
    /// The file, locked, and what is to be written there.
    save: Option<(Locked, String)>,
    /// What can be taken back then; none if the last one was.
    step: Option<Step>,
}

/// What comes of a change.
#[derive(Debug)]
pub enum Proposed {
    /// Something is different.
    Change(Box<Proposal>),
    /// All is as it is to be already.
    Nothing(Vec<String>),
    /// Nothing yet: what was loaded is not what the file says now, which has to be loaded first. In words.
    Edited(String),
}

impl Proposal {
    /// The rules that would be in force.
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// What is to be written into the file, if it is.
    pub fn text(&self) -> Option<&str> {
        self.save.as_ref().map(|(_, text)| text.as_str())
    }

    /// Writes the file.
    pub fn save(&mut self) -> Result<(), store::Error> {
        self.save.as_mut().map_or(Ok(()), |(locked, text)| locked.save(text))
    }
}

impl Book {
    /// The rules of a file that was read, with its block lists.
    pub fn new(path: PathBuf, file: Loaded, lists: Lists) -> Self {
        let pages = Pages::new(Sheet::new(file, lists));
        Self { path, pages, steps: Vec::new() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is to be in force.
    pub fn loaded(&self) -> &Loaded {
        self.pages.loaded()
    }

    /// What is in force, and what it is made of.
    pub fn pages(&self) -> &Pages {
        &self.pages
    }

    /// What the file says.
    pub fn text(&self) -> &str {
        self.pages.file().text()
    }

    /// What is not in the file.
    pub fn temporary(&self) -> &[Temporary] {
        self.pages.temporary()
    }

    /// The files that the rules are in.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.pages.files(&self.path)
    }

    /// When a temporary change ends next.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.pages.temporary().iter().filter_map(|temporary| temporary.until).min()
    }

    /// What would be if the file were read again. Says which temporary changes have nothing to change any more.
    pub fn read_again(&self, now: Timestamp, say: &mut dyn FnMut(&str)) -> Result<Pages, Errors> {
        let file = self.pages.file().read_anew(&self.path)?;
        self.over(file, self.pages.temporary().to_vec(), now, say)
    }

    /// What would be without the temporary changes that have ended; whether that is anything else in force.
    pub fn without_ended(&self, now: Timestamp) -> Result<(Pages, bool), Errors> {
        let ended = |temporary: &&Temporary| temporary.until.is_some_and(|end| end <= now);
        let differs = self.pages.temporary().iter().filter(ended).any(|temporary| !temporary.ends_itself);
        let pages = self.pages.keeping(|one| one.lasts(now), &self.path, now)?;
        Ok((pages, differs))
    }

    /// Whether a temporary change has ended that somebody asked for.
    pub fn was_asked_for_and_ended(&self, now: Timestamp) -> bool {
        let has_ended = |one: &Temporary| one.ban.is_none() && one.until.is_some_and(|end| end <= now);
        self.pages.temporary().iter().any(has_ended)
    }

    /// Takes over what is in force now.
    pub fn turn_to(&mut self, pages: Pages) {
        self.pages = pages;
    }

    /// Takes over what was proposed and is in force now.
    pub fn adopt(&mut self, proposal: Proposal) {
        self.pages = proposal.pages;
        match proposal.step {
            Some(step) => self.steps.push(step),
            None => drop(self.steps.pop()),
        }
        if self.steps.len() > MAX_STEPS {
            self.steps.remove(0);
        }
    }

    /// What would come of a change.
    pub fn propose(&self, change: &Change, now: Timestamp) -> Result<Proposed, Refusal> {
        let seconds = change.for_seconds.unwrap_or(1);
        if seconds == 0 || seconds > MAX_SECONDS {
            return Err(refused("a change lasts a second at least, and ten years at most"));
        }
        if change.targets.is_empty() || change.targets.len() > MAX_TARGETS {
            return Err(refused(format!(
                "a change has 1 to {MAX_TARGETS} targets; many addresses belong into a block list"
            )));
        }
        let is_temporary = change.temporary || change.for_seconds.is_some() && !ends_itself(change);
        let mut pages = self.pages.keeping(|one| one.lasts(now), &self.path, now).map_err(|it| unsound(&it))?;
        let mut locked = None;
        if !is_temporary {
            let (lock, file) = self.locked()?;
            if let Some(edited) = self.edited(&file) {
                return Ok(edited);
            }
            pages.renew(file);
            locked = Some(lock);
        }
        let mut draft = Draft::new(pages, &self.path, now);
        for target in &change.targets {
            let added = if is_temporary { draft.change_for_now(change, target) } else { draft.change(change, target) };
            added.map_err(|refusal| naming(target, change, refusal))?;
        }
        let Draft { pages, undos, words, unchanged, blocks, .. } = draft;
        if words.is_empty() {
            return Ok(Proposed::Nothing(unchanged));
        }
        let save = locked.filter(|_| !undos.is_empty()).map(|locked| (locked, pages.file().text().to_owned()));
        let step = Step { words: words.join("; "), undos, temporary: self.pages.temporary().to_vec() };
        Ok(Proposed::Change(Box::new(Proposal { words, unchanged, blocks, pages, save, step: Some(step) })))
    }

    /// What would be if a source were banned too; nothing else if it is blocked already.
    ///
    /// # Errors
    ///
    /// If there are as many bans as there may be.
    pub fn propose_ban(&self, ban: Ban, now: Timestamp) -> Result<Option<Pages>, Refusal> {
        let until = whole_seconds(ban.begins.plus(ban.lasts));
        let comment = Some(format!("banned: {}", ban.alert.name()));
        let details = Details { comment, expires: Some(until), id: None };
        let edit = Edit::block(Value::Address(AddressRange::from(ban.source)), details);
        let is_other = |one: &Temporary| one.ban.as_ref().is_none_or(|known| known.source != ban.source);
        let stays = |one: &Temporary| one.lasts(now) && is_other(one);
        let mut pages = self.pages.keeping(stays, &self.path, now).map_err(|it| unsound(&it))?;
        if pages.temporary().iter().filter(|one| one.ban.is_some()).count() >= MAX_BANS {
            return Err(refused(format!("{MAX_BANS} sources are banned already")));
        }
        let answer = edit.apply(pages.loaded(), now).map_err(|Refused(reason)| refused(reason))?;
        let words = answer.to_string();
        let Answer { outcome: Outcome::Changed(made), ids, .. } = answer else { return Ok(None) };
        let one = Temporary { words, until: Some(until), edit, ids, ends_itself: true, ban: Some(ban) };
        pages.add(one, made.text, &self.path).map_err(|it| unsound(&it))?;
        Ok(Some(pages))
    }

    /// What would be if the last change were taken back.
    pub fn propose_undo(&self, now: Timestamp) -> Result<Proposed, Refusal> {
        let step = self.steps.last().cloned().ok_or_else(|| refused("there is no change that could be taken back"))?;
        let (file, save) = if step.undos.is_empty() {
            (self.pages.file().clone(), None)
        } else {
            let (locked, file) = self.locked()?;
            if let Some(edited) = self.edited(&file) {
                return Ok(edited);
            }
            let undone = step.undos.iter().rev().try_fold(file.text().to_owned(), |text, undo| undo.apply(&text));
            let text = undone.map_err(|Refused(reason)| refused(format!("{}: {reason}", step.words)))?;
            let file = file.with_text(text.clone(), &self.path).map_err(|it| unsound(&it))?;
            (file, Some((locked, text)))
        };
        let temporary = with_later_bans(step.temporary, self.pages.temporary());
        let pages = self.over(file, temporary, now, &mut |_| ()).map_err(|it| unsound(&it))?;
        let words = vec![format!("took back: {}", step.words)];
        let (unchanged, blocks) = (Vec::new(), Vec::new());
        Ok(Proposed::Change(Box::new(Proposal { words, unchanged, blocks, pages, save, step: None })))
    }

    /// The file, which nobody else changes meanwhile, and what it says now.
    fn locked(&self) -> Result<(Locked, Sheet), Refusal> {
        let locked = Locked::open(&self.path).map_err(|error| refused(error.to_string()))?;
        let bytes = locked.bytes().to_vec();
        let file = self.pages.file().parse_anew(bytes, &self.path).map_err(|errors| unsound(&errors))?;
        Ok((locked, file))
    }

    /// What there is to say if the file is not what was loaded: a change of it would bring that in with it, unseen.
    fn edited(&self, file: &Sheet) -> Option<Proposed> {
        let path = self.path.display();
        if file.text() != self.pages.file().text() {
            return Some(Proposed::Edited(format!("{path} was edited since it was loaded")));
        }
        let words = || Proposed::Edited(format!("a block list of {path} was edited since it was loaded"));
        file.has_other_lists_than(self.pages.file()).then(words)
    }

    /// `file` with temporary changes over it, as far as they last at `now` and there is something to change.
    fn over(
        &self,
        file: Sheet,
        temporary: Vec<Temporary>,
        now: Timestamp,
        say: &mut dyn FnMut(&str),
    ) -> Result<Pages, Errors> {
        Pages::new(file).with(temporary, &self.path, now, say)
    }
}

/// The next whole second, which reads better.
fn whole_seconds(time: Timestamp) -> Timestamp {
    let (seconds, nanos) = time.parts();
    Timestamp::from_parts(seconds + i64::from(nanos > 0), 0)
}

/// Temporary changes as they were, with the bans that came since: nobody takes these back by undoing what he did himself.
fn with_later_bans(mut before: Vec<Temporary>, now: &[Temporary]) -> Vec<Temporary> {
    let is_new = |one: &&Temporary| one.ban.is_some() && !before.iter().any(|known| known.ban == one.ban);
    let later: Vec<_> = now.iter().filter(is_new).cloned().collect();
    before.extend(later);
    before
}

fn refused(reason: impl Into<String>) -> Refusal {
    Refusal::because(RefusalKind::Refused, reason)
}

/// Why nothing of a change is done, with the one of its targets that is the reason.
fn naming(target: &str, change: &Change, refusal: Refusal) -> Refusal {
    if change.targets.len() < 2 {
        return refusal;
    }
    let Refusal { kind, message, details } = refusal;
    let message = if message.contains(target) { message } else { format!("{}: {message}", quoted(target)) };
    Refusal { details, ..Refusal::because(kind, format!("{message}; nothing was changed")) }
}

/// The file on disk is none that can be changed.
fn unsound(errors: &Errors) -> Refusal {
    let words = "the rules file has errors, and is not changed before they are mended";
    refused(words).detailed(errors.to_string().lines().map(str::to_owned))
}
