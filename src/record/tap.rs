//! Events for whoever subscribed to them: lines of the JSON log, whatever form the file has and whatever it leaves out.
//!
//! The [`Tap`] sits at the log and never waits. While nobody wants a kind of event, it costs one look at a number.
//! Batches go to the [`Outlet`] through a bounded queue; what finds no room is counted by kind, and the next batch says
//! how much that was.

use super::line::{AlertLine, AnomalyLine, Format, Formatter, Lost, LostCause, PacketLine, PfwLine, Verdict};
use crate::time::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Batches between log and subscribers: 2 MiB at most, some 6,000 events. They are taken within a millisecond.
const BATCHES: usize = 32;
/// Bytes after which a batch is handed on; otherwise it goes with the log's next chunk, within 200 ms.
const BATCH_SIZE: usize = 64 * 1024;

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A packet that was let through.
    Allowed,
    /// A packet that the kernel dropped.
    Blocked,
    /// A packet that the rules would have blocked.
    WouldBlock,
    /// A suspicious packet.
    Suspicious,
    /// Events that were lost.
    Lost,
    /// Something about pfw itself.
    Pfw,
}

impl Kind {
    /// All kinds, in the order of their discriminants.
    pub const ALL: [Self; 6] =
        [Self::Allowed, Self::Blocked, Self::WouldBlock, Self::Suspicious, Self::Lost, Self::Pfw];

    /// The word, as in the log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allowed => "ALLOWED",
            Self::Blocked => "BLOCKED",
            Self::WouldBlock => "WOULD-BLOCK",
            Self::Suspicious => "SUSPICIOUS",
            Self::Lost => "LOST",
            Self::Pfw => "PFW",
        }
    }
}

impl From<Verdict> for Kind {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allowed => Self::Allowed,
            Verdict::Blocked => Self::Blocked,
            Verdict::WouldBlock => Self::WouldBlock,
        }
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    /// Every kind.
    pub const ALL: Self = Self((1 << Kind::ALL.len()) - 1);

    /// Whether `kind` is among them.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// These and those.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        Self(kinds.into_iter().fold(0, |all, kind| all | 1 << kind as u8))
    }
}

/// Events that a subscriber did not get, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    counts: [u64; Kind::ALL.len()],
    span: Option<(Timestamp, Timestamp)>,
}

impl Missed {
    /// Counts an event somewhere in `span`.
    pub fn count(&mut self, kind: Kind, span: (Timestamp, Timestamp)) {
        if let Some(count) = self.counts.get_mut(kind as usize) {
            *count += 1;
        }
        self.widen(span);
    }

    /// Adds those of `other` that are among `kinds`.
    pub fn add(&mut self, other: &Self, kinds: Kinds) {
        for (kind, (count, more)) in Kind::ALL.into_iter().zip(self.counts.iter_mut().zip(other.counts)) {
            if kinds.contains(kind) {
                *count += more;
            }
        }
        if let Some(span) = other.span {
            self.widen(span);
        }
    }

    /// What is to be told; nothing if nothing was missed.
    pub fn lost(&self) -> Option<Lost> {
        let (from, to) = self.span?;
        let n = self.counts.iter().sum();
        (n > 0).then_some(Lost { n, cause: LostCause::Subscriber, from, to })
    }

    fn widen(&mut self, (from, to): (Timestamp, Timestamp)) {
        let (known_from, known_to) = self.span.unwrap_or((from, to));
        self.span = Some((known_from.min(from), known_to.max(to)));
    }
}

/// Events that are handed on together.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each line ends, and its kind.
    ends: Vec<(usize, Kind)>,
    span: Option<(Timestamp, Timestamp)>,
    /// What was lost before these.
    missed: Missed,
}

impl Batch {
    /// What was lost before these.
    pub fn missed(&self) -> &Missed {
        &self.missed
    }

    /// The earliest and the latest time of an event.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        self.span.unwrap_or_default()
    }

    /// The events: their kind, and the line with its end.
    pub fn lines(&self) -> impl Iterator<Item = (Kind, &[u8])> {
        self.ends.iter().scan(0, |start, &(end, kind)| {
            let line = self.bytes.get(*start..end).unwrap_or_default();
            *start = end;
            Some((kind, line))
        })
    }

    fn add(&mut self, kind: Kind, time: Timestamp) {
        self.ends.push((self.bytes.len(), kind));
        let (from, to) = self.span.unwrap_or((time, time));
        self.span = Some((from.min(time), to.max(time)));
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.span = None;
        self.missed = Missed::default();
    }
}

/// The log's end.
pub struct Tap {
    wanted: Arc<AtomicU8>,
    formatter: Formatter,
    batch: Batch,
    queue: SyncSender<Batch>,
    /// Empty batches. There are [`BATCHES`] of them in all, which is what bounds the queue.
    spent: Receiver<Batch>,
    missed: Missed,
    ring: Box<dyn Fn() + Send>,
}

/// The subscribers' end.
#[derive(Debug)]
pub struct Outlet {
    wanted: Arc<AtomicU8>,
    queue: Receiver<Batch>,
    spent: SyncSender<Batch>,
}

/// Both ends. `ring` is called when there is a batch to be taken; it must not wait.
pub fn tap(zone: TimeZone, ring: impl Fn() + Send + 'static) -> (Tap, Outlet) {
    let wanted = Arc::default();
    let (queue, batches) = sync_channel(BATCHES + 1);
    let (spent, pool) = sync_channel(BATCHES);
    for _ in 0..BATCHES {
        // There is room for exactly these, and the receiver is in our hands.
        let _ = spent.try_send(Batch::default());
    }
    let tap = Tap {
        wanted: Arc::clone(&wanted),
        formatter: Formatter::new(Format::Json, zone),
        batch: Batch::default(),
        queue,
        spent: pool,
        missed: Missed::default(),
        ring: Box::new(ring),
    };
    (tap, Outlet { wanted, queue: batches, spent })
}

impl Outlet {
    /// Asks for these kinds from now on.
    pub fn want(&self, kinds: Kinds) {
        self.wanted.store(kinds.0, Ordering::Relaxed);
    }

    /// The next batch, if there is one. It is to be [given back](Self::give_back).
    pub fn next(&self) -> Option<Batch> {
        self.queue.try_recv().ok()
    }

    /// Gives a batch back for use again.
    pub fn give_back(&self, mut batch: Batch) {
        batch.clear();
        // The pool has room for every batch there is.
        let _ = self.spent.try_send(batch);
    }
}

impl Tap {
    /// Whether somebody wants this kind.
    #[inline]
    pub(super) fn wants(&self, kind: Kind) -> bool {
        Kinds(self.wanted.load(Ordering::Relaxed)).contains(kind)
    }

    /// Whether nothing waits to be handed on.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.ends.is_empty()
    }

    #[cold]
    pub(super) fn packet(&mut self, line: &PacketLine<'_>, reason: impl FnOnce(&mut Vec<u8>)) {
        self.formatter.packet(&mut self.batch.bytes, line, reason);
        self.added(line.verdict.into(), line.seen.time);
    }

    #[cold]
    pub(super) fn anomaly(&mut self, line: &AnomalyLine<'_>) {
        self.formatter.anomaly(&mut self.batch.bytes, line);
        self.added(Kind::Suspicious, line.seen.time);
    }

    #[cold]
    pub(super) fn alert(&mut self, line: &AlertLine<'_>) {
        self.formatter.alert(&mut self.batch.bytes, line);
        self.added(Kind::Suspicious, line.seen.time);
    }

    #[cold]
    pub(super) fn pfw(&mut self, line: &PfwLine<'_>) {
        self.formatter.pfw(&mut self.batch.bytes, line);
        self.added(Kind::Pfw, line.time);
    }

    #[cold]
    pub(crate) fn lost(&mut self, lost: &Lost) {
        self.formatter.lost(&mut self.batch.bytes, lost);
        self.added(Kind::Lost, lost.to);
    }

    fn added(&mut self, kind: Kind, time: Timestamp) {
        self.batch.add(kind, time);
        if self.batch.bytes.len() >= BATCH_SIZE {
            self.hand_on();
        }
    }

    /// Hands on what there is, if there is room for it.
    pub(crate) fn hand_on(&mut self) {
        if self.is_empty() {
            return;
        }
        match self.spent.try_recv() {
            Ok(next) => {
                let mut batch = mem::replace(&mut self.batch, next);
                batch.missed = mem::take(&mut self.missed);
                // Never full: there are no more batches than places. Without an outlet there is nobody to tell.
                let _ = self.queue.try_send(batch);
            }
            Err(TryRecvError::Empty) => {
                let span = self.batch.span();
                self.batch.ends.iter().for_each(|&(_, kind)| self.missed.count(kind, span));
                self.batch.clear();
            }
            Err(TryRecvError::Disconnected) => self.batch.clear(),
        }
        (self.ring)();
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").field("batch", &self.batch).field("missed", &self.missed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PfwEvent;
    use std::sync::atomic::AtomicUsize;

    fn at(second: i64) -> PfwLine<'static> {
        PfwLine { time: Timestamp::from_parts(second, 0), event: PfwEvent::Started, interface: None, reason: "x" }
    }

    fn silent() -> (Tap, Outlet) {
        tap(TimeZone::UTC, || {})
    }

    #[test]
    fn nothing_is_wanted_until_somebody_asks() {
        let (tap, outlet) = silent();
        assert!(Kind::ALL.iter().all(|&kind| !tap.wants(kind)));
        outlet.want([Kind::Blocked, Kind::Pfw].into_iter().collect());
        assert_eq!(
            Kind::ALL.map(|kind| tap.wants(kind)),
            [false, true, false, false, false, true],
            "in the order of the kinds"
        );
        outlet.want(Kinds::ALL);
        assert!(Kind::ALL.iter().all(|&kind| tap.wants(kind)));
    }

    #[test]
    fn lines_come_one_by_one_with_their_kind_and_the_bell_rings() {
        let rung = Arc::new(AtomicUsize::new(0));
        let bell = Arc::clone(&rung);
        let (mut tap, outlet) = tap(TimeZone::UTC, move || {
            bell.fetch_add(1, Ordering::Relaxed);
        });
        tap.pfw(&at(1));
        let (from, to) = (Timestamp::from_parts(2, 0), Timestamp::from_parts(3, 0));
        tap.lost(&Lost { n: 7, cause: LostCause::KernelRing, from, to });
        assert!(outlet.next().is_none());
        tap.hand_on();
        assert_eq!(rung.load(Ordering::Relaxed), 1);
        let batch = outlet.next().unwrap();
        let lines: Vec<_> = batch.lines().collect();
        assert_eq!(lines.iter().map(|&(kind, _)| kind).collect::<Vec<_>>(), [Kind::Pfw, Kind::Lost]);
        for (_, line) in lines {
            let value: serde_json::Value = serde_json::from_slice(line).unwrap();
            assert!(value["event_type"].is_string() && line.ends_with(b"}\n"));
        }
        assert_eq!((batch.span(), batch.missed().lost()), ((Timestamp::from_parts(1, 0), to), None));
    }

    #[test]
    fn an_outlet_that_nobody_empties_costs_a_bounded_queue_and_is_told_what_it_missed() {
        let (mut tap, outlet) = silent();
        for second in 0..100 {
            tap.pfw(&at(second));
            tap.hand_on();
        }
        let mut got = 0;
        while let Some(batch) = outlet.next() {
            assert_eq!(batch.missed().lost(), None);
            got += batch.lines().count();
            outlet.give_back(batch);
        }
        assert_eq!(got, BATCHES);
        tap.pfw(&at(200));
        tap.hand_on();
        let batch = outlet.next().unwrap();
        let lost = batch.missed().lost().unwrap();
        assert_eq!((lost.n, lost.from.parts().0, lost.to.parts().0), (100 - BATCHES as u64, 32, 99));
        let mut narrow = Missed::default();
        narrow.add(batch.missed(), [Kind::Blocked].into_iter().collect());
        assert_eq!(narrow.lost(), None, "who wants blocked packets has missed none of them");
    }
}
