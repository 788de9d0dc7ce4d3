//! What is told about a running pfw. Times are RFC 3339, durations seconds.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// What pfw does, and how it fares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of pfw.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub since: String,
    /// How long ago that was.
    pub uptime: u64,
    /// Whether rules are in force; otherwise it only watches.
    pub enforcing: bool,
    /// The tools that put them in force.
    pub tools: Option<String>,
    /// Somebody has changed them in the kernel, and they are not put back yet.
    #[serde(default)]
    pub degraded: bool,
    /// Rules of another pfw are in force, or what one has left, as far as that can be told.
    #[serde(default)]
    pub others_enforce: bool,
    /// The rules.
    pub rules: RulesState,
    /// The interfaces that are watched.
    pub interfaces: Vec<String>,
    /// What was counted since the start.
    pub counts: Counts,
    /// Packets in the latest second.
    pub packets_per_second: u64,
    /// The log.
    pub log: LogState,
    /// What does not go its usual way, and until when.
    pub regime: Regime,
    /// Changes that are not in the file and go with this pfw.
    pub temporary: Vec<TemporaryChange>,
    /// Sources that are banned for a time.
    #[serde(default)]
    pub bans: Vec<BanRow>,
    /// Seconds until all is taken back, if it has to be confirmed.
    pub confirm: Option<u64>,
    /// What somebody should look at, in words.
    pub warnings: Vec<String>,
}

/// What rests, and what is blocked beyond the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regime {
    /// Enforcement rests.
    pub enforcement_paused: Option<Spell>,
    /// Monitoring rests.
    pub monitoring_paused: Option<Spell>,
    /// All but loopback is blocked.
    pub panic: Option<Spell>,
}

/// A time that has begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spell {
    /// When.
    pub since: String,
    /// When it ends by itself, if it does.
    pub until: Option<String>,
}

/// A change that is not in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemporaryChange {
    /// What was changed, in words.
    pub what: String,
    /// When it ends, if it does before pfw.
    pub until: Option<String>,
}

/// A source that is banned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BanRow {
    /// Who.
    pub source: IpAddr,
    /// The name of the alert that it is banned for.
    pub alert: String,
    /// The number of the incident, if it is one.
    pub incident: Option<u64>,
    /// The how manieth time it is.
    pub times: u32,
    /// When it was banned.
    pub since: String,
    /// When that ends.
    pub until: String,
    /// What it did.
    pub reason: String,
}

/// The rules in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesState {
    /// Their file.
    pub file: PathBuf,
    /// How many it has: entries of lists and ordered rules.
    pub count: usize,
    /// How often other rules were put in force since the start: 1 for the first.
    pub generation: u32,
    /// When they were put in force.
    pub since: String,
    /// Why the file was refused when it was read last.
    pub refused: Option<RefusedFile>,
}

/// A rules file that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFile {
    /// When.
    pub at: String,
    /// Why: a line for each error, with its place.
    pub errors: Vec<String>,
}

/// What was counted of packets.
///
/// `packets = allowed + blocked + would_block + malformed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Packets that were judged, and malformed ones.
    pub packets: u64,
    /// No rule of pfw dropped them.
    pub allowed: u64,
    /// The kernel dropped them by a rule of pfw.
    pub blocked: u64,
    /// The rules would have blocked them.
    pub would_block: u64,
    /// They have a `[SUSPICIOUS]` line.
    pub suspicious: u64,
    /// They could not be judged.
    pub malformed: u64,
    /// The kernel had no room for them: never seen.
    pub lost_kernel: u64,
    /// Reports of dropped packets that the kernel had no room for.
    pub lost_reports: u64,
    /// Lines that the log could not take.
    pub lost_log: u64,
    /// Packets that may have been led to this machine, and found no room to wait in until that was known.
    #[serde(default)]
    pub untold_packets: u64,
    /// The kernel did otherwise than was predicted.
    pub differences: u64,
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// Its file; none if it is standard output.
    pub file: Option<PathBuf>,
    /// Bytes of the file now.
    pub size: Option<u64>,
    /// Lines that were written since the start.
    pub lines: u64,
}

/// All that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Now.
    pub time: String,
    /// How long pfw runs.
    pub uptime: u64,
    /// Packets in the latest second.
    pub packets_per_second: u64,
    /// Packets.
    pub counts: Counts,
    /// Frames that carry no IP, of those that were allowed.
    pub non_ip: u64,
    /// Frames for other hosts.
    pub other_host: u64,
    /// Packets that were seen again elsewhere.
    pub duplicates: u64,
    /// Frames that never reached the IP stack.
    pub not_for_stack: u64,
    /// Lines in the log, and its bytes, since the start.
    pub log_lines: u64,
    /// See there.
    pub log_bytes: u64,
    /// How often the log was rotated.
    pub log_rotations: u64,
    /// Clients of the control socket now.
    pub clients: usize,
    /// Clients that were refused since the start: too many, or not allowed.
    pub clients_refused: u64,
}

/// Some of the rules, in the order in which they act.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesPage {
    /// How many there are.
    pub total: usize,
    /// The number of the first row here, from 0.
    pub from: usize,
    /// [`RulesState::generation`].
    pub generation: u32,
    /// The rows.
    pub rows: Vec<RuleRow>,
}

/// One thing that acts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRow {
    /// The step of the order of decision.
    pub step: u8,
    /// The name of the step.
    pub list: String,
    /// Its number among all that act; none if it is idle.
    pub number: Option<usize>,
    /// What it does.
    pub action: String,
    /// Its id.
    pub id: String,
    /// Which packets it is about.
    pub matches: String,
    /// The user's remark.
    pub comment: Option<String>,
    /// When it ends.
    pub expires: Option<String>,
    /// Why it has no effect, if it has none.
    pub idle: Option<String>,
    /// Packets that it decided since pfw started; none if they are counted with the row before, whose id is the same.
    pub hits: Option<u64>,
    /// When it decided last, in seconds (RFC 3339, UTC), if it did.
    pub last_hit: Option<String>,
}

/// Some of the connections that are tracked, in no order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionsPage {
    /// How many there are, those included that have expired and were not noticed yet.
    pub total: usize,
    /// What the next page is to be asked by; none behind the last. A connection that comes or goes in between may be in
    /// both pages or in none.
    pub next: Option<usize>,
    /// The connections.
    pub rows: Vec<ConnectionRow>,
}

/// Incidents that somebody may have missed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentsPage {
    /// The latest event of each, as subscribers got it; the one that something was told of last comes first.
    pub events: Vec<serde_json::Value>,
    /// How many there were beside these: the oldest gave way.
    pub forgotten: u64,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRow {
    /// The protocol's name.
    pub protocol: String,
    /// Who opened it.
    pub src: IpAddr,
    /// The opener's port, if the protocol has any.
    pub src_port: Option<u16>,
    /// The other end.
    pub dst: IpAddr,
    /// Its port.
    pub dst_port: Option<u16>,
    /// Which way it was opened: `incoming`, `outgoing`, `loopback`, `forwarded`.
    pub direction: String,
    /// Of TCP the state, as `conntrack -L` names it; else nothing.
    pub state: String,
    /// Whether an answer was seen.
    pub answered: bool,
    /// For how many seconds it is known.
    pub known_for: u64,
    /// In how many seconds it is forgotten if nothing more comes.
    pub expires_in: u64,
    /// The rule that the opener's next packet meets. The interface is not remembered: conditions on it are not met.
    pub rule: String,
    /// Whether that lets it through.
    pub allowed: bool,
}

/// What the kernel's rules dropped, held against what it reported and what was logged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// The rules that dropped or reported most: [`RULES_IN_AUDIT`](super::limits::RULES_IN_AUDIT) at most.
    pub rules: Vec<RuleAccount>,
    /// How many more rules there are that dropped or reported anything. The sum has them.
    pub left_out: usize,
    /// All of them together.
    pub sum: Account,
    /// Reports that the kernel numbered and had no room for. Which rules made them is not known.
    pub lost_reports: u64,
    /// Lines that the log could not take.
    pub lost_log: u64,
    /// Dropped packets of which neither a report nor its loss is known.
    pub unaccounted: u64,
    /// Nothing is reported, because nothing is logged: the counters are all there is.
    pub unreported: bool,
    /// Packets with which the kernel did otherwise than was predicted, by cause.
    pub differences: BTreeMap<String, u64>,
}

/// The account of one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleAccount {
    /// Its id.
    pub id: String,
    /// Its account.
    #[serde(flatten)]
    pub account: Account,
}

/// The account of a rule, or of all.
///
/// `dropped + unread = reported + missing`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Packets that the kernel's counters tell. They are those of the rules that drop (DROP, REJECT); a rule that
    /// reports (NFLOG) stands in front of each, with a counter of its own that is not asked.
    pub dropped: u64,
    /// Packets that the kernel reported.
    pub reported: u64,
    /// Reports beyond what the counters told: of packets that were dropped after their rule's counter had been read for
    /// the last time, be it that the rule was replaced an instant later or that this is under way. Counters that
    /// somebody else has set to zero show up here too.
    pub unread: u64,
    /// Packets that were dropped, and of which no report came.
    pub missing: u64,
    /// Reports whose packets have a line in the log.
    pub logged: u64,
}

impl Account {
    /// What was dropped by a counter, reported and logged of one rule.
    pub const fn new(dropped: u64, reported: u64, logged: u64) -> Self {
        let (unread, missing) = (reported.saturating_sub(dropped), dropped.saturating_sub(reported));
        Self { dropped, reported, unread, missing, logged }
    }

    /// Adds another account.
    pub const fn add(&mut self, other: &Self) {
        self.dropped += other.dropped;
        self.reported += other.reported;
        self.unread += other.unread;
        self.missing += other.missing;
        self.logged += other.logged;
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! One of each, with something in every field that has an option.

    use super::*;

    pub(in crate::control) fn status() -> Status {
        Status {
            version: "0.1.0".into(),
            tools: Some("iptables-nft".into()),
            others_enforce: false,
            rules: RulesState {
                file: "rules.json".into(),
                refused: Some(RefusedFile { at: "t".into(), errors: vec!["rules.json:1:1: x".into()] }),
                ..RulesState::default()
            },
            interfaces: vec!["eth0".into()],
            log: LogState { file: Some("firewall.log".into()), size: Some(7), lines: 1 },
            regime: Regime { panic: Some(Spell { since: "t".into(), until: None }), ..Regime::default() },
            temporary: vec![TemporaryChange { what: "added x".into(), until: Some("t".into()) }],
            bans: vec![BanRow {
                source: "192.0.2.7".parse().unwrap(),
                alert: "scan.connect".into(),
                incident: Some(1),
                times: 2,
                since: "t".into(),
                until: "t".into(),
                reason: "r".into(),
            }],
            confirm: Some(3),
            warnings: vec!["w".into()],
            ..Status::default()
        }
    }

    pub(in crate::control) fn rules() -> RulesPage {
        let row =
            RuleRow { number: Some(1), comment: Some("c\"\u{1b}".into()), hits: Some(u64::MAX), ..RuleRow::default() };
        RulesPage { total: 2, from: 1, generation: 1, rows: vec![row, RuleRow::default()] }
    }

    pub(in crate::control) fn audit() -> AuditReport {
        let account = Account::new(7, 5, 5);
        let rules = vec![RuleAccount { id: "web".into(), account }];
        AuditReport {
            rules,
            sum: account,
            differences: BTreeMap::from([("window".into(), 1)]),
            ..AuditReport::default()
        }
    }

    pub(in crate::control) fn connections() -> ConnectionsPage {
        let row = ConnectionRow {
            protocol: "TCP".into(),
            src: "192.0.2.1".parse().unwrap(),
            src_port: Some(50_000),
            dst: "2001:db8::1".parse().unwrap(),
            dst_port: None,
            direction: "outgoing".into(),
            state: "ESTABLISHED".into(),
            answered: true,
            known_for: 7,
            expires_in: 432_000,
            rule: "default_policy".into(),
            allowed: true,
        };
        ConnectionsPage { total: 3, next: Some(1_024), rows: vec![row] }
    }

    pub(in crate::control) fn incidents() -> IncidentsPage {
        IncidentsPage { events: vec![serde_json::json!({ "event_type": "alert", "incident": 1 })], forgotten: 7 }
    }

    pub(in crate::control) fn stats() -> Stats {
        Stats { time: "t".into(), uptime: 5, ..Stats::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_an_account_are_equal_whatever_was_counted() {
        for (dropped, reported) in [(0, 0), (7, 3), (3, 7)] {
            let account = Account::new(dropped, reported, 0);
            assert_eq!(account.dropped + account.unread, account.reported + account.missing);
        }
    }
}
