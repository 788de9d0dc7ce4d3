//! What is said on the control socket.
//!
//! Each side sends lines; a line is one JSON object. A client sends a request, and gets one answer to each, in order:
//!
//! ```text
//! -> {"v":1,"request":"status"}
//! <- {"v":1,"ok":{"status":{"pid":4711,"enforcing":true, ...}}}
//! -> {"v":1,"request":{"rules":{"from":1000}}}
//! <- {"v":1,"ok":{"rules":{"total":1204,"from":1000,"rows":[ ... ]}}}
//! -> {"v":1,"request":{"change":{"op":"block","target":["192.0.2.1","445/tcp"],"for_seconds":600}}}
//! <- {"v":1,"ok":{"done":{"changed":["added block_ips:192.0.2.1","added block_ports:445/tcp"],"warnings":[]}}}
//! -> {"v":1,"request":"reload"}
//! <- {"v":1,"error":{"kind":"refused","message":"rules.json was not taken","details":["rules.json:3:5: ..."]}}
//! -> {"v":1,"request":{"subscribe":{"kinds":["blocked","pfw"]}}}
//! <- {"v":1,"ok":"subscribed"}
//! <- {"timestamp":"...","event_type":"packet","verdict":"blocked", ...}
//! ```
//!
//! | request | is answered with |
//! |---|---|
//! | `status` | `status`: what pfw does, since when, what it counted, what is wrong |
//! | `rules` (`from`: first row, 0 when missing) | `rules`: [`RULES_IN_PAGE`](super::limits::RULES_IN_PAGE) rows at most, in the order in which they act, with hits |
//! | `stats` | `stats`: all that is counted |
//! | `connections` (`from`: where the page before has its `next`, 0 when missing) | `connections`: [`CONNECTIONS_IN_PAGE`](super::limits::CONNECTIONS_IN_PAGE) tracked connections at most, each with the rule that it lives by |
//! | `incidents` | `incidents`: the latest event of each of the last [`INCIDENTS`](super::limits::INCIDENTS) incidents |
//! | `audit` | `audit`: what the kernel's rules dropped, held against its reports and the log |
//! | `subscribe` (`kinds`: all when missing) | `subscribed`, then events for as long as the connection lives, and no other answer |
//! | `change` ([`Change`]) | `done` once the kernel has it, and the file if it is not temporary |
//! | `undo` | `done`: the last change is taken back |
//! | `pause` (`what`: `enforcement` or `monitoring`; `for_seconds`) | `done` |
//! | `panic` (`for_seconds`, `force`) | `done`: all but loopback is blocked |
//! | `resume` (`what`: `enforcement`, `monitoring` or `panic`; `force`) | `done` |
//! | `reload` | `done` once the kernel has the rules of the file |
//! | `force` (`undo` or `reload`) | as that is, even if it cuts the caller's own session |
//! | `confirm` | `done`: the rules of `pfw run --confirm` stay |
//! | `stop` | `done` once the rules are out of the kernel |
//!
//! An event is a line of the JSON log (`--log-format json`), of the kinds `allowed`, `blocked`, `would-block`,
//! `suspicious`, `lost` and `pfw`, also those that `--log blocked` keeps out of the file; with `--log none` nothing is
//! captured, and there are none about packets. Who reads more slowly than events come loses
//! some, and is told how many by a line of `event_type` `lost` with `cause` `not-read`, before the next event.
//!
//! **Version**: `v` is [`VERSION`]. A field or a request that is not known is an error, so that nobody is
//! misunderstood. In answers fields may be added without a new version: a client ignores those that it doesn't know.
//!
//! **Errors** carry a `kind` for programs and a `message` for people; `details` has further lines (each error of a
//! rules file). After `not-allowed`, `busy`, `too-long` and `too-slow` the connection is closed.

use super::change::{Activity, Change, Forcible, Op, Resumed};
use super::limits::{MAX_LINES, MAX_QUOTED};
use super::report::{AuditReport, ConnectionsPage, IncidentsPage, RulesPage, Stats, Status};
use crate::record::tap::Kind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// What pfw does.
    Status,
    /// The rules in the order in which they act, with what they hit.
    Rules {
        /// The first row that is wanted, from 0.
        #[serde(default)]
        from: usize,
    },
    /// All that is counted.
    Stats,
    /// What the kernel's rules dropped, held against what was reported and logged.
    Audit,
    /// The connections that are tracked.
    Connections {
        /// Where the page begins: 0, or what the page before gave as its `next`.
        #[serde(default)]
        from: usize,
    },
    /// The incidents so far.
    Incidents,
    /// Events from now on.
    Subscribe {
        /// Which; none means all.
        #[serde(default)]
        kinds: Vec<Kind>,
    },
    /// Change the rules.
    Change(Change),
    /// Take the last change back.
    Undo,
    /// Have something rest.
    Pause {
        /// What.
        what: Activity,
        /// For how many seconds; until it is resumed if this is missing.
        #[serde(default)]
        for_seconds: Option<u64>,
    },
    /// Block all but loopback.
    Panic {
        /// For how many seconds; until it is resumed if this is missing.
        #[serde(default)]
        for_seconds: Option<u64>,
        /// Even if it cuts the caller's own session.
        #[serde(default)]
        force: bool,
    },
    /// Go on.
    Resume {
        /// With what, or from what.
        what: Resumed,
        /// Even if it cuts the caller's own session.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        force: bool,
    },
    /// Read the rules file again and put it in force.
    Reload,
    /// Take the last change back, or read the rules file again, even if that cuts the caller's own session.
    Force(Forcible),
    /// The rules may stay.
    Confirm,
    /// Take the rules out and end.
    Stop,
}

impl Request {
    /// One of each kind, for tests that must not forget any.
    pub fn all() -> [Self; 16] {
        [
            Self::Status,
            Self::Rules { from: 0 },
            Self::Stats,
            Self::Audit,
            Self::Connections { from: 0 },
            Self::Incidents,
            Self::Subscribe { kinds: Vec::new() },
            Self::Change(Change::new(Op::Block, "192.0.2.1")),
            Self::Undo,
            Self::Pause { what: Activity::Monitoring, for_seconds: Some(60) },
            Self::Panic { for_seconds: Some(60), force: false },
            Self::Resume { what: Resumed::Panic, force: false },
            Self::Reload,
            Self::Force(Forcible::Reload),
            Self::Confirm,
            Self::Stop,
        ]
    }

    /// The line that asks this.
    pub fn to_line(&self) -> Vec<u8> {
        line(&RequestLine { v: VERSION, request: self })
    }

    /// The request of a line, its end taken off.
    ///
    /// # Errors
    ///
    /// Why it is none, in bounded words.
    pub fn from_line(line: &[u8]) -> Result<Self, Refusal> {
        let malformed = |error: serde_json::Error| Refusal::new(RefusalKind::Malformed, error.to_string());
        let Version { v } = serde_json::from_slice(line).map_err(malformed)?;
        if v != VERSION {
            return Err(Refusal::new(RefusalKind::Version, format!("this pfw speaks version {VERSION}, not {v}")));
        }
        serde_json::from_slice::<RequestLine<Self>>(line).map(|line| line.request).map_err(malformed)
    }
}

/// What the answer says if all is well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To `status`.
    Status(Box<Status>),
    /// To `rules`.
    Rules(RulesPage),
    /// To `stats`.
    Stats(Box<Stats>),
    /// To `audit`.
    Audit(Box<AuditReport>),
    /// To `connections`.
    Connections(ConnectionsPage),
    /// To `incidents`.
    Incidents(IncidentsPage),
    /// To `subscribe`: events follow.
    Subscribed,
    /// To what changes something: it is done.
    Done(Done),
}

/// What was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What is different now, in words.
    pub changed: Vec<String>,
    /// What is surely not meant though it was done, in words.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Done {
    /// This was done.
    pub fn new(changed: impl Into<String>) -> Self {
        Self { changed: vec![changed.into()], warnings: Vec::new() }
    }

    /// And then that.
    #[must_use]
    pub fn and(mut self, next: Self) -> Self {
        self.changed.extend(next.changed);
        self.warnings.extend(next.warnings);
        self
    }

    /// With warnings, as many as an answer carries.
    #[must_use]
    pub fn warning(self, warnings: impl IntoIterator<Item = String>) -> Self {
        Self { warnings: bounded(warnings), ..self }
    }
}

/// Why a request was not met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub kind: RefusalKind,
    /// For people, in one line.
    pub message: String,
    /// Further lines, such as the errors of a rules file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalKind {
    /// The caller may not ask anything.
    NotAllowed,
    /// There are too many clients; come again.
    Busy,
    /// The request is too long.
    TooLong,
    /// The request did not come in time.
    TooSlow,
    /// The line is no request.
    Malformed,
    /// The version is another.
    Version,
    /// It can't be done: nothing was changed.
    Refused,
    /// It would cut the caller off, or block this machine itself; `force` does it all the same.
    NeedsForce,
    /// It was tried and failed.
    Failed,
    /// pfw ended before it could answer.
    Ended,
}

impl Refusal {
    /// A refusal. What is too long of its message is cut off: it may quote what a client sent.
    pub fn new(kind: RefusalKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(MAX_QUOTED) {
            message.truncate(end);
            message.push_str("...");
        }
        Self { kind, message, details: Vec::new() }
    }

    /// A refusal whose message is our own, however long.
    pub fn because(kind: RefusalKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), details: Vec::new() }
    }

    /// The same of what was to come after something that was done.
    #[must_use]
    pub fn after(self, done: &Done) -> Self {
        let message = format!("{}; after that: {}", done.changed.join("; "), self.message);
        let details: Vec<_> = done.warnings.iter().cloned().chain(self.details).collect();
        Self { message, details: Vec::new(), ..self }.detailed(details)
    }

    /// With further lines, as many as an answer carries.
    #[must_use]
    pub fn detailed(self, details: impl IntoIterator<Item = String>) -> Self {
        Self { details: bounded(details), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The first lines, and how many more there are.
fn bounded(lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut lines = lines.into_iter();
    let mut kept: Vec<String> = lines.by_ref().take(MAX_LINES).collect();
    match lines.count() {
        0 => {}
        more => kept.push(format!("and {more} more")),
    }
    kept
}

/// An answer or a refusal.
pub type Outcome = Result<Answer, Refusal>;

/// The line of an outcome.
pub fn answer_line(outcome: &Outcome) -> Vec<u8> {
    let (ok, error) = match outcome {
        Ok(answer) => (Some(answer), None),
        Err(refusal) => (None, Some(refusal)),
    };
    line(&AnswerLine { v: VERSION, ok, error })
}

/// The outcome of a line, its end taken off.
///
/// # Errors
///
/// Why it is none.
pub fn read_answer(line: &[u8]) -> Result<Outcome, String> {
    let AnswerLine { v, ok, error } = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    match (ok, error) {
        (Some(answer), None) => Ok(Ok(answer)),
        (None, Some(refusal)) => Ok(Err(refusal)),
        _ => Err(format!("no answer of version {VERSION}, but of version {v}")),
    }
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine<R> {
    v: u32,
    request: R,
}

#[derive(Serialize, Deserialize)]
struct AnswerLine<A, R> {
    v: u32,
    #[serde(skip_serializing_if = "Option::is_none", default = "none")]
    ok: Option<A>,
    #[serde(skip_serializing_if = "Option::is_none", default = "none")]
    error: Option<R>,
}

/// `Option`'s own default asks for more of its content than is needed.
const fn none<T>() -> Option<T> {
    None
}

fn line(value: &impl Serialize) -> Vec<u8> {
    // Our own types: their maps have keys of text, and writing to memory doesn't fail.
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;
