//! The rules that are in the kernel, as its reports speak of them: by generation and number.

use super::withheld::By;
use crate::engine::{RuleInfo, Step};
use crate::firewall::{Origin, Plan, PlannedRule};
use std::collections::VecDeque;
use std::sync::Arc;

/// Rule sets that are remembered after they were replaced: reports of packets that they dropped may still come, for a
/// tenth of a second.
const REMEMBERED: usize = 8;

/// The rules of one generation, by number.
#[derive(Debug)]
pub struct KernelRules {
    generation: u32,
    rules: Vec<KernelRule>,
}

/// A rule in the kernel.
#[derive(Debug)]
pub struct KernelRule {
    /// What lines say of it.
    pub info: RuleInfo,
    /// Whether it answers what it blocks.
    pub rejects: bool,
}

impl KernelRules {
    /// The rules of a plan.
    pub fn new(plan: &Plan) -> Self {
        let known = |rule: &PlannedRule| KernelRule {
            info: RuleInfo { id: Arc::clone(&rule.id), step: step(rule.origin) },
            rejects: rule.rejects,
        };
        Self { generation: plan.generation(), rules: plan.rules().iter().map(known).collect() }
    }
}

const fn step(origin: Origin) -> Step {
    match origin {
        Origin::BuiltIn => Step::Guard,
        Origin::AllowIps => Step::AllowIps,
        Origin::BlockIps | Origin::BlockLists => Step::BlockIps,
        Origin::BlockPorts => Step::BlockPorts,
        Origin::BlockProtocols => Step::BlockProtocols,
        Origin::Rules => Step::Rules,
        Origin::AllowProtocols => Step::AllowProtocols,
        Origin::DefaultPolicy => Step::DefaultPolicy,
    }
}

/// The generations whose reports can still come, the latest first.
#[derive(Debug, Default)]
pub struct Generations {
    known: VecDeque<Arc<KernelRules>>,
}

impl Generations {
    /// Takes a generation in before it is put in force.
    pub fn add(&mut self, rules: Arc<KernelRules>) {
        self.known.push_front(rules);
        self.known.truncate(REMEMBERED);
    }

    /// The rule that a report names.
    pub fn rule(&self, By { generation, number }: By) -> Option<&KernelRule> {
        self.known.iter().find(|rules| rules.generation == generation)?.rules.get(number as usize)
    }
}
