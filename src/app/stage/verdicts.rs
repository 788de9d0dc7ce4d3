//! The kernel's verdicts on packets, held against what was predicted of them, and against its own counters.

use super::{Stage, around};
use crate::app::explanation::{Case, Form};
use crate::app::pipeline::Circumstances;
use crate::app::withheld::{By, Seen};
use crate::engine::{Direction, RuleInfo, Step};
use crate::packet::Malformed;
use crate::record::{Cause, PfwEvent, PfwLine, Verdict};
use crate::time::Timestamp;
use std::sync::Arc;

/// Rules, with a cause, whose differences have a line; what comes beyond is counted.
const TOLD_DIFFERENCES: usize = 100;

/// Why one is allowed by the rule for loopback that leaves by another interface.
const LED_AWAY: &str = "sent to an own address by loopback, and led elsewhere";

impl Stage {
    /// Tells of a packet that no rule of ours dropped.
    pub(super) fn tell_let_through(&mut self, seen: &Seen, forms: &[Form]) {
        let malformed = seen.packet.malformed.filter(|_| seen.direction == Direction::Incoming);
        if malformed.is_some_and(Malformed::is_unreadable) {
            // A rule may have dropped it and not said so; nobody gets it anyway, and what is wrong with it has been said.
            return self.pipeline.count_malformed();
        }
        if let Some(blocked) = forms.iter().find(|form| !form.judgement.decision.allows()) {
            // They go out of the kernel before they rest here.
            let rested = self.truth.as_ref().is_some_and(|truth| truth.generations.may_rest(seen.time));
            if !rested && !self.pipeline.is_at_rest(&blocked.judgement) {
                if self.doubts.covers(seen.time) {
                    return self.undecided += 1;
                }
                return self.explain(seen, forms, blocked, None);
            }
            let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
            return self.pipeline.write_of_form(&seen.packet, &around, blocked, Verdict::WouldBlock);
        }
        let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
        let Some(form @ Form { judgement, .. }) = forms.first() else { return };
        let is_led_away = judgement.direction == Direction::LedAway && judgement.decision.step == Step::Loopback;
        if is_led_away && let Some(loopback) = self.pipeline.rule(judgement).cloned() {
            return self.pipeline.write_as(&seen.packet, &around, &loopback, Verdict::Allowed, LED_AWAY);
        }
        self.pipeline.write_of_form(&seen.packet, &around, form, Verdict::Allowed);
    }

    /// Tells of a packet that the kernel dropped.
    pub(super) fn tell_dropped(&mut self, seen: &Seen, forms: &[Form], by: &By) {
        if let Some(form) = forms.iter().find(|form| self.was_foretold(form, by)) {
            let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
            let around = Circumstances { uid: by.uid, ..around };
            self.pipeline.write_of_form(&seen.packet, &around, form, Verdict::Blocked);
        } else if let Some(form) = forms.first() {
            self.explain(seen, forms, form, Some(by));
        }
        if let Some(truth) = self.truth.as_mut().filter(|_| self.pipeline.logs(Verdict::Blocked)) {
            truth.generations.logged(by);
        }
    }

    /// Whether a form was predicted to be blocked by the rule that dropped the packet.
    fn was_foretold(&self, form: &Form, by: &By) -> bool {
        let kernel = self.truth.as_ref().and_then(|truth| truth.generations.rule(by));
        let same = kernel.zip(self.pipeline.rule(&form.judgement));
        !form.judgement.decision.allows() && same.is_some_and(|(kernel, rule)| kernel.is(rule))
    }

    /// Writes the line of a packet with which the kernel did otherwise than was predicted of `form`, and counts the
    /// difference if it is one.
    #[cold]
    fn explain(&mut self, seen: &Seen, forms: &[Form], form: &Form, by: Option<&By>) {
        let Some(truth) = &mut self.truth else { return };
        let interface = self.interfaces.name(seen.interface).unwrap_or_default();
        let (predicted, rule) = (form.judgement.decision, self.pipeline.rule(&form.judgement));
        let forwards = seen.packet.ip().is_some_and(|ip| self.host.forwards(ip.dst.is_ipv4()));
        let case = Case { seen, forms, interface, predicted, rule, forwards };
        let (explanation, verdict) = match by {
            Some(by) => (case.dropped(by, &truth.generations, &mut self.conntrack), Verdict::Blocked),
            None => (truth.explain_passed(&case), Verdict::Allowed),
        };
        let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
        let around = Circumstances { uid: by.and_then(|by| by.uid), ..around };
        self.pipeline.write_as(&seen.packet, &around, &explanation.rule, verdict, &explanation.reason);
        if let Some(cause) = explanation.cause {
            self.differ(seen.time, &explanation.rule, cause, verdict);
        }
    }

    /// Counts a difference between prediction and kernel, and logs the first of each rule and cause.
    fn differ(&mut self, time: Timestamp, rule: &RuleInfo, cause: Cause, verdict: Verdict) {
        let Some(truth) = &mut self.truth else { return };
        truth.differences.add(cause);
        if truth.told.len() >= TOLD_DIFFERENCES || !truth.told.insert((Arc::clone(&rule.id), cause)) {
            return;
        }
        let did = if verdict == Verdict::Blocked {
            "dropped a packet otherwise than predicted, by"
        } else {
            "let a packet through that was predicted to be blocked, by"
        };
        let reason = format!("the kernel {did} {}; cause: {}", rule.id, cause.name());
        self.note(&PfwLine { time, event: PfwEvent::Difference, interface: None, reason: &reason });
    }
}
