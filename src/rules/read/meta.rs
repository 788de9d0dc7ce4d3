//! What may stand in every object beside its value: `id`, `comment`, `expires`, `enabled`.

use super::Reader;
use super::object::Fields;
use crate::rules::diagnostic::quoted;
use crate::rules::id;
use crate::rules::json::{Kind, Node};
use crate::rules::limits::MAX_COMMENT_CHARS;
use crate::time::Timestamp;
use std::sync::Arc;

/// The four.
#[derive(Clone)]
pub(super) struct Meta {
    pub(super) id: Option<Arc<str>>,
    pub(super) comment: Option<Box<str>>,
    pub(super) expires: Option<Timestamp>,
    pub(super) enabled: bool,
}

impl Default for Meta {
    fn default() -> Self {
        Self { id: None, comment: None, expires: None, enabled: true }
    }
}

impl Reader<'_> {
    pub(super) fn meta(&mut self, fields: &Fields<'_, '_>) -> Meta {
        Meta {
            id: fields.get("id").and_then(|node| self.id(&node)),
            comment: self.comment(fields),
            expires: fields.get("expires").and_then(|node| self.expires(&node)),
            enabled: fields.get("enabled").is_none_or(|node| self.enabled(&node)),
        }
    }

    /// The comment of an object.
    pub(super) fn comment(&mut self, fields: &Fields<'_, '_>) -> Option<Box<str>> {
        let node = fields.get("comment")?;
        let text = self.string(&node, "a text is needed here")?;
        let length = text.chars().count();
        if length > MAX_COMMENT_CHARS {
            self.error(&node, format!("a comment has {MAX_COMMENT_CHARS} characters at most, this one {length}"));
        }
        if text.chars().any(char::is_control) {
            self.error(&node, "a comment is one line without control characters");
        }
        Some((*text).into())
    }

    fn id(&mut self, node: &Node<'_, '_>) -> Option<Arc<str>> {
        let text = self.string(node, "an id is a string")?;
        if let Err(reason) = id::check(&text) {
            self.error(node, reason);
            return None;
        }
        let id: Arc<str> = (*text).into();
        let Some(first) = self.ids.get(&id) else {
            self.ids.insert(Arc::clone(&id), node.path.to_string());
            return Some(id);
        };
        let message = format!("the id {} is taken: it stands at {first} too", quoted(&id));
        self.error(node, message);
        None
    }

    fn expires(&mut self, node: &Node<'_, '_>) -> Option<Timestamp> {
        let needed = "a time such as \"2027-01-01T00:00:00Z\" is needed here";
        let text = self.string(node, needed)?;
        let time = text.parse::<jiff::Timestamp>().ok().filter(|_| has_rfc3339_form(&text));
        if time.is_none() {
            self.error(node, format!("{needed}, not {}", quoted(&text)));
        }
        let time = time?;
        let nanos = u32::try_from(time.subsec_nanosecond().rem_euclid(1_000_000_000)).unwrap_or(0);
        // Jiff rounds towards zero, `from_parts` wants the second that began before.
        let seconds = time.as_second() - i64::from(time.subsec_nanosecond() < 0);
        Some(Timestamp::from_parts(seconds, nanos))
    }

    fn enabled(&mut self, node: &Node<'_, '_>) -> bool {
        self.expect(node, Kind::Bool, "true or false is needed here");
        node.raw() == "true"
    }
}

/// Whether `text` has the form of an RFC 3339 time: jiff reads more than that.
fn has_rfc3339_form(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00").or_else(|| shape.strip_prefix("0000-00-00t00:00:00"))
    else {
        return false;
    };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) if fraction.starts_with('0') => fraction.trim_start_matches('0'),
        Some(_) => return false,
        None => rest,
    };
    // What follows a fraction has lost its digits' zeros only if it began with one, and a zone never does.
    matches!(zone, "Z" | "z" | "+00:00" | "-00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rfc_3339_has_its_form() {
        for text in ["2027-01-01T00:00:00Z", "2027-01-01t00:00:00.123z", "2027-01-01T00:00:00+02:00"] {
            assert!(has_rfc3339_form(text), "{text}");
        }
        for text in [
            "2027-01-01",
            "2027-01-01 00:00:00Z",
            "2027-01-01T00:00Z",
            "2027-01-01T00:00:00",
            "2027-01-01T00:00:00.Z",
            "2027-01-01T00:00:00+02",
            "2027-01-01T00:00:00Z[UTC]",
        ] {
            assert!(!has_rfc3339_form(text), "{text}");
        }
    }
}
