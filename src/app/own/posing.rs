//! What this machine sends from addresses that are not its own, as transparent proxies do: it is told from what is
//! forwarded between the same ends by the kernel's reports alone.
//!
//! A report is about a packet as it comes to the rules. To the tap it may come in segments or fragments, and so it is
//! remembered who sends to whom: what leaves so and did not come in is this machine's.

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

/// Datagrams in fragments that are remembered after their first fragment.
const MAX_DATAGRAMS: usize = 1 << 12;

/// Who sends with which ends.
type Sender = (IpAddr, Ends);

/// What tells a datagram's fragments from those of others.
type Datagram = (IpAddr, IpAddr, u32);

/// Who was seen sending so.
#[derive(Debug)]
pub(super) struct Posing {
    senders: Remembered<Sender>,
    datagrams: Remembered<Datagram>,
}

impl Default for Posing {
    fn default() -> Self {
        Self { senders: Remembered::new(MAX_SENDERS), datagrams: Remembered::new(MAX_DATAGRAMS) }
    }
}

impl Posing {
    /// Takes a report.
    pub(super) fn report(&mut self, reported: &Seen) {
        let Net::Ip(ip) = &reported.packet.net else { return };
        let until = reported.time.plus(KEPT);
        if let Some(sender) = sender(ip) {
            self.senders.remember(sender, (), until, reported.time);
        }
        if let Some(datagram) = datagram(ip) {
            self.datagrams.remember(datagram, (), until, reported.time);
        }
    }

    /// Whether a packet that goes out was reported, or is part of what was.
    pub(super) fn covers(&mut self, seen: &Seen) -> bool {
        let Net::Ip(ip) = &seen.packet.net else { return false };
        if self.senders.is_empty() && self.datagrams.is_empty() {
            return false;
        }
        let datagram = datagram(ip);
        if sender(ip).is_some_and(|sender| self.senders.knows(&sender, seen.time)) {
            if let Some(datagram) = datagram {
                self.datagrams.remember(datagram, (), seen.time.plus(KEPT), seen.time);
            }
            return true;
        }
        datagram.is_some_and(|datagram| self.datagrams.knows(&datagram, seen.time))
    }

    /// How many found no room.
    pub(super) fn forgotten(&self) -> u64 {
        self.senders.forgotten()
    }
}

fn sender(ip: &Ip) -> Option<Sender> {
    Ends::of_packet(ip).map(|ends| (ip.src, ends))
}

fn datagram(ip: &Ip) -> Option<Datagram> {
    ip.fragment.map(|fragment| (ip.src, ip.dst, fragment.id))
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn what_is_sent_so_is_known_for_a_while_by_its_sender_and_ends() {
        let mut posing = Posing::default();
        let sent = datagram_of((4000, 53), None);
        assert!(!posing.covers(&seen(sent, 0)));
        posing.report(&seen(sent, 20));
        assert!(posing.covers(&seen(sent, 0)) && posing.covers(&seen(sent, 0)), "in several segments, too");
        assert!(!posing.covers(&seen(datagram_of((4001, 53), None), 0)));
        let back = Ip { src: sent.dst, dst: sent.src, ..datagram_of((53, 4000), None) };
        assert!(!posing.covers(&seen(back, 0)), "the other side sends itself");
        assert!(!posing.covers(&seen(sent, 1021)));
    }

    #[test]
    fn fragments_go_with_their_first() {
        let mut posing = Posing::default();
        posing.report(&seen(datagram_of((4000, 53), None), 20));
        let fragment = |offset| Some(Fragment { id: 7, offset, len: 80, more: true });
        let later = seen(datagram_of((4000, 53), fragment(1480)), 1);
        assert!(!posing.covers(&later));
        assert!(posing.covers(&seen(datagram_of((4000, 53), fragment(0)), 1)));
        assert!(posing.covers(&later));
    }
}
