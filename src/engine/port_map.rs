//! A value for each of the 65,536 ports (or ICMP types with codes), found in two loads.

use super::sweep::Interval;
use std::collections::HashMap;

/// A map from every `u16` to a class. Equal pages are stored once: real sets leave a handful, which stay in the
/// processor's nearest cache whatever ports the packets have.
#[derive(Debug)]
pub(super) struct PortMap {
    /// The page of each upper byte.
    page: [u8; 256],
    pages: Vec<[u16; 256]>,
}

impl PortMap {
    /// From disjoint intervals; numbers outside all of them are of class `other`.
    ///
    /// There are at most 65,536 classes, one for each number, so that their numbers fit.
    pub(super) fn new(intervals: impl IntoIterator<Item = Interval<u16>>, other: u16) -> Self {
        let mut classes = vec![other; 1 << 16];
        for Interval { first, last, value } in intervals {
            if let Some(covered) = classes.get_mut(usize::from(first)..=usize::from(last)) {
                covered.fill(u16::try_from(value).unwrap_or(other));
            }
        }
        let mut map = Self { page: [0; 256], pages: Vec::new() };
        let mut known = HashMap::new();
        for (page, classes) in map.page.iter_mut().zip(classes.as_chunks::<256>().0) {
            *page = *known.entry(*classes).or_insert_with(|| {
                map.pages.push(*classes);
                // There are 256 pages at most.
                u8::try_from(map.pages.len() - 1).unwrap_or(u8::MAX)
            });
        }
        map
    }

    /// The class of `number`.
    pub(super) fn get(&self, number: u16) -> u16 {
        let [upper, lower] = number.to_be_bytes();
        let page = self.page.get(usize::from(upper)).and_then(|&page| self.pages.get(usize::from(page)));
        page.and_then(|page| page.get(usize::from(lower))).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_class_and_equal_pages_are_one() {
        let intervals = [(80, 80, 3), (1024, 65535, 4)].map(|(first, last, value)| Interval { first, last, value });
        let map = PortMap::new(intervals, 9);
        let class = |n| match n {
            80 => 3,
            1024.. => 4,
            _ => 9,
        };
        assert!((0..=u16::MAX).all(|n| map.get(n) == class(n)));
        assert_eq!(map.pages.len(), 3);
    }
}
