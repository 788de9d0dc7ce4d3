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

/// What waits, by datagram.
#[derive(Debug)]
pub(super) struct Fragments {
    waiting: HashMap<Datagram, VecDeque<(Seen, Option<Judgement>)>, RandomState>,
    /// Each fragment's stamp and datagram, oldest first; those too that do not wait any more.
    arrived: VecDeque<(Timestamp, Datagram)>,
    /// Datagrams that were dropped: what comes of them twice goes with them.
    dropped: Remembered<Datagram>,
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
        if self.dropped.knows(&datagram, seen.time) {
            return;
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
    pub(super) fn pop_until(&mut self, until: Timestamp) -> Option<(Seen, Option<Judgement>)> {
        loop {
            let (_, datagram) = self.arrived.pop_front_if(|(time, _)| *time <= until)?;
            if let Some(part) = self.pop(datagram) {
                return Some(part);
            }
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
        self.dropped.remember(datagram, (), reported.time.plus(HOLD_FRAGMENT), reported.time);
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
