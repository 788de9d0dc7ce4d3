//! What explains a packet with which the kernel did otherwise than the engine had predicted.
//!
//! The kernel can have judged by another rule set: a change of rules reaches it and the engine at different moments.
//! Or it knows more of the packet's connection, or less. Both are found out by asking the same rules again, with the
//! state that the packet must have had to the kernel; what neither explains is a defect.

use super::conntrack::Conntrack;
use super::generations::Generations;
use super::kernel_rules::{KernelRule, KernelRules};
use super::pipeline::Judgement;
use super::withheld::{By, Seen};
use crate::alert::Alert;
use crate::engine::{Context, Decision, Direction, Matcher, RuleInfo, State, Step};
use crate::host::{Arrival, Discard};
use crate::packet::{Ip, Net, Packet, Protocol};
use crate::record::Cause;
use std::sync::Arc;
use std::time::Instant;

/// Why a rule did not see the ports of a packet.
const HIDDEN: &str = "no set of ports sees one whose header is not whole";

/// What others have to do with a packet that was to be blocked, and that no rule of ours has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Rules of theirs stand in front.
    StandInFront,
    /// They had changed ours.
    ChangedRules,
    /// Those that translate may have led it to another machine, to which it is not passed on.
    LedAway(Discard),
}

impl Others {
    /// What is said of it, and whether it is a difference.
    fn explain(self) -> (String, Option<Cause>) {
        let words = match self {
            Self::StandInFront => {
                "not dropped by pfw; rules of others stand in front of its own, and may have dropped it"
            }
            Self::ChangedRules => "not dropped by the kernel, in which somebody had changed pfw's rules",
            Self::LedAway(why) => return (why.reason(), None),
        };
        (words.to_owned(), Some(Cause::Others))
    }
}

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
    /// Whether this machine passes packets of its family on.
    pub forwards: bool,
}

impl Case<'_> {
    fn ip(&self) -> Option<&Ip> {
        ip_of(&self.seen.packet)
    }

    /// The decisions of `matcher` on all forms if the packet is in `state`.
    fn decide(&self, matcher: &Matcher, state: State) -> impl Iterator<Item = (&Ip, Decision)> {
        let interface = matcher.interface_class(self.interface);
        let time = self.seen.time;
        let context = move |direction| Context { direction, interface, time };
        let forms = self.forms.iter().filter_map(|form| Some((ip_of(&form.packet)?, form.judgement.direction)));
        forms.map(move |(ip, direction)| (ip, matcher.decide_as(ip, &context(direction), state)))
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
        let blocks_by = |rules: &KernelRules, state| {
            let mut blocked = self.decide(&rules.matcher, state).filter(|(_, decision)| !decision.allows());
            blocked.find_map(|(ip, decision)| {
                let rule = rules.matcher.rules().get(decision.rule.0 as usize)?;
                dropped_by.is(rule).then(|| line(&rules.matcher, &decision, ip))
            })
        };
        let blocks = |state| blocks_by(kernel, state);
        // A list has its new entries before the rules bear the mark of the rule set that they came with.
        let ahead = || generations.successor(by).and_then(|next| blocks_by(next, self.predicted.state));
        if let Some(line) = blocks(self.predicted.state).or_else(ahead) {
            return line;
        }
        if blocks(State::New).is_some() {
            let (cause, state) = self.cause_of_drop(by, conntrack);
            if let Some(line) = blocks(state) {
                let reason = format!("{}; predicted: {} ({})", line.reason, self.words(), cause.name());
                return Explanation { reason, cause: Some(cause), ..line };
            }
        }
        if self.is_hidden() {
            let reason = format!("{HIDDEN}; predicted: {}", self.words());
            return Explanation { rule: dropped_by.info.clone(), reason, cause: None };
        }
        let entry = self.entry(kernel, dropped_by).unwrap_or_default();
        let reason = format!("dropped by the kernel{entry}; predicted: {}", self.words());
        Explanation { rule: dropped_by.info.clone(), reason, cause: Some(Cause::Unexplained) }
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

    /// Explains that no rule dropped it. `discarded` tells why routing discards it, if it does; `others` what
    /// others have to do with it; it is `unfinished` if it is a fragment of a datagram that is not whole, which the kernel
    /// shows to no rule.
    pub fn passed(
        &self,
        generations: &Generations,
        discarded: Option<Discard>,
        others: impl FnOnce() -> Option<Others>,
        unfinished: bool,
    ) -> Explanation {
        let rule = || self.rule.cloned().unwrap_or_else(unknown_rule);
        // For some seconds after a change the rules before it would explain much that no rule has seen.
        if let Some(why) = discarded {
            return Explanation { rule: rule(), reason: why.reason(), cause: None };
        }
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
        if unfinished {
            let reason = "no rule has seen it: its datagram is not whole yet".to_owned();
            return Explanation { rule: rule(), reason, cause: None };
        }
        if self.is_hidden() {
            return Explanation { rule: rule(), reason: HIDDEN.to_owned(), cause: None };
        }
        if self.may_answer() && generations.in_force(self.seen.time).any(KernelRules::rejects) {
            let reason = "it could be the answer to a rejected packet".to_owned();
            return Explanation { rule: reject_answer(), reason, cause: None };
        }
        let cause = match self.predicted.state {
            _ if !reply_allowed => Cause::Unexplained,
            State::Invalid if self.is_tcp() => Cause::Window,
            State::Invalid => Cause::Invalid,
            State::Untracked => Cause::Untracked,
            State::New | State::Original | State::Reply | State::Related => Cause::TimeOut,
        };
        // Only of what opens a connection, or is to be blocked in any state, is it known that no rule of ours has seen it.
        let is_unseen = cause == Cause::Unexplained || self.predicted.state == State::New;
        if let Some(others) = is_unseen.then(others).flatten() {
            let (reason, cause) = others.explain();
            return Explanation { rule: rule(), reason, cause };
        }
        Explanation { rule: rule(), reason: "not dropped by the kernel".to_owned(), cause: Some(cause) }
    }

    /// Whether it is an error of the kind that rules which reject answer with: where the kernel can't tell it from an
    /// answer, it passes as one.
    fn may_answer(&self) -> bool {
        self.seen.direction != Direction::Incoming && self.ip().is_some_and(Ip::says_port_is_unreachable)
    }

    /// Whether a rule was to decide by its ports, and could not see them.
    fn is_hidden(&self) -> bool {
        let asks_for_ports = matches!(self.predicted.step, Step::BlockPorts | Step::Rules);
        // What comes in is put together in front of rules that ask for ports.
        let is_whole = self.ip().is_some_and(|ip| ip.fragment.is_none());
        let may_be_hidden = is_whole || self.seen.direction != Direction::Incoming;
        asks_for_ports && may_be_hidden && self.seen.packet.is_hidden_from_port_sets()
    }

    /// What routing goes by with it, if it came in.
    pub fn arrival(&self) -> Option<Arrival> {
        let ip = self.ip().filter(|_| self.seen.direction == Direction::Incoming)?;
        let source_routed = self.seen.packet.odd.is_some_and(|odd| odd.alert == Alert::Ipv4SourceRoute);
        let (interface, forwards) = (self.seen.interface, self.forwards);
        Some(Arrival { src: ip.src, dst: ip.dst, interface, source_routed, ttl: ip.ttl, forwards })
    }

    /// Whether the rules see it as the tap does: it is not translated.
    pub fn is_as_seen(&self) -> bool {
        matches!(self.forms, [form] if form.packet == self.seen.packet)
    }

    /// The entry of the list that stands for `rule` in the kernel, in words.
    fn entry(&self, kernel: &KernelRules, rule: &KernelRule) -> Option<String> {
        let ip = self.ip().filter(|_| rule.info.step == Step::BlockIps)?;
        let listed = [ip.src, ip.dst].into_iter().find_map(|end| {
            let (listed, entry) = kernel.matcher.listed(end)?;
            rule.is(listed).then_some((end, listed, entry))
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

/// What lets the answers of rules that reject pass.
pub fn reject_answer() -> RuleInfo {
    RuleInfo { id: Arc::from("guard:reject-answer"), step: Step::Guard }
}

/// What stands for a rule of a generation that nobody remembers.
pub fn unknown_rule() -> RuleInfo {
    RuleInfo { id: Arc::from("unknown"), step: Step::Rules }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Direction, Engine, Limits};
    use crate::firewall::{self, PlannedRule};
    use crate::host::Host;
    use crate::packet::{Ports, Transport};
    use crate::rules::{Origin, parse};
    use crate::time::Timestamp;
    use std::path::Path;

    const NOW: Timestamp = Timestamp::from_parts(1000, 0);

    fn matcher(rules: &str) -> Matcher {
        let read = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
        let ruleset = parse(rules.as_bytes().to_vec(), &origin).expect("sound rules").ruleset;
        Matcher::new(&ruleset, &Host::default(), NOW)
    }

    /// A rule set in the kernel, where it has one rule.
    fn kernel(generation: u32, rules: &str, rule: (&str, Step)) -> Arc<KernelRules> {
        let (list, origin) = match rule.1 {
            Step::BlockIps => (Some(Arc::default()), firewall::Origin::BlockIps),
            _ => (None, firewall::Origin::DefaultPolicy),
        };
        let rule = PlannedRule { id: rule.0.into(), list, origin, rejects: false, shares: false };
        let rules = (vec![rule.into()], matcher(rules));
        let announced = Timestamp::from_parts(900 + i64::from(generation), 0);
        Arc::new(KernelRules {
            generation,
            rules: rules.0,
            matcher: rules.1.into(),
            announced,
            shared: None,
            rest: false,
        })
    }

    fn datagram(src: [u8; 4]) -> Seen {
        let transport = Transport::Udp(Ports { src: 53, dst: 4000 });
        let (protocol, dst) = (Protocol::UDP, [10, 0, 0, 1].into());
        let ip = Ip { src: src.into(), dst, protocol, ttl: 64, len: 40, fragment: None, transport };
        let packet = Packet::of(Net::Ip(ip));
        Seen { time: NOW, packet, direction: Direction::Incoming, interface: 1, fingerprint: None, for_another: false }
    }

    /// What `rules` say of a datagram from `src` that opens a connection.
    fn predicted(rules: &str, src: [u8; 4]) -> (Seen, Decision) {
        let seen = datagram(src);
        let interface = crate::engine::InterfaceClass::default();
        let context = Context { direction: seen.direction, interface, time: NOW };
        let ip = *ip_of(&seen.packet).unwrap();
        let decision = Engine::new(Limits { connections: 64, datagrams: 4 }).decide(&matcher(rules), &ip, &context);
        (seen, decision)
    }

    fn case<'a>(seen: &'a Seen, forms: &'a [Form], predicted: Decision) -> Case<'a> {
        Case { seen, forms, interface: "eth0", predicted, rule: None, forwards: false }
    }

    fn form(seen: &Seen, decision: Decision) -> [Form; 1] {
        [Form { packet: seen.packet, judgement: Judgement { decision, direction: seen.direction, epoch: 0 } }]
    }

    fn dropped(kernel: Arc<KernelRules>, seen: &Seen, decision: Decision) -> Explanation {
        dropped_before(kernel, None, seen, decision)
    }

    /// What is said of a drop by `kernel`, which may have a successor already.
    fn dropped_before(
        kernel: Arc<KernelRules>,
        successor: Option<Arc<KernelRules>>,
        seen: &Seen,
        decision: Decision,
    ) -> Explanation {
        let by = By { generation: kernel.generation, number: 0, uid: None, corrupt: false };
        let mut generations = Generations::default();
        [Some(kernel), successor].into_iter().flatten().for_each(|kernel| generations.add(kernel));
        let forms = form(seen, decision);
        case(seen, &forms, decision).dropped(&by, &generations, &mut Conntrack::new(Instant::now()))
    }

    const LIST: &str = r#"{ "block_ips": ["10.9.0.0/16"] }"#;

    #[test]
    fn a_drop_by_rules_that_the_engine_did_not_have_yet_is_no_difference() {
        let (seen, decision) = predicted("{}", [10, 9, 8, 7]);
        let explanation = dropped(kernel(2, LIST, ("block_ips", Step::BlockIps)), &seen, decision);
        assert_eq!(explanation.cause, None);
        assert_eq!(&*explanation.rule.id, "block_ips:10.9.0.0/16");
        assert_eq!(explanation.reason, "peer 10.9.8.7 is in block_ips (10.9.0.0/16)");
    }

    #[test]
    fn a_drop_by_a_list_that_has_its_new_entries_before_its_rules_have_their_mark_is_no_difference() {
        let list = |generation, rules| kernel(generation, rules, ("block_ips", Step::BlockIps));
        let (seen, decision) = predicted("{}", [10, 9, 8, 7]);
        let explanation = dropped_before(list(2, "{}"), Some(list(3, LIST)), &seen, decision);
        assert_eq!((explanation.cause, &*explanation.rule.id), (None, "block_ips:10.9.0.0/16"));
    }

    #[test]
    fn a_drop_that_no_rule_accounts_for_is_unexplained_and_names_the_entry_if_there_is_one() {
        let (seen, decision) = predicted("{}", [10, 1, 1, 1]);
        let explanation = dropped(kernel(2, LIST, ("block_ips", Step::BlockIps)), &seen, decision);
        assert_eq!((explanation.cause, &*explanation.rule.id), (Some(Cause::Unexplained), "block_ips"));
        // The kernel judged the other end of the packet.
        let both = r#"{ "block_ips": ["10.0.0.0/30"] }"#;
        let explanation = dropped(kernel(2, both, ("block_ips", Step::BlockIps)), &seen, decision);
        assert_eq!(explanation.cause, Some(Cause::Unexplained));
        let reason = "dropped by the kernel: 10.0.0.1 is in block_ips:10.0.0.0/30 (10.0.0.0/30); predicted: allowed by";
        assert!(explanation.reason.starts_with(reason), "{}", explanation.reason);
    }

    #[test]
    fn a_packet_let_through_by_rules_of_that_time_is_no_difference() {
        let (seen, decision) = predicted(LIST, [10, 9, 8, 7]);
        let mut generations = Generations::default();
        generations.add(kernel(1, LIST, ("block_ips", Step::BlockIps)));
        let forms = form(&seen, decision);
        let unexplained = case(&seen, &forms, decision).passed(&generations, None, || None, false);
        assert_eq!(unexplained.cause, Some(Cause::Unexplained));
        assert_eq!(unexplained.reason, "not dropped by the kernel");
        let in_front = case(&seen, &forms, decision).passed(&generations, None, || Some(Others::StandInFront), false);
        assert_eq!(in_front.cause, Some(Cause::Others));
        assert!(in_front.reason.contains("stand in front"), "{}", in_front.reason);
        generations.add(kernel(2, "{}", ("default_policy", Step::DefaultPolicy)));
        let explained = case(&seen, &forms, decision).passed(&generations, None, || None, false);
        assert_eq!((explained.cause, &*explained.rule.id), (None, "default_policy"));
    }

    #[test]
    fn a_packet_that_never_came_as_far_as_the_rules_is_no_difference() {
        let (seen, decision) = predicted(LIST, [10, 9, 8, 7]);
        let mut generations = Generations::default();
        // Those before would have let it pass, and are not long gone.
        generations.add(kernel(0, "{}", ("default_policy", Step::DefaultPolicy)));
        generations.add(kernel(99, LIST, ("block_ips", Step::BlockIps)));
        let explained =
            case(&seen, &form(&seen, decision), decision).passed(&generations, Some(Discard::NoRoute), || None, false);
        let reason =
            "discarded by the kernel before any rule: no packet comes in by that interface from or to such an address";
        assert_eq!((explained.cause, explained.reason.as_str()), (None, reason));
    }

    #[test]
    fn a_fragment_of_a_datagram_that_is_not_whole_is_no_difference() {
        let (seen, decision) = predicted(LIST, [10, 9, 8, 7]);
        let mut generations = Generations::default();
        generations.add(kernel(1, LIST, ("block_ips", Step::BlockIps)));
        let explained = case(&seen, &form(&seen, decision), decision).passed(&generations, None, || None, true);
        let reason = "no rule has seen it: its datagram is not whole yet";
        assert_eq!((explained.cause, explained.reason.as_str()), (None, reason));
    }

    #[test]
    fn a_packet_let_through_as_a_reply_that_the_engine_knew_nothing_of_is_a_matter_of_connections() {
        let rules = r#"{ "default_policy": "deny" }"#;
        let (seen, decision) = predicted(rules, [10, 9, 8, 7]);
        let mut generations = Generations::default();
        generations.add(kernel(1, rules, ("default_policy", Step::DefaultPolicy)));
        let forms = form(&seen, decision);
        assert_eq!(
            case(&seen, &forms, decision).passed(&generations, None, || None, false).cause,
            Some(Cause::TimeOut)
        );
    }
}
