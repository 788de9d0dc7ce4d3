//! Packets that the tap saw, held back until the kernel has had its say: the tap sees what the rules drop as well as
//! what they let through, and only NFLOG tells which was which. A packet that came in bears the same time stamp at the
//! tap and in its report (there cut to microseconds), so that the two streams are joined like two sorted lists.

use super::pipeline::Judgement;
use crate::engine::Direction;
use crate::nflog::BATCH_TIME;
use crate::packet::{Ip, Net, Packet, Protocol, Transport};
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a packet is held back where nothing else comes: reports and frames are handed on after [`BATCH_TIME`] at
/// most; the rest is for their being read. A line is in the file within 200 ms all the same.
pub const HOLD: Duration = BATCH_TIME.saturating_add(Duration::from_millis(30));

/// Packets that are held back at most: what comes in that time at two million a second. Beyond it the oldest go early.
const MAX_HELD: usize = 1 << 17;

/// How far out of order packets of one time can be: several processors stamp them.
const DISORDER: usize = 64;

/// How many reports are searched for the datagram of a fragment.
const SEARCHED: usize = 1024;

/// How long the kernel may take from the tap to a report.
const UNTIL_REPORTED: Duration = Duration::from_millis(5);

/// A rule in the kernel, as a report names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct By {
    /// Generation of the rule set.
    pub generation: u32,
    /// Number of the rule in it.
    pub number: u32,
}

/// A packet and its circumstances.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When it was seen.
    pub time: Timestamp,
    /// The packet.
    pub packet: Packet,
    /// Which way it goes.
    pub direction: Direction,
    /// The index of its interface.
    pub interface: u32,
}

/// What is known of a packet once it has waited long enough.
#[derive(Debug)]
pub enum Settled {
    /// The tap saw it, and no report came: it was not dropped.
    Passed(Seen, Judgement),
    /// The tap saw it, and it was dropped.
    Dropped(Seen, Judgement, By),
    /// It was dropped where the tap sees nothing, or had no room.
    Unseen(Seen, By),
}

/// What waits, oldest first.
#[derive(Debug, Default)]
pub struct Withheld {
    frames: VecDeque<(Seen, Judgement)>,
    /// Reports of packets that the tap sees too.
    incoming: VecDeque<(Seen, By)>,
    /// Reports of packets that it never sees.
    outgoing: VecDeque<(Seen, By)>,
}

impl Withheld {
    /// Holds a packet back that the tap saw.
    pub fn hold(&mut self, seen: Seen, judgement: Judgement) {
        self.frames.push_back((seen, judgement));
    }

    /// Takes a report of a packet that was dropped; `at_tap` if the tap sees it before that.
    pub fn report(&mut self, seen: Seen, by: By, at_tap: bool) {
        let reports = if at_tap { &mut self.incoming } else { &mut self.outgoing };
        reports.push_back((seen, by));
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.incoming.is_empty() && self.outgoing.is_empty()
    }

    /// The next packet about which all is known: tap and reports have been read up to `settled`.
    pub fn release(&mut self, settled: Timestamp) -> Option<Settled> {
        loop {
            let settled = if self.frames.len() > MAX_HELD { Timestamp::MAX } else { settled };
            let frame = self.frames.front().map(|(seen, _)| stamp(seen)).filter(|&time| time <= settled);
            let due = |reports: &VecDeque<(Seen, By)>| {
                let time = reports.front().map(|(seen, _)| stamp(seen))?;
                (time <= settled && frame.is_none_or(|frame| time <= frame)).then_some(time)
            };
            if due(&self.outgoing).is_some() {
                let (seen, by) = self.outgoing.pop_front()?;
                return Some(Settled::Unseen(seen, by));
            }
            if due(&self.incoming).is_some() {
                let (seen, by) = self.incoming.pop_front()?;
                return Some(self.join(seen, by));
            }
            frame?;
            let (seen, judgement) = self.frames.pop_front()?;
            if let Some(by) = self.take_unstamped(&seen) {
                return Some(Settled::Dropped(seen, judgement, by));
            }
            if !self.is_part_of_dropped(&seen) {
                return Some(Settled::Passed(seen, judgement));
            }
        }
    }

    /// Finds the packet of a report.
    fn join(&mut self, reported: Seen, by: By) -> Settled {
        let same =
            |(seen, _): &(Seen, Judgement)| stamp(seen) == stamp(&reported) && is_same(&seen.packet, &reported.packet);
        let place = self.frames.iter().take(DISORDER).position(same);
        match place.and_then(|place| self.frames.remove(place)) {
            Some((seen, judgement)) => Settled::Dropped(seen, judgement, by),
            None => Settled::Unseen(reported, by),
        }
    }

    /// The rule that dropped a packet whose report bears another time than the tap: that at which it was written. The
    /// kernel has taken the stamp of a forwarded packet away by then, and a TCP segment that was sent on this very
    /// machine (by a container, over veth) carries its time of departure in that place.
    fn take_unstamped(&mut self, seen: &Seen) -> Option<By> {
        let Net::Ip(ip) = &seen.packet.net else { return None };
        if seen.direction != Direction::Forwarded && ip.protocol != Protocol::TCP {
            return None;
        }
        let latest = seen.time.plus(UNTIL_REPORTED);
        let near = self.incoming.iter().take(SEARCHED).take_while(|(reported, _)| reported.time <= latest);
        let place = near.into_iter().position(|(reported, _)| is_same(&seen.packet, &reported.packet))?;
        self.incoming.remove(place).map(|(_, by)| by)
    }

    /// Whether a frame holds a fragment of a datagram that was reported, whole, as dropped: that has its line.
    fn is_part_of_dropped(&self, seen: &Seen) -> bool {
        let Net::Ip(Ip { fragment: Some(_), src, dst, protocol, .. }) = seen.packet.net else { return false };
        self.incoming.iter().take(SEARCHED).any(|(reported, _)| {
            let Net::Ip(ip) = &reported.packet.net else { return false };
            (ip.src, ip.dst, ip.protocol) == (src, dst, protocol)
        })
    }
}

/// The time of a packet as far as reports tell it: in whole microseconds.
fn stamp(seen: &Seen) -> Timestamp {
    let nanos = seen.time.nanos();
    Timestamp::from_nanos(nanos - nanos.rem_euclid(1000))
}

/// Whether a whole packet at the tap is the one that was reported.
fn is_same(held: &Packet, reported: &Packet) -> bool {
    let (Net::Ip(held), Net::Ip(reported)) = (&held.net, &reported.net) else { return false };
    held.fragment.is_none()
        && (held.src, held.dst, held.protocol, held.len)
            == (reported.src, reported.dst, reported.protocol, reported.len)
        && (held.transport == reported.transport || reported.transport == Transport::None)
}
