//! Packets from and to this machine that look as if they were part of a flow on its way through: the kernel tells of
//! each that it does not translate.

use super::withheld::{Incoming, Seen, is_first_of, is_same, stamp};
use crate::engine::Direction;
use crate::packet::{Ip, Net};
use crate::time::Timestamp;
use std::time::Duration;

/// How long such a report is of use: most are about packets that look like no flow at all.
const KEPT: Duration = Duration::from_secs(1);

/// How long the fragments of a packet may be apart that was reported whole.
const FRAGMENTS: Duration = Duration::from_millis(30);

/// Reports that are kept at most; of more the oldest go early.
const MAX_KEPT: usize = 1 << 14;

/// What such a packet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It belongs to no flow.
    Nothing,
    /// It opens a connection: a flow with its ends is over.
    Opens,
}

/// Reports of packets that the kernel does not translate.
#[derive(Debug, Default)]
pub struct Own {
    incoming: Incoming<Does>,
    /// They bear the time at which they were read.
    outgoing: Incoming<Does>,
}

impl Own {
    /// Takes a report.
    pub fn report(&mut self, seen: Seen, does: Does, now: Timestamp) {
        let reports = if seen.direction == Direction::Outgoing { &mut self.outgoing } else { &mut self.incoming };
        while reports.pop_until(now.minus(KEPT)).is_some() {}
        if reports.len() >= MAX_KEPT {
            reports.pop_until(Timestamp::MAX);
        }
        reports.push(seen, does);
    }

    /// Takes in that a packet was dropped on its way out: no frame is the one of its report, only others that are alike.
    pub fn dropped(&mut self, seen: &Seen) {
        self.outgoing.take_if(seen, |reported| is_same(seen, reported));
    }

    /// The report of a packet that the tap saw, if there is one. It is of use once. `behind` are the next frames.
    pub fn take<'a>(&mut self, seen: &Seen, behind: &(impl Iterator<Item = &'a Seen> + Clone)) -> Option<Does> {
        let in_fragments = matches!(seen.packet.net, Net::Ip(Ip { fragment: Some(_), .. }));
        let of_packet =
            |reported: &Seen| is_same(seen, reported) || in_fragments && is_first_of(&seen.packet, &reported.packet);
        let soon = stamp(seen)..=seen.time.plus(FRAGMENTS);
        match seen.direction {
            Direction::Incoming if in_fragments => {
                self.incoming.take_if(seen, |reported| soon.contains(&reported.time) && of_packet(reported))
            }
            Direction::Incoming => self.incoming.take(seen, behind),
            _ => self.outgoing.take_if(seen, of_packet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Packet, Ports, Protocol, Tcp, TcpFlags, Transport};
    use std::iter;

    fn reset() -> Seen {
        let ports = Ports { src: 8080, dst: 4000 };
        let transport = Transport::Tcp(Tcp { ports, flags: TcpFlags(TcpFlags::RST) });
        let (src, dst) = ([10, 0, 0, 5].into(), [192, 0, 2, 1].into());
        let ip = Ip { src, dst, protocol: Protocol::TCP, ttl: 64, len: 40, fragment: None, transport };
        let packet = Packet { vlan: None, link_direction: None, net: Net::Ip(ip), malformed: None };
        let (time, direction) = (Timestamp::from_parts(1_800_000_000, 0), Direction::Outgoing);
        Seen { time, packet, direction, interface: 2, fingerprint: None }
    }

    #[test]
    fn a_report_is_of_use_once_and_not_where_its_packet_never_left() {
        let mut own = Own::default();
        own.report(reset(), Does::Opens, reset().time);
        assert_eq!(own.take(&reset(), &iter::empty()), Some(Does::Opens));
        assert_eq!(own.take(&reset(), &iter::empty()), None);
        own.report(reset(), Does::Nothing, reset().time);
        own.dropped(&reset());
        assert_eq!(own.take(&reset(), &iter::empty()), None);
    }
}
