//! Steps 5, 6 and 10: lists of ports and of protocols.

use super::catalogue::Catalogue;
use super::decision::{Hit, RuleNumber, Step};
use super::in_force::Expires;
use super::port_map::PortMap;
use super::subject::Header;
use super::sweep::{self, Interval};
use crate::packet::{Ports, Protocol};
use crate::rules::port::PortSet;
use crate::rules::protocol::ProtocolSet;
use crate::rules::ranges::Ranges;
use crate::rules::{Entry, PortEntry, ProtocolEntry};
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// `block_ports`, compiled.
#[derive(Debug)]
pub(super) struct PortList {
    tcp: Entries,
    udp: Entries,
}

/// Which entry a port of one protocol is in.
#[derive(Debug)]
struct Entries {
    /// Class 0 is "none"; another is the place in `entries` plus one.
    classes: PortMap,
    /// Number of the entry among those in force, and its rule.
    entries: Vec<(u32, RuleNumber)>,
}

impl PortList {
    /// Compiles what of `list` is in force at `now`.
    pub(super) fn new(list: &[PortEntry], now: Timestamp, catalogue: &mut Catalogue) -> Self {
        let active: Vec<_> = list.iter().filter(|entry| entry.in_force(now)).collect();
        let words = " is in block_ports";
        let rules: Vec<_> = active
            .iter()
            .map(|entry| catalogue.add_entry(&entry.id, Step::BlockPorts, words, entry.comment.as_deref()))
            .collect();
        Self { tcp: Entries::new(&active, &rules, |set| &set.tcp), udp: Entries::new(&active, &rules, |set| &set.udp) }
    }

    /// The first entry that one of the packet's ports is in; if both are in the same, the destination's.
    pub(super) fn hit(&self, header: Header) -> Option<(RuleNumber, Hit)> {
        match header {
            Header::Tcp(ports) => self.tcp.hit(ports),
            Header::Udp(ports) => self.udp.hit(ports),
            Header::Icmp { .. } | Header::None => None,
        }
    }
}

impl Entries {
    fn new(active: &[&PortEntry], rules: &[RuleNumber], ports: impl Fn(&PortSet) -> &Ranges<u16>) -> Self {
        let negated = active.iter().filter(|entry| entry.negated);
        let negated = negated.fold(Ranges::default(), |all, entry| all.union(ports(&entry.value)));
        let mut ranges = Vec::new();
        let mut add = |set: &Ranges<u16>, value| {
            ranges.extend(set.difference(&negated).iter().map(|(first, last)| Interval { first, last, value }));
        };
        if !active.is_empty() && active.iter().all(|entry| entry.negated) {
            add(&Ranges::all(), 0);
        }
        for (value, entry) in (0_u32..).zip(active).filter(|(_, entry)| !entry.negated) {
            add(ports(&entry.value), value);
        }
        let swept = sweep::lowest(ranges);
        let (mut places, mut entries) = (BTreeMap::new(), Vec::new());
        let classes: Vec<_> = swept
            .into_iter()
            .map(|interval| {
                let place = *places.entry(interval.value).or_insert_with(|| {
                    let rule = rules.get(interval.value as usize).copied();
                    entries.extend(rule.map(|rule| (interval.value, rule)));
                    u32::try_from(entries.len()).unwrap_or(0)
                });
                Interval { value: place, ..interval }
            })
            .collect();
        Self { classes: PortMap::new(classes, 0), entries }
    }

    fn get(&self, port: u16) -> Option<(u32, RuleNumber)> {
        let place = usize::from(self.classes.get(port)).checked_sub(1)?;
        self.entries.get(place).copied()
    }

    fn hit(&self, ports: Ports) -> Option<(RuleNumber, Hit)> {
        if self.entries.is_empty() {
            return None;
        }
        match (self.get(ports.src), self.get(ports.dst)) {
            (None, None) => None,
            (Some((src, rule)), dst) if dst.is_none_or(|(dst, _)| src < dst) => {
                Some((rule, Hit::SourcePort(ports.src)))
            }
            (_, dst) => dst.map(|(_, rule)| (rule, Hit::DestinationPort(ports.dst))),
        }
    }
}

/// `block_protocols` or `allow_protocols`, compiled.
#[derive(Debug)]
pub(super) struct ProtocolList {
    /// By protocol number.
    rules: Box<[Option<RuleNumber>]>,
    /// Whether nothing of the list is in force.
    pub(super) is_empty: bool,
}

impl ProtocolList {
    /// Compiles what of `list` is in force at `now`.
    pub(super) fn new(
        list: &[ProtocolEntry],
        now: Timestamp,
        step: Step,
        words: &str,
        catalogue: &mut Catalogue,
    ) -> Self {
        let active: Vec<_> = list.iter().filter(|entry| entry.in_force(now)).collect();
        let numbers: Vec<_> =
            active.iter().map(|entry| catalogue.add_entry(&entry.id, step, words, entry.comment.as_deref())).collect();
        let set = |negated| {
            let of_kind = active.iter().filter(move |entry| entry.negated == negated);
            of_kind.fold(ProtocolSet::default(), |all, entry| all.union(entry.value))
        };
        let only_negated = active.iter().all(|entry| entry.negated);
        let excluded = set(true);
        let rule = |protocol| {
            let hit = |entry: &&&Entry<ProtocolSet>| !entry.negated && entry.value.contains(protocol) || only_negated;
            let place = active.iter().position(|entry| hit(&entry)).filter(|_| !excluded.contains(protocol));
            place.and_then(|place| numbers.get(place).copied())
        };
        Self { rules: (0..=u8::MAX).map(|number| rule(Protocol(number))).collect(), is_empty: active.is_empty() }
    }

    /// The first entry that `protocol` is in.
    pub(super) fn get(&self, protocol: Protocol) -> Option<RuleNumber> {
        self.rules.get(usize::from(protocol.0)).copied().flatten()
    }
}
