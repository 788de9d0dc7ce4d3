//! Who has tried how many different things, in fixed memory and so that none hides behind many.
//!
//! A table of buckets. In a full bucket a tally gives way only to a key that was seen more often than it, as a sketch
//! of all keys has it (`TinyLFU`; Einziger, Friedman and Manes, 2017): of a million forged sources each is seen once,
//! and none of them drives out the one that comes again.

use super::clock::since;
use super::distinct::Distinct;
use super::sketch::Sketch;

/// For so many seconds what was tried may still turn out to be honest: the answer is under way.
const UNDER_WAY: u16 = 2;
/// Tallies in a bucket: two cache lines of keys.
const WAYS: usize = 8;
/// Buckets.
const BUCKETS: usize = 2048;

/// What one key has tried.
#[derive(Clone, Copy, Debug)]
struct Tally {
    /// 0 where there is none.
    key: u64,
    /// Seconds of the first try, and until when tries are counted with it.
    first: u32,
    window: u32,
    /// What it takes to drive it out.
    rank: u32,
    /// The last things, which may still turn out to be honest.
    recent: Recent,
    things: Distinct<8>,
    /// Who tried, where that are several.
    who: Distinct<1>,
}

/// Things that came in a span of [`UNDER_WAY`] seconds.
#[derive(Clone, Copy, Debug)]
struct Recent {
    /// Seconds, modulo 2^16.
    since: u16,
    things: u16,
}

const NONE: Tally = Tally {
    key: 0,
    first: 0,
    window: 0,
    rank: 0,
    recent: Recent { since: 0, things: 0 },
    things: Distinct::new(),
    who: Distinct::new(),
};

/// A try to be counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    /// Whose tally it is.
    pub key: u64,
    /// What was tried, hashed.
    pub thing: u64,
    /// Who tried it, hashed.
    pub who: u64,
    /// Seconds for which tries are counted together.
    pub window: u32,
}

/// What a tally has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// Different things.
    pub things: u32,
    /// Those of them that somebody had time to answer.
    pub settled: u32,
    /// Different who.
    pub who: u32,
    /// Seconds since the first try.
    pub seconds: u32,
}

/// The table.
#[derive(Debug)]
pub(super) struct Tallies {
    buckets: Box<[[Tally; WAYS]]>,
    sketch: Sketch,
}

impl Tallies {
    pub(super) fn new() -> Self {
        Self { buckets: vec![[NONE; WAYS]; BUCKETS].into(), sketch: Sketch::new() }
    }

    /// Counts a try. What the tally has come to with it, if it is something new; nothing where there was no room.
    pub(super) fn add(&mut self, tried: &Try, now: u32) -> Option<Count> {
        let sketch = &mut self.sketch;
        let bucket = bucket(&mut self.buckets, tried.key)?;
        let known = bucket.iter().position(|tally| tally.key == tried.key && !tally.is_over(now));
        let tally = match known.and_then(|at| bucket.get_mut(at)) {
            Some(_) => bucket.get_mut(known?)?,
            None => place(bucket, tried, sketch.add(tried.key, now).into(), now)?,
        };
        tally.who.add(tried.who);
        if !tally.things.add(tried.thing) {
            return None;
        }
        tally.rank = tally.rank.saturating_add(1);
        let (things, recent) = (tally.things.count(), tally.recent.add(now));
        let settled = things.saturating_sub(recent.into());
        Some(Count { things, settled, who: tally.who.count(), seconds: since(now, tally.first) })
    }

    /// Takes back a try that turned out to be honest.
    pub(super) fn take_back(&mut self, key: u64, thing: u64) {
        let Some(bucket) = bucket(&mut self.buckets, key) else { return };
        if let Some(tally) = bucket.iter_mut().find(|tally| tally.key == key)
            && tally.things.remove(thing)
        {
            tally.rank = tally.rank.saturating_sub(1);
            tally.recent.things = tally.recent.things.saturating_sub(1);
        }
    }

    /// Forgets a tally, because what it counts is told from now on.
    pub(super) fn forget(&mut self, key: u64) {
        let Some(bucket) = bucket(&mut self.buckets, key) else { return };
        if let Some(tally) = bucket.iter_mut().find(|tally| tally.key == key) {
            *tally = NONE;
        }
    }

    /// Bytes that it takes, whatever comes.
    pub(super) const BYTES: usize = BUCKETS * WAYS * size_of::<Tally>() + Sketch::BYTES;
}

impl Recent {
    /// Adds a thing. How many there are now.
    fn add(&mut self, now: u32) -> u16 {
        #[expect(clippy::cast_possible_truncation, reason = "modulo by intent")]
        let now = now as u16;
        if now.wrapping_sub(self.since) >= UNDER_WAY {
            *self = Self { since: now, things: 0 };
        }
        self.things = self.things.saturating_add(1);
        self.things
    }
}

impl Tally {
    fn is_over(&self, now: u32) -> bool {
        since(now, self.first) > self.window
    }
}

fn bucket(buckets: &mut [[Tally; WAYS]], key: u64) -> Option<&mut [Tally; WAYS]> {
    buckets.get_mut(usize::try_from(key % BUCKETS as u64).ok()?)
}

/// A place for a new tally: a free one, one that is over, or that of one which was seen less often.
fn place<'b>(bucket: &'b mut [Tally; WAYS], tried: &Try, seen: u32, now: u32) -> Option<&'b mut Tally> {
    let rank = |tally: &Tally| if tally.key == 0 || tally.is_over(now) { 0 } else { tally.rank };
    let weakest = bucket.iter_mut().min_by_key(|tally| rank(tally))?;
    if rank(weakest) >= seen {
        return None;
    }
    // The try itself is counted next.
    *weakest = Tally { key: tried.key, first: now, window: tried.window, rank: seen.saturating_sub(1), ..NONE };
    Some(weakest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::traffic::keyed::Keyed;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};

    fn tried(key: u64, thing: u64) -> Try {
        Try { key, thing, who: 0, window: 3600 }
    }

    #[test]
    fn different_things_are_counted_within_their_time() {
        let (mut tallies, keyed) = (Tallies::new(), Keyed::new(1));
        let mut add = |port: u64, now| tallies.add(&tried(5, keyed.item(port)), now).map(|count| count.things);
        assert_eq!([add(22, 0), add(80, 1), add(22, 2), add(443, 3600)], [Some(1), Some(2), None, Some(3)]);
        assert_eq!(add(25, 3601), Some(1), "begins anew");
    }

    #[test]
    fn a_slow_source_is_not_hidden_by_a_million_others() {
        let (mut tallies, keyed) = (Tallies::new(), Keyed::new(7));
        let scanner = keyed.item(u64::MAX);
        let mut found = 0;
        for n in 0..1_000_000_u64 {
            let now = u32::try_from(n / 2000).unwrap();
            tallies.add(&tried(keyed.item(n), keyed.item(n % 65_536)), now);
            // Every 15 seconds among 2,000 others a second.
            if n % 30_000 == 0 {
                found = tallies.add(&tried(scanner, keyed.item(n / 30_000)), now).map_or(found, |count| count.things);
            }
        }
        assert!(found >= 25, "{found} of 34 tries were counted");
    }

    proptest! {
        #[test]
        fn no_count_is_more_than_what_was_tried(tries in prop::collection::vec((1..40_u64, 0..30_u64, 0..20_u32), 1..300)) {
            let (mut tallies, keyed) = (Tallies::new(), Keyed::new(3));
            let mut now = 0;
            let mut all = HashMap::<u64, HashSet<u64>>::new();
            for (who, what, later) in tries {
                now += later;
                all.entry(who).or_default().insert(what);
                if let Some(count) = tallies.add(&tried(keyed.item(who), keyed.item(what)), now) {
                    prop_assert!(count.things as usize <= all[&who].len() + 1);
                }
            }
        }
    }
}
