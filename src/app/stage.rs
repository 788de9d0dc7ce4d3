//! What a frame of a live interface meets: which packet it is, whether it has its line here, and the pipeline.

mod counts;
mod report;
mod telling;
mod through;
mod truth;
mod verdicts;

use self::truth::Truth;
use super::conntrack::Conntrack;
use super::doubts::Doubts;
use super::forwarding::{self, Course, Forwarding};
use super::kernel_rules::KernelRules;
use super::pipeline::{Circumstances, Interface, Pipeline};
use super::seeding::Seeds;
use super::tracking::Tracking;
use super::translated::Translated;
use super::withheld::{HOLD, HOLD_FRAGMENT, Seen, UNTIL_REPORTED};
use crate::capture::Frame;
use crate::capture::interfaces::{Interfaces, LinkEvent, Sighting};
use crate::conntrack::{Change, Flow};
use crate::detect::Ban;
use crate::engine::{Direction, Matcher};
use crate::host::Host;
use crate::packet::{Malformed, PacketType};
use crate::record::{EscapedName, Lost, LostCause, PfwEvent, PfwLine};
use crate::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A packet that waits in the ring is not older than this: a ring of the default size holds a sixth of
/// a second of what one core can send.
const OLDEST_WAITING: Duration = Duration::from_secs(1);

/// Compiled rules, and the machine that they were compiled for.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The rules, compiled.
    pub matcher: Arc<Matcher>,
    /// The machine.
    pub host: Arc<Host>,
    /// From this time on they are in force: the first packet that is not older puts them there.
    pub from: Timestamp,
    /// What is told then: that they are other rules, or that they are enforced now.
    pub event: PfwEvent,
    /// What made them other rules.
    pub why: Arc<str>,
    /// They are carried out: enforcement does not rest.
    pub enforced: bool,
    /// Connections that the kernel was told of when it got them.
    pub seeds: Option<Arc<Seeds>>,
}

/// What the kernel lost in all so far, because it was not read in time.
#[derive(Clone, Copy, Debug, Default)]
pub struct LostSoFar {
    /// Frames.
    pub frames: u64,
    /// Reports of dropped packets.
    pub reports: u64,
}

/// The live counterpart of a replay's stage. It lives on the capture thread.
pub struct Stage {
    pipeline: Pipeline,
    host: Arc<Host>,
    /// Rules whose time has not come, in the order of their times.
    coming: VecDeque<Rules>,
    interfaces: Arc<Interfaces>,
    /// Interfaces that were seen under the rules in force, by index.
    known: BTreeMap<u32, Interface>,
    /// What is on its way through.
    forwarding: Forwarding,
    /// What is translated from or to this machine.
    translated: Translated,
    /// Rules of others translate packets, although this machine may pass none on.
    translates: bool,
    /// What is kept for the kernel's verdicts, if rules are enforced.
    truth: Option<Truth>,
    /// What connection tracking does of its own.
    conntrack: Conntrack,
    /// Frames that had no line here, by why.
    duplicates: u64,
    other_host: u64,
    not_for_stack: u64,
    /// When reports were lost, and how many packets have no line for want of them.
    doubts: Doubts,
    undecided: u64,
    /// What the kernel had lost when it was last asked, and when that was.
    lost: LostSoFar,
    asked: Timestamp,
}

impl Stage {
    /// A stage that has seen nothing yet.
    pub fn new(pipeline: Pipeline, host: Arc<Host>, interfaces: Arc<Interfaces>, now: Timestamp) -> Self {
        Self {
            pipeline,
            host,
            coming: VecDeque::new(),
            interfaces,
            known: BTreeMap::new(),
            forwarding: Forwarding::default(),
            translated: Translated::default(),
            translates: false,
            truth: None,
            conntrack: Conntrack::new(Instant::now()),
            duplicates: 0,
            other_host: 0,
            not_for_stack: 0,
            doubts: Doubts::default(),
            undecided: 0,
            lost: LostSoFar::default(),
            asked: now,
        }
    }

    /// Lets the kernel have the last word from now on: its reports, or, if it makes none, its counters.
    #[must_use]
    pub fn enforcing(self, reported: bool) -> Self {
        Self { truth: Some(Truth::new(reported)), ..self }
    }

    /// Puts other rules in force when their time comes. Those that were to come later are not to come any more.
    pub fn expect(&mut self, rules: Rules) {
        self.coming.retain(|earlier| earlier.from <= rules.from);
        self.coming.push_back(rules);
    }

    /// Puts the coming rules in force whose time it is. Packets come in the order of their times, so that each is
    /// decided by the rules of its own.
    fn change_rules(&mut self, time: Timestamp) {
        self.change_rules_until(time, time);
    }

    /// Puts those in force whose time has come by `time`; the log is told of it as of `now`.
    fn change_rules_until(&mut self, time: Timestamp, now: Timestamp) {
        while self.coming.front().is_some_and(|coming| coming.from <= time) {
            let Some(rules) = self.coming.pop_front() else { return };
            self.pipeline.replace(rules.matcher, rules.enforced);
            if let Some(seeds) = rules.seeds {
                self.pipeline.seed(&seeds, time);
            }
            self.host = rules.host;
            self.known.clear();
            // At once, or at their time.
            let time = if rules.from == Timestamp::MIN { now } else { rules.from };
            self.note(&PfwLine { time, event: rules.event, interface: None, reason: &rules.why });
        }
    }

    /// Takes over what is known of the interfaces now.
    pub fn learn(&mut self, interfaces: &Arc<Interfaces>) {
        if !Arc::ptr_eq(interfaces, &self.interfaces) {
            for name in interfaces.changed_since(&self.interfaces) {
                self.pipeline.forget_neighbours(name);
            }
            self.interfaces = Arc::clone(interfaces);
            self.known.clear();
        }
    }

    /// Decides on a frame, if its packet has its line here.
    pub fn frame(&mut self, frame: &Frame<'_>) {
        let (interface, loopback) = match self.interfaces.sighting(frame) {
            Sighting::Line { interface, loopback } => (interface, loopback),
            Sighting::Duplicate => return self.duplicates += 1,
            Sighting::OtherHost => return self.other_host += 1,
            Sighting::NotForStack => return self.not_for_stack += 1,
        };
        if self.truth.is_none() {
            // Else packets are judged when their fate is known.
            self.change_rules(frame.time);
        }
        let came_in = !loopback && frame.packet_type.is_some_and(|kind| kind != PacketType::Outgoing);
        let packet = frame.packet();
        let mut packet = if came_in { packet } else { packet.as_sent() };
        packet.vlan = frame.vlan.or(packet.vlan);
        let may_be_translated = !loopback && self.may_translate();
        let course = if loopback { None } else { Some(self.forwarding.course(&self.host, frame.packet_type, &packet)) };
        let direction = match course {
            None => Direction::Loopback,
            Some(Course::In) => Direction::Incoming,
            Some(Course::Out) => Direction::Outgoing,
            Some(Course::Entering) => Direction::Forwarded,
            Some(Course::Leaving) if self.truth.is_some() => Direction::Forwarded,
            Some(Course::Leaving) => return self.duplicates += 1,
        };
        let known = know(&mut self.known, &self.interfaces, &self.pipeline, interface);
        let around = Circumstances { time: frame.time, direction, interface: known, uid: None, discards };
        let Some(truth) = &mut self.truth else { return self.pipeline.predict(&packet, &around) };
        truth.tap_read = truth.tap_read.max(frame.time);
        let is_answer = direction == Direction::Outgoing && forwarding::is_from_another(&self.host, &packet);
        let fingerprint = may_be_translated.then(|| frame.fingerprint()).flatten();
        let seen = Seen { time: frame.time, packet, direction, interface, fingerprint, for_another: false };
        if course == Some(Course::Leaving) {
            if truth.withheld.has_entered(&seen) {
                self.forwarding.leaves(&packet, frame.time);
                return self.duplicates += 1;
            }
            // It is part of what came in otherwise, or this machine's own.
            truth.withheld.hold(seen);
        } else if direction == Direction::Forwarded {
            through::entering((truth, &self.forwarding, &mut self.pipeline), seen, &around);
        } else if self.pipeline.examine(&packet, &around) {
            truth.withheld.hold(seen);
            // The answer to somebody whose packets bear this machine's address outside.
            if is_answer && self.forwarding.shows(&seen) && self.translated.as_rules_see(&seen).is_none() {
                self.pipeline.watch_passing(&packet, &Circumstances { direction: Direction::Forwarded, ..around });
            }
        }
    }

    /// Whether packets may be translated: this machine passes them on, or there are rules that do it.
    pub fn may_translate(&self) -> bool {
        self.translates || forwards(&self.host)
    }

    /// Takes in whether rules, by whomever, translate packets.
    pub fn translate(&mut self, translates: bool) {
        self.translates = translates;
    }

    /// Takes in what became of a translated flow.
    pub fn translation(&mut self, change: &Change, now: Timestamp) {
        self.forwarding.change(&self.host, change, now);
        self.translated.change(&self.host, change, now);
    }

    /// Takes in which translated flows there are.
    pub fn translated(&mut self, flows: &[Flow], now: Timestamp) {
        self.forwarding.changed_to(&self.host, flows, now);
        self.translated.changed_to(&self.host, flows, now);
    }

    /// Whether packets wait for the kernel's verdict, or rules for those before them.
    pub fn is_waiting(&self, now: Timestamp) -> bool {
        let is_coming = |rules: &Rules| rules.from <= now;
        let waits = |truth: &Truth| !truth.withheld.is_empty() || self.coming.front().is_some_and(is_coming);
        self.truth.as_ref().is_some_and(waits)
    }

    /// Takes the names of rules that are about to be in the kernel.
    pub fn announce(&mut self, rules: Arc<KernelRules>) {
        if let Some(truth) = &mut self.truth {
            truth.generations.add(rules);
        }
    }

    /// Writes the lines of the packets about which all is known.
    ///
    /// `tap_idle` says since when there has been nothing to be read from the tap, and `reports_idle` when all reports
    /// had been read; else they have been read up to the latest that came.
    pub fn settle(&mut self, tap_idle: Option<Timestamp>, reports_idle: Option<Timestamp>) {
        let Some(truth) = &self.truth else { return };
        // Of what a report tells, other frames may be that come in after the first.
        let tap = tap_idle.map_or(truth.tap_read.minus(UNTIL_REPORTED), |since| since.minus(HOLD));
        let idle = reports_idle.map_or(Timestamp::MIN, |since| since.minus(HOLD));
        let settled = tap.min(idle.max(truth.reports_read.minus(UNTIL_REPORTED)));
        self.settle_until(settled);
        // Nothing waits any more that was before.
        self.change_rules(settled.minus(HOLD_FRAGMENT));
        let is_urgent = tap_idle.is_some() && self.truth.as_mut().is_some_and(|truth| truth.withheld.is_urgent());
        if let Some(log) = self.pipeline.log().filter(|_| is_urgent) {
            log.flush();
        }
    }

    /// Writes the lines of the packets up to a time.
    pub fn settle_until(&mut self, settled: Timestamp) {
        while let Some(next) = self.truth.as_mut().and_then(|truth| truth.withheld.release(settled)) {
            self.tell(&next);
        }
    }

    /// Writes down what happened to an interface.
    pub fn link_event(&mut self, event: &LinkEvent, now: Timestamp) {
        let (kind, name) = match event {
            LinkEvent::Appeared { name } => (PfwEvent::InterfaceAppeared, name),
            LinkEvent::Vanished { name } => (PfwEvent::InterfaceVanished, name),
            LinkEvent::Renamed { to, .. } => (PfwEvent::InterfaceRenamed, to),
            LinkEvent::Up { name } => (PfwEvent::InterfaceUp, name),
            LinkEvent::Down { name } => (PfwEvent::InterfaceDown, name),
            LinkEvent::NotWatched { name, .. } => (PfwEvent::InterfaceNotWatched, name),
            LinkEvent::AddressesChanged => return,
        };
        let name = EscapedName::new(name.as_bytes());
        self.note(&PfwLine { time: now, event: kind, interface: Some(&name), reason: &event.to_string() });
    }

    /// Reports of packets from between these times may be missing.
    pub fn doubt(&mut self, from: Timestamp, to: Timestamp) {
        self.doubts.add(from, to);
    }

    /// The kernel may not have had all rules between these times: somebody had changed them.
    pub fn disturbed(&mut self, from: Timestamp, to: Timestamp) {
        if let Some(truth) = &mut self.truth {
            truth.disturbed.add(from, to);
        }
    }

    /// Has packets that are allowed pass without a line, for now.
    pub fn rest(&mut self, rests: bool) {
        if let Some(log) = self.pipeline.log() {
            log.rest(rests);
        }
    }

    /// Writes a line about pfw itself.
    pub fn note(&mut self, line: &PfwLine<'_>) {
        if let Some(log) = self.pipeline.log() {
            log.pfw(line);
        }
    }

    /// What is to be done now and then: puts rules in force that no packet came for, owns up to what the kernel lost
    /// (frames and reports, each in all so far), and hands on lines that have waited long enough.
    pub fn tick(&mut self, lost: LostSoFar, now: Timestamp, instant: Instant) {
        self.change_rules_until(now.minus(OLDEST_WAITING), now);
        let span = (self.asked, now);
        self.asked = now;
        // More are not known to be lost before the next report tells its number.
        let lost = LostSoFar { reports: lost.reports.max(self.undecided), ..lost };
        let before = std::mem::replace(&mut self.lost, lost);
        if let Some(news) = self.conntrack.news(instant) {
            self.note(&PfwLine { time: now, event: PfwEvent::ConntrackFull, interface: None, reason: &news });
        }
        let Some(log) = self.pipeline.log() else { return };
        let causes =
            [(LostCause::KernelRing, lost.frames - before.frames), (LostCause::Reports, lost.reports - before.reports)];
        for (cause, n) in causes.into_iter().filter(|&(_, n)| n > 0) {
            log.lost(Lost { n, cause, from: span.0, to: span.1 });
        }
        log.flush_if_due(instant);
    }

    /// A page of the connections that are tracked.
    pub fn connections(&self, from: usize, now: Timestamp) -> Tracking {
        let (page, total, matcher) = self.pipeline.connections(from, now);
        Tracking { from, page, total, matcher, host: Arc::clone(&self.host), now }
    }

    /// Sources that are to be banned since this was asked last.
    pub fn take_bans(&mut self) -> Vec<Ban> {
        self.pipeline.take_bans()
    }
}

fn forwards(host: &Host) -> bool {
    host.forwards_v4 || host.forwards_v6
}

/// The interface with this index as the rules in force see it.
fn know<'a>(
    known: &'a mut BTreeMap<u32, Interface>,
    interfaces: &Interfaces,
    pipeline: &Pipeline,
    index: u32,
) -> &'a Interface {
    known.entry(index).or_insert_with(|| {
        let name = interfaces.name(index).unwrap_or_default();
        Interface { name: EscapedName::new(name.as_bytes()), class: pipeline.matcher().interface_class(name) }
    })
}

/// The circumstances of a packet that waited for its verdict: whatever is wrong with it, it came as far as the rules.
fn around<'a>(
    known: &'a mut BTreeMap<u32, Interface>,
    interfaces: &Interfaces,
    pipeline: &Pipeline,
    seen: &Seen,
) -> Circumstances<'a> {
    let interface = know(known, interfaces, pipeline, seen.interface);
    Circumstances { time: seen.time, direction: seen.direction, interface, uid: None, discards: |_, _| false }
}

/// What the kernel discards before any rule: only what comes from outside can be at fault.
fn discards(fault: &Malformed, direction: Direction) -> bool {
    fault.discarded_by_kernel() && matches!(direction, Direction::Incoming | Direction::Forwarded)
}
