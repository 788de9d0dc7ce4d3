//! The rules that are in the kernel, as its reports speak of them: by generation and number.

use crate::engine::{Context, Direction, Matcher, RuleInfo, Step};
use crate::firewall::{Origin, Plan, PlannedRule};
use crate::host::Host;
use crate::packet::Ip;
use crate::rules::Ruleset;
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::sync::Arc;

/// The rules of one generation, by number.
#[derive(Debug)]
pub struct KernelRules {
    /// The generation.
    pub generation: u32,
    /// The rules.
    pub rules: Vec<KernelRule>,
    /// The same rules as the engine has them: they tell an entry of a list that is one rule in the kernel.
    pub matcher: Arc<Matcher>,
    /// They come into force some time after this.
    pub announced: Timestamp,
    /// Rules that share their reports, if any do.
    pub shared: Option<Shared>,
    /// There are none: the rules are taken out, because enforcement rests or ends.
    pub rest: bool,
}

/// A rule in the kernel.
#[derive(Debug)]
pub struct KernelRule {
    /// What lines say of it.
    pub info: RuleInfo,
    planned: PlannedRule,
}

/// Rules that the kernel reports by one number.
#[derive(Debug)]
pub struct Shared {
    number: u32,
    /// The numbers of the rules themselves, by id.
    rules: HashMap<Arc<str>, u32, RandomState>,
}

impl KernelRules {
    /// The rules of a plan, compiled as `matcher`.
    pub fn new(plan: &Plan, matcher: Arc<Matcher>, now: Timestamp) -> Self {
        let rules = plan.rules().iter().cloned().map(KernelRule::from).collect();
        Self { generation: plan.generation(), rules, matcher, announced: now, shared: Shared::of(plan), rest: false }
    }

    /// What the kernel has while enforcement rests, or when it ends.
    pub fn at_rest(generation: u32, host: &Host, now: Timestamp) -> Self {
        let matcher = Arc::new(Matcher::new(&Ruleset::default(), host, now));
        Self { generation, rules: Vec::new(), matcher, announced: now, shared: None, rest: true }
    }

    /// Whether any rule answers what it blocks.
    pub fn rejects(&self) -> bool {
        self.rules.iter().any(KernelRule::rejects)
    }

    /// The number of the rule that dropped a packet which was reported as `number`: of those that share their reports
    /// the first that the packet satisfies. `number` itself if that is another, for then the kernel took the packet for
    /// something else.
    pub fn number_of(&self, number: u32, packet: &Ip, direction: Direction, interface: &str) -> u32 {
        let told = self.shared.as_ref().filter(|shared| shared.number == number).and_then(|shared| {
            let interface = self.matcher.interface_class(interface);
            // No rule asks for the time.
            let context = Context { direction, interface, time: self.announced };
            let rule = self.matcher.ordered_rule(packet, &context)?;
            shared.rules.get(&rule.id).copied()
        });
        told.unwrap_or(number)
    }
}

impl From<PlannedRule> for KernelRule {
    fn from(planned: PlannedRule) -> Self {
        Self { info: RuleInfo { id: Arc::clone(&planned.id), step: step(planned.origin) }, planned }
    }
}

impl KernelRule {
    /// Whether it answers what it blocks.
    pub fn rejects(&self) -> bool {
        self.planned.rejects
    }

    /// Whether it is the rule that was predicted. A list that is long goes by its own name in the kernel, by its entry in
    /// the prediction.
    pub fn is(&self, predicted: &RuleInfo) -> bool {
        self.info.step == predicted.step && self.planned.is(&predicted.id)
    }
}

impl Shared {
    fn of(plan: &Plan) -> Option<Self> {
        let number = plan.shared()?;
        let sharing = (0..).zip(plan.rules()).filter(|(_, rule)| rule.shares);
        Some(Self { number, rules: sharing.map(|(number, rule)| (Arc::clone(&rule.id), number)).collect() })
    }
}

const fn step(origin: Origin) -> Step {
    match origin {
        Origin::BuiltIn => Step::Guard,
        Origin::Panic => Step::Panic,
        Origin::AllowIps => Step::AllowIps,
        Origin::BlockIps | Origin::BlockLists => Step::BlockIps,
        Origin::BlockPorts => Step::BlockPorts,
        Origin::BlockProtocols => Step::BlockProtocols,
        Origin::Rules => Step::Rules,
        Origin::AllowProtocols => Step::AllowProtocols,
        Origin::DefaultPolicy => Step::DefaultPolicy,
    }
}
