//! How often each of very many keys was seen, roughly and never too low: two rows of small counters (a count-min
//! sketch; Cormode and Muthukrishnan, 2005). Of a million keys it takes no more memory than of ten.

use super::clock::since;

/// Counters of a row. A million forged sources are one to a counter.
const COUNTERS: usize = 1 << 20;
/// Seconds after which all counts are halved, so that what was long ago counts less.
const HALVED_AFTER: u32 = 1800;

/// The counters.
#[derive(Debug)]
pub(super) struct Sketch {
    rows: [Box<[u8]>; 2],
    halved: u32,
}

impl Sketch {
    pub(super) fn new() -> Self {
        // Zeroed pages, which the kernel gives only when they are written to.
        Self { rows: [vec![0; COUNTERS].into(), vec![0; COUNTERS].into()], halved: 0 }
    }

    /// Counts a key. How often it was seen by now, at least.
    pub(super) fn add(&mut self, key: u64, now: u32) -> u8 {
        self.age(now);
        let places = [key % COUNTERS as u64, (key >> 32) % COUNTERS as u64];
        let mut least = u8::MAX;
        for (row, place) in self.rows.iter_mut().zip(places) {
            if let Some(counter) = usize::try_from(place).ok().and_then(|place| row.get_mut(place)) {
                *counter = counter.saturating_add(1);
                least = least.min(*counter);
            }
        }
        least
    }

    fn age(&mut self, now: u32) {
        let passed = since(now, self.halved);
        if passed < HALVED_AFTER {
            return;
        }
        // A clock that has jumped far has forgotten everything, one that steps back only so much.
        let halvings = (passed / HALVED_AFTER).min(u8::BITS - 1);
        self.rows.iter_mut().flat_map(|row| row.iter_mut()).for_each(|counter| *counter >>= halvings);
        self.halved = now;
    }

    pub(super) const BYTES: usize = 2 * COUNTERS;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_never_too_low_and_fades() {
        let mut sketch = Sketch::new();
        assert_eq!((1..=5).map(|_| sketch.add(42, 0)).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        assert_eq!(sketch.add((43 << 32) + 43, 0), 1);
        assert_eq!(sketch.add(42, HALVED_AFTER), 3, "5 halved, and this one");
        assert_eq!(sketch.add(42, 100 * HALVED_AFTER), 1);
    }
}
