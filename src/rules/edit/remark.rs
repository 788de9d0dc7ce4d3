//! What a change does not say by itself: the other entries that decide about the same value.

use super::element::rfc3339;
use super::list::List;
use super::target::Value;
use crate::rules::address::AddressRange;
use crate::rules::exact::ExactSet;
use crate::rules::model::{Action, BlockList, Entry, Rule, Ruleset};
use crate::time::Timestamp;
use std::fmt;
use std::sync::Arc;

/// Remarks of one change; the rest is counted.
const MAX_REMARKS: usize = 5;

/// Something to be said of a change, beside that it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// A wider entry blocks (or allows) the value already.
    CoveredBy(Arc<str>),
    /// The negated entry takes the value out of the list: the change is without effect.
    TakenOutBy(Arc<str>),
    /// `allow_ips` goes first: the value is not blocked.
    AllowedBy(Arc<str>),
    /// The value is in a list that blocks, too; `allow_ips` goes first.
    AllowedOver(Arc<str>),
    /// A list that blocks goes before the rules: what the rule allows stays blocked.
    BlockedBefore(Arc<str>),
    /// The value is still blocked, by this.
    StillBlockedBy(Arc<str>),
    /// Part of the value is still blocked, by this.
    StillBlockedInPartBy(Arc<str>),
    /// What is there already lasts longer than what was asked for; none: it has no end.
    LastsUntil(Option<Timestamp>),
    /// The rule is there already, but this many others go before it.
    BehindRules(usize),
    /// The last entry of `allow_protocols` is gone: every protocol is allowed.
    OtherProtocolsAllowed,
    /// The first entry of `allow_protocols` is there: every other protocol is blocked.
    OtherProtocolsBlocked,
    /// The entry loses these of its values alone, and keeps those.
    OnlyOf(Vec<String>, Vec<String>),
    /// All these are values of the entry, and concerned.
    AllOf(Vec<String>),
    /// There are this many more remarks.
    More(usize),
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CoveredBy(id) => write!(f, "{id} covers it too"),
            Self::TakenOutBy(id) => write!(f, "without effect: {id} takes it out of the list"),
            Self::AllowedBy(id) => write!(f, "without effect: {id} lets it through, and allow_ips goes first"),
            Self::AllowedOver(id) => write!(f, "{id} would block it, but allow_ips goes first"),
            Self::BlockedBefore(id) => write!(f, "it stays blocked by {id}, which goes before the rules"),
            Self::StillBlockedBy(id) => write!(f, "it stays blocked by {id}"),
            Self::StillBlockedInPartBy(id) => write!(f, "part of it stays blocked by {id}"),
            Self::LastsUntil(Some(end)) => write!(f, "it lasts until {}", rfc3339(*end)),
            Self::LastsUntil(None) => write!(f, "it has no end"),
            Self::BehindRules(1) => write!(f, "1 rule before it decides first"),
            Self::BehindRules(count) => write!(f, "{count} rules before it decide first"),
            Self::OtherProtocolsAllowed => {
                f.write_str("allow_protocols has no entry any more: every protocol is allowed")
            }
            Self::OtherProtocolsBlocked => {
                f.write_str("allow_protocols had no entry before: all others are blocked now")
            }
            Self::OnlyOf(gone, kept) => {
                let stay = if kept.len() == 1 { "stays" } else { "stay" };
                write!(f, "only {} of it: {} {stay}", listed(gone), listed(kept))
            }
            Self::AllOf(values) => write!(f, "that is {}", listed(values)),
            Self::More(1) => write!(f, "1 more entry has to do with it"),
            Self::More(more) => write!(f, "{more} more entries have to do with it"),
        }
    }
}

/// The first of some values, and how many more there are.
fn listed(values: &[String]) -> String {
    const NAMED: usize = 5;
    let named = values.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match values.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Whether something counts at `now`; what doesn't is as if it were not in the file.
pub(super) fn in_force(enabled: bool, expires: Option<Timestamp>, now: Timestamp) -> bool {
    enabled && expires.is_none_or(|end| end > now)
}

/// How the value of an entry lies to the one that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    /// It holds all of it and more.
    Covers,
    /// It holds some of it.
    Overlaps,
}

impl Relation {
    fn is_whole(self) -> bool {
        self != Self::Overlaps
    }
}

/// An entry that has to do with a value.
pub(super) struct Related {
    pub(super) id: Arc<str>,
    pub(super) offset: u32,
    pub(super) relation: Relation,
    pub(super) negated: bool,
    pub(super) enabled: bool,
    pub(super) expires: Option<Timestamp>,
    pub(super) comment: Option<Box<str>>,
    /// What the entry says.
    pub(super) value: Value,
}

impl Related {
    fn acts(&self, now: Timestamp) -> bool {
        in_force(self.enabled, self.expires, now)
    }
}

/// The entries of `list` that have to do with `value`, in order.
pub(super) fn related(rules: &Ruleset, list: List, value: &Value) -> Vec<Related> {
    match (list, value) {
        (List::AllowIps, Value::Address(range)) => of(&rules.allow_ips, |other| between_ranges(other, range)),
        (List::BlockIps, Value::Address(range)) => of(&rules.block_ips, |other| between_ranges(other, range)),
        (List::BlockPorts, Value::Ports(ports)) => of(&rules.block_ports, |other| between_sets(other, ports)),
        (List::BlockProtocols, Value::Protocol(protocol)) => {
            of(&rules.block_protocols, |other| between_sets(other, protocol))
        }
        (List::AllowProtocols, Value::Protocol(protocol)) => {
            of(&rules.allow_protocols, |other| between_sets(other, protocol))
        }
        _ => Vec::new(),
    }
}

fn of<T: Clone + Into<Value>>(entries: &[Entry<T>], relate: impl Fn(&T) -> Option<Relation>) -> Vec<Related> {
    let related = |entry: &Entry<T>| {
        Some(Related {
            relation: relate(&entry.value)?,
            id: Arc::clone(&entry.id),
            offset: entry.offset,
            negated: entry.negated,
            enabled: entry.enabled,
            expires: entry.expires,
            comment: entry.comment.clone(),
            value: entry.value.clone().into(),
        })
    };
    entries.iter().filter_map(related).collect()
}

fn between_ranges(other: &AddressRange, range: &AddressRange) -> Option<Relation> {
    if other == range {
        Some(Relation::Equal)
    } else if other.contains(range.first()) && other.contains(range.last()) {
        Some(Relation::Covers)
    } else if other.contains(range.first()) || range.contains(other.first()) {
        Some(Relation::Overlaps)
    } else {
        None
    }
}

fn between_sets<S: ExactSet>(other: &S, set: &S) -> Option<Relation> {
    if other == set {
        Some(Relation::Equal)
    } else if set.is_subset(other) {
        Some(Relation::Covers)
    } else {
        (!other.intersection(set).is_empty()).then_some(Relation::Overlaps)
    }
}

/// What decides after a change.
#[derive(Clone, Copy)]
pub(super) struct Around<'r> {
    /// The rules after the change, without the content of the block lists.
    pub(super) rules: &'r Ruleset,
    /// The block lists with their content.
    pub(super) lists: &'r [BlockList],
    pub(super) now: Timestamp,
}

/// What there is to say when `value` has been put into `list`, as the entry at `offset` of the new file.
pub(super) fn of_addition(around: Around<'_>, list: List, value: &Value, offset: u32) -> Vec<Remark> {
    let Around { rules: new, now, .. } = around;
    let mut remarks = Vec::new();
    let here = related(new, list, value);
    let others = here.iter().filter(|entry| entry.acts(now) && entry.relation.is_whole() && entry.offset != offset);
    for entry in others {
        let id = Arc::clone(&entry.id);
        remarks.push(if entry.negated { Remark::TakenOutBy(id) } else { Remark::CoveredBy(id) });
    }
    let across = match list {
        List::AllowIps => List::BlockIps,
        List::BlockIps => List::AllowIps,
        _ => return bounded(remarks),
    };
    let there = related(new, across, value);
    let acting = || there.iter().filter(|entry| entry.acts(now));
    if acting().any(|entry| entry.negated && entry.relation.is_whole()) {
        return bounded(remarks);
    }
    for entry in acting().filter(|entry| !entry.negated) {
        match across {
            List::AllowIps if entry.relation.is_whole() => remarks.push(Remark::AllowedBy(Arc::clone(&entry.id))),
            List::AllowIps => {}
            _ => remarks.push(Remark::AllowedOver(Arc::clone(&entry.id))),
        }
    }
    if across == List::BlockIps {
        remarks.extend(block_lists_with(around, value).map(|(id, _)| Remark::AllowedOver(id)));
    }
    bounded(remarks)
}

/// What still blocks `value` now that it is in the list no more.
pub(super) fn of_removal(around: Around<'_>, list: List, value: &Value) -> Vec<Remark> {
    let Around { rules: new, now, .. } = around;
    let stays_out = |list: List, negated: bool| {
        let entries = related(new, list, value);
        entries.iter().any(|entry| entry.acts(now) && entry.negated == negated && entry.relation.is_whole())
    };
    if list == List::BlockIps && stays_out(List::AllowIps, false) && !stays_out(List::AllowIps, true) {
        return Vec::new();
    }
    let mut still: Vec<(Arc<str>, bool)> = Vec::new();
    if !stays_out(list, true) {
        let entries = related(new, list, value);
        let acting = entries.iter().filter(|entry| entry.acts(now) && !entry.negated);
        still.extend(acting.map(|entry| (Arc::clone(&entry.id), entry.relation.is_whole())));
    }
    if list == List::BlockIps {
        still.extend(block_lists_with(around, value));
    }
    let remark = |(id, whole)| if whole { Remark::StillBlockedBy(id) } else { Remark::StillBlockedInPartBy(id) };
    bounded(still.into_iter().map(remark).collect())
}

/// The lists that block before the ordered rules what `rule` allows.
pub(super) fn of_rule(around: Around<'_>, rule: &Rule) -> Vec<Remark> {
    let Around { rules: new, now, .. } = around;
    if rule.action != Action::Allow {
        return Vec::new();
    }
    let ports = [&rule.dst_port, &rule.src_port].into_iter().flatten().map(|ports| Value::Ports(ports.set.clone()));
    let protocol = rule.protocol.iter().map(|protocol| Value::Protocol(protocol.set));
    let values: Vec<_> = ports.chain(protocol).collect();
    let entries = values.iter().flat_map(|value| {
        let entries = related(new, value.block_list(), value);
        let taken_out = entries.iter().any(|entry| entry.acts(now) && entry.negated && entry.relation.is_whole());
        entries.into_iter().filter(move |entry| entry.acts(now) && !entry.negated && !taken_out)
    });
    bounded(entries.map(|entry| Remark::BlockedBefore(entry.id)).collect())
}

/// The block lists in force that hold an address of `value`, and whether one network has all of it.
fn block_lists_with<'r>(around: Around<'r>, value: &Value) -> impl Iterator<Item = (Arc<str>, bool)> + use<'r> {
    let Around { lists, now, .. } = around;
    let range = if let Value::Address(range) = value { Some(*range) } else { None };
    let lists = lists.iter().filter(move |list| in_force(list.enabled, list.expires, now));
    lists.filter_map(move |list| {
        let relations = list.networks.iter().filter_map(|network| between_ranges(network, &range?));
        let whole = relations.map(Relation::is_whole).reduce(|one, other| one || other)?;
        Some((Arc::clone(&list.id), whole))
    })
}

fn bounded(mut remarks: Vec<Remark>) -> Vec<Remark> {
    // The values of a set share its id.
    remarks.dedup();
    let more = remarks.len().saturating_sub(MAX_REMARKS);
    remarks.truncate(MAX_REMARKS);
    remarks.extend((more > 0).then_some(Remark::More(more)));
    remarks
}
