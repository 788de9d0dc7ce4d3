//! What the kernel counted of packets that nobody reports or captures, which is all there is to know of them.

use crate::firewall::Traffic;
use crate::record::Summary;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Sums over all rule sets that were in force. A packet on loopback is judged twice, and counts twice if it passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelCounts {
    /// Dropped packets by rule.
    dropped: BTreeMap<Arc<str>, u64>,
    /// Packets that no rule dropped.
    passed: u64,
}

impl KernelCounts {
    /// Takes in what was counted under a rule set, whose rules by number have these ids.
    pub fn add<'a>(&mut self, ids: impl Iterator<Item = &'a Arc<str>>, traffic: &Traffic) {
        self.passed += traffic.passed;
        for (id, counter) in ids.zip(&traffic.rules) {
            *self.dropped.entry(Arc::clone(id)).or_default() += counter.packets;
        }
    }

    /// Adds it to what is said of the whole run.
    pub fn add_to(&self, summary: &mut Summary) {
        let dropped: u64 = self.dropped.values().sum();
        summary.packets += dropped + self.passed;
        summary.blocked += dropped;
        summary.allowed += self.passed;
        for (id, &hits) in self.dropped.iter().filter(|&(_, &hits)| hits > 0) {
            *summary.rules.entry(id.to_string()).or_default() += hits;
        }
    }
}
