//! The control thread: answers on the control socket what can be read off the board, and hands on to the main thread
//! what changes something.

use super::board::{Board, Notice};
use super::hits::{Hit, Hits};
use super::lately::Lately;
use super::rate::Rate;
use super::signals::Event;
use crate::control::limits::RULES_IN_PAGE;
use crate::control::report::{Counts, LogState, RuleRow, RulesPage, RulesState, Stats, Status};
use crate::control::{
    Activity, Answer, Backend, Change, Forcible, Refusal, RefusalKind, Reply, Request, Resumed, Server,
};
use crate::firewall;
use crate::record::Summary;
use crate::record::sink::Handle;
use crate::record::tap::Outlet;
use crate::rules::order::{Row, Section, sections};
use crate::rules::{Policy, Ruleset};
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How often the rate of packets is taken, if nobody asks anything.
const TURN: Duration = Duration::from_secs(1);
/// How long the capture thread may take to tell the hits; then the last ones are told.
const HITS_PATIENCE: Duration = Duration::from_millis(500);
/// How long the rows of rules are kept for the next page: a hundred thousand take 30 MB.
const ROWS_KEPT: Duration = Duration::from_secs(5);
/// How long clients may take to read their last answers.
const LAST_PATIENCE: Duration = Duration::from_millis(200);

/// Who asks for other rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The user's file, or the time: nobody who could be asked back. Or somebody who means it, whatever it cuts.
    Nobody,
    /// A process that is told if it would cut its own session.
    Process(Option<u32>),
}

impl Asker {
    /// A process that asks, and may mean it all the same.
    pub const fn new(caller: Option<u32>, force: bool) -> Self {
        if force { Self::Nobody } else { Self::Process(caller) }
    }
}

/// What the main thread is to do, and answer then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Change the rules, as such a one asks.
    Change(Change, Asker),
    /// Take the last change back, as such a one asks.
    Undo(Asker),
    /// Let something rest, for so many seconds.
    Pause(Activity, Option<u64>),
    /// Block all but loopback.
    Panic {
        /// For so many seconds.
        seconds: Option<u64>,
        /// Who asks.
        asker: Asker,
    },
    /// Go on with something, as such a one asks.
    Resume(Resumed, Asker),
    /// Read the rules file again and put it in force, as such a one asks.
    Reload(Asker),
    /// The rules may stay.
    Confirm,
    /// Hold what was dropped against what was reported and logged.
    Audit,
    /// Take the rules out and end.
    Stop,
}

/// What stays the same for a whole run.
#[derive(Debug)]
pub struct Facts {
    /// When it started.
    pub since: Timestamp,
    /// See there.
    pub started: Instant,
    /// Whether rules are enforced.
    pub enforcing: bool,
    /// The rules file.
    pub rules_file: PathBuf,
    /// The log file, if it is one.
    pub log_file: Option<PathBuf>,
}

/// The control thread.
pub struct Clerk {
    server: Server,
    outlet: Outlet,
    office: Counter,
}

/// Where requests are met.
struct Counter {
    facts: Facts,
    board: Arc<Board>,
    log: Handle,
    events: Sender<Event>,
    rate: Rate,
    clients: (usize, u64),
    hits: Hits,
    /// Who waits for hits, and since when.
    waiting: Vec<(usize, Reply)>,
    since: Option<Instant>,
    rows: Option<Rows>,
    /// Who waits for a page of connections: one after the other, the first since then.
    pages: VecDeque<(usize, Reply)>,
    asked: Instant,
    lately: Lately,
}

/// The rules in the order in which they act, as of a moment.
struct Rows {
    ruleset: Arc<Ruleset>,
    sections: Vec<Section>,
    made: Instant,
}

impl Clerk {
    /// A clerk for these clients.
    pub fn new(
        server: Server,
        outlet: Outlet,
        facts: Facts,
        board: Arc<Board>,
        log: Handle,
        events: Sender<Event>,
    ) -> Self {
        let rate = Rate::new(facts.started);
        let office = Counter {
            facts,
            board,
            log,
            events,
            rate,
            clients: (0, 0),
            hits: Hits::default(),
            waiting: Vec::new(),
            since: None,
            rows: None,
            pages: VecDeque::new(),
            asked: Instant::now(),
            lately: Lately::default(),
        };
        Self { server, outlet, office }
    }

    /// Serves until the board is closed, and sends what answers there are then.
    pub fn run(mut self) {
        while !self.office.board.is_closing() {
            if let Err(error) = self.server.turn(self.office.patience(), &mut self.office) {
                tracing::warn!("the control socket is closed: {error}");
                return;
            }
            self.office.tick(Instant::now());
            self.office.clients = (self.server.clients(), self.server.refused());
            self.outlet.want(self.server.wanted());
            while let Some(batch) = self.outlet.next() {
                self.office.lately.take(&batch);
                self.server.publish(&batch);
                self.outlet.give_back(batch);
            }
        }
        // Who still waits for hits is told that this is the end.
        self.office.waiting.clear();
        self.office.pages.clear();
        self.server.finish(LAST_PATIENCE);
    }
}

impl Backend for Counter {
    fn ask(&mut self, request: Request, caller: Option<u32>, reply: Reply) {
        let asker = |force| Asker::new(caller, force);
        match request {
            Request::Status => reply.ok(Answer::Status(Box::new(self.status()))),
            Request::Stats => reply.ok(Answer::Stats(Box::new(self.stats()))),
            Request::Rules { from } => {
                self.board.want_hits();
                self.waiting.push((from, reply));
                self.since.get_or_insert_with(Instant::now);
            }
            Request::Connections { from } => {
                self.pages.push_back((from, reply));
                if self.pages.len() == 1 {
                    self.want_page();
                }
            }
            Request::Incidents => reply.ok(Answer::Incidents(self.lately.told())),
            Request::Change(change) => {
                let asker = asker(change.force);
                self.hand_on(Order::Change(change, asker), reply);
            }
            Request::Undo => self.hand_on(Order::Undo(asker(false)), reply),
            Request::Pause { what, for_seconds } => self.hand_on(Order::Pause(what, for_seconds), reply),
            Request::Panic { for_seconds: seconds, force } => {
                self.hand_on(Order::Panic { seconds, asker: asker(force) }, reply);
            }
            Request::Resume { what, force } => self.hand_on(Order::Resume(what, asker(force)), reply),
            Request::Reload => self.hand_on(Order::Reload(asker(false)), reply),
            Request::Force(Forcible::Undo) => self.hand_on(Order::Undo(asker(true)), reply),
            Request::Force(Forcible::Reload) => self.hand_on(Order::Reload(asker(true)), reply),
            Request::Confirm => self.hand_on(Order::Confirm, reply),
            Request::Audit => self.hand_on(Order::Audit, reply),
            Request::Stop => self.hand_on(Order::Stop, reply),
            // The server's own affair.
            Request::Subscribe { .. } => reply.refuse(Refusal::new(RefusalKind::Failed, "not subscribed")),
        }
    }
}

impl Counter {
    /// What the main thread does not take any more is answered by the reply's end.
    fn hand_on(&self, order: Order, reply: Reply) {
        let _ = self.events.send(Event::Asked(order, reply));
    }

    fn patience(&self) -> Duration {
        if self.waiting.is_empty() && self.pages.is_empty() { TURN } else { HITS_PATIENCE }
    }

    /// Asks for the connections that the first of those who wait wants.
    fn want_page(&mut self) {
        if let Some((from, _)) = self.pages.front() {
            self.board.want_tracking(*from);
            self.asked = Instant::now();
        }
    }

    /// Answers who waits for connections.
    fn tell_connections(&mut self, now: Instant) {
        // A page that came too late for who had asked for it is nobody's.
        let wanted = self.pages.front().map(|(from, _)| *from);
        if let Some(tracking) = self.board.take_tracking().filter(|tracking| Some(tracking.from) == wanted) {
            if let Some((_, reply)) = self.pages.pop_front() {
                reply.ok(Answer::Connections(tracking.told()));
            }
            self.want_page();
        } else if now.saturating_duration_since(self.asked) >= HITS_PATIENCE {
            let words = "the capture thread has more to do than to tell its connections; ask again";
            for (_, reply) in self.pages.drain(..) {
                reply.refuse(Refusal::new(RefusalKind::Failed, words));
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        self.rate.take(self.board.counts().packets, now);
        let fresh = self.board.take_hits();
        let late = self.since.is_some_and(|since| now.saturating_duration_since(since) >= HITS_PATIENCE);
        if fresh.is_some() || late {
            self.hits = fresh.unwrap_or_else(|| std::mem::take(&mut self.hits));
            self.since = None;
            for (from, reply) in std::mem::take(&mut self.waiting) {
                reply.ok(Answer::Rules(self.rules(from, now)));
            }
        }
        if !self.pages.is_empty() {
            self.tell_connections(now);
        }
        self.rows.take_if(|rows| now.saturating_duration_since(rows.made) > ROWS_KEPT);
    }

    fn status(&self) -> Status {
        let notice = self.board.notice();
        let now = Instant::now();
        let others_enforce = !self.facts.enforcing && firewall::is_in_force();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            since: rfc3339(self.facts.since),
            uptime: self.facts.started.elapsed().as_secs(),
            enforcing: self.facts.enforcing,
            tools: notice.tools.clone(),
            degraded: notice.degraded,
            others_enforce,
            rules: RulesState {
                file: self.facts.rules_file.clone(),
                count: notice.ruleset.len(),
                generation: notice.generation,
                since: rfc3339(notice.since),
                refused: notice.refused.clone(),
            },
            interfaces: self.board.interfaces(),
            counts: self.counts(&self.board.counts()),
            packets_per_second: self.rate.per_second(),
            log: self.log_state(),
            regime: notice.regime.report(),
            temporary: notice.temporary.clone(),
            bans: notice.bans.clone(),
            confirm: notice.confirm_by.map(|by| by.saturating_duration_since(now).as_secs()),
            warnings: warnings(&notice, self.facts.enforcing, others_enforce),
        }
    }

    fn stats(&self) -> Stats {
        let (seen, log) = (self.board.counts(), self.log.counts());
        Stats {
            time: rfc3339(Timestamp::now()),
            uptime: self.facts.started.elapsed().as_secs(),
            packets_per_second: self.rate.per_second(),
            counts: self.counts(&seen),
            non_ip: seen.non_ip,
            other_host: seen.other_host,
            duplicates: seen.duplicates,
            not_for_stack: seen.not_for_stack,
            log_lines: log.lines,
            log_bytes: log.bytes,
            log_rotations: log.rotations,
            clients: self.clients.0,
            clients_refused: self.clients.1,
        }
    }

    fn counts(&self, seen: &Summary) -> Counts {
        Counts {
            packets: seen.packets,
            allowed: seen.allowed,
            blocked: seen.blocked,
            would_block: seen.would_block,
            suspicious: seen.suspicious,
            malformed: seen.malformed,
            lost_kernel: seen.lost_kernel,
            lost_reports: seen.lost_reports,
            lost_log: self.log.counts().lost_log(),
            untold_packets: seen.untold_packets,
            differences: seen.differences.total(),
        }
    }

    fn log_state(&self) -> LogState {
        let size = self.facts.log_file.as_ref().and_then(|path| std::fs::metadata(path).ok()).map(|data| data.len());
        LogState { file: self.facts.log_file.clone(), size, lines: self.log.counts().lines }
    }

    fn rules(&mut self, from: usize, now: Instant) -> RulesPage {
        let notice = self.board.notice();
        let rows = self.rows.take().filter(|rows| Arc::ptr_eq(&rows.ruleset, &notice.ruleset));
        let rows = rows.unwrap_or_else(|| Rows {
            sections: sections(&notice.ruleset, Timestamp::now()),
            ruleset: Arc::clone(&notice.ruleset),
            made: now,
        });
        let hits = self.hits.by_id();
        let all = rows.sections.iter().flat_map(|section| {
            let before = [None].into_iter().chain(section.rows.iter().map(Some));
            section.rows.iter().zip(before).map(move |(row, before)| (section, row, before))
        });
        let page = all.skip(from).take(RULES_IN_PAGE).map(|(section, row, before)| {
            let is_shared = before.is_some_and(|before| before.id == row.id);
            let hit = (!is_shared).then(|| hits.get(row.id.as_str()).copied().unwrap_or_default());
            told(section, row, hit)
        });
        let page = RulesPage {
            total: rows.sections.iter().map(|section| section.rows.len()).sum(),
            from,
            generation: notice.generation,
            rows: page.collect(),
        };
        self.rows = Some(rows);
        page
    }
}

fn told(section: &Section, row: &Row, hit: Option<Hit>) -> RuleRow {
    RuleRow {
        step: section.step,
        list: section.name.to_owned(),
        number: row.number,
        action: row.action.to_owned(),
        id: row.id.clone(),
        matches: row.matches.clone(),
        comment: row.comment.clone(),
        expires: row.expires.clone(),
        idle: row.idle.map(str::to_owned),
        hits: hit.map(|hit| hit.count),
        last_hit: hit.filter(|hit| hit.count > 0).map(|hit| rfc3339(hit.last)),
    }
}

/// What somebody should look at.
fn warnings(notice: &Notice, enforcing: bool, others_enforce: bool) -> Vec<String> {
    let refused = notice.refused.iter().map(|refused| {
        let first = refused.errors.first().map_or("", String::as_str);
        format!("the rules file was refused at {}, and the rules before it stay: {first}", refused.at)
    });
    let narrow = !notice.ruleset.rules.is_empty()
        || [notice.ruleset.default_policy.incoming, notice.ruleset.default_policy.outgoing].contains(&Policy::Deny);
    let forwards = (enforcing && notice.forwards && narrow)
        .then(|| "this machine forwards packets: the lists act on them, rules and default_policy don't".to_owned());
    let remarks = notice.remarks.iter().map(|(at, words)| format!("{}: {words}", rfc3339(*at)));
    let unfollowed = notice.unfollowed.clone();
    let unbanned = (notice.bans_without_room > 0)
        .then(|| format!("{} bans found no room among those in force", notice.bans_without_room));
    let present =
        others_enforce.then(|| "rules of a pfw are in force; what one has left there, 'pfw clean' removes".to_owned());
    present.into_iter().chain(refused).chain(unfollowed).chain(forwards).chain(unbanned).chain(remarks).collect()
}

/// A time in seconds, RFC 3339, UTC.
pub fn rfc3339(time: Timestamp) -> String {
    jiff::Timestamp::from_second(time.parts().0).unwrap_or_default().to_string()
}
