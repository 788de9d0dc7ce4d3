//! Entries of the lists that have no effect beside the others, or more than one would think.

use super::Active;
use super::element::{Element, Elements};
use crate::packet::Protocol;
use crate::rules::diagnostic::Finding;
use crate::rules::exact::{ExactSet, Term};
use crate::rules::protocol::ProtocolSet;

pub(super) fn lint(active: &Active<'_>, findings: &mut Vec<Finding>) {
    negation(&active.allow_ips, findings);
    negation(&active.block_ips, findings);
    negation(&active.block_ports, findings);
    negation(&active.block_protocols, findings);
    negation(&active.allow_protocols, findings);
    blocked_and_allowed(active, findings);
    protocols(active, findings);
}

/// Entries that a negated one takes away whole, and negated ones that take nothing away.
fn negation<T: Term + Clone>(list: &Elements<'_, T>, findings: &mut Vec<Finding>) {
    let takes = |element: &&Element<'_, T>| element.has_negated();
    let Some(first) = list.active.iter().find(takes) else { return };
    if list.turns_over() {
        let message = "when the other entries have expired, this list means everything but its negated ones";
        findings.push(list.finding(first, message));
    }
    if list.only_negated() {
        return;
    }
    for element in &list.active {
        if element.has_positive() && element.positive().intersection(&list.meaning).is_empty() {
            findings.push(list.finding(element, "without effect: the negated entries of this list take it away"));
        }
    }
    let values = list.active.iter().flat_map(|element| element.entries).filter(|entry| !entry.negated);
    let positive = T::union_of(values.map(|entry| &entry.value));
    for element in list.active.iter().filter(takes) {
        if element.negated().intersection(&positive).is_empty() {
            findings.push(list.finding(element, "takes nothing away: no other entry of this list has any of it"));
        }
    }
}

/// Entries of `block_ips` that never act because `allow_ips` has them all.
fn blocked_and_allowed(active: &Active<'_>, findings: &mut Vec<Finding>) {
    let (allowed, list) = (&active.allow_ips, &active.block_ips);
    if allowed.is_empty() {
        return;
    }
    for element in list.active.iter().filter(|element| element.has_positive()) {
        if !element.entries.iter().all(|entry| entry.negated || allowed.lasting.covers(&entry.value)) {
            continue;
        }
        let same = allowed.active.iter().any(|other| other.positive() == element.positive());
        let message = if same {
            "stands in allow_ips too, which comes first: it is allowed"
        } else {
            "never acts: allow_ips has all of it, and comes first"
        };
        findings.push(list.finding(element, message));
    }
}

/// Protocols whose listing can't do what it seems to.
fn protocols(active: &Active<'_>, findings: &mut Vec<Finding>) {
    let blocked = &active.block_protocols;
    let igmp = ProtocolSet::from_iter([Protocol::IGMP]);
    for element in blocked.active.iter().filter(|element| element.has_positive()) {
        let acting = element.positive().intersection(blocked.meaning);
        if element.positive().is_subset(igmp) {
            findings
                .push(blocked.finding(element, "a built-in guard lets IGMP to and from this machine through before"));
        }
        for (protocol, loss) in [(Protocol::TCP, "web, mail and SSH"), (Protocol::UDP, "DNS and the time of day")] {
            if acting.contains(protocol) {
                findings.push(blocked.finding(element, format!("blocks all of {protocol}, {loss} with it")));
            }
        }
    }
    let allowed = &active.allow_protocols;
    for element in allowed.active.iter().filter(|element| element.has_positive()) {
        if element.positive().is_subset(blocked.lasting) {
            findings.push(allowed.finding(element, "never acts: block_protocols has all of it, and comes first"));
        }
    }
}
