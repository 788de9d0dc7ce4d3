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

/// Reports of packets that the kernel does not translate.
#[derive(Debug, Default)]
pub struct Own {
    incoming: Incoming<()>,
    /// They bear the time at which they were read.
    outgoing: Incoming<()>,
}

impl Own {
    /// Takes a report.
    pub fn report(&mut self, seen: Seen, now: Timestamp) {
        let reports = if seen.direction == Direction::Outgoing { &mut self.outgoing } else { &mut self.incoming };
        while reports.pop_until(now.minus(KEPT)).is_some() {}
        if reports.len() >= MAX_KEPT {
            reports.pop_until(Timestamp::MAX);
        }
        reports.push(seen, ());
    }

    /// Whether there is a report of a packet that the tap saw. It is of use once. `behind` are the next frames.
    pub fn take<'a>(&mut self, seen: &Seen, behind: &(impl Iterator<Item = &'a Seen> + Clone)) -> bool {
        let in_fragments = matches!(seen.packet.net, Net::Ip(Ip { fragment: Some(_), .. }));
        let of_packet =
            |reported: &Seen| is_same(seen, reported) || in_fragments && is_first_of(&seen.packet, &reported.packet);
        let soon = stamp(seen)..=seen.time.plus(FRAGMENTS);
        let taken = match seen.direction {
            Direction::Incoming if in_fragments => {
                self.incoming.take_if(seen, |reported| soon.contains(&reported.time) && of_packet(reported))
            }
            Direction::Incoming => self.incoming.take(seen, behind),
            _ => self.outgoing.take_if(seen, of_packet),
        };
        taken.is_some()
    }
}
