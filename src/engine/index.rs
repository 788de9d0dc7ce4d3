//! Which interval does an IPv4 address lie in?
//!
//! The intervals in one array, and an index by the first bits of an address, which leads to the few intervals that
//! begin with these bits. A million networks take two cache misses.

use super::sweep::Interval;

/// The index has at most this many bits: 1 MiB.
const MAX_BITS: u32 = 18;
/// And so many more than it takes to number the intervals, so that few of them share a place.
const SPARE_BITS: u32 = 2;

/// The intervals and their index.
#[derive(Debug)]
pub(super) struct Index {
    intervals: Vec<Interval<u32>>,
    /// For each value of the first bits, and one more: how many intervals begin below.
    below: Vec<u32>,
    /// How many bits of an address the index leaves out.
    shift: u32,
}

impl Index {
    /// From disjoint intervals in ascending order.
    pub(super) fn new(intervals: &[Interval<u32>]) -> Self {
        let bits = (intervals.len().max(1).ilog2() + 1 + SPARE_BITS).min(MAX_BITS);
        let shift = u32::BITS - bits;
        let mut below = vec![0; (1 << bits) + 1];
        for interval in intervals {
            if let Some(count) = below.get_mut((interval.first >> shift) as usize + 1) {
                *count += 1;
            }
        }
        let mut sum = 0;
        for count in &mut below {
            sum += *count;
            *count = sum;
        }
        Self { intervals: intervals.to_vec(), below, shift }
    }

    /// The value of the interval that holds `address`.
    pub(super) fn get(&self, address: u32) -> Option<u32> {
        let place = (address >> self.shift) as usize;
        let (&from, &to) = (self.below.get(place)?, self.below.get(place + 1)?);
        let here = self.intervals.get(from as usize..to as usize)?;
        let behind = from as usize + here.partition_point(|interval| interval.first <= address);
        let interval = self.intervals.get(behind.checked_sub(1)?)?;
        (address <= interval.last).then_some(interval.value)
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.intervals.capacity() * size_of::<Interval<u32>>() + self.below.capacity() * size_of::<u32>()
    }
}
