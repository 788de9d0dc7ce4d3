//! What a frame of a live interface meets: which packet it is, whether it has its line here, and the pipeline.

use super::pipeline::{Circumstances, Interface, Pipeline};
use crate::capture::Frame;
use crate::capture::interfaces::{Interfaces, LinkEvent, Sighting};
use crate::engine::{Direction, Matcher};
use crate::host::Host;
use crate::packet::{self, Ip, Malformed, Net, Packet, PacketType};
use crate::record::{EscapedName, Lost, LostCause, PfwEvent, PfwLine, Summary};
use crate::time::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// A packet that waits in the ring is not older than this, in nanoseconds: a ring of the default size holds a sixth of
/// a second of what one core can send.
const OLDEST_WAITING: i64 = 1_000_000_000;

/// Compiled rules, and the machine that they were compiled for.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The rules, compiled.
    pub matcher: Arc<Matcher>,
    /// The machine.
    pub host: Arc<Host>,
    /// From this time on they are in force: the first packet that is not older puts them there.
    pub from: Timestamp,
    /// What made them other rules.
    pub why: &'static str,
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
    /// Frames that had no line here, by why.
    duplicates: u64,
    other_host: u64,
    not_for_stack: u64,
    /// Frames that the kernel had dropped when it was last asked, and when that was.
    dropped: u64,
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
            duplicates: 0,
            other_host: 0,
            not_for_stack: 0,
            dropped: 0,
            asked: now,
        }
    }

    /// Puts other rules in force when their time comes. Those that were to come later are not to come any more.
    pub fn expect(&mut self, rules: Rules) {
        self.coming.retain(|earlier| earlier.from < rules.from);
        self.coming.push_back(rules);
    }

    /// Puts the coming rules in force whose time it is. Packets come in the order of their times, so that each is
    /// decided by the rules of its own.
    fn change_rules(&mut self, time: Timestamp) {
        while self.coming.front().is_some_and(|coming| coming.from <= time) {
            let Some(rules) = self.coming.pop_front() else { return };
            self.pipeline.replace(rules.matcher);
            self.host = rules.host;
            self.known.clear();
            self.note(&PfwLine { time, event: PfwEvent::RulesLoaded, interface: None, reason: rules.why });
        }
    }

    /// Takes over what is known of the interfaces now.
    pub fn learn(&mut self, interfaces: &Arc<Interfaces>) {
        if !Arc::ptr_eq(interfaces, &self.interfaces) {
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
        self.change_rules(frame.time);
        let mut packet = packet::parse(frame.link, frame.bytes, frame.original_len);
        packet.vlan = frame.vlan.or(packet.vlan);
        let direction = if loopback { Some(Direction::Loopback) } else { self.direction(frame, &packet) };
        let Some(direction) = direction else { return self.duplicates += 1 };
        let interface = self.known.entry(interface).or_insert_with(|| {
            let name = self.interfaces.name(interface).unwrap_or_default();
            Interface { name: EscapedName::new(name.as_bytes()), class: self.pipeline.matcher().interface_class(name) }
        });
        self.pipeline.predict(&packet, &Circumstances { time: frame.time, direction, interface, discards });
    }

    /// Which way a packet goes, by the kernel's packet type. A forwarded one is seen twice, coming in and going out:
    /// it has its line when it comes in, and `None` here when it goes out.
    fn direction(&self, frame: &Frame<'_>, packet: &Packet) -> Option<Direction> {
        let outgoing = frame.packet_type == Some(PacketType::Outgoing);
        match &packet.net {
            Net::Ip(ip) if outgoing && self.forwards(ip.src) && !ip.src.is_unspecified() => None,
            Net::Ip(ip) if !outgoing && self.is_passing_through(frame, ip) => Some(Direction::Forwarded),
            _ if outgoing => Some(Direction::Outgoing),
            _ => Some(Direction::Incoming),
        }
    }

    /// Whether a packet from or to `address` can only be on its way through: this machine forwards, and the address
    /// is not its own.
    fn forwards(&self, address: IpAddr) -> bool {
        let forwards = if address.is_ipv4() { self.host.forwards_v4 } else { self.host.forwards_v6 };
        forwards && !address.is_multicast() && !self.host.owns(address)
    }

    fn is_passing_through(&self, frame: &Frame<'_>, ip: &Ip) -> bool {
        // What came to many stations at once is for this one too.
        frame.packet_type == Some(PacketType::Host) && self.forwards(ip.dst)
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

    /// Writes a line about pfw itself.
    pub fn note(&mut self, line: &PfwLine<'_>) {
        if let Some(log) = self.pipeline.log() {
            log.pfw(line);
        }
    }

    /// What is to be done now and then: puts rules in force that no packet came for, owns up to what the kernel dropped (`dropped` in all so far), and hands on
    /// lines that have waited long enough.
    pub fn tick(&mut self, dropped: u64, now: Timestamp, instant: Instant) {
        self.change_rules(Timestamp::from_nanos(now.nanos().saturating_sub(OLDEST_WAITING)));
        let lost = Lost { n: dropped - self.dropped, cause: LostCause::KernelRing, from: self.asked, to: now };
        (self.dropped, self.asked) = (dropped, now);
        let Some(log) = self.pipeline.log() else { return };
        if lost.n > 0 {
            log.lost(lost);
        }
        log.flush_if_due(instant);
    }

    /// What became of all frames.
    pub fn summary(&self) -> Summary {
        Summary {
            lost_kernel: self.dropped,
            duplicates: self.duplicates,
            other_host: self.other_host,
            not_for_stack: self.not_for_stack,
            ..self.pipeline.summary()
        }
    }
}

/// What the kernel discards before any rule: only what comes from outside can be at fault.
fn discards(fault: &Malformed, direction: Direction) -> bool {
    fault.discarded_by_kernel() && matches!(direction, Direction::Incoming | Direction::Forwarded)
}
