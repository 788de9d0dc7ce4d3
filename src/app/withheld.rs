//! Packets that the tap saw, held back until the kernel has had its say: the tap sees what the rules drop as well as
//! what they let through, and only NFLOG tells which was which.

use super::pipeline::Judgement;
use crate::engine::Direction;
use crate::nflog::BATCH_TIME;
use crate::packet::{Ip, Net, Packet, Transport};
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a packet is held back: the kernel hands on a report after [`BATCH_TIME`] at most; the rest is for its
/// being read. A line is in the file within 200 ms all the same.
pub const HOLD: Duration = BATCH_TIME.saturating_add(Duration::from_millis(30));

/// Packets that are held back at most: what comes in that time at two million a second. Beyond it the oldest go early.
const MAX_HELD: usize = 1 << 17;

/// How far is searched for the packet of a report that carries no time: what comes in some milliseconds.
const SEARCHED: usize = 1024;

/// What the kernel reported of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing so far.
    Open,
    /// It was dropped by the rule with this number of the rule set of this generation.
    Dropped {
        /// Generation of the rule set.
        generation: u32,
        /// Number of the rule.
        number: u32,
    },
    /// A fragment of a datagram that was dropped, which has its line.
    PartOfDropped,
}

/// A packet that waits for its verdict.
#[derive(Clone, Debug)]
pub struct Held {
    /// When it was seen.
    pub time: Timestamp,
    /// The packet.
    pub packet: Packet,
    /// Which way it goes.
    pub direction: Direction,
    /// The index of its interface.
    pub interface: u32,
    /// What the engine expects to happen to it.
    pub judgement: Judgement,
    /// What did, as far as is known.
    pub fate: Fate,
}

/// The packets that wait, oldest first.
#[derive(Debug, Default)]
pub struct Withheld {
    queue: VecDeque<Held>,
}

impl Withheld {
    /// Holds a packet back.
    pub fn hold(&mut self, held: Held) {
        self.queue.push_back(held);
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Takes a report about a packet that came in. Whether the packet is among those that wait.
    pub fn report(&mut self, time: Option<Timestamp>, packet: &Packet, fate: Fate) -> bool {
        let Net::Ip(reported) = &packet.net else { return false };
        let Some(place) = self.find(time, reported) else { return false };
        let Some(held) = self.queue.get_mut(place) else { return false };
        held.fate = fate;
        if let Net::Ip(Ip { src, dst, protocol, fragment: Some(fragment), .. }) = held.packet.net {
            // The kernel reports the datagram once, whole; the tap saw its fragments.
            let whole = (src, dst, protocol, fragment.id);
            for part in self.queue.iter_mut().filter(|part| part.fate == Fate::Open) {
                let Net::Ip(ip) = &part.packet.net else { continue };
                if ip.fragment.is_some_and(|fragment| (ip.src, ip.dst, ip.protocol, fragment.id) == whole) {
                    part.fate = Fate::PartOfDropped;
                }
            }
        }
        true
    }

    /// The place of the packet that a report is about. The tap and NFLOG carry the same time stamp for a packet that
    /// came in; without one the oldest packet that looks the same is meant.
    fn find(&self, time: Option<Timestamp>, reported: &Ip) -> Option<usize> {
        let fits = |held: &Held| held.fate == Fate::Open && is_same(&held.packet, reported);
        if let Some(time) = time {
            let first = self.queue.partition_point(|held| held.time < time);
            let mut at_that_time = self.queue.range(first..).take_while(|held| held.time == time);
            if let Some(behind) = at_that_time.position(fits) {
                return Some(first + behind);
            }
        }
        self.queue.iter().take(SEARCHED).position(fits)
    }

    /// The next packet that waits no longer: all reports about packets up to `settled` have been read.
    pub fn release(&mut self, settled: Timestamp) -> Option<Held> {
        let due = self.queue.front().is_some_and(|held| held.time <= settled) || self.queue.len() > MAX_HELD;
        if due { self.queue.pop_front() } else { None }
    }
}

/// Whether a packet at the tap is the one that was reported. Reassembly makes another length of it, and translation
/// comes before the report.
fn is_same(held: &Packet, reported: &Ip) -> bool {
    let Net::Ip(ip) = &held.net else { return false };
    let same_ends = (ip.src, ip.dst, ip.protocol) == (reported.src, reported.dst, reported.protocol);
    if ip.fragment.is_some() {
        return same_ends;
    }
    same_ends && ip.len == reported.len && (ip.transport == reported.transport || reported.transport == Transport::None)
}
