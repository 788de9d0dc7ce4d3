//! How many different things there were, in fixed memory: a bitmap, and linear counting (Whang, Vander-Zanden and
//! Taylor, 1990) where its bits get crowded.

/// Different things seen, counted in `N` words of bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Distinct<const N: usize>([u64; N]);

impl<const N: usize> Distinct<N> {
    /// None so far.
    pub(super) const fn new() -> Self {
        Self([0; N])
    }

    /// Adds a thing by its hash. Whether it is a new one.
    pub(super) fn add(&mut self, hash: u64) -> bool {
        let (word, bit) = Self::place(hash);
        let Some(word) = self.0.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes a thing away again, and with it any other that shares its bit. Whether it was there.
    pub(super) fn remove(&mut self, hash: u64) -> bool {
        let (word, bit) = Self::place(hash);
        let Some(word) = self.0.get_mut(word) else { return false };
        let known = *word & bit != 0;
        *word &= !bit;
        known
    }

    /// How many there were, nearly.
    pub(super) fn count(&self) -> u32 {
        let set: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        let all = self.0.iter().map(|_| u64::BITS).sum::<u32>();
        if set < all / 16 {
            return set;
        }
        let free = f64::from((all - set).max(1));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^32 and not negative")]
        let count = (f64::from(all) * (f64::from(all) / free).ln()).round() as u32;
        count
    }

    #[inline]
    fn place(hash: u64) -> (usize, u64) {
        let bit = usize::try_from(hash % (N as u64 * u64::from(u64::BITS))).unwrap_or_default();
        (bit / 64, 1 << (bit % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::traffic::keyed::Keyed;

    #[test]
    fn counts_are_near_the_truth_far_beyond_the_bits() {
        let keyed = Keyed::new(1);
        let (mut few, mut many) = (Distinct::<8>::new(), Distinct::<128>::new());
        for n in 1..=60_000_u32 {
            if n <= 400 {
                few.add(keyed.item(n.into()));
                assert!(few.count().abs_diff(n) <= 2 + n / 6, "{n}: {}", few.count());
            }
            many.add(keyed.item(n.into()));
            assert!(many.count().abs_diff(n) <= 2 + n / 6, "{n}: {}", many.count());
        }
    }

    #[test]
    fn what_was_added_can_be_taken_away() {
        let mut distinct = Distinct::<8>::new();
        assert!(distinct.add(7) && !distinct.add(7));
        assert!(distinct.remove(7) && !distinct.remove(7));
        assert_eq!(distinct.count(), 0);
    }
}
