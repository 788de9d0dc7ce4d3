//! What the engine says of a packet.

use crate::rules::{Action, RuleDirection};
use crate::time::Timestamp;
use std::sync::Arc;

/// Which way a packet goes, seen from this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To this machine.
    Incoming,
    /// From this machine.
    Outgoing,
    /// From this machine to itself: judged as outgoing, then as incoming, and blocked if either blocks.
    Loopback,
    /// From this machine to itself, but translation leads it elsewhere: to the rules it leaves by loopback, and that is all
    /// that they see of it.
    LedAway,
    /// Through this machine.
    Forwarded,
}

/// Which of the interface conditions of a rule set an interface satisfies; from [`Matcher::interface_class`]
/// (looked up once per interface and rule set, not per packet).
///
/// [`Matcher::interface_class`]: super::Matcher::interface_class
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct InterfaceClass(pub u32);

/// What is known of a packet beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Which way it goes.
    pub direction: Direction,
    /// The interface it was seen on.
    pub interface: InterfaceClass,
    /// When it was seen; the connection tracker's clock.
    pub time: Timestamp,
}

/// The steps of the order of decision, in that order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// 1: neighbour discovery, path MTU.
    Guard,
    /// What decides behind step 1 while a panic is on, in place of all others.
    Panic,
    /// 2
    AllowIps,
    /// 3: `block_ips`, `block_lists`, bans.
    BlockIps,
    /// 4: DHCP client, multicast listener messages, IGMP.
    LinkGuard,
    /// 5
    BlockPorts,
    /// 6
    BlockProtocols,
    /// 7
    Reply,
    /// 8
    Rules,
    /// 9
    Loopback,
    /// 10
    AllowProtocols,
    /// 11
    DefaultPolicy,
    /// No IP packet: allowed.
    NonIp,
    /// A forwarded packet that none of its steps blocked.
    Forwarded,
}

/// What conntrack would call the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Opens a connection.
    New,
    /// Belongs to a known connection, in the opener's direction.
    Original,
    /// Belongs to a known connection, in the reply direction.
    Reply,
    /// An ICMP error about a known connection.
    Related,
    /// Fits no connection and can't open one.
    Invalid,
    /// Not tracked (neighbour discovery, multicast listener messages).
    Untracked,
}

/// The number of a rule within its [`Matcher`](super::Matcher): an index into `Matcher::rules`, where the built-in
/// ones (guards, replies, default policy) have their place too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleNumber(pub u32);

/// What is to be said of a rule in a line of the log.
#[derive(Clone, Debug)]
pub struct RuleInfo {
    /// Its id: given, derived, or that of a built-in (`default_policy`, `reply`, `guard:neighbour-discovery`...).
    pub id: Arc<str>,
    /// The step it acts in.
    pub step: Step,
}

/// What happens to a packet, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Allow, block or reject.
    pub action: Action,
    /// The step that decided.
    pub step: Step,
    /// The rule that decided.
    pub rule: RuleNumber,
    /// The entry of an address list that matched, for steps 2 and 3: an index for `Matcher::entry`.
    pub entry: Option<u32>,
    /// Its state.
    pub state: State,
    /// A later fragment whose first fragment was not seen: decided without its ports.
    pub without_first: bool,
    /// What of the packet hit the rule, for the reason.
    pub hit: Hit,
}

/// What of the packet hit the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// Nothing in particular.
    None,
    /// The source address.
    Source,
    /// The destination address.
    Destination,
    /// The source port; of a later fragment, the one that its first fragment carried.
    SourcePort(u16),
    /// The destination port; of a later fragment, the one that its first fragment carried.
    DestinationPort(u16),
    /// Which way the packet goes.
    Direction(RuleDirection),
}

impl Decision {
    /// Whether the packet is let through.
    pub fn allows(&self) -> bool {
        self.action == Action::Allow
    }
}
