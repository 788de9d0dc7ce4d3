//! The table of connections of one address family: bounded, in one piece of memory, one lookup for either direction.
//!
//! Open addressing with linear probing: the entry lies beside its key, so that a lookup costs one cache miss, and a
//! full table finds a connection to give up where the new one would lie, as the kernel's `early_drop` does.

use super::marks;
use super::tcp::{Segment, TcpState};
use crate::time::Timestamp;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Connections of each address family at most: what Linux gives a machine of 4 GiB or more
/// (`net.netfilter.nf_conntrack_max`). The tables grow as they are needed, to 16 MiB for IPv4 and 28 MiB for IPv6.
pub const MAX_CONNECTIONS: usize = 1 << 18;
/// Slots of a table in the beginning.
const MIN_SLOTS: usize = 1 << 10;
/// How many slots are searched for a connection to give up (`NF_CT_EVICTION_RANGE`).
const EVICTION_RANGE: usize = 8;
/// A full table is swept when this much packet time has passed since the last sweep...
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// ...and this many connections have asked for a place in vain or by eviction: clocks that jump cost nothing.
const SWEEP_DEMAND: u32 = 1024;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// The two ends and the protocol, as words; the length depends on the family.
pub(super) type Key<const N: usize> = [u64; N];

/// What is known of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// From this time on it is as if it were not there.
    pub(super) expires: Timestamp,
    /// When it was opened: milliseconds, modulo 2^32.
    pub(super) opened: u32,
    /// TCP: the state.
    pub(super) tcp: TcpState,
    /// TCP: the last segment that counted.
    pub(super) last: Segment,
    marks: u8,
}

impl Entry {
    /// A new connection.
    pub(super) fn new(opened: Timestamp, timeout: u32, tcp: TcpState, last: Segment, first_end_opened: bool) -> Self {
        let marks = if first_end_opened { marks::FIRST_END_OPENED } else { 0 };
        Self { expires: after(opened, timeout), opened: millis(opened), tcp, last, marks }
    }

    pub(super) fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }

    pub(super) fn put(&mut self, mark: u8, on: bool) {
        self.marks = if on { self.marks | mark } else { self.marks & !mark };
    }

    pub(super) fn clear(&mut self, mark: u8) {
        self.put(mark, false);
    }

    /// Clears a mark. Whether it was there.
    pub(super) fn take(&mut self, mark: u8) -> bool {
        let had = self.has(mark);
        self.clear(mark);
        had
    }

    /// Remembers the segment as the last that counted.
    pub(super) fn note(&mut self, segment: Segment, reply: bool) {
        self.last = segment;
        self.put(marks::LAST_IN_REPLY, reply);
    }

    /// Lets it live for `timeout` seconds from `now` on.
    pub(super) fn refresh(&mut self, now: Timestamp, timeout: u32) {
        self.expires = after(now, timeout);
    }

    /// Whether it was opened more than `span` milliseconds before `now`.
    pub(super) fn is_older_than(&self, span: u32, now: Timestamp) -> bool {
        millis(now).wrapping_sub(self.opened) > span
    }

    /// How long ago it was opened, modulo 2^32 ms.
    pub(super) fn age(&self, now: Timestamp) -> Duration {
        Duration::from_millis(millis(now).wrapping_sub(self.opened).into())
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.expires <= now
    }
}

fn after(now: Timestamp, seconds: u32) -> Timestamp {
    Timestamp::from_nanos(now.nanos().saturating_add(i64::from(seconds) * NANOS_PER_SECOND))
}

fn millis(time: Timestamp) -> u32 {
    // Modulo 2^32 by intent.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "only differences count")]
    let millis = (time.nanos() / 1_000_000) as u32;
    millis
}

#[derive(Clone, Copy)]
struct Slot<const N: usize> {
    key: Key<N>,
    entry: Entry,
}

impl<const N: usize> Slot<N> {
    /// A slot that holds nothing: no entry ends before all time.
    const FREE: Self = Self {
        key: [0; N],
        entry: Entry {
            expires: Timestamp::from_nanos(i64::MIN),
            opened: 0,
            tcp: TcpState::None,
            last: Segment::None,
            marks: 0,
        },
    };

    fn is_free(&self) -> bool {
        self.entry.expires == Self::FREE.entry.expires
    }
}

/// How a connection found its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    /// There was room.
    Free,
    /// Another that nobody had answered yet was given up for it.
    Evicting,
    /// It has none.
    Full,
}

/// The table.
pub(super) struct Connections<const N: usize> {
    /// A power of two, never more than five eighths full.
    slots: Vec<Slot<N>>,
    len: usize,
    limit: usize,
    hasher: foldhash::fast::RandomState,
    swept: Timestamp,
    demand: u32,
}

impl<const N: usize> Connections<N> {
    /// A table for at most `limit` connections.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            slots: vec![Slot::FREE; MIN_SLOTS],
            len: 0,
            limit,
            hasher: foldhash::fast::RandomState::default(),
            swept: Timestamp::default(),
            demand: 0,
        }
    }

    /// How many connections there are, those included that have expired unnoticed.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The connection of `key`, unless it has expired.
    pub(super) fn get_mut(&mut self, key: &Key<N>, now: Timestamp) -> Option<&mut Entry> {
        let at = self.position(key);
        self.slots.get_mut(at).map(|slot| &mut slot.entry).filter(|entry| !entry.is_over(now))
    }

    /// Puts a connection in, in the place of an older one of the same key.
    pub(super) fn insert(&mut self, key: &Key<N>, entry: Entry, now: Timestamp) -> Placed {
        let mut at = self.position(key);
        let mut placed = Placed::Free;
        if self.slots.get(at).is_none_or(Slot::is_free) {
            placed = self.make_room(key, now);
            if placed == Placed::Full {
                return placed;
            }
            at = self.position(key);
            self.len += 1;
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot { key: *key, entry };
        }
        placed
    }

    /// Forgets the connection of `key`.
    pub(super) fn remove(&mut self, key: &Key<N>) {
        let at = self.position(key);
        if self.slots.get(at).is_some_and(|slot| !slot.is_free()) {
            self.remove_at(at);
        }
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.slots.fill(Slot::FREE);
        self.len = 0;
    }

    /// How many places the table has.
    pub(super) fn places(&self) -> usize {
        self.slots.len()
    }

    /// The connection at a place of the table, if there is one that has not expired.
    pub(super) fn at(&self, place: usize, now: Timestamp) -> Option<(&Key<N>, &Entry)> {
        let slot = self.slots.get(place)?;
        // A free slot has expired before all time.
        (!slot.entry.is_over(now)).then_some((&slot.key, &slot.entry))
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<N>>()
    }

    fn mask(&self) -> usize {
        self.slots.len() - 1
    }

    fn home(&self, key: &Key<N>) -> usize {
        let mut hasher = self.hasher.build_hasher();
        for &word in key {
            hasher.write_u64(word);
        }
        // The upper bits of a product are its best; the table has far fewer slots than a word has values.
        (hasher.finish() >> 32) as usize & self.mask()
    }

    /// Where `key` is, or the free slot where it would go.
    fn position(&self, key: &Key<N>) -> usize {
        let mut at = self.home(key);
        // The table is never full, so that a free slot ends each search.
        while self.slots.get(at).is_some_and(|slot| slot.key != *key && !slot.is_free()) {
            at = (at + 1) & self.mask();
        }
        at
    }

    fn make_room(&mut self, key: &Key<N>, now: Timestamp) -> Placed {
        if self.len >= self.limit {
            self.demand = self.demand.saturating_add(1);
            self.sweep_if_due(now);
        }
        if self.len >= self.limit {
            return self.evict(key);
        }
        if self.len * 8 >= self.slots.len() * 5 {
            self.grow(now);
        }
        Placed::Free
    }

    fn sweep_if_due(&mut self, now: Timestamp) {
        let passed = now.since(self.swept).max(self.swept.since(now));
        if passed >= SWEEP_INTERVAL && self.demand >= SWEEP_DEMAND.min(u32::try_from(self.limit).unwrap_or(u32::MAX)) {
            self.swept = now;
            self.demand = 0;
            self.sweep(now);
        }
    }

    /// Takes out all that has expired.
    fn sweep(&mut self, now: Timestamp) {
        let mut at = 0;
        while let Some(slot) = self.slots.get(at) {
            if !slot.is_free() && slot.entry.is_over(now) {
                // Another may have moved here: look again.
                self.remove_at(at);
            } else {
                at += 1;
            }
        }
    }

    /// Gives up a connection near the place of `key` that is not assured.
    fn evict(&mut self, key: &Key<N>) -> Placed {
        let home = self.home(key);
        let near = (0..EVICTION_RANGE).map(|step| (home + step) & self.mask());
        let idle = |slot: &Slot<N>| !slot.is_free() && !slot.entry.has(marks::ASSURED);
        match near.into_iter().find(|&at| self.slots.get(at).is_some_and(idle)) {
            Some(at) => {
                self.remove_at(at);
                Placed::Evicting
            }
            None => Placed::Full,
        }
    }

    /// Twice the slots, without what has expired.
    fn grow(&mut self, now: Timestamp) {
        let larger = vec![Slot::FREE; self.slots.len() * 2];
        let old = std::mem::replace(&mut self.slots, larger);
        self.len = 0;
        for slot in old.into_iter().filter(|slot| !slot.is_free() && !slot.entry.is_over(now)) {
            let at = self.position(&slot.key);
            if let Some(place) = self.slots.get_mut(at) {
                *place = slot;
                self.len += 1;
            }
        }
    }

    /// Frees the slot, and moves up those behind it that would not be found any more.
    fn remove_at(&mut self, mut hole: usize) {
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask();
            let Some(slot) = self.slots.get(at).copied().filter(|slot| !slot.is_free()) else { break };
            let wanted = self.home(&slot.key);
            // It may move up if the hole lies between where it would be at best and where it is.
            if (at.wrapping_sub(wanted) & self.mask()) >= (at.wrapping_sub(hole) & self.mask()) {
                if let Some(place) = self.slots.get_mut(hole) {
                    *place = slot;
                }
                hole = at;
            }
        }
        if let Some(place) = self.slots.get_mut(hole) {
            *place = Slot::FREE;
        }
        self.len -= 1;
    }
}
