//! The way back from a change: the place of the text that changed, and what stood there.

use super::Refused;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Takes one change back, as long as nothing else has changed the file since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    at: usize,
    /// What stood there before.
    was: String,
    /// How long it is now.
    is: usize,
    /// The whole text after the change.
    after: u64,
}

impl Undo {
    /// The way back from `new` to `old`: all between their common beginning and their common end.
    pub(super) fn between(old: &str, new: &str) -> Self {
        let common = |pair: &(u8, u8)| pair.0 == pair.1;
        let mut at = old.bytes().zip(new.bytes()).take_while(common).count();
        while !(old.is_char_boundary(at) && new.is_char_boundary(at)) {
            at -= 1;
        }
        let most = old.len().min(new.len()) - at;
        let mut end = old.bytes().rev().zip(new.bytes().rev()).take(most).take_while(common).count();
        while !(old.is_char_boundary(old.len() - end) && new.is_char_boundary(new.len() - end)) {
            end -= 1;
        }
        let was = old.get(at..old.len() - end).unwrap_or_default().to_owned();
        Self { at, was, is: new.len() - end - at, after: digest(new) }
    }

    /// The text before the change, made of the one after it.
    pub fn apply(&self, text: &str) -> Result<String, Refused> {
        let parts = (text.get(..self.at), text.get(self.at + self.is..));
        match parts {
            (Some(before), Some(behind)) if digest(text) == self.after => Ok([before, &self.was, behind].concat()),
            _ => Err(Refused("the file has changed since: take the change back by hand".to_owned())),
        }
    }
}

fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
