//! What this machine sends from addresses that are not its own, as transparent proxies do: it is told from what is
//! forwarded between the same ends by the kernel's reports alone.
//!
//! A report is about a packet as it comes to the rules. To the tap it may come in segments or fragments, and so it is
//! remembered who sends to whom: what leaves so and did not come in is this machine's.

use crate::app::first_fragments::FirstFragments;
use crate::app::remembered::Remembered;
use crate::app::withheld::Seen;
use crate::conntrack::Ends;
use crate::packet::{Ip, Net};
use std::net::IpAddr;
use std::time::Duration;

/// How long a report is of use: what it is about has gone out at once, and waits for it no longer than that.
const KEPT: Duration = Duration::from_secs(1);

/// Senders and ends that are remembered, in some megabytes: those of as many connections as begin in a second. Packets of
/// one that finds no room have no line, which is counted.
const MAX_SENDERS: usize = 1 << 16;

/// Who sends with which ends.
type Sender = (IpAddr, Ends);

/// Who was seen sending so.
#[derive(Debug)]
pub(super) struct Posing {
    /// With the time to live of what each sent last.
    senders: Remembered<Sender, u8>,
    /// Who sends each, to the rules.
    datagrams: FirstFragments<IpAddr>,
}

impl Default for Posing {
    fn default() -> Self {
        Self { senders: Remembered::new(MAX_SENDERS), datagrams: FirstFragments::default() }
    }
}

impl Posing {
    /// Takes a report.
    pub(super) fn report(&mut self, reported: &Seen) {
        let Net::Ip(ip) = &reported.packet.net else { return };
        if let Some(sender) = sender(ip) {
            self.senders.remember(sender, ip.ttl, reported.time.plus(KEPT), reported.time);
        }
        self.datagrams.remember(ip, ip.src, reported.time);
    }

    /// A packet that goes out, as the rules saw it, if it was reported, or is part of what was.
    ///
    /// It may look like part of a flow on its way through whose addresses are translated, and `before` says what it was if its
    /// source was translated behind the rules. What passes has lost one of its time to live, by which it is mostly told apart.
    pub(super) fn sent(&mut self, seen: &Seen, before: impl FnOnce(&Ip) -> Option<Ip>) -> Option<Ip> {
        let Net::Ip(ip) = seen.packet.net else { return None };
        if self.senders.is_empty() && self.datagrams.is_empty() {
            return None;
        }
        let before = before(&ip);
        let ttl = |ip: &Ip| self.senders.get(&sender(ip)?, seen.time).copied();
        let is_sent = |one: &Ip| ttl(one).is_some_and(|ttl| before.is_none() || ttl == ip.ttl);
        let sent = [Some(ip), before].into_iter().flatten().find(is_sent);
        if let Some(sent) = sent {
            self.datagrams.remember(&ip, sent.src, seen.time);
        }
        sent.or_else(|| self.datagrams.get(&ip, seen.time).map(|&src| Ip { src, ..ip }))
    }

    /// Senders that found no room.
    pub(super) fn forgotten(&self) -> u64 {
        self.senders.forgotten()
    }

    /// Datagrams in fragments that found no room.
    pub(super) fn forgotten_datagrams(&self) -> u64 {
        self.datagrams.forgotten()
    }
}

fn sender(ip: &Ip) -> Option<Sender> {
    Ends::of_packet(ip).map(|ends| (ip.src, ends))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::first_fragments;
    use crate::engine::Direction;
    use crate::packet::{Fragment, Packet, Ports, Protocol, Transport};
    use crate::time::Timestamp;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_parts(1_800_000_000, 0).plus(Duration::from_millis(millis))
    }

    fn datagram_of(ports: (u16, u16), fragment: Option<Fragment>) -> Ip {
        let transport = match fragment {
            Some(Fragment { offset: 1.., .. }) => Transport::None,
            _ => Transport::Udp(Ports { src: ports.0, dst: ports.1 }),
        };
        let (src, dst) = ([192, 0, 2, 1].into(), [10, 0, 0, 5].into());
        Ip { src, dst, protocol: Protocol::UDP, ttl: 64, len: 100, fragment, transport }
    }

    fn seen(ip: Ip, millis: u64) -> Seen {
        let packet = Packet::of(Net::Ip(ip));
        Seen {
            time: at(millis),
            packet,
            direction: Direction::Outgoing,
            interface: 2,
            fingerprint: None,
            for_another: false,
        }
    }

    fn covers(posing: &mut Posing, seen: &Seen) -> bool {
        posing.sent(seen, |_| None).is_some()
    }

    #[test]
    fn what_is_sent_so_is_known_for_a_while_by_its_sender_and_ends() {
        let mut posing = Posing::default();
        let sent = datagram_of((4000, 53), None);
        assert!(!covers(&mut posing, &seen(sent, 0)));
        posing.report(&seen(sent, 20));
        assert!(covers(&mut posing, &seen(sent, 0)) && covers(&mut posing, &seen(sent, 0)), "in several segments, too");
        assert!(!covers(&mut posing, &seen(datagram_of((4001, 53), None), 0)));
        let back = Ip { src: sent.dst, dst: sent.src, ..datagram_of((53, 4000), None) };
        assert!(!covers(&mut posing, &seen(back, 0)), "the other side sends itself");
        assert!(!covers(&mut posing, &seen(sent, 1021)));
    }

    #[test]
    fn fragments_go_with_their_first() {
        let mut posing = Posing::default();
        posing.report(&seen(datagram_of((4000, 53), None), 20));
        let fragment = |offset| Some(Fragment { id: 7, offset, len: 80, more: true });
        let later = seen(datagram_of((4000, 53), fragment(1480)), 1);
        assert!(!covers(&mut posing, &later));
        assert!(covers(&mut posing, &seen(datagram_of((4000, 53), fragment(0)), 1)));
        assert!(covers(&mut posing, &later));
    }

    #[test]
    fn datagrams_that_find_no_room_are_counted() {
        let mut posing = Posing::default();
        posing.report(&seen(datagram_of((4000, 53), None), 0));
        let first = |id| datagram_of((4000, 53), Some(Fragment { id, offset: 0, len: 80, more: true }));
        let room = u32::try_from(first_fragments::MAX_DATAGRAMS).unwrap();
        assert!((0..room + 3).all(|id| covers(&mut posing, &seen(first(id), 1))));
        assert_eq!(posing.forgotten_datagrams(), 3);
    }

    #[test]
    fn one_whose_source_is_translated_behind_the_rules_is_what_it_was_before() {
        let mut posing = Posing::default();
        let fragment = |offset| Some(Fragment { id: 7, offset, len: 80, more: true });
        let sent = datagram_of((4000, 53), None);
        posing.report(&seen(sent, 20));
        let outside = |ip| Ip { src: [198, 51, 100, 1].into(), ..ip };
        let (first, later) = (datagram_of((4000, 53), fragment(0)), datagram_of((0, 0), fragment(1480)));
        assert_eq!(posing.sent(&seen(outside(first), 1), |_| None), None);
        assert_eq!(posing.sent(&seen(outside(first), 1), |_| Some(first)), Some(first));
        assert_eq!(posing.sent(&seen(outside(later), 1), |_| None), Some(later));
    }
}
