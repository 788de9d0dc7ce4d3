//! The ordered rules: reading each, and what its conditions must not say together.

use super::Reader;
use super::list::Listed;
use super::object::Fields;
use crate::packet::Protocol;
use crate::rules::exact::{ExactSet, Term};
use crate::rules::icmp::NumbersAre;
use crate::rules::json::{Kind, Node};
use crate::rules::limits::{MAX_INTERFACE_BYTES, MAX_RULES};
use crate::rules::model::{Action, Condition, Rule, RuleDirection};
use crate::rules::parsed::Parsed;
use crate::rules::protocol::{self, ProtocolSet};
use crate::rules::{address, icmp, id, port};
use std::collections::HashSet;
use std::sync::Arc;

const KEYS: [&str; 13] = [
    "id",
    "action",
    "direction",
    "protocol",
    "src",
    "dst",
    "src_port",
    "dst_port",
    "icmp_type",
    "interface",
    "comment",
    "expires",
    "enabled",
];

const ACTIONS: [(&str, Action); 4] =
    [("allow", Action::Allow), ("block", Action::Block), ("deny", Action::Block), ("reject", Action::Reject)];
const ACTION_SYNONYMS: [(&str, &str); 5] =
    [("accept", "allow"), ("pass", "allow"), ("permit", "allow"), ("drop", "block"), ("refuse", "reject")];
const DIRECTIONS: [(&str, RuleDirection); 2] = [("in", RuleDirection::In), ("out", RuleDirection::Out)];
const DIRECTION_SYNONYMS: [(&str, &str); 8] = [
    ("incoming", "in"),
    ("inbound", "in"),
    ("input", "in"),
    ("ingress", "in"),
    ("outgoing", "out"),
    ("outbound", "out"),
    ("output", "out"),
    ("egress", "out"),
];

/// A condition of a rule while it is read.
enum Field<C> {
    /// It is not there.
    Missing,
    /// It has errors, which have been told: nothing more is to be said of it.
    Broken,
    Read(C),
}

impl<C> Field<C> {
    fn read(&self) -> Option<&C> {
        if let Self::Read(condition) = self { Some(condition) } else { None }
    }

    fn into_option(self) -> Option<C> {
        if let Self::Read(condition) = self { Some(condition) } else { None }
    }
}

impl Reader<'_> {
    pub(super) fn rules(&mut self, node: Option<&Node<'_, '_>>) -> Vec<Rule> {
        let Some(node) = node else { return Vec::new() };
        if self.expect(node, Kind::List, "a list of rules is needed here").is_none() {
            return Vec::new();
        }
        let mut rules = Vec::new();
        for (index, element) in node.items().enumerate() {
            if index == MAX_RULES {
                let advice = "addresses and ports can share a rule, as a list or a set";
                self.error(&element, format!("more than {MAX_RULES} rules; {advice}"));
                break;
            }
            rules.extend(self.rule(&element, index));
        }
        self.derive_ids(&mut rules);
        rules
    }

    fn rule(&mut self, node: &Node<'_, '_>, index: usize) -> Option<Rule> {
        let fields = self.object(node, &KEYS, "a rule is an object { \"action\": ... }")?;
        let meta = self.meta(&fields);
        let action = self.required(node, &fields, "action");
        let action = action.and_then(|node| self.word(&node, &ACTIONS, &ACTION_SYNONYMS));
        let direction = fields.get("direction").and_then(|node| self.word(&node, &DIRECTIONS, &DIRECTION_SYNONYMS));
        let mut protocol = self.field(&fields, "protocol", protocol::parse);
        let src = self.field(&fields, "src", address::parse);
        let dst = self.field(&fields, "dst", address::parse);
        let src_port = self.field(&fields, "src_port", |text| port::parse(text).map(Parsed::from));
        let dst_port = self.field(&fields, "dst_port", |text| port::parse(text).map(Parsed::from));
        let only_v6 =
            protocol.read().is_some_and(|protocol| protocol.set == ProtocolSet::from_iter([Protocol::ICMPV6]));
        let numbers = if only_v6 { NumbersAre::V6 } else { NumbersAre::V4 };
        let icmp_type = match protocol {
            Field::Broken => Field::Broken,
            _ => self.field(&fields, "icmp_type", |text| icmp::parse(text, numbers).map(Parsed::from)),
        };
        let interface = self.interface(&fields);

        if let (Some(src), Some(dst)) = (src.read(), dst.read())
            && (src.set.v4.is_empty() || dst.set.v4.is_empty())
            && (src.set.v6.is_empty() || dst.set.v6.is_empty())
        {
            self.error(node, "src and dst are of different families: no packet has both");
        }
        self.check_ports(&fields, &protocol, &src_port, &dst_port);
        self.check_icmp(&fields, &protocol, &icmp_type);
        if let (Field::Read(_), true) = (&icmp_type, src_port.read().is_some() || dst_port.read().is_some()) {
            self.error(node, "icmp_type and ports in one rule: ICMP has no ports");
        }
        imply_protocol(&mut protocol, &src_port, &dst_port, &icmp_type);

        Some(Rule {
            id: meta.id.unwrap_or_default(),
            action: action.unwrap_or(Action::Block),
            direction,
            protocol: protocol.into_option(),
            src: src.into_option(),
            dst: dst.into_option(),
            src_port: src_port.into_option(),
            dst_port: dst_port.into_option(),
            icmp_type: icmp_type.into_option(),
            interface,
            comment: meta.comment,
            expires: meta.expires,
            enabled: meta.enabled,
            index: u32::try_from(index).unwrap_or(u32::MAX),
            offset: node.offset(),
        })
    }

    fn field<T: Listed + Term>(
        &mut self,
        fields: &Fields<'_, '_>,
        key: &str,
        parse: impl Fn(&str) -> Result<Parsed<T>, String>,
    ) -> Field<Condition<T, T::Set>> {
        match fields.get(key).map(|node| self.condition(&node, parse)) {
            None => Field::Missing,
            Some(None) => Field::Broken,
            Some(Some(condition)) => Field::Read(condition),
        }
    }

    fn interface(&mut self, fields: &Fields<'_, '_>) -> Vec<(bool, Box<str>)> {
        let items = fields.get("interface").and_then(|node| self.items(&node, interface_name)).unwrap_or_default();
        items.iter().flat_map(|item| self.terms(item)).collect()
    }

    /// Ports need TCP or UDP, and each condition must leave something of what the others want.
    fn check_ports(
        &mut self,
        fields: &Fields<'_, '_>,
        protocol: &Field<Condition<ProtocolSet, ProtocolSet>>,
        src_port: &Field<Condition<port::PortSet, port::PortSet>>,
        dst_port: &Field<Condition<port::PortSet, port::PortSet>>,
    ) {
        let mut left = protocol.read().map_or_else(ProtocolSet::with_ports, |protocol| protocol.set);
        for (key, ports) in [("src_port", src_port), ("dst_port", dst_port)] {
            let (Some(ports), Some(node)) = (ports.read(), fields.get(key)) else { continue };
            let before = left;
            left = left.intersection(protocols_of(&ports.set));
            match protocol.read() {
                _ if ports.set.is_empty() || before.is_empty() => {}
                Some(written) if left.is_empty() && !written.set.is_subset(protocols_of(&ports.set)) => {
                    let message = format!(
                        "{} are ports of {}, and the rule's protocol is {}",
                        ports.text,
                        protocols_of(&ports.set),
                        written.text
                    );
                    self.error(&node, message);
                }
                _ if left.is_empty() => self.error(&node, "src_port and dst_port are of different protocols"),
                Some(written)
                    if !written.set.is_subset(ProtocolSet::with_ports())
                        && written.terms.iter().all(|(negated, _)| !negated) =>
                {
                    let idle = written.set.difference(ProtocolSet::with_ports());
                    self.warning(
                        &node,
                        format!("only TCP and UDP have ports: {idle} in this rule's protocol is without effect"),
                    );
                }
                _ => {}
            }
        }
    }

    /// An ICMP type needs ICMP.
    fn check_icmp(
        &mut self,
        fields: &Fields<'_, '_>,
        protocol: &Field<Condition<ProtocolSet, ProtocolSet>>,
        icmp_type: &Field<Condition<icmp::IcmpSet, icmp::IcmpSet>>,
    ) {
        let (Some(protocol), Some(_), Some(node)) = (protocol.read(), icmp_type.read(), fields.get("icmp_type")) else {
            return;
        };
        if protocol.set.intersection(ProtocolSet::icmp()) == ProtocolSet::default() {
            self.error(&node, format!("icmp_type needs protocol icmp or icmpv6, and the rule's is {}", protocol.text));
        } else if !protocol.set.is_subset(ProtocolSet::icmp()) && protocol.terms.iter().all(|(negated, _)| !negated) {
            let idle = protocol.set.difference(ProtocolSet::icmp());
            self.warning(&node, format!("only ICMP has types: {idle} in this rule's protocol is without effect"));
        }
    }

    /// Gives each rule that has no id one that is derived from its content; the second of two equal rules gets a
    /// number.
    fn derive_ids(&self, rules: &mut [Rule]) {
        let mut taken: HashSet<Arc<str>> = self.ids.keys().cloned().collect();
        for rule in rules.iter_mut().filter(|rule| rule.id.is_empty()) {
            let derived = derived_id(rule);
            let mut id: Arc<str> = derived.as_str().into();
            let mut number = 1;
            while taken.contains(&id) {
                number += 1;
                id = id::numbered(&derived, number).into();
            }
            taken.insert(Arc::clone(&id));
            rule.id = id;
        }
    }
}

/// The protocol that ports and ICMP types imply where none is named.
fn imply_protocol(
    protocol: &mut Field<Condition<ProtocolSet, ProtocolSet>>,
    src_port: &Field<Condition<port::PortSet, port::PortSet>>,
    dst_port: &Field<Condition<port::PortSet, port::PortSet>>,
    icmp_type: &Field<Condition<icmp::IcmpSet, icmp::IcmpSet>>,
) {
    if !matches!(protocol, Field::Missing) {
        return;
    }
    let ports = [src_port, dst_port].into_iter().filter_map(Field::read).map(|ports| protocols_of(&ports.set));
    let implied = match (icmp_type, ports.reduce(ProtocolSet::intersection)) {
        (Field::Read(_), _) => ProtocolSet::icmp(),
        (_, Some(set)) => set,
        _ => return,
    };
    let text = implied.to_string().into();
    *protocol = Field::Read(Condition { terms: vec![(false, implied)], set: implied, text });
}

/// TCP, UDP or both: what the ports are of.
fn protocols_of(ports: &port::PortSet) -> ProtocolSet {
    let tcp = (!ports.tcp.is_empty()).then_some(Protocol::TCP);
    let udp = (!ports.udp.is_empty()).then_some(Protocol::UDP);
    tcp.into_iter().chain(udp).collect()
}

/// The name of an interface, or the beginning of one and `+` (as `dev_valid_name` of the kernel has it).
fn interface_name(text: &str) -> Result<Parsed<Box<str>>, String> {
    let reason = if text.is_empty() {
        "the name is empty"
    } else if text.len() > MAX_INTERFACE_BYTES {
        "a name has 15 bytes at most"
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/' || c == ':') {
        "a name has no white space, control character, '/' or ':'"
    } else if text == "." || text == ".." {
        "the kernel allows no such name"
    } else {
        return Ok(Parsed::from(Box::from(text)));
    };
    Err(format!("{} is not an interface: {reason}", crate::rules::diagnostic::quoted(text)))
}

/// The derived id of a rule: from what it does, and none of its remarks.
fn derived_id(rule: &Rule) -> String {
    fn text<T, S>(condition: Option<&Condition<T, S>>) -> &str {
        condition.map_or("", |condition| &condition.text)
    }
    let action = match rule.action {
        Action::Allow => "allow",
        Action::Block => "block",
        Action::Reject => "reject",
    };
    let direction = match rule.direction {
        Some(RuleDirection::In) => "in",
        Some(RuleDirection::Out) => "out",
        None => "",
    };
    let interface =
        rule.interface.iter().map(|(negated, name)| if *negated { format!("!{name}") } else { name.to_string() });
    let interface = interface.collect::<Vec<_>>().join(", ");
    let protocol = text(rule.protocol.as_ref());
    let (src_port, dst_port) = (text(rule.src_port.as_ref()), text(rule.dst_port.as_ref()));
    let icmp_type = text(rule.icmp_type.as_ref());
    let words = [action, direction, protocol, icmp_type, dst_port].into_iter().filter(|word| !word.is_empty());
    let readable = words.collect::<Vec<_>>().join("-").replace(", ", "-");
    let content = [
        action,
        direction,
        protocol,
        text(rule.src.as_ref()),
        text(rule.dst.as_ref()),
        src_port,
        dst_port,
        icmp_type,
        &interface,
    ];
    id::of_rule(&readable, &content.join("|"))
}
