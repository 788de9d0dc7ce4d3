//! Where things are on the screen: its size and the pane -> rectangles. The drawing and the mouse go by the same.

use super::state::Pane;
use ratatui::layout::Rect;

/// The smallest screen that has room for everything.
pub const SMALLEST: (u16, u16) = (80, 24);
/// From this width on the live pane has the busiest peers beside the chart.
const WIDE: u16 = 110;
/// Columns of what stands beside the chart.
const SIDE: u16 = 40;
/// Rows of the chart, at least and at most.
const CHART: (u16, u16) = (8, 16);

/// The rectangles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// What pfw does, and its numbers.
    pub head: Rect,
    /// The names of the panes.
    pub tabs: Rect,
    /// The chart.
    pub chart: Option<Rect>,
    /// The busiest, beside the chart.
    pub side: Option<Rect>,
    /// The list of the pane: a heading row, and rows below.
    pub list: Rect,
    /// Keys, or what came of the last one.
    pub foot: Rect,
}

impl Layout {
    /// The layout of a pane; none if the screen is too small.
    pub fn new((width, height): (u16, u16), pane: Pane) -> Option<Self> {
        if width < SMALLEST.0 || height < SMALLEST.1 {
            return None;
        }
        let body = Rect::new(0, 3, width, height - 4);
        let mut layout = Self {
            head: Rect::new(0, 0, width, 2),
            tabs: Rect::new(0, 2, width, 1),
            list: body,
            foot: Rect::new(0, height - 1, width, 1),
            ..Self::default()
        };
        if pane == Pane::Live {
            let rows = (body.height / 3).clamp(CHART.0, CHART.1);
            let side = if width >= WIDE { SIDE } else { 0 };
            layout.chart = Some(Rect { width: width - side, height: rows, ..body });
            layout.side = (side > 0).then_some(Rect { x: width - side, width: side, height: rows, ..body });
            layout.list = Rect { y: body.y + rows, height: body.height - rows, ..body };
        }
        Some(layout)
    }

    /// Rows of the list, without its heading.
    pub fn rows(&self) -> usize {
        usize::from(self.list.height.saturating_sub(1))
    }

    /// The row of the list at a place of the screen.
    pub fn row_at(&self, column: u16, row: u16) -> Option<usize> {
        let inside =
            column >= self.list.x && column < self.list.right() && row > self.list.y && row < self.list.bottom();
        inside.then(|| usize::from(row - self.list.y - 1))
    }

    /// The pane whose name is at a place of the screen.
    pub fn tab_at(&self, column: u16, row: u16) -> Option<Pane> {
        let here = |pane: &Pane| {
            let (start, end) = tab(*pane);
            column >= start && column < end
        };
        (row == self.tabs.y).then(|| Pane::ALL.into_iter().find(here)).flatten()
    }
}

/// The columns of a pane's name: ` 1 Live `, and one between two names.
pub fn tab(pane: Pane) -> (u16, u16) {
    let width = |pane: Pane| u16::try_from(pane.title().len() + 4).unwrap_or(u16::MAX);
    let start = Pane::ALL.into_iter().take_while(|other| *other != pane).map(|pane| width(pane) + 1).sum();
    (start, start + width(pane))
}

/// A rectangle in the middle of the screen for what lies above everything else.
pub fn middle((width, height): (u16, u16), columns: u16, rows: u16) -> Rect {
    let (columns, rows) = (columns.min(width), rows.min(height));
    Rect::new((width - columns) / 2, (height - rows) / 2, columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_screen_belongs_to_something_and_nothing_overlaps() {
        for size in [(80, 24), (109, 24), (110, 30), (120, 40), (300, 100)] {
            for pane in Pane::ALL {
                let layout = Layout::new(size, pane).unwrap();
                let all = [
                    Some(layout.head),
                    Some(layout.tabs),
                    layout.chart,
                    layout.side,
                    Some(layout.list),
                    Some(layout.foot),
                ];
                let area: u32 = all.iter().flatten().map(|rect| rect.area()).sum();
                assert_eq!(area, u32::from(size.0) * u32::from(size.1), "{size:?} {pane:?}");
                assert!(layout.rows() >= 10, "{size:?} {pane:?}");
            }
        }
        assert_eq!(Layout::new((79, 24), Pane::Live), None);
        assert_eq!(Layout::new((80, 23), Pane::Live), None);
    }

    #[test]
    fn the_mouse_finds_what_is_drawn() {
        let layout = Layout::new((80, 24), Pane::Rules).unwrap();
        assert_eq!(
            (layout.tab_at(0, 2), layout.tab_at(9, 2), layout.tab_at(8, 2)),
            (Some(Pane::Live), Some(Pane::Rules), None)
        );
        assert_eq!((layout.tab_at(0, 1), layout.tab_at(79, 2)), (None, None));
        assert_eq!(
            (layout.row_at(5, 3), layout.row_at(5, 4), layout.row_at(5, 22), layout.row_at(5, 23)),
            (None, Some(0), Some(18), None)
        );
    }

    #[test]
    fn what_lies_above_stays_on_the_screen() {
        assert_eq!(middle((80, 24), 40, 10), Rect::new(20, 7, 40, 10));
        assert_eq!(middle((10, 3), 40, 10), Rect::new(0, 0, 10, 3));
    }
}
