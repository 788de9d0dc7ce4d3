//! The rules that are in the kernel, as its reports speak of them: by generation and number.

use crate::engine::{Matcher, RuleInfo, Step};
use crate::firewall::{Origin, Plan, PlannedRule};
use crate::time::Timestamp;
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
    /// The rules of a plan, compiled as `matcher`.
    pub fn new(plan: &Plan, matcher: Arc<Matcher>, now: Timestamp) -> Self {
        let known = |rule: &PlannedRule| KernelRule {
            info: RuleInfo { id: Arc::clone(&rule.id), step: step(rule.origin) },
            rejects: rule.rejects,
        };
        let rules = plan.rules().iter().map(known).collect();
        Self { generation: plan.generation(), rules, matcher, announced: now }
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

/// Whether the kernel's rule is the one that was predicted. A list that is long goes by its own name in the kernel, by
/// its entry in the prediction.
pub fn is_same_rule(kernel: &RuleInfo, predicted: &RuleInfo) -> bool {
    kernel.step == predicted.step && predicted.id.starts_with(&*kernel.id)
}
