//! Fragments that say again, and otherwise, what others of their datagram have said.
//!
//! No sender makes them: what a filter has read in one is replaced by what stands in the other (RFC 1858, RFC 3128),
//! and IPv6 forbids them (RFC 5722). The very same fragment twice is a copy that the network made. A table of buckets
//! in fixed memory; in a full one the datagram that was silent for longest gives way.

use super::clock::since;
use super::distinct::Distinct;
use crate::packet::Fragment;

/// Datagrams in a bucket, and buckets: a gigabit of large datagrams in half a second.
const WAYS: usize = 4;
const BUCKETS: usize = 512;
/// Stretches of a datagram that are told apart. Fragments that follow each other are one; what comes beyond is not
/// remembered.
const STRETCHES: usize = 8;
/// Fragments begin at multiples of so many bytes.
const UNIT: u32 = 8;
/// Seconds after which a number serves another datagram: as long as receivers wait (`ipfrag_time`; RFC 8200 has 60).
const TIMEOUT: u32 = 30;

/// From where to where, in bytes of the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from: u32,
    pub(super) to: u32,
}

impl Stretch {
    fn of(fragment: Fragment) -> Self {
        Self { from: fragment.offset, to: fragment.offset.saturating_add(fragment.len) }
    }

    const fn is_empty(self) -> bool {
        self.from >= self.to
    }

    fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }

    fn touches(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// What was seen of a datagram.
#[derive(Clone, Copy, Debug)]
struct Datagram {
    /// 0 where there is none.
    key: u64,
    last: u32,
    stretches: [Stretch; STRETCHES],
    /// Each fragment by offset and length: one that is there already is a copy.
    fragments: Distinct<4>,
    /// Where it ends, once its last fragment was seen.
    end: u32,
}

const NOTHING: Stretch = Stretch { from: 0, to: 0 };
const NONE: Datagram =
    Datagram { key: 0, last: 0, stretches: [NOTHING; STRETCHES], fragments: Distinct::new(), end: u32::MAX };

/// The datagrams.
#[derive(Debug)]
pub(super) struct Overlaps(Box<[[Datagram; WAYS]]>);

impl Overlaps {
    pub(super) fn new() -> Self {
        Self(vec![[NONE; WAYS]; BUCKETS].into())
    }

    /// Bytes that it takes, whatever comes.
    pub(super) const BYTES: usize = BUCKETS * WAYS * size_of::<Datagram>();

    /// Takes in a fragment of the datagram `key`; `hash` tells its offset and length. What it overlaps of that which
    /// came before.
    pub(super) fn add(&mut self, key: u64, fragment: Fragment, hash: u64, now: u32) -> Option<Stretch> {
        let bucket = usize::try_from(key % BUCKETS as u64).ok().and_then(|at| self.0.get_mut(at))?;
        let known = bucket.iter().position(|datagram| datagram.key == key && since(now, datagram.last) <= TIMEOUT);
        let datagram = if let Some(at) = known {
            bucket.get_mut(at)?
        } else {
            let silence = |it: &Datagram| if it.key == 0 { u32::MAX } else { since(now, it.last) };
            let oldest = bucket.iter_mut().max_by_key(|it| silence(it))?;
            *oldest = Datagram { key, ..NONE };
            oldest
        };
        datagram.last = now;
        let overlapped = datagram.add(fragment, hash);
        if datagram.is_whole() {
            *datagram = NONE;
        }
        overlapped
    }
}

impl Datagram {
    fn add(&mut self, fragment: Fragment, hash: u64) -> Option<Stretch> {
        let new = Stretch::of(fragment);
        if new.is_empty() || !self.fragments.add(hash) {
            return None;
        }
        if !fragment.more {
            self.end = self.end.min(new.to);
        }
        let overlapped = self.stretches.iter().copied().find(|known| known.overlaps(new));
        self.join(new);
        overlapped
    }

    /// Adds a stretch, made one with all that it touches.
    fn join(&mut self, mut new: Stretch) {
        for known in &mut self.stretches {
            if !known.is_empty() && known.touches(new) {
                new = Stretch { from: new.from.min(known.from), to: new.to.max(known.to) };
                *known = NOTHING;
            }
        }
        if let Some(free) = self.stretches.iter_mut().find(|known| known.is_empty()) {
            *free = new;
        }
    }

    /// Whether all of it was seen: its number may serve another one now.
    fn is_whole(&self) -> bool {
        self.stretches.iter().any(|known| known.from == 0 && known.to.next_multiple_of(UNIT) >= self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::traffic::keyed::Keyed;

    /// What each of the fragments `(offset, length, more)` of one datagram overlaps.
    fn overlapped(fragments: &[(u32, u32, bool)]) -> Vec<Option<(u32, u32)>> {
        let (mut overlaps, keyed) = (Overlaps::new(), Keyed::new(1));
        let add = |&(offset, len, more): &(u32, u32, bool)| {
            let hash = keyed.item(u64::from(offset) << 32 | u64::from(len));
            overlaps.add(7, Fragment { id: 1, offset, len, more }, hash, 100).map(|it| (it.from, it.to))
        };
        fragments.iter().map(add).collect()
    }

    #[test]
    fn fragments_in_any_order_and_copies_of_them_overlap_nothing() {
        let parts = [(0, 1480, true), (1480, 1480, true), (2960, 1480, true), (4440, 100, false)];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]] {
            assert_eq!(overlapped(&order.map(|at| parts[at])), [None; 4]);
        }
        let twice: Vec<_> = parts.into_iter().take(3).flat_map(|part| [part, part]).collect();
        assert_eq!(overlapped(&twice), [None; 6]);
    }

    #[test]
    fn what_overlaps_is_told_with_what_it_overlaps() {
        assert_eq!(overlapped(&[(0, 36, true), (24, 4, false)]), [None, Some((0, 36))], "teardrop");
        assert_eq!(overlapped(&[(0, 40, true), (0, 8, true)]), [None, Some((0, 40))], "another header");
        assert_eq!(overlapped(&[(16, 8, true), (32, 8, true), (0, 24, true)]), [None, None, Some((16, 24))]);
        assert_eq!(overlapped(&[(8, 8, true), (0, 24, true)]), [None, Some((8, 16))]);
    }

    #[test]
    fn a_whole_datagram_is_forgotten_and_its_number_serves_another() {
        let datagram = [(0, 1480, true), (1480, 20, false)];
        let other = [(0, 1400, true), (1400, 100, false)];
        assert_eq!(overlapped(&[datagram, other, datagram].concat()), [None; 6]);
        let mut overlaps = Overlaps::new();
        let part = |offset, len| Fragment { id: 1, offset, len, more: true };
        assert_eq!(overlaps.add(7, part(0, 40), 1, 100), None);
        assert_eq!(overlaps.add(7, part(0, 48), 2, 131), None, "another datagram by then");
    }

    #[test]
    fn a_flood_of_numbers_takes_no_more_room_and_leaves_what_is_under_way() {
        let (mut overlaps, keyed) = (Overlaps::new(), Keyed::new(3));
        let part = |offset, len| Fragment { id: 1, offset, len, more: true };
        for n in 0..100_000 {
            overlaps.add(keyed.item(n), part(0, 40), 1, 100);
        }
        assert_eq!(overlaps.0.len(), BUCKETS);
        overlaps.add(7, part(0, 40), 1, 101);
        assert_eq!(overlaps.add(7, part(8, 8), 2, 101), Some(Stretch { from: 0, to: 40 }));
    }
}
