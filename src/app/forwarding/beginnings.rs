//! When connections and flows began, by their ends: one may follow on another before packets of the first are told apart.

use super::super::remembered::Remembered;
use crate::time::Timestamp;
use std::hash::Hash;
use std::time::Duration;

/// Keys that are remembered. A packet of one that is forgotten goes by what was told last.
const MAX_KEYS: usize = 1 << 12;

/// Beginnings that are remembered of the same key: more than a host that is refused again and again makes while packets
/// wait. Packets of one that is forgotten go by what was told last, too.
const SAME_KEY: usize = 16;

/// How long a beginning is of use: packets wait no longer than that until they are told apart.
const USE: Duration = Duration::from_secs(1);

/// Beginnings by key.
#[derive(Debug)]
pub(super) struct Beginnings<K>(Remembered<K, Times>);

/// When several of the same key began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times([Option<Timestamp>; SAME_KEY]);

impl<K: Copy + Eq + Hash> Default for Beginnings<K> {
    fn default() -> Self {
        Self(Remembered::new(MAX_KEYS))
    }
}

impl<K: Copy + Eq + Hash> Beginnings<K> {
    /// Remembers that one began.
    pub(super) fn add(&mut self, key: K, time: Timestamp) {
        let before = self.of(&key, time).copied().unwrap_or_default();
        self.0.remember(key, before.and(time), time.plus(USE), time);
    }

    /// Those that are known at `time`, later ones among them.
    pub(super) fn of(&self, key: &K, time: Timestamp) -> Option<&Times> {
        self.0.get(key, time)
    }
}

impl Times {
    /// The latest that is not later than `time`.
    pub(super) fn latest(&self, time: Timestamp) -> Option<Timestamp> {
        self.0.iter().flatten().copied().filter(|&one| one <= time).max()
    }

    /// With another one, for which the oldest may be forgotten.
    fn and(mut self, time: Timestamp) -> Self {
        self.0.rotate_left(1);
        if let Some(last) = self.0.last_mut() {
            *last = Some(time);
        }
        self
    }
}
