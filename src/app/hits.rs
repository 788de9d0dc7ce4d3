//! How often each rule decided, taken from the capture thread without holding it up: numbers alone, by their place.

use crate::engine::Matcher;
use crate::time::Timestamp;
use std::collections::{BTreeMap, HashMap};
use std::ops::AddAssign;
use std::sync::Arc;

/// How often a rule decided, and when it did last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hit {
    /// Packets.
    pub count: u64,
    /// When the latest of them was seen; of no meaning without any.
    pub last: Timestamp,
}

impl Hit {
    /// One more packet.
    #[inline]
    pub fn add(&mut self, time: Timestamp) {
        *self += Self { count: 1, last: time };
    }
}

impl AddAssign for Hit {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.last = if self.count == 0 { other.last } else { self.last.max(other.last) };
        self.count += other.count;
    }
}

/// The hits of all rules at one moment.
#[derive(Debug, Default)]
pub struct Hits {
    /// The rule sets that are remembered, each with the hits of its rules by number.
    pub sets: Vec<(Arc<Matcher>, Vec<Hit>)>,
    /// The hits of rules that were in force before, by id.
    pub past: BTreeMap<Arc<str>, Hit>,
}

impl Hits {
    /// The hits of each rule that has any, by id.
    pub fn by_id(&self) -> HashMap<&str, Hit> {
        let mut hits: HashMap<&str, Hit> = HashMap::new();
        let remembered = self
            .sets
            .iter()
            .flat_map(|(matcher, hits)| matcher.rules().iter().map(|rule| &*rule.id).zip(hits.iter().copied()));
        let past = self.past.iter().map(|(id, &hit)| (&**id, hit));
        for (id, hit) in remembered.chain(past).filter(|(_, hit)| hit.count > 0) {
            *hits.entry(id).or_default() += hit;
        }
        hits
    }
}
