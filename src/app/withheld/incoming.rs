//! Reports of packets that the tap sees too.

use super::{By, Seen, UNTIL_REPORTED, is_same, stamp};
use crate::conntrack::Ends;
use crate::packet::{Ip, Net, Packet, Protocol};
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::{HashMap, VecDeque};

/// How many reports are searched for one whose time is another than its packet's.
const SEARCHED: usize = 1024;

/// Reports of packets that the tap sees too, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    reports: VecDeque<(Seen, By)>,
    /// How many there are between any ends: most packets were not dropped, and need no search.
    between: HashMap<Option<Ends>, u32, RandomState>,
}

impl Incoming {
    /// Takes a report in.
    pub(super) fn push(&mut self, seen: Seen, by: By) {
        *self.between.entry(ends(&seen.packet)).or_default() += 1;
        self.reports.push_back((seen, by));
    }

    /// The time of the first.
    pub(super) fn next_time(&self) -> Option<Timestamp> {
        self.reports.front().map(|(seen, _)| stamp(seen))
    }

    /// The first, if it is not later than `until`.
    pub(super) fn pop_until(&mut self, until: Timestamp) -> Option<(Seen, By)> {
        let report = self.reports.pop_front_if(|(seen, _)| stamp(seen) <= until)?;
        self.forget(&report.0);
        Some(report)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.reports.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.reports.len()
    }

    fn forget(&mut self, seen: &Seen) {
        let key = ends(&seen.packet);
        if let Some(count) = self.between.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.between.remove(&key);
            }
        }
    }

    /// Takes out the report of a packet, if there is one that is not in its turn: it stands behind others of a later
    /// time, or bears the time at which it was written instead of the packet's. The kernel has no stamp of a TCP segment
    /// that was sent on this very machine.
    pub(super) fn take(&mut self, seen: &Seen) -> Option<By> {
        if self.reports.is_empty() || !self.between.contains_key(&ends(&seen.packet)) {
            return None;
        }
        let unstamped = matches!(seen.packet.net, Net::Ip(Ip { protocol: Protocol::TCP, .. }));
        let latest = if unstamped { seen.time.plus(UNTIL_REPORTED) } else { stamp(seen) };
        let of_packet =
            |(reported, _): &(Seen, By)| (stamp(seen)..=latest).contains(&reported.time) && is_same(seen, reported);
        let place = self.reports.iter().take(SEARCHED).position(of_packet)?;
        let (reported, by) = self.reports.remove(place)?;
        self.forget(&reported);
        Some(by)
    }
}

fn ends(packet: &Packet) -> Option<Ends> {
    if let Net::Ip(ip) = &packet.net { Ends::of_packet(ip) } else { None }
}
