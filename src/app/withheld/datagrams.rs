//! What is known of datagrams that come in fragments: how much of each was seen, and which of them were dropped.

use super::{FRAGMENT_HEADER, HOLD_FRAGMENT, Seen};
use crate::app::pipeline::Judgement;
use crate::app::remembered::Remembered;
use crate::engine::Direction;
use crate::packet::{Datagram, Fragment, Ip, Net, Packet, Parts, Transport};
use crate::time::Timestamp;

/// Datagrams that are remembered after they were dropped. What comes twice of one that is forgotten has lines of its own.
const MAX_DROPPED: usize = 1 << 12;

/// Datagrams of which it is remembered how much of them was seen, of those that may be dropped: some megabytes.
/// One that finds no room passes for one that never became whole, and of the line of its first fragment, once that is
/// written, a report knows nothing.
pub(super) const MAX_BEGUN: usize = 1 << 12;

/// The datagram that a packet is a fragment of.
pub(super) fn datagram_of(seen: &Seen) -> Option<Datagram> {
    seen.packet.ip().and_then(Datagram::of)
}

/// A fragment, with its judgement if it has one.
pub(super) type Judged = (Seen, Option<Judgement>);

/// A datagram that is not known to be dropped.
#[derive(Debug, Default)]
struct Begun {
    parts: Parts,
    /// The fragment that begins it.
    first: Option<Judged>,
    /// When it was whole last: what comes later is of another with the same identification.
    whole_at: Option<Timestamp>,
}

/// A datagram that was dropped: the header of its first fragment, and where each fragment was and how long.
#[derive(Debug)]
struct Gone {
    header: Transport,
    parts: Box<[(Fragment, u32)]>,
}

impl Gone {
    fn new(first: &Seen, parts: &[Judged]) -> Option<Self> {
        let (.., header) = part_of(&first.packet)?;
        let fragments = parts.iter().filter_map(|(seen, _)| part_of(&seen.packet));
        Some(Self { header, parts: fragments.map(|(fragment, len, _)| (fragment, len)).collect() })
    }

    /// Whether a fragment looks like one of its own.
    fn has(&self, packet: &Packet) -> bool {
        part_of(packet).is_some_and(|(fragment, len, header)| {
            self.parts.contains(&(fragment, len)) && (fragment.offset > 0 || header == self.header)
        })
    }
}

/// Datagrams of late.
#[derive(Debug)]
pub(super) struct Datagrams {
    /// Those of which fragments were seen that the rules may drop.
    begun: Remembered<Datagram, Begun>,
    /// Datagrams that were dropped: what comes of them twice goes with them. One that has another header is another.
    dropped: Remembered<Datagram, Gone>,
}

impl Default for Datagrams {
    fn default() -> Self {
        Self { begun: Remembered::new(MAX_BEGUN), dropped: Remembered::new(MAX_DROPPED) }
    }
}

impl Datagrams {
    /// Takes in that a fragment was seen.
    pub(super) fn came(&mut self, datagram: Datagram, seen: &Seen) {
        let is_another = |gone: &Gone| is_first(&seen.packet) && !gone.has(&seen.packet);
        if self.dropped.get(&datagram, seen.time).is_some_and(is_another) {
            self.dropped.end(&datagram, Timestamp::MIN);
        }
    }

    /// Remembers of a fragment what tells of its datagram later. The kernel takes in none that is malformed.
    pub(super) fn remember(&mut self, datagram: Datagram, seen: &Seen, judgement: Option<Judgement>) {
        let Some((fragment, ..)) = part_of(&seen.packet).filter(|_| seen.packet.malformed.is_none()) else { return };
        let begun = self.begun.get(&datagram, seen.time);
        if begun.is_none_or(|begun| begun.parts.are_all()) {
            // There is none yet, or the number is in use again.
            let begun = Begun { whole_at: begun.and_then(|begun| begun.whole_at), ..Begun::default() };
            let until = seen.time.plus(datagram.reassembly_timeout());
            self.begun.remember(datagram, begun, until, seen.time);
        }
        let Some(begun) = self.begun.get_mut(&datagram, seen.time) else { return };
        begun.parts.count(fragment, seen.packet.ip().is_some_and(|ip| ip.src.is_ipv6()));
        if fragment.offset == 0 && begun.first.is_none() {
            begun.first = Some((*seen, judgement));
        }
        if begun.parts.are_all() {
            begun.whole_at = begun.whole_at.max(Some(seen.time));
        }
    }

    /// Whether all fragments of a fragment's datagram are known to have been seen.
    pub(super) fn is_whole(&self, seen: &Seen) -> bool {
        let begun = datagram_of(seen).and_then(|datagram| self.begun.get(&datagram, seen.time));
        begun.and_then(|begun| begun.whole_at).is_some_and(|whole_at| seen.time <= whole_at)
    }

    /// The fragment that begins the datagram that was reported whole, if this is it: one of the `parts` that wait, or
    /// one whose line was written before.
    pub(super) fn first<'a>(
        &'a self,
        datagram: Datagram,
        parts: impl Iterator<Item = &'a Judged> + Clone,
        reported: &Seen,
    ) -> Option<&'a Judged> {
        let begun = self.begun.get(&datagram, reported.time);
        let last = parts.clone().filter_map(|(seen, _)| part_of(&seen.packet)).find(|(fragment, ..)| !fragment.more);
        let payload = last.map(|(Fragment { offset, len, .. }, ..)| offset.saturating_add(len));
        let payload = payload.or_else(|| begun.and_then(|begun| begun.parts.of()));
        let told = begun.and_then(|begun| begun.first.as_ref());
        parts.chain(told).find(|(seen, _)| {
            (is_first_of(&seen.packet, &reported.packet) || is_translated_first_of(seen, reported))
                && payload.is_none_or(|payload| is_len(&seen.packet, payload, &reported.packet))
        })
    }

    /// Takes in that a datagram was dropped, with the `parts` of it that waited.
    pub(super) fn dropped(&mut self, datagram: Datagram, first: &Seen, parts: &[Judged], time: Timestamp) {
        self.forget(&datagram);
        if let Some(gone) = Gone::new(first, parts) {
            self.dropped.remember(datagram, gone, time.plus(HOLD_FRAGMENT), time);
        }
    }

    /// A fragment of a datagram was dropped by itself, or the datagram was: what comes of it is of another.
    pub(super) fn forget(&mut self, datagram: &Datagram) {
        self.begun.end(datagram, Timestamp::MIN);
    }

    /// Datagrams that found no room.
    pub(super) fn forgotten(&self) -> u64 {
        self.begun.forgotten() + self.dropped.forgotten()
    }

    /// Whether a fragment looks like one of a datagram that was dropped just before.
    pub(super) fn is_repeated(&self, datagram: &Datagram, seen: &Seen) -> bool {
        self.dropped.get(datagram, seen.time).is_some_and(|gone| gone.has(&seen.packet))
    }
}

fn part_of(packet: &Packet) -> Option<(Fragment, u32, Transport)> {
    let Net::Ip(Ip { fragment: Some(fragment), len, transport, .. }) = packet.net else { return None };
    Some((fragment, len, transport))
}

/// Whether two sightings are of the same fragment of a datagram.
pub(super) fn is_same_part(one: &Seen, other: &Seen) -> bool {
    let place = |seen: &Seen| part_of(&seen.packet).map(|(fragment, ..)| fragment);
    place(one) == place(other)
}

/// Whether a packet is the first fragment of a datagram.
pub fn is_first(part: &Packet) -> bool {
    matches!(part.net, Net::Ip(Ip { fragment: Some(Fragment { offset: 0, .. }), .. }))
}

/// Whether a packet is the first fragment of one that was reported whole.
pub fn is_first_of(part: &Packet, whole: &Packet) -> bool {
    let (Net::Ip(part), Net::Ip(whole)) = (&part.net, &whole.net) else { return false };
    part.fragment.is_some_and(|fragment| fragment.offset == 0)
        && (part.src, part.dst, part.protocol) == (whole.src, whole.dst, whole.protocol)
        && (whole.transport == Transport::None || begins(&part.transport, &whole.transport))
}

/// The same of one whose destination was translated in between: to another address or port of this very machine.
fn is_translated_first_of(part: &Seen, whole: &Seen) -> bool {
    let (Net::Ip(ip), Net::Ip(behind)) = (&part.packet.net, &whole.packet.net) else { return false };
    let head = |seen: &Seen| seen.fingerprint.map(|fingerprint| fingerprint.head);
    is_first(&part.packet)
        && [part.direction, whole.direction] == [Direction::Incoming; 2]
        && part.interface == whole.interface
        && (ip.src, ip.protocol) == (behind.src, behind.protocol)
        && head(part).is_some()
        && head(part) == head(whole)
}

/// Whether a transport header in a first fragment, which may end anywhere in it, is that of the whole.
fn begins(part: &Transport, whole: &Transport) -> bool {
    match (part, whole) {
        (Transport::None, _) => true,
        (Transport::Tcp(part), Transport::Tcp(whole)) => {
            // What is behind the ports is read where all of the header is there, the flags where they are.
            let is_cut = (part.seq, part.ack) == (0, 0) && (part.flags.0 == 0 || part.flags == whole.flags);
            part == whole || is_cut && part.ports == whole.ports
        }
        // The packet that an error is about is behind the header.
        (Transport::Icmp(part), Transport::Icmp(whole)) => {
            (part.kind, part.code, part.id) == (whole.kind, whole.code, whole.id)
        }
        (part, whole) => part == whole,
    }
}

/// Whether a packet has the length that a datagram has which begins with `first` and has so many bytes of payload.
fn is_len(first: &Packet, payload: u32, whole: &Packet) -> bool {
    let (Net::Ip(first), Net::Ip(whole)) = (&first.net, &whole.net) else { return false };
    let taken_out = if first.src.is_ipv6() { FRAGMENT_HEADER } else { 0 };
    let headers = first.len.saturating_sub(first.fragment.map_or(0, |fragment| fragment.len) + taken_out);
    whole.len == headers.saturating_add(payload)
}
