//! What becomes of the rules when somebody changes them while pfw runs: through the control socket, by the file, or
//! because a time is up.

use super::book::{Book, Pages, Proposal, Proposed};
use super::clerk::{Asker, rfc3339};
use super::live::Desk;
use super::office::{Office, needs_force};
use super::regime::{Regime, Spell};
use crate::control::report::RefusedFile;
use crate::control::{Activity, Answer, Change, Done, Outcome, Refusal, RefusalKind, Resumed};
use crate::record::PfwEvent;
use crate::rules::Errors;
use crate::rules::address::AddressRange;
use crate::rules::watch::Changed;
use crate::time::Timestamp;
use std::collections::HashSet;

impl Office {
    /// Reads the rules file again and puts it in force. Says what came of it, too.
    pub(super) fn reload(&mut self, desk: &mut impl Desk, asker: Asker) -> Result<Done, Refusal> {
        self.look_around();
        let (pages, said) = match self.read() {
            Ok(read) => read,
            Err(errors) => return Err(self.refuse_file(desk, &errors)),
        };
        for words in &said {
            self.remark(desk, words);
        }
        let warnings = self.warnings(&pages);
        for warning in &warnings {
            desk.say(warning);
        }
        let before = self.book.loaded().ruleset.len();
        self.put_in_force(desk, &pages, self.regime, asker, "the rules were read again")?;
        let (file, rules) = (pages.loaded().file.clone(), pages.loaded().ruleset.len());
        self.turn_to(pages);
        self.board.change(|notice| notice.refused = None);
        let words = format!("read {file} again: {rules} rules (before: {before})");
        desk.say(&format!("pfw: {words}"));
        Ok(Done::new(words).warning(warnings))
    }

    /// What the file says now, and what is to be said of temporary changes. What is not watched yet is read again once
    /// it is: no change falls between the two.
    fn read(&mut self) -> Result<(Pages, Vec<String>), Errors> {
        loop {
            let mut said = Vec::new();
            let pages = self.book.read_again(Timestamp::now(), &mut |words| said.push(words.to_owned()))?;
            let files = pages.files(self.book.path());
            if !self.files.as_ref().is_some_and(|watched| watched.add(files)) {
                return Ok((pages, said));
            }
        }
    }

    /// Reads the file again if it has changed since it was read, before it was watched.
    pub(super) fn catch_up(&mut self, desk: &mut impl Desk) {
        self.say_whether_followed(desk);
        let is_followed = self.files.is_some() && self.board.notice().unfollowed.is_none();
        if is_followed {
            self.reload_if_it_differs(desk);
        }
    }

    /// Reads the file again unless it says what is in force already, be it that somebody else has had it read.
    fn reload_if_it_differs(&mut self, desk: &mut impl Desk) {
        if self.read().is_ok_and(|(pages, _)| !pages.differ(self.book.pages())) {
            return self.board.change(|notice| notice.refused = None);
        }
        drop(self.reload(desk, Asker::Nobody));
    }

    fn refuse_file(&self, desk: &mut impl Desk, errors: &Errors) -> Refusal {
        let errors = desk.lines_of(errors);
        for error in &errors {
            desk.say(error);
        }
        let words = "the rules that were in force stay";
        desk.say(&format!("pfw: {words}"));
        let refusal = Refusal::because(RefusalKind::Refused, format!("the rules file was refused; {words}"));
        let refusal = refusal.detailed(errors);
        self.note(PfwEvent::RulesRefused, refusal.details.first().map_or("", String::as_str));
        let (at, errors) = (rfc3339(Timestamp::now()), refusal.details.clone());
        self.board.change(|notice| notice.refused = Some(RefusedFile { at, errors }));
        refusal
    }

    fn warnings(&self, pages: &Pages) -> Vec<String> {
        let warnings = pages.loaded().all_warnings(self.host(), Timestamp::now());
        warnings.iter().map(ToString::to_string).collect()
    }

    /// The rules of these pages are in force.
    pub(super) fn turn_to(&mut self, pages: Pages) {
        self.book.turn_to(pages);
        self.settle();
    }

    /// The book has changed: others go by it.
    fn settle(&self) {
        self.tell_temporary();
        if let Some(files) = &self.files {
            files.follow(self.book.files(), self.book.path(), self.book.text());
        }
    }

    /// Changes the rules.
    pub(super) fn change(&mut self, desk: &mut impl Desk, change: &Change, asker: Asker) -> Outcome {
        let remedy = "'pfw reload' loads it first, and with --temporary the file is left alone";
        self.do_as_proposed(desk, &|book| book.propose(change, Timestamp::now()), remedy, asker)
    }

    /// Takes the last change back.
    pub(super) fn undo(&mut self, desk: &mut impl Desk, asker: Asker) -> Outcome {
        let remedy = "'pfw reload' loads it first";
        self.do_as_proposed(desk, &|book| book.propose_undo(Timestamp::now()), remedy, asker)
    }

    /// Does what is proposed. If the file is not what was loaded, it is loaded before, if that is the user's wish; otherwise
    /// nothing is done: what is proposed would bring it in unseen.
    fn do_as_proposed(
        &mut self,
        desk: &mut impl Desk,
        propose: &dyn Fn(&Book) -> Result<Proposed, Refusal>,
        remedy: &str,
        asker: Asker,
    ) -> Outcome {
        let proposed = propose(&self.book)?;
        let done = match &proposed {
            Proposed::Edited(words) => {
                if let Some(why) = self.why_not_followed() {
                    let words = format!("{words} and is not followed ({why}); nothing was changed; {remedy}");
                    return Err(Refusal::because(RefusalKind::Refused, words));
                }
                let done = self.reload(desk, asker)?;
                let next = propose(&self.book).and_then(|proposed| self.do_this(desk, proposed, asker));
                // The edit is in force, whatever became of what was asked for.
                next.map(|next| done.clone().and(next)).map_err(|refusal| refusal.after(&done))?
            }
            _ => self.do_this(desk, proposed, asker)?,
        };
        Ok(Answer::Done(done))
    }

    /// Does what is proposed for the file that is loaded.
    fn do_this(&mut self, desk: &mut impl Desk, proposed: Proposed, asker: Asker) -> Result<Done, Refusal> {
        match proposed {
            Proposed::Nothing(words) => Ok(Done { changed: words, ..Done::default() }),
            Proposed::Change(proposal) => self.carry_out(desk, *proposal, asker),
            Proposed::Edited(words) => {
                let words = format!("{words} just now; nothing was changed; try again");
                Err(Refusal::because(RefusalKind::Refused, words))
            }
        }
    }

    /// Why an edit of the rules file is not loaded by itself, if so.
    fn why_not_followed(&self) -> Option<String> {
        match &self.files {
            None => Some("--no-watch".to_owned()),
            Some(files) => files.distrust(self.book.files()).map(|why| why.to_string()),
        }
    }

    /// The kernel first, then the file: if either refuses, both are as they were.
    fn carry_out(&mut self, desk: &mut impl Desk, mut proposal: Proposal, asker: Asker) -> Result<Done, Refusal> {
        if let Some(own) = self.own_address(&proposal).filter(|_| asker != Asker::Nobody) {
            return Err(needs_force(&own));
        }
        let (words, before) = (proposal.words.join("; "), self.book.pages().clone());
        self.put_in_force(desk, proposal.pages(), self.regime, asker, &words)?;
        if let Err(error) = self.save(&mut proposal) {
            // What was in force before can't cut anybody off anew who asked for something else.
            let back = self.put_in_force(desk, &before, self.regime, Asker::Nobody, "a change was taken back");
            let more = back.err().map(|refusal| format!("; and the rules can't be taken back: {refusal}"));
            let words = format!("{error}{}; nothing was changed", more.unwrap_or_default());
            return Err(Refusal::because(RefusalKind::Failed, words));
        }
        let known: HashSet<String> = messages(before.loaded(), self.host());
        let new = proposal.pages().loaded().all_warnings(self.host(), Timestamp::now());
        let warnings = new.iter().filter(|warning| !known.contains(&warning.message)).map(ToString::to_string);
        let changed = [&proposal.words[..], &proposal.unchanged].concat();
        let rests = self.regime.why_rules_rest().map(str::to_owned);
        let done = Done { changed, ..Done::default() }.warning(rests.into_iter().chain(warnings));
        desk.say(&format!("pfw: {words}"));
        self.book.adopt(proposal);
        self.settle();
        Ok(done)
    }

    /// Writes the file, if the change is one of it.
    fn save(&self, proposal: &mut Proposal) -> Result<(), crate::rules::store::Error> {
        match (&self.files, proposal.text().map(str::to_owned)) {
            (Some(files), Some(text)) => files.write(self.book.path(), self.book.text(), &text, || proposal.save()),
            _ => proposal.save(),
        }
    }

    /// What a proposal would block of this machine itself, in words.
    fn own_address(&self, proposal: &Proposal) -> Option<String> {
        let own = |range: &AddressRange| {
            let own = self.host().addresses.iter().map(|&(address, _)| address).find(|&own| range.contains(own))?;
            let is_one = range.first() == range.last();
            Some(if is_one { own.to_string() } else { format!("{own}, which {range} holds,") })
        };
        let own = proposal.blocks.iter().find_map(own)?;
        Some(format!("{own} is an address of this machine itself"))
    }

    /// Puts the rules in force again whose file has changed, if nobody but root and the user can have done that.
    pub(super) fn follow_files(&mut self, desk: &mut impl Desk, changed: &[Changed]) {
        self.say_whether_followed(desk);
        let is_followed = self.board.notice().unfollowed.is_none();
        // One that has gone for a moment is being replaced; what is in force stays.
        if is_followed && changed.iter().any(|file| file.readable) {
            self.reload_if_it_differs(desk);
        } else if let Some(gone) = changed.iter().find(|file| !file.readable).filter(|_| is_followed) {
            self.remark(desk, &format!("cannot read {} any more; the rules stay", gone.path.display()));
        }
    }

    /// Says why the rules file is not followed, if it is to be and is not.
    pub(super) fn say_whether_followed(&self, desk: &mut impl Desk) {
        let Some(files) = &self.files else { return };
        let unfollowed = files.distrust(self.book.files()).map(|why| {
            let remedy = if why.is_missing() {
                "the rules stay as they are until it is back"
            } else {
                "'pfw reload' and SIGHUP read it all the same"
            };
            format!("changes of the rules file are not followed: {why}; {remedy}")
        });
        if let Some(words) = unfollowed.as_ref().filter(|words| self.board.notice().unfollowed.as_ref() != Some(*words))
        {
            desk.say(&format!("pfw: {words}"));
        }
        self.board.change(|notice| notice.unfollowed = unfollowed);
    }

    /// Takes temporary changes back whose time is up.
    pub(super) fn end_temporary(&mut self, desk: &mut impl Desk) {
        let now = Timestamp::now();
        let (pages, differs) = match self.book.without_ended(now) {
            Ok(ended) => ended,
            // All that is left has been read before, its block lists too, which are recalled. If it is unsound all the
            // same, what is in force stays until the file is read again.
            Err(errors) => return drop(self.refuse_file(desk, &errors)),
        };
        let words = "a temporary change has ended";
        if differs && self.put_in_force(desk, &pages, self.regime, Asker::Nobody, words).is_err() {
            return;
        }
        self.tell_ended_bans(desk, now);
        if self.book.was_asked_for_and_ended(now) {
            desk.say(&format!("pfw: {words}"));
        }
        self.turn_to(pages);
    }

    /// Has enforcement or monitoring rest.
    pub(super) fn pause(&mut self, desk: &mut impl Desk, what: Activity, seconds: Option<u64>) -> Outcome {
        let spell = Spell::new(seconds);
        let ends = spell.ends(match what {
            Activity::Enforcement => "until 'pfw resume enforcement'",
            Activity::Monitoring => "until 'pfw resume monitoring'",
        });
        match what {
            Activity::Enforcement => {
                self.need_enforcement("there is nothing that could be paused")?;
                let regime = Regime { enforcement_paused: Some(spell), ..self.regime };
                let words = if regime.panic.is_some() {
                    format!(
                        "enforcement is paused {ends}; the panic goes on: all but loopback is blocked until it ends"
                    )
                } else {
                    format!("enforcement is paused {ends}: pfw blocks nothing, the log says what it would")
                };
                self.turn(desk, regime, Asker::Nobody, PfwEvent::EnforcementPaused, &words)
            }
            Activity::Monitoring => {
                self.regime.monitoring_paused = Some(spell);
                self.rest(true);
                let words = format!(
                    "monitoring is paused {ends}: packets that are allowed have no line; what is blocked or suspicious still has, and all are counted"
                );
                Ok(self.told(desk, PfwEvent::MonitoringPaused, &words))
            }
        }
    }

    /// Blocks all but loopback.
    pub(super) fn panic(&mut self, desk: &mut impl Desk, seconds: Option<u64>, asker: Asker) -> Outcome {
        self.need_enforcement("nothing can be blocked")?;
        let spell = Spell::new(seconds);
        let words = format!("panic: all but loopback is blocked {}", spell.ends("until 'pfw resume panic'"));
        self.look_around();
        let regime = Regime { panic: Some(spell), ..self.regime };
        self.turn(desk, regime, asker, PfwEvent::PanicBegun, &words)
    }

    /// Goes on with what rested, or ends a panic.
    pub(super) fn resume(&mut self, desk: &mut impl Desk, what: Resumed, asker: Asker) -> Outcome {
        let rests = match what {
            Resumed::Enforcement => self.regime.enforcement_paused,
            Resumed::Monitoring => self.regime.monitoring_paused,
            Resumed::Panic => self.regime.panic,
        };
        if rests.is_none() {
            let words = match what {
                Resumed::Enforcement => "enforcement is not paused",
                Resumed::Monitoring => "monitoring is not paused",
                Resumed::Panic => "there is no panic",
            };
            return Err(Refusal::because(RefusalKind::Refused, words));
        }
        self.end(desk, what, asker)
    }

    /// Ends what rests and what was blocked for a time that is up.
    pub(super) fn end_spells(&mut self, desk: &mut impl Desk) {
        let (before, after) = (self.regime, self.regime.at(Timestamp::now()));
        let ended = [
            (before.enforcement_paused != after.enforcement_paused, Resumed::Enforcement),
            (before.monitoring_paused != after.monitoring_paused, Resumed::Monitoring),
            (before.panic != after.panic, Resumed::Panic),
        ];
        for (_, what) in ended.into_iter().filter(|(has_ended, _)| *has_ended) {
            if self.end(desk, what, Asker::Nobody).is_err() {
                // It was said. It goes on until somebody resumes: what can't be done is not tried for ever.
                self.prolong(what);
            }
        }
    }

    fn prolong(&mut self, what: Resumed) {
        let spell = match what {
            Resumed::Enforcement => &mut self.regime.enforcement_paused,
            Resumed::Monitoring => &mut self.regime.monitoring_paused,
            Resumed::Panic => &mut self.regime.panic,
        };
        if let Some(spell) = spell {
            spell.until = None;
        }
    }

    fn end(&mut self, desk: &mut impl Desk, what: Resumed, asker: Asker) -> Outcome {
        match what {
            Resumed::Monitoring => {
                self.regime.monitoring_paused = None;
                self.rest(false);
                Ok(self.told(desk, PfwEvent::MonitoringResumed, "monitoring goes on: each packet has its line again"))
            }
            Resumed::Enforcement => {
                let regime = Regime { enforcement_paused: None, ..self.regime };
                let words = if regime.panic.is_some() {
                    "enforcement goes on: the rules are in force again when the panic ends"
                } else {
                    "enforcement goes on: the rules are in force again"
                };
                self.turn(desk, regime, asker, PfwEvent::EnforcementResumed, words)
            }
            Resumed::Panic => {
                let regime = Regime { panic: None, ..self.regime };
                let words = if regime.enforces() {
                    "the panic is over: the rules are in force again"
                } else {
                    "the panic is over: enforcement is paused"
                };
                self.turn(desk, regime, asker, PfwEvent::PanicEnded, words)
            }
        }
    }

    /// Puts the rules in force as another regime has them.
    fn turn(&mut self, desk: &mut impl Desk, regime: Regime, asker: Asker, event: PfwEvent, words: &str) -> Outcome {
        let pages = self.book.pages().clone();
        self.put_in_force(desk, &pages, regime, asker, words)?;
        Ok(self.told(desk, event, words))
    }

    fn told(&self, desk: &mut impl Desk, event: PfwEvent, words: &str) -> Answer {
        desk.say(&format!("pfw: {words}"));
        self.note(event, words);
        Answer::Done(Done::new(words))
    }

    fn need_enforcement(&self, otherwise: &str) -> Result<(), Refusal> {
        if self.is_enforcing() {
            return Ok(());
        }
        let words = format!("this pfw only watches: {otherwise}");
        Err(Refusal::because(RefusalKind::Refused, words))
    }
}

/// What is warned of, without its place, which moves.
fn messages(loaded: &crate::rules::Loaded, host: &crate::host::Host) -> HashSet<String> {
    loaded.all_warnings(host, Timestamp::now()).into_iter().map(|warning| warning.message).collect()
}
