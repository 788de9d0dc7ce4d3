//! Things that are to be known again for a time, in bounded number.

use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// A full table is searched for what has expired when this much time has passed since the last search.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// What is to be known again, each until a time of its own, and something about it.
#[derive(Debug)]
pub struct Remembered<K, V = ()> {
    known: HashMap<K, Known<V>, RandomState>,
    limit: usize,
    swept: Timestamp,
    forgotten: u64,
}

#[derive(Debug)]
struct Known<V> {
    until: Timestamp,
    about: V,
}

impl<K: Eq + Hash, V> Remembered<K, V> {
    /// Nothing yet, and at most `limit`.
    pub fn new(limit: usize) -> Self {
        Self { known: HashMap::default(), limit, swept: Timestamp::MIN, forgotten: 0 }
    }

    /// From now on `key` is known, for what was seen up to `until` at least.
    pub fn remember(&mut self, key: K, about: V, until: Timestamp, now: Timestamp) {
        if let Some(known) = self.known.get_mut(&key) {
            *known = Known { until: until.max(known.until), about };
        } else if self.has_room(now) {
            self.known.insert(key, Known { until, about });
        } else {
            self.forgotten += 1;
        }
    }

    /// `key` is not to be known for anything that is seen later than `at`.
    pub fn end(&mut self, key: &K, at: Timestamp) {
        if let Some(known) = self.known.get_mut(key) {
            known.until = at.min(known.until);
        }
    }

    /// The same for everything.
    pub fn end_all(&mut self, at: Timestamp) {
        self.known.values_mut().for_each(|known| known.until = at.min(known.until));
    }

    /// What is known about `key`, for what was seen at `time`.
    pub fn get(&self, key: &K, time: Timestamp) -> Option<&V> {
        self.known.get(key).filter(|known| time <= known.until).map(|known| &known.about)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: &K, time: Timestamp) -> Option<&mut V> {
        self.known.get_mut(key).filter(|known| time <= known.until).map(|known| &mut known.about)
    }

    /// Whether `key` is known for what was seen at `time`.
    pub fn knows(&self, key: &K, time: Timestamp) -> bool {
        self.get(key, time).is_some()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How much found no room.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn has_room(&mut self, now: Timestamp) -> bool {
        if self.known.len() >= self.limit && self.swept.plus(SWEEP_INTERVAL) <= now {
            self.swept = now;
            // What was seen before may still be asked for.
            let before = now.minus(SWEEP_INTERVAL);
            self.known.retain(|_, known| known.until >= before);
        }
        self.known.len() < self.limit
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
        remembered.remember('a', 1, at(5), at(0));
        remembered.remember('a', 1, at(3), at(1));
        assert_eq!(remembered.get(&'a', at(5)), Some(&1));
        assert!(remembered.knows(&'a', at(5)) && !remembered.knows(&'a', at(6)) && !remembered.knows(&'b', at(0)));
        remembered.end(&'a', at(2));
        assert!(remembered.knows(&'a', at(2)) && !remembered.knows(&'a', at(3)));
    }

    #[test]
    fn a_full_table_forgets_the_new_and_counts_it_until_old_ones_expire() {
        let mut remembered = Remembered::new(2);
        remembered.remember('a', 1, at(1), at(0));
        remembered.remember('b', 2, Timestamp::MAX, at(0));
        remembered.remember('c', 3, at(9), at(0));
        assert!(!remembered.knows(&'c', at(0)));
        assert_eq!(remembered.forgotten(), 1);
        remembered.remember('d', 4, at(9), at(4));
        assert!(remembered.knows(&'d', at(4)), "the first has expired");
        assert_eq!(remembered.forgotten(), 1);
        remembered.end_all(at(5));
        assert!(!remembered.knows(&'b', at(6)));
    }
}
