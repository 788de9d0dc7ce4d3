//! What a client may change: rules, and what pfw does with them.

use serde::{Deserialize, Serialize};

/// A change of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What is to be done.
    pub op: Op,
    /// With what: an address, a network, a port, a protocol, or the id of a rule or an entry; or with a list of such, all
    /// or none of which are done.
    #[serde(rename = "target", with = "one_or_more")]
    pub targets: Vec<String>,
    /// For how many seconds; without end if it is missing. What can't end by itself in the file is temporary then.
    #[serde(default)]
    pub for_seconds: Option<u64>,
    /// A remark for the file.
    #[serde(default)]
    pub comment: Option<String>,
    /// Only for as long as this pfw runs: the file stays as it is.
    #[serde(default)]
    pub temporary: bool,
    /// Even if it cuts the caller's own session, or blocks an own address.
    #[serde(default)]
    pub force: bool,
}

/// One is a text, more are a list of texts.
mod one_or_more {
    use serde::de::value::SeqAccessDeserializer;
    use serde::de::{SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::fmt;

    pub(super) fn serialize<S: Serializer>(texts: &[String], to: S) -> Result<S::Ok, S::Error> {
        match texts {
            [one] => one.serialize(to),
            more => more.serialize(to),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, one: &str) -> Result<Self::Value, E> {
                Ok(vec![one.to_owned()])
            }

            fn visit_seq<A: SeqAccess<'de>>(self, more: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(more))
            }
        }
        from.deserialize_any(Texts)
    }
}

/// The kinds of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// Blocks a value.
    Block,
    /// Lets a value through.
    Allow,
    /// Takes out what blocks a value, or what has an id.
    Unblock,
    /// Switches on what is in the file.
    Enable,
    /// Switches it off.
    Disable,
}

impl Change {
    /// A change without end, with nothing beside it.
    pub fn new(op: Op, target: impl Into<String>) -> Self {
        Self { op, targets: vec![target.into()], for_seconds: None, comment: None, temporary: false, force: false }
    }
}

/// What is done without question, unless it would cut the caller's own session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forcible {
    /// To take the last change back.
    Undo,
    /// To read the rules file again and put it in force.
    Reload,
}

/// What can be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// The rules are out of the kernel, and the log says what they would block.
    Enforcement,
    /// Packets that are allowed have no line.
    Monitoring,
}

/// What can be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resumed {
    /// The pause of enforcement.
    Enforcement,
    /// The pause of monitoring.
    Monitoring,
    /// The panic.
    Panic,
}
