//! The main thread's part while pfw runs: answers events, has the rules enforced, and leaves them for the capture
//! thread. What becomes of changes that somebody asks for is in `steering`.

mod acting;
mod care;

pub use acting::InForce;
pub(super) use acting::needs_force;

use super::board::Board;
use super::book::Book;
use super::clerk::{Asker, Order, rfc3339};
use super::enforcement::Enforcement;
use super::files::Files;
use super::live::Desk;
use super::orders::Orders;
use super::regime::Regime;
use super::signals::Event;
use super::vigil::Vigil;
use crate::control::report::{BanRow, TemporaryChange};
use crate::control::{Answer, Done, Outcome, Refusal, RefusalKind, Reply};
use crate::host::{self, Host};
use crate::record::PfwEvent;
use crate::record::sink::Handle;
use crate::time::Timestamp;
use anyhow::{Error, Result, anyhow};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long after a change of addresses the rules are compiled for the new ones: changes come in bursts.
const SETTLE: Duration = Duration::from_millis(300);

/// The main thread while pfw runs.
pub struct Office {
    events: Receiver<Event>,
    orders: Arc<Orders>,
    pub(super) board: Arc<Board>,
    pub(super) book: Book,
    pub(super) regime: Regime,
    /// What acts: the rules of the book, unless there is a panic.
    acting: InForce,
    enforcement: Option<Enforcement>,
    pub(super) files: Option<Files>,
    started: Instant,
    /// When the next entry of the rules in force expires.
    expires_at: Timestamp,
    /// The rules of that time have been left for the capture thread.
    is_expiry_prepared: bool,
    /// When a change of addresses is to be looked at.
    moved_at: Option<Instant>,
    /// The watch over the kernel's rules, if they are in force.
    vigil: Option<Vigil>,
    /// Until when the user must have confirmed.
    confirm_by: Option<Instant>,
    /// The thread that has panicked.
    failed: Option<&'static str>,
    /// Who is to be told when everything has ended.
    stopping: Vec<Reply>,
}

impl Office {
    /// An office for rules that are in force.
    pub fn new(
        events: Receiver<Event>,
        orders: Arc<Orders>,
        board: Arc<Board>,
        book: Book,
        acting: InForce,
        enforcement: Option<Enforcement>,
        files: Option<Files>,
    ) -> Self {
        let started = Instant::now();
        let vigil = enforcement.as_ref().map(|enforcement| Vigil::new(enforcement.is_told(), started));
        let expires_at = acting.matcher.valid_until();
        let office = Self {
            events,
            orders,
            board,
            book,
            regime: Regime::default(),
            acting,
            enforcement,
            files,
            started,
            expires_at,
            is_expiry_prepared: false,
            moved_at: None,
            vigil,
            confirm_by: None,
            failed: None,
            stopping: Vec::new(),
        };
        office.tell_rules();
        office
    }

    /// Gives the user some time to confirm; without it the rules may stay. What the ready line says must be true when it
    /// is said, so this comes before.
    pub fn open(&mut self, desk: &mut impl Desk, confirm: Option<Duration>) {
        if let Some(enforcement) = &self.enforcement {
            let (since, by) = (enforcement.since(), format!("the rules are in force, by {}", enforcement.tools()));
            self.hand_over(Arc::clone(&self.acting.matcher), since, PfwEvent::Enforcing, &by);
        }
        self.expect_confirmation(confirm.map(|time| Instant::now() + time));
        if self.confirm_by.is_none() {
            self.may_stay(desk);
        }
    }

    /// Answers events until the end comes.
    pub fn serve(&mut self, desk: &mut impl Desk, log: &Handle) {
        self.catch_up(desk);
        while !self.orders.is_asked_to_stop() {
            self.do_what_is_due(desk);
            match self.next_event() {
                Some(Event::Stop | Event::CaptureEnded) => break,
                Some(Event::ThreadFailed(name)) => {
                    self.failed = Some(name);
                    break;
                }
                Some(Event::ReadRules) if desk.is_abandoned() => break,
                // Whoever sent the signal reads the messages.
                Some(Event::ReadRules) => drop(self.reload(desk, Asker::Nobody)),
                Some(Event::FilesChanged(changed)) => self.follow_files(desk, &changed),
                Some(Event::ReopenLog) => log.reopen(),
                Some(Event::Confirmed) => drop(self.confirm(desk)),
                Some(Event::AddressesChanged) => {
                    self.moved_at.get_or_insert_with(|| Instant::now() + SETTLE);
                }
                Some(Event::TablesChanged(change)) => self.hear_of(&change),
                Some(Event::ChildEnded) => self.mind_guardian(desk),
                Some(Event::Offence { ban, only_said }) => self.ban(desk, ban, only_said),
                Some(Event::Asked(Order::Stop, reply)) => {
                    self.stopping.push(reply);
                    break;
                }
                Some(Event::Asked(order, reply)) => self.meet(desk, order, reply),
                None => {}
            }
            if is_due(self.confirm_by) {
                desk.say("pfw: not confirmed in time: everything is taken back");
                break;
            }
        }
    }

    /// Does what somebody asks for through the control socket.
    fn meet(&mut self, desk: &mut impl Desk, order: Order, reply: Reply) {
        match order {
            Order::Reload(asker) => reply.send(self.reload(desk, asker).map(Answer::Done)),
            Order::Confirm => reply.send(self.confirm(desk)),
            Order::Change(change, asker) => reply.send(self.change(desk, &change, asker)),
            Order::Undo(asker) => reply.send(self.undo(desk, asker)),
            Order::Pause(what, seconds) => reply.send(self.pause(desk, what, seconds)),
            Order::Resume(what, asker) => reply.send(self.resume(desk, what, asker)),
            Order::Panic { seconds, asker } => reply.send(self.panic(desk, seconds, asker)),
            Order::Audit => self.audit(reply),
            Order::Stop => self.stopping.push(reply),
        }
    }

    /// The rules may stay, as far as the user is concerned.
    fn may_stay(&mut self, desk: &mut impl Desk) {
        if let Some(Err(error)) = self.enforcement.as_mut().map(Enforcement::confirmed) {
            desk.say(&format!("pfw: {error:#}"));
        }
    }

    /// Takes the rules out of the kernel, or leaves them there if that was asked for and nothing spoke against it, and
    /// tells who asked for the end.
    pub fn close(&mut self, desk: &mut impl Desk) -> Result<()> {
        let unconfirmed = self.confirm_by.is_some();
        let panicking = self.enforcement.as_ref().filter(|_| self.regime.panic.is_some());
        let panic = panicking.map(|enforcement| {
            if enforcement.stays(unconfirmed) {
                "the panic stays in force without pfw: 'pfw clean' ends it"
            } else {
                "the panic ends with pfw"
            }
        });
        if let Some(words) = panic {
            desk.say(&format!("pfw: {words}"));
        }
        if let Some(Ok(counted)) = self.enforcement.as_ref().map(Enforcement::count) {
            self.orders.count(counted, None);
        }
        let (orders, host) = (&self.orders, &self.acting.host);
        let finish = |enforcement: Enforcement| enforcement.finish(unconfirmed, host, |rules| orders.announce(rules));
        let ended = self.enforcement.take().map(finish).transpose();
        let outcome: Outcome = match &ended {
            Ok(done) => {
                let done = Done::new(done.unwrap_or("pfw has stopped watching"));
                Ok(Answer::Done(done.warning(panic.map(str::to_owned))))
            }
            Err(error) => Err(failure(error)),
        };
        for reply in self.stopping.drain(..) {
            reply.send(outcome.clone());
        }
        if let Some(done) = ended? {
            desk.say(&format!("pfw: {done}"));
        }
        self.failed.map_or(Ok(()), |name| Err(anyhow!("the {name} thread has failed")))
    }

    /// Lets the rules stay.
    fn confirm(&mut self, desk: &mut impl Desk) -> Outcome {
        if self.confirm_by.is_none() {
            let message = "there is nothing to confirm: no 'pfw run --confirm' waits for it";
            return Err(Refusal::because(RefusalKind::Refused, message));
        }
        self.expect_confirmation(None);
        self.may_stay(desk);
        desk.say("pfw: confirmed; the rules stay");
        Ok(Answer::Done(Done::new("confirmed; the rules stay")))
    }

    fn expect_confirmation(&mut self, by: Option<Instant>) {
        self.confirm_by = by;
        self.board.change(|notice| notice.confirm_by = by);
    }

    /// Tells which rules are in force.
    fn tell_rules(&self) {
        let tools = self.enforcement.as_ref().map(Enforcement::tools);
        self.board.change(|notice| {
            notice.ruleset = Arc::clone(&self.acting.ruleset);
            notice.generation += 1;
            notice.since = Timestamp::now();
            notice.tools = tools;
            notice.forwards = self.acting.host.forwards_v4 || self.acting.host.forwards_v6;
            notice.regime = self.regime;
        });
        self.tell_temporary();
    }

    /// Tells what is not in the file.
    pub(super) fn tell_temporary(&self) {
        let (bans, others): (Vec<_>, Vec<_>) = self.book.temporary().iter().partition(|one| one.ban.is_some());
        let others = others.into_iter();
        let others = others.map(|one| TemporaryChange { what: one.words.clone(), until: one.until.map(rfc3339) });
        let others: Vec<_> = others.collect();
        let bans = bans.into_iter().filter_map(|one| Some((one.ban.as_ref()?, one.until?)));
        let bans: Vec<_> = bans
            .map(|(ban, until)| BanRow {
                source: ban.source,
                alert: ban.alert.name().to_owned(),
                incident: ban.incident,
                times: ban.times,
                since: rfc3339(ban.begins),
                until: rfc3339(until),
                reason: ban.reason.clone(),
            })
            .collect();
        self.board.change(|notice| (notice.temporary, notice.bans) = (others, bans));
    }

    /// The next event, or `None` when something is due.
    fn next_event(&self) -> Option<Event> {
        let ends = [self.book.ends_at(), self.regime.ends_at()].into_iter().flatten();
        let next = ends.chain([self.expires_at]).min().unwrap_or(Timestamp::MAX);
        let next = (next < Timestamp::MAX).then(|| next.since(Timestamp::now()));
        let others = [self.moved_at, self.vigil.as_ref().map(Vigil::next), self.confirm_by].into_iter().flatten();
        let times = others.map(|at| at.saturating_duration_since(Instant::now())).chain(next);
        let received = match times.min() {
            Some(time) => self.events.recv_timeout(time),
            None => self.events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Stop),
        }
    }

    fn do_what_is_due(&mut self, desk: &mut impl Desk) {
        let now = Timestamp::now();
        if is_due(self.moved_at) {
            self.moved_at = None;
            self.follow_addresses(desk);
        }
        if self.expires_at <= now {
            self.expire(desk);
        }
        if !self.is_expiry_prepared {
            self.prepare_expiry();
        }
        if self.book.ends_at().is_some_and(|end| end <= now) {
            self.end_temporary(desk);
        }
        if self.regime.ends_at().is_some_and(|end| end <= now) {
            self.end_spells(desk);
        }
        if is_due(self.vigil.as_ref().map(Vigil::next)) {
            self.look_after(desk);
        }
    }

    /// Whether rules are enforced, be it that this rests now.
    pub(super) fn is_enforcing(&self) -> bool {
        self.enforcement.is_some()
    }

    /// The machine as it was read last.
    pub(super) fn host(&self) -> &Host {
        &self.acting.host
    }

    /// Leaves a line about pfw itself.
    pub(super) fn note(&self, event: PfwEvent, reason: &str) {
        self.orders.note(event, reason);
    }

    /// Has allowed packets pass without a line, or with one again.
    pub(super) fn rest(&self, rests: bool) {
        self.orders.rest(rests);
        self.board.change(|notice| notice.regime = self.regime);
    }

    /// Reads what this machine is anew.
    pub(super) fn look_around(&mut self) {
        self.acting.host = Arc::new(host::read());
    }

    /// Says what somebody should look at, and keeps it for who asks.
    pub(super) fn remark(&self, desk: &mut impl Desk, words: &str) {
        desk.say(&format!("pfw: {words}"));
        self.board.change(|notice| notice.remark(words));
    }
}

/// A refusal that tells all causes of an error.
pub(super) fn failure(error: &Error) -> Refusal {
    Refusal::because(RefusalKind::Failed, format!("{error:#}"))
}

fn is_due(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= Instant::now())
}
