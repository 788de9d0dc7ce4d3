//! The rules of the running pfw: those in sight, with their hits, and when each decided last.

use super::cursor::Cursor;
use crate::control::limits::RULES_IN_PAGE;
use crate::control::report::{RuleRow, RulesPage};
use crate::tui::event::Event;
use crate::tui::keys::Motion;
use std::collections::HashMap;

/// Rules whose last hit is remembered. The older half is given up beyond that, and shown as unknown.
const MAX_LAST: usize = 4_096;

/// The rules.
#[derive(Debug, Default)]
pub struct Rules {
    page: RulesPage,
    cursor: Cursor,
    last: LastHits,
}

impl Rules {
    /// How many there are.
    pub fn total(&self) -> usize {
        self.page.total
    }

    /// Takes in a page. The selected row stays at its place.
    pub fn take(&mut self, page: RulesPage, height: usize) {
        self.page = page;
        self.cursor.fit(self.page.total, height);
    }

    /// Takes in which rule decided on a packet.
    pub fn note(&mut self, event: &Event) {
        if !event.rule.is_empty() {
            self.last.note(event);
        }
    }

    /// Moves.
    pub fn go(&mut self, motion: Motion, height: usize) {
        self.cursor.go(motion, self.page.total, height);
    }

    /// Selects a row of those in sight.
    pub fn select(&mut self, row: usize, height: usize) {
        let place = self.cursor.top + row;
        if place < self.page.total {
            self.cursor.selected = place;
            self.cursor.fit(self.page.total, height);
        }
    }

    /// The selected row's place.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The rule at a place, if it is one of those that are here.
    pub fn row(&self, place: usize) -> Option<&RuleRow> {
        self.page.rows.get(place.checked_sub(self.page.from)?)
    }

    /// The selected rule.
    pub fn selected(&self) -> Option<&RuleRow> {
        self.row(self.cursor.selected)
    }

    /// The first row of the page that is to be asked for: what is in sight lies in its middle.
    pub fn wanted(&self) -> usize {
        self.cursor.top.saturating_sub(RULES_IN_PAGE / 2)
    }

    /// Whether rows in sight are not here.
    pub fn lacks(&self, height: usize) -> bool {
        let end = (self.cursor.top + height).min(self.page.total);
        self.cursor.top < end && (self.row(self.cursor.top).is_none() || self.row(end - 1).is_none())
    }

    /// When a rule decided last, as far as this view has seen.
    pub fn last_hit(&self, id: &str) -> Option<&str> {
        self.last.times.get(id).map(|(_, clock)| &**clock)
    }
}

/// When each rule decided last.
#[derive(Debug, Default)]
struct LastHits {
    /// The number of the event, and its time of day.
    times: HashMap<Box<str>, (u64, Box<str>)>,
    events: u64,
}

impl LastHits {
    fn note(&mut self, event: &Event) {
        self.events += 1;
        let now = (self.events, event.clock_to_the_second());
        if let Some((number, clock)) = self.times.get_mut(&event.rule) {
            *number = now.0;
            if **clock != *now.1 {
                *clock = now.1.into();
            }
            return;
        }
        if self.times.len() >= MAX_LAST {
            let mut numbers: Vec<u64> = self.times.values().map(|(number, _)| *number).collect();
            numbers.sort_unstable();
            let middle = numbers.get(MAX_LAST / 2).copied().unwrap_or_default();
            self.times.retain(|_, (number, _)| *number >= middle);
        }
        self.times.insert(event.rule.clone(), (now.0, now.1.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::event::testing::packet;
    use super::*;

    fn page(total: usize, from: usize) -> RulesPage {
        let row = |n: usize| RuleRow { id: format!("rule-{n}"), ..RuleRow::default() };
        RulesPage { total, from, generation: 1, rows: (from..total.min(from + RULES_IN_PAGE)).map(row).collect() }
    }

    #[test]
    fn of_a_long_list_the_page_around_what_is_in_sight_is_asked_for() {
        let mut rules = Rules::default();
        assert!(!rules.lacks(20));
        rules.take(page(100_000, 0), 20);
        assert!(!rules.lacks(20) && rules.wanted() == 0);
        rules.go(Motion::Last, 20);
        assert!(rules.lacks(20) && rules.selected().is_none());
        assert_eq!(rules.wanted(), 99_480);
        rules.take(page(100_000, rules.wanted()), 20);
        assert!(!rules.lacks(20));
        assert_eq!(rules.selected().unwrap().id, "rule-99999");
        rules.take(page(3, 0), 20);
        assert_eq!(rules.selected().unwrap().id, "rule-2", "the list has become shorter");
    }

    #[test]
    fn the_last_hits_are_remembered_within_bounds() {
        let mut rules = Rules::default();
        let hit = |rules: &mut Rules, rule: &str| {
            rules.note(&packet("blocked", "incoming", "TCP", "192.0.2.1#1", "10.0.0.5#80", rule));
        };
        (0..2 * MAX_LAST).for_each(|n| hit(&mut rules, &format!("rule-{n}")));
        assert!(rules.last.times.len() <= MAX_LAST);
        assert_eq!((rules.last_hit("rule-0"), rules.last_hit("rule-8191")), (None, Some("19:40:01")));
    }
}
