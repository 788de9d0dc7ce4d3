//! Which interval does an IPv6 address lie in?
//!
//! A static search tree over the intervals' first addresses, in the layout of a B+ tree without pointers: the node
//! below is found by arithmetic, and a node is two cache lines whose keys are compared all at once, without a branch.
//! A million networks take seven nodes, however unevenly they are spread: real IPv6 networks crowd in few corners of
//! the address space, where an index by the first bits would not tell them apart.

use super::sweep::Interval;
use crate::rules::ranges::Number;

/// The tree, with `N` keys in a node.
#[derive(Debug)]
pub(super) struct Tree<K, const N: usize> {
    /// Nodes of `N` ascending keys, root level first. Key `i` of an inner node is the lowest key below its child
    /// `i + 1`. The last level holds the first address of each interval. Places that are left over hold `K::MAX`.
    levels: Vec<Vec<[K; N]>>,
    /// Last address and value of each interval.
    ends: Vec<(K, u32)>,
}

impl<K: Number, const N: usize> Tree<K, N> {
    /// From disjoint intervals in ascending order.
    pub(super) fn new(intervals: &[Interval<K>]) -> Self {
        let firsts: Vec<K> = intervals.iter().map(|interval| interval.first).collect();
        let mut level: Vec<[K; N]> = firsts.chunks(N).map(node).collect();
        let mut lowest: Vec<K> = firsts.iter().copied().step_by(N).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let parents = lowest.chunks(N + 1).map(|children| node(children.get(1..).unwrap_or_default())).collect();
            levels.push(std::mem::replace(&mut level, parents));
            lowest = lowest.into_iter().step_by(N + 1).collect();
        }
        levels.push(level);
        levels.reverse();
        Self { levels, ends: intervals.iter().map(|interval| (interval.last, interval.value)).collect() }
    }

    /// The value of the interval that holds `key`.
    pub(super) fn get(&self, key: K) -> Option<u32> {
        if key == K::MAX {
            // It equals the places that are left over; the only interval that can hold it is the last.
            return self.ends.last().filter(|(last, _)| *last == key).map(|&(_, value)| value);
        }
        let (leaves, inner) = self.levels.split_last()?;
        let mut at = 0;
        for level in inner {
            at = at * (N + 1) + up_to(level.get(at)?, key);
        }
        let behind = at * N + up_to(leaves.get(at)?, key);
        let &(last, value) = self.ends.get(behind.checked_sub(1)?)?;
        (key <= last).then_some(value)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let nodes: usize = self.levels.iter().map(|level| level.capacity() * size_of::<[K; N]>()).sum();
        nodes + self.ends.capacity() * size_of::<(K, u32)>()
    }
}

fn node<K: Number, const N: usize>(keys: &[K]) -> [K; N] {
    let mut node = [K::MAX; N];
    for (place, &key) in node.iter_mut().zip(keys) {
        *place = key;
    }
    node
}

/// How many of the node's keys are at most `key`. Counting all of them costs less than stopping at the right one.
fn up_to<K: Number, const N: usize>(keys: &[K; N], key: K) -> usize {
    // Wrapping, since a check for overflow would keep the compiler from comparing several keys at once.
    keys.iter().fold(0_u32, |count, &each| count.wrapping_add(u32::from(each <= key))) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Few keys in a node make a tree of many levels from few intervals.
        #[test]
        fn each_key_is_in_its_interval(mut cuts in prop::collection::vec(any::<u8>(), 0..80), gaps in any::<u64>()) {
            cuts.sort_unstable();
            cuts.dedup();
            let pairs = cuts.iter().zip(cuts.iter().skip(1).map(|next| next - 1).chain([u8::MAX]));
            let all: Vec<_> = (0..).zip(pairs).map(|(value, (&first, last))| Interval { first, last, value }).collect();
            let kept: Vec<_> = all.into_iter().filter(|interval| gaps >> (interval.value % 64) & 1 == 1).collect();
            let tree = Tree::<u8, 2>::new(&kept);
            for key in 0..=u8::MAX {
                let want = kept.iter().find(|interval| interval.first <= key && key <= interval.last);
                prop_assert_eq!(tree.get(key), want.map(|interval| interval.value));
            }
        }
    }
}
