//! What the main thread leaves for the capture thread. Neither ever waits for the other.

use super::generations::Counted;
use super::kernel_rules::KernelRules;
use super::stage::Rules;
use crate::control::Reply;
use crate::record::PfwEvent;
use crate::time::Timestamp;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counters of the kernel, and who wants to know what they amount to.
#[derive(Debug)]
pub struct Count {
    /// The counters.
    pub counted: Counted,
    /// When they had been read.
    pub at: Timestamp,
    /// Who is told the audit once the reports of that time have been read.
    pub reply: Option<Reply>,
}

/// What the main thread leaves for the capture thread.
#[derive(Default)]
pub struct Orders {
    /// The capture thread may end only after the rules have gone: it reports what they drop.
    rules_first: bool,
    /// The user wants the end.
    asked: AtomicBool,
    /// The capture thread is to end.
    stop: AtomicBool,
    /// There is something to be taken: asked for after each batch of frames, so it must cost nothing.
    left: AtomicBool,
    rules: Mutex<Vec<Rules>>,
    named: AtomicBool,
    names: Mutex<Vec<Arc<KernelRules>>>,
    noted: AtomicBool,
    notes: Mutex<Vec<Note>>,
    rests: AtomicBool,
    is_disturbed: AtomicBool,
    disturbed: Mutex<Vec<(Timestamp, Timestamp)>>,
    has_counted: AtomicBool,
    counts: Mutex<Vec<Count>>,
}

/// A line about pfw itself that the capture thread is to write.
#[derive(Clone, Debug)]
pub struct Note {
    /// When it was.
    pub time: Timestamp,
    /// What.
    pub event: PfwEvent,
    /// In words.
    pub reason: String,
}

impl Orders {
    /// Nothing is left yet.
    pub fn new(enforcing: bool) -> Self {
        Self { rules_first: enforcing, ..Self::default() }
    }

    /// The user wants the end: known at once, whatever the main thread is busy with.
    pub fn ask_to_stop(&self) {
        self.asked.store(true, Ordering::Release);
        if !self.rules_first {
            self.stop();
        }
    }

    /// Whether the user wants the end.
    pub fn is_asked_to_stop(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Lets the capture thread end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether the capture thread is to end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Leaves rules that are to be decided by.
    pub fn put(&self, rules: Rules) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rules);
        self.left.store(true, Ordering::Release);
    }

    /// Rules that are to be decided by, in the order in which they were left.
    pub fn take(&self) -> Vec<Rules> {
        take(&self.left, &self.rules)
    }

    /// Leaves the names of rules that are about to be in the kernel.
    pub fn announce(&self, rules: Arc<KernelRules>) {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).push(rules);
        self.named.store(true, Ordering::Release);
    }

    /// Leaves a line about pfw itself.
    pub fn note(&self, event: PfwEvent, reason: &str) {
        let note = Note { time: Timestamp::now(), event, reason: reason.to_owned() };
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
        self.noted.store(true, Ordering::Release);
    }

    /// Lines that were left.
    pub fn notes(&self) -> Vec<Note> {
        take(&self.noted, &self.notes)
    }

    /// Packets that are allowed have no line from now on, or have one again.
    pub fn rest(&self, rests: bool) {
        self.rests.store(rests, Ordering::Relaxed);
    }

    /// Whether packets that are allowed have no line.
    pub fn rests(&self) -> bool {
        self.rests.load(Ordering::Relaxed)
    }

    /// Leaves between which times the kernel did not have all rules, because somebody has changed them.
    pub fn disturbed(&self, from: Timestamp, to: Timestamp) {
        self.disturbed.lock().unwrap_or_else(PoisonError::into_inner).push((from, to));
        self.is_disturbed.store(true, Ordering::Release);
    }

    /// Such times that were left.
    pub fn disturbances(&self) -> Vec<(Timestamp, Timestamp)> {
        take(&self.is_disturbed, &self.disturbed)
    }

    /// Leaves the kernel's counters.
    pub fn count(&self, counted: Counted, reply: Option<Reply>) {
        let count = Count { counted, at: Timestamp::now(), reply };
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).push(count);
        self.has_counted.store(true, Ordering::Release);
    }

    /// Counters that were left.
    pub fn counts(&self) -> Vec<Count> {
        take(&self.has_counted, &self.counts)
    }

    /// Names that were left.
    pub fn announced(&self) -> Vec<Arc<KernelRules>> {
        take(&self.named, &self.names)
    }
}

fn take<T>(flag: &AtomicBool, left: &Mutex<Vec<T>>) -> Vec<T> {
    if !flag.swap(false, Ordering::Acquire) {
        return Vec::new();
    }
    mem::take(&mut *left.lock().unwrap_or_else(PoisonError::into_inner))
}
