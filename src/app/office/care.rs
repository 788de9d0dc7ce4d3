//! What is done for the rules in the kernel while they are in force: whether they are still there, and what they counted.

use super::{Desk, Office, failure};
use crate::app::enforcement::Enforcement;
use crate::control::{Refusal, RefusalKind, Reply};
use crate::firewall::Change;
use crate::record::PfwEvent;
use crate::time::Timestamp;
use std::time::{Duration, Instant};

/// How long a change of the rules may have been there before it is looked at, and how soon it is looked again.
const UNSEEN: Duration = Duration::from_secs(2);

impl Office {
    /// Somebody has changed the kernel's tables, perhaps we.
    pub(super) fn hear_of(&mut self, change: &Change) {
        let concerns = self.enforcement.as_ref().is_some_and(|enforcement| enforcement.may_concern(change));
        if let Some(vigil) = self.vigil.as_mut().filter(|_| concerns) {
            vigil.hear(change);
        }
    }

    /// Has it answered what the kernel's rules dropped, held against what it reported and what was logged: by the
    /// capture thread, as soon as it has read the reports of what was counted.
    pub(super) fn audit(&self, reply: Reply) {
        match self.enforcement.as_ref().map(Enforcement::count) {
            Some(Ok(counted)) => self.orders.count(counted, Some(reply)),
            Some(Err(error)) => reply.refuse(failure(&error)),
            None => {
                let words = "no rules are enforced: nothing is dropped, and there is nothing to hold against it";
                reply.refuse(Refusal::because(RefusalKind::Refused, words));
            }
        }
    }

    /// A program that this one started has ended: the guardian, perhaps, whose time it never is.
    pub(super) fn mind_guardian(&mut self, desk: &mut impl Desk) {
        if let Some(words) = self.enforcement.as_mut().and_then(Enforcement::mind_guardian) {
            self.remark(desk, &words);
        }
    }

    /// Looks whether the kernel has our rules as we put them there.
    pub(super) fn look_after(&mut self, desk: &mut impl Desk) {
        let (Some(enforcement), Some(vigil)) = (&mut self.enforcement, &mut self.vigil) else { return };
        let began = Instant::now();
        let looked = enforcement.look_after(self.started.elapsed(), &vigil.suspects());
        if let Ok(look) = &looked {
            if !look.right || look.words.is_some() {
                let now = Timestamp::now();
                let until = if look.right { now } else { now.plus(UNSEEN) };
                self.orders.disturbed(now.minus(began.elapsed() + UNSEEN), until);
            }
            self.board.change(|notice| notice.degraded = !look.right);
        }
        let (right, words) =
            looked.map_or_else(|error| (false, Some(format!("{error:#}"))), |look| (look.right, look.words));
        vigil.looked(began, Instant::now(), right);
        if let Some(words) = words {
            self.remark(desk, &words);
            self.orders.note(PfwEvent::RulesDisturbed, &words);
        }
    }
}
