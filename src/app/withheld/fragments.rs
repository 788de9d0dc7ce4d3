//! Fragments that the tap saw, by the datagrams that they are parts of.
//!
//! All wait a while for the report of their datagram, and those that are to be blocked longer: the kernel puts a datagram
//! together before any rule sees it, and reports it when the last fragment has come.

use super::datagrams::{Datagrams, Judged, datagram_of, is_first, is_same_part};
use super::frames::DISORDER;
use super::{HOLD_FRAGMENT, HOLD_SUSPECT, Seen, stamp};
use crate::app::pipeline::Judgement;
use crate::engine::Direction;
use crate::packet::Datagram;
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};

/// A fragment that has waited.
#[derive(Debug)]
pub(super) enum Part {
    /// Nobody reported it.
    Unreported(Waited),
    /// It came once more after its datagram had been dropped, and never came to a rule.
    Repeated(Seen),
}

/// A fragment that nobody reported as long as it waited.
#[derive(Debug)]
pub(super) struct Waited {
    /// The fragment.
    pub(super) seen: Seen,
    judgement: Option<Judgement>,
    /// Whose turn it was: that of a fragment of the same datagram.
    turn: Timestamp,
    /// It has waited longer than most.
    pub(super) long: bool,
}

/// Fragments that wait as long as each other.
#[derive(Debug, Default)]
struct Queue {
    waiting: HashMap<Datagram, VecDeque<Judged>, RandomState>,
    /// Each fragment's stamp and datagram, oldest first; those too that do not wait any more.
    arrived: VecDeque<(Timestamp, Datagram)>,
}

impl Queue {
    fn push(&mut self, turn: Timestamp, datagram: Datagram, part: Judged) {
        self.arrived.push_back((turn, datagram));
        let parts = self.waiting.entry(datagram).or_default();
        // Who is asked for next is found without a search, however many there are.
        if is_first(&part.0.packet) { parts.push_front(part) } else { parts.push_back(part) }
    }

    /// The next part of a datagram whose turn it is, if that is not later than `until`: the first fragment before all,
    /// wherever it came. It alone tells whether the datagram is on its way through.
    fn pop_until(&mut self, until: Timestamp) -> Option<(Timestamp, Datagram, Judged)> {
        loop {
            let (turn, datagram) = self.arrived.pop_front_if(|(time, _)| *time <= until)?;
            if let Some(part) = self.remove(&datagram, 0) {
                return Some((turn, datagram, part));
            }
        }
    }

    fn parts(&self, datagram: &Datagram) -> impl Iterator<Item = &Judged> + Clone {
        self.waiting.get(datagram).into_iter().flatten()
    }

    fn remove(&mut self, datagram: &Datagram, place: usize) -> Option<Judged> {
        let parts = self.waiting.get_mut(datagram)?;
        let part = parts.remove(place);
        if parts.is_empty() {
            self.waiting.remove(datagram);
        }
        part
    }

    /// The datagrams of which a fragment came at `time`.
    fn at(&self, time: Timestamp) -> impl Iterator<Item = Datagram> {
        let place = self.arrived.partition_point(|(arrived, _)| *arrived < time);
        let near = self.arrived.iter().skip(place.saturating_sub(DISORDER)).take(2 * DISORDER);
        near.filter(move |(arrived, _)| *arrived == time).map(|(_, datagram)| *datagram)
    }
}

/// What waits, by datagram.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// All wait here first.
    short: Queue,
    /// Then those that wait longer.
    long: Queue,
    datagrams: Datagrams,
}

impl Fragments {
    /// Holds a fragment back.
    pub(super) fn hold(&mut self, datagram: Datagram, seen: Seen, judgement: Option<Judgement>) {
        self.datagrams.came(datagram, &seen);
        if may_be_dropped(judgement) {
            self.datagrams.remember(datagram, &seen, judgement);
        }
        self.short.push(stamp(&seen), datagram, (seen, judgement));
    }

    /// The fragments of a datagram that have not waited long and have no judgement.
    pub(super) fn unjudged(&self, datagram: &Datagram) -> Vec<Seen> {
        self.short.parts(datagram).filter(|(_, judgement)| judgement.is_none()).map(|(seen, _)| *seen).collect()
    }

    /// Takes the judgement of one of these.
    pub(super) fn judged(&mut self, datagram: &Datagram, part: &Seen, judgement: Judgement) {
        let parts = self.short.waiting.get_mut(datagram).into_iter().flatten();
        for (_, unjudged) in parts.filter(|(seen, judgement)| judgement.is_none() && is_same_part(seen, part)) {
            *unjudged = Some(judgement);
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there are, those included that do not wait any more.
    pub(super) fn len(&self) -> usize {
        self.short.arrived.len() + self.long.arrived.len()
    }

    /// The next that has waited until now: everything was read up to `settled`.
    pub(super) fn pop_until(&mut self, settled: Timestamp) -> Option<Part> {
        let short = self.short.pop_until(settled.minus(HOLD_FRAGMENT)).map(|popped| (popped, false));
        let popped = short.or_else(|| Some((self.long.pop_until(settled.minus(HOLD_SUSPECT))?, true)));
        let ((turn, datagram, (seen, judgement)), long) = popped?;
        if self.datagrams.is_repeated(&datagram, &seen) {
            return Some(Part::Repeated(seen));
        }
        Some(Part::Unreported(Waited { seen, judgement, turn, long }))
    }

    /// Lets one wait longer, if its datagram may be dropped yet. Else gives it back.
    pub(super) fn wait_on(&mut self, waited: &Waited) -> Option<Judged> {
        let Waited { seen, judgement, turn, long } = *waited;
        let part = (seen, judgement);
        let comes_in = seen.direction != Direction::Outgoing;
        match datagram_of(&seen) {
            // One that is not judged yet may be on its way through, and what tells of that waits no longer.
            Some(datagram) if comes_in && !long && judgement.is_some() && may_be_dropped(judgement) => {
                self.long.push(turn, datagram, part);
                None
            }
            _ => Some(part),
        }
    }

    /// Whether no rule can have seen a fragment that came in: not all of its datagram did.
    pub(super) fn is_unfinished(&self, seen: &Seen) -> bool {
        let came_in = seen.direction == Direction::Incoming;
        came_in && datagram_of(seen).is_some() && !self.datagrams.is_whole(seen)
    }

    /// Datagrams that could not be followed.
    pub(super) fn forgotten(&self) -> u64 {
        self.datagrams.forgotten()
    }

    /// Takes out what was reported: a fragment, or all of a datagram, which is one packet to the rules. Of that the
    /// first fragment told what was predicted.
    pub(super) fn take(&mut self, reported: &Seen) -> Option<Judged> {
        if self.is_empty() {
            return None;
        }
        if let Some(datagram) = datagram_of(reported) {
            return self.take_part(datagram, reported);
        }
        let (datagram, (first, told)) = self.completed_by(reported)?;
        let queues = [&mut self.short, &mut self.long];
        let parts: Vec<Judged> =
            queues.into_iter().filter_map(|queue| queue.waiting.remove(&datagram)).flatten().collect();
        self.datagrams.dropped(datagram, &first, &parts, reported.time);
        Some((*reported, told))
    }

    /// A fragment that was reported by itself. The kernel puts no datagram together without it.
    fn take_part(&mut self, datagram: Datagram, reported: &Seen) -> Option<Judged> {
        let place = |queue: &Queue| queue.parts(&datagram).position(|(seen, _)| is_same_part(seen, reported));
        let (short, long) = (place(&self.short), place(&self.long));
        let short = short.and_then(|place| self.short.remove(&datagram, place));
        let part = short.or_else(|| self.long.remove(&datagram, long?))?;
        self.datagrams.forget(&datagram);
        Some(part)
    }

    /// The datagram that was reported, with the fragment that begins it: its stamp is that of the fragment that came last.
    fn completed_by(&self, reported: &Seen) -> Option<(Datagram, Judged)> {
        let time = stamp(reported);
        self.short.at(time).chain(self.long.at(time)).find_map(|datagram| {
            let parts = self.short.parts(&datagram).chain(self.long.parts(&datagram));
            self.datagrams.first(datagram, parts, reported).map(|first| (datagram, *first))
        })
    }
}

/// Whether the rules may drop the datagram of a fragment: it is to be blocked, or its first fragment is not known.
fn may_be_dropped(judgement: Option<Judgement>) -> bool {
    judgement.is_none_or(|Judgement { decision, .. }| !decision.allows() || decision.without_first)
}
