//! The lists of a rules file that can be edited.

use super::target::Value;
use crate::rules::read::{KEYS, RULE_KEYS};
use crate::rules::{address, id, port, protocol};

/// A list at the top of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    /// Peers that are always let through.
    AllowIps,
    /// Peers that are blocked.
    BlockIps,
    /// Files of blocked peers.
    BlockLists,
    /// Ports that are blocked.
    BlockPorts,
    /// Protocols that are blocked.
    BlockProtocols,
    /// The only protocols that are allowed.
    AllowProtocols,
    /// The ordered rules.
    Rules,
}

impl List {
    /// All of them, in the order of the file.
    pub const ALL: [Self; 7] = [
        Self::AllowIps,
        Self::BlockIps,
        Self::BlockLists,
        Self::BlockPorts,
        Self::BlockProtocols,
        Self::AllowProtocols,
        Self::Rules,
    ];

    /// Its key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::AllowIps => "allow_ips",
            Self::BlockIps => "block_ips",
            Self::BlockLists => "block_lists",
            Self::BlockPorts => "block_ports",
            Self::BlockProtocols => "block_protocols",
            Self::AllowProtocols => "allow_protocols",
            Self::Rules => "rules",
        }
    }

    /// The key that the value has in an entry that is an object; a rule has none.
    pub(super) fn value_key(self) -> &'static str {
        match self {
            Self::AllowIps | Self::BlockIps => "ip",
            Self::BlockLists => "file",
            Self::BlockPorts => "port",
            Self::BlockProtocols | Self::AllowProtocols => "protocol",
            Self::Rules => "",
        }
    }

    /// The keys of one of its objects, in the order in which they are written.
    pub(super) fn object_keys(self) -> Vec<&'static str> {
        match self {
            Self::Rules => RULE_KEYS.to_vec(),
            _ => vec![self.value_key(), "id", "comment", "expires", "enabled"],
        }
    }

    /// Whether `value` is of the kind that the list holds.
    pub(super) fn holds(self, value: &Value) -> bool {
        match self {
            Self::AllowProtocols => value.block_list() == Self::BlockProtocols,
            Self::AllowIps => value.block_list() == Self::BlockIps,
            list => value.block_list() == list,
        }
    }

    /// What an entry with this text holds; none for a set, a negated value and what is no value.
    pub(super) fn value(self, text: &str) -> Option<Value> {
        match self {
            Self::AllowIps | Self::BlockIps => address::parse(text).ok().map(|parsed| Value::Address(parsed.value)),
            Self::BlockPorts => port::parse(text).ok().map(Value::Ports),
            Self::BlockProtocols | Self::AllowProtocols => {
                protocol::parse(text).ok().map(|parsed| Value::Protocol(parsed.value))
            }
            Self::BlockLists | Self::Rules => None,
        }
    }

    /// The id that an entry with this text has unless it was given one.
    pub(super) fn derived_id(self, text: &str) -> String {
        let (negated, plain) = text.strip_prefix('!').map_or((false, text), |rest| (true, rest));
        let value = self.value(plain).map(|value| value.to_string());
        id::of_entry(self.key(), negated, value.as_deref().unwrap_or(plain))
    }
}

/// The keys of the file, in the order in which they are written.
pub(super) const FILE_KEYS: &[&str] = &KEYS;
