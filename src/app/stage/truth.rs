//! The kernel's verdicts, and what waits for them.

use crate::app::doubts::Doubts;
use crate::app::explanation::{Case, Explanation, Others};
use crate::app::generations::Generations;
use crate::app::kernel_rules::KernelRule;
use crate::app::own::{Does, Own};
use crate::app::remembered::Remembered;
use crate::app::withheld::{By, Seen, Withheld, ends};
use crate::conntrack::Ends;
use crate::engine::{Direction, Step};
use crate::firewall::Hook;
use crate::host::{Arrivals, InFront};
use crate::nflog::Event;
use crate::packet::{self, Net, Packet};
use crate::record::{Cause, Differences};
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Packets that were rejected and whose answer may still be seen. One that is forgotten makes a difference of its
/// answer.
const MAX_REJECTED: usize = 1 << 14;

/// How long after a packet was rejected its answer is seen at the latest: the kernel sends it at once.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// The kernel's verdicts, and what waits for them.
pub(super) struct Truth {
    pub(super) withheld: Withheld,
    /// The kernel does not report what it drops: its counters are all there is.
    pub(super) unreported: bool,
    pub(super) generations: Generations,
    /// The time of the latest frame that was read, and of the latest report.
    pub(super) tap_read: Timestamp,
    pub(super) reports_read: Timestamp,
    /// Packets from and to this machine that the kernel does not translate.
    pub(super) own: Own,
    /// The ends of packets that were rejected, and whether they are those on the wire of what was translated.
    rejected: Remembered<Ends, bool>,
    /// This machine's ends of packets that were rejected when they had been led away: the answer bears another end than
    /// they did, that which they were sent to.
    rejected_led_away: Remembered<(IpAddr, u16)>,
    /// Forwarded packets that the tap saw coming in.
    pub(super) forwarded: u64,
    /// Packets with which the kernel did otherwise than was predicted.
    pub(super) differences: Differences,
    /// What routing makes of packets that no rule dropped.
    pub(super) arrivals: Arrivals,
    /// Who else may have dropped them.
    pub(super) in_front: InFront,
    /// When the kernel may not have had all rules.
    pub(super) disturbed: Doubts,
    /// Rules whose differences were logged, with the cause.
    pub(super) told: BTreeSet<(Arc<str>, Cause)>,
}

impl Truth {
    /// Nothing is known yet. `reported` says whether the kernel reports what it drops.
    pub(super) fn new(reported: bool) -> Self {
        Self {
            unreported: !reported,
            withheld: Withheld::default(),
            generations: Generations::default(),
            tap_read: Timestamp::default(),
            reports_read: Timestamp::default(),
            own: Own::default(),
            rejected: Remembered::new(MAX_REJECTED),
            rejected_led_away: Remembered::new(MAX_REJECTED),
            forwarded: 0,
            differences: Differences::default(),
            arrivals: Arrivals::default(),
            in_front: InFront::default(),
            disturbed: Doubts::default(),
            told: BTreeSet::new(),
        }
    }

    /// Counts a report of a dropped packet. What it tells beside that, `number` being the one it came with.
    pub(super) fn note_dropped(
        &mut self,
        (generation, number): (u32, u32),
        event: &Event<'_>,
        (packet, direction, interface): (&Packet, Direction, &str),
    ) -> By {
        let mut by = By { generation, number, uid: event.uid, corrupt: false };
        if let (Some(kernel), Net::Ip(ip)) = (self.generations.kernel(&by), &packet.net) {
            by.number = kernel.number_of(number, ip, direction, interface);
        }
        self.generations.reported(&by);
        // Before that step nothing hangs on what connection tracking makes of a packet.
        let tracked = self.generations.rule(&by).is_some_and(|rule| rule.info.step > Step::Reply);
        by.corrupt = tracked && packet::has_wrong_checksum(packet, event.packet);
        by
    }

    /// Takes the report of a packet that was dropped behind the tap.
    pub(super) fn report_incoming(&mut self, seen: Seen, by: By, now: Timestamp) {
        self.note_rejected(&seen, by, now);
        self.withheld.report_incoming(seen, by);
    }

    /// Takes the report of a packet that was dropped before any tap.
    pub(super) fn report_outgoing(&mut self, seen: Seen, by: By, now: Timestamp) {
        self.note_rejected(&seen, by, now);
        self.withheld.report_outgoing(seen, by);
    }

    /// Takes the report of a packet that the kernel does not translate.
    pub(super) fn report_own(&mut self, seen: Seen, now: Timestamp) {
        let (direction, does) = match seen.direction {
            // An answer that is led astray: wherever it was to go by, it leaves.
            Direction::Loopback | Direction::LedAway => (Direction::Outgoing, Does::Nothing),
            other => (other, Does::FitsNothing),
        };
        self.own.report(Seen { direction, ..seen }, does, now);
    }

    /// Whether a packet between these ends was rejected a moment before.
    pub(super) fn has_rejected(&self, ends: &Ends, time: Timestamp) -> bool {
        self.rejected.knows(ends, time)
    }

    /// Whether a packet between these ends was rejected a moment before that was translated in front of the rules.
    pub(super) fn has_rejected_translated(&self, ends: &Ends, time: Timestamp) -> bool {
        self.rejected.get(ends, time) == Some(&true)
    }

    /// Whether a packet of which one end is this was rejected a moment before, when it had been led away.
    pub(super) fn has_rejected_led_away(&self, end: &(IpAddr, u16), time: Timestamp) -> bool {
        self.rejected_led_away.knows(end, time)
    }

    /// Explains that no rule dropped a packet that was to be blocked. The kernel is asked for what it may be asked of it.
    pub(super) fn explain_passed(&mut self, case: &Case<'_>) -> Explanation {
        let Self { arrivals, in_front, disturbed, generations, withheld, .. } = self;
        let (arrival, now) = (case.arrival(), Instant::now());
        // What is translated goes by other ends where it is routed.
        let as_seen = arrival.filter(|_| case.is_as_seen());
        let discarded = as_seen.and_then(|arrival| arrivals.why_discarded(arrival, now));
        let others = || match arrival {
            _ if disturbed.covers(case.seen.time) => Some(Others::ChangedRules),
            Some(arrival) => arrivals
                .led_away(arrival, now)
                .map(Others::LedAway)
                .or_else(|| in_front.are_others(Hook::PreRouting.own(), now).then_some(Others::StandInFront)),
            None => None,
        };
        case.passed(generations, discarded, others, withheld.is_unfinished(case.seen))
    }

    /// If the rule answers what it blocks, that is coming.
    fn note_rejected(&mut self, seen: &Seen, by: By, now: Timestamp) {
        if !self.generations.rule(&by).is_some_and(KernelRule::rejects) {
            return;
        }
        let until = seen.time.plus(ANSWER_TIME);
        if let Some(ends) = ends(&seen.packet) {
            self.rejected.remember(ends, false, until, now);
        }
        if seen.direction == Direction::LedAway
            && let Some(end) = sender(&seen.packet)
        {
            self.rejected_led_away.remember(end, (), until, now);
        }
    }

    /// Takes in what a dropped packet was on the wire: its answer is translated back.
    pub(super) fn note_translated(&mut self, seen: &Seen, behind: &Packet) {
        if let Some((on_wire, _)) =
            ends(&seen.packet).zip(ends(behind)).filter(|(_, behind)| self.rejected.knows(behind, seen.time))
        {
            self.rejected.remember(on_wire, true, seen.time.plus(ANSWER_TIME), seen.time);
        }
    }
}

/// The end of a packet that it is sent from.
fn sender(packet: &Packet) -> Option<(IpAddr, u16)> {
    let ip = packet.ip()?;
    Ends::of_packet(ip)?.pair().into_iter().find(|&(address, _)| address == ip.src)
}
