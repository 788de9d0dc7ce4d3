//! What the rule set as a whole leaves of the network: whether names can still be looked up, and who has the last
//! word.

use super::Active;
use super::traffic::{Class, Matches};
use crate::host::Host;
use crate::packet::Protocol;
use crate::rules::diagnostic::Finding;
use crate::rules::model::{Action, Policy, Rule, RuleDirection, Ruleset};
use crate::rules::ranges::Ranges;
use std::rc::Rc;

pub(super) fn lint(ruleset: &Ruleset, active: &Active<'_>, machine: &Host, findings: &mut Vec<Finding>) {
    let policy = ruleset.default_policy;
    let listed = &active.allow_protocols;
    let mut about_policy =
        |message: &str| findings.push(Finding::new(ruleset.default_policy_offset, "default_policy", message));
    let Some(first) = listed.active.first() else {
        if policy.outgoing == Policy::Deny && !dns_is_allowed(active, machine) {
            about_policy(
                "deny for outgoing packets and no rule that allows DNS (port 53/udp): no name can be looked up",
            );
        }
        return;
    };
    if policy.outgoing == Policy::Deny || policy.incoming == Policy::Deny {
        about_policy("never acts: allow_protocols decides every packet that comes so far");
    }
    if !listed.meaning.contains(Protocol::UDP) && !dns_is_allowed(active, machine) {
        let message = "udp is not in allow_protocols, and no rule allows DNS (port 53/udp): no name can be looked up";
        findings.push(listed.finding(first, message));
    }
    let allows_tcp = |rule: &&Rule| allows(rule, |_, class, _| class == Class::Tcp);
    if !listed.meaning.contains(Protocol::TCP) && !active.rules.iter().any(allows_tcp) {
        let message = "tcp is not in allow_protocols, and no rule allows any of it: no web, no mail, no SSH";
        findings.push(listed.finding(first, message));
    }
}

/// Whether a rule or `allow_ips` lets questions to a resolver out. Where the resolvers are not known, any allowed
/// address may be one.
fn dns_is_allowed(active: &Active<'_>, machine: &Host) -> bool {
    const DNS: u128 = 53;
    let to_dns =
        |way, class, second: &Ranges<u128>| way == RuleDirection::Out && class == Class::Udp && second.contains(DNS);
    let resolvers: Vec<_> = machine.resolvers.iter().filter(|address| !address.is_loopback()).collect();
    let by_list = match resolvers.as_slice() {
        [] => !active.allow_ips.is_empty(),
        known => known.iter().any(|address| active.allow_ips.meaning.contains(**address)),
    };
    by_list || active.rules.iter().any(|rule| allows(rule, to_dns))
}

/// Whether `rule` allows packets of a way and class, with a last side, that are `wanted`, and not on loopback alone.
fn allows(rule: &Rule, wanted: impl Fn(RuleDirection, Class, &Ranges<u128>) -> bool) -> bool {
    let on_loopback_alone =
        rule.interface.iter().filter(|(negated, _)| !negated).all(|(_, name)| &**name == "lo") && rule.names_loopback();
    let boxes = Matches::from(rule).boxes(&Rc::new(Ranges::all()));
    rule.action == Action::Allow
        && !on_loopback_alone
        && boxes.iter().any(|it| it.sides.last().is_some_and(|side| wanted(it.space.way, it.space.class, side)))
}
