//! Things that are to be known again for a time, in bounded number.

use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// A full table is searched for what has expired when this much time has passed since the last search.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What is to be known again, each until a time of its own.
#[derive(Debug)]
pub struct Remembered<K> {
    until: HashMap<K, Timestamp, RandomState>,
    limit: usize,
    swept: Timestamp,
    forgotten: u64,
}

impl<K: Eq + Hash> Remembered<K> {
    /// Nothing yet, and at most `limit`.
    pub fn new(limit: usize) -> Self {
        Self { until: HashMap::default(), limit, swept: Timestamp::MIN, forgotten: 0 }
    }

    /// From now on `key` is known, for what was seen up to `until` at least.
    pub fn remember(&mut self, key: K, until: Timestamp, now: Timestamp) {
        if let Some(known) = self.until.get_mut(&key) {
            *known = until.max(*known);
        } else if self.has_room(now) {
            self.until.insert(key, until);
        } else {
            self.forgotten += 1;
        }
    }

    /// `key` is not to be known for anything that is seen later than `at`.
    pub fn end(&mut self, key: &K, at: Timestamp) {
        if let Some(until) = self.until.get_mut(key) {
            *until = at.min(*until);
        }
    }

    /// The same for everything.
    pub fn end_all(&mut self, at: Timestamp) {
        self.until.values_mut().for_each(|until| *until = at.min(*until));
    }

    /// Whether `key` is known for what was seen at `time`.
    pub fn knows(&self, key: &K, time: Timestamp) -> bool {
        self.until.get(key).is_some_and(|&until| time <= until)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.until.is_empty()
    }

    /// How much found no room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.until.len() >= self.limit && self.swept.plus(SWEEP_INTERVAL) <= now {
            self.swept = now;
            // What was seen before may still be asked for.
            let before = now.minus(SWEEP_INTERVAL);
            self.until.retain(|_, &mut until| until >= before);
        }
        self.until.len() < self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(1_800_000_000 + seconds, 0)
    }

    #[test]
    fn a_key_is_known_until_its_time() {
        let mut remembered = Remembered::new(10);
        remembered.remember('a', at(5), at(0));
        remembered.remember('a', at(3), at(1));
        assert!(remembered.knows(&'a', at(5)) && !remembered.knows(&'a', at(6)) && !remembered.knows(&'b', at(0)));
        remembered.end(&'a', at(2));
        assert!(remembered.knows(&'a', at(2)) && !remembered.knows(&'a', at(3)));
    }

    #[test]
    fn a_full_table_forgets_the_new_and_counts_it_until_old_ones_expire() {
        let mut remembered = Remembered::new(2);
        remembered.remember('a', at(1), at(0));
        remembered.remember('b', Timestamp::MAX, at(0));
        remembered.remember('c', at(9), at(0));
        assert!(!remembered.knows(&'c', at(0)));
        assert_eq!(remembered.forgotten(), 1);
        remembered.remember('d', at(9), at(4));
        assert!(remembered.knows(&'d', at(4)), "the first has expired");
        assert_eq!(remembered.forgotten(), 1);
        remembered.end_all(at(5));
        assert!(!remembered.knows(&'b', at(6)));
    }
}
