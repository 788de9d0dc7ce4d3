//! The live log: the latest events, those of them that are shown, and what is looked for.

use super::cursor::Cursor;
use crate::tui::event::Event;
use crate::tui::filter::Filter;
use crate::tui::keys::Motion;
use std::collections::VecDeque;

/// Events that are remembered; the older ones are in the log file. Some 300 bytes each.
pub const MAX_EVENTS: usize = 20_000;

/// The log.
#[derive(Debug, Default)]
pub struct Log {
    events: VecDeque<Event>,
    /// How many have gone from the beginning: the number of the first that is there.
    gone: u64,
    /// The numbers of those that are shown.
    shown: VecDeque<u64>,
    filter: Filter,
    search: Filter,
    held: bool,
    cursor: Cursor,
    /// Events that the running pfw could not hand on to this view in time.
    pub missed: u64,
}

impl Log {
    /// Takes in an event.
    pub fn push(&mut self, event: Event) {
        if event.unread {
            self.missed += event.lost;
        }
        if self.filter.matches(&event) {
            self.shown.push_back(self.gone + self.events.len() as u64);
        }
        self.events.push_back(event);
        if self.events.len() > MAX_EVENTS {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        self.events.pop_front();
        if self.shown.front() == Some(&self.gone) {
            self.shown.pop_front();
            self.cursor.lost(1);
        }
        self.gone += 1;
    }

    /// How many lines are shown, and how many events there are.
    pub fn len(&self) -> (usize, usize) {
        (self.shown.len(), self.events.len())
    }

    /// Whether the log is held.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// What is shown.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// What is looked for.
    pub fn search(&self) -> &Filter {
        &self.search
    }

    /// Whether an event is one that is looked for.
    pub fn is_found(&self, event: &Event) -> bool {
        !self.search.is_empty() && self.search.matches(event)
    }

    /// Holds the log, or lets it run on.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Shows only what the filter is true of.
    pub fn show(&mut self, filter: Filter) {
        let selected = self.shown.get(self.cursor.selected).copied();
        self.filter = filter;
        let numbered = (self.gone..).zip(&self.events);
        self.shown = numbered.filter(|(_, event)| self.filter.matches(event)).map(|(number, _)| number).collect();
        // Where one was, or the first behind it.
        let place = selected.map_or(0, |selected| self.shown.partition_point(|&number| number < selected));
        self.cursor.selected = place;
        self.cursor.top = place;
    }

    /// Looks for lines, from the selected one backwards. Whether there is any.
    pub fn look_for(&mut self, search: Filter, height: usize) -> bool {
        self.search = search;
        self.held = true;
        let is_here = self.selected().is_some_and(|event| self.is_found(event));
        is_here || self.find(false, height)
    }

    /// Looks for nothing any more.
    pub fn forget_search(&mut self) {
        self.search = Filter::default();
    }

    /// Goes to the next line that is looked for. Whether there is any.
    pub fn find(&mut self, forwards: bool, height: usize) -> bool {
        let found = |&place: &usize| self.row(place).is_some_and(|event| self.is_found(event));
        let here = self.cursor.selected;
        let place = if forwards { (here + 1..self.shown.len()).find(found) } else { (0..here).rev().find(found) };
        if let Some(place) = place {
            self.held = true;
            self.cursor.selected = place;
            self.cursor.fit(self.shown.len(), height);
        }
        place.is_some()
    }

    /// Moves. To the end: the log runs on.
    pub fn go(&mut self, motion: Motion, height: usize) {
        self.fit(height);
        self.held = motion != Motion::Last;
        self.cursor.go(motion, self.shown.len(), height);
    }

    /// Selects a row of those that are in sight.
    pub fn select(&mut self, row: usize, height: usize) {
        self.fit(height);
        self.held |= self.cursor.select(row, self.shown.len(), height);
    }

    /// Brings the place up to date with what came in.
    pub fn fit(&mut self, height: usize) {
        if !self.held {
            self.cursor.selected = usize::MAX;
        }
        self.cursor.fit(self.shown.len(), height);
    }

    /// The selected row's place.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The event in a row.
    pub fn row(&self, place: usize) -> Option<&Event> {
        let number = self.shown.get(place)?;
        self.events.get(usize::try_from(number - self.gone).ok()?)
    }

    /// The selected event.
    pub fn selected(&self) -> Option<&Event> {
        self.row(self.cursor.selected)
    }

    /// Lines below the last in sight.
    pub fn below(&self, height: usize) -> usize {
        self.shown.len().saturating_sub(self.cursor.top + height)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::event::testing::packet;
    use super::*;

    const HEIGHT: usize = 5;

    fn event(n: usize) -> Event {
        let verdict = if n.is_multiple_of(2) { "allowed" } else { "blocked" };
        packet(verdict, "incoming", "TCP", &format!("192.0.2.1#{}", n % 60_000), "10.0.0.5#80", &format!("rule-{n}"))
    }

    fn log(events: usize) -> Log {
        let mut log = Log::default();
        (0..events).for_each(|n| log.push(event(n)));
        log.fit(HEIGHT);
        log
    }

    fn selected(log: &Log) -> &str {
        log.selected().map_or("", |event| &event.rule)
    }

    fn filter(text: &str) -> Filter {
        Filter::parse(text).unwrap()
    }

    #[test]
    fn it_follows_until_it_is_held_and_again_from_the_end() {
        let mut log = log(100);
        assert_eq!((selected(&log), log.below(HEIGHT)), ("rule-99", 0));
        log.go(Motion::Up, HEIGHT);
        log.push(event(100));
        log.fit(HEIGHT);
        assert_eq!((selected(&log), log.is_held(), log.below(HEIGHT)), ("rule-98", true, 1));
        log.go(Motion::Last, HEIGHT);
        log.push(event(101));
        log.fit(HEIGHT);
        assert_eq!((selected(&log), log.is_held()), ("rule-101", false));
    }

    #[test]
    fn a_filter_keeps_the_place_and_holds_for_what_comes() {
        let mut log = log(100);
        log.go(Motion::First, HEIGHT);
        (0..10).for_each(|_| log.go(Motion::Down, HEIGHT));
        log.show(filter("blocked"));
        log.fit(HEIGHT);
        assert_eq!((selected(&log), log.len()), ("rule-11", (50, 100)));
        log.push(event(100));
        log.push(event(101));
        assert_eq!(log.len(), (51, 102));
        log.show(Filter::default());
        log.fit(HEIGHT);
        assert_eq!((selected(&log), log.len()), ("rule-11", (102, 102)));
    }

    #[test]
    fn what_is_looked_for_is_found_in_both_directions() {
        let mut log = log(100);
        assert!(log.look_for(filter("rule:rule-5"), HEIGHT));
        assert_eq!(selected(&log), "rule-59");
        assert!(log.find(false, HEIGHT));
        assert_eq!(selected(&log), "rule-58");
        assert!(log.find(true, HEIGHT) && !log.find(true, HEIGHT));
        assert_eq!(selected(&log), "rule-59");
        assert!(!log.look_for(filter("nothing-like-it"), HEIGHT));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_place_goes_with_it() {
        let mut log = log(MAX_EVENTS);
        log.go(Motion::Up, HEIGHT);
        let rule = selected(&log).to_owned();
        (0..100).for_each(|n| log.push(event(n)));
        log.fit(HEIGHT);
        assert_eq!((selected(&log), log.len()), (rule.as_str(), (MAX_EVENTS, MAX_EVENTS)));
        (0..2 * MAX_EVENTS).for_each(|n| log.push(event(n)));
        log.fit(HEIGHT);
        assert_eq!(log.cursor(), Cursor::default(), "what was selected has gone");
    }
}
