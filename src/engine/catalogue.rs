//! The numbers of rules, and the constant words of each rule's reason.

use super::decision::{RuleInfo, RuleNumber, Step};
use super::guard::Guard;
use crate::rules::{Action, Rule};
use std::sync::Arc;

/// The rules that are always there; their numbers are the same in every rule set.
pub(super) mod builtin {
    use super::{RuleNumber, Step};

    /// Id, step and words of each, in the order of their numbers.
    pub(in crate::engine) const ALL: [(&str, Step, &str); 14] = [
        ("guard:neighbour-discovery", Step::Guard, "neighbour discovery"),
        ("guard:path-mtu", Step::Guard, "path MTU discovery"),
        ("guard:dhcp", Step::LinkGuard, "DHCP client"),
        ("guard:multicast-listener", Step::LinkGuard, "multicast listener message"),
        ("guard:igmp", Step::LinkGuard, "IGMP"),
        ("reply", Step::Reply, "reply to a connection opened "),
        ("related", Step::Reply, "ICMP error about a known connection"),
        ("loopback", Step::Loopback, "loopback interface"),
        ("own-multicast", Step::Loopback, "copy of own multicast or broadcast"),
        ("allow_protocols", Step::AllowProtocols, " is not in allow_protocols"),
        ("default_policy", Step::DefaultPolicy, "default_policy "),
        ("non-ip", Step::NonIp, "no IP packet"),
        ("forwarded", Step::Forwarded, "forwarded, and no list blocks it"),
        ("panic", Step::Panic, "panic is on: all but what this machine says to itself is blocked"),
    ];

    pub(in crate::engine) const REPLY: RuleNumber = RuleNumber(5);
    pub(in crate::engine) const RELATED: RuleNumber = RuleNumber(6);
    pub(in crate::engine) const LOOPBACK: RuleNumber = RuleNumber(7);
    pub(in crate::engine) const OWN_MULTICAST: RuleNumber = RuleNumber(8);
    pub(in crate::engine) const ALLOW_PROTOCOLS: RuleNumber = RuleNumber(9);
    pub(in crate::engine) const DEFAULT_POLICY: RuleNumber = RuleNumber(10);
    pub(in crate::engine) const NON_IP: RuleNumber = RuleNumber(11);
    pub(in crate::engine) const FORWARDED: RuleNumber = RuleNumber(12);
    pub(in crate::engine) const PANIC: RuleNumber = RuleNumber(13);
}

/// The number of a guard.
pub(super) const fn guard_number(guard: Guard) -> RuleNumber {
    RuleNumber(match guard {
        Guard::NeighbourDiscovery => 0,
        Guard::PathMtu => 1,
        Guard::Dhcp => 2,
        Guard::MulticastListener => 3,
        Guard::Igmp => 4,
    })
}

/// All rules by number.
#[derive(Debug)]
pub(super) struct Catalogue {
    infos: Vec<RuleInfo>,
    words: Vec<Words>,
}

/// The constant words of a rule's reason.
#[derive(Debug)]
pub(super) struct Words {
    /// What stands behind (or, without anything of the packet, for) what hit.
    pub(super) text: Box<str>,
    /// The user's remark.
    pub(super) comment: Option<Box<str>>,
}

impl Catalogue {
    /// The built-in rules.
    pub(super) fn new() -> Self {
        let mut catalogue = Self { infos: Vec::new(), words: Vec::new() };
        for (id, step, text) in builtin::ALL {
            catalogue.push(&Arc::from(id), step, text.into(), None);
        }
        catalogue
    }

    /// Adds the entry of a list; entries in a row that came from one place in the file share an id and a number.
    pub(super) fn add_entry(&mut self, id: &Arc<str>, step: Step, text: &str, comment: Option<&str>) -> RuleNumber {
        match self.infos.last() {
            Some(last) if last.step == step && last.id == *id => self.last(),
            _ => self.push(id, step, text.into(), comment.map(Box::from)),
        }
    }

    /// Adds an ordered rule.
    pub(super) fn add_rule(&mut self, rule: &Rule) -> RuleNumber {
        let verb = match rule.action {
            Action::Allow => "allows",
            Action::Block => "blocks",
            Action::Reject => "rejects",
        };
        let text = format!("rule {} {verb} it", rule.index + 1);
        self.push(&rule.id, Step::Rules, text.into(), rule.comment.clone())
    }

    fn push(&mut self, id: &Arc<str>, step: Step, text: Box<str>, comment: Option<Box<str>>) -> RuleNumber {
        self.infos.push(RuleInfo { id: Arc::clone(id), step });
        self.words.push(Words { text, comment });
        self.last()
    }

    fn last(&self) -> RuleNumber {
        // Rules are bounded far below the range of numbers.
        RuleNumber(u32::try_from(self.infos.len() - 1).unwrap_or(u32::MAX))
    }

    /// What is to be said of each rule, by number.
    pub(super) fn infos(&self) -> &[RuleInfo] {
        &self.infos
    }

    /// The words of rule `number`.
    pub(super) fn words(&self, number: RuleNumber) -> Option<&Words> {
        self.words.get(number.0 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::builtin;
    use crate::rules::edit::built_in;

    #[test]
    fn who_names_a_built_in_rule_to_change_it_is_told_what_it_is() {
        for (id, ..) in builtin::ALL {
            assert!(built_in(id).is_some(), "{id}");
        }
    }
}
