//! The rule set as values: what `rules.json` says once it has been read, with nothing left to check.
//!
//! `engine` compiles it for packets, `firewall` for the kernel, `check-rules` prints it. Each condition keeps what
//! the user wrote ([`Condition::terms`], for messages and for kernel rules that look like the file) beside what it
//! means ([`Condition::set`], for exact arithmetic).

use super::address::{AddressRange, AddressSet};
use super::icmp::IcmpSet;
use super::port::PortSet;
use super::protocol::ProtocolSet;
use crate::alert::Settings;
use crate::time::Timestamp;
use std::path::PathBuf;
use std::sync::Arc;

/// A whole rules file, read and checked.
#[derive(Clone, Debug, Default)]
pub struct Ruleset {
    /// What happens to a packet that nothing before decided.
    pub default_policy: DefaultPolicy,
    /// Byte offset of the default policy in the file; 0 if it is not there.
    pub default_policy_offset: u32,
    /// Peers that are always let through (and never banned).
    pub allow_ips: Vec<AddressEntry>,
    /// Peers that are blocked.
    pub block_ips: Vec<AddressEntry>,
    /// Files of blocked peers.
    pub block_lists: Vec<BlockList>,
    /// Ports that are blocked at either end.
    pub block_ports: Vec<PortEntry>,
    /// Protocols that are blocked.
    pub block_protocols: Vec<ProtocolEntry>,
    /// When not empty: the only protocols that are allowed, of what came so far.
    pub allow_protocols: Vec<ProtocolEntry>,
    /// The ordered rules, disabled ones included.
    pub rules: Vec<Rule>,
    /// What is to be taken for suspicious.
    pub detect: Settings,
    /// All but what this machine says to itself is blocked, whatever the rest says. No file says so: `pfw panic` does.
    pub panic: bool,
}

impl Ruleset {
    /// How many rules there are: entries of lists, each block list as one, ordered rules, and a panic.
    pub fn len(&self) -> usize {
        fn places<T>(entries: &[Entry<T>]) -> usize {
            // What one place of the file stands for is together.
            entries.chunk_by(|a, b| a.offset == b.offset && a.id == b.id).count()
        }
        let addresses = places(&self.allow_ips) + places(&self.block_ips) + self.block_lists.len();
        let numbers = places(&self.block_ports) + places(&self.block_protocols) + places(&self.allow_protocols);
        addresses + numbers + self.rules.len() + usize::from(self.panic)
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What to do with a packet that no rule decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Let it through.
    #[default]
    Allow,
    /// Block it.
    Deny,
}

/// The default policy of each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DefaultPolicy {
    /// For incoming packets.
    pub incoming: Policy,
    /// For outgoing packets.
    pub outgoing: Policy,
}

/// One entry of a list, and what may stand beside it in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// The value.
    pub value: T,
    /// Written with `!`: takes its value away from what the list's positive entries say.
    pub negated: bool,
    /// The id that was given, or the derived one (`block_ports:445/tcp`). Entries that came from one place in the
    /// file (`"@lan"`) share it.
    pub id: Arc<str>,
    /// The user's remark.
    pub comment: Option<Box<str>>,
    /// From this time on the entry is as if it were not there.
    pub expires: Option<Timestamp>,
    /// `"enabled": false` keeps an entry in the file without effect.
    pub enabled: bool,
    /// Byte offset of the entry in the file.
    pub offset: u32,
}

/// An entry of `allow_ips` or `block_ips`.
pub type AddressEntry = Entry<AddressRange>;
/// An entry of `block_ports`.
pub type PortEntry = Entry<PortSet>;
/// An entry of `block_protocols` or `allow_protocols`.
pub type ProtocolEntry = Entry<ProtocolSet>;

/// A file of blocked peers.
#[derive(Clone, Debug)]
pub struct BlockList {
    /// Rule id: `block_lists:` and the path as written, cut to what an id may be.
    pub id: Arc<str>,
    /// The file, resolved against the folder of the rules file.
    pub path: PathBuf,
    /// Its networks in file order, as written (they may overlap), each IPv4 or IPv6. The same value for as long as the
    /// file stays as it is and is read with the same [`Lists`](super::Lists).
    pub networks: Arc<[AddressRange]>,
    /// From this time on the list is as if it were not there.
    pub expires: Option<Timestamp>,
    /// `"enabled": false` keeps it in the file without effect.
    pub enabled: bool,
    /// The user's remark.
    pub comment: Option<Box<str>>,
    /// Byte offset of the entry in the rules file.
    pub offset: u32,
}

/// What a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Let through.
    Allow,
    /// Drop without an answer.
    Block,
    /// Drop, and tell the sender (TCP reset, ICMP unreachable for the rest).
    Reject,
}

/// Which way a rule looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleDirection {
    /// `"in"`
    In,
    /// `"out"`
    Out,
}

/// A condition of a rule: the terms as written and the set that they mean together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition<Term, Set> {
    /// As written, sets resolved: (negated, term).
    pub terms: Vec<(bool, Term)>,
    /// Any of the positive terms (everything, if there is none), and none of the negated.
    pub set: Set,
    /// The text as written, for messages: `@lan, !192.168.1.1`.
    pub text: Box<str>,
}

/// An ordered rule. A condition that is missing is true for every packet.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The id that was given, or one derived from the content.
    pub id: Arc<str>,
    /// What it asks for.
    pub action: Action,
    /// `None`: both directions.
    pub direction: Option<RuleDirection>,
    /// Protocols; implied by ports (TCP and UDP) and by `icmp_type`.
    pub protocol: Option<Condition<ProtocolSet, ProtocolSet>>,
    /// Source addresses.
    pub src: Option<Condition<AddressRange, AddressSet>>,
    /// Destination addresses.
    pub dst: Option<Condition<AddressRange, AddressSet>>,
    /// Source ports.
    pub src_port: Option<Condition<PortSet, PortSet>>,
    /// Destination ports.
    pub dst_port: Option<Condition<PortSet, PortSet>>,
    /// ICMP and ICMPv6 types.
    pub icmp_type: Option<Condition<IcmpSet, IcmpSet>>,
    /// Names of interfaces: (negated, name); a trailing `+` stands for any ending, as in iptables.
    pub interface: Vec<(bool, Box<str>)>,
    /// The user's remark.
    pub comment: Option<Box<str>>,
    /// From this time on the rule is as if it were not there.
    pub expires: Option<Timestamp>,
    /// `"enabled": false` keeps it in the file without effect.
    pub enabled: bool,
    /// Its place in `rules`, from 0.
    pub index: u32,
    /// Byte offset of the rule in the file.
    pub offset: u32,
}

impl Rule {
    /// Whether the rule's interface condition is true for `name`: any of the positive names (if there is one) and
    /// none of the negated.
    pub fn interface_matches(&self, name: &str) -> bool {
        let one = |pattern: &str| match pattern.strip_suffix('+') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        let mut positives = self.interface.iter().filter(|(negated, _)| !negated).peekable();
        let wanted = positives.peek().is_none() || positives.any(|(_, pattern)| one(pattern));
        wanted && !self.interface.iter().any(|(negated, pattern)| *negated && one(pattern))
    }

    /// Whether the rule names the loopback interface, without which it does not act there.
    pub fn names_loopback(&self) -> bool {
        self.interface.iter().any(|(negated, pattern)| !negated && &**pattern == "lo")
    }
}
