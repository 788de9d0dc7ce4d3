//! The elements of a list as they stand in the file: each may be several entries (a set, an object with many values).

use super::{is_over, outlives};
use crate::rules::diagnostic::Finding;
use crate::rules::exact::{ExactSet, Term};
use crate::rules::model::Entry;
use crate::time::Timestamp;

/// The elements of a list that have effect now, and what they mean together.
pub(super) struct Elements<T: Term> {
    list: &'static str,
    pub(super) active: Vec<Element<T>>,
    /// The list's meaning; nothing if it has no element.
    pub(super) meaning: T::Set,
    /// What is in the meaning now and for ever.
    pub(super) lasting: T::Set,
}

/// An element.
pub(super) struct Element<T: Term> {
    /// Its place in the list.
    index: usize,
    offset: u32,
    pub(super) expires: Option<Timestamp>,
    /// What its positive values say.
    pub(super) positive: T::Set,
    /// What its negated values take away.
    pub(super) negated: T::Set,
}

impl<T: Term + Clone> Elements<T> {
    /// Those of `entries` that are enabled and have not expired.
    pub(super) fn of(list: &'static str, entries: &[Entry<T>], now: Timestamp) -> Self {
        let acts = |group: &&[Entry<T>]| group.iter().all(|entry| entry.enabled && !is_over(entry.expires, now));
        let elements: Vec<_> =
            grouped(entries).filter(|(_, group)| acts(group)).map(|(index, group)| Element::of(index, group)).collect();
        let acting = || entries.iter().filter(|entry| entry.enabled && !is_over(entry.expires, now));
        let terms = |wanted: &dyn Fn(&Entry<T>) -> bool| -> Vec<(bool, T)> {
            acting().filter(|entry| wanted(entry)).map(|entry| (entry.negated, entry.value.clone())).collect()
        };
        let all = terms(&|_| true);
        let lasting = terms(&|entry| entry.negated || entry.expires.is_none());
        let has_positive = |terms: &[(bool, T)]| terms.iter().any(|(negated, _)| !negated);
        // Without its temporary entries a list may have no positive ones left, or none at all.
        let lasts = acting().any(|entry| entry.expires.is_none()) && has_positive(&lasting) == has_positive(&all);
        Self {
            list,
            active: elements,
            meaning: if all.is_empty() { T::Set::default() } else { T::meaning(&all) },
            lasting: if lasts { T::meaning(&lasting) } else { T::Set::default() },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Whether every element only takes away: the list then means everything else.
    pub(super) fn only_negated(&self) -> bool {
        !self.is_empty() && self.active.iter().all(|element| element.positive.is_empty())
    }

    /// Whether the list will one day mean everything but its negated elements, because the others have expired.
    pub(super) fn turns_over(&self) -> bool {
        let mut positive = self.active.iter().filter(|element| !element.positive.is_empty()).peekable();
        let last = |a: Option<Timestamp>, b: Option<Timestamp>| if outlives(a, b) { a } else { b };
        let negated = self.active.iter().filter(|element| !element.negated.is_empty()).map(|element| element.expires);
        let (Some(_), Some(negated)) = (positive.peek(), negated.reduce(last)) else { return false };
        positive.map(|element| element.expires).reduce(last).is_some_and(|positive| !outlives(positive, negated))
    }

    /// A finding about one of the elements.
    pub(super) fn finding(&self, element: &Element<T>, message: impl Into<String>) -> Finding {
        Finding::new(element.offset, format_args!("{}[{}]", self.list, element.index), message)
    }
}

impl<T: Term> Element<T> {
    fn of(index: usize, entries: &[Entry<T>]) -> Self {
        let values =
            |wanted: bool| entries.iter().filter(move |entry| entry.negated == wanted).map(|entry| &entry.value);
        Self {
            index,
            offset: entries.first().map_or(0, |entry| entry.offset),
            expires: entries.first().and_then(|entry| entry.expires),
            positive: T::union_of(values(false)),
            negated: T::union_of(values(true)),
        }
    }
}

/// Entries that came from one element, with its place in the list: they share their offset, and every element has at
/// least one.
pub(super) fn grouped<T>(entries: &[Entry<T>]) -> impl Iterator<Item = (usize, &[Entry<T>])> {
    entries.chunk_by(|a, b| a.offset == b.offset).enumerate()
}
