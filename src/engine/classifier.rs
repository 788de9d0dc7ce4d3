//! The ordered rules, compiled: bit-vector classification (Lakshman and Stiliadis, SIGCOMM 1998).
//!
//! Each field of a packet leads to the set of rules whose condition on that field it satisfies; the first rule that
//! is in all of these sets is the first match. The cost is a table lookup for each field and a handful of words for
//! each 512 rules.

use super::bits::{BlockStore, Blocks, Row, RowStore, Rows, RuleSetBits};
use super::decision::InterfaceClass;
use super::interfaces::Interfaces;
use super::port_map::PortMap;
use super::subject::{Header, Passage, Subject};
use super::sweep::Interval;
use super::table::AddressTable;
use crate::packet::{Ports, Protocol};
use crate::rules::address::AddressSet;
use crate::rules::icmp::IcmpSet;
use crate::rules::port::PortSet;
use crate::rules::ranges::{Number, Ranges};
use crate::rules::{Condition, Rule, RuleDirection};

/// The compiled rules. A rule is known by its place among those that it was compiled from.
#[derive(Debug)]
pub(super) struct Classifier {
    rules: usize,
    blocks: Blocks,
    src: Addresses,
    dst: Addresses,
    tcp: PortPair,
    udp: PortPair,
    icmp: Numbers,
    icmpv6: Numbers,
    /// By protocol number: rules that ask nothing more of the transport header.
    bare: Rows,
    /// All rules, for the second field of a header that has one field.
    any: Vec<u32>,
    /// By interface class and direction; see [`passage_class`].
    passages: Rows,
}

/// A condition of one rule on one field.
enum Field<'a, K> {
    Any,
    In(&'a Ranges<K>),
    Never,
}

/// The rules that an address satisfies.
#[derive(Debug)]
struct Addresses {
    table: AddressTable,
    v4: Rows,
    v6: Rows,
}

/// The rules that a number of 16 bits satisfies.
#[derive(Debug)]
struct Numbers {
    classes: PortMap,
    rows: Rows,
}

/// The rules that the ports of one protocol satisfy; the source port's row also speaks for the protocol.
#[derive(Debug)]
struct PortPair {
    src: Numbers,
    dst: Numbers,
}

impl Classifier {
    /// Compiles `rules`, in their order; which of them are in force is the caller's affair.
    pub(super) fn new(rules: &[&Rule], interfaces: &Interfaces) -> Self {
        let mut build = Builder { rules, blocks: BlockStore::new() };
        let src = build.addresses(|rule| rule.src.as_ref().map(|condition| &condition.set));
        let dst = build.addresses(|rule| rule.dst.as_ref().map(|condition| &condition.set));
        let tcp = build.port_pair(Protocol::TCP, |set| &set.tcp);
        let udp = build.port_pair(Protocol::UDP, |set| &set.udp);
        let icmp = build.icmp(Protocol::ICMP, |set| &set.v4);
        let icmpv6 = build.icmp(Protocol::ICMPV6, |set| &set.v6);
        let bare = build.bare();
        let any = RuleSetBits::new(rules.len(), |_| true).row(&mut build.blocks);
        let passages = build.passages(interfaces);
        let blocks = build.blocks.finish();
        Self { rules: rules.len(), blocks, src, dst, tcp, udp, icmp, icmpv6, bare, any, passages }
    }

    /// The first rule that the packet satisfies.
    pub(super) fn first_match(
        &self,
        subject: &Subject<'_>,
        passage: Passage,
        interface: InterfaceClass,
    ) -> Option<usize> {
        if self.rules == 0 {
            return None;
        }
        let (first, second) = self.header_rows(subject);
        self.blocks.first_common([
            self.passages.get(passage_class(passage, interface)),
            first,
            second,
            self.dst.row(subject.dst()),
            self.src.row(subject.src()),
        ])
    }

    fn header_rows(&self, subject: &Subject<'_>) -> (&Row, &Row) {
        match subject.header {
            Header::Tcp(ports) => self.tcp.rows(ports),
            Header::Udp(ports) => self.udp.rows(ports),
            Header::Icmp { kind, code } => {
                let family = if subject.src().is_ipv4() { &self.icmp } else { &self.icmpv6 };
                (family.row(u16::from_be_bytes([kind, code])), &self.any)
            }
            Header::None => (self.bare.get(usize::from(subject.protocol.0)), &self.any),
        }
    }

    /// Bytes on the heap, port maps apart.
    pub(super) fn bytes(&self) -> usize {
        let numbers = [&self.tcp.src, &self.tcp.dst, &self.udp.src, &self.udp.dst, &self.icmp, &self.icmpv6];
        let addresses = [&self.src, &self.dst];
        self.blocks.bytes()
            + numbers.iter().map(|numbers| numbers.rows.bytes()).sum::<usize>()
            + addresses.iter().map(|a| a.table.bytes() + a.v4.bytes() + a.v6.bytes()).sum::<usize>()
            + self.bare.bytes()
            + self.passages.bytes()
    }
}

/// Where the row of a passage stands. On loopback a rule acts only if it names `lo`, whatever class the caller gave:
/// rows 0 and 1 are loopback's; each class of interfaces has the two that follow.
fn passage_class(passage: Passage, interface: InterfaceClass) -> usize {
    let out = usize::from(passage.direction() == RuleDirection::Out);
    if passage.is_loopback() { out } else { 2 + 2 * interface.0 as usize + out }
}

impl Addresses {
    fn row(&self, address: std::net::IpAddr) -> &Row {
        let rows = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        rows.get(self.table.get(address).unwrap_or(0) as usize)
    }
}

impl Numbers {
    fn row(&self, number: u16) -> &Row {
        self.rows.get(usize::from(self.classes.get(number)))
    }
}

impl PortPair {
    fn rows(&self, ports: Ports) -> (&Row, &Row) {
        (self.src.row(ports.src), self.dst.row(ports.dst))
    }
}

struct Builder<'a> {
    rules: &'a [&'a Rule],
    blocks: BlockStore,
}

impl<'a> Builder<'a> {
    fn addresses(&mut self, condition: impl Fn(&'a Rule) -> Option<&'a AddressSet>) -> Addresses {
        let field = |set: Option<&'a AddressSet>| {
            set.map_or((Field::Any, Field::Any), |set| (Field::In(&set.v4), Field::In(&set.v6)))
        };
        let (v4, v6): (Vec<_>, Vec<_>) = self.rules.iter().map(|rule| field(condition(rule))).unzip();
        let (v4, v4_rows) = self.classes(&v4);
        let (v6, v6_rows) = self.classes(&v6);
        Addresses { table: AddressTable::new(&v4, &v6), v4: v4_rows, v6: v6_rows }
    }

    fn port_pair(&mut self, protocol: Protocol, ports: impl Fn(&'a PortSet) -> &'a Ranges<u16>) -> PortPair {
        let field = |condition: &'a Option<Condition<PortSet, PortSet>>| match condition {
            Some(condition) => Field::In(ports(&condition.set)),
            None => Field::Any,
        };
        let of_protocol = |rule: &Rule| has_protocol(rule, protocol) && rule.icmp_type.is_none();
        let src = self.numbers(|rule| if of_protocol(rule) { field(&rule.src_port) } else { Field::Never });
        let dst = self.numbers(|rule| field(&rule.dst_port));
        PortPair { src, dst }
    }

    fn icmp(&mut self, protocol: Protocol, types: impl Fn(&'a IcmpSet) -> &'a Ranges<u16>) -> Numbers {
        self.numbers(|rule| match &rule.icmp_type {
            _ if !has_protocol(rule, protocol) || has_ports(rule) => Field::Never,
            Some(condition) => Field::In(types(&condition.set)),
            None => Field::Any,
        })
    }

    fn bare(&mut self) -> Rows {
        let mut rows = RowStore::new(self.rules.len());
        for number in 0..=u8::MAX {
            let hit =
                |rule: &Rule| has_protocol(rule, Protocol(number)) && !has_ports(rule) && rule.icmp_type.is_none();
            rows.push(&self.picked(hit));
        }
        rows.finish()
    }

    fn passages(&mut self, interfaces: &Interfaces) -> Rows {
        use RuleDirection::{In, Out};
        let mut rows = RowStore::new(self.rules.len());
        let faces = |rule: &Rule, direction| rule.direction.is_none_or(|wanted| wanted == direction);
        for direction in [In, Out] {
            let hit = |rule: &Rule| faces(rule, direction) && rule.names_loopback() && rule.interface_matches("lo");
            rows.push(&self.picked(hit));
        }
        for name in interfaces.representatives() {
            for direction in [In, Out] {
                rows.push(&self.picked(|rule| faces(rule, direction) && rule.interface_matches(name)));
            }
        }
        rows.finish()
    }

    /// The row of the rules that `hit` picks.
    fn picked(&mut self, hit: impl Fn(&Rule) -> bool) -> Vec<u32> {
        let rules = self.rules;
        RuleSetBits::new(rules.len(), |at| rules.get(at).is_some_and(|rule| hit(rule))).row(&mut self.blocks)
    }

    fn numbers(&mut self, field: impl Fn(&'a Rule) -> Field<'a, u16>) -> Numbers {
        let fields: Vec<_> = self.rules.iter().map(|rule| field(rule)).collect();
        let (classes, rows) = self.classes(&fields);
        Numbers { classes: PortMap::new(classes, 0), rows }
    }

    /// Cuts the numbers where the set of satisfied rules changes. Class 0 are the numbers before the first cut.
    fn classes<K: Number>(&mut self, fields: &[Field<'_, K>]) -> (Vec<Interval<K>>, Rows) {
        let mut cuts = cuts(fields);
        cuts.sort_unstable();
        let mut set = RuleSetBits::new(fields.len(), |at| matches!(fields.get(at), Some(Field::Any)));
        let mut row = set.row(&mut self.blocks);
        let mut rows = RowStore::new(fields.len());
        let mut current = rows.class(&row);
        let mut intervals: Vec<Interval<K>> = Vec::new();
        for group in cuts.chunk_by(|a, b| a.0 == b.0) {
            for &(_, rule) in group {
                set.flip(rule);
                set.update(&mut row, rule, &mut self.blocks);
            }
            let Some(&(first, _)) = group.first() else { continue };
            let class = rows.class(&row);
            if class == current {
                continue;
            }
            current = class;
            if let (Some(before), Some(last)) = (intervals.last_mut(), first.previous()) {
                before.last = last;
            }
            intervals.push(Interval { first, last: K::MAX, value: class });
        }
        (intervals, rows.finish())
    }
}

/// The numbers from which on a rule's condition is satisfied, or no longer satisfied.
fn cuts<K: Number>(fields: &[Field<'_, K>]) -> Vec<(K, usize)> {
    let mut cuts = Vec::new();
    for (rule, field) in fields.iter().enumerate() {
        if let Field::In(ranges) = field {
            for (first, last) in ranges.iter() {
                cuts.push((first, rule));
                cuts.extend(last.next().map(|behind| (behind, rule)));
            }
        }
    }
    cuts
}

fn has_protocol(rule: &Rule, protocol: Protocol) -> bool {
    rule.protocol.as_ref().is_none_or(|condition| condition.set.contains(protocol))
}

fn has_ports(rule: &Rule) -> bool {
    rule.src_port.is_some() || rule.dst_port.is_some()
}
