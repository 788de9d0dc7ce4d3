//! A change as it is made, target by target: what would be so far, and the way back.

use super::pages::{Pages, Sheet, Temporary};
use super::{refused, unsound, whole_seconds};
use crate::control::{Change, Op, Refusal};
use crate::rules::Ruleset;
use crate::rules::address::AddressRange;
use crate::rules::edit::{Details, Edit, Outcome, Refused, Target, Undo, Value};
use crate::time::Timestamp;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Temporary changes at once. Each is made anew whenever the file is read.
const MAX_TEMPORARY: usize = 100;

/// What would be so far.
pub(super) struct Draft<'b> {
    pub(super) pages: Pages,
    /// How the file is taken back, the last step last.
    pub(super) undos: Vec<Undo>,
    /// What is different, in words.
    pub(super) words: Vec<String>,
    /// What is so already, in words.
    pub(super) unchanged: Vec<String>,
    /// The addresses that are to be blocked.
    pub(super) blocks: Vec<AddressRange>,
    path: &'b Path,
    now: Timestamp,
}

impl<'b> Draft<'b> {
    /// Nothing is different from `pages` yet.
    pub(super) fn new(pages: Pages, path: &'b Path, now: Timestamp) -> Self {
        let (undos, words, unchanged, blocks) = Default::default();
        Self { pages, undos, words, unchanged, blocks, path, now }
    }

    /// Changes the file. That takes the place of temporary changes of the same thing.
    pub(super) fn change(&mut self, change: &Change, target: &str) -> Result<(), Refusal> {
        // What only a temporary change has put there is known by its id, too.
        let edit = edit_of(change, target, self.pages.rules(), self.now)?;
        self.blocks.extend(blocked(&edit));
        let file = self.pages.file();
        let answer = edit.apply(file.loaded(), self.now);
        let ids = answer.as_ref().map_or_else(|_| ids_of(&edit), |answer| answer.ids.clone());
        let (superseded, left) = self.superseded(&ids);
        let words = answer.as_ref().map_or_else(|Refused(reason)| reason.clone(), ToString::to_string);
        match answer.map(|answer| answer.outcome) {
            Ok(Outcome::Changed(made)) => {
                let file = file.with_text(made.text, self.path).map_err(|it| unsound(&it))?;
                self.undos.push(made.undo);
                self.turn_to(file, left, words)
            }
            _ if !superseded.is_empty() => self.turn_to(file.clone(), left, no_longer(&superseded)),
            Ok(Outcome::AlreadyThere) => {
                self.unchanged.push(words);
                Ok(())
            }
            Ok(Outcome::NotThere) | Err(_) => Err(refused(words)),
        }
    }

    /// Makes a change that goes with this run. One before it of the same thing is taken back.
    pub(super) fn change_for_now(&mut self, change: &Change, target: &str) -> Result<(), Refusal> {
        let edit = edit_of(change, target, self.pages.rules(), self.now)?;
        self.blocks.extend(blocked(&edit));
        let apply = |pages: &Pages| edit.apply(pages.loaded(), self.now).map_err(|Refused(reason)| refused(reason));
        let mut answer = apply(&self.pages)?;
        let (superseded, left) = self.superseded(&answer.ids);
        if left.iter().filter(|one| one.ban.is_none()).count() >= MAX_TEMPORARY {
            return Err(refused(format!(
                "there are {MAX_TEMPORARY} temporary changes already; put some into the file"
            )));
        }
        if !superseded.is_empty() {
            self.pages = self.over(self.pages.file().clone(), left)?;
            answer = apply(&self.pages)?;
        }
        let words = answer.to_string();
        match answer.outcome {
            Outcome::Changed(made) => {
                self.words.push(words.clone());
                let (until, ends_itself) = (end(change, self.now), ends_itself(change));
                let one = Temporary { words, until, edit, ids: answer.ids, ends_itself, ban: None };
                self.pages.add(one, made.text, self.path).map_err(|it| unsound(&it))?;
            }
            _ if !superseded.is_empty() => self.words.push(no_longer(&superseded)),
            Outcome::AlreadyThere => self.unchanged.push(words),
            Outcome::NotThere => return Err(refused(words)),
        }
        Ok(())
    }

    /// The temporary changes that concern one of these things, and those that don't.
    fn superseded(&self, ids: &[Arc<str>]) -> (Vec<Temporary>, Vec<Temporary>) {
        let all = self.pages.temporary().iter().cloned();
        all.partition(|temporary| temporary.ids.iter().any(|id| ids.contains(id)))
    }

    fn turn_to(&mut self, file: Sheet, temporary: Vec<Temporary>, words: String) -> Result<(), Refusal> {
        self.pages = self.over(file, temporary)?;
        self.words.push(words);
        Ok(())
    }

    fn over(&self, file: Sheet, temporary: Vec<Temporary>) -> Result<Pages, Refusal> {
        Pages::new(file).with(temporary, self.path, self.now, &mut |_| ()).map_err(|it| unsound(&it))
    }
}

/// What there is to say where nothing is done but to take temporary changes back.
fn no_longer(superseded: &[Temporary]) -> String {
    let words = superseded.iter().map(|temporary| format!("no longer: {} (temporary)", temporary.words));
    words.collect::<Vec<_>>().join("; ")
}

/// The edit that a change asks for.
fn edit_of(change: &Change, target: &str, rules: &Ruleset, now: Timestamp) -> Result<Edit, Refusal> {
    let details = Details { comment: change.comment.clone(), expires: end(change, now), id: None };
    let named = || Target::parse(target, rules).map_err(refused);
    let value = || Value::parse(target).map_err(refused);
    Ok(match change.op {
        Op::Block => Edit::block(value()?, details),
        Op::Allow => Edit::allow(value()?, details, rules),
        Op::Unblock => Edit::unblock(named()?),
        Op::Enable => Edit::switch(named()?, true, rules),
        Op::Disable => Edit::switch(named()?, false, rules),
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

/// Whether what a change puts there says itself when it ends.
pub(super) fn ends_itself(change: &Change) -> bool {
    matches!(change.op, Op::Block | Op::Allow)
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
