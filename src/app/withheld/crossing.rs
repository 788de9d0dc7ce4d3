//! Reports of packets on their way through this machine, and the frames that they were when they came in.
//!
//! Where the destination of a packet is translated, it comes in as one for this machine. Neither its addresses nor its
//! stamp (the kernel takes it away) are those of the report, but the rest of it is.

use super::asked::{Asked, sent_to};
use super::{By, Frames, HOLD_FRAGMENT, Seen, UNTIL_REPORTED, stamp};
use crate::conntrack::Ends;
use crate::engine::Direction;
use crate::packet::{Fingerprint, Net, Packet};
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;

/// A report of a packet on its way through this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The packet, as the rules see it: with its destination translated.
    pub seen: Seen,
    /// The rule that dropped it, if one did.
    pub by: Option<By>,
    /// The packet as it came in, where it seemed to be for this machine.
    pub original: Option<Packet>,
    /// The same, where it was plainly for another one.
    pub asked: Option<Packet>,
}

/// How many packets are remembered that came in for another machine: more than come in within [`UNTIL_REPORTED`] at a
/// million a second.
const ENTERING: usize = 1 << 14;

/// What waits, oldest first.
#[derive(Debug)]
pub(super) struct Crossings {
    reports: VecDeque<Passage>,
    /// How many reports went before the first of these.
    gone: u64,
    /// The numbers of reports without a frame, by fingerprint: of the whole and of the head.
    alone: HashMap<u64, VecDeque<u64>, RandomState>,
    /// Packets that came in for another machine: the reports about them are not about what only looks like them.
    entering: Box<[Entered]>,
    asked: Asked,
    hasher: RandomState,
}

/// A packet that came in for another machine.
#[derive(Clone, Copy, Debug)]
struct Entered {
    /// [What it was](Crossings::exactly).
    key: u64,
    /// When it came in, as far as reports tell it.
    time: Timestamp,
    interface: u32,
    ttl: u8,
}

impl Entered {
    const NONE: Self = Self { key: 0, time: Timestamp::MIN, interface: 0, ttl: 0 };
}

impl Default for Crossings {
    fn default() -> Self {
        Self {
            reports: VecDeque::new(),
            gone: 0,
            alone: HashMap::default(),
            entering: vec![Entered::NONE; ENTERING].into(),
            asked: Asked::default(),
            hasher: RandomState::default(),
        }
    }
}

impl Crossings {
    /// Takes in that a packet came in for another machine.
    pub(super) fn entering(&mut self, seen: &Seen) {
        let Some((key, ttl)) = self.exactly(seen) else { return };
        self.asked.entering(seen);
        if let Some(slot) = self.entering.get_mut(slot(key)) {
            *slot = Entered { key, time: stamp(seen), interface: seen.interface, ttl };
        }
    }

    /// Whether a report is about a packet that came in as it is.
    fn came_in_so(&self, reported: &Seen) -> bool {
        let since = reported.time.minus(UNTIL_REPORTED);
        self.entered(reported).is_some_and(|(entered, _)| {
            entered.interface == reported.interface && (since..=reported.time).contains(&entered.time)
        })
    }

    /// Whether a packet that goes out came in as it is, for another machine, and was handed on.
    pub(super) fn has_entered(&self, leaving: &Seen) -> bool {
        self.entered(leaving).is_some_and(|(entered, ttl)| entered.ttl == ttl.wrapping_add(1))
    }

    /// Whether a report is about a packet that came in for another machine, as it came in.
    pub(super) fn tells_of(&self, entered: &Seen) -> bool {
        let Some(fingerprint) = entered.fingerprint else { return false };
        let Some(numbers) = self.alone.get(&fingerprint.whole) else { return false };
        let (near, what) = (stamp(entered)..=entered.time.plus(UNTIL_REPORTED), content(entered));
        let mut reports = numbers.iter().filter_map(|&number| self.numbered(number)).map(|passage| &passage.seen);
        reports.any(|seen| near.contains(&seen.time) && seen.interface == entered.interface && content(seen) == what)
    }

    /// What came in as a packet is, with the time to live that that has now.
    fn entered(&self, seen: &Seen) -> Option<(&Entered, u8)> {
        let (key, ttl) = self.exactly(seen)?;
        self.entering.get(slot(key)).filter(|entered| entered.key == key).map(|entered| (entered, ttl))
    }

    /// What a packet is, to where it goes included, and its time to live.
    fn exactly(&self, seen: &Seen) -> Option<(u64, u8)> {
        Some((self.hasher.hash_one(content(seen)?), seen.packet.ip()?.ttl))
    }

    /// Takes a report in.
    pub(super) fn push(&mut self, seen: Seen, by: Option<By>) {
        if let Some(fingerprint) = seen.fingerprint {
            let number = self.gone + self.reports.len() as u64;
            for key in [fingerprint.whole, fingerprint.head] {
                self.alone.entry(key).or_default().push_back(number);
            }
        }
        let asked = self.asked(&seen);
        self.reports.push_back(Passage { seen, by, original: None, asked });
    }

    /// The packet of a report as it came in, if the tap saw that, and it was for another machine.
    fn asked(&mut self, reported: &Seen) -> Option<Packet> {
        self.asked.take(reported).map(|to| sent_to(&reported.packet, to))
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
        let mut passage = self.reports.pop_front_if(|passage| stamp(&passage.seen) <= until)?;
        if passage.original.is_none() && passage.asked.is_none() {
            // The report may have been read first.
            passage.asked = self.asked(&passage.seen);
        }
        // Nothing is hidden of one that is not translated.
        passage.asked = passage.asked.filter(|asked| *asked != passage.seen.packet);
        if let Some(fingerprint) = passage.seen.fingerprint {
            self.forget(fingerprint, self.gone);
        }
        self.gone += 1;
        Some(passage)
    }

    /// Whether any report may be about a frame that seems to be for this machine.
    pub(super) fn may_tell_of(&self, frame: &Seen) -> bool {
        !self.near(frame).is_empty()
    }

    /// The numbers of the reports that may be about a frame that seems to be for this machine: it came in just before.
    fn near(&self, frame: &Seen) -> Vec<u64> {
        let comes_in = frame.direction == Direction::Incoming && !frame.for_another;
        let Some(fingerprint) = frame.fingerprint.filter(|_| comes_in) else { return Vec::new() };
        let in_fragments = matches!(frame.packet.net, Net::Ip(ip) if ip.fragment.is_some());
        let key = if in_fragments { fingerprint.head } else { fingerprint.whole };
        let Some(numbers) = self.alone.get(&key) else { return Vec::new() };
        let latest = frame.time.plus(if in_fragments { HOLD_FRAGMENT } else { UNTIL_REPORTED });
        let is_near = |&number: &u64| {
            self.numbered(number).is_some_and(|Passage { seen, .. }| {
                (stamp(frame)..=latest).contains(&seen.time)
                    && seen.interface == frame.interface
                    && !self.came_in_so(seen)
            })
        };
        numbers.iter().copied().filter(is_near).collect()
    }

    fn place(&self, number: u64) -> Option<usize> {
        usize::try_from(number - self.gone).ok()
    }

    fn numbered(&self, number: u64) -> Option<&Passage> {
        self.place(number).and_then(|place| self.reports.get(place))
    }

    /// Whether a frame that seems to be for this machine is that of a report. Of several frames that look alike (one sender
    /// tries many ports) it is the last; `behind` are those behind this one.
    pub(super) fn take(&mut self, frame: &Seen, behind: Option<&mut Frames>) -> bool {
        let near = self.near(frame);
        let Some(((&number, &last), fingerprint)) = near.first().zip(near.last()).zip(frame.fingerprint) else {
            return false;
        };
        let Some(until) = self.numbered(last).map(|passage| passage.seen.time) else { return false };
        if let Some(behind) = behind {
            behind.learn();
            let rivals = behind.alike(&fingerprint, until).filter(|rival| rival.interface == frame.interface);
            if rivals.take(near.len()).count() == near.len() {
                return false;
            }
        }
        let Some(passage) = self.place(number).and_then(|place| self.reports.get_mut(place)) else { return false };
        passage.original = Some(frame.packet);
        let reported = passage.seen.fingerprint;
        self.forget(reported.unwrap_or(fingerprint), number);
        true
    }

    fn forget(&mut self, fingerprint: Fingerprint, number: u64) {
        for key in [fingerprint.whole, fingerprint.head] {
            let Some(numbers) = self.alone.get_mut(&key) else { continue };
            numbers.retain(|&one| one != number);
            if numbers.is_empty() {
                self.alone.remove(&key);
            }
        }
    }
}

/// What is in a packet, with where it goes and its ends.
fn content(seen: &Seen) -> Option<(Fingerprint, IpAddr, Option<Ends>)> {
    let ip = seen.packet.ip()?;
    Some((seen.fingerprint?, ip.dst, Ends::of_packet(ip)))
}

fn slot(key: u64) -> usize {
    usize::try_from(key % ENTERING as u64).unwrap_or(0)
}
