//! The rules as they are to be: what the file says, and over it what was changed for the time of this run alone.
//!
//! Every change is made on the file's text first, by `rules::edit`, and read again: what is in force has always been a
//! sound rules file. Nothing here touches the kernel: a [`Proposal`] is what would be, and becomes so when it is
//! [adopted](Book::adopt).

mod pages;

pub use pages::{Pages, Temporary};

use pages::Sheet;

use crate::control::{Change, Op, Refusal, RefusalKind};
use crate::detect::Ban;
use crate::rules::address::AddressRange;
use crate::rules::edit::{Details, Edit, Outcome, Refused, Target, Undo, Value};
use crate::rules::store::{self, Locked};
use crate::rules::{Errors, Lists, Loaded, Ruleset};
use crate::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Temporary changes at once. Each is made anew whenever the file is read.
const MAX_TEMPORARY: usize = 100;

/// Bans at once, beside those: each costs as much.
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
    /// In the file.
    file: Option<Undo>,
    /// The temporary changes before.
    temporary: Vec<Temporary>,
}

/// What would be.
#[derive(Debug)]
pub struct Proposal {
    /// What was changed, in words.
    pub words: String,
    /// The addresses that are to be blocked.
    pub blocks: Option<AddressRange>,
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
    Nothing(String),
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
        let pages = self.over(self.pages.file().clone(), self.pages.temporary().to_vec(), now, &mut |_| ())?;
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
        let ends_itself = matches!(change.op, Op::Block | Op::Allow);
        if change.temporary || change.for_seconds.is_some() && !ends_itself {
            self.propose_temporary(change, now)
        } else {
            self.propose_lasting(change, now)
        }
    }

    /// A change of the file. It takes the place of temporary ones of the same thing.
    fn propose_lasting(&self, change: &Change, now: Timestamp) -> Result<Proposed, Refusal> {
        let (locked, file) = self.locked()?;
        if let Some(edited) = self.edited(&file) {
            return Ok(edited);
        }
        // What only a temporary change has put there is known by its id, too.
        let known =
            self.over(file.clone(), self.pages.temporary().to_vec(), now, &mut |_| ()).map_err(|it| unsound(&it))?;
        let edit = edit_of(change, known.rules(), now)?;
        let blocks = blocked(&edit);
        let (answer, failed) = match edit.apply(file.loaded(), now) {
            Ok(answer) => (Some(answer), None),
            Err(refusal) => (None, Some(refusal)),
        };
        let ids = answer.as_ref().map_or_else(|| ids_of(&edit), |answer| answer.ids.clone());
        let (superseded, left) = self.superseded(&ids, now);
        let words = answer.as_ref().map(ToString::to_string).unwrap_or_default();
        match answer.map(|answer| answer.outcome) {
            Some(Outcome::Changed(made)) => {
                let step =
                    Step { words: words.clone(), file: Some(made.undo), temporary: self.pages.temporary().to_vec() };
                let file = file.with_text(made.text.clone(), &self.path).map_err(|it| unsound(&it))?;
                let pages = self.over(file, left, now, &mut |_| ()).map_err(|it| unsound(&it))?;
                let save = Some((locked, made.text));
                Ok(Proposed::Change(Box::new(Proposal { words, blocks, pages, save, step: Some(step) })))
            }
            outcome if superseded.is_empty() => match (outcome, failed) {
                (Some(Outcome::AlreadyThere), _) => Ok(Proposed::Nothing(words)),
                (_, Some(Refused(reason))) => Err(refused(reason)),
                _ => Err(refused(words)),
            },
            _ => self.without(&superseded, file, left, blocks, now),
        }
    }

    /// A change that goes with this run. One before it of the same thing is taken back.
    fn propose_temporary(&self, change: &Change, now: Timestamp) -> Result<Proposed, Refusal> {
        let edit = edit_of(change, self.pages.rules(), now)?;
        let blocks = blocked(&edit);
        let ids = edit.apply(self.pages.loaded(), now).map_err(|Refused(reason)| refused(reason))?.ids;
        let (superseded, mut left) = self.superseded(&ids, now);
        if left.iter().filter(|one| one.ban.is_none()).count() >= MAX_TEMPORARY {
            return Err(refused(format!(
                "there are {MAX_TEMPORARY} temporary changes already; put some into the file"
            )));
        }
        let file = self.pages.file().clone();
        let pages = self.over(file.clone(), left.clone(), now, &mut |_| ()).map_err(|it| unsound(&it))?;
        let answer = edit.apply(pages.loaded(), now).map_err(|Refused(reason)| refused(reason))?;
        let words = answer.to_string();
        match answer.outcome {
            Outcome::Changed(_) => {
                let until = end(change, now);
                let ends_itself = matches!(change.op, Op::Block | Op::Allow);
                left.push(Temporary { words: words.clone(), until, edit, ids: answer.ids, ends_itself, ban: None });
                let pages = self.over(file, left, now, &mut |_| ()).map_err(|it| unsound(&it))?;
                let step = Step { words: words.clone(), file: None, temporary: self.pages.temporary().to_vec() };
                Ok(Proposed::Change(Box::new(Proposal { words, blocks, pages, save: None, step: Some(step) })))
            }
            _ if !superseded.is_empty() => self.without(&superseded, file, left, blocks, now),
            Outcome::AlreadyThere => Ok(Proposed::Nothing(words)),
            Outcome::NotThere => Err(refused(words)),
        }
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
        let mut others: Vec<Temporary> = self.superseded(&[], now).1;
        others.retain(|one| one.ban.as_ref().is_none_or(|known| known.source != ban.source));
        if others.iter().filter(|one| one.ban.is_some()).count() >= MAX_BANS {
            return Err(refused(format!("{MAX_BANS} sources are banned already")));
        }
        let file = self.pages.file().clone();
        let pages = self.over(file.clone(), others.clone(), now, &mut |_| ()).map_err(|it| unsound(&it))?;
        let answer = edit.apply(pages.loaded(), now).map_err(|Refused(reason)| refused(reason))?;
        let Outcome::Changed(_) = answer.outcome else { return Ok(None) };
        let (words, ids) = (answer.to_string(), answer.ids);
        others.push(Temporary { words, until: Some(until), edit, ids, ends_itself: true, ban: Some(ban) });
        self.over(file, others, now, &mut |_| ()).map(Some).map_err(|it| unsound(&it))
    }

    /// The temporary changes that concern one of these things, and those that don't.
    fn superseded(&self, ids: &[Arc<str>], now: Timestamp) -> (Vec<Temporary>, Vec<Temporary>) {
        let lasts = |temporary: &Temporary| temporary.until.is_none_or(|end| end > now);
        let all = self.pages.temporary().iter().filter(|temporary| lasts(temporary)).cloned();
        all.partition(|temporary| temporary.ids.iter().any(|id| ids.contains(id)))
    }

    /// What is left when nothing is done but to take temporary changes back.
    fn without(
        &self,
        superseded: &[Temporary],
        file: Sheet,
        left: Vec<Temporary>,
        blocks: Option<AddressRange>,
        now: Timestamp,
    ) -> Result<Proposed, Refusal> {
        let words = superseded.iter().map(|temporary| format!("no longer: {} (temporary)", temporary.words));
        let words = words.collect::<Vec<_>>().join("; ");
        let pages = self.over(file, left, now, &mut |_| ()).map_err(|it| unsound(&it))?;
        let step = Step { words: words.clone(), file: None, temporary: self.pages.temporary().to_vec() };
        Ok(Proposed::Change(Box::new(Proposal { words, blocks, pages, save: None, step: Some(step) })))
    }

    /// What would be if the last change were taken back.
    pub fn propose_undo(&self, now: Timestamp) -> Result<Proposed, Refusal> {
        let step = self.steps.last().cloned().ok_or_else(|| refused("there is no change that could be taken back"))?;
        let (file, save) = match &step.file {
            None => (self.pages.file().clone(), None),
            Some(undo) => {
                let (locked, file) = self.locked()?;
                if let Some(edited) = self.edited(&file) {
                    return Ok(edited);
                }
                let text = undo.apply(file.text()).map_err(|Refused(reason)| refused(reason))?;
                let file = file.with_text(text.clone(), &self.path).map_err(|it| unsound(&it))?;
                (file, Some((locked, text)))
            }
        };
        let temporary = with_later_bans(step.temporary, self.pages.temporary());
        let pages = self.over(file, temporary, now, &mut |_| ()).map_err(|it| unsound(&it))?;
        let words = format!("took back: {}", step.words);
        Ok(Proposed::Change(Box::new(Proposal { words, blocks: None, pages, save, step: None })))
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

/// The edit that a change asks for.
fn edit_of(change: &Change, rules: &Ruleset, now: Timestamp) -> Result<Edit, Refusal> {
    let details = Details { comment: change.comment.clone(), expires: end(change, now), id: None };
    let target = || Target::parse(&change.target, rules).map_err(refused);
    let value = || Value::parse(&change.target).map_err(refused);
    Ok(match change.op {
        Op::Block => Edit::block(value()?, details),
        Op::Allow => Edit::allow(value()?, details, rules),
        Op::Unblock => Edit::unblock(target()?),
        Op::Enable => Edit::switch(target()?, true, rules),
        Op::Disable => Edit::switch(target()?, false, rules),
    })
}

/// Changes that last as long as this, and longer, end at a whole second.
const LONG: u64 = 60;

/// When a change ends.
fn end(change: &Change, now: Timestamp) -> Option<Timestamp> {
    let seconds = change.for_seconds?;
    let end = now.plus(Duration::from_secs(seconds));
    Some(if seconds < LONG { end } else { whole_seconds(end) })
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

/// What an edit is about, where it can't be asked.
fn ids_of(edit: &Edit) -> Vec<Arc<str>> {
    match edit {
        Edit::Remove { id } | Edit::SetEnabled { id, .. } => vec![Arc::clone(id)],
        Edit::Add { .. } | Edit::AddRule { .. } | Edit::Drop { .. } => Vec::new(),
    }
}

fn blocked(edit: &Edit) -> Option<AddressRange> {
    match edit {
        Edit::Add { list, value: Value::Address(range), .. } if *list == Value::Address(*range).block_list() => {
            Some(*range)
        }
        _ => None,
    }
}

fn refused(reason: impl Into<String>) -> Refusal {
    Refusal::because(RefusalKind::Refused, reason)
}

/// The file on disk is none that can be changed.
fn unsound(errors: &Errors) -> Refusal {
    let words = "the rules file has errors, and is not changed before they are mended";
    refused(words).detailed(errors.to_string().lines().map(str::to_owned))
}
