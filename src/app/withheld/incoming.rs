//! Reports of packets that the tap sees too, each with what it says.

use super::{Frames, Seen, UNTIL_REPORTED, ends, is_same, is_translated, stamp};
use crate::conntrack::Ends;
use crate::packet::{Fingerprint, Ip, Net, Protocol};
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// How many reports are searched for one whose time is another than its packet's.
const SEARCHED: usize = 1024;

/// Reports of packets that the tap sees too, in the order in which they came.
#[derive(Debug)]
pub struct Incoming<T> {
    reports: VecDeque<(Seen, T)>,
    /// How many there are between any ends: most packets were not dropped, and need no search.
    between: HashMap<Option<Ends>, u32, RandomState>,
    /// How many there are of the same content, where packets may be translated.
    alike: HashMap<Fingerprint, u32, RandomState>,
}

impl<T> Default for Incoming<T> {
    fn default() -> Self {
        Self { reports: VecDeque::new(), between: HashMap::default(), alike: HashMap::default() }
    }
}

impl<T> Incoming<T> {
    /// Takes a report in.
    pub fn push(&mut self, seen: Seen, says: T) {
        *self.between.entry(ends(&seen.packet)).or_default() += 1;
        if let Some(fingerprint) = seen.fingerprint {
            *self.alike.entry(fingerprint).or_default() += 1;
        }
        self.reports.push_back((seen, says));
    }

    /// The time of the first.
    pub fn next_time(&self) -> Option<Timestamp> {
        self.reports.front().map(|(seen, _)| stamp(seen))
    }

    /// The first, if it is not later than `until`.
    pub fn pop_until(&mut self, until: Timestamp) -> Option<(Seen, T)> {
        let report = self.reports.pop_front_if(|(seen, _)| stamp(seen) <= until)?;
        self.forget(&report.0);
        Some(report)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.reports.len()
    }

    /// Whether there are none between the ends of a packet.
    fn has_none(&self, seen: &Seen) -> bool {
        self.reports.is_empty() || !self.between.contains_key(&ends(&seen.packet))
    }

    fn forget(&mut self, seen: &Seen) {
        forget_one(&mut self.between, &ends(&seen.packet));
        if let Some(fingerprint) = seen.fingerprint {
            forget_one(&mut self.alike, &fingerprint);
        }
    }

    /// Takes out the report of a packet, if there is one that is not in its turn: it stands behind others of a later
    /// time, or bears the time at which it was written instead of the packet's. The kernel has no stamp of a TCP segment
    /// that was sent on this very machine. `behind` are the frames behind; `fits` may know more of what is not the
    /// packet's.
    pub fn take(&mut self, seen: &Seen, behind: &mut Frames, fits: impl Fn(&Seen) -> bool) -> Option<(Seen, T)> {
        let exact = |reported: &Seen| stamp(reported) == stamp(seen) && is_same(seen, reported) && fits(reported);
        let found = self.take_if(seen, exact);
        if found.is_some() || !matches!(seen.packet.net, Net::Ip(Ip { protocol: Protocol::TCP, .. })) {
            return found;
        }
        let latest = seen.time.plus(UNTIL_REPORTED);
        let is_near = |reported: &Seen, behind: &Frames| {
            let is_near = (seen.time..=latest).contains(&reported.time) && is_same(seen, reported) && fits(reported);
            // One that bears the stamp of a frame that is alike is about that.
            is_near && !behind.has_stamp_of(reported)
        };
        let found = self.take_if(seen, |reported| tells(seen, reported) && is_near(reported, behind));
        if found.is_some() || self.has_none(seen) {
            return found;
        }
        // So is one that tells what is in another frame alone.
        behind.learn();
        self.take_if(seen, |reported| is_near(reported, behind) && !is_of_another(reported, behind))
    }

    /// Takes out the report of a packet that was translated in between, to another address or port of this machine.
    pub fn take_translated(&mut self, seen: &Seen, behind: &mut Frames) -> Option<(Seen, T)> {
        let fingerprint = seen.fingerprint.filter(|_| !self.alike.is_empty())?;
        if !self.alike.contains_key(&fingerprint) {
            return None;
        }
        behind.learn();
        let latest = seen.time.plus(UNTIL_REPORTED);
        let is_tcp = matches!(seen.packet.net, Net::Ip(Ip { protocol: Protocol::TCP, .. }));
        let is_near =
            |reported: &Seen| is_tcp && (seen.time..=latest).contains(&reported.time) && !behind.has_stamp_of(reported);
        self.remove(|reported| {
            is_translated(seen, reported)
                && (stamp(reported) == stamp(seen) || is_near(reported))
                && !is_of_another(reported, behind)
        })
    }

    /// Takes out the first report between the ends of a packet that `is_of_packet` picks.
    pub fn take_if(&mut self, seen: &Seen, is_of_packet: impl Fn(&Seen) -> bool) -> Option<(Seen, T)> {
        if self.has_none(seen) { None } else { self.remove(is_of_packet) }
    }

    fn remove(&mut self, is_of_packet: impl Fn(&Seen) -> bool) -> Option<(Seen, T)> {
        let place = self.reports.iter().take(SEARCHED).position(|(reported, _)| is_of_packet(reported))?;
        let report = self.reports.remove(place)?;
        self.forget(&report.0);
        Some(report)
    }
}

fn forget_one<K: Eq + Hash>(counts: &mut HashMap<K, u32, RandomState>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Whether a report tells what is in a frame behind, with the same ends.
fn is_of_another(reported: &Seen, behind: &Frames) -> bool {
    let mut alike = reported.fingerprint.iter().flat_map(|known| behind.alike(known, reported.time));
    alike.any(|one| is_same(one, reported))
}

/// Whether a report is known to be of what is in a packet.
fn tells(seen: &Seen, reported: &Seen) -> bool {
    seen.fingerprint.is_some() && seen.fingerprint == reported.fingerprint
}
