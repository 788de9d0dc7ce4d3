//! Ordered rules in a row that block and ask for the same field: one look at that field spares all other packets the walk
//! through them.
//!
//! They stand in a chain of their own, each as it would have stood without it, and in their order. The condition in front
//! of the chain is one that a packet fulfils if it fulfils that of any of them. A rule that allows has to leave our
//! chains, which it can't do from a chain that was jumped to; so it stands between groups.

use super::conditions::{Condition, End, Means, addresses, ports};
use super::spec::Match;
use crate::firewall::family::Family;
use crate::packet::Protocol;
use crate::rules::address::AddressSet;
use crate::rules::port::PortSet;
use crate::rules::ranges::{Number, Ranges};
use crate::rules::{Action, Rule};

/// How many rules in a row are worth a chain of their own: each is one or two kernel rules of some 25 ns, while a look into a set
/// and a jump take 100 ns.
const WORTH: usize = 8;
/// How many rules each alternative of the condition must spare.
const SPARED: usize = 4;

/// A rule, and its number.
pub(super) type Numbered<'a> = (u32, &'a Rule);

/// What rules are grouped by, that first which tells most packets apart.
const FIELDS: [Field; 4] = [
    Field::Ports(End::Destination),
    Field::Addresses(End::Source),
    Field::Addresses(End::Destination),
    Field::Ports(End::Source),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Ports(End),
    Addresses(End),
}

/// Rules in a row.
pub(super) struct Group<'a, 'r> {
    /// The rules.
    pub(super) rules: &'a [Numbered<'r>],
    field: Option<Field>,
}

/// Parts rules into groups, in their order.
pub(super) fn groups<'a, 'r>(rules: &'a [Numbered<'r>]) -> Vec<Group<'a, 'r>> {
    let mut groups = Vec::new();
    let mut rest = rules;
    while !rest.is_empty() {
        let in_a_row = |field: Field| rest.iter().take_while(|(_, rule)| field.is_asked_for_by(rule)).count();
        // Of several that are as long the first is wanted, and the last is what is found.
        let longest = FIELDS.into_iter().rev().map(|field| (in_a_row(field), field)).max_by_key(|(length, _)| *length);
        let group = longest.filter(|(length, _)| *length >= WORTH);
        let (rules, others) = rest.split_at(group.map_or(1, |(length, _)| length));
        groups.push(Group { rules, field: group.map(|(_, field)| field) });
        rest = others;
    }
    groups
}

impl Group<'_, '_> {
    /// What a packet of the family fulfils if one of the rules is about it; `None` where it is not worth to be asked.
    pub(super) fn condition(&self, means: &mut Means<'_>) -> Option<Condition> {
        let addresses_of_any = |end| self.rules.iter().filter_map(move |(_, rule)| addresses_of(rule, end));
        let condition = match (self.field?, means.family) {
            (Field::Ports(end), _) => ports_of_any(self.rules, end, means),
            (Field::Addresses(end), Family::V4) => {
                addresses(&union(addresses_of_any(end).map(|set| &set.v4)), end, means.sets)
            }
            (Field::Addresses(end), Family::V6) => {
                addresses(&union(addresses_of_any(end).map(|set| &set.v6)), end, means.sets)
            }
        }?;
        let is_worth = !condition.is_always() && condition.any_of.len() * SPARED <= self.rules.len();
        is_worth.then_some(condition)
    }
}

impl Field {
    /// Whether a rule may stand in a group of this field.
    fn is_asked_for_by(self, rule: &Rule) -> bool {
        rule.action != Action::Allow
            && match self {
                Self::Ports(end) => ports_of(rule, end).is_some(),
                Self::Addresses(end) => addresses_of(rule, end).is_some(),
            }
    }
}

fn addresses_of(rule: &Rule, end: End) -> Option<&AddressSet> {
    let condition = if end == End::Source { &rule.src } else { &rule.dst };
    condition.as_ref().map(|condition| &condition.set)
}

fn ports_of(rule: &Rule, end: End) -> Option<&PortSet> {
    let condition = if end == End::Source { &rule.src_port } else { &rule.dst_port };
    condition.as_ref().map(|condition| &condition.set)
}

/// The ports of each protocol that any of the rules is about.
fn ports_of_any(rules: &[Numbered<'_>], end: End, means: &mut Means<'_>) -> Option<Condition> {
    let of_protocol = |protocol| {
        let rules = rules.iter().map(|(_, rule)| rule);
        let about = rules.filter(|rule| rule.protocol.as_ref().is_none_or(|wanted| wanted.set.contains(protocol)));
        let wanted = about.filter_map(|rule| ports_of(rule, end));
        let ranges = union(wanted.map(|set| if protocol == Protocol::TCP { &set.tcp } else { &set.udp }));
        Some(Match::protocol(protocol).and(ports(&ranges, protocol, end, means)?))
    };
    let any_of: Vec<_> = [Protocol::TCP, Protocol::UDP].into_iter().filter_map(of_protocol).collect();
    (!any_of.is_empty()).then(|| Condition::any_of(any_of))
}

fn union<'r, T: Number + 'r>(all: impl Iterator<Item = &'r Ranges<T>>) -> Ranges<T> {
    Ranges::from_ranges(all.flat_map(Ranges::iter))
}
