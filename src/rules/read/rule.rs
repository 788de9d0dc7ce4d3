//! The ordered rules: their frame and their ids; the conditions have a file of their own.

use super::Reader;
use crate::rules::id;
use crate::rules::json::{Kind, Node};
use crate::rules::limits::MAX_RULES;
use crate::rules::model::{Action, Condition, Rule, RuleDirection};
use std::collections::HashMap;

/// The keys of a rule.
pub(in crate::rules) const RULE_KEYS: [&str; 13] = [
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
        let fields = self.object(node, &RULE_KEYS, "a rule is an object { \"action\": ... }")?;
        let meta = self.meta(&fields);
        let action = self.required(node, &fields, "action");
        let action = action.and_then(|node| self.word(&node, &ACTIONS, &ACTION_SYNONYMS));
        let direction = fields.get("direction").and_then(|node| self.word(&node, &DIRECTIONS, &DIRECTION_SYNONYMS));
        let mut conditions = self.conditions(&fields);
        self.check_together(node, &fields, &conditions);
        if meta.enabled {
            self.warn_idle_protocols(&fields, &conditions);
        }
        conditions.imply_protocol();
        Some(Rule {
            id: meta.id.unwrap_or_default(),
            action: action.unwrap_or(Action::Block),
            direction,
            protocol: conditions.protocol.into_option(),
            src: conditions.src.into_option(),
            dst: conditions.dst.into_option(),
            src_port: conditions.src_port.into_option(),
            dst_port: conditions.dst_port.into_option(),
            icmp_type: conditions.icmp_type.into_option(),
            interface: conditions.interface,
            comment: meta.comment,
            expires: meta.expires,
            enabled: meta.enabled,
            index: u32::try_from(index).unwrap_or(u32::MAX),
            offset: node.offset(),
        })
    }

    /// Gives each rule that has no id one that is derived from its content; the second of two equal rules gets a
    /// number.
    fn derive_ids(&self, rules: &mut [Rule]) {
        let mut equal_before: HashMap<String, usize> = HashMap::new();
        for rule in rules.iter_mut().filter(|rule| rule.id.is_empty()) {
            let derived = derived_id(rule);
            let count = equal_before.entry(derived.clone()).or_default();
            let numbers = *count + 1..;
            let mut ids = numbers.map(|number| (number, id::numbered(&derived, number)));
            if let Some((number, id)) = ids.find(|(_, id)| !self.ids.contains_key(id.as_str())) {
                *count = number;
                rule.id = id.into();
            }
        }
    }
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
