//! Names and marks by which pfw knows its own in the kernel.
//!
//! Whatever bears the name but not the mark belongs to somebody else and is never touched.

use super::family::Family;
use crate::rules::RuleDirection;

/// The comment of the rule that marks an own chain: the last one, unless somebody has put others behind it.
pub(super) const MARKER: &str = "pfw:managed";
/// How the names of own chains begin.
const CHAIN_PREFIX: &str = "PFW-";

/// How the names of those begin that are in the raw table.
const RAW_PREFIX: &str = "PFW-R";

/// A table of the kernel's that pfw has chains in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum TableName {
    /// In front of connection tracking, routing and translation: where dropping costs least.
    Raw,
    /// Where users look.
    Filter,
}

impl TableName {
    /// As the tools call it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Filter => "filter",
        }
    }

    /// The table that an own chain of this name is in.
    pub(super) fn of_chain(name: &str) -> Self {
        if name.starts_with(RAW_PREFIX) { Self::Raw } else { Self::Filter }
    }
}

/// A hook that pfw filters at, with the built-in chain and the own chain that it jumps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// To this machine.
    Input,
    /// Through this machine.
    Forward,
    /// From this machine.
    Output,
    /// To or through this machine, before either is known: in the raw table.
    PreRouting,
}

impl Hook {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Input, Self::Forward, Self::Output, Self::PreRouting];

    /// The built-in chain.
    pub const fn builtin(self) -> &'static str {
        match self {
            Self::PreRouting => "PREROUTING",
            Self::Input => "INPUT",
            Self::Forward => "FORWARD",
            Self::Output => "OUTPUT",
        }
    }

    /// The chain of ours that it jumps to.
    pub const fn own(self) -> &'static str {
        match self {
            Self::PreRouting => "PFW-RAW",
            Self::Input => "PFW-IN",
            Self::Forward => "PFW-FWD",
            Self::Output => "PFW-OUT",
        }
    }

    /// The table in which it is.
    pub(super) const fn table(self) -> TableName {
        match self {
            Self::PreRouting => TableName::Raw,
            Self::Input | Self::Forward | Self::Output => TableName::Filter,
        }
    }

    /// The hook of the filter table that a direction's packets pass.
    pub(super) const fn of(direction: RuleDirection) -> Self {
        match direction {
            RuleDirection::In => Self::Input,
            RuleDirection::Out => Self::Output,
        }
    }

    /// The jump, as the rule's specification. It bears no mark but the chain that it leads to: a comment would cost each
    /// packet of the machine as much as three plain conditions.
    pub(super) fn jump(self) -> String {
        format!("-j {}", self.own())
    }
}

/// Whether a chain bears a name of ours.
pub(super) fn is_chain_name(name: &str) -> bool {
    name.starts_with(CHAIN_PREFIX)
}

/// The name of a further own chain; `kind` tells what it is for.
pub(super) fn further_chain(kind: char, number: u32) -> String {
    format!("{CHAIN_PREFIX}{kind}{number:05}")
}

/// The name of a further own chain of the raw table: at most 22 bytes, where the kernel takes 28. It holds the
/// generation, since for a moment two rule sets are there side by side.
pub(super) fn further_raw_chain(generation: u32, number: u32) -> String {
    format!("{RAW_PREFIX}{generation:08x}-{number:05}")
}

/// What a set holds, which its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetKind {
    /// Networks of a family.
    Networks(Family),
    /// Ports.
    Ports,
}

/// The name of set `number` of a generation: at most 18 bytes, where the kernel takes 31.
pub(super) fn set_name(kind: SetKind, generation: u32, number: u32) -> String {
    let prefix = match kind {
        SetKind::Networks(family) => family.set_prefix(),
        SetKind::Ports => "PFWP",
    };
    format!("{prefix}-{generation:08x}-{number:05x}")
}

/// The name under which a set is made anew beside the one that rules use: no plan has that many sets.
pub(super) fn set_aside(name: &str) -> String {
    let (front, number) = name.split_at(name.len().saturating_sub(5));
    format!("{front}f{}", number.get(1..).unwrap_or_default())
}

/// Whether a set bears a name of ours: sets carry no comment, so the whole form of the name is the mark.
pub(super) fn is_set_name(name: &str) -> bool {
    let hex = |part: &str, len| part.len() == len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut parts = name.split('-');
    matches!(
        (parts.next(), parts.next(), parts.next(), parts.next()),
        (Some("PFW4" | "PFW6" | "PFWP"), Some(generation), Some(number), None) if hex(generation, 8) && hex(number, 5)
    )
}

/// What an NFLOG event says of its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    /// It was dropped by the rule with this number, an index into [`Plan::rules`](super::Plan::rules).
    Dropped(u32),
    /// The same, in the raw table, where the hook does not tell that the packet was on its way through.
    Stopped(u32),
    /// It is on its way through this machine, belongs to no flow, and none of our rules dropped it.
    Passed,
    /// It is on its way through this machine, begins a flow, and none of our rules dropped it.
    Begins,
    /// It is from or to this machine, whatever its addresses look like. It may be dropped yet.
    Own,
    /// The same, and it is an error about a connection, of whomever.
    Related,
    /// The same, and it would open a connection.
    Opens,
    /// This machine sends it from an address that is another's. It may be dropped yet.
    Posing,
    /// It is sent to an address that is another's, and this machine takes it in, as transparent proxies have it do. It may be
    /// dropped yet.
    Taken,
    /// It begins a flow that translation leads to this machine, wherever it was sent to. It may be dropped yet.
    Led,
}

/// Digits of a rule's number in a prefix.
const NUMBER_DIGITS: usize = 6;
/// What stands for the number of a rule where none dropped the packet: as long, and no number in hex.
const PASSED: &str = "passed";
/// See [`PASSED`].
const BEGINS: &str = "begins";
/// See [`PASSED`].
const OWN: &str = "inside";
/// See [`PASSED`].
const RELATED: &str = "errors";
/// See [`PASSED`].
const OPENS: &str = "opened";
/// See [`PASSED`].
const POSING: &str = "posing";
/// See [`PASSED`].
const TAKEN: &str = "tproxy";
/// See [`PASSED`].
const LED: &str = "led-in";
/// What stands behind the number of a rule that stopped a packet on its way through.
const STOPPED: &str = ":fwd";

/// The prefix of an NFLOG event: the generation of the rule set in hex, and the number of the rule that dropped the
/// packet, in hex too, if one did.
///
/// At most 23 bytes: legacy cuts a prefix at 63 bytes and nft at 127, silently.
pub(super) fn nflog_prefix(generation: u32, reported: Reported) -> String {
    match reported {
        Reported::Dropped(number) => format!("pfw:{generation:08x}:{number:06x}"),
        Reported::Stopped(number) => format!("pfw:{generation:08x}:{number:06x}{STOPPED}"),
        Reported::Passed => format!("pfw:{generation:08x}:{PASSED}"),
        Reported::Begins => format!("pfw:{generation:08x}:{BEGINS}"),
        Reported::Own => format!("pfw:{generation:08x}:{OWN}"),
        Reported::Related => format!("pfw:{generation:08x}:{RELATED}"),
        Reported::Opens => format!("pfw:{generation:08x}:{OPENS}"),
        Reported::Posing => format!("pfw:{generation:08x}:{POSING}"),
        Reported::Taken => format!("pfw:{generation:08x}:{TAKEN}"),
        Reported::Led => format!("pfw:{generation:08x}:{LED}"),
    }
}

/// A rule, or the name of a chain, without what tells the rule sets of two generations apart.
pub(super) fn without_marks(text: &str, generation: u32) -> String {
    let text = text.replace(&format!("{RAW_PREFIX}{generation:08x}-"), RAW_PREFIX);
    let mark = format!("pfw:{generation:08x}:");
    let mut parts = text.split(&mark);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for behind in parts {
        let number = behind.bytes().take_while(u8::is_ascii_hexdigit).count();
        plain.push_str("pfw:");
        // A word that is no number stays.
        plain.push_str(behind.get(if number == NUMBER_DIGITS { number } else { 0 }..).unwrap_or_default());
    }
    plain
}

/// Reads the prefix of an NFLOG event: the generation, and what it says. `None` if the event is not ours.
pub fn read_nflog_prefix(prefix: &str) -> Option<(u32, Reported)> {
    let (generation, what) = prefix.strip_prefix("pfw:")?.split_once(':')?;
    let hex = |text: &str, len| (text.len() == len).then(|| u32::from_str_radix(text, 16).ok()).flatten();
    let reported = match what.strip_suffix(STOPPED) {
        Some(number) => Reported::Stopped(hex(number, 6)?),
        None if what == PASSED => Reported::Passed,
        None if what == BEGINS => Reported::Begins,
        None if what == OWN => Reported::Own,
        None if what == RELATED => Reported::Related,
        None if what == OPENS => Reported::Opens,
        None if what == POSING => Reported::Posing,
        None if what == TAKEN => Reported::Taken,
        None if what == LED => Reported::Led,
        None => Reported::Dropped(hex(what, 6)?),
    };
    Some((hex(generation, 8)?, reported))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_two_generations_are_the_same_without_their_marks() {
        let rule = |generation, number, address: &str| {
            let prefix = nflog_prefix(generation, Reported::Dropped(number));
            let chain = further_raw_chain(generation, 3);
            without_marks(&format!("-s {address} -j NFLOG --nflog-prefix \"{prefix}\" -g {chain}"), generation)
        };
        assert_eq!(rule(7, 1, "192.0.2.1"), rule(0xfeed, 0x00ab_cdef, "192.0.2.1"));
        assert_ne!(rule(7, 1, "192.0.2.1"), rule(7, 1, "192.0.2.2"));
        let reports = |reported| without_marks(&nflog_prefix(7, reported), 7);
        assert_ne!(reports(Reported::Passed), reports(Reported::Own));
        assert_ne!(reports(Reported::Dropped(1)), reports(Reported::Stopped(1)));
        assert_eq!(without_marks("--match-set PFW4-00000007-00000 src", 7), "--match-set PFW4-00000007-00000 src");
    }

    #[test]
    fn a_prefix_is_read_back_and_a_foreign_one_is_not() {
        for (reported, prefix) in [
            (Reported::Dropped(0x12_3456), "pfw:0000feed:123456"),
            (Reported::Stopped(0x12_3456), "pfw:0000feed:123456:fwd"),
            (Reported::Passed, "pfw:0000feed:passed"),
            (Reported::Begins, "pfw:0000feed:begins"),
            (Reported::Own, "pfw:0000feed:inside"),
            (Reported::Related, "pfw:0000feed:errors"),
            (Reported::Opens, "pfw:0000feed:opened"),
            (Reported::Posing, "pfw:0000feed:posing"),
            (Reported::Taken, "pfw:0000feed:tproxy"),
            (Reported::Led, "pfw:0000feed:led-in"),
        ] {
            assert_eq!(nflog_prefix(0xfeed, reported), prefix);
            assert_eq!(read_nflog_prefix(prefix), Some((0xfeed, reported)));
        }
        for foreign in [
            "",
            "pfw:",
            "pfw:1:2",
            "ufw:0000feed:123456",
            "pfw:0000feed:12345g",
            "pfw:0000feed:123456 ",
            "pfw:feed:passed",
            "pfw:0000feed:passed:fwd",
        ] {
            assert_eq!(read_nflog_prefix(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn own_set_names_are_known_by_their_whole_form() {
        assert_eq!(set_name(SetKind::Networks(Family::V6), 0x1234, 0x1f), "PFW6-00001234-0001f");
        assert!(is_set_name("PFW6-00001234-0001f"));
        assert_eq!(set_aside("PFW6-00001234-0001f"), "PFW6-00001234-f001f");
        assert!(is_set_name(&set_name(SetKind::Ports, u32::MAX, 0)));
        for foreign in ["PFW6", "PFW6-mine", "PFW6-00001234-0001F", "PFW6-00001234-0001f-x", "PFW5-00001234-0001f"] {
            assert!(!is_set_name(foreign), "{foreign}");
        }
    }
}
