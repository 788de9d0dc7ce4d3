//! A rule set compiled for packets.

use super::catalogue::{Catalogue, builtin, guard_number};
use super::classifier::Classifier;
use super::decision::{Context, Decision, Hit, InterfaceClass, RuleInfo, RuleNumber, State, Step};
use super::guard;
use super::in_force::{self, Expires};
use super::interfaces::Interfaces;
use super::numbers::{PortList, ProtocolList};
use super::own::OwnAddresses;
use super::peers::{ListEntry, Peers};
use super::premises::Premises;
use super::protected::{Protected, Spared};
use super::reason;
use super::subject::{Passage, Subject};
use crate::host::Host;
use crate::packet::Ip;
use crate::rules::{Action, DefaultPolicy, Policy, Rule, RuleDirection, Ruleset};
use crate::time::Timestamp;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

/// A rule set compiled for packets: immutable, and made to be shared.
#[derive(Debug)]
pub struct Matcher {
    /// Tells it from all others of this process.
    number: u32,
    catalogue: Catalogue,
    peers: Peers,
    block_ports: PortList,
    block_protocols: ProtocolList,
    allow_protocols: ProtocolList,
    interfaces: Interfaces,
    classifier: Classifier,
    /// Number and action of each rule, by its place in the classifier.
    actions: Vec<(RuleNumber, Action)>,
    own: OwnAddresses,
    panic: bool,
    default_policy: DefaultPolicy,
    valid_until: Timestamp,
    premises: Premises,
}

/// Of the matcher that is made next. One a second would take a century to begin anew.
static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);

/// What a step says, before state and the like are added.
#[derive(Clone, Copy)]
pub(super) struct Ruling {
    action: Action,
    step: Step,
    rule: RuleNumber,
    entry: Option<u32>,
    hit: Hit,
}

impl Matcher {
    /// Compiles what of `rules` is in force at `now`, for the machine `host`.
    pub fn new(rules: &Ruleset, host: &Host, now: Timestamp) -> Self {
        Self::compile(rules, host, now, None)
    }

    /// The same as what is to replace `self`: what is the same in both, and long, is not made again.
    #[must_use]
    pub fn next(&self, rules: &Ruleset, host: &Host, now: Timestamp) -> Self {
        Self::compile(rules, host, now, Some(self))
    }

    fn compile(rules: &Ruleset, host: &Host, now: Timestamp, before: Option<&Self>) -> Self {
        let mut catalogue = Catalogue::new();
        let before = before.map(|before| &before.peers);
        let peers = Peers::new(rules, Protected::new(host), now, &mut catalogue, before);
        let block_ports = PortList::new(&rules.block_ports, now, &mut catalogue);
        let words = " is in block_protocols";
        let block_protocols =
            ProtocolList::new(&rules.block_protocols, now, Step::BlockProtocols, words, &mut catalogue);
        let active: Vec<&Rule> = rules.rules.iter().filter(|rule| rule.in_force(now)).collect();
        let actions = active.iter().map(|rule| (catalogue.add_rule(rule), rule.action)).collect();
        let words = " is in allow_protocols";
        let allow_protocols =
            ProtocolList::new(&rules.allow_protocols, now, Step::AllowProtocols, words, &mut catalogue);
        let interfaces = Interfaces::new(active.iter().copied());
        Self {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            classifier: Classifier::new(&active, &interfaces),
            catalogue,
            peers,
            block_ports,
            block_protocols,
            allow_protocols,
            interfaces,
            actions,
            own: OwnAddresses::new(host),
            panic: rules.panic,
            default_policy: rules.default_policy,
            valid_until: in_force::next_change(rules, now),
            premises: Premises::new(rules, host),
        }
    }

    /// All rules that can decide; a [`RuleNumber`] is an index. The built-in ones come first, and their numbers
    /// are the same in every matcher. Several entries of a list that came from one place in the file are one rule.
    pub fn rules(&self) -> &[RuleInfo] {
        self.catalogue.infos()
    }

    /// When the next entry or rule expires: at this time the rule set must be compiled again.
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// What detectors are to take for granted while these rules are in force.
    pub fn premises(&self) -> &Premises {
        &self.premises
    }

    /// The class of the interface `name`, for [`Context`]. It holds for this matcher alone.
    pub fn interface_class(&self, name: &str) -> InterfaceClass {
        self.interfaces.class(name)
    }

    /// Whether any rule speaks of interfaces.
    pub fn tells_interfaces_apart(&self) -> bool {
        self.interfaces.representatives().nth(1).is_some()
    }

    /// The decision on a frame that carries no IP packet.
    pub fn non_ip(&self) -> Decision {
        Ruling::allow(Step::NonIp, builtin::NON_IP).decide(State::Untracked)
    }

    /// The list entry that [`Decision::entry`] tells of.
    pub fn entry(&self, entry: u32) -> Option<ListEntry> {
        self.peers.entry(entry)
    }

    /// The networks of block lists that hold addresses on which bulk lists never act.
    pub fn spared(&self) -> &Spared {
        self.peers.spared()
    }

    /// Bytes that the tables of addresses and rules take.
    pub fn bytes(&self) -> usize {
        self.peers.bytes() + self.classifier.bytes()
    }

    /// Appends the reason of `decision` on `packet`, in words.
    ///
    /// The words can hold the user's comment as it stands in the file: any characters, to be escaped by whoever
    /// writes them somewhere.
    pub fn write_reason(&self, decision: &Decision, packet: &Ip, out: &mut Vec<u8>) {
        reason::write(&self.catalogue, &self.peers, decision, packet, out);
    }

    /// The decision on `packet` if it is in `state`, whatever a tracker remembers.
    pub fn decide_as(&self, packet: &Ip, context: &Context, state: State) -> Decision {
        let subject = Subject::of(packet);
        let judge = |passage| self.judge(&subject, passage, context.interface, state);
        let (first, second) = Passage::of(context.direction);
        let decision = judge(first);
        second.filter(|_| decision.allows()).map_or(decision, judge)
    }

    /// The ordered rule that `packet` satisfies first, whatever steps come before them.
    pub fn ordered_rule(&self, packet: &Ip, context: &Context) -> Option<&RuleInfo> {
        let (passage, _) = Passage::of(context.direction);
        let ruling = self.judge_rules(&Subject::of(packet), passage, context.interface)?;
        self.rules().get(ruling.rule.0 as usize)
    }

    /// The rule and entry of the address lists that `address` is in.
    pub fn listed(&self, address: IpAddr) -> Option<(&RuleInfo, ListEntry)> {
        let listed = self.peers.get(address)?;
        Some((self.rules().get(listed.rule.0 as usize)?, self.entry(listed.entry)?))
    }

    /// A number that no other matcher of this process has.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The decision on one passage of a packet in the given state.
    pub(super) fn judge(
        &self,
        subject: &Subject<'_>,
        passage: Passage,
        interface: InterfaceClass,
        state: State,
    ) -> Decision {
        let ruling = if passage == Passage::Through {
            self.judge_forwarded(subject)
        } else {
            self.judge_own(subject, passage, interface, state)
        };
        ruling.decide(state)
    }

    fn judge_own(&self, subject: &Subject<'_>, passage: Passage, interface: InterfaceClass, state: State) -> Ruling {
        let direction = passage.direction();
        if let Some(guard) = guard::before_lists(subject) {
            return Ruling::allow(Step::Guard, guard_number(guard));
        }
        if self.panic {
            return self.judge_panic(subject, passage);
        }
        if let Some(ruling) = self.judge_peer(subject, direction) {
            return ruling;
        }
        if let Some(guard) = guard::behind_lists(subject, direction) {
            return Ruling::allow(Step::LinkGuard, guard_number(guard));
        }
        self.judge_numbers(subject)
            .or_else(|| judge_state(state, direction))
            .or_else(|| self.judge_rules(subject, passage, interface))
            .or_else(|| self.judge_local(subject, passage))
            .or_else(|| self.judge_allowed_protocols(subject))
            .unwrap_or_else(|| self.judge_default(direction))
    }

    /// What this machine says to itself goes by loopback, and its peer is an own address. Either alone is not enough: who
    /// is elsewhere can forge an own address, and what is sent to one can be led elsewhere by translation.
    fn judge_panic(&self, subject: &Subject<'_>, passage: Passage) -> Ruling {
        let (peer, _) = peer(subject, passage.direction());
        if passage.is_loopback() && self.own.owns(peer) {
            Ruling::allow(Step::Loopback, builtin::LOOPBACK)
        } else {
            Ruling::block(Step::Panic, builtin::PANIC)
        }
    }

    /// Steps 1 (path MTU alone), 2, 3, 5 and 6, each end by itself.
    fn judge_forwarded(&self, subject: &Subject<'_>) -> Ruling {
        if let Some(guard) = guard::path_mtu(subject) {
            return Ruling::allow(Step::Guard, guard_number(guard));
        }
        if self.panic {
            return Ruling::block(Step::Panic, builtin::PANIC);
        }
        let blocked =
            |address: IpAddr, hit| self.list_ruling(address, hit).filter(|ruling| ruling.action != Action::Allow);
        blocked(subject.src(), Hit::Source)
            .or_else(|| blocked(subject.dst(), Hit::Destination))
            .or_else(|| self.judge_numbers(subject))
            .unwrap_or(Ruling::allow(Step::Forwarded, builtin::FORWARDED))
    }

    /// Steps 2 and 3.
    fn judge_peer(&self, subject: &Subject<'_>, direction: RuleDirection) -> Option<Ruling> {
        let (address, hit) = peer(subject, direction);
        self.list_ruling(address, hit)
    }

    fn list_ruling(&self, address: IpAddr, hit: Hit) -> Option<Ruling> {
        let listed = self.peers.get(address)?;
        let (action, step) =
            if listed.allows { (Action::Allow, Step::AllowIps) } else { (Action::Block, Step::BlockIps) };
        Some(Ruling { action, step, rule: listed.rule, entry: Some(listed.entry), hit })
    }

    /// Steps 5 and 6.
    fn judge_numbers(&self, subject: &Subject<'_>) -> Option<Ruling> {
        if let Some((rule, hit)) = self.block_ports.hit(subject.header) {
            return Some(Ruling { hit, ..Ruling::block(Step::BlockPorts, rule) });
        }
        self.block_protocols.get(subject.protocol).map(|rule| Ruling::block(Step::BlockProtocols, rule))
    }

    /// Step 8.
    fn judge_rules(&self, subject: &Subject<'_>, passage: Passage, interface: InterfaceClass) -> Option<Ruling> {
        let place = self.classifier.first_match(subject, passage, interface)?;
        let &(rule, action) = self.actions.get(place)?;
        Some(Ruling { action, ..Ruling::allow(Step::Rules, rule) })
    }

    /// Step 9.
    fn judge_local(&self, subject: &Subject<'_>, passage: Passage) -> Option<Ruling> {
        if passage.is_loopback() {
            return Some(Ruling::allow(Step::Loopback, builtin::LOOPBACK));
        }
        let copy = passage == Passage::In && self.own.sends_to_itself(subject.src(), subject.dst());
        copy.then_some(Ruling::allow(Step::Loopback, builtin::OWN_MULTICAST))
    }

    /// Step 10.
    fn judge_allowed_protocols(&self, subject: &Subject<'_>) -> Option<Ruling> {
        if self.allow_protocols.is_empty {
            return None;
        }
        Some(match self.allow_protocols.get(subject.protocol) {
            Some(rule) => Ruling::allow(Step::AllowProtocols, rule),
            None => Ruling::block(Step::AllowProtocols, builtin::ALLOW_PROTOCOLS),
        })
    }

    /// Step 11.
    fn judge_default(&self, direction: RuleDirection) -> Ruling {
        let policy = match direction {
            RuleDirection::In => self.default_policy.incoming,
            RuleDirection::Out => self.default_policy.outgoing,
        };
        let ruling = match policy {
            Policy::Allow => Ruling::allow(Step::DefaultPolicy, builtin::DEFAULT_POLICY),
            Policy::Deny => Ruling::block(Step::DefaultPolicy, builtin::DEFAULT_POLICY),
        };
        Ruling { hit: Hit::Direction(direction), ..ruling }
    }
}

/// The other end, and which that is.
fn peer(subject: &Subject<'_>, direction: RuleDirection) -> (IpAddr, Hit) {
    match direction {
        RuleDirection::In => (subject.src(), Hit::Source),
        RuleDirection::Out => (subject.dst(), Hit::Destination),
    }
}

/// Step 7.
fn judge_state(state: State, direction: RuleDirection) -> Option<Ruling> {
    match state {
        State::Reply => Some(Ruling { hit: Hit::Direction(direction), ..Ruling::allow(Step::Reply, builtin::REPLY) }),
        State::Related => Some(Ruling::allow(Step::Reply, builtin::RELATED)),
        State::New | State::Original | State::Invalid | State::Untracked => None,
    }
}

impl Ruling {
    const fn allow(step: Step, rule: RuleNumber) -> Self {
        Self { action: Action::Allow, step, rule, entry: None, hit: Hit::None }
    }

    const fn block(step: Step, rule: RuleNumber) -> Self {
        Self { action: Action::Block, ..Self::allow(step, rule) }
    }

    fn decide(self, state: State) -> Decision {
        let Self { action, step, rule, entry, hit } = self;
        Decision { action, step, rule, entry, state, without_first: false, hit }
    }
}
