//! Which interval does an IPv6 address lie in?
//!
//! A static search tree over the intervals' first addresses, in the layout of a B+ tree without pointers: the node
//! below is found by arithmetic, and a node is one cache line, whose keys are compared all at once. A million networks
//! take seven nodes, of which all but the last few stay in the cache, however unevenly they are spread: real IPv6
//! networks crowd in few corners of the address space, where an index by the first bits would not tell them apart.

use super::sweep::Interval;

/// Keys in a node.
const N: usize = 8;

/// The tree.
#[derive(Debug)]
pub(super) struct Tree {
    /// Root first: key `i` of a node is the lowest key below its child `i + 1`.
    inner: Vec<Level>,
    /// The first address of each interval.
    leaves: Level,
    ends: Vec<End>,
}

/// Nodes of `N` ascending keys; places that are left over hold the highest address. The halves of a key stand apart,
/// since the lower one is rarely needed.
#[derive(Debug)]
struct Level {
    upper: Vec<[u64; N]>,
    lower: Vec<[u64; N]>,
}

/// The last address of an interval, and its value, in little space: this is where the cache misses are.
#[derive(Debug)]
struct End {
    upper: u64,
    lower: u64,
    value: u32,
}

impl Tree {
    /// From disjoint intervals in ascending order.
    pub(super) fn new(intervals: &[Interval<u128>]) -> Self {
        let firsts: Vec<u128> = intervals.iter().map(|interval| interval.first).collect();
        let mut lowest: Vec<u128> = firsts.iter().copied().step_by(N).collect();
        let mut inner = Vec::new();
        while lowest.len() > 1 {
            inner.push(Level::new(lowest.chunks(N + 1).map(|children| children.get(1..).unwrap_or_default())));
            lowest = lowest.into_iter().step_by(N + 1).collect();
        }
        inner.reverse();
        let end = |interval: &Interval<u128>| {
            let (upper, lower) = halves(interval.last);
            End { upper, lower, value: interval.value }
        };
        Self { inner, leaves: Level::new(firsts.chunks(N)), ends: intervals.iter().map(end).collect() }
    }

    /// The value of the interval that holds `address`.
    pub(super) fn get(&self, address: u128) -> Option<u32> {
        let address = halves(address);
        let end = if address == (u64::MAX, u64::MAX) {
            // It equals the places that are left over; the only interval that can hold it is the last.
            self.ends.last()
        } else {
            let mut at = 0;
            for level in &self.inner {
                at = at * (N + 1) + level.up_to(at, address)?;
            }
            let begun = at * N + self.leaves.up_to(at, address)?;
            self.ends.get(begun.checked_sub(1)?)
        };
        end.filter(|end| address <= (end.upper, end.lower)).map(|end| end.value)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let nodes: usize = self.inner.iter().chain([&self.leaves]).map(|level| level.upper.len() * 2).sum();
        nodes * size_of::<[u64; N]>() + self.ends.capacity() * size_of::<End>()
    }
}

impl Level {
    /// A level whose nodes have these keys, `N` at most each.
    fn new<'a>(nodes: impl Iterator<Item = &'a [u128]>) -> Self {
        let node = |keys: &[u128]| {
            let (mut upper, mut lower) = ([u64::MAX; N], [u64::MAX; N]);
            for ((upper, lower), &key) in upper.iter_mut().zip(&mut lower).zip(keys) {
                (*upper, *lower) = halves(key);
            }
            (upper, lower)
        };
        let (upper, lower) = nodes.map(node).unzip();
        Self { upper, lower }
    }

    /// How many keys of node `at` are at most the address.
    fn up_to(&self, at: usize, (upper, lower): (u64, u64)) -> Option<usize> {
        let keys = self.upper.get(at)?;
        // Counting all of them costs less than stopping at the right one.
        let mut count = keys.iter().fold(0_usize, |count, &key| count.wrapping_add(usize::from(key < upper)));
        while keys.get(count) == Some(&upper) && self.lower.get(at)?.get(count).is_some_and(|&key| key <= lower) {
            count += 1;
        }
        Some(count)
    }
}

fn halves(address: u128) -> (u64, u64) {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let halves = ((address >> 64) as u64, address as u64);
    halves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_of_several_levels_finds_each_of_its_intervals_and_no_gap() {
        // Hosts of one network among networks: upper halves that are equal, and such that are not.
        let hosts = (0..500_u128).map(|n| (0x2001 << 112) + n * 4);
        let networks = (0..500_u128).map(|n| (0x2001 << 112) + ((n + 1) << 66));
        let intervals: Vec<_> = (0..)
            .zip(hosts.chain(networks).chain([u128::MAX - 1]))
            .map(|(value, first)| Interval { first, last: first + 1, value })
            .collect();
        let tree = Tree::new(&intervals);
        assert_eq!(tree.inner.len(), 3);
        for Interval { first, last, value } in intervals {
            let around = [first - 1, first, last, last.wrapping_add(1)];
            assert_eq!(around.map(|address| tree.get(address)), [None, Some(value), Some(value), None]);
        }
    }
}
