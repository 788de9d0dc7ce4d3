//! The rules that act, and how others take their place: in the kernel first, then with the capture thread.

use super::{Office, failure};
use crate::app::book::Pages;
use crate::app::clerk::Asker;
use crate::app::enforcement::{Acting, Enforcement};
use crate::app::live::Desk;
use crate::app::lockout::{Cuts, Verb};
use crate::app::regime::{Regime, panic_rules};
use crate::app::stage::Rules;
use crate::control::{Refusal, RefusalKind};
use crate::engine::Matcher;
use crate::host::{self, Host};
use crate::record::PfwEvent;
use crate::rules::Ruleset;
use crate::time::Timestamp;
use anyhow::Result;
use std::sync::Arc;

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

impl Office {
    /// Puts the rules of `pages` in force under `regime`: in the kernel first, and nowhere if that fails.
    ///
    /// # Errors
    ///
    /// If that would cut the session of who asks, or the kernel does not take them.
    pub(in crate::app) fn put_in_force(
        &mut self,
        desk: &mut impl Desk,
        pages: &Pages,
        regime: Regime,
        asker: Asker,
        why: &str,
    ) -> Result<(), Refusal> {
        let host = Arc::clone(&self.acting.host);
        let ruleset = match regime.panic {
            Some(_) => panic_rules(&pages.loaded().ruleset),
            None => pages.loaded().ruleset.clone(),
        };
        let acting = self.acting.next(Arc::new(ruleset), host);
        if self.is_enforcing() {
            self.ask_back(desk, &acting, regime, asker)?;
            if regime.panic.is_some() && pages.differ(self.book.pages()) {
                self.ask_back_behind_panic(desk, pages, asker)?;
            }
        }
        let from = self.enforce(desk, &acting, regime).map_err(|error| failure(&error))?;
        self.acting = acting;
        self.regime = regime;
        self.decide_by_these(from, why);
        self.tell_rules();
        Ok(())
    }

    /// Says which connections rules would cut that are not yet in force; an error if it is the session of who asks, be it
    /// that it would be cut later, because enforcement rests now.
    fn ask_back(&self, desk: &mut impl Desk, next: &InForce, regime: Regime, asker: Asker) -> Result<(), Refusal> {
        let rests = !regime.enforces();
        let caller = match asker {
            Asker::Process(caller) => caller,
            Asker::Nobody if rests => return Ok(()),
            Asker::Nobody => None,
        };
        let before = (rests || self.regime.enforces()).then_some(&*self.acting.matcher);
        // Before they are: afterwards the words may reach nobody.
        let cuts = Cuts::anew(before, &next.matcher, &next.host, caller, &mut |words| self.remark(desk, words));
        if let (Some(words), Asker::Process(_)) = (cuts.own(), asker) {
            return Err(needs_force(&if rests { words + " once enforcement goes on" } else { words }));
        }
        if rests {
            return Ok(());
        }
        cuts.lines(Verb::Is).iter().for_each(|line| self.remark(desk, line));
        Ok(())
    }

    /// The same of rules that wait for the end of a panic, in front of which all are cut.
    fn ask_back_behind_panic(&self, desk: &mut impl Desk, pages: &Pages, asker: Asker) -> Result<(), Refusal> {
        let Asker::Process(caller) = asker else { return Ok(()) };
        let of =
            |pages: &Pages| self.acting.next(Arc::new(pages.loaded().ruleset.clone()), Arc::clone(&self.acting.host));
        let (before, next) = (of(self.book.pages()), of(pages));
        let mut say = |words: &str| self.remark(desk, words);
        let cuts = Cuts::anew(Some(&before.matcher), &next.matcher, &next.host, caller, &mut say);
        cuts.own().map_or(Ok(()), |words| Err(needs_force(&(words + " once the panic ends"))))
    }

    /// Compiles the rules anew if the machine has become another one to them.
    pub(super) fn follow_addresses(&mut self, desk: &mut impl Desk) {
        let host = host::read();
        if host == *self.acting.host {
            return;
        }
        self.acting = self.acting.next(Arc::clone(&self.acting.ruleset), Arc::new(host));
        // If it has failed, what is decided is another thing than what the kernel does, and counted so.
        let from = self.enforce_acting(desk).unwrap_or_else(|_| Timestamp::now());
        self.decide_by_these(from, "this machine's addresses or gateways have changed");
    }

    /// Gives the kernel the rules without what has expired. The engine was told ahead of time; the kernel is now.
    pub(super) fn expire(&mut self, desk: &mut impl Desk) {
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
        let matcher = regime.enforces().then_some(&next.matcher);
        let replaced = enforcement.replace(acting, matcher, announce, &mut say);
        let since = enforcement.since();
        for words in &words {
            self.remark(desk, words);
        }
        let counted = replaced
            .inspect_err(|error| self.remark(desk, &format!("{error:#}; the rules that were in force stay")))?;
        self.orders.count(counted, None);
        Ok(since)
    }

    /// Packets are decided by the rules that act from then on.
    fn decide_by_these(&mut self, from: Timestamp, why: &str) {
        let InForce { matcher, .. } = &self.acting;
        self.expires_at = matcher.valid_until();
        self.is_expiry_prepared = false;
        let matcher = Arc::clone(matcher);
        self.hand_over(matcher, from, PfwEvent::RulesLoaded, why);
    }

    /// Compiles the rules as they will be when the next entry has expired, ahead of time: a packet of the very moment
    /// is then decided by them.
    pub(super) fn prepare_expiry(&mut self) {
        self.is_expiry_prepared = true;
        if self.expires_at < Timestamp::MAX {
            let InForce { ruleset, host, matcher } = &self.acting;
            let matcher = Arc::new(matcher.next(ruleset, host, self.expires_at));
            self.hand_over(matcher, self.expires_at, PfwEvent::RulesLoaded, "an entry has expired");
        }
    }

    /// Gives the capture thread rules that are to be decided by from a time on.
    pub(super) fn hand_over(&mut self, matcher: Arc<Matcher>, from: Timestamp, event: PfwEvent, why: &str) {
        let seeds = self.enforcement.as_mut().and_then(Enforcement::take_seeds).map(Arc::new);
        let enforced = self.enforcement.is_none() || self.regime.enforces();
        let host = Arc::clone(&self.acting.host);
        // In this order: whoever takes the rules has been woken for them, and clears the alarm.
        self.board.wake_capture();
        self.orders.put(Rules { matcher, host, from, event, why: why.into(), enforced, seeds });
    }
}

/// What a caller is told who would cut itself off.
pub(in crate::app) fn needs_force(words: &str) -> Refusal {
    Refusal::because(RefusalKind::NeedsForce, format!("{words}; nothing was changed; --force does it all the same"))
}
