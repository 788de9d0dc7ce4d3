//! One packet in; a decision, counts and at most two lines out. The same for a live interface and a capture file.

use crate::engine::{Context, Decision, Direction, Engine, InterfaceClass, Limits, Matcher};
use crate::packet::{Malformed, Net, Packet};
use crate::record::{AnomalyLine, EscapedName, Log, PacketLine, RuleText, Selection, Sighting, Summary, Verdict};
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

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
    /// Whether the kernel has discarded it because of this fault, before any rule.
    pub discards: fn(&Malformed, Direction) -> bool,
}

/// Decides, counts and writes down.
pub struct Pipeline {
    engine: Engine,
    rules: InForce,
    /// Hits of rules that were in force before.
    past_hits: BTreeMap<Arc<str>, u64>,
    log: Option<Log>,
    selection: Selection,
    counts: Summary,
}

/// The rule set in force: compiled, with what lines say of each rule and how often each decided.
struct InForce {
    matcher: Arc<Matcher>,
    texts: Vec<RuleText>,
    hits: Vec<u64>,
}

impl InForce {
    fn new(matcher: Arc<Matcher>) -> Self {
        let texts: Vec<RuleText> = matcher.rules().iter().map(RuleText::new).collect();
        Self { hits: vec![0; texts.len()], texts, matcher }
    }

    /// The rules that decided at least once, with how often.
    fn hits(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.matcher.rules().iter().map(|rule| &rule.id).zip(self.hits.iter().copied()).filter(|&(_, hits)| hits > 0)
    }
}

impl Pipeline {
    /// A pipeline with these rules that has seen nothing yet. Without a log it only counts.
    pub fn new(matcher: Arc<Matcher>, log: Option<Log>, selection: Selection) -> Self {
        Self {
            engine: Engine::new(Limits::default()),
            rules: InForce::new(matcher),
            past_hits: BTreeMap::new(),
            selection: if log.is_some() { selection } else { Selection::None },
            log,
            counts: Summary::default(),
        }
    }

    /// The rules in force.
    pub fn matcher(&self) -> &Matcher {
        &self.rules.matcher
    }

    /// Puts other rules in force. What is known of connections and fragments stays, and so do all counts.
    pub fn replace(&mut self, matcher: Arc<Matcher>) {
        for (id, hits) in self.rules.hits() {
            *self.past_hits.entry(Arc::clone(id)).or_default() += hits;
        }
        self.rules = InForce::new(matcher);
    }

    /// The log, for lines about other things than packets.
    pub fn log(&mut self) -> Option<&mut Log> {
        self.log.as_mut()
    }

    /// Decides on `packet`, counts it, and writes its lines.
    pub fn packet(&mut self, packet: &Packet, around: &Circumstances<'_>) {
        self.counts.packets += 1;
        let seen = Sighting {
            time: around.time,
            direction: Some(around.direction),
            interface: &around.interface.name,
            packet,
        };
        if let Some(fault) = &packet.malformed {
            self.suspicious(fault, seen);
            if (around.discards)(fault, around.direction) {
                self.counts.malformed += 1;
                return;
            }
        }
        self.verdict(packet, around, seen);
    }

    /// The line that says what is wrong with a packet.
    #[cold]
    fn suspicious(&mut self, fault: &Malformed, seen: Sighting<'_>) {
        self.counts.suspicious += 1;
        let wanted = self.selection.wants_suspicious();
        let Some(log) = self.log.as_mut().filter(|_| wanted) else { return };
        log.anomaly(&AnomalyLine { seen, malformed: *fault });
    }

    /// The line that says what becomes of a packet.
    fn verdict(&mut self, packet: &Packet, around: &Circumstances<'_>, seen: Sighting<'_>) {
        let decision = self.decide(packet, around);
        let number = decision.rule.0 as usize;
        if let Some(hits) = self.rules.hits.get_mut(number) {
            *hits += 1;
        }
        let verdict = if decision.allows() {
            self.counts.allowed += 1;
            Verdict::Allowed
        } else {
            self.counts.would_block += 1;
            Verdict::WouldBlock
        };
        if !self.selection.wants(verdict) {
            return;
        }
        let (Some(log), Some(rule)) = (&mut self.log, self.rules.texts.get(number)) else { return };
        let matcher = &self.rules.matcher;
        log.packet(&PacketLine { seen, verdict, rule }, |out| match &packet.net {
            Net::Ip(ip) => matcher.write_reason(&decision, ip, out),
            _ => out.extend_from_slice(b"no IP packet"),
        });
    }

    fn decide(&mut self, packet: &Packet, around: &Circumstances<'_>) -> Decision {
        let Net::Ip(ip) = &packet.net else {
            self.counts.non_ip += 1;
            return self.rules.matcher.non_ip();
        };
        let context = Context { direction: around.direction, interface: around.interface.class, time: around.time };
        self.engine.decide(&self.rules.matcher, ip, &context)
    }

    /// What became of all packets so far. Losses and frames that were no packets of ours are for the caller to add.
    pub fn summary(&self) -> Summary {
        let mut rules: BTreeMap<String, u64> = BTreeMap::new();
        let past = self.past_hits.iter().map(|(id, &hits)| (id, hits));
        for (id, hits) in past.chain(self.rules.hits()) {
            *rules.entry(id.to_string()).or_default() += hits;
        }
        Summary { rules, ..self.counts.clone() }
    }
}
