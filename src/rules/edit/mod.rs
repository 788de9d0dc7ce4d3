//! Changes to a rules file, as values that are applied to its text: [`Edit::apply`].
//!
//! Only the touched place of the text changes, and what is written there looks like what surrounds it; order, line
//! ends, indentation and all other entries stay byte for byte. A text that is handed out has been read again: it
//! is sound, and says what the old one said plus the change. Pure: files are `store`'s matter.

mod apply;
mod built_in;
mod container;
mod element;
mod list;
mod place;
mod remark;
mod style;
mod target;
mod undo;

#[cfg(test)]
mod tests;

pub use built_in::built_in;
pub use element::{Details, NewRule};
pub use list::List;
pub use remark::Remark;
pub use target::{Target, Value};
pub use undo::Undo;

use super::model::{Action, RuleDirection, Ruleset};
use std::fmt;
use std::sync::Arc;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Puts a value at the end of a list of its kind. If it stands there already, what stands beside it is brought up
    /// to date: it is enabled, the later expiry counts, and a remark is replaced.
    Add {
        /// The list.
        list: List,
        /// The value.
        value: Value,
        /// What stands beside it.
        details: Details,
    },
    /// Puts a rule among the ordered ones.
    AddRule {
        /// Where.
        at: At,
        /// The rule.
        rule: Box<NewRule>,
    },
    /// Takes a value out of a list, wherever it stands there, alone or among others.
    Drop {
        /// The list.
        list: List,
        /// The value.
        value: Value,
    },
    /// Takes out what has this id: a rule, or every entry that has it.
    Remove {
        /// The id, given or derived.
        id: Arc<str>,
    },
    /// Switches what has this id on or off.
    SetEnabled {
        /// The id, given or derived.
        id: Arc<str>,
        /// On or off.
        enabled: bool,
    },
}

/// A place among the ordered rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// Before all others: it decides first.
    First,
    /// Behind all others.
    Last,
    /// Before the rule with this id.
    Before(Arc<str>),
    /// Behind the rule with this id.
    After(Arc<str>),
}

/// What came of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether anything changed.
    pub outcome: Outcome,
    /// The ids of what was added, removed, switched, or is there already.
    pub ids: Vec<Arc<str>>,
    /// What else there is to know.
    pub remarks: Vec<Remark>,
}

/// Whether an edit changed anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Changed(Change),
    /// The file says so already.
    AlreadyThere,
    /// There was nothing to take out.
    NotThere,
}

/// A text that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What was done.
    pub done: Done,
    /// The new text of the file.
    pub text: String,
    /// The way back.
    pub undo: Undo,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Something was added.
    Added,
    /// What stands beside an entry was changed.
    Updated,
    /// Something was taken out.
    Removed,
    /// Something was switched on.
    Enabled,
    /// Something was switched off.
    Disabled,
}

/// Why an edit can't be done: one line, with its remedy where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl Edit {
    /// `pfw block`: puts the value into the list that blocks its kind.
    pub fn block(value: Value, details: Details) -> Self {
        Self::Add { list: value.block_list(), value, details }
    }

    /// `pfw allow`: an address goes into `allow_ips`. There is no list of allowed ports, so that for a port the first
    /// rule lets it in; for a protocol too, unless `allow_protocols` is in use: as the first entry there it would
    /// block all other protocols.
    pub fn allow(value: Value, details: Details, rules: &Ruleset) -> Self {
        let (term, list) = (vec![value.to_string()], value.block_list());
        let rule = NewRule { details: details.clone(), ..NewRule::new(Action::Allow) };
        let rule = match list {
            List::BlockPorts => NewRule { direction: Some(RuleDirection::In), dst_port: term, ..rule },
            List::BlockProtocols if rules.allow_protocols.is_empty() => NewRule { protocol: term, ..rule },
            List::BlockProtocols => return Self::Add { list: List::AllowProtocols, value, details },
            _ => return Self::Add { list: List::AllowIps, value, details },
        };
        Self::AddRule { at: At::First, rule: Box::new(rule) }
    }

    /// `pfw unblock`: takes a value out of the list that blocks its kind, or takes out what has an id.
    pub fn unblock(target: Target) -> Self {
        match target {
            Target::Value(value) => Self::Drop { list: value.block_list(), value },
            Target::Id(id) => Self::Remove { id },
        }
    }

    /// `pfw enable` and `pfw disable`: switches what has an id, or what stands for a value in the list that blocks its
    /// kind.
    pub fn switch(target: Target, enabled: bool, rules: &Ruleset) -> Self {
        let id = match target {
            Target::Id(id) => id,
            Target::Value(value) => value.id_in(rules),
        };
        Self::SetEnabled { id, enabled }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Answer {
    /// One line: `added block_ips:192.0.2.1; block_ips:192.0.2.0/24 covers it too`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.outcome {
            Outcome::Changed(change) => match change.done {
                Done::Added => "added",
                Done::Updated => "changed",
                Done::Removed => "removed",
                Done::Enabled => "enabled",
                Done::Disabled => "disabled",
            },
            Outcome::AlreadyThere => "nothing to do, this is so already:",
            Outcome::NotThere => "nothing to do, this is not there:",
        })?;
        for (index, id) in self.ids.iter().enumerate() {
            write!(f, "{} {id}", if index == 0 { "" } else { "," })?;
        }
        self.remarks.iter().try_for_each(|remark| write!(f, "; {remark}"))
    }
}
