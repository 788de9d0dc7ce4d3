//! The rules of the running pfw: those in sight, with their hits.

use super::cursor::Cursor;
use crate::control::limits::RULES_IN_PAGE;
use crate::control::report::{RuleRow, RulesPage};
use crate::tui::keys::Motion;

/// The rules.
#[derive(Debug, Default)]
pub struct Rules {
    page: RulesPage,
    cursor: Cursor,
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

    /// Moves.
    pub fn go(&mut self, motion: Motion, height: usize) {
        self.cursor.go(motion, self.page.total, height);
    }

    /// Selects a row of those in sight.
    pub fn select(&mut self, row: usize, height: usize) {
        self.cursor.select(row, self.page.total, height);
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
}

#[cfg(test)]
mod tests {
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
}
