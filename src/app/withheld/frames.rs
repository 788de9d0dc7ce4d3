//! Frames that wait, oldest first, and which of them a report may be about: by its time, or by what is in them.

use super::{Seen, is_same, is_translated, stamp};
use crate::packet::Fingerprint;
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};

/// How far out of order frames of one time can be: several processors stamp them.
pub(super) const DISORDER: usize = 64;

/// Frames that wait, each with its number: they are counted as they come.
///
/// Few are ever looked for by what is in them, so that this is written down of those that wait only when it is
/// [asked](Self::learn) for: once of each.
#[derive(Debug, Default)]
pub struct Frames {
    waiting: VecDeque<(u64, Seen)>,
    /// How many of them came in for an address of others.
    for_another: usize,
    /// The number of the next.
    next: u64,
    /// The numbers of those that wait, by what is in them, the lowest first; of those below `learnt`.
    known: HashMap<Fingerprint, VecDeque<u64>, RandomState>,
    learnt: u64,
}

impl Frames {
    /// Takes a frame in.
    pub fn push(&mut self, seen: Seen) {
        self.for_another += usize::from(seen.for_another);
        self.waiting.push_back((self.next, seen));
        self.next += 1;
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many of them came in for an address of others.
    pub fn for_another(&self) -> usize {
        self.for_another
    }

    /// The first.
    pub fn front(&self) -> Option<&Seen> {
        self.waiting.front().map(|(_, seen)| seen)
    }

    /// Takes the first out, if it `is_wanted`.
    pub fn pop_front_if(&mut self, is_wanted: impl FnOnce(&Seen) -> bool) -> Option<Seen> {
        let (number, seen) = self.waiting.pop_front_if(|(_, seen)| is_wanted(seen))?;
        self.forget(number, &seen);
        Some(seen)
    }

    /// Takes the frame out that a report is about by its time, if that is one of the next.
    pub fn take(&mut self, reported: &Seen) -> Option<Seen> {
        self.take_if(|seen| bears_stamp_of(seen, reported))
    }

    /// The same of a report of a packet whose destination was translated in between.
    pub fn take_translated(&mut self, reported: &Seen) -> Option<Seen> {
        self.take_if(|seen| stamp(seen) == stamp(reported) && is_translated(seen, reported))
    }

    fn take_if(&mut self, is_it: impl Fn(&Seen) -> bool) -> Option<Seen> {
        let place = self.waiting.iter().take(DISORDER).position(|(_, seen)| is_it(seen))?;
        let (number, seen) = self.waiting.remove(place)?;
        self.forget(number, &seen);
        Some(seen)
    }

    /// Whether a report bears the time of a frame that is the same, or was before it was translated.
    pub fn has_stamp_of(&self, reported: &Seen) -> bool {
        let time = stamp(reported);
        let place = self.waiting.partition_point(|(_, seen)| stamp(seen) < time);
        let near = self.waiting.iter().skip(place.saturating_sub(DISORDER)).take(2 * DISORDER);
        let mut near = near.into_iter().map(|(_, seen)| seen).filter(|seen| stamp(seen) == time);
        near.any(|seen| is_same(seen, reported) || is_translated(seen, reported))
    }

    /// Writes down what is in the frames, as far as that has not been done.
    pub fn learn(&mut self) {
        let first = self.waiting.partition_point(|&(number, _)| number < self.learnt);
        for (number, seen) in self.waiting.iter().skip(first) {
            if let Some(fingerprint) = seen.fingerprint {
                self.known.entry(fingerprint).or_default().push_back(*number);
            }
        }
        self.learnt = self.next;
    }

    /// The frames up to a time in which there is the same, as far as they are [known](Self::learn).
    pub fn alike(&self, fingerprint: &Fingerprint, until: Timestamp) -> impl Iterator<Item = &Seen> {
        let behind = self.waiting.partition_point(|(_, seen)| seen.time <= until).saturating_add(DISORDER);
        let end = self.waiting.get(behind).map_or(self.next, |&(number, _)| number);
        let numbers = self.known.get(fingerprint).into_iter().flatten().copied();
        let frames = numbers.take_while(move |&number| number < end).filter_map(|number| self.numbered(number));
        frames.filter(move |seen| seen.time <= until)
    }

    fn numbered(&self, number: u64) -> Option<&Seen> {
        let place = self.waiting.partition_point(|&(earlier, _)| earlier < number);
        self.waiting.get(place).map(|(_, seen)| seen)
    }

    fn forget(&mut self, number: u64, seen: &Seen) {
        self.for_another -= usize::from(seen.for_another);
        let Some(fingerprint) = seen.fingerprint.filter(|_| number < self.learnt) else { return };
        let Some(numbers) = self.known.get_mut(&fingerprint) else { return };
        if let Ok(place) = numbers.binary_search(&number) {
            numbers.remove(place);
        }
        if numbers.is_empty() {
            self.known.remove(&fingerprint);
        }
    }
}

fn bears_stamp_of(seen: &Seen, reported: &Seen) -> bool {
    stamp(seen) == stamp(reported) && is_same(seen, reported)
}
