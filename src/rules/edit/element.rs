//! What is to be added, as JSON: entries and rules, and what may stand beside a value.

use super::list::List;
use super::style::{ObjectStyle, quoted};
use super::target::Value;
use crate::rules::model::{Action, RuleDirection};
use crate::time::Timestamp;

/// What may stand beside a value or in a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// An id; without one it is derived from the content.
    pub id: Option<String>,
    /// A remark of one line.
    pub comment: Option<String>,
    /// From this time on it is as if it were not there; whole seconds are written, rounded up.
    pub expires: Option<Timestamp>,
}

/// An ordered rule that is to be added. Conditions are texts as in the file (`"@lan"`, `"!192.0.2.1"`, `"445/tcp"`):
/// one, several that are a list, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRule {
    /// What it asks for.
    pub action: Action,
    /// `None`: both directions.
    pub direction: Option<RuleDirection>,
    /// Protocols.
    pub protocol: Vec<String>,
    /// Source addresses.
    pub src: Vec<String>,
    /// Destination addresses.
    pub dst: Vec<String>,
    /// Source ports.
    pub src_port: Vec<String>,
    /// Destination ports.
    pub dst_port: Vec<String>,
    /// ICMP types.
    pub icmp_type: Vec<String>,
    /// Names of interfaces.
    pub interface: Vec<String>,
    /// Id, remark and expiry.
    pub details: Details,
}

impl NewRule {
    /// A rule that is true for every packet, to be narrowed by its conditions.
    pub fn new(action: Action) -> Self {
        let none = Vec::new;
        Self {
            action,
            direction: None,
            protocol: none(),
            src: none(),
            dst: none(),
            src_port: none(),
            dst_port: none(),
            icmp_type: none(),
            interface: none(),
            details: Details::default(),
        }
    }

    /// The rule as it is written.
    pub(super) fn write(&self, style: &ObjectStyle) -> String {
        let action = match self.action {
            Action::Allow => "allow",
            Action::Block => "block",
            Action::Reject => "reject",
        };
        let direction = self.direction.map(|direction| match direction {
            RuleDirection::In => quoted("in"),
            RuleDirection::Out => quoted("out"),
        });
        let conditions = [
            ("protocol", &self.protocol),
            ("src", &self.src),
            ("dst", &self.dst),
            ("src_port", &self.src_port),
            ("dst_port", &self.dst_port),
            ("icmp_type", &self.icmp_type),
            ("interface", &self.interface),
        ];
        let id = self.details.id.as_deref().map(quoted);
        let mut members: Vec<(&str, String)> = Vec::new();
        members.extend(id.map(|id| ("id", id)));
        members.push(("action", quoted(action)));
        members.extend(direction.map(|direction| ("direction", direction)));
        members.extend(conditions.iter().filter_map(|(key, terms)| Some((*key, condition(key, terms)?))));
        members.extend(self.details.comment.as_deref().map(|comment| ("comment", quoted(comment))));
        members.extend(self.details.expires.map(|time| ("expires", quoted(&rfc3339(time)))));
        style.write(&members)
    }
}

/// A condition as it is written: a number where that is the usual spelling.
fn condition(key: &str, terms: &[String]) -> Option<String> {
    let one = |term: &String| if key == "interface" { quoted(term) } else { scalar(term) };
    match terms {
        [] => None,
        [term] => Some(one(term)),
        terms => Some(format!("[{}]", terms.iter().map(one).collect::<Vec<_>>().join(", "))),
    }
}

/// An entry of `list` as it is written: the value alone, or an object if something stands beside it.
pub(super) fn entry(list: List, value: &Value, details: &Details, style: &ObjectStyle) -> String {
    let Details { id, comment, expires } = details;
    let value = scalar(&value.to_string());
    if id.is_none() && comment.is_none() && expires.is_none() {
        return value;
    }
    let beside = [
        ("id", id.as_deref().map(quoted)),
        ("comment", comment.as_deref().map(quoted)),
        ("expires", expires.map(|time| quoted(&rfc3339(time)))),
    ];
    let beside = beside.into_iter().filter_map(|(key, json)| Some((key, json?)));
    style.write(&[(list.value_key(), value)].into_iter().chain(beside).collect::<Vec<_>>())
}

/// A value as JSON: a number if it is one as JSON writes it, a string otherwise.
fn scalar(text: &str) -> String {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_number && !text.is_empty() { text.to_owned() } else { quoted(text) }
}

/// `2027-01-01T00:00:00Z`, or with milliseconds: what `expires` holds, rounded up to these.
pub(super) fn rfc3339(time: Timestamp) -> String {
    let millis = time.nanos().div_euclid(1_000_000) + i64::from(time.nanos().rem_euclid(1_000_000) > 0);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}
