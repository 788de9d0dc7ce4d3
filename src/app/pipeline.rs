//! One packet in; a decision, counts and at most two lines out. The same for a live interface and a capture file.

use super::explanation::Form;
use super::hits::{Hit, Hits};
use super::seeding::Seeds;
use crate::alert::{ALERTS, Alert, Oddity};
use crate::control::limits::CONNECTIONS_IN_PAGE;
use crate::detect::{Ban, Detector, Finding, Look};
use crate::engine::{
    Context, Decision, Direction, Engine, InterfaceClass, Limits, Matcher, RuleInfo, State, TrackedPage,
};
use crate::packet::{Malformed, Net, Packet};
use crate::record::{
    AlertLine, Anomaly, AnomalyLine, EscapedName, Log, PacketLine, RuleText, Selection, Sighting, Summary, Verdict,
};
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::{iter, mem};

/// An interface as the pipeline needs it; made once per interface and rule set.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name, as lines carry it.
    pub name: EscapedName,
    /// The interface conditions of the rules in force that it satisfies.
    pub class: InterfaceClass,
}

/// What is known of a packet beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// When it was seen.
    pub time: Timestamp,
    /// Which way it went.
    pub direction: Direction,
    /// Where it was seen.
    pub interface: &'a Interface,
    /// The user whose socket it came from or was for, where the kernel told.
    pub uid: Option<u32>,
    /// Whether the kernel has discarded it because of this fault, before any rule.
    pub discards: fn(&Malformed, Direction) -> bool,
}

impl Circumstances<'_> {
    fn sighting<'a>(&'a self, packet: &'a Packet) -> Sighting<'a> {
        Sighting { time: self.time, direction: Some(self.direction), interface: &self.interface.name, packet }
    }

    fn context(&self) -> Context {
        Context { direction: self.direction, interface: self.interface.class, time: self.time }
    }
}

/// A decision, and the rule set that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The decision.
    pub decision: Decision,
    /// Which way it goes to the rules.
    pub(super) direction: Direction,
    /// Which rule set it was.
    pub(super) epoch: u32,
}

/// How many rule sets are remembered after they were replaced: packets that they decided may still wait for their
/// line, for some ten milliseconds. A large one takes as many megabytes.
const REMEMBERED: usize = 2;

/// Decides, counts and writes down.
pub struct Pipeline {
    engine: Engine,
    /// Connections between others, where the kernel alone decides about them: for detection.
    passing: Engine,
    rules: InForce,
    /// Rule sets that were replaced, the latest first.
    replaced: VecDeque<InForce>,
    /// Hits of rules that were in force before.
    past_hits: BTreeMap<Arc<str>, Hit>,
    detector: Detector,
    /// Sources that are to be banned and were not taken yet.
    bans: Vec<Ban>,
    /// How often each alert was raised, by its discriminant.
    alerts: [u64; ALERTS.len()],
    log: Option<Log>,
    counts: Summary,
}

/// A rule set: compiled, with what lines say of each rule and how often each decided.
struct InForce {
    epoch: u32,
    /// Whether anybody carries it out; of an enforcing pfw, whose pause this may be.
    enforced: bool,
    matcher: Arc<Matcher>,
    texts: Vec<RuleText>,
    hits: Vec<Hit>,
}

impl InForce {
    fn new(epoch: u32, matcher: Arc<Matcher>, enforced: bool) -> Self {
        let texts: Vec<RuleText> = matcher.rules().iter().map(RuleText::new).collect();
        Self { epoch, enforced, hits: vec![Hit::default(); texts.len()], texts, matcher }
    }

    /// The rules that decided at least once, with how often.
    fn hits(&self) -> impl Iterator<Item = (&Arc<str>, Hit)> {
        let ids = self.matcher.rules().iter().map(|rule| &rule.id);
        ids.zip(self.hits.iter().copied()).filter(|(_, hit)| hit.count > 0)
    }
}

impl Pipeline {
    /// A pipeline with these rules that has seen nothing yet. Without a log it only counts.
    pub fn new(matcher: Arc<Matcher>, log: Option<Log>, selection: Selection) -> Self {
        Self {
            engine: Engine::new(Limits::default()),
            passing: Engine::new(Limits::default()),
            detector: Detector::new(matcher.premises(), RandomState::default().hash_one(0)),
            bans: Vec::new(),
            alerts: [0; ALERTS.len()],
            rules: InForce::new(0, matcher, true),
            replaced: VecDeque::new(),
            past_hits: BTreeMap::new(),
            log: log.map(|log| log.selecting(selection)),
            counts: Summary::default(),
        }
    }

    /// Lets the same packets have the same lines in every run, as a replay has to. Who makes the packets could then
    /// have some of them overlooked.
    #[must_use]
    pub fn reproducible(self) -> Self {
        let detector = Detector::new(self.rules.matcher.premises(), 0);
        Self { detector, ..self }
    }

    /// Has the rules be predictions as long as they rest: they are to be enforced, and are not yet.
    #[must_use]
    pub fn resting(mut self, rests: bool) -> Self {
        self.rules.enforced = !rests;
        self
    }

    /// Tells of bans even where the rules ask for none.
    #[must_use]
    pub fn showing_bans(mut self, shows: bool) -> Self {
        if shows {
            self.detector.show_bans();
        }
        self
    }

    /// Sources that are to be banned since this was asked last.
    pub fn take_bans(&mut self) -> Vec<Ban> {
        mem::take(&mut self.bans)
    }

    /// The rules in force.
    pub fn matcher(&self) -> &Matcher {
        &self.rules.matcher
    }

    /// Puts other rules in force; while enforcement rests they are not `enforced`. What is known of connections and
    /// fragments stays, and so do all counts.
    pub fn replace(&mut self, matcher: Arc<Matcher>, enforced: bool) {
        self.detector.learn(matcher.premises());
        let next = InForce::new(self.rules.epoch.wrapping_add(1), matcher, enforced);
        self.replaced.push_front(mem::replace(&mut self.rules, next));
        while self.replaced.len() > REMEMBERED {
            let Some(forgotten) = self.replaced.pop_back() else { return };
            for (id, hit) in forgotten.hits() {
                *self.past_hits.entry(Arc::clone(id)).or_default() += hit;
            }
        }
    }

    /// Remembers connections that were opened before anything of them was seen.
    pub fn seed(&mut self, seeds: &Seeds, now: Timestamp) {
        if seeds.are_all {
            self.engine.forget_connections();
        }
        self.engine.enter(&seeds.connections, now);
    }

    /// The log, for lines about other things than packets.
    pub fn log(&mut self) -> Option<&mut Log> {
        self.log.as_mut()
    }

    /// Decides on a packet of which nobody knows what the kernel does with it, counts it, and writes its lines.
    pub fn predict(&mut self, packet: &Packet, around: &Circumstances<'_>) {
        if let Some(judgement) = self.judge(packet, around) {
            let verdict = if judgement.decision.allows() { Verdict::Allowed } else { Verdict::WouldBlock };
            self.write(packet, around, &judgement, verdict);
        }
    }

    /// Says what is wrong with a packet, and decides on it if it is one of those that come as far as the rules.
    pub fn judge(&mut self, packet: &Packet, around: &Circumstances<'_>) -> Option<Judgement> {
        if !self.examine(packet, around) {
            return None;
        }
        let judgement = self.foretell(packet, around);
        self.watch(packet, around, &judgement);
        Some(judgement)
    }

    /// Looks for what a packet tells together with those before it, and says what is new.
    pub fn watch(&mut self, packet: &Packet, around: &Circumstances<'_>, judgement: &Judgement) {
        self.look(packet, around, judgement.decision.state);
    }

    /// Takes these for the gateways of the machine, too, but only where it looks for what is suspicious.
    #[must_use]
    pub fn supposing_gateways(mut self, gateways: Vec<IpAddr>) -> Self {
        self.detector.suppose_gateways(gateways);
        self
    }

    /// Others may be in the network of this interface than were before.
    pub fn forget_neighbours(&mut self, interface: &str) {
        self.detector.forget_neighbours(EscapedName::new(interface.as_bytes()).text());
    }

    /// The same for a packet on its way through, which is not judged here.
    pub fn watch_passing(&mut self, packet: &Packet, around: &Circumstances<'_>) {
        let Net::Ip(ip) = &packet.net else { return };
        let state = self.passing.decide(&self.rules.matcher, ip, &around.context()).state;
        self.look(packet, around, state);
    }

    fn look(&mut self, packet: &Packet, around: &Circumstances<'_>, state: State) {
        let Circumstances { direction, time, interface, .. } = *around;
        // Whatever the rules see, it goes to another machine, which answers.
        let direction = if direction == Direction::LedAway { Direction::Outgoing } else { direction };
        let look = Look { packet, direction, time, state, interface: interface.name.text() };
        let Some(found) = self.detector.traffic(look) else { return };
        self.bans.extend(found.bans);
        for finding in found.findings {
            self.found(&finding, around.sighting(packet));
        }
    }

    /// The line of an incident that has begun, or doubled.
    #[cold]
    fn found(&mut self, finding: &Finding, seen: Sighting<'_>) {
        let Finding { alert, incident, packets, is_new, ref reason } = *finding;
        if is_new {
            self.raised(alert);
        }
        (self.counts.incidents, self.counts.incidents_untold) = self.detector.incidents();
        let Some(log) = &mut self.log else { return };
        log.alert(&AlertLine { seen, alert, incident, packets, reason });
    }

    /// Says what is wrong with a packet and what is odd. Whether it comes as far as the rules.
    pub fn examine(&mut self, packet: &Packet, around: &Circumstances<'_>) -> bool {
        if packet.malformed.is_none() && !self.detector.may_be_odd(packet, around.direction) {
            return true;
        }
        let oddities: Vec<Oddity> = self.detector.packet(packet, around.direction).collect();
        if packet.malformed.is_some() || !oddities.is_empty() {
            self.suspicious(&oddities, around.sighting(packet));
        }
        let Some(fault) = &packet.malformed else { return true };
        let discarded = (around.discards)(fault, around.direction);
        if discarded {
            self.count_malformed();
        }
        !discarded
    }

    /// Counts a packet about which there is no verdict, for what is wrong with it.
    pub fn count_malformed(&mut self) {
        self.counts.packets += 1;
        self.counts.malformed += 1;
    }

    /// Decides on a packet and says nothing.
    pub fn foretell(&mut self, packet: &Packet, around: &Circumstances<'_>) -> Judgement {
        Judgement { decision: self.decide(packet, around), direction: around.direction, epoch: self.rules.epoch }
    }

    /// The same of a packet that is known to be in a state, whatever is remembered.
    pub fn foretell_as(&self, packet: &Packet, around: &Circumstances<'_>, state: State) -> Judgement {
        let matcher = &self.rules.matcher;
        let decision = match &packet.net {
            Net::Ip(ip) => matcher.decide_as(ip, &around.context(), state),
            _ => matcher.non_ip(),
        };
        Judgement { decision, direction: around.direction, epoch: self.rules.epoch }
    }

    /// The lines that say what is wrong with a packet, and what is odd.
    #[cold]
    fn suspicious(&mut self, oddities: &[Oddity], seen: Sighting<'_>) {
        self.counts.suspicious += 1;
        for oddity in oddities {
            self.raised(oddity.alert);
        }
        let Some(log) = &mut self.log else { return };
        let fault = seen.packet.malformed.map(Anomaly::Malformed);
        for anomaly in fault.into_iter().chain(oddities.iter().copied().map(Anomaly::Odd)) {
            log.anomaly(&AnomalyLine { seen, anomaly });
        }
    }

    fn raised(&mut self, alert: Alert) {
        if let Some(times) = self.alerts.get_mut(alert as usize) {
            *times += 1;
        }
    }

    /// Counts a verdict and writes its line, with the reason of the decision.
    pub fn write(&mut self, packet: &Packet, around: &Circumstances<'_>, judgement: &Judgement, verdict: Verdict) {
        self.write_of_form(packet, around, &Form { packet: *packet, judgement: *judgement }, verdict);
    }

    /// The same with the reason of a decision on a form of the packet.
    pub fn write_of_form(&mut self, packet: &Packet, around: &Circumstances<'_>, form: &Form, verdict: Verdict) {
        let Form { packet: judged, judgement: Judgement { decision, epoch, .. } } = form;
        let sets = iter::once(&mut self.rules).chain(&mut self.replaced);
        let Some(rules) = sets.into_iter().find(|rules| rules.epoch == *epoch) else {
            let forgotten = RuleInfo { id: "replaced".into(), step: decision.step };
            return self.write_as(packet, around, &forgotten, verdict, "decided by rules that were replaced since");
        };
        self.counts.add(verdict);
        let number = decision.rule.0 as usize;
        if let Some(hit) = rules.hits.get_mut(number) {
            hit.add(around.time);
        }
        let (Some(log), Some(rule)) = (&mut self.log, rules.texts.get(number)) else { return };
        let standing = decision.standing_reason();
        let line = PacketLine { seen: around.sighting(packet), verdict, uid: around.uid, rule, standing };
        log.packet(&line, |out| match &judged.net {
            Net::Ip(ip) => rules.matcher.write_reason(decision, ip, out),
            _ => out.extend_from_slice(b"no IP packet"),
        });
    }

    /// Whether packets with this verdict have a line.
    pub fn logs(&self, verdict: Verdict) -> bool {
        self.log.as_ref().is_some_and(|log| log.selects(verdict))
    }

    /// Whether the rule set that decided was made while enforcement rested.
    pub fn is_at_rest(&self, judgement: &Judgement) -> bool {
        self.of(judgement).is_some_and(|rules| !rules.enforced)
    }

    fn of(&self, judgement: &Judgement) -> Option<&InForce> {
        iter::once(&self.rules).chain(&self.replaced).find(|rules| rules.epoch == judgement.epoch)
    }

    /// The rule that decided, while its rule set is remembered.
    pub fn rule(&self, judgement: &Judgement) -> Option<&RuleInfo> {
        let rules = self.of(judgement)?;
        rules.matcher.rules().get(judgement.decision.rule.0 as usize)
    }

    /// Counts a verdict of the kernel's that is not the engine's, and writes its line.
    pub fn write_as(
        &mut self,
        packet: &Packet,
        around: &Circumstances<'_>,
        rule: &RuleInfo,
        verdict: Verdict,
        reason: &str,
    ) {
        self.past_hits.entry(Arc::clone(&rule.id)).or_default().add(around.time);
        self.counts.add(verdict);
        let Some(log) = &mut self.log else { return };
        let rule = RuleText::new(rule);
        let line = PacketLine { seen: around.sighting(packet), verdict, uid: around.uid, rule: &rule, standing: None };
        log.packet(&line, |out| out.extend_from_slice(reason.as_bytes()));
    }

    fn decide(&mut self, packet: &Packet, around: &Circumstances<'_>) -> Decision {
        let Net::Ip(ip) = &packet.net else {
            self.counts.non_ip += 1;
            return self.rules.matcher.non_ip();
        };
        self.engine.decide(&self.rules.matcher, ip, &around.context())
    }

    /// A page of the connections that are tracked, how many there are, and the rules in force.
    pub fn connections(&self, from: usize, now: Timestamp) -> (TrackedPage, usize, Arc<Matcher>) {
        let page = self.engine.connections(from, CONNECTIONS_IN_PAGE, now);
        (page, self.engine.counters().connections, Arc::clone(&self.rules.matcher))
    }

    /// What was counted of packets so far, without the hits of rules.
    pub fn counts(&self) -> &Summary {
        &self.counts
    }

    /// How often each rule decided so far.
    pub fn hits(&self) -> Hits {
        let remembered = iter::once(&self.rules).chain(&self.replaced);
        Hits {
            sets: remembered.map(|rules| (Arc::clone(&rules.matcher), rules.hits.clone())).collect(),
            past: self.past_hits.clone(),
        }
    }

    /// What became of all packets so far. Losses and frames that were no packets of ours are for the caller to add.
    pub fn summary(&self) -> Summary {
        let mut rules: BTreeMap<String, u64> = BTreeMap::new();
        let past = self.past_hits.iter().map(|(id, &hit)| (id, hit));
        let remembered = iter::once(&self.rules).chain(&self.replaced).flat_map(InForce::hits);
        for (id, hit) in past.chain(remembered) {
            *rules.entry(id.to_string()).or_default() += hit.count;
        }
        let alerts = ALERTS.iter().map(|entry| entry.name).zip(self.alerts).filter(|&(_, times)| times > 0).collect();
        Summary { rules, alerts, ..self.counts.clone() }
    }
}
