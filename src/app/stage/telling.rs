//! Packets whose fate is known -> their lines: each is judged now, by the rules of its time, unless it was before.

use super::through::Place;
use super::{Stage, around};
use crate::app::explanation::{Form, reject_answer, unknown_rule};
use crate::app::pipeline::Judgement;
use crate::app::withheld::{Seen, Settled, is_first};
use crate::engine::{Direction, RuleInfo, State};
use crate::host::Discard;
use crate::packet::Packet;
use crate::record::Verdict;

impl Stage {
    /// Writes the line of a packet whose fate is known.
    pub(super) fn tell(&mut self, settled: &Settled) {
        match settled {
            Settled::Due(seen) => self.judge_early(*seen),
            Settled::Passed(seen, judgement) => self.tell_passed(seen, *judgement),
            Settled::Dropped(seen, judgement, by) => {
                let form = self.form(seen, *judgement);
                self.tell_dropped(seen, &[form], by);
            }
            Settled::Translated(seen, behind, by) => {
                if let Some(truth) = &mut self.truth {
                    truth.note_translated(seen, behind);
                }
                let seen = Seen { packet: Packet { net: behind.net, ..seen.packet }, ..*seen };
                let form = self.judge(&seen);
                self.tell_dropped(&seen, &[form], by);
            }
            Settled::Repeated(_) => self.duplicates += 1,
            Settled::Unseen(seen, by) => {
                let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
                if self.pipeline.examine(&seen.packet, &around) {
                    let form = self.judge(seen);
                    self.tell_dropped(seen, &[form], by);
                }
            }
            Settled::Entered(seen) => self.enters(seen),
            Settled::Forwarded(passage) => self.tell_forwarded(passage),
        }
    }

    /// Judges a packet, unless it was judged before.
    fn form(&mut self, seen: &Seen, judgement: Option<Judgement>) -> Form {
        judgement.map_or_else(|| self.judge(seen), |judgement| Form { packet: seen.packet, judgement })
    }

    /// Judges a packet by the rules of its time. It has no other form: it is from or to this machine.
    fn judge(&mut self, seen: &Seen) -> Form {
        self.change_rules(seen.time);
        let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
        let judgement = self.pipeline.foretell(&seen.packet, &around);
        self.pipeline.watch(&seen.packet, &around, &judgement);
        Form { packet: seen.packet, judgement }
    }

    /// Judges a fragment whose line has to wait, unless it is on its way through as far as is known.
    fn judge_early(&mut self, seen: Seen) {
        let behind = self.as_rules_see(&seen);
        let may_pass = seen.direction == Direction::Forwarded || self.may_pass(&seen);
        let is_placed = !may_pass && (behind.is_some() || !seen.for_another);
        let judgement = is_placed.then(|| self.judge(&behind.unwrap_or(seen)).judgement);
        let Some(truth) = &mut self.truth else { return };
        truth.withheld.keep(seen, judgement);
        if behind.is_some() && is_first(&seen.packet) {
            for came_before in truth.withheld.unjudged(&seen) {
                self.judge_of_datagram(&came_before);
            }
        }
    }

    /// Judges a fragment whose datagram is known by now to be led to this machine: it came before the first.
    fn judge_of_datagram(&mut self, part: &Seen) {
        let Some(behind) = self.as_rules_see(part) else { return };
        let Form { judgement, .. } = self.judge(&behind);
        if let Some(truth) = &mut self.truth {
            truth.withheld.judged(part, judgement);
        }
    }

    /// Tells of a packet that the tap saw and the kernel did not drop.
    fn tell_passed(&mut self, seen: &Seen, judgement: Option<Judgement>) {
        if seen.direction == Direction::Forwarded {
            let Some((own, behind)) = self.as_own(seen) else {
                self.forwarding.leaves(&seen.packet, seen.time);
                return self.duplicates += 1;
            };
            let around = around(&mut self.known, &self.interfaces, &self.pipeline, &own);
            if self.pipeline.examine(&own.packet, &around) {
                let form = self.judge(&behind);
                self.tell_own(&own, form);
            }
            return;
        }
        let form = match self.place(seen) {
            Place::OnItsWayThrough => return,
            Place::Discarded(why) => return self.tell_discarded(seen, why),
            Place::Nowhere if judgement.is_none() => self.form_in(seen, State::Invalid),
            Place::Related if judgement.is_none() => self.form_in(seen, State::Related),
            Place::Here | Place::Nowhere | Place::Related => self.form(seen, judgement),
            // Its line is about what is on the wire.
            Place::Behind(behind) => self.form(&behind, judgement),
        };
        self.tell_own(seen, form);
    }

    /// Tells of a packet from or to this machine that was not dropped.
    fn tell_own(&mut self, seen: &Seen, form: Form) {
        if self.answers_a_rejected(seen) {
            return self.write_as(seen, &reject_answer(), Verdict::Allowed, "answer to a rejected packet");
        }
        self.tell_let_through(seen, &[form]);
    }

    /// Tells of a packet for an address of others that is not passed on. What was foretold of it names the rule.
    fn tell_discarded(&mut self, seen: &Seen, why: Discard) {
        self.change_rules(seen.time);
        let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
        // It opens nothing.
        let judgement = self.pipeline.foretell_as(&seen.packet, &around, State::New);
        let rule = self.pipeline.rule(&judgement).cloned().unwrap_or_else(unknown_rule);
        self.write_as(seen, &rule, Verdict::Allowed, &why.reason());
    }

    /// Writes a line with a reason that is not the engine's.
    fn write_as(&mut self, seen: &Seen, rule: &RuleInfo, verdict: Verdict, reason: &str) {
        let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
        self.pipeline.write_as(&seen.packet, &around, rule, verdict, reason);
    }
}
