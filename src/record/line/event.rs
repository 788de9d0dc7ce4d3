//! The events that have a line, as values.

use super::super::escape::{EscapedName, Place, push_escaped};
use super::names;
use crate::alert::Alert;
use crate::alert::Oddity;
use crate::alert::Severity;
use crate::engine::{Direction, RuleInfo, Standing};
use crate::packet::{Malformed, Packet};
use crate::time::Timestamp;
use std::cell::OnceCell;
use std::fmt;
use std::str::FromStr;

/// The form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// Lines for people, `grep` and `awk`.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected `text` or `json`"),
        }
    }
}

/// Which packets are written down (`--log`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Selection {
    /// Every packet.
    #[default]
    All,
    /// Packets that are blocked, or would be, and suspicious ones.
    Blocked,
    /// No packet at all.
    None,
}

impl Selection {
    /// Whether a packet with this verdict has a line.
    #[inline]
    pub fn wants(self, verdict: Verdict) -> bool {
        match self {
            Self::All => true,
            Self::Blocked => verdict != Verdict::Allowed,
            Self::None => false,
        }
    }

    /// Whether a suspicious packet has a line.
    pub fn wants_suspicious(self) -> bool {
        self != Self::None
    }
}

impl FromStr for Selection {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "blocked" => Ok(Self::Blocked),
            "none" => Ok(Self::None),
            _ => Err("expected `all`, `blocked` or `none`"),
        }
    }
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// No rule of pfw dropped it.
    Allowed,
    /// The kernel dropped it by a rule of pfw.
    Blocked,
    /// The rules say block, and nobody enforces them here.
    WouldBlock,
}

/// A packet and the circumstances in which it was seen.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// When.
    pub time: Timestamp,
    /// Which way it went, where that is known.
    pub direction: Option<Direction>,
    /// On which interface.
    pub interface: &'a EscapedName,
    /// The packet.
    pub packet: &'a Packet,
}

/// A packet and its verdict.
#[derive(Clone, Copy, Debug)]
pub struct PacketLine<'a> {
    /// The packet.
    pub seen: Sighting<'a>,
    /// What became of it.
    pub verdict: Verdict,
    /// The user whose socket it came from or was for, where the kernel told.
    pub uid: Option<u32>,
    /// The rule that decided.
    pub rule: &'a RuleText,
    /// Which of the rule's standing reasons it is, if it is one.
    pub standing: Option<Standing>,
}

/// A packet that is malformed or odd.
#[derive(Clone, Copy, Debug)]
pub struct AnomalyLine<'a> {
    /// The packet, with all that could be read.
    pub seen: Sighting<'a>,
    /// What is wrong.
    pub anomaly: Anomaly,
}

/// What is wrong with a single packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anomaly {
    /// Its bytes make no sense.
    Malformed(Malformed),
    /// They do, and no honest sender makes them.
    Odd(Oddity),
}

impl Anomaly {
    /// The name that lines carry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.name(),
            Self::Odd(oddity) => oddity.alert.name(),
        }
    }

    /// How grave it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Malformed(_) => Severity::Low,
            Self::Odd(oddity) => oddity.alert.severity(),
        }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Odd(oddity) => oddity.fmt(f),
        }
    }
}

/// Suspicious traffic: an incident as it is now, told with the packet that made it so.
#[derive(Clone, Copy, Debug)]
pub struct AlertLine<'a> {
    /// The packet.
    pub seen: Sighting<'a>,
    /// What kind of incident it is.
    pub alert: Alert,
    /// The incident's number; the lines of one incident share it.
    pub incident: u64,
    /// Packets that belong to it so far.
    pub packets: u64,
    /// Who did what to whom, with the numbers.
    pub reason: &'a str,
}

/// Step, id and punctuation of a rule as lines carry them, made once per rule set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleText {
    /// ` rule=block_ips:192.168.1.7 reason="`
    text: Box<[u8]>,
    /// `,"step":"block_ips","rule":"block_ips:192.168.1.7","reason":"`
    json: Box<[u8]>,
    /// The same with each standing reason and the end of the line, once they were needed.
    endings: OnceCell<Box<Endings>>,
}

/// Ends of lines in each format for each standing reason.
type Endings = [[OnceCell<Box<[u8]>>; Standing::COUNT]; 2];

impl RuleText {
    /// What lines say of `rule`.
    pub fn new(rule: &RuleInfo) -> Self {
        let mut text = b" rule=".to_vec();
        push_escaped(&mut text, Place::Bare, rule.id.as_bytes());
        text.extend_from_slice(b" reason=\"");
        let mut json = b",\"step\":\"".to_vec();
        json.extend_from_slice(names::step(rule).as_bytes());
        json.extend_from_slice(b"\",\"rule\":\"");
        push_escaped(&mut json, Place::Json, rule.id.as_bytes());
        json.extend_from_slice(b"\",\"reason\":\"");
        Self { text: text.into(), json: json.into(), endings: OnceCell::new() }
    }

    /// The end of a line with a standing reason, which `write` appends the first time.
    #[inline]
    pub(super) fn ending(&self, format: Format, standing: Standing, write: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        let [text, json] = &**self.endings.get_or_init(Box::default);
        let endings = if format == Format::Text { text } else { json };
        let ending = match (standing, endings) {
            (Standing::Plain, [ending, ..]) | (Standing::Incoming, [_, ending, _]) | (_, [.., ending]) => ending,
        };
        ending.get_or_init(|| {
            let mut ending = Vec::new();
            write(&mut ending);
            ending.into()
        })
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn json(&self) -> &[u8] {
        &self.json
    }
}

/// Why events were not logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LostCause {
    /// The kernel had no room for packets that pfw had not read yet.
    KernelRing,
    /// The writer was behind, and its queue full.
    LogQueue,
    /// The log file took no more: disk full, an error, folder gone.
    LogWrite,
    /// The kernel had no room for reports of dropped packets that pfw had not read yet.
    Reports,
    /// Standard output was behind. Only said there: the log has the lines.
    Screen,
    /// A subscriber of the control socket was behind. Only said there.
    Subscriber,
}

impl LostCause {
    /// All causes, in the order of their discriminants.
    pub const ALL: [Self; 6] =
        [Self::KernelRing, Self::LogQueue, Self::LogWrite, Self::Reports, Self::Screen, Self::Subscriber];

    /// The name that lines carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KernelRing => "kernel-ring-full",
            Self::LogQueue => "log-queue-full",
            Self::LogWrite => "log-write-failed",
            Self::Reports => "reports-lost",
            Self::Screen => "not-shown",
            Self::Subscriber => "not-read",
        }
    }

    /// The cause in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::KernelRing => "the kernel had no room for packets that were not read yet",
            Self::LogQueue => "lines came faster than they could be written",
            Self::LogWrite => "the log file could not be written",
            Self::Reports => "packets were dropped faster than their reports could be read",
            Self::Screen => "standard output is too slow; the log has these lines",
            Self::Subscriber => "events came faster than this subscriber has read them",
        }
    }
}

/// Events that were not logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub n: u64,
    /// Why.
    pub cause: LostCause,
    /// None of them was before this time.
    pub from: Timestamp,
    /// None of them was after this time.
    pub to: Timestamp,
}

impl Lost {
    /// Adds another loss of the same cause.
    pub(in crate::record) fn add(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        self.from = self.from.min(other.from);
        self.to = self.to.max(other.to);
    }
}

/// Something that happened to pfw itself.
#[derive(Clone, Copy, Debug)]
pub struct PfwLine<'a> {
    /// When.
    pub time: Timestamp,
    /// What.
    pub event: PfwEvent,
    /// The interface it is about.
    pub interface: Option<&'a EscapedName>,
    /// In words.
    pub reason: &'a str,
}

/// What happens to pfw itself, by the name that lines carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PfwEvent {
    /// pfw sees packets.
    Started,
    /// The kernel has the rules; before that, lines are predictions.
    Enforcing,
    /// Another rule set is in effect.
    RulesLoaded,
    /// A rule set was refused; the one before stays.
    RulesRefused,
    /// Enforcement rests: the rules are out of the kernel.
    EnforcementPaused,
    /// The rules are in the kernel again.
    EnforcementResumed,
    /// Monitoring rests: packets that are allowed have no line.
    MonitoringPaused,
    /// They have lines again.
    MonitoringResumed,
    /// All but loopback is blocked.
    PanicBegun,
    /// The rules are in force again.
    PanicEnded,
    /// An interface appeared.
    InterfaceAppeared,
    /// An interface vanished.
    InterfaceVanished,
    /// An interface has another name.
    InterfaceRenamed,
    /// Packets can pass an interface.
    InterfaceUp,
    /// Packets can no longer pass it.
    InterfaceDown,
    /// An interface can't be watched.
    InterfaceNotWatched,
    /// Somebody else changed our rules in the kernel.
    RulesDisturbed,
    /// The kernel did otherwise than was predicted.
    Difference,
    /// Connection tracking dropped packets or gave up connections.
    ConntrackFull,
    /// A source is blocked for a time.
    Banned,
    /// It would be, if that were asked for.
    WouldBan,
    /// It is not, though it deserves it.
    BanSpared,
    /// It is not any more.
    BanEnded,
    /// pfw ends.
    Stopped,
}

impl PfwEvent {
    /// The name that lines carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Enforcing => "enforcing",
            Self::RulesLoaded => "rules-loaded",
            Self::RulesRefused => "rules-refused",
            Self::EnforcementPaused => "enforcement-paused",
            Self::EnforcementResumed => "enforcement-resumed",
            Self::MonitoringPaused => "monitoring-paused",
            Self::MonitoringResumed => "monitoring-resumed",
            Self::PanicBegun => "panic-begun",
            Self::PanicEnded => "panic-ended",
            Self::InterfaceAppeared => "interface-appeared",
            Self::InterfaceVanished => "interface-vanished",
            Self::InterfaceRenamed => "interface-renamed",
            Self::InterfaceUp => "interface-up",
            Self::InterfaceDown => "interface-down",
            Self::InterfaceNotWatched => "interface-not-watched",
            Self::RulesDisturbed => "rules-disturbed",
            Self::Difference => "difference",
            Self::ConntrackFull => "conntrack-full",
            Self::Banned => "banned",
            Self::WouldBan => "would-ban",
            Self::BanSpared => "ban-spared",
            Self::BanEnded => "ban-ended",
            Self::Stopped => "stopped",
        }
    }
}
