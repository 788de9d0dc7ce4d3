//! One kernel rule as typed values, and the only place that turns them into text.

use crate::firewall::family::Family;
use crate::firewall::names;
use crate::packet::Protocol;
use std::fmt::Write;

/// What a line may hold at most, in bytes; restore reads no longer ones in old versions.
const MAX_LINE: usize = 1023;

/// The conditions of a kernel rule. Each slot holds a fragment that this room wrote from checked values; those that
/// iptables takes once stand apart, so that conditions can be joined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Match {
    /// `-s ...`
    pub(super) src: Option<String>,
    /// `-d ...`
    pub(super) dst: Option<String>,
    /// `-i ...` or `-o ...`
    pub(super) interface: Option<String>,
    /// Negated, and the protocol.
    pub(super) protocol: Option<(bool, Protocol)>,
    /// `-m ...`, in the order in which they were added.
    pub(super) modules: Vec<String>,
}

impl Match {
    /// A protocol.
    pub(super) fn protocol(protocol: Protocol) -> Self {
        Self { protocol: Some((false, protocol)), ..Self::default() }
    }

    /// Any protocol but one.
    pub(super) fn not_protocol(protocol: Protocol) -> Self {
        Self { protocol: Some((true, protocol)), ..Self::default() }
    }

    /// A match module with its options.
    pub(super) fn module(module: impl Into<String>) -> Self {
        Self { modules: vec![module.into()], ..Self::default() }
    }

    /// Both conditions; a slot that both fill keeps the other's, which no caller does.
    pub(super) fn and(&self, other: Self) -> Self {
        let mut modules = self.modules.clone();
        modules.extend(other.modules);
        Self {
            src: other.src.or_else(|| self.src.clone()),
            dst: other.dst.or_else(|| self.dst.clone()),
            interface: other.interface.or_else(|| self.interface.clone()),
            protocol: other.protocol.or(self.protocol),
            modules,
        }
    }

    /// And a module.
    pub(super) fn with(&self, module: impl Into<String>) -> Self {
        self.and(Self::module(module))
    }

    fn write(&self, out: &mut String) {
        let slots = [&self.src, &self.dst, &self.interface];
        for fragment in slots.into_iter().flatten() {
            out.push_str(fragment);
            out.push(' ');
        }
        if let Some((negated, protocol)) = self.protocol {
            let _ = write!(out, "{}-p {} ", if negated { "! " } else { "" }, ProtocolText(protocol));
        }
        for fragment in &self.modules {
            out.push_str(fragment);
            out.push(' ');
        }
    }
}

/// A protocol as iptables prints it; numbers without a name in every `/etc/protocols` stay numbers.
struct ProtocolText(Protocol);

impl std::fmt::Display for ProtocolText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Protocol::TCP => f.write_str("tcp"),
            Protocol::UDP => f.write_str("udp"),
            Protocol::ICMP => f.write_str("icmp"),
            Protocol::ICMPV6 => f.write_str("ipv6-icmp"),
            Protocol(number) => write!(f, "{number}"),
        }
    }
}

/// Where a kernel rule sends the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nowhere: it only stands there.
    None,
    /// Out of our chains, on to the rules of others.
    Return,
    /// Into an NFLOG group.
    Log {
        /// The group.
        group: u16,
        /// Generation and rule number.
        prefix: String,
    },
    /// Gone.
    Drop,
    /// Gone, with a TCP reset.
    Reset,
    /// Gone, with an ICMP error.
    Unreachable(Family),
    /// On to another chain, and back here from its end.
    Jump(String),
    /// On to another chain for good.
    Goto(String),
    /// On to a chain that drops whatever comes there.
    Gone(String),
}

impl Target {
    /// Whether a packet that gets here is dropped.
    pub(super) const fn drops(&self) -> bool {
        matches!(self, Self::Drop | Self::Reset | Self::Unreachable(_) | Self::Gone(_))
    }

    fn write(&self, out: &mut String) {
        let _ = match self {
            Self::None => Ok(()),
            Self::Return => write!(out, "-j RETURN"),
            // The reader sets a time-out, so that a batch that is not full is handed on soon.
            Self::Log { group, prefix } => {
                write!(out, "-j NFLOG --nflog-prefix {prefix} --nflog-group {group} --nflog-threshold 64")
            }
            Self::Drop => write!(out, "-j DROP"),
            Self::Reset => write!(out, "-j REJECT --reject-with tcp-reset"),
            Self::Unreachable(family) => write!(out, "-j REJECT --reject-with {}", family.unreachable()),
            Self::Jump(chain) => write!(out, "-j {chain}"),
            Self::Goto(chain) | Self::Gone(chain) => write!(out, "-g {chain}"),
        };
    }
}

/// The specification of a rule: what stands behind `-A CHAIN`.
pub(super) fn specification(conditions: &Match, comment: &str, target: &Target) -> String {
    let mut out = String::with_capacity(128);
    conditions.write(&mut out);
    out.push_str("-m comment --comment ");
    out.extend(comment.chars().take(64).map(safe));
    out.push(' ');
    target.write(&mut out);
    out.truncate(out.trim_end().len());
    // Fragments are bounded by construction: 15 ports, two addresses, names of at most 31 bytes.
    debug_assert!(out.len() + 64 <= MAX_LINE && out.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{out}");
    out
}

/// The marker rule of each own chain. No packet satisfies its condition, which is the cheapest that there is: to look at a
/// comment would cost each that comes so far several times as much.
pub(super) fn marker(family: Family) -> String {
    let nowhere = Match { dst: Some(format!("-d {}", family.nobody())), ..Match::default() };
    specification(&nowhere, names::MARKER, &Target::None)
}

/// What an id may hold; anything else can't end a word or a line.
fn safe(c: char) -> char {
    if c.is_ascii_alphanumeric() || "_.:/@-".contains(c) { c } else { '_' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_in_the_order_in_which_iptables_prints_it() {
        let conditions = Match {
            src: Some("-s 10.0.0.1/32".to_owned()),
            interface: Some("-i eth0".to_owned()),
            ..Match::protocol(Protocol::TCP).with("-m tcp --dport 22")
        };
        assert_eq!(
            specification(&conditions, "ssh", &Target::Drop),
            "-s 10.0.0.1/32 -i eth0 -p tcp -m tcp --dport 22 -m comment --comment ssh -j DROP"
        );
        assert_eq!(
            specification(&Match::not_protocol(Protocol(47)), "x", &Target::Goto("PFW-C00001".to_owned())),
            "! -p 47 -m comment --comment x -g PFW-C00001"
        );
    }

    #[test]
    fn nothing_in_an_id_can_end_a_word_or_a_line() {
        let evil = "a\"b\nCOMMIT\n-A INPUT -j ACCEPT\\ 'ü\u{1b}[2J";
        assert_eq!(
            specification(&Match::default(), evil, &Target::Return),
            "-m comment --comment a_b_COMMIT_-A_INPUT_-j_ACCEPT_____[2J -j RETURN".replace('[', "_")
        );
    }
}
