//! Packets from and to this machine that look as if they were part of a flow on its way through: the kernel tells of
//! each that it does not translate, and of each that this machine sends from an address of others.

mod posing;
mod related;

use self::posing::Posing;
use self::related::Related;
use super::first_fragments::FirstFragments;
use super::withheld::{Frames, Incoming, Seen, is_first_of, is_same, stamp};
use crate::conntrack::Ends;
use crate::engine::Direction;
use crate::packet::{Ip, Net, Packet};
use crate::time::Timestamp;
use std::time::Duration;

/// How long such a report is of use: most are about packets that look like no flow at all.
const KEPT: Duration = Duration::from_secs(1);

/// How long the fragments of a packet may be apart that was reported whole.
pub(super) const FRAGMENTS: Duration = Duration::from_millis(30);

/// Reports that are kept at most; of more the oldest go early.
const MAX_KEPT: usize = 1 << 14;

/// What such a packet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It belongs to no flow.
    Nothing,
    /// Nor to any connection: connection tracking calls it invalid.
    FitsNothing,
    /// It is an error about a connection.
    Relates,
    /// It opens a connection: a flow with its ends is over.
    Opens,
}

/// Reports of packets that the kernel does not translate.
#[derive(Debug, Default)]
pub struct Own {
    incoming: Incoming<Does>,
    /// They bear the time at which they were read.
    outgoing: Incoming<Does>,
    /// Those that translation leads here, as the rules see them.
    led: Incoming<()>,
    /// Errors about connections, of whomever, that this machine sends.
    related: Related,
    posing: Posing,
    /// Datagrams in fragments that are for others and were taken in all the same.
    taken: FirstFragments<Does>,
}

impl Own {
    /// Takes a report.
    pub fn report(&mut self, seen: Seen, does: Does, now: Timestamp) {
        let reports = if seen.direction == Direction::Outgoing { &mut self.outgoing } else { &mut self.incoming };
        keep(reports, seen, does, now);
    }

    /// Takes a report of a packet that begins a flow which translation leads to this machine.
    pub fn report_led(&mut self, seen: Seen, now: Timestamp) {
        keep(&mut self.led, seen, (), now);
    }

    /// What such a packet was to the rules, if it is reported. `behind` are the frames behind.
    pub fn led_to(&mut self, seen: &Seen, behind: &mut Frames) -> Option<Packet> {
        self.led.take_translated(seen, behind).map(|(reported, ())| reported.packet)
    }

    /// Takes a report of an error about a connection that this machine sends.
    pub fn report_related(&mut self, seen: Seen, now: Timestamp) {
        self.related.report(seen, now);
    }

    /// Whether any such report waits for its packet.
    pub fn has_related(&self) -> bool {
        !self.related.is_empty()
    }

    /// Whether an error that goes out is reported to be about a connection. A report is of use once. `others` are the ends of
    /// what it is about to the rules, where they are translated behind them.
    pub fn is_related(&mut self, seen: &Seen, others: Option<Ends>) -> bool {
        self.related.take(seen, others)
    }

    /// Takes a report of a packet that this machine sends from an address of others. Its time is that of reading.
    pub fn report_posing(&mut self, reported: &Seen) {
        self.posing.report(reported);
    }

    /// A packet that goes out, and did not come in as it is, as the rules saw it, if this machine sent it from an address of
    /// others. `before` says what it was if its source was translated behind them.
    pub fn posing(&mut self, seen: &Seen, before: impl FnOnce(&Ip) -> Option<Ip>) -> Option<Ip> {
        self.posing.sent(seen, before)
    }

    /// How many connections from addresses of others found no room.
    pub fn forgotten(&self) -> u64 {
        self.posing.forgotten()
    }

    /// Datagrams in fragments, from or to addresses of others, that found no room: their later fragments have no line.
    pub fn forgotten_datagrams(&self) -> u64 {
        self.posing.forgotten_datagrams() + self.taken.forgotten()
    }

    /// The report of a packet that the tap saw, if there is one. It is of use once. `behind` are the frames behind.
    pub fn take(&mut self, seen: &Seen, behind: &mut Frames) -> Option<Does> {
        let in_fragments = matches!(seen.packet.net, Net::Ip(Ip { fragment: Some(_), .. }));
        let of_packet = |reported: &Seen| {
            let alike = is_same(seen, reported) || in_fragments && is_first_of(&seen.packet, &reported.packet);
            alike && is_same_content(seen, reported, in_fragments)
        };
        let soon = stamp(seen)..=seen.time.plus(FRAGMENTS);
        let report = match seen.direction {
            Direction::Incoming if in_fragments => {
                self.incoming.take_if(seen, |reported| soon.contains(&reported.time) && of_packet(reported))
            }
            Direction::Incoming => {
                self.incoming.take(seen, behind, |reported| is_same_content(seen, reported, in_fragments))
            }
            _ => self.outgoing.take_if(seen, of_packet),
        };
        let does = report.map(|(_, does)| does);
        let Net::Ip(ip) = &seen.packet.net else { return does };
        if let Some(does) = does.filter(|_| seen.for_another) {
            self.taken.remember(ip, does, seen.time);
        }
        does.or_else(|| self.taken.get(ip, seen.time).copied())
    }
}

/// Keeps a report, as long as it may be of use.
fn keep<T>(reports: &mut Incoming<T>, seen: Seen, says: T, now: Timestamp) {
    while reports.pop_until(now.minus(KEPT)).is_some() {}
    if reports.len() >= MAX_KEPT {
        reports.pop_until(Timestamp::MAX);
    }
    reports.push(seen, says);
}

/// Whether two sightings are of the same packet by what is in it. One of the same ends that is translated on its way out,
/// or dropped, is never seen again, and a forwarded one may look like it.
fn is_same_content(seen: &Seen, reported: &Seen, in_fragments: bool) -> bool {
    match (seen.fingerprint, reported.fingerprint) {
        (Some(seen), Some(reported)) if in_fragments => seen.head == reported.head,
        (seen, reported) => seen == reported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Fingerprint, Ports, Protocol, Tcp, TcpFlags, Transport};

    fn reset() -> Seen {
        let ports = Ports { src: 8080, dst: 4000 };
        let transport = Transport::Tcp(Tcp { ports, flags: TcpFlags(TcpFlags::RST), ..Tcp::default() });
        let (src, dst) = ([10, 0, 0, 5].into(), [192, 0, 2, 1].into());
        let ip = Ip { src, dst, protocol: Protocol::TCP, ttl: 64, len: 40, fragment: None, transport };
        let packet = Packet::of(Net::Ip(ip));
        let (time, direction) = (Timestamp::from_parts(1_800_000_000, 0), Direction::Outgoing);
        Seen { time, packet, direction, interface: 2, fingerprint: None, for_another: false }
    }

    #[test]
    fn a_segment_is_not_taken_for_one_of_the_same_ends_and_flags_that_was_reported_soon_after() {
        let incoming = |whole, time| {
            let fingerprint = Some(Fingerprint { whole, head: 2 });
            Seen { time, direction: Direction::Incoming, fingerprint, ..reset() }
        };
        let (time, later) = (reset().time, reset().time.plus(Duration::from_millis(2)));
        let mut own = Own::default();
        own.report(incoming(1, later), Does::Nothing, later);
        assert_eq!(own.take(&incoming(7, time), &mut Frames::default()), None);
        assert_eq!(
            own.take(&incoming(1, time), &mut Frames::default()),
            Some(Does::Nothing),
            "without a stamp of its own"
        );
    }

    #[test]
    fn a_report_is_of_use_once_and_to_the_packet_that_it_is_about() {
        let mut own = Own::default();
        own.report(reset(), Does::Opens, reset().time);
        assert_eq!(own.take(&reset(), &mut Frames::default()), Some(Does::Opens));
        assert_eq!(own.take(&reset(), &mut Frames::default()), None);
        let never_left = Seen { fingerprint: Some(Fingerprint { whole: 1, head: 2 }), ..reset() };
        own.report(never_left, Does::Nothing, reset().time);
        let other = Seen { fingerprint: Some(Fingerprint { whole: 3, head: 2 }), ..reset() };
        assert_eq!(own.take(&other, &mut Frames::default()), None);
        assert_eq!(own.take(&never_left, &mut Frames::default()), Some(Does::Nothing));
    }
}
