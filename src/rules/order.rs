//! A rule set as it acts: the steps of the order of decision, each with what stands in it.

use super::address::AddressSet;
use super::model::{Action, BlockList, Condition, Entry, Policy, Rule, RuleDirection, Ruleset};
use super::ranges::Ranges;
use crate::time::Timestamp;
use serde::Serialize;
use std::fmt::{self, Display};

/// A step, and what it does.
#[derive(Debug)]
pub struct Section {
    /// Its number in the order of decision.
    pub step: u8,
    /// Its name, as in the rules file where it has one.
    pub name: &'static str,
    /// What acts in it, in the order of the file.
    pub rows: Vec<Row>,
}

/// One thing that acts.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its number among all that act; none if it is disabled or has expired.
    pub number: Option<usize>,
    /// `allow`, `block`, `reject`, or `except` for negated entries.
    pub action: &'static str,
    /// Its id, which lines carry.
    pub id: String,
    /// Which packets it is about.
    pub matches: String,
    /// The user's remark.
    pub comment: Option<String>,
    /// When it ends: RFC 3339.
    pub expires: Option<String>,
    /// Why it has no effect, if it has none.
    pub idle: Option<&'static str>,
    /// What a block list holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_list: Option<ListSummary>,
}

/// What a block list holds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ListSummary {
    /// Lines with a network.
    pub entries: usize,
    /// How many of them are different.
    pub distinct: usize,
    /// IPv4 addresses in any of them.
    pub ipv4_addresses: u64,
    /// IPv6 networks of /64 that any of them touches.
    pub ipv6_networks: u128,
}

/// The steps of `ruleset` in the order in which they act.
pub fn sections(ruleset: &Ruleset, now: Timestamp) -> Vec<Section> {
    let section = |step, name, rows| Section { step, name, rows };
    if ruleset.panic {
        return numbered(vec![section(1, "guards", first_guards()), section(2, "panic", panic())]);
    }
    let mut blocked = entries(&ruleset.block_ips, "block", now);
    blocked.extend(ruleset.block_lists.iter().map(|list| block_list(list, now)));
    let mut allowed = entries(&ruleset.allow_protocols, "allow", now);
    if allowed.iter().any(|row| row.idle.is_none()) {
        allowed.push(Row::built_in("block", "allow_protocols", "every other protocol"));
    }
    numbered(vec![
        section(1, "guards", first_guards()),
        section(2, "allow_ips", entries(&ruleset.allow_ips, "allow", now)),
        section(3, "block_ips, block_lists", blocked),
        section(4, "guards", later_guards()),
        section(5, "block_ports", entries(&ruleset.block_ports, "block", now)),
        section(6, "block_protocols", entries(&ruleset.block_protocols, "block", now)),
        section(7, "replies", replies()),
        section(8, "rules", ruleset.rules.iter().map(|it| rule(it, now)).collect()),
        section(9, "loopback", loopback()),
        section(10, "allow_protocols", allowed),
        section(11, "default_policy", default_policy(ruleset)),
    ])
}

/// The steps that have anything in them, with a number for each row that acts.
fn numbered(mut sections: Vec<Section>) -> Vec<Section> {
    sections.retain(|section| !section.rows.is_empty());
    let acting = sections.iter_mut().flat_map(|section| &mut section.rows).filter(|row| row.idle.is_none());
    for (row, number) in acting.zip(1..) {
        row.number = Some(number);
    }
    sections
}

fn first_guards() -> Vec<Row> {
    vec![
        Row::built_in("allow", "guard:neighbour-discovery", "ICMPv6 133 to 136 with hop limit 255"),
        Row::built_in("allow", "guard:path-mtu", "ICMP fragmentation-needed, ICMPv6 packet-too-big"),
    ]
}

fn panic() -> Vec<Row> {
    vec![
        Row::built_in("allow", "loopback", "what this machine sends to itself"),
        Row::built_in("block", "panic", "every other packet, forwarded ones and those of open connections too"),
    ]
}

fn later_guards() -> Vec<Row> {
    vec![
        Row::built_in("allow", "guard:dhcp", "DHCP and DHCPv6 as a client"),
        Row::built_in("allow", "guard:multicast-listener", "ICMPv6 130 to 132 and 143"),
        Row::built_in("allow", "guard:igmp", "IGMP"),
    ]
}

fn replies() -> Vec<Row> {
    vec![
        Row::built_in("allow", "reply", "replies on connections that were let through"),
        Row::built_in("allow", "related", "ICMP errors about such connections"),
    ]
}

fn loopback() -> Vec<Row> {
    vec![
        Row::built_in("allow", "loopback", "what this machine sends to itself"),
        Row::built_in("allow", "own-multicast", "copies of its own multicast and broadcast"),
    ]
}

fn default_policy(ruleset: &Ruleset) -> Vec<Row> {
    let policy = ruleset.default_policy;
    let row = |policy, packets| {
        let action = if policy == Policy::Allow { "allow" } else { "block" };
        Row::built_in(action, "default_policy", packets)
    };
    vec![row(policy.incoming, "every other incoming packet"), row(policy.outgoing, "every other outgoing packet")]
}

/// A row for each element of a list: entries from one place of the file stand together.
fn entries<T: Display>(entries: &[Entry<T>], action: &'static str, now: Timestamp) -> Vec<Row> {
    let elements = entries.chunk_by(|a, b| a.offset == b.offset && a.id == b.id);
    let row = |group: &[Entry<T>]| {
        let first = group.first()?;
        let values = group.iter().map(|entry| format!("{}{}", if entry.negated { "!" } else { "" }, entry.value));
        Some(Row {
            number: None,
            action: if group.iter().all(|entry| entry.negated) { "except" } else { action },
            id: first.id.to_string(),
            matches: shortened(values),
            comment: first.comment.as_deref().map(str::to_owned),
            expires: first.expires.map(rfc3339),
            idle: idle(first.enabled, first.expires, now),
            block_list: None,
        })
    };
    elements.filter_map(row).collect()
}

fn block_list(list: &BlockList, now: Timestamp) -> Row {
    let summary = list.enabled.then(|| ListSummary::of(list));
    let file = list.path.display();
    Row {
        number: None,
        action: "block",
        id: list.id.to_string(),
        matches: summary.map_or_else(|| file.to_string(), |summary| format!("{file}: {summary}")),
        comment: list.comment.as_deref().map(str::to_owned),
        expires: list.expires.map(rfc3339),
        idle: idle(list.enabled, list.expires, now),
        block_list: summary,
    }
}

fn rule(rule: &Rule, now: Timestamp) -> Row {
    let direction = rule.direction.map(|direction| if direction == RuleDirection::In { "in" } else { "out" });
    let interfaces = rule.interface.iter().map(|(negated, name)| format!("{}{name}", if *negated { "!" } else { "" }));
    let interfaces = (!rule.interface.is_empty()).then(|| shortened(interfaces));
    let conditions = [
        direction.map(str::to_owned),
        written("protocol", rule.protocol.as_ref()),
        written("src", rule.src.as_ref()),
        written("src_port", rule.src_port.as_ref()),
        written("dst", rule.dst.as_ref()),
        written("dst_port", rule.dst_port.as_ref()),
        written("icmp_type", rule.icmp_type.as_ref()),
        interfaces.map(|names| format!("interface {names}")),
    ];
    let conditions: Vec<_> = conditions.into_iter().flatten().collect();
    Row {
        number: None,
        action: match rule.action {
            Action::Allow => "allow",
            Action::Block => "block",
            Action::Reject => "reject",
        },
        id: rule.id.to_string(),
        matches: if conditions.is_empty() { "every packet".to_owned() } else { conditions.join("; ") },
        comment: rule.comment.as_deref().map(str::to_owned),
        expires: rule.expires.map(rfc3339),
        idle: idle(rule.enabled, rule.expires, now),
        block_list: None,
    }
}

fn written<T, S>(key: &str, condition: Option<&Condition<T, S>>) -> Option<String> {
    condition.map(|condition| format!("{key} {}", shortened(condition.text.split(", ").map(str::to_owned))))
}

/// The values with commas, the first eight of them.
fn shortened(mut values: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 8;
    let shown = values.by_ref().take(SHOWN).collect::<Vec<_>>().join(", ");
    match values.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn idle(enabled: bool, expires: Option<Timestamp>, now: Timestamp) -> Option<&'static str> {
    match expires {
        _ if !enabled => Some("disabled"),
        Some(expires) if expires <= now => Some("expired"),
        _ => None,
    }
}

fn rfc3339(time: Timestamp) -> String {
    let (seconds, nanos) = time.parts();
    jiff::Timestamp::new(seconds, i32::try_from(nanos).unwrap_or(0)).unwrap_or_default().to_string()
}

impl Row {
    fn built_in(action: &'static str, id: &str, matches: &str) -> Self {
        let (id, matches) = (id.to_owned(), matches.to_owned());
        Self { number: None, action, id, matches, comment: None, expires: None, idle: None, block_list: None }
    }
}

impl ListSummary {
    fn of(list: &BlockList) -> Self {
        let mut distinct = list.networks.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let set: AddressSet = distinct.iter().collect();
        let networks = set.v6.iter().map(|(first, last)| (first >> 64, last >> 64));
        Self {
            entries: list.networks.len(),
            distinct: distinct.len(),
            ipv4_addresses: set.v4.iter().map(|(first, last)| u64::from(last - first) + 1).sum(),
            ipv6_networks: Ranges::from_ranges(networks).iter().map(|(first, last)| last - first + 1).sum(),
        }
    }
}

impl Display for ListSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entries, distinct, ipv4_addresses, ipv6_networks } = self;
        write!(f, "{} entries", grouped(*entries as u128))?;
        if distinct != entries {
            write!(f, " ({} distinct)", grouped(*distinct as u128))?;
        }
        let mut separator = ": ";
        for (count, what) in [(u128::from(*ipv4_addresses), "IPv4 addresses"), (*ipv6_networks, "IPv6 networks of /64")]
        {
            if count > 0 {
                write!(f, "{separator}{} {what}", grouped(count))?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

/// A number with a comma between each three digits.
fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let commas = digits.char_indices().flat_map(|(index, digit)| {
        let comma = (index > 0 && (digits.len() - index).is_multiple_of(3)).then_some(',');
        comma.into_iter().chain([digit])
    });
    commas.collect()
}
