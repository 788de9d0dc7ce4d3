//! Sets of numbers as sorted, disjoint ranges: the exact arithmetic under every condition.

use std::fmt::Debug;
use std::sync::Arc;

/// A number that ranges are made of.
pub trait Number: Copy + Ord + Debug {
    /// Lowest value.
    const MIN: Self;
    /// Highest value.
    const MAX: Self;
    /// The next value, or none behind `MAX`.
    fn next(self) -> Option<Self>;
    /// The value before, or none before `MIN`.
    fn previous(self) -> Option<Self>;
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl Number for $t {
            const MIN: Self = <$t>::MIN;
            const MAX: Self = <$t>::MAX;
            fn next(self) -> Option<Self> { self.checked_add(1) }
            fn previous(self) -> Option<Self> { self.checked_sub(1) }
        }
    )*};
}
number!(u8, u16, u32, u128);

/// A set of numbers. The ranges are sorted, disjoint and never touch, so that equal sets are equal values.
///
/// To clone one costs nothing, and one is equal to its clone without a look at their ranges: sets of a hundred thousand
/// are handed around while nothing else changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ranges<T> {
    ranges: Arc<Vec<(T, T)>>,
}

impl<T> Default for Ranges<T> {
    fn default() -> Self {
        Self { ranges: Arc::default() }
    }
}

impl<T: Number> Ranges<T> {
    fn in_order(ranges: Vec<(T, T)>) -> Self {
        Self { ranges: Arc::new(ranges) }
    }

    /// Every number.
    pub fn all() -> Self {
        Self::in_order(vec![(T::MIN, T::MAX)])
    }

    /// One number.
    pub fn one(value: T) -> Self {
        Self::in_order(vec![(value, value)])
    }

    /// The union of ranges in any order, ends included; a range whose end lies before its beginning is empty.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (T, T)>) -> Self {
        let mut ranges: Vec<(T, T)> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        ranges.sort_unstable();
        ranges.dedup_by(|later, kept| {
            let joins = kept.1.next().is_none_or(|behind| later.0 <= behind);
            if joins {
                kept.1 = kept.1.max(later.1);
            }
            joins
        });
        Self::in_order(ranges)
    }

    /// The ranges, ascending, ends included.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (T, T)> + DoubleEndedIterator + '_ {
        self.ranges.iter().copied()
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether no number is in the set.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether every number is in the set.
    pub fn is_all(&self) -> bool {
        self.ranges.first() == Some(&(T::MIN, T::MAX))
    }

    /// Whether `value` is in the set.
    pub fn contains(&self, value: T) -> bool {
        let behind = self.ranges.partition_point(|&(first, _)| first <= value);
        behind.checked_sub(1).and_then(|i| self.ranges.get(i)).is_some_and(|&(_, last)| value <= last)
    }

    /// Numbers in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::from_ranges(self.iter().chain(other.iter()))
    }

    /// Whether every number from `first` to `last` is in the set.
    pub fn covers(&self, first: T, last: T) -> bool {
        self.from(first).next().is_some_and(|range| range.0 <= first && last <= range.1)
    }

    /// Whether a number from `first` to `last` is in the set.
    pub fn overlaps(&self, first: T, last: T) -> bool {
        self.from(first).next().is_some_and(|range| range.0 <= last)
    }

    /// The ranges that end at `value` or behind it, ascending.
    fn from(&self, value: T) -> impl Iterator<Item = (T, T)> + '_ {
        let start = self.ranges.partition_point(|&(_, last)| last < value);
        self.ranges.get(start..).unwrap_or_default().iter().copied()
    }

    /// Numbers in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (few, many) = if self.len() <= other.len() { (self, other) } else { (other, self) };
        if few.len().saturating_mul(16) < many.len() { few.picked_from(many) } else { few.merged_with(many) }
    }

    /// The intersection with a set of many more ranges: each of ours is looked up in it.
    fn picked_from(&self, many: &Self) -> Self {
        let pick = |(first, last): (T, T)| {
            let near = many.from(first).take_while(move |range| range.0 <= last);
            near.map(move |range| (range.0.max(first), range.1.min(last)))
        };
        Self::in_order(self.iter().flat_map(pick).collect())
    }

    /// The intersection by one walk along both sets.
    fn merged_with(&self, other: &Self) -> Self {
        let (mut ours, mut theirs) = (self.iter().peekable(), other.iter().peekable());
        let mut ranges = Vec::new();
        while let (Some(&a), Some(&b)) = (ours.peek(), theirs.peek()) {
            let common = (a.0.max(b.0), a.1.min(b.1));
            if common.0 <= common.1 {
                ranges.push(common);
            }
            if a.1 <= b.1 {
                ours.next()
            } else {
                theirs.next()
            };
        }
        Self::in_order(ranges)
    }

    /// Numbers that are not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + 1);
        let mut from = Some(T::MIN);
        for (first, last) in self.iter() {
            if let (Some(from), Some(before)) = (from, first.previous())
                && from <= before
            {
                ranges.push((from, before));
            }
            from = last.next();
        }
        ranges.extend(from.map(|from| (from, T::MAX)));
        Self::in_order(ranges)
    }

    /// Numbers of this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let common = self.intersection(other);
        if common.is_empty() { self.clone() } else { self.intersection(&common.complement()) }
    }

    /// Whether every number of this set is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set() -> impl Strategy<Value = Ranges<u8>> {
        prop::collection::vec((any::<u8>(), any::<u8>()), 0..6).prop_map(Ranges::from_ranges)
    }

    #[test]
    fn touching_ranges_are_one() {
        assert_eq!(Ranges::from_ranges([(5_u8, 9), (1, 4), (9, 12)]).iter().collect::<Vec<_>>(), [(1, 12)]);
        assert!(Ranges::from_ranges([(0_u8, 7), (8, 255)]).is_all());
    }

    proptest! {
        #[test]
        fn agrees_with_membership(a in set(), b in set()) {
            let (union, both, not, minus) = (a.union(&b), a.intersection(&b), a.complement(), a.difference(&b));
            for n in 0..=u8::MAX {
                let (in_a, in_b) = (a.contains(n), b.contains(n));
                prop_assert_eq!(in_a, a.iter().any(|(first, last)| first <= n && n <= last));
                prop_assert_eq!(union.contains(n), in_a || in_b);
                prop_assert_eq!(both.contains(n), in_a && in_b);
                prop_assert_eq!(not.contains(n), !in_a);
                prop_assert_eq!(minus.contains(n), in_a && !in_b);
            }
            prop_assert_eq!(&both, &a.picked_from(&b));
            for (first, last) in [(0, 9), (9, 9), (100, 255)] {
                prop_assert_eq!(a.covers(first, last), (first..=last).all(|n| a.contains(n)));
                prop_assert_eq!(a.overlaps(first, last), (first..=last).any(|n| a.contains(n)));
            }
            prop_assert_eq!(a.is_subset(&b), (0..=u8::MAX).all(|n| !a.contains(n) || b.contains(n)));
            prop_assert_eq!(a.complement().complement(), a);
        }
    }
}
