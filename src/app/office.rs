//! The main thread's part while pfw runs: answers events, compiles rules, has them enforced, and leaves them for the
//! capture thread.

use super::board::Board;
use super::clerk::{Order, rfc3339};
use super::enforcement::Enforcement;
use super::live::{Desk, NewRules};
use super::lockout::say_what_is_cut;
use super::orders::Orders;
use super::signals::Event;
use super::stage::Rules;
use super::vigil::Vigil;
use crate::control::report::RefusedFile;
use crate::control::{Answer, Done, Outcome, Refusal, RefusalKind, Reply};
use crate::engine::Matcher;
use crate::firewall::Change;
use crate::host::{self, Host};
use crate::record::PfwEvent;
use crate::record::sink::Handle;
use crate::rules::Ruleset;
use crate::time::Timestamp;
use anyhow::{Error, Result, anyhow};
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long after a change of addresses the rules are compiled for the new ones: changes come in bursts.
const SETTLE: Duration = Duration::from_millis(300);

/// The main thread while pfw runs.
pub struct Office {
    events: Receiver<Event>,
    orders: Arc<Orders>,
    board: Arc<Board>,
    ruleset: Arc<Ruleset>,
    host: Arc<Host>,
    enforcement: Option<Enforcement>,
    started: Instant,
    /// Until when the rules hold that were handed over last.
    horizon: Timestamp,
    /// When these come into force.
    wake_at: Timestamp,
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
    /// An office for rules that are in force as `matcher` has them.
    pub fn new(
        events: Receiver<Event>,
        orders: Arc<Orders>,
        board: Arc<Board>,
        ruleset: Ruleset,
        host: Arc<Host>,
        matcher: &Matcher,
        enforcement: Option<Enforcement>,
    ) -> Self {
        let horizon = matcher.valid_until();
        let started = Instant::now();
        let vigil = enforcement.as_ref().map(|enforcement| Vigil::new(enforcement.is_told(), started));
        let (moved_at, confirm_by) = (None, None);
        let mut office = Self {
            events,
            orders,
            board,
            ruleset: Arc::new(ruleset),
            host,
            enforcement,
            started,
            horizon,
            wake_at: horizon,
            moved_at,
            vigil,
            confirm_by,
            failed: None,
            stopping: Vec::new(),
        };
        office.tell_rules();
        office.prepare_expiry();
        office
    }

    /// Answers events until the end comes.
    pub fn serve(&mut self, desk: &mut impl Desk, log: &Handle, confirm: Option<Duration>) {
        self.expect_confirmation(confirm.map(|time| Instant::now() + time));
        if self.confirm_by.is_none() {
            self.may_stay(desk);
        }
        while !self.orders.is_asked_to_stop() {
            match self.next_event() {
                Some(Event::Stop | Event::CaptureEnded) => break,
                Some(Event::ThreadFailed(name)) => {
                    self.failed = Some(name);
                    break;
                }
                Some(Event::ReadRules) if desk.is_abandoned() => break,
                // Whoever sent the signal reads the messages.
                Some(Event::ReadRules) => drop(self.reload(desk)),
                Some(Event::ReopenLog) => log.reopen(),
                Some(Event::Confirmed) => drop(self.confirm(desk)),
                Some(Event::AddressesChanged) => {
                    self.moved_at.get_or_insert_with(|| Instant::now() + SETTLE);
                }
                Some(Event::TablesChanged(change)) => self.hear_of(&change),
                Some(Event::Asked(Order::Reload, reply)) => reply.send(self.reload(desk)),
                Some(Event::Asked(Order::Confirm, reply)) => reply.send(self.confirm(desk)),
                Some(Event::Asked(Order::Audit, reply)) => self.audit(reply),
                Some(Event::Asked(Order::Stop, reply)) => {
                    self.stopping.push(reply);
                    break;
                }
                None => {}
            }
            if is_due(self.confirm_by) {
                desk.say("pfw: not confirmed in time: everything is taken back");
                break;
            }
            self.do_what_is_due(desk);
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

    /// Reads the rules file again and puts it in force. Says what came of it, too.
    fn reload(&mut self, desk: &mut impl Desk) -> Outcome {
        let NewRules { ruleset, file, warnings } = match desk.read_rules() {
            Ok(rules) => rules,
            Err(errors) => {
                for error in &errors {
                    desk.say(error);
                }
                let words = "the rules that were in force stay";
                desk.say(&format!("pfw: {words}"));
                let refusal = Refusal::because(RefusalKind::Refused, format!("the rules file was refused; {words}"));
                let refusal = refusal.detailed(errors);
                let (at, errors) = (rfc3339(Timestamp::now()), refusal.details.clone());
                self.board.change(|notice| notice.refused = Some(RefusedFile { at, errors }));
                return Err(refusal);
            }
        };
        for warning in &warnings {
            desk.say(warning);
        }
        let before = self.ruleset.len();
        self.change(desk, ruleset).map_err(|error| failure(&error))?;
        let words = format!("read {file} again: {} rules (before: {before})", self.ruleset.len());
        desk.say(&format!("pfw: {words}"));
        Ok(Answer::Done(Done::new(words).warning(warnings)))
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
            notice.ruleset = Arc::clone(&self.ruleset);
            notice.generation += 1;
            notice.since = Timestamp::now();
            notice.tools = tools;
            notice.forwards = self.host.forwards_v4 || self.host.forwards_v6;
            notice.refused = None;
        });
    }

    /// The next event, or `None` when something is due.
    fn next_event(&self) -> Option<Event> {
        let expiry = (self.wake_at < Timestamp::MAX).then(|| self.wake_at.since(Timestamp::now()));
        let others = [self.moved_at, self.vigil.as_ref().map(Vigil::next), self.confirm_by].into_iter().flatten();
        let times = others.map(|at| at.saturating_duration_since(Instant::now())).chain(expiry);
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
        if is_due(self.moved_at) {
            self.moved_at = None;
            self.follow_addresses(desk);
        }
        if self.wake_at <= Timestamp::now() {
            // The engine was told ahead of time; the kernel is now.
            let _ = self.enforce(desk);
            self.prepare_expiry();
        }
        if is_due(self.vigil.as_ref().map(Vigil::next)) {
            self.look_after(desk);
        }
    }

    /// Puts other rules in force: in the kernel first, and nowhere if that fails.
    fn change(&mut self, desk: &mut impl Desk, ruleset: Ruleset) -> Result<()> {
        let old = mem::replace(&mut self.ruleset, Arc::new(ruleset));
        self.host = Arc::new(host::read());
        if self.enforcement.is_some() {
            // Before they are: afterwards the words may reach nobody.
            say_what_is_cut(&old, &self.ruleset, &self.host, &mut |words| self.remark(desk, words));
        }
        if let Err(error) = self.enforce(desk) {
            self.ruleset = old;
            return Err(error);
        }
        self.put_in_force("the rules were read again");
        self.tell_rules();
        Ok(())
    }

    /// Compiles the rules anew if the machine has become another one to them.
    fn follow_addresses(&mut self, desk: &mut impl Desk) {
        let host = host::read();
        if host == *self.host {
            return;
        }
        self.host = Arc::new(host);
        // What failed was said.
        let _ = self.enforce(desk);
        self.put_in_force("this machine's addresses have changed");
    }

    /// Gives the kernel the rules as they are now; says it if that fails.
    fn enforce(&mut self, desk: &mut impl Desk) -> Result<()> {
        let Some(enforcement) = &mut self.enforcement else { return Ok(()) };
        let orders = &self.orders;
        let mut words = Vec::new();
        let mut say = |said: &str| words.push(said.to_owned());
        let replaced = enforcement.replace(&self.ruleset, &self.host, |rules| orders.announce(rules), &mut say);
        for words in &words {
            self.remark(desk, words);
        }
        let counted = replaced
            .inspect_err(|error| self.remark(desk, &format!("{error:#}; the rules that were in force stay")))?;
        self.orders.count(counted, None);
        Ok(())
    }

    /// Somebody has changed the kernel's tables, perhaps we.
    fn hear_of(&mut self, change: &Change) {
        let concerns = self.enforcement.as_ref().is_some_and(|enforcement| enforcement.may_concern(change));
        if let Some(vigil) = self.vigil.as_mut().filter(|_| concerns) {
            vigil.hear(change);
        }
    }

    /// Has it answered what the kernel's rules dropped, held against what it reported and what was logged: by the
    /// capture thread, as soon as it has read the reports of what was counted.
    fn audit(&self, reply: Reply) {
        match self.enforcement.as_ref().map(Enforcement::count) {
            Some(Ok(counted)) => self.orders.count(counted, Some(reply)),
            Some(Err(error)) => reply.refuse(failure(&error)),
            None => {
                let words = "no rules are enforced: nothing is dropped, and there is nothing to hold against it";
                reply.refuse(Refusal::because(RefusalKind::Refused, words));
            }
        }
    }

    /// Looks whether the kernel has our rules as we put them there.
    fn look_after(&mut self, desk: &mut impl Desk) {
        let (Some(enforcement), Some(vigil)) = (&mut self.enforcement, &mut self.vigil) else { return };
        let began = Instant::now();
        let looked = enforcement.look_after(self.started.elapsed(), &vigil.suspects());
        let (right, words) =
            looked.map_or_else(|error| (false, Some(format!("{error:#}"))), |look| (look.right, look.words));
        vigil.looked(began, Instant::now(), right);
        if let Some(words) = words {
            self.remark(desk, &words);
            self.orders.note(PfwEvent::RulesDisturbed, &words);
        }
    }

    /// Says what somebody should look at, and keeps it for who asks.
    fn remark(&self, desk: &mut impl Desk, words: &str) {
        desk.say(&format!("pfw: {words}"));
        self.board.change(|notice| notice.remark(words));
    }

    /// Compiles the rules for the machine as it is now; the next packet is decided by them.
    fn put_in_force(&mut self, why: &'static str) {
        self.horizon = self.hand_over(Timestamp::now(), Timestamp::MIN, why);
        self.prepare_expiry();
    }

    /// Compiles the rules as they will be when the next entry has expired, ahead of time: a packet of the very moment
    /// is then decided by them.
    fn prepare_expiry(&mut self) {
        self.wake_at = self.horizon;
        if self.wake_at < Timestamp::MAX {
            self.horizon = self.hand_over(self.wake_at, self.wake_at, "an entry has expired");
        }
    }

    /// Gives the capture thread the rules as they are at a time. Returns how long they stay so.
    fn hand_over(&mut self, at: Timestamp, from: Timestamp, why: &'static str) -> Timestamp {
        let matcher = Arc::new(Matcher::new(&self.ruleset, &self.host, at));
        let valid_until = matcher.valid_until();
        let seeds = self.enforcement.as_mut().and_then(Enforcement::take_seeds).map(Arc::new);
        self.orders.put(Rules { matcher, host: Arc::clone(&self.host), from, why, seeds });
        valid_until
    }
}

fn failure(error: &Error) -> Refusal {
    Refusal::because(RefusalKind::Failed, format!("{error:#}"))
}

fn is_due(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= Instant::now())
}
