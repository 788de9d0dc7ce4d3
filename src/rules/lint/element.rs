//! The elements of a list as they stand in the file: each may be several entries (a set, an object with many values).

use super::{is_over, outlives};
use crate::rules::diagnostic::Finding;
use crate::rules::exact::Term;
use crate::rules::model::Entry;
use crate::time::Timestamp;

/// The elements of a list that have effect now, and what they mean together.
pub(super) struct Elements<'r, T: Term> {
    list: &'static str,
    pub(super) active: Vec<Element<'r, T>>,
    /// The list's meaning; nothing if it has no element.
    pub(super) meaning: T::Set,
    /// What is in the meaning now and for ever.
    pub(super) lasting: T::Set,
}

/// An element.
pub(super) struct Element<'r, T> {
    /// Its place in the list.
    index: usize,
    /// What it stands for, at least one.
    pub(super) entries: &'r [Entry<T>],
}

impl<'r, T: Term + Clone> Elements<'r, T> {
    /// Those of `entries` that are enabled and have not expired.
    pub(super) fn of(list: &'static str, entries: &'r [Entry<T>], now: Timestamp) -> Self {
        let acts = |entry: &Entry<T>| entry.enabled && !is_over(entry.expires, now);
        let elements = grouped(entries).map(|(index, entries)| Element { index, entries });
        let active: Vec<_> = elements.filter(|element| element.entries.iter().all(acts)).collect();
        let terms = |wanted: fn(&Entry<T>) -> bool| -> Vec<(bool, T)> {
            let entries = active.iter().flat_map(|element| element.entries).filter(|entry| wanted(entry));
            entries.map(|entry| (entry.negated, entry.value.clone())).collect()
        };
        let meaning = if active.is_empty() { T::Set::default() } else { T::meaning(&terms(|_| true)) };
        let is_permanent = |element: &Element<'_, T>| element.expires().is_none();
        let mut positive = active.iter().filter(|element| element.has_positive()).peekable();
        let lasting = if active.iter().all(is_permanent) {
            meaning.clone()
        } else if positive.peek().is_some() && !positive.any(is_permanent) || !active.iter().any(is_permanent) {
            // Without its temporary entries the list has no positive ones left, or none at all.
            T::Set::default()
        } else {
            T::meaning(&terms(|entry| entry.negated || entry.expires.is_none()))
        };
        Self { list, active, meaning, lasting }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Whether every element only takes away: the list then means everything else.
    pub(super) fn only_negated(&self) -> bool {
        !self.is_empty() && !self.active.iter().any(Element::has_positive)
    }

    /// Whether the list will one day mean everything but its negated elements, because the others have expired.
    pub(super) fn turns_over(&self) -> bool {
        let mut positive = self.active.iter().filter(|element| element.has_positive()).peekable();
        let last = |a: Option<Timestamp>, b: Option<Timestamp>| if outlives(a, b) { a } else { b };
        let negated = self.active.iter().filter(|element| element.has_negated()).map(Element::expires);
        let (Some(_), Some(negated)) = (positive.peek(), negated.reduce(last)) else { return false };
        positive.map(Element::expires).reduce(last).is_some_and(|positive| !outlives(positive, negated))
    }

    /// A finding about one of the elements.
    pub(super) fn finding(&self, element: &Element<'_, T>, message: impl Into<String>) -> Finding {
        let offset = element.entries.first().map_or(0, |entry| entry.offset);
        Finding::new(offset, format_args!("{}[{}]", self.list, element.index), message)
    }
}

impl<T: Term> Element<'_, T> {
    /// When it ends: entries from one place share that.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.entries.first().and_then(|entry| entry.expires)
    }

    /// What its positive values say.
    pub(super) fn positive(&self) -> T::Set {
        T::union_of(self.entries.iter().filter(|entry| !entry.negated).map(|entry| &entry.value))
    }

    /// What its negated values take away.
    pub(super) fn negated(&self) -> T::Set {
        T::union_of(self.entries.iter().filter(|entry| entry.negated).map(|entry| &entry.value))
    }

    pub(super) fn has_positive(&self) -> bool {
        self.entries.iter().any(|entry| !entry.negated)
    }

    pub(super) fn has_negated(&self) -> bool {
        self.entries.iter().any(|entry| entry.negated)
    }
}

/// Entries that came from one element, with its place in the list: they share their offset, and every element has at
/// least one.
pub(super) fn grouped<T>(entries: &[Entry<T>]) -> impl Iterator<Item = (usize, &[Entry<T>])> {
    entries.chunk_by(|a, b| a.offset == b.offset).enumerate()
}
