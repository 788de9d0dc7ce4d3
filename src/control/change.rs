//! What a client may change: rules, and what pfw does with them.

use serde::{Deserialize, Serialize};

/// A change of the rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What is to be done.
    pub op: Op,
    /// With what: an address, a network, a port, a protocol, or the id of a rule or an entry.
    pub target: String,
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
        Self { op, target: target.into(), for_seconds: None, comment: None, temporary: false, force: false }
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
