//! Packets that the tap saw, held back until the kernel has had its say: the tap sees what the rules drop as well as
//! what they let through, and only NFLOG tells which was which. A packet that came in bears the same time stamp at the
//! tap and in its report (there cut to microseconds), so that the two streams are joined like two sorted lists.
//!
//! What is to be predicted of a packet is asked when it is released: by then it is known whether it is this machine's own,
//! and what was dropped before it. Fragments wait apart and longer: a dropped datagram is reported whole, with the stamp of
//! the fragment that came last, so that nothing is known of the first before the last is there. But the packets behind
//! them hang on what they open, so that they are [due](Settled::Due) to be judged in their turn.

mod asked;
mod crossing;
mod datagrams;
mod fragments;
mod frames;
mod incoming;

use super::pipeline::Judgement;
use crate::conntrack::Ends;
use crate::engine::Direction;
use crate::nflog::BATCH_TIME;
use crate::packet::{Fingerprint, Ip, Net, Packet, Transport};
use crate::time::Timestamp;
use crossing::Crossings;
pub use crossing::Passage;
use datagrams::datagram_of;
pub use datagrams::{is_first, is_first_of};
use fragments::{Fragments, Part};
pub use frames::Frames;
pub use incoming::Incoming;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a packet is held back where nothing else comes: reports and frames are handed on after [`BATCH_TIME`] at
/// most; the rest is for their being read. A line is in the file within 200 ms all the same.
pub const HOLD: Duration = BATCH_TIME.saturating_add(Duration::from_millis(30));

/// How long a packet takes from the tap to the rule that reports it, at most. Reports of other processors overtake it
/// by no more than that.
pub const UNTIL_REPORTED: Duration = Duration::from_millis(5);

/// How much longer a fragment is held back: the rest of its datagram is on its way.
pub const HOLD_FRAGMENT: Duration = Duration::from_millis(30);

/// The same for one whose datagram may be dropped: it is to be blocked, or its first fragment has not come. Those of one
/// that takes longer have lines of their own although it is dropped then. Their lines are [urgent](Withheld::is_urgent),
/// so that with [`HOLD`] and the time between two looks they are in the file within 200 ms.
const HOLD_SUSPECT: Duration = Duration::from_millis(100);

/// Packets and reports that are held back at most, of each kind: what comes in that time at two million a second.
/// Beyond it the oldest go early.
const MAX_HELD: usize = 1 << 17;

/// Packets for addresses of others that are held back at most, in some 16 MB. Translation may lead them to this machine;
/// the tap can't tell them from those on their way through, but conntrack can once their flow has begun. Only those wait
/// of whose flow nothing is known.
const MAX_FOR_ANOTHER: usize = 1 << 16;

/// Bytes of IPv6's fragment header. The kernel takes it out of a packet that is its only fragment (RFC 6946) where it
/// puts fragments together, so that a report lacks it.
const FRAGMENT_HEADER: u32 = 8;

/// What a report tells beside the packet: the rule in the kernel that dropped it, and more of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// Generation of the rule set.
    pub generation: u32,
    /// Number of the rule in it.
    pub number: u32,
    /// The user whose socket it is.
    pub uid: Option<u32>,
    /// Whether its checksum is wrong, as far as can be told.
    pub corrupt: bool,
}

/// A packet and its circumstances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When it was seen.
    pub time: Timestamp,
    /// The packet.
    pub packet: Packet,
    /// Which way it goes.
    pub direction: Direction,
    /// The index of its interface.
    pub interface: u32,
    /// What it can be known by behind a translation, where it may be translated.
    pub fingerprint: Option<Fingerprint>,
    /// It came in for an address of others, and looks like one on its way through: it is, unless it is led here.
    pub for_another: bool,
}

/// What is known of a packet once it has waited long enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// A fragment whose turn it is to be judged; it goes on waiting when it is [kept](Withheld::keep).
    Due(Seen),
    /// The tap saw it, and no report came: it was not dropped. With its judgement, if it was due before.
    Passed(Seen, Option<Judgement>),
    /// The tap saw it, and it was dropped. With its judgement, if it was due before.
    Dropped(Seen, Option<Judgement>, By),
    /// The tap saw it, and it was dropped in this form: its destination was translated to another address or port of this
    /// machine in between.
    Translated(Seen, Packet, By),
    /// A fragment that came once more after its datagram had been dropped, whose line stands for it too: the kernel waits
    /// for the rest of another, and discards it in the end.
    Repeated(Seen),
    /// It was dropped where the tap sees nothing, or had no room.
    Unseen(Seen, By),
    /// The tap saw it come in on its way through: a report tells of it, or of its datagram.
    Entered(Seen),
    /// It was on its way through.
    Forwarded(Passage),
}

/// What waits, oldest first.
#[derive(Debug, Default)]
pub struct Withheld {
    frames: Frames,
    fragments: Fragments,
    /// Reports of packets that the tap sees too.
    incoming: Incoming<By>,
    /// Reports of packets that it never sees.
    outgoing: VecDeque<(Seen, By)>,
    /// Reports of packets that have no line at the tap.
    forwarded: Crossings,
    /// Packets for addresses of others that found no room.
    refused: u64,
    /// What waited longest was let go since this was asked for.
    urgent: bool,
}

impl Withheld {
    /// Holds a packet back that the tap saw.
    pub fn hold(&mut self, seen: Seen) {
        self.frames.push(seen);
    }

    /// Holds a packet back that came in for an address of others, if there is room for it. Whether there was.
    pub fn hold_for_another(&mut self, seen: Seen) -> bool {
        let has_room = self.frames.for_another() < MAX_FOR_ANOTHER;
        if has_room {
            self.frames.push(Seen { direction: Direction::Incoming, for_another: true, ..seen });
        } else {
            self.refused += 1;
        }
        has_room
    }

    /// Goes on holding a fragment back that was due, with its judgement if it has one by now.
    pub fn keep(&mut self, seen: Seen, judgement: Option<Judgement>) {
        if let Some(datagram) = datagram_of(&seen) {
            self.fragments.hold(datagram, seen, judgement);
        }
    }

    /// The other fragments of its datagram that were kept without a judgement.
    pub fn unjudged(&self, part: &Seen) -> Vec<Seen> {
        datagram_of(part).map_or_else(Vec::new, |datagram| self.fragments.unjudged(&datagram))
    }

    /// Takes the judgement of a fragment that was kept without one.
    pub fn judged(&mut self, part: &Seen, judgement: Judgement) {
        if let Some(datagram) = datagram_of(part) {
            self.fragments.judged(&datagram, part, judgement);
        }
    }

    /// Takes a report of a packet that was dropped behind the tap.
    pub fn report_incoming(&mut self, seen: Seen, by: By) {
        self.incoming.push(seen, by);
    }

    /// Takes a report of a packet that was dropped before any tap.
    pub fn report_outgoing(&mut self, seen: Seen, by: By) {
        self.outgoing.push_back((seen, by));
    }

    /// Takes in that a packet was seen that is on its way through by its addresses.
    pub fn entering(&mut self, seen: &Seen) {
        self.forwarded.entering(seen);
    }

    /// Whether a packet that goes out came in as it is, for another machine.
    pub fn has_entered(&self, leaving: &Seen) -> bool {
        self.forwarded.has_entered(leaving)
    }

    /// Whether it was reported that a packet which came in for another machine was on its way through.
    pub fn has_passed(&self, entered: &Seen) -> bool {
        self.forwarded.tells_of(entered)
    }

    /// Takes a report of a packet on its way through, and of the rule that dropped it, if one did.
    pub fn report_forwarded(&mut self, seen: Seen, by: Option<By>) {
        self.forwarded.push(seen, by);
    }

    /// The frames that wait.
    pub fn frames(&mut self) -> &mut Frames {
        &mut self.frames
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.is_untold()
    }

    /// Whether nothing waits but frames that were not looked at yet.
    fn is_untold(&self) -> bool {
        self.fragments.is_empty() && self.incoming.is_empty() && self.outgoing.is_empty() && self.forwarded.is_empty()
    }

    /// Whether what was let go since this was asked last waited so long that its lines are due in the file.
    pub fn is_urgent(&mut self) -> bool {
        std::mem::take(&mut self.urgent)
    }

    /// Whether no rule can have seen a packet that came in and was let go: the kernel puts the fragments of a datagram
    /// together before it shows it to any, and not all of them came.
    pub fn is_unfinished(&self, seen: &Seen) -> bool {
        self.fragments.is_unfinished(seen)
    }

    /// Datagrams in fragments that found no room among those that are followed.
    pub fn forgotten(&self) -> u64 {
        self.fragments.forgotten()
    }

    /// Packets for addresses of others that found no room: if they were led here they have no line.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Whether more waits than there is room for.
    fn is_crowded(&self) -> bool {
        let held =
            [self.frames.len(), self.fragments.len(), self.incoming.len(), self.outgoing.len(), self.forwarded.len()];
        held.into_iter().any(|held| held > MAX_HELD)
    }

    /// The next packet about which all is known: tap and reports have been read up to `settled`.
    pub fn release(&mut self, settled: Timestamp) -> Option<Settled> {
        let settled = if self.is_crowded() { Timestamp::MAX } else { settled };
        self.passed_until(settled).or_else(|| self.told_until(settled))
    }

    /// The next whole packet that is not later than `settled`, where no report waits and no fragment: mostly it is so, and
    /// the code for the others, thirty kilobytes of it, would be cold in the processor's cache.
    #[inline]
    fn passed_until(&mut self, settled: Timestamp) -> Option<Settled> {
        if !self.is_untold() {
            return None;
        }
        let is_whole = |seen: &Seen| stamp(seen) <= settled && datagram_of(seen).is_none();
        Some(Settled::Passed(self.frames.pop_front_if(is_whole)?, None))
    }

    /// The next packet about which all is known, of whatever kind.
    #[inline(never)]
    fn told_until(&mut self, settled: Timestamp) -> Option<Settled> {
        // What was reported of the same time comes first: it tells of the frames behind it.
        let until = self.frames.front().map_or(settled, |seen| stamp(seen).min(settled));
        self.due_until(settled)
            .or_else(|| self.report_until(until))
            .or_else(|| self.frame_until(settled))
            .or_else(|| self.fragment_until(settled))
            // Behind the frames that they tell of.
            .or_else(|| self.forwarded.pop_until(settled.minus(HOLD_FRAGMENT)).map(Settled::Forwarded))
    }

    /// The time of the next report.
    fn next_report(&self) -> Option<Timestamp> {
        let fronts = [self.outgoing.front().map(|(seen, _)| stamp(seen)), self.incoming.next_time()];
        fronts.into_iter().flatten().min()
    }

    /// The next fragment that is to be judged, if it is not later than `settled` and nothing was reported before it. One of
    /// which a report tells already is on its way through, and opens nothing here.
    fn due_until(&mut self, settled: Timestamp) -> Option<Settled> {
        let until = self.next_report().map_or(settled, |report| report.min(settled));
        let is_due = |seen: &Seen| stamp(seen) <= until && datagram_of(seen).is_some();
        while let Some(seen) = self.frames.pop_front_if(is_due) {
            if !self.forwarded.may_tell_of(&seen) {
                return Some(Settled::Due(seen));
            }
            self.keep(seen, None);
        }
        None
    }

    /// The next report that is not later than `until`, with its frame.
    fn report_until(&mut self, until: Timestamp) -> Option<Settled> {
        let until = self.next_report().filter(|&first| first <= until)?;
        if let Some((seen, by)) = self.outgoing.pop_front_if(|(seen, _)| stamp(seen) <= until) {
            return Some(Settled::Unseen(seen, by));
        }
        let (seen, by) = self.incoming.pop_until(until)?;
        Some(self.join(seen, by))
    }

    /// The next frame that is not later than `settled`.
    fn frame_until(&mut self, settled: Timestamp) -> Option<Settled> {
        let seen = self.frames.pop_front_if(|seen| stamp(seen) <= settled)?;
        Some(match self.report_of(&seen) {
            Some((reported, by)) if is_translated(&seen, &reported) => Settled::Translated(seen, reported.packet, by),
            Some((_, by)) => Settled::Dropped(seen, None, by),
            None if self.forwarded.take(&seen, Some(&mut self.frames)) => Settled::Entered(seen),
            None => Settled::Passed(seen, None),
        })
    }

    /// The report of a frame's packet, if one waits; mostly none does.
    fn report_of(&mut self, seen: &Seen) -> Option<(Seen, By)> {
        if self.incoming.is_empty() {
            return None;
        }
        let report = self.incoming.take(seen, &mut self.frames, |_| true);
        report.or_else(|| self.incoming.take_translated(seen, &mut self.frames))
    }

    /// The next fragment that has waited long enough.
    fn fragment_until(&mut self, settled: Timestamp) -> Option<Settled> {
        loop {
            let waited = match self.fragments.pop_until(settled)? {
                Part::Repeated(seen) => return Some(Settled::Repeated(seen)),
                Part::Unreported(waited) if self.forwarded.take(&waited.seen, None) => {
                    return Some(Settled::Entered(waited.seen));
                }
                Part::Unreported(waited) => waited,
            };
            self.urgent |= waited.long;
            if let Some((seen, judgement)) = self.fragments.wait_on(&waited) {
                return Some(Settled::Passed(seen, judgement));
            }
        }
    }

    /// Finds the packet of a report.
    fn join(&mut self, reported: Seen, by: By) -> Settled {
        let frame = self.frames.take(&reported).map(|seen| (seen, None));
        let frame = frame.or_else(|| self.fragments.take(&reported));
        match frame {
            Some((seen, judgement)) => Settled::Dropped(seen, judgement, by),
            None => match self.frames.take_translated(&reported) {
                Some(seen) => Settled::Translated(seen, reported.packet, by),
                None => Settled::Unseen(reported, by),
            },
        }
    }
}

/// The time of a packet as far as reports tell it: in whole microseconds.
pub fn stamp(seen: &Seen) -> Timestamp {
    let nanos = seen.time.nanos();
    Timestamp::from_nanos(nanos - nanos.rem_euclid(1000))
}

/// The ends of a packet.
pub fn ends(packet: &Packet) -> Option<Ends> {
    packet.ip().and_then(Ends::of_packet)
}

/// Whether a whole packet at the tap is the one that was reported: one of the same ends may go round on loopback, as
/// the answer of a `reject` does.
pub fn is_same(held: &Seen, reported: &Seen) -> bool {
    let same_way = held.direction == reported.direction;
    let (Net::Ip(held), Net::Ip(reported)) = (&held.packet.net, &reported.packet.net) else { return false };
    same_way
        && held.fragment.is_none()
        && (held.src, held.dst, held.protocol) == (reported.src, reported.dst, reported.protocol)
        && is_as_long(held, reported)
        && (held.transport == reported.transport || reported.transport == Transport::None)
}

/// Whether a whole packet at the tap is the one that was reported with its destination translated: to another address or
/// port of this very machine.
pub fn is_translated(held: &Seen, reported: &Seen) -> bool {
    let (Net::Ip(ip), Net::Ip(behind)) = (&held.packet.net, &reported.packet.net) else { return false };
    [held.direction, reported.direction] == [Direction::Incoming; 2]
        && held.interface == reported.interface
        && ip.fragment.is_none()
        && (ip.src, ip.protocol) == (behind.src, behind.protocol)
        && is_as_long(ip, behind)
        && held.fingerprint.is_some()
        && held.fingerprint == reported.fingerprint
        && !is_same(held, reported)
}

/// Whether a whole packet at the tap is as long as the one that was reported.
fn is_as_long(held: &Ip, reported: &Ip) -> bool {
    held.len == reported.len || held.src.is_ipv6() && held.len == reported.len.saturating_add(FRAGMENT_HEADER)
}

#[cfg(test)]
mod tests;
