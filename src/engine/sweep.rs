//! Overlapping ranges -> disjoint intervals, each with the lowest rank of all ranges that cover it.

use crate::rules::ranges::Number;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Numbers from `first` to `last`, both included, and what stands for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Interval<K> {
    /// Lowest number.
    pub(super) first: K,
    /// Highest number.
    pub(super) last: K,
    /// The rank, or whatever else belongs to them.
    pub(super) value: u32,
}

/// The disjoint intervals, ascending, that `ranges` cover, each with the lowest value that lies over it.
/// Neighbours of one value are one interval.
pub(super) fn lowest<K: Number>(mut ranges: Vec<Interval<K>>) -> Vec<Interval<K>> {
    // The lists that they come from are mostly in order: this sort finds such runs, the unstable one does not.
    ranges.sort();
    let mut swept = Sweep { done: Vec::with_capacity(ranges.len()), open: BinaryHeap::new(), from: K::MIN };
    for range in ranges {
        swept.up_to(range.first);
        swept.open.push(Reverse((range.value, range.last)));
    }
    swept.rest();
    swept.done
}

struct Sweep<K> {
    done: Vec<Interval<K>>,
    /// Ranges that began at or before `from`, lowest value first; some may have ended already.
    open: BinaryHeap<Reverse<(u32, K)>>,
    /// Everything below is done.
    from: K,
}

impl<K: Number> Sweep<K> {
    /// Settles all numbers below `limit`.
    fn up_to(&mut self, limit: K) {
        while self.from < limit {
            let Some(&Reverse((value, end))) = self.open.peek() else { break };
            if end < self.from {
                self.open.pop();
                continue;
            }
            let last = limit.previous().map_or(end, |before| before.min(end));
            self.emit(value, last);
            // `last < limit`, so there is a next number.
            self.from = last.next().unwrap_or(limit);
        }
        self.from = limit;
    }

    /// Settles all numbers that are left.
    fn rest(&mut self) {
        while let Some(Reverse((value, end))) = self.open.pop() {
            if end < self.from {
                continue;
            }
            self.emit(value, end);
            match end.next() {
                Some(next) => self.from = next,
                None => return,
            }
        }
    }

    fn emit(&mut self, value: u32, last: K) {
        match self.done.last_mut() {
            Some(before) if before.value == value && before.last.next() == Some(self.from) => before.last = last,
            _ => self.done.push(Interval { first: self.from, last, value }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(first: u8, last: u8, value: u32) -> Interval<u8> {
        Interval { first, last, value }
    }

    #[test]
    fn a_hole_is_cut_into_a_range_of_higher_rank() {
        let swept = lowest(vec![range(0, 255, 7), range(10, 20, 3), range(15, 30, 5)]);
        assert_eq!(swept, [range(0, 9, 7), range(10, 20, 3), range(21, 30, 5), range(31, 255, 7)]);
    }

    #[test]
    fn neighbours_of_one_value_are_one_interval() {
        assert_eq!(lowest(vec![range(0, 9, 1), range(10, 19, 1), range(5, 12, 4)]), [range(0, 19, 1)]);
    }

    proptest! {
        #[test]
        fn each_number_has_the_lowest_value_over_it(
            ranges in prop::collection::vec((any::<u8>(), any::<u8>(), 0_u32..8), 0..12)
        ) {
            let ranges: Vec<_> = ranges.into_iter().map(|(a, b, value)| range(a.min(b), a.max(b), value)).collect();
            let swept = lowest(ranges.clone());
            for n in 0..=u8::MAX {
                let over = |r: &&Interval<u8>| r.first <= n && n <= r.last;
                let found: Vec<u32> = swept.iter().filter(over).map(|r| r.value).collect();
                let want: Vec<u32> = ranges.iter().filter(over).map(|r| r.value).min().into_iter().collect();
                prop_assert_eq!(found, want);
            }
            for pair in swept.windows(2) {
                let touch = pair[0].last.next() == Some(pair[1].first);
                prop_assert!(pair[0].last < pair[1].first && !(touch && pair[0].value == pair[1].value));
            }
        }
    }
}
