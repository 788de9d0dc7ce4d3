//! What explains a packet with which the kernel did otherwise than the engine had predicted.
//!
//! The kernel can have judged by another rule set: a change of rules reaches it and the engine at different moments.
//! Or it knows more of the packet's connection, or less. Both are found out by asking the same rules again, with the
//! state that the packet must have had to the kernel; what neither explains is a defect.

use super::conntrack::Conntrack;
use super::generations::Generations;
use super::kernel_rules::{KernelRules, is_same_rule};
use super::pipeline::Judgement;
use super::withheld::{By, Seen};
use crate::engine::{Context, Decision, Matcher, RuleInfo, State, Step};
use crate::packet::{Ip, Net, Packet, Protocol};
use crate::record::Cause;
use std::sync::Arc;
use std::time::Instant;

/// How the line of a packet reads, and why the prediction was wrong.
pub struct Explanation {
    /// The rule that decided.
    pub rule: RuleInfo,
    /// Why.
    pub reason: String,
    /// `None` if it was the right prediction of other rules.
    pub cause: Option<Cause>,
}

/// A packet in one of the forms in which the rules see it, and what was predicted of that. Only a packet whose
/// addresses are translated on its way through has more than one.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The packet.
    pub packet: Packet,
    /// The prediction.
    pub judgement: Judgement,
}

/// A packet whose fate was another than predicted.
pub struct Case<'a> {
    /// The packet.
    pub seen: &'a Seen,
    /// Its forms.
    pub forms: &'a [Form],
    /// The name of its interface.
    pub interface: &'a str,
    /// The prediction that counts.
    pub predicted: Decision,
    /// The rule that was to decide, while it is remembered.
    pub rule: Option<&'a RuleInfo>,
}

impl Case<'_> {
    fn ip(&self) -> Option<&Ip> {
        ip_of(&self.seen.packet)
    }

    /// The decisions of `matcher` on all forms if the packet is in `state`.
    fn decide(&self, matcher: &Matcher, state: State) -> impl Iterator<Item = (&Ip, Decision)> {
        let interface = matcher.interface_class(self.interface);
        let context = Context { direction: self.seen.direction, interface, time: self.seen.time };
        let packets = self.forms.iter().filter_map(|form| ip_of(&form.packet));
        packets.map(move |ip| (ip, matcher.decide_as(ip, &context, state)))
    }

    fn is_tcp(&self) -> bool {
        self.ip().is_some_and(|ip| ip.protocol == Protocol::TCP)
    }

    /// The prediction in words.
    fn words(&self) -> String {
        let word = if self.predicted.allows() { "allowed" } else { "blocked" };
        format!("{word} by {}", self.rule.map_or("rules that were replaced", |rule| &rule.id))
    }

    /// Explains that the kernel dropped it.
    pub fn dropped(&self, by: &By, generations: &Generations, conntrack: &mut Conntrack) -> Explanation {
        let kernel = generations.kernel(by);
        let Some((kernel, dropped_by)) = kernel.zip(generations.rule(by)) else {
            let reason = format!("dropped by the kernel; predicted: {}", self.words());
            return Explanation { rule: unknown_rule(), reason, cause: Some(Cause::Unexplained) };
        };
        let dropped_by = &dropped_by.info;
        let blocks = |state| {
            let mut blocked = self.decide(&kernel.matcher, state).filter(|(_, decision)| !decision.allows());
            blocked.find_map(|(ip, decision)| {
                let rule = kernel.matcher.rules().get(decision.rule.0 as usize)?;
                is_same_rule(dropped_by, rule).then(|| line(&kernel.matcher, &decision, ip))
            })
        };
        if let Some(line) = blocks(self.predicted.state) {
            return line;
        }
        if blocks(State::New).is_some() {
            let (cause, state) = self.cause_of_drop(by, conntrack);
            if let Some(line) = blocks(state) {
                let reason = format!("{}; predicted: {} ({})", line.reason, self.words(), cause.name());
                return Explanation { reason, cause: Some(cause), ..line };
            }
        }
        let entry = self.entry(kernel, dropped_by).unwrap_or_default();
        let reason = format!("dropped by the kernel{entry}; predicted: {}", self.words());
        Explanation { rule: dropped_by.clone(), reason, cause: Some(Cause::Unexplained) }
    }

    /// Why the kernel did not take the packet for part of the connection to which the engine says it belongs, and what
    /// it took it for.
    fn cause_of_drop(&self, by: &By, conntrack: &mut Conntrack) -> (Cause, State) {
        let now = Instant::now();
        if conntrack.found_invalid(now) {
            let cause = match (by.corrupt, self.is_tcp()) {
                (true, _) => Cause::Checksum,
                (false, true) => Cause::Window,
                (false, false) => Cause::Invalid,
            };
            return (cause, State::Invalid);
        }
        if conntrack.was_full(now) {
            return (Cause::TableFull, State::New);
        }
        // It knows the connection, and did not take the packet for part of it.
        if self.ip().is_some_and(|ip| conntrack.knows(ip, now)) {
            return (Cause::Untracked, State::Untracked);
        }
        (Cause::TimeOut, State::New)
    }

    /// Explains that the kernel let it through.
    pub fn passed(&self, generations: &Generations) -> Explanation {
        let mut reply_allowed = false;
        for kernel in generations.in_force(self.seen.time) {
            let allows = |state| self.decide(&kernel.matcher, state).all(|(_, decision)| decision.allows());
            if allows(self.predicted.state)
                && let Some((ip, decision)) = self.decide(&kernel.matcher, self.predicted.state).next()
            {
                return line(&kernel.matcher, &decision, ip);
            }
            reply_allowed = reply_allowed || allows(State::Reply) || allows(State::Related);
        }
        let cause = match self.predicted.state {
            _ if !reply_allowed => Cause::Unexplained,
            State::Invalid if self.is_tcp() => Cause::Window,
            State::Invalid => Cause::Invalid,
            State::Untracked => Cause::Untracked,
            State::New | State::Original | State::Reply | State::Related => Cause::TimeOut,
        };
        let rule = self.rule.cloned().unwrap_or_else(unknown_rule);
        Explanation { rule, reason: "not dropped by the kernel".to_owned(), cause: Some(cause) }
    }

    /// The entry of the list that stands for `rule` in the kernel, in words.
    fn entry(&self, kernel: &KernelRules, rule: &RuleInfo) -> Option<String> {
        let ip = self.ip().filter(|_| rule.step == Step::BlockIps)?;
        let listed = [ip.src, ip.dst].into_iter().find_map(|end| {
            let (listed, entry) = kernel.matcher.listed(end)?;
            is_same_rule(rule, listed).then_some((end, listed, entry))
        });
        let (end, listed, entry) = listed?;
        Some(format!(": {end} is in {} ({entry})", listed.id))
    }
}

fn ip_of(packet: &Packet) -> Option<&Ip> {
    match &packet.net {
        Net::Ip(ip) => Some(ip),
        _ => None,
    }
}

/// The line of a decision of `matcher`.
fn line(matcher: &Matcher, decision: &Decision, packet: &Ip) -> Explanation {
    let mut reason = Vec::new();
    matcher.write_reason(decision, packet, &mut reason);
    let rule = matcher.rules().get(decision.rule.0 as usize).cloned().unwrap_or_else(unknown_rule);
    Explanation { rule, reason: String::from_utf8_lossy(&reason).into_owned(), cause: None }
}

/// What stands for a rule of a generation that nobody remembers.
pub fn unknown_rule() -> RuleInfo {
    RuleInfo { id: Arc::from("unknown"), step: Step::Rules }
}
