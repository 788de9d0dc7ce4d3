//! When the kernel's rules are to be looked at: as soon as somebody has changed its tables, where the kernel tells of
//! that, and now and then in any case.

use super::signals::Event;
use super::threads;
use crate::firewall::{Change, Changes};
use anyhow::Result;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// How often it is looked where the kernel tells of changes: it does not tell of those of sets.
const TOLD: Duration = Duration::from_mins(1);
/// How often where it does not, and while something is wrong that was not put right. It starts a few short-lived
/// programs.
const NOT_TOLD: Duration = Duration::from_secs(1);
/// A look is paid for with so many times as long as it took: others can change their tables as often as they like.
const REST: u32 = 3;
/// So much may be owed when a look begins: what others do now and then is put right at once, and only who keeps changing
/// something is made to wait.
const CREDIT: Duration = Duration::from_secs(3);
/// How many of those who changed something since the last look are named.
const NAMED: usize = 3;

/// The main thread's watch over the tables.
#[derive(Debug)]
pub struct Vigil {
    every: Duration,
    next: Instant,
    /// When all looks are paid for.
    paid: Instant,
    suspects: Vec<String>,
}

impl Vigil {
    /// Begins; `told` says whether changes will be heard of.
    pub fn new(told: bool, now: Instant) -> Self {
        let every = if told { TOLD } else { NOT_TOLD };
        Self { every, next: now + every, paid: now, suspects: Vec::new() }
    }

    /// Somebody may have changed our rules.
    pub fn hear(&mut self, by: &Change) {
        self.next = self.next.min(self.rested());
        let by = by.to_string();
        if self.suspects.len() < NAMED && !self.suspects.contains(&by) {
            self.suspects.push(by);
        }
    }

    /// When to look.
    pub fn next(&self) -> Instant {
        self.next
    }

    /// Who has changed something since the last look; empty if nobody is known.
    pub fn suspects(&mut self) -> String {
        std::mem::take(&mut self.suspects).join(", ")
    }

    /// A look has begun and ended. `right` says whether all is as it should be now.
    pub fn looked(&mut self, began: Instant, ended: Instant, right: bool) {
        self.next = ended + if right { self.every } else { NOT_TOLD };
        self.paid = self.paid.max(began) + ended.saturating_duration_since(began) * (1 + REST);
    }

    /// From when on there may be a look for every change.
    fn rested(&self) -> Instant {
        self.paid.checked_sub(CREDIT).unwrap_or(self.paid)
    }
}

/// Tells the main thread of each change. Nobody waits for this thread: changes may never come.
pub fn listen(mut changes: Changes, events: Sender<Event>) -> Result<()> {
    threads::start_vital("changes", &events.clone(), move || {
        loop {
            match changes.wait() {
                Ok(change) => {
                    if events.send(Event::TablesChanged(change)).is_err() {
                        return;
                    }
                }
                Err(error) => return tracing::warn!("the kernel tells no more of changes to its tables: {error}"),
            }
        }
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_follows_a_change_at_once_and_many_after_a_rest() {
        let start = Instant::now();
        let ms = |n| start + Duration::from_millis(n);
        let mut vigil = Vigil::new(true, start);
        assert_eq!(vigil.next(), start + TOLD);
        vigil.hear(&Change::default());
        assert!(vigil.next() <= ms(0));
        assert_eq!((vigil.suspects(), vigil.suspects()), ("somebody".to_owned(), String::new()));
        vigil.looked(ms(5), ms(15), true);
        assert_eq!(vigil.next(), ms(15) + TOLD);
        vigil.hear(&Change::default());
        assert!(vigil.next() <= ms(15), "one that comes right after it too");
        vigil.looked(ms(15), ms(1015), true);
        for _ in 0..1000 {
            vigil.hear(&Change::default());
        }
        assert_eq!(vigil.next(), ms(1045), "4,040 ms are owed since the fifth");
        vigil.looked(ms(1045), ms(1055), false);
        assert_eq!(vigil.next(), ms(1055) + NOT_TOLD);
    }

    #[test]
    fn who_keeps_changing_the_tables_takes_a_quarter_of_the_time() {
        let start = Instant::now();
        let look = Duration::from_millis(300);
        let (mut vigil, mut now) = (Vigil::new(true, start), start);
        for _ in 0..100 {
            vigil.hear(&Change::default());
            now = now.max(vigil.next());
            vigil.looked(now, now + look, true);
            now += look;
        }
        assert_eq!(now - start + CREDIT, look * (99 * (1 + REST) + 1));
    }
}
