//! Lists of which some rows are in sight and one is selected.

use crate::tui::keys::Motion;

/// A place in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The selected row.
    pub selected: usize,
    /// The first row that is shown.
    pub top: usize,
}

impl Cursor {
    /// Moves in a list of `len` rows of which `height` are shown.
    pub fn go(&mut self, motion: Motion, len: usize, height: usize) {
        let page = height.max(2) - 1;
        self.selected = match motion {
            Motion::Up => self.selected.saturating_sub(1),
            Motion::Down => self.selected.saturating_add(1),
            Motion::PageUp => self.selected.saturating_sub(page),
            Motion::PageDown => self.selected.saturating_add(page),
            Motion::First => 0,
            Motion::Last => usize::MAX,
        };
        self.fit(len, height);
    }

    /// Selects a row of those in sight, if there is one; tells whether.
    pub fn select(&mut self, row: usize, len: usize, height: usize) -> bool {
        let place = self.top.saturating_add(row);
        if place >= len {
            return false;
        }
        self.selected = place;
        self.fit(len, height);
        true
    }

    /// Keeps it inside a list that has changed, and the selected row in sight.
    pub fn fit(&mut self, len: usize, height: usize) {
        self.selected = self.selected.min(len.saturating_sub(1));
        let lowest = self.selected.saturating_sub(height.max(1) - 1);
        self.top = self.top.clamp(lowest, self.selected).min(len.saturating_sub(height));
    }

    /// So many rows have gone from the list's beginning.
    pub fn lost(&mut self, rows: usize) {
        self.selected = self.selected.saturating_sub(rows);
        self.top = self.top.saturating_sub(rows);
    }
}

/// Rows, and where one is in them.
#[derive(Debug)]
pub struct List<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// The place.
    pub cursor: Cursor,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), cursor: Cursor::default() }
    }
}

impl<T> List<T> {
    /// Moves.
    pub fn go(&mut self, motion: Motion, height: usize) {
        self.cursor.go(motion, self.rows.len(), height);
    }

    /// Selects a row of those in sight.
    pub fn select(&mut self, row: usize, height: usize) {
        self.cursor.select(row, self.rows.len(), height);
    }

    /// Keeps the place inside when rows have come or gone.
    pub fn fit(&mut self, height: usize) {
        self.cursor.fit(self.rows.len(), height);
    }

    /// The selected row.
    pub fn selected(&self) -> Option<&T> {
        self.rows.get(self.cursor.selected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn movements_stay_inside_and_keep_the_selected_row_in_sight() {
        let mut cursor = Cursor::default();
        cursor.go(Motion::Last, 100, 10);
        assert_eq!(cursor, Cursor { selected: 99, top: 90 });
        cursor.go(Motion::PageUp, 100, 10);
        assert_eq!(cursor, Cursor { selected: 90, top: 90 });
        cursor.go(Motion::Up, 100, 10);
        assert_eq!(cursor, Cursor { selected: 89, top: 89 });
        cursor.go(Motion::First, 100, 10);
        assert_eq!(cursor, Cursor::default());
        cursor.go(Motion::Down, 1, 10);
        assert_eq!(cursor, Cursor::default());
    }

    proptest! {
        #[test]
        fn whatever_becomes_of_the_list_the_selected_row_is_one_that_is_shown(
            selected in any::<usize>(), top in any::<usize>(), len in 0_usize..50, height in 0_usize..20,
        ) {
            let mut cursor = Cursor { selected, top };
            cursor.fit(len, height);
            prop_assert!(cursor.selected < len.max(1));
            prop_assert!(cursor.top <= cursor.selected && cursor.selected < cursor.top + height.max(1));
        }
    }
}
