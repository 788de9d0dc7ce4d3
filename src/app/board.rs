//! What the threads of a running pfw put up about themselves, for the clerk to read. Nobody who puts something up ever
//! waits for one who reads.

use super::hits::Hits;
use super::regime::Regime;
use super::tracking::Tracking;
use crate::control::report::{BanRow, RefusedFile, TemporaryChange};
use crate::record::Summary;
use crate::rules::Ruleset;
use crate::sys::waker::Waker;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What happened to the rules in the kernel lately and is still shown: the latest so many.
const REMARKS: usize = 5;

/// What is put up.
pub struct Board {
    counts: Mutex<Summary>,
    interfaces: Mutex<Vec<String>>,
    hits_wanted: AtomicBool,
    hits: Mutex<Option<Hits>>,
    tracking_wanted: AtomicBool,
    /// Where the page of connections begins that is wanted.
    tracking_from: Mutex<usize>,
    tracking: Mutex<Option<Tracking>>,
    notice: Mutex<Notice>,
    closing: AtomicBool,
    /// Wakes the capture thread.
    capture: Waker,
    /// Wakes the control thread, if there is one.
    clerk: Option<Waker>,
}

/// What the main thread tells.
#[derive(Clone, Debug, Default)]
pub struct Notice {
    /// The rules in force.
    pub ruleset: Arc<Ruleset>,
    /// How often rules were put in force.
    pub generation: u32,
    /// When these were.
    pub since: Timestamp,
    /// The tools that carry them out, if they are enforced.
    pub tools: Option<String>,
    /// Somebody has changed the rules in the kernel, and they are not put back yet.
    pub degraded: bool,
    /// Whether this machine forwards packets.
    pub forwards: bool,
    /// Why the rules file was refused when it was read last.
    pub refused: Option<RefusedFile>,
    /// What does not go its usual way.
    pub regime: Regime,
    /// Changes that are not in the file.
    pub temporary: Vec<TemporaryChange>,
    /// Sources that are banned.
    pub bans: Vec<BanRow>,
    /// Bans for which there was no room.
    pub bans_without_room: u64,
    /// Why the file is not followed, if it is to be.
    pub unfollowed: Option<String>,
    /// Until when the user must have confirmed.
    pub confirm_by: Option<Instant>,
    /// What happened to the rules in the kernel, and when.
    pub remarks: VecDeque<(Timestamp, String)>,
}

impl Notice {
    /// Adds a remark.
    pub fn remark(&mut self, words: &str) {
        self.remarks.push_back((Timestamp::now(), words.to_owned()));
        if self.remarks.len() > REMARKS {
            self.remarks.pop_front();
        }
    }
}

impl Board {
    /// A board with nothing on it. `capture` ends the capture thread's wait, `clerk` the control thread's.
    pub fn new(capture: Waker, clerk: Option<Waker>) -> Self {
        Self {
            counts: Mutex::default(),
            interfaces: Mutex::default(),
            hits_wanted: AtomicBool::new(false),
            hits: Mutex::default(),
            tracking_wanted: AtomicBool::new(false),
            tracking_from: Mutex::default(),
            tracking: Mutex::default(),
            notice: Mutex::default(),
            closing: AtomicBool::new(false),
            capture,
            clerk,
        }
    }

    /// Puts up what was counted so far; not now, if somebody reads.
    pub fn put_counts(&self, counts: Summary) {
        if let Ok(mut place) = self.counts.try_lock() {
            *place = counts;
        }
    }

    /// What was counted.
    pub fn counts(&self) -> Summary {
        read(&self.counts).clone()
    }

    /// Puts up which interfaces are watched.
    pub fn put_interfaces(&self, names: Vec<String>) {
        *read(&self.interfaces) = names;
    }

    /// The interfaces that are watched.
    pub fn interfaces(&self) -> Vec<String> {
        read(&self.interfaces).clone()
    }

    /// Ends the capture thread's wait: something is about to be left for it.
    pub fn wake_capture(&self) {
        self.capture.wake();
    }

    /// Asks the capture thread for the hits of all rules.
    pub fn want_hits(&self) {
        // In this order: whoever sees the wish has been woken for it, and clears the alarm.
        self.capture.wake();
        self.hits_wanted.store(true, Ordering::Release);
    }

    /// Whether hits are wanted since this was asked last.
    pub fn are_hits_wanted(&self) -> bool {
        self.hits_wanted.load(Ordering::Relaxed) && self.hits_wanted.swap(false, Ordering::Acquire)
    }

    /// Puts up the hits of all rules.
    pub fn put_hits(&self, hits: Hits) {
        *read(&self.hits) = Some(hits);
        self.call_clerk();
    }

    /// Hits that were put up since this was asked last.
    pub fn take_hits(&self) -> Option<Hits> {
        read(&self.hits).take()
    }

    /// Asks the capture thread for a page of the connections that it tracks.
    pub fn want_tracking(&self, from: usize) {
        *read(&self.tracking_from) = from;
        self.capture.wake();
        self.tracking_wanted.store(true, Ordering::Release);
    }

    /// Where the page of connections begins, if one is wanted since this was asked last.
    pub fn is_tracking_wanted(&self) -> Option<usize> {
        let is_wanted =
            self.tracking_wanted.load(Ordering::Relaxed) && self.tracking_wanted.swap(false, Ordering::Acquire);
        is_wanted.then(|| *read(&self.tracking_from))
    }

    /// Puts up a page of connections.
    pub fn put_tracking(&self, tracking: Tracking) {
        *read(&self.tracking) = Some(tracking);
        self.call_clerk();
    }

    /// The page of connections that was put up since this was asked last.
    pub fn take_tracking(&self) -> Option<Tracking> {
        read(&self.tracking).take()
    }

    fn call_clerk(&self) {
        if let Some(clerk) = &self.clerk {
            clerk.wake();
        }
    }

    /// Changes the main thread's notice.
    pub fn change(&self, change: impl FnOnce(&mut Notice)) {
        change(&mut read(&self.notice));
    }

    /// The main thread's notice.
    pub fn notice(&self) -> Notice {
        read(&self.notice).clone()
    }

    /// Nobody is to be answered any more.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Whether nobody is to be answered any more.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }
}

/// The place for reading and writing: what a thread that failed left there is as good as before.
fn read<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
