//! Fragments that the tap saw, by the datagrams that they are parts of.

use super::frames::DISORDER;
use super::{HOLD_FRAGMENT, Seen, stamp};
use crate::app::pipeline::Judgement;
use crate::app::remembered::Remembered;
use crate::packet::{Fragment, Ip, Net, Packet, Transport};
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

/// Datagrams that are remembered after they were dropped. What comes twice of one that is forgotten has lines of its own.
const MAX_DROPPED: usize = 1 << 12;

/// What tells the fragments of a datagram from those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Datagram {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
}

impl Datagram {
    /// The datagram that a packet is a fragment of.
    pub(super) fn of(packet: &Packet) -> Option<Self> {
        let Net::Ip(Ip { src, dst, fragment: Some(fragment), .. }) = packet.net else { return None };
        Some(Self { src, dst, id: fragment.id })
    }
}

/// A datagram that was dropped: the header of its first fragment, and where each fragment was and how long.
#[derive(Debug)]
struct Gone {
    header: Transport,
    parts: Box<[(Fragment, u32)]>,
}

impl Gone {
    fn new<'a>(parts: impl Iterator<Item = &'a Seen>) -> Option<Self> {
        let fragments: Vec<_> = parts.filter_map(|seen| part_of(&seen.packet)).collect();
        let header = fragments.iter().find(|(fragment, ..)| fragment.offset == 0)?.2;
        Some(Self { header, parts: fragments.into_iter().map(|(fragment, len, _)| (fragment, len)).collect() })
    }

    /// Whether a fragment looks like one of its own.
    fn has(&self, packet: &Packet) -> bool {
        part_of(packet).is_some_and(|(fragment, len, header)| {
            self.parts.contains(&(fragment, len)) && (fragment.offset > 0 || header == self.header)
        })
    }
}

/// A fragment that has waited.
#[derive(Debug)]
pub(super) enum Part {
    /// Nobody reported it. With its judgement, if it has one.
    Unreported(Seen, Option<Judgement>),
    /// It came once more after its datagram had been dropped, and never came to a rule.
    Repeated(Seen),
}

/// What waits, by datagram.
#[derive(Debug)]
pub(super) struct Fragments {
    waiting: HashMap<Datagram, VecDeque<(Seen, Option<Judgement>)>, RandomState>,
    /// Each fragment's stamp and datagram, oldest first; those too that do not wait any more.
    arrived: VecDeque<(Timestamp, Datagram)>,
    /// Datagrams that were dropped: what comes of them twice goes with them. One that has another header is another.
    dropped: Remembered<Datagram, Gone>,
}

impl Default for Fragments {
    fn default() -> Self {
        let (waiting, arrived) = (HashMap::default(), VecDeque::new());
        Self { waiting, arrived, dropped: Remembered::new(MAX_DROPPED) }
    }
}

impl Fragments {
    /// Holds a fragment back.
    pub(super) fn hold(&mut self, datagram: Datagram, seen: Seen, judgement: Option<Judgement>) {
        let is_another = |gone: &Gone| is_first(&seen.packet) && !gone.has(&seen.packet);
        if self.dropped.get(&datagram, seen.time).is_some_and(is_another) {
            self.dropped.end(&datagram, Timestamp::MIN);
        }
        self.arrived.push_back((stamp(&seen), datagram));
        self.waiting.entry(datagram).or_default().push_back((seen, judgement));
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.arrived.is_empty()
    }

    /// How many there are, those included that do not wait any more.
    pub(super) fn len(&self) -> usize {
        self.arrived.len()
    }

    /// The first, if it is not later than `until`.
    pub(super) fn pop_until(&mut self, until: Timestamp) -> Option<Part> {
        loop {
            let (_, datagram) = self.arrived.pop_front_if(|(time, _)| *time <= until)?;
            let Some((seen, judgement)) = self.pop(datagram) else { continue };
            let is_repeated = self.dropped.get(&datagram, seen.time).is_some_and(|gone| gone.has(&seen.packet));
            return Some(if is_repeated { Part::Repeated(seen) } else { Part::Unreported(seen, judgement) });
        }
    }

    /// The next part of a datagram: the first fragment before all, wherever it came. It alone tells whether the datagram
    /// is on its way through.
    fn pop(&mut self, datagram: Datagram) -> Option<(Seen, Option<Judgement>)> {
        let parts = self.waiting.get_mut(&datagram)?;
        let first = parts.iter().position(|(seen, _)| is_first(&seen.packet));
        let part = parts.remove(first.unwrap_or(0));
        if parts.is_empty() {
            self.waiting.remove(&datagram);
        }
        part
    }

    /// Takes out what was reported: a fragment, or all of a datagram, which is one packet to the rules. Of that the
    /// first fragment told what was predicted.
    pub(super) fn take(&mut self, reported: &Seen) -> Option<(Seen, Option<Judgement>)> {
        if self.arrived.is_empty() {
            return None;
        }
        if let Some(datagram) = Datagram::of(&reported.packet) {
            return self.take_part(datagram, reported);
        }
        let datagram = self.completed_by(reported)?;
        let parts = self.waiting.remove(&datagram)?;
        if let Some(gone) = Gone::new(parts.iter().map(|(seen, _)| seen)) {
            self.dropped.remember(datagram, gone, reported.time.plus(HOLD_FRAGMENT), reported.time);
        }
        parts
            .into_iter()
            .find(|(seen, _)| is_first_of(&seen.packet, &reported.packet))
            .map(|(_, told)| (*reported, told))
    }

    fn take_part(&mut self, datagram: Datagram, reported: &Seen) -> Option<(Seen, Option<Judgement>)> {
        let offset = |seen: &Seen| if let Net::Ip(ip) = &seen.packet.net { ip.fragment } else { None };
        let parts = self.waiting.get_mut(&datagram)?;
        let place = parts.iter().position(|(seen, _)| offset(seen) == offset(reported))?;
        parts.remove(place)
    }

    /// The datagram that was reported: its stamp is that of the fragment that came last.
    fn completed_by(&self, reported: &Seen) -> Option<Datagram> {
        let time = stamp(reported);
        let place = self.arrived.partition_point(|(arrived, _)| *arrived < time);
        let near = self.arrived.iter().skip(place.saturating_sub(DISORDER)).take(2 * DISORDER);
        let mut at_that_time = near.filter(|(arrived, _)| *arrived == time).map(|(_, datagram)| *datagram);
        at_that_time.find(|datagram| {
            let parts = self.waiting.get(datagram).into_iter().flatten();
            parts.into_iter().any(|(seen, _)| is_first_of(&seen.packet, &reported.packet))
        })
    }
}

fn part_of(packet: &Packet) -> Option<(Fragment, u32, Transport)> {
    let Net::Ip(Ip { fragment: Some(fragment), len, transport, .. }) = packet.net else { return None };
    Some((fragment, len, transport))
}

fn is_first(part: &Packet) -> bool {
    matches!(part.net, Net::Ip(Ip { fragment: Some(Fragment { offset: 0, .. }), .. }))
}

/// Whether a packet is the first fragment of one that was reported whole.
pub fn is_first_of(part: &Packet, whole: &Packet) -> bool {
    let (Net::Ip(part), Net::Ip(whole)) = (&part.net, &whole.net) else { return false };
    part.fragment.is_some_and(|fragment| fragment.offset == 0)
        && (part.src, part.dst) == (whole.src, whole.dst)
        && (part.transport == whole.transport || whole.transport == Transport::None)
}
