//! Own chains of one family as they are written, rule by rule.

use super::Options;
use super::conditions::Condition;
use super::ledger::Ledger;
use super::spec::{Match, Target, marker, specification};
use crate::firewall::family::Family;
use crate::firewall::names::{Hook, Reported, further_chain, further_raw_chain, nflog_prefix};
use crate::packet::Protocol;
use crate::rules::Action;

/// A rule with more combinations of alternatives than this becomes a cascade of chains, whose size is their sum
/// instead of their product.
const FLAT: usize = 16;
/// The same for a rule that allows: its cascade leads into the rest of the rules, and so each leads one chain deeper, of
/// which the kernel takes 16 (`NFT_JUMP_STACK_SIZE`, `net/netfilter/nf_tables.h`). Eight addresses at either end, of TCP
/// and UDP, are still flat; what has more addresses is a set.
const FLAT_ALLOWED: usize = 128;

/// A chain of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::firewall) struct Chain {
    pub(in crate::firewall) name: String,
    pub(in crate::firewall) rules: Vec<KernelRule>,
}

/// A rule in a chain of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::firewall) struct KernelRule {
    /// What stands behind `-A CHAIN`.
    pub(in crate::firewall) text: String,
    /// The rule of the plan that it serves.
    pub(in crate::firewall) number: Option<u32>,
    /// Whether what hits it is dropped.
    pub(in crate::firewall) drops: bool,
}

/// Writes the chains of one family.
pub(super) struct Writer<'a> {
    pub(super) family: Family,
    options: Options,
    ledger: &'a Ledger,
    chains: Vec<Chain>,
    /// The chain that is being written; after a cascade the one that holds the rest.
    current: String,
    further: u32,
    /// The chain that reports and drops for the rules that share one.
    shared: Option<String>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(family: Family, options: Options, ledger: &'a Ledger) -> Self {
        Self { family, options, ledger, chains: Vec::new(), current: String::new(), further: 0, shared: None }
    }

    /// The chains, each with its mark: behind all its rules, so that what they decide about does not pass it.
    pub(super) fn finish(mut self) -> Vec<Chain> {
        for chain in &mut self.chains {
            chain.rules.push(KernelRule { text: marker(self.family), number: None, drops: false });
        }
        self.chains
    }

    /// Begins the chain of a hook.
    pub(super) fn begin(&mut self, hook: Hook) {
        hook.own().clone_into(&mut self.current);
        self.add_chain(self.current.clone());
    }

    /// Makes a chain that goes by no hook.
    pub(super) fn further_chain(&mut self, kind: char) -> String {
        let name = further_chain(kind, self.further);
        self.add_further(name)
    }

    /// The same in the raw table.
    pub(super) fn further_raw_chain(&mut self) -> String {
        let name = further_raw_chain(self.options.generation, self.further);
        self.add_further(name)
    }

    fn add_further(&mut self, name: String) -> String {
        self.further += 1;
        self.add_chain(name.clone());
        name
    }

    /// Goes on in a further chain, to which what comes this far is led.
    pub(super) fn go_on(&mut self) {
        let next = self.further_chain('P');
        self.built_in("further-rules", &Match::default(), &Target::Goto(next.clone()));
        self.enter(next);
    }

    /// Goes on in `chain`; the chain that it was in.
    pub(super) fn enter(&mut self, chain: String) -> String {
        std::mem::replace(&mut self.current, chain)
    }

    /// A rule that belongs to no line of the rules file.
    pub(super) fn built_in(&mut self, id: &str, conditions: &Match, target: &Target) {
        self.push(None, id, conditions, target);
    }

    /// Lets a packet through, as far as pfw is concerned.
    pub(super) fn allow(&mut self, number: u32, conditions: &Match) {
        self.numbered(number, conditions, &Target::Return);
    }

    /// Makes the chain that reports and drops for the rules that share one; `number` is that of its reports.
    ///
    /// Without reports a drop is one kernel rule anyway.
    pub(super) fn share(&mut self, number: u32) {
        let Some(log) = self.log_target(Reported::Dropped(number)) else { return };
        let chain = self.further_chain('B');
        let outside = self.enter(chain.clone());
        // Each rule counts what it led here.
        for target in [log, Target::Drop] {
            self.built_in("shared-rules", &Match::default(), &target);
        }
        self.enter(outside);
        self.shared = Some(chain);
    }

    /// Reports, if that is wanted, and drops.
    pub(super) fn block(&mut self, number: u32, conditions: &Match) {
        if let Some(chain) = self.shared.clone().filter(|_| self.ledger.shares(number)) {
            return self.numbered(number, conditions, &Target::Gone(chain));
        }
        self.log(number, conditions, Reported::Dropped(number));
        self.numbered(number, conditions, &Target::Drop);
    }

    /// The same in the raw table, of packets that are known to be on their way through.
    pub(super) fn stop(&mut self, number: u32, conditions: &Match) {
        self.log(number, conditions, Reported::Stopped(number));
        self.numbered(number, conditions, &Target::Drop);
    }

    /// Reports what is no drop.
    pub(super) fn report(&mut self, id: &str, reported: Reported, conditions: &Match) {
        if let Some(target) = self.log_target(reported) {
            self.built_in(id, conditions, &target);
        }
    }

    /// Jumps to a chain of which the rule is the only user.
    pub(super) fn jump(&mut self, number: u32, conditions: &Match, chain: &str) {
        self.numbered(number, conditions, &Target::Jump(chain.to_owned()));
    }

    /// Goes on in a chain of which the rule is the only user, and not back.
    pub(super) fn goto(&mut self, number: u32, conditions: &Match, chain: &str) {
        self.numbered(number, conditions, &Target::Goto(chain.to_owned()));
    }

    /// An ordered rule, whatever it asks for: a conjunction of conditions.
    pub(super) fn rule(&mut self, number: u32, action: Action, conditions: &[Condition]) {
        let conditions: Vec<_> = conditions.iter().filter(|one| !one.is_always()).collect();
        let combinations =
            conditions.iter().fold(1_usize, |product, one| product.saturating_mul(one.any_of.len().max(1)));
        let flat = if action == Action::Allow { FLAT_ALLOWED } else { FLAT };
        if combinations <= flat && conditions.iter().all(|one| one.none_of.is_empty()) {
            for combination in product(&conditions) {
                self.act(number, action, &combination);
            }
        } else {
            self.cascade(number, action, &conditions);
        }
    }

    /// A chain for each condition: what fails one goes on with the rest of the rules, what satisfies it with the next
    /// condition, and what satisfies all is acted upon. Every step is a goto, so that the end of the last chain leads
    /// back to where the first was jumped to: in front of the rest. What is allowed has to leave our chains there, as by
    /// RETURN in the first one; so there the rest is a chain too, which those of the conditions lead to.
    fn cascade(&mut self, number: u32, action: Action, conditions: &[&Condition]) {
        let chain = self.further_chain('C');
        let (otherwise, rest) = if action == Action::Allow {
            (Target::Goto(chain.clone()), chain)
        } else {
            self.jump(number, &Match::default(), &chain);
            (Target::Return, self.enter(chain))
        };
        for condition in conditions {
            for one in &condition.none_of {
                self.numbered(number, one, &otherwise);
            }
            if condition.any_of.is_empty() {
                continue;
            }
            let next = self.further_chain('C');
            for one in &condition.any_of {
                self.numbered(number, one, &Target::Goto(next.clone()));
            }
            self.numbered(number, &Match::default(), &otherwise);
            self.enter(next);
        }
        self.act(number, action, &Match::default());
        self.enter(rest);
    }

    fn act(&mut self, number: u32, action: Action, conditions: &Match) {
        match action {
            Action::Allow => self.allow(number, conditions),
            Action::Block => self.block(number, conditions),
            Action::Reject => self.reject(number, conditions),
        }
    }

    fn reject(&mut self, number: u32, conditions: &Match) {
        self.log(number, conditions, Reported::Dropped(number));
        let tcp = Match { protocol: Some((false, Protocol::TCP)), ..conditions.clone() };
        let unreachable = Target::Unreachable(self.family);
        match conditions.protocol {
            Some((false, Protocol::TCP)) => self.numbered(number, conditions, &Target::Reset),
            Some((false, _) | (true, Protocol::TCP)) => self.numbered(number, conditions, &unreachable),
            None | Some((true, _)) => {
                self.numbered(number, &tcp, &Target::Reset);
                self.numbered(number, conditions, &unreachable);
            }
        }
    }

    fn log(&mut self, number: u32, conditions: &Match, reported: Reported) {
        if let Some(target) = self.log_target(reported) {
            self.numbered(number, conditions, &target);
        }
    }

    fn log_target(&self, reported: Reported) -> Option<Target> {
        let Options { generation, nflog_group, .. } = self.options;
        Some(Target::Log { group: nflog_group?, prefix: nflog_prefix(generation, reported) })
    }

    fn numbered(&mut self, number: u32, conditions: &Match, target: &Target) {
        let ledger = self.ledger;
        self.push(Some(number), ledger.id(number), conditions, target);
    }

    fn push(&mut self, number: Option<u32>, comment: &str, conditions: &Match, target: &Target) {
        let rule = KernelRule { text: specification(conditions, comment, target), number, drops: target.drops() };
        // The chain in work is the last one but for a cascade or two.
        if let Some(chain) = self.chains.iter_mut().rev().find(|chain| chain.name == self.current) {
            chain.rules.push(rule);
        }
    }

    fn add_chain(&mut self, name: String) {
        self.chains.push(Chain { name, rules: Vec::new() });
    }
}

/// Every combination of one alternative of each condition.
fn product(conditions: &[&Condition]) -> Vec<Match> {
    conditions.iter().fold(vec![Match::default()], |combinations, condition| {
        combinations.iter().flat_map(|so_far| condition.any_of.iter().map(|one| so_far.and(one.clone()))).collect()
    })
}
