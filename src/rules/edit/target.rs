//! What a word on the command line means: a value of one of the lists, or the id of something that is there.

use super::built_in::built_in;
use super::list::List;
use crate::rules::address::{self, AddressRange};
use crate::rules::diagnostic::quoted;
use crate::rules::id;
use crate::rules::model::{Entry, Ruleset};
use crate::rules::port::{self, PortSet};
use crate::rules::protocol::{self, ProtocolSet};
use crate::rules::suggest::did_you_mean;
use std::fmt;
use std::sync::Arc;

/// One value as an entry of a list holds it. It prints as the file spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// An address, a network or a range.
    Address(AddressRange),
    /// A port or a range of ports; of TCP, of UDP or of both.
    Ports(PortSet),
    /// A protocol; `icmp` is both ICMPs.
    Protocol(ProtocolSet),
}

/// What somebody points at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A value, whether it is in the file or not.
    Value(Value),
    /// The rule, the entry or the entries that have this id.
    Id(Arc<str>),
}

impl Value {
    /// Reads an address (`192.168.1.7`, `10.0.0.0/8`, `192.0.2.1-192.0.2.9`), a port (`80`, `445/tcp`, `20-25/udp`) or
    /// the name of a protocol (`icmp`). A prefix says which is meant (`ip:`, `port:`, `protocol:`), without which a bare
    /// number is a port. The error is one line with its remedy.
    pub fn parse(text: &str) -> Result<Self, String> {
        let prefixes: [(&str, Reads); 3] =
            [("ip:", Self::address), ("port:", Self::ports), ("protocol:", Self::protocol)];
        for (prefix, parse) in prefixes {
            if let Some(value) = text.strip_prefix(prefix) {
                return parse(value);
            }
        }
        match text {
            "" => Err("an address, a port or a protocol is needed".to_owned()),
            _ if text.starts_with(['!', '@']) => {
                Err(format!("{}: negated values and sets are written into the file by hand", quoted(text)))
            }
            _ if is_like_a_port(text) => Self::ports(text),
            _ if text.contains(['.', ':']) => Self::address(text),
            _ => Self::protocol(text),
        }
    }

    /// The list that blocks values of this kind.
    pub fn block_list(&self) -> List {
        match self {
            Self::Address(_) => List::BlockIps,
            Self::Ports(_) => List::BlockPorts,
            Self::Protocol(_) => List::BlockProtocols,
        }
    }

    /// The id of the entry that blocks this value, or that it would have.
    pub(super) fn id_in(&self, rules: &Ruleset) -> Arc<str> {
        fn of<T: PartialEq>(entries: &[Entry<T>], value: &T) -> Option<Arc<str>> {
            let found = entries.iter().find(|entry| !entry.negated && entry.value == *value);
            found.map(|entry| Arc::clone(&entry.id))
        }
        let found = match self {
            Self::Address(range) => of(&rules.block_ips, range),
            Self::Ports(ports) => of(&rules.block_ports, ports),
            Self::Protocol(protocol) => of(&rules.block_protocols, protocol),
        };
        found.unwrap_or_else(|| self.block_list().derived_id(&self.to_string()).into())
    }

    fn address(text: &str) -> Result<Self, String> {
        let parsed = address::parse(text)?;
        if parsed.warning.is_none() {
            return Ok(Self::Address(parsed.value));
        }
        // In a file this is a warning that can be read again later; a command is better asked back.
        let host = text.split('/').next().unwrap_or_default();
        Err(format!("{text} has host bits set; write {} for the network or {host} for the address", parsed.value))
    }

    fn ports(text: &str) -> Result<Self, String> {
        port::parse(text).map(Self::Ports)
    }

    fn protocol(text: &str) -> Result<Self, String> {
        protocol::parse(text).map(|parsed| Self::Protocol(parsed.value))
    }

    /// Whether taking this value out of a list also means `other`, which is in the list: the value itself, one of its
    /// two protocols for ports that name none (80 for 80/tcp), or the ICMP of one family for `icmp`.
    pub(super) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ports(all), Self::Ports(some)) => {
                let half = |all, some: &crate::rules::ranges::Ranges<u16>| some.is_empty() || some == all;
                half(&all.tcp, &some.tcp) && half(&all.udp, &some.udp)
            }
            (Self::Protocol(all), Self::Protocol(some)) => some.is_subset(*all),
            (one, other) => one == other,
        }
    }
}

type Reads = fn(&str) -> Result<Value, String>;

/// Digits, digits with a hyphen, or that and `/word`: nothing that an address or a protocol's name looks like.
fn is_like_a_port(text: &str) -> bool {
    let ports = text.split('/').next().unwrap_or_default();
    ports.starts_with(|first: char| first.is_ascii_digit())
        && ports.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
}

impl Target {
    /// Reads a value or an id; `rules` tell which ids there are. `id:` in front says that an id is meant.
    pub fn parse(text: &str, rules: &Ruleset) -> Result<Self, String> {
        if let Some(id) = text.strip_prefix("id:") {
            return known(id, rules).map(Self::Id).ok_or_else(|| no_such_id(id, rules));
        }
        match (Value::parse(text), known(text, rules)) {
            (Ok(value), Some(_)) => {
                let kind = value.kind();
                let plain = text.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':')).unwrap_or(text);
                Err(format!("{} is an id and could be a value too; write id:{text} or {kind}:{plain}", quoted(text)))
            }
            (Ok(value), None) => Ok(Self::Value(value)),
            (Err(_), Some(id)) => Ok(Self::Id(id)),
            (Err(reason), None) => Err(reason_for_neither(text, &reason, rules)),
        }
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Address(_) => "ip",
            Self::Ports(_) => "port",
            Self::Protocol(_) => "protocol",
        }
    }
}

/// What to say of a word that is neither a value nor an id.
fn reason_for_neither(text: &str, reason: &str, rules: &Ruleset) -> String {
    if let Some(words) = built_in(text) {
        return words;
    }
    if List::ALL.iter().any(|list| text.strip_prefix(list.key()).is_some_and(|rest| rest.starts_with(':'))) {
        return no_such_id(text, rules);
    }
    if id::check(text).is_err() || is_like_a_port(text) || text.contains(['.', ':', '!', '@']) {
        return reason.to_owned();
    }
    if !did_you_mean(text, ids(rules)).is_empty() {
        no_such_id(text, rules)
    } else if protocol::is_unlike_all(text) {
        format!("nothing is called {}: no id and no protocol; 'pfw rules' lists the ids", quoted(text))
    } else {
        reason.to_owned()
    }
}

pub(super) fn no_such_id(id: &str, rules: &Ruleset) -> String {
    built_in(id).unwrap_or_else(|| {
        let near = did_you_mean(id, ids(rules));
        let remedy = if near.is_empty() { "; 'pfw rules' lists them" } else { &near };
        format!("there is no id {}{remedy}", quoted(id))
    })
}

fn known(id: &str, rules: &Ruleset) -> Option<Arc<str>> {
    ids(rules).find(|known| ***known == *id).cloned()
}

/// Every id of the file.
fn ids(rules: &Ruleset) -> impl Iterator<Item = &Arc<str>> {
    fn of<T>(entries: &[Entry<T>]) -> impl Iterator<Item = &Arc<str>> {
        entries.iter().map(|entry| &entry.id)
    }
    let addresses = of(&rules.allow_ips).chain(of(&rules.block_ips));
    let lists = rules.block_lists.iter().map(|list| &list.id);
    let protocols = of(&rules.block_protocols).chain(of(&rules.allow_protocols));
    let rules_ = rules.rules.iter().map(|rule| &rule.id);
    addresses.chain(lists).chain(of(&rules.block_ports)).chain(protocols).chain(rules_)
}

impl From<AddressRange> for Value {
    fn from(range: AddressRange) -> Self {
        Self::Address(range)
    }
}

impl From<PortSet> for Value {
    /// One port or one range; what is more than one entry can't be written as one.
    fn from(ports: PortSet) -> Self {
        Self::Ports(ports)
    }
}

impl From<ProtocolSet> for Value {
    /// One protocol, or `icmp`; what is more than one entry can't be written as one.
    fn from(protocol: ProtocolSet) -> Self {
        Self::Protocol(protocol)
    }
}

impl From<std::net::IpAddr> for Value {
    fn from(address: std::net::IpAddr) -> Self {
        Self::Address(address.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(range) => range.fmt(f),
            Self::Ports(ports) => ports.fmt(f),
            Self::Protocol(protocol) => protocol.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::read_with;

    fn rules(text: &str) -> Ruleset {
        read_with(text, "").unwrap().ruleset
    }

    fn parse(text: &str) -> Result<Target, String> {
        Target::parse(
            text,
            &rules(
                r#"{ "block_ips": ["192.0.2.1", { "ip": "192.0.2.2", "id": "scanner" }],
                "rules": [{ "id": "ping", "action": "allow", "protocol": "icmp" },
                          { "id": "80", "action": "allow", "dst_port": 80 },
                          { "id": "port:22", "action": "allow", "dst_port": 22 }] }"#,
            ),
        )
    }

    #[test]
    fn the_form_of_a_word_says_what_it_is() {
        for (text, list, printed) in [
            ("192.168.1.7", List::BlockIps, "192.168.1.7"),
            ("10.0.0.0/8", List::BlockIps, "10.0.0.0/8"),
            ("192.0.2.1-192.0.2.9", List::BlockIps, "192.0.2.1-192.0.2.9"),
            ("2001:DB8::/32", List::BlockIps, "2001:db8::/32"),
            ("ip:::1", List::BlockIps, "::1"),
            ("445/tcp", List::BlockPorts, "445/tcp"),
            ("20-25/UDP", List::BlockPorts, "20-25/udp"),
            ("443", List::BlockPorts, "443"),
            ("port:80", List::BlockPorts, "80"),
            ("icmp", List::BlockProtocols, "icmp"),
            ("GRE", List::BlockProtocols, "gre"),
            ("protocol:80", List::BlockProtocols, "iso-ip"),
        ] {
            let value = Value::parse(text).unwrap();
            assert_eq!((value.block_list(), value.to_string()), (list, printed.to_owned()), "{text}");
        }
    }

    #[test]
    fn ids_are_known_from_the_rules() {
        for text in ["ping", "scanner", "block_ips:192.0.2.1", "id:80"] {
            assert_eq!(parse(text), Ok(Target::Id(text.trim_start_matches("id:").into())));
        }
    }

    #[test]
    fn what_is_neither_or_both_is_refused_with_its_remedy() {
        for (text, reason) in [
            ("80", "\"80\" is an id and could be a value too; write id:80 or port:80"),
            ("port:22", "\"port:22\" is an id and could be a value too; write id:port:22 or port:22"),
            ("pong", "there is no id \"pong\"; did you mean \"ping\"?"),
            ("scaner", "there is no id \"scaner\"; did you mean \"scanner\"?"),
            ("id:games", "there is no id \"games\"; 'pfw rules' lists them"),
            ("nosuch", "nothing is called \"nosuch\": no id and no protocol; 'pfw rules' lists the ids"),
            ("r99", "nothing is called \"r99\": no id and no protocol; 'pfw rules' lists the ids"),
            ("block_ips:10.0.0.1", "there is no id \"block_ips:10.0.0.1\"; did you mean \"block_ips:192.0.2.1\"?"),
            ("block_ports:1", "there is no id \"block_ports:1\"; 'pfw rules' lists them"),
            (
                "guard:dhcp",
                "\"guard:dhcp\" is built in: nothing turns it off, but a peer in block_ips is blocked before it",
            ),
            ("panic", "\"panic\" is built in: 'pfw panic' begins it, and 'pfw resume panic' ends it"),
            ("id:panic", "\"panic\" is built in: 'pfw panic' begins it, and 'pfw resume panic' ends it"),
            ("tpc", "\"tpc\" is not a protocol; did you mean \"tcp\"?"),
            ("", "an address, a port or a protocol is needed"),
            ("70000", "70000 is not a port (0 to 65535)"),
            ("80/sctp", "\"sctp\" is not a protocol with ports: tcp or udp"),
            ("25-20", "the range 25-20 ends before it begins; write 20-25"),
            ("192.168.1.300", "\"192.168.1.300\" is not an IPv4 or IPv6 address"),
            ("example.org", "\"example.org\" is not an IPv4 or IPv6 address; names are not looked up"),
            (
                "::ffff:10.0.0.1",
                "\"::ffff:10.0.0.1\" is an IPv4 address in IPv6 spelling, which no packet carries; write 10.0.0.1",
            ),
            (
                "192.168.1.7/24",
                "192.168.1.7/24 has host bits set; write 192.168.1.0/24 for the network or 192.168.1.7 for the address",
            ),
            ("!10.0.0.1", "\"!10.0.0.1\": negated values and sets are written into the file by hand"),
            ("@lan", "\"@lan\": negated values and sets are written into the file by hand"),
            ("hopopt", "protocol 0 (ip, hopopt) is no protocol of its own; to mean every protocol, say nothing"),
            ("protocol:0", "protocol 0 (ip, hopopt) is no protocol of its own; to mean every protocol, say nothing"),
        ] {
            assert_eq!(parse(text).unwrap_err(), reason, "{text}");
        }
    }
}
