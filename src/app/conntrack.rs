//! What connection tracking drops and gives up of its own: not by a rule of pfw, but its user must know.

use crate::conntrack::Lookup;
use crate::host::ConntrackCounts;
use crate::packet::Ip;
use crate::record::Summary;
use std::fmt::Write;
use std::time::{Duration, Instant};

/// How often it is looked at: a table that is full fills a log with nothing else soon enough.
const EVERY: Duration = Duration::from_secs(2);
/// How old what was read may be where a packet is to be explained by it.
const FRESH: Duration = Duration::from_millis(10);
/// How long a packet that was dropped may wait for its line: what was counted that long ago may be about it.
const LATELY: Duration = Duration::from_secs(2);

/// Reads what connection tracking counts.
pub struct Conntrack {
    counts: ConntrackCounts,
    read_at: Instant,
    told_at: Instant,
    /// What has not been told.
    untold: Totals,
    total: Totals,
    /// When an invalid packet was counted last, and when the table was found full.
    invalid_at: Option<Instant>,
    full_at: Option<Instant>,
    lookup: Option<Lookup>,
    /// The latest answer, and when it was given.
    answer: Option<(Instant, bool)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    dropped: u64,
    insert_failed: u64,
    evicted: u64,
}

impl Totals {
    fn add(&mut self, counts: &ConntrackCounts) {
        self.dropped += u64::from(counts.dropped);
        self.insert_failed += u64::from(counts.insert_failed);
        self.evicted += u64::from(counts.evicted);
    }

    fn words(&self) -> String {
        let mut words = "connection tracking".to_owned();
        let causes = [
            (self.dropped, "packets dropped"),
            (self.insert_failed, "connections not entered"),
            (self.evicted, "connections given up"),
        ];
        let mut separator = ": ";
        for (n, what) in causes.into_iter().filter(|&(n, _)| n > 0) {
            // Writing to a `String` can't fail.
            let _ = write!(words, "{separator}{n} {what}");
            separator = ", ";
        }
        words + " (not by a rule of pfw; is its table full? see net.netfilter.nf_conntrack_max)"
    }
}

impl Conntrack {
    /// Counts from now on.
    pub fn new(now: Instant) -> Self {
        Self::from(ConntrackCounts::read().unwrap_or_default(), now)
    }

    fn from(counts: ConntrackCounts, now: Instant) -> Self {
        let (untold, total) = (Totals::default(), Totals::default());
        Self {
            counts,
            read_at: now,
            told_at: now,
            untold,
            total,
            invalid_at: None,
            full_at: None,
            lookup: None,
            answer: None,
        }
    }

    /// What there is to be told now, in words.
    pub fn news(&mut self, now: Instant) -> Option<String> {
        if now.duration_since(self.told_at) < EVERY {
            return None;
        }
        self.told_at = now;
        self.refresh(now, FRESH);
        let untold = std::mem::take(&mut self.untold);
        (untold != Totals::default()).then(|| untold.words())
    }

    /// Whether it has found a packet invalid lately.
    pub fn found_invalid(&mut self, now: Instant) -> bool {
        self.refresh(now, FRESH);
        is_recent(self.invalid_at, now)
    }

    /// Whether its table was full lately.
    pub fn was_full(&mut self, now: Instant) -> bool {
        self.refresh(now, FRESH);
        is_recent(self.full_at, now)
    }

    /// Whether it has the connection that a packet belongs to. It is asked for one packet only in any ten milliseconds:
    /// those that come together mostly fare alike.
    pub fn knows(&mut self, packet: &Ip, now: Instant) -> bool {
        if let Some((at, known)) = self.answer
            && now.duration_since(at) < FRESH
        {
            return known;
        }
        self.lookup = self.lookup.take().or_else(|| Lookup::open().ok());
        let answer = self.lookup.as_mut().and_then(|lookup| lookup.knows(packet).ok());
        let known = answer.unwrap_or(false);
        self.answer = Some((now, known));
        known
    }

    /// Reads what was counted last.
    pub fn read(&mut self, now: Instant) {
        self.refresh(now, Duration::ZERO);
    }

    /// Adds all that was counted to a summary.
    pub fn add_to(&self, summary: &mut Summary) {
        summary.conntrack_dropped = self.total.dropped;
        summary.conntrack_insert_failed = self.total.insert_failed;
        summary.conntrack_evicted = self.total.evicted;
    }

    fn refresh(&mut self, now: Instant, age: Duration) {
        if now.duration_since(self.read_at) >= age
            && let Some(counts) = ConntrackCounts::read()
        {
            self.take(counts, now);
        }
    }

    fn take(&mut self, counts: ConntrackCounts, now: Instant) {
        let new = counts.since(&self.counts);
        (self.counts, self.read_at) = (counts, now);
        self.untold.add(&new);
        self.total.add(&new);
        if new.invalid > 0 {
            self.invalid_at = Some(now);
        }
        if new.was_full() {
            self.full_at = Some(now);
        }
    }
}

fn is_recent(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| now.duration_since(at) < LATELY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_once_and_added_up() {
        let start = Instant::now();
        let before = ConntrackCounts { dropped: 7, invalid: 1, ..ConntrackCounts::default() };
        let mut conntrack = Conntrack::from(before, start);
        conntrack.take(ConntrackCounts { dropped: 10, evicted: 2, ..before }, start);
        conntrack.take(ConntrackCounts { dropped: 11, evicted: 2, insert_failed: 1, ..before }, start);
        let words = conntrack.untold.words();
        assert!(
            words.starts_with("connection tracking: 4 packets dropped, 1 connections not entered, 2 conn"),
            "{words}"
        );
        assert_eq!(conntrack.total, Totals { dropped: 4, insert_failed: 1, evicted: 2 });
    }

    #[test]
    fn an_invalid_packet_explains_others_for_a_while() {
        let start = Instant::now();
        let mut conntrack = Conntrack::from(ConntrackCounts::default(), start);
        conntrack.take(ConntrackCounts { invalid: 1, ..ConntrackCounts::default() }, start);
        assert!(is_recent(conntrack.invalid_at, start + Duration::from_millis(500)));
        assert!(!is_recent(conntrack.invalid_at, start + LATELY));
        assert_eq!(conntrack.full_at, None);
    }
}
