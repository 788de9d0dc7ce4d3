//! The boxes of one space, kept so that those near another one are found without a look at all of them: ten thousand
//! rules for one address each would be compared fifty million times.

use super::traffic::{Box5, Side};
use std::collections::BTreeMap;

/// The sides that boxes may stand under: not the interface, which hardly tells them apart.
const TELLING: std::ops::Range<usize> = 1..5;

/// Boxes of one space, each with the number of whose it is.
#[derive(Default)]
pub(super) struct Shelf {
    boxes: Vec<(usize, Box5)>,
    /// The places of those that have a single number on a side, by side and number. Each stands under one of these.
    narrow: [BTreeMap<u128, Vec<usize>>; TELLING.end],
    /// The places of the others.
    wide: Vec<usize>,
}

impl Shelf {
    pub(super) fn push(&mut self, owner: usize, it: Box5) {
        let place = self.boxes.len();
        let singles = TELLING.filter_map(|side| Some((side, single(it.sides.get(side)?)?)));
        // Where the fewest stand.
        match singles.min_by_key(|(side, number)| self.under(*side, *number)) {
            Some((side, number)) => {
                if let Some(narrow) = self.narrow.get_mut(side) {
                    narrow.entry(number).or_default().push(place);
                }
            }
            None => self.wide.push(place),
        }
        self.boxes.push((owner, it));
    }

    /// Every box that has a packet in common with `whole`, in the order in which they came, and some that have none.
    pub(super) fn near(&self, whole: &Box5) -> impl Iterator<Item = &(usize, Box5)> {
        let sides = whole.sides.iter().zip(&self.narrow);
        let under = |(side, narrow): (&Side, &BTreeMap<u128, Vec<usize>>)| {
            let found = side.iter().flat_map(|(first, last)| narrow.range(first..=last));
            found.flat_map(|(_, places)| places).copied().collect::<Vec<_>>()
        };
        let mut places: Vec<_> = sides.flat_map(under).chain(self.wide.iter().copied()).collect();
        places.sort_unstable();
        places.into_iter().filter_map(|place| self.boxes.get(place))
    }

    fn under(&self, side: usize, number: u128) -> usize {
        self.narrow.get(side).and_then(|narrow| narrow.get(&number)).map_or(0, Vec::len)
    }
}

/// The only number of a side, if it has no other.
fn single(side: &Side) -> Option<u128> {
    let (first, last) = side.iter().next()?;
    (side.len() == 1 && first == last).then_some(first)
}
