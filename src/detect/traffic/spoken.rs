//! Which ports something was sent from: nobody who sends to one of these is looking for what is there.
//!
//! Two Bloom filters in turns, each for some minutes. They can take a port for one that was sent from; a try at it is
//! then not counted.

use super::clock::since;

/// Bits of a filter. With a thousand ports in use a strange one is taken for one of them four times in a thousand.
const BITS: u64 = 1 << 18;
/// Seconds after which the older half is forgotten: longer than UDP is answered, and than most connections pause.
const TURN: u32 = 600;

/// The ports, by the keys of address, protocol and port.
#[derive(Debug)]
pub(super) struct Spoken {
    now: Box<[u64]>,
    before: Box<[u64]>,
    since: u32,
}

impl Spoken {
    pub(super) fn new() -> Self {
        let empty = || vec![0; usize::try_from(BITS / 64).unwrap_or_default()].into();
        Self { now: empty(), before: empty(), since: 0 }
    }

    /// Takes in that something was sent from a port. Whether that is news.
    #[inline]
    pub(super) fn add(&mut self, key: u64, now: u32) -> bool {
        if since(now, self.since) >= TURN {
            self.turn(now);
        }
        let (word, bit) = place(key);
        let Some(word_now) = self.now.get_mut(word) else { return false };
        if *word_now & bit != 0 {
            return false;
        }
        *word_now |= bit;
        self.before.get(word).is_none_or(|word| word & bit == 0)
    }

    /// Whether something was sent from a port.
    #[inline]
    pub(super) fn knows(&self, key: u64) -> bool {
        let (word, bit) = place(key);
        [&self.now, &self.before].iter().any(|half| half.get(word).is_some_and(|word| word & bit != 0))
    }

    #[cold]
    fn turn(&mut self, now: u32) {
        std::mem::swap(&mut self.now, &mut self.before);
        self.now.fill(0);
        if since(now, self.since) >= 2 * TURN {
            self.before.fill(0);
        }
        self.since = now;
    }

    /// Bytes that it takes, whatever comes.
    pub(super) const BYTES: usize = 2 * (BITS / 8) as usize;
}

#[inline]
fn place(key: u64) -> (usize, u64) {
    let bit = key % BITS;
    (usize::try_from(bit / 64).unwrap_or_default(), 1 << (bit % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_known_for_ten_minutes_at_least_and_twenty_at_most() {
        let mut spoken = Spoken::new();
        assert!(!spoken.knows(5) && spoken.add(5, 1000) && !spoken.add(5, 1001));
        spoken.add(6, 1599);
        assert!(spoken.knows(5));
        spoken.add(6, 1600);
        assert!(spoken.knows(5) && !spoken.add(6, 1601), "no news");
        spoken.add(7, 2200);
        assert!(!spoken.knows(5) && spoken.knows(6));
        spoken.add(7, 9000);
        assert!(!spoken.knows(6));
    }
}
