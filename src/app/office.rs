//! The main thread's part while pfw runs: answers events, has the rules enforced, and leaves them for the capture
//! thread. What becomes of changes that somebody asks for is in `steering`.

mod care;

use super::board::Board;
use super::book::{Book, Pages};
use super::clerk::{Order, rfc3339};
use super::enforcement::{Acting, Enforcement};
use super::files::Files;
use super::live::Desk;
use super::lockout::{Cuts, Verb};
use super::orders::Orders;
use super::regime::{Regime, panic_rules};
use super::signals::Event;
use super::stage::Rules;
use super::vigil::Vigil;
use crate::control::report::{BanRow, TemporaryChange};
use crate::control::{Answer, Done, Outcome, Refusal, RefusalKind, Reply};
use crate::engine::Matcher;
use crate::host::{self, Host};
use crate::record::PfwEvent;
use crate::record::sink::Handle;
use crate::rules::Ruleset;
use crate::time::Timestamp;
use anyhow::{Error, Result, anyhow};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long after a change of addresses the rules are compiled for the new ones: changes come in bursts.
const SETTLE: Duration = Duration::from_millis(300);

/// Rules, and the machine that they were compiled for.
#[derive(Debug)]
pub struct InForce {
    /// The rules.
    pub ruleset: Arc<Ruleset>,
    /// The same, compiled.
    pub matcher: Arc<Matcher>,
    /// The machine.
    pub host: Arc<Host>,
}

impl InForce {
    /// Compiles rules for a machine.
    pub fn new(ruleset: Arc<Ruleset>, host: Arc<Host>) -> Self {
        let matcher = Arc::new(Matcher::new(&ruleset, &host, Timestamp::now()));
        Self { ruleset, matcher, host }
    }

    /// Compiles what is to come after these: what is the same in both is not made again.
    #[must_use]
    pub fn next(&self, ruleset: Arc<Ruleset>, host: Arc<Host>) -> Self {
        let matcher = Arc::new(self.matcher.next(&ruleset, &host, Timestamp::now()));
        Self { ruleset, matcher, host }
    }

    /// The same for the machine as it is now. Where it has not changed meanwhile, nor anything expired, they need not be
    /// compiled again.
    #[must_use]
    pub fn brought_up_to_date(self) -> Self {
        let host = host::read();
        let is_right = host == *self.host && Timestamp::now() < self.matcher.valid_until();
        if is_right { self } else { self.next(Arc::clone(&self.ruleset), Arc::new(host)) }
    }
}

/// Who asks for other rules.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    /// The user's file, or the time: nobody who could be asked back.
    Nobody,
    /// A process that is told if it would cut its own session.
    Process(Option<u32>),
}

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
            self.decide_by_these(enforcement.since(), "the rules are in force");
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
                Some(Event::ReadRules) => drop(self.reload(desk)),
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
            Order::Reload => reply.send(self.reload(desk)),
            Order::Confirm => reply.send(self.confirm(desk)),
            Order::Change(change, caller) => reply.send(self.change(desk, &change, caller)),
            Order::Undo(caller) => reply.send(self.undo(desk, caller)),
            Order::Pause(what, seconds) => reply.send(self.pause(desk, what, seconds)),
            Order::Resume(what) => reply.send(self.resume(desk, what)),
            Order::Panic { seconds, force, caller } => reply.send(self.panic(desk, seconds, force, caller)),
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
        if let Some(Ok(counted)) = self.enforcement.as_ref().map(Enforcement::count) {
            self.orders.count(counted, None);
        }
        let ended = self.enforcement.take().map(|enforcement| enforcement.finish(unconfirmed)).transpose();
        let outcome: Outcome = match &ended {
            Ok(done) => Ok(Answer::Done(Done::new(done.unwrap_or("pfw has stopped watching")))),
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

    /// Puts the rules of `pages` in force under `regime`: in the kernel first, and nowhere if that fails.
    ///
    /// # Errors
    ///
    /// If that would cut the session of who asks, or the kernel does not take them.
    pub(super) fn put_in_force(
        &mut self,
        desk: &mut impl Desk,
        pages: &Pages,
        regime: Regime,
        asker: Asker,
        why: &str,
    ) -> Result<(), Refusal> {
        let host = Arc::clone(&self.acting.host);
        let ruleset = match regime.panic {
            Some(_) => panic_rules(&host),
            None => pages.loaded().ruleset.clone(),
        };
        let acting = self.acting.next(Arc::new(ruleset), host);
        if self.is_enforcing() && regime.enforces() {
            self.ask_back(desk, &acting, asker)?;
        }
        let from = self.enforce(desk, &acting, regime).map_err(|error| failure(&error))?;
        self.acting = acting;
        self.regime = regime;
        self.decide_by_these(from, why);
        self.tell_rules();
        Ok(())
    }

    /// Says which connections rules would cut that are not yet in force; an error if it is the session of who asks.
    fn ask_back(&self, desk: &mut impl Desk, next: &InForce, asker: Asker) -> Result<(), Refusal> {
        let before = self.regime.enforces().then_some(&*self.acting.matcher);
        let caller = if let Asker::Process(caller) = asker { caller } else { None };
        // Before they are: afterwards the words may reach nobody.
        let cuts = Cuts::anew(before, &next.matcher, &next.host, caller, &mut |words| self.remark(desk, words));
        if let (Some(words), Asker::Process(_)) = (cuts.own(), asker) {
            return Err(needs_force(&words));
        }
        cuts.lines(Verb::Is).iter().for_each(|line| self.remark(desk, line));
        Ok(())
    }

    /// Compiles the rules anew if the machine has become another one to them.
    fn follow_addresses(&mut self, desk: &mut impl Desk) {
        let host = host::read();
        if host == *self.acting.host {
            return;
        }
        let ruleset = match self.regime.panic {
            Some(_) => Arc::new(panic_rules(&host)),
            None => Arc::clone(&self.acting.ruleset),
        };
        self.acting = self.acting.next(ruleset, Arc::new(host));
        // If it has failed, what is decided is another thing than what the kernel does, and counted so.
        let from = self.enforce_acting(desk).unwrap_or_else(|_| Timestamp::now());
        self.decide_by_these(from, "this machine's addresses or gateways have changed");
    }

    /// Gives the kernel the rules without what has expired. The engine was told ahead of time; the kernel is now.
    fn expire(&mut self, desk: &mut impl Desk) {
        let InForce { ruleset, host, matcher } = &self.acting;
        self.acting.matcher = Arc::new(matcher.next(ruleset, host, Timestamp::now()));
        // What fails was said.
        let _ = self.enforce_acting(desk);
        self.expires_at = self.acting.matcher.valid_until();
        self.is_expiry_prepared = false;
    }

    /// Gives the kernel the rules that act; from when on it has them. What fails is said.
    fn enforce_acting(&mut self, desk: &mut impl Desk) -> Result<Timestamp> {
        let InForce { ruleset, matcher, host } = &self.acting;
        let acting = InForce { ruleset: Arc::clone(ruleset), matcher: Arc::clone(matcher), host: Arc::clone(host) };
        self.enforce(desk, &acting, self.regime)
    }

    /// Gives the kernel these rules, or none while enforcement rests; says it if that fails. From when on it has them.
    fn enforce(&mut self, desk: &mut impl Desk, next: &InForce, regime: Regime) -> Result<Timestamp> {
        // Where nothing is enforced there is nothing to wait for.
        let Some(enforcement) = &mut self.enforcement else { return Ok(Timestamp::MIN) };
        let orders = &self.orders;
        let mut words = Vec::new();
        let mut say = |said: &str| words.push(said.to_owned());
        let acting = Acting { ruleset: &next.ruleset, host: &next.host };
        let announce = |rules| orders.announce(rules);
        let replaced = if regime.enforces() {
            enforcement.replace(Some(acting), &next.matcher, announce, &mut say)
        } else {
            let nothing = Arc::new(Matcher::new(&Ruleset::default(), &next.host, Timestamp::now()));
            enforcement.replace(None, &nothing, announce, &mut say)
        };
        let since = enforcement.since();
        for words in &words {
            self.remark(desk, words);
        }
        let counted = replaced
            .inspect_err(|error| self.remark(desk, &format!("{error:#}; the rules that were in force stay")))?;
        self.orders.count(counted, None);
        Ok(since)
    }

    /// Says what somebody should look at, and keeps it for who asks.
    pub(super) fn remark(&self, desk: &mut impl Desk, words: &str) {
        desk.say(&format!("pfw: {words}"));
        self.board.change(|notice| notice.remark(words));
    }

    /// Packets are decided by the rules that act from then on.
    fn decide_by_these(&mut self, from: Timestamp, why: &str) {
        let InForce { matcher, .. } = &self.acting;
        self.expires_at = matcher.valid_until();
        self.is_expiry_prepared = false;
        let matcher = Arc::clone(matcher);
        self.hand_over(matcher, from, why);
    }

    /// Compiles the rules as they will be when the next entry has expired, ahead of time: a packet of the very moment
    /// is then decided by them.
    fn prepare_expiry(&mut self) {
        self.is_expiry_prepared = true;
        if self.expires_at < Timestamp::MAX {
            let InForce { ruleset, host, matcher } = &self.acting;
            let matcher = Arc::new(matcher.next(ruleset, host, self.expires_at));
            self.hand_over(matcher, self.expires_at, "an entry has expired");
        }
    }

    /// Gives the capture thread rules that are to be decided by from a time on.
    fn hand_over(&mut self, matcher: Arc<Matcher>, from: Timestamp, why: &str) {
        let seeds = self.enforcement.as_mut().and_then(Enforcement::take_seeds).map(Arc::new);
        let enforced = self.enforcement.is_none() || self.regime.enforces();
        let host = Arc::clone(&self.acting.host);
        // In this order: whoever takes the rules has been woken for them, and clears the alarm.
        self.board.wake_capture();
        self.orders.put(Rules { matcher, host, from, why: why.into(), enforced, seeds });
    }
}

/// What a caller is told who would cut itself off.
pub(super) fn needs_force(words: &str) -> Refusal {
    Refusal::because(RefusalKind::NeedsForce, format!("{words}; nothing was changed; --force does it all the same"))
}

/// A refusal that tells all causes of an error.
pub(super) fn failure(error: &Error) -> Refusal {
    Refusal::because(RefusalKind::Failed, format!("{error:#}"))
}

fn is_due(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= Instant::now())
}
