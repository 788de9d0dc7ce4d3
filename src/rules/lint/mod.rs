//! What is legal in a rule set but surely not meant.
//!
//! Every warning is true of every packet it speaks of: the arithmetic is exact, and where it would take too long, or
//! where time plays a part (an entry that expires while the other one stays), nothing is said. Pure: the machine and
//! the clock are arguments.

mod element;
mod host;
mod lists;
mod outlook;
mod reach;
mod shelf;
mod traffic;

use super::diagnostic::Finding;
use super::model::{Rule, Ruleset};
use crate::host::Host;
use crate::time::Timestamp;
use element::Elements;

/// Holds `ruleset` against itself, against this machine and against the clock. Entries and rules that are disabled
/// are left alone; the findings are in no particular order.
pub fn lint(ruleset: &Ruleset, machine: &Host, now: Timestamp) -> Vec<Finding> {
    let active = Active::of(ruleset, now);
    let mut findings = Vec::new();
    expired(ruleset, now, &mut findings);
    lists::lint(&active, &mut findings);
    reach::lint(&active, &mut findings);
    outlook::lint(ruleset, &active, machine, &mut findings);
    host::lint(&active, machine, &mut findings);
    findings
}

/// What of a rule set has effect now.
struct Active<'r> {
    allow_ips: Elements<'r, super::address::AddressRange>,
    block_ips: Elements<'r, super::address::AddressRange>,
    block_ports: Elements<'r, super::port::PortSet>,
    block_protocols: Elements<'r, super::protocol::ProtocolSet>,
    allow_protocols: Elements<'r, super::protocol::ProtocolSet>,
    /// Block lists with their place in the file's list.
    block_lists: Vec<(usize, &'r super::model::BlockList)>,
    rules: Vec<&'r Rule>,
}

impl<'r> Active<'r> {
    fn of(ruleset: &'r Ruleset, now: Timestamp) -> Self {
        let lists = ruleset.block_lists.iter().enumerate();
        Self {
            allow_ips: Elements::of("allow_ips", &ruleset.allow_ips, now),
            block_ips: Elements::of("block_ips", &ruleset.block_ips, now),
            block_ports: Elements::of("block_ports", &ruleset.block_ports, now),
            block_protocols: Elements::of("block_protocols", &ruleset.block_protocols, now),
            allow_protocols: Elements::of("allow_protocols", &ruleset.allow_protocols, now),
            block_lists: lists.filter(|(_, list)| list.enabled && !is_over(list.expires, now)).collect(),
            rules: ruleset.rules.iter().filter(|rule| rule.enabled && !is_over(rule.expires, now)).collect(),
        }
    }
}

fn is_over(expires: Option<Timestamp>, now: Timestamp) -> bool {
    expires.is_some_and(|expires| expires <= now)
}

/// Whether what expires at `longer` is there for as long as what expires at `shorter`.
fn outlives(longer: Option<Timestamp>, shorter: Option<Timestamp>) -> bool {
    longer.is_none_or(|longer| shorter.is_some_and(|shorter| longer >= shorter))
}

/// Entries, lists and rules whose time is over.
fn expired(ruleset: &Ruleset, now: Timestamp, findings: &mut Vec<Finding>) {
    let mut tell = |offset: u32, path: String, enabled: bool, expires: Option<Timestamp>| {
        if let Some(expires) = expires.filter(|&expires| enabled && expires <= now) {
            let (seconds, nanos) = expires.parts();
            let time = jiff::Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)).unwrap_or_default();
            findings.push(Finding::new(offset, path, format!("expired at {time}: it is without effect")));
        }
    };
    macro_rules! entries {
        ($($list:ident),*) => {$(
            for (index, entries) in element::grouped(&ruleset.$list) {
                if let Some(entry) = entries.first() {
                    let path = format!(concat!(stringify!($list), "[{}]"), index);
                    tell(entry.offset, path, entry.enabled, entry.expires);
                }
            }
        )*};
    }
    entries!(allow_ips, block_ips, block_ports, block_protocols, allow_protocols);
    for (index, list) in ruleset.block_lists.iter().enumerate() {
        tell(list.offset, format!("block_lists[{index}]"), list.enabled, list.expires);
    }
    for rule in &ruleset.rules {
        tell(rule.offset, rule_path(rule), rule.enabled, rule.expires);
    }
}

fn rule_path(rule: &Rule) -> String {
    format!("rules[{}]", rule.index)
}

#[cfg(test)]
mod tests;
