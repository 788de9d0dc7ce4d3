//! How often each rule decided, taken from the capture thread without holding it up: numbers alone, by their place.

use crate::engine::Matcher;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The hits of all rules at one moment.
#[derive(Debug, Default)]
pub struct Hits {
    /// The rule sets that are remembered, each with the hits of its rules by number.
    pub sets: Vec<(Arc<Matcher>, Vec<u64>)>,
    /// The hits of rules that were in force before, by id.
    pub past: BTreeMap<Arc<str>, u64>,
}

impl Hits {
    /// The hits of each rule that has any, by id.
    pub fn by_id(&self) -> HashMap<&str, u64> {
        let mut hits: HashMap<&str, u64> = HashMap::new();
        let remembered = self
            .sets
            .iter()
            .flat_map(|(matcher, counts)| matcher.rules().iter().map(|rule| &*rule.id).zip(counts.iter().copied()));
        let past = self.past.iter().map(|(id, &count)| (&**id, count));
        for (id, count) in remembered.chain(past).filter(|&(_, count)| count > 0) {
            *hits.entry(id).or_default() += count;
        }
        hits
    }
}
