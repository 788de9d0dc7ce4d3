//! Reports of packets on their way through this machine, and the frames that they were when they came in.
//!
//! Where the destination of a packet is translated, it comes in as one for this machine. Neither its addresses nor its
//! stamp (the kernel takes it away) are those of the report, but the rest of it is.

use super::{By, HOLD_FRAGMENT, Seen, UNTIL_REPORTED, stamp};
use crate::packet::{Net, Packet};
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};

/// A report of a packet on its way through this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The packet, as the rules see it: with its destination translated.
    pub seen: Seen,
    /// The rule that dropped it, if one did.
    pub by: Option<By>,
    /// The packet as it came in, where it seemed to be for this machine.
    pub original: Option<Packet>,
}

/// What waits, oldest first.
#[derive(Debug, Default)]
pub(super) struct Crossings {
    reports: VecDeque<Passage>,
    /// How many reports went before the first of these.
    gone: u64,
    /// The numbers of reports without a frame, by fingerprint.
    alone: HashMap<u64, VecDeque<u64>, RandomState>,
}

impl Crossings {
    /// Takes a report in.
    pub(super) fn push(&mut self, seen: Seen, by: Option<By>) {
        if let Some(fingerprint) = seen.fingerprint {
            let number = self.gone + self.reports.len() as u64;
            self.alone.entry(fingerprint).or_default().push_back(number);
        }
        self.reports.push_back(Passage { seen, by, original: None });
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.reports.len()
    }

    /// The first, if it is not later than `until`.
    pub(super) fn pop_until(&mut self, until: Timestamp) -> Option<Passage> {
        let passage = self.reports.pop_front_if(|passage| stamp(&passage.seen) <= until)?;
        if let Some(fingerprint) = passage.seen.fingerprint {
            self.forget(fingerprint, self.gone);
        }
        self.gone += 1;
        Some(passage)
    }

    /// Whether a frame that seems to be for this machine is that of a report: it came in just before. Of several frames
    /// that look alike (one sender tries many ports) it is the last; `rivals` are those behind this one.
    pub(super) fn take<'a>(&mut self, frame: &Seen, rivals: impl Iterator<Item = &'a Seen>) -> bool {
        let Some(fingerprint) = frame.fingerprint else { return false };
        let Some(numbers) = self.alone.get(&fingerprint) else { return false };
        let in_fragments = matches!(frame.packet.net, Net::Ip(ip) if ip.fragment.is_some());
        let latest = frame.time.plus(if in_fragments { HOLD_FRAGMENT } else { UNTIL_REPORTED });
        let at = |number: u64| usize::try_from(number - self.gone).ok();
        let is_near = |&number: &u64| {
            at(number).and_then(|place| self.reports.get(place)).is_some_and(|Passage { seen, .. }| {
                (stamp(frame)..=latest).contains(&seen.time) && seen.interface == frame.interface
            })
        };
        let near: Vec<u64> = numbers.iter().copied().filter(is_near).collect();
        let Some((&number, &last)) = near.first().zip(near.last()) else { return false };
        let until = at(last).and_then(|place| self.reports.get(place)).map_or(latest, |passage| passage.seen.time);
        let alike = |rival: &&Seen| {
            (rival.fingerprint, rival.interface) == (frame.fingerprint, frame.interface) && stamp(rival) <= until
        };
        if rivals.filter(alike).count() >= near.len() {
            return false;
        }
        if let Some(passage) = at(number).and_then(|place| self.reports.get_mut(place)) {
            passage.original = Some(frame.packet);
        }
        self.forget(fingerprint, number);
        true
    }

    fn forget(&mut self, fingerprint: u64, number: u64) {
        let Some(numbers) = self.alone.get_mut(&fingerprint) else { return };
        numbers.retain(|&one| one != number);
        if numbers.is_empty() {
            self.alone.remove(&fingerprint);
        }
    }
}
