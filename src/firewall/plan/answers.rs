//! What a REJECT of ours sends always passes.
//!
//! The kernel ties the answer to the connection of the packet that it answers: RELATED. For TCP only a REJECT makes such a
//! reset. An ICMP error of the same state and type could be the host's own answer to a closed port, but then the
//! connection has been confirmed, which the one of a rejected opening packet is only on loopback. Where such errors are
//! blocked, those about connections that have been confirmed are told by what the rules reject.
//!
//! What answers an INVALID packet has no connection. A reset has no socket in IPv4 either, unlike the host's own; in IPv6
//! its checksum is whole, where that of the host's own is left to the [device](resets). An error comes from a socket of
//! the kernel's, which no process has: the host itself says of nothing that connection tracking calls invalid that a port
//! is unreachable, as it throws away what is malformed.
//!
//! What an outgoing packet is answered with arrives by loopback.

use super::conditions::port_text;
use super::icmp::unreachable_port;
use super::resets;
use super::spec::{Match, Target};
use super::steps::{STATE, Steps};
use crate::firewall::family::Family;
use crate::packet::Protocol;
use crate::rules::protocol::ProtocolSet;
use crate::rules::{Action, Rule, RuleDirection};
use std::collections::BTreeSet;

/// How many kernel rules tell errors about confirmed connections; those of rules that would need more are told as any.
const MAX_TOLD: usize = 4;

impl Steps<'_, '_> {
    /// Lets the answers pass that come to the hook of `direction`, whose later steps can block if `later` says so.
    pub(super) fn answers(&mut self, direction: RuleDirection, later: bool) {
        let here = match direction {
            RuleDirection::In => Match { interface: Some("-i lo".to_owned()), ..Match::default() },
            RuleDirection::Out => Match::default(),
        };
        let (resets, errors) = (self.resets(&here, direction, later), self.errors(&here, direction, later));
        for conditions in resets.iter().chain(&errors) {
            self.writer.built_in("guard:reject-answer", conditions, &Target::Return);
        }
    }

    fn resets(&self, here: &Match, direction: RuleDirection, later: bool) -> Vec<Match> {
        let segment = here.and(Match::protocol(Protocol::TCP));
        let reset = |connection: &str| self.segment(&segment, "--tcp-flags RST RST", connection);
        let mut all = vec![reset(&format!("{STATE} RELATED"))];
        // The lists have let pass what it answers, and with that its answer.
        if direction == RuleDirection::Out && later {
            let invalid = reset(&format!("{STATE} INVALID -m owner ! --socket-exists"));
            all.push(match self.family() {
                Family::V6 if self.options.bpf => {
                    invalid.with(format!("-m bpf --bytecode \"{}\"", resets::whole_checksum()))
                }
                _ => invalid,
            });
        }
        all
    }

    fn errors(&self, here: &Match, direction: RuleDirection, later: bool) -> Vec<Match> {
        let error = here.and(unreachable_port(self.family()));
        let mut all = vec![error.with(format!("{STATE} RELATED ! --ctstatus CONFIRMED"))];
        let blocks_errors = self.effective.block_protocols.iter().any(|list| list.set.contains(self.family().icmp()));
        let of_no_process = match direction {
            RuleDirection::In => error,
            RuleDirection::Out => error.with(of_no_process(self.options.last_user)),
        };
        if blocks_errors {
            let told = self.told();
            all.extend(told.iter().map(|told| of_no_process.with(format!("{STATE} RELATED{told} --ctdir REPLY"))));
        }
        if blocks_errors || later && (direction == RuleDirection::Out || self.acts_on_loopback()) {
            all.push(of_no_process.with(format!("{STATE} INVALID")));
        }
        all
    }

    /// What tells connections whose packets rules reject, but for TCP, which is answered with resets.
    fn told(&self) -> BTreeSet<String> {
        let family = self.family();
        let rejects = self.effective.rules.iter().filter(|(_, rule)| rule.action == Action::Reject);
        let of_family = rejects.filter(|(_, rule)| has_addresses(rule, family));
        let all: BTreeSet<_> = of_family.flat_map(|(_, rule)| told_by(rule, family)).collect();
        let udp = of(Protocol::UDP);
        if all.contains("") {
            BTreeSet::from([String::new()])
        } else if all.len() <= MAX_TOLD {
            all
        } else if all.iter().all(|told| told.starts_with(&udp)) {
            BTreeSet::from([udp])
        } else {
            BTreeSet::from([String::new()])
        }
    }

    /// Whether an ordered rule acts on what comes in by loopback.
    fn acts_on_loopback(&self) -> bool {
        let acts = |rule: &Rule| rule.names_loopback() && rule.direction != Some(RuleDirection::Out);
        self.effective.rules.iter().any(|(_, rule)| acts(rule))
    }
}

/// What no process sends: where a socket belongs to none, only negations hold (`owner_mt` in `net/netfilter/xt_owner.c`).
fn of_no_process(last_user: u32) -> String {
    match last_user {
        0 => "-m owner ! --uid-owner 0".to_owned(),
        last => format!("-m owner ! --uid-owner 0-{last}"),
    }
}

/// Whether packets of a family can satisfy what a rule asks of addresses.
fn has_addresses(rule: &Rule, family: Family) -> bool {
    let conditions = [&rule.src, &rule.dst].into_iter().flatten();
    conditions.map(|condition| &condition.set).all(|set| match family {
        Family::V4 => !set.v4.is_empty(),
        Family::V6 => !set.v6.is_empty(),
    })
}

/// What tells connections of a protocol.
fn of(protocol: Protocol) -> String {
    format!(" --ctproto {}", protocol.0)
}

fn told_by(rule: &Rule, family: Family) -> Vec<String> {
    let wanted = rule.protocol.as_ref().map_or(ProtocolSet::ALL, |condition| condition.set);
    if rule.src_port.is_none() && rule.dst_port.is_none() {
        let is_own = |protocol| !ProtocolSet::icmp().contains(protocol) || protocol == family.icmp();
        let is_answered = |&protocol: &Protocol| protocol != Protocol::TCP && is_own(protocol);
        return match &rule.icmp_type {
            Some(_) => vec![of(family.icmp())],
            None if wanted == ProtocolSet::ALL => vec![String::new()],
            None => wanted.iter().filter(is_answered).map(of).collect(),
        };
    }
    if !wanted.contains(Protocol::UDP) {
        return Vec::new();
    }
    // Who answers is as the rules see it: the original may have been translated before.
    let udp = of(Protocol::UDP);
    let told_by_port = |range| format!("{udp} --ctreplsrcport {}", port_text(range));
    match &rule.dst_port {
        Some(ports) => ports.set.udp.iter().map(told_by_port).collect(),
        None => vec![udp],
    }
}
