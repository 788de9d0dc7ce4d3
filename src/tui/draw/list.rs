//! A list of rows under a heading. The selected row has a `>` in front of it, as a sign beside its style.

use super::pen::Pen;
use super::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::ops::Range;

/// The rows of a list that are to be drawn.
pub struct Rows {
    /// The places in the list from the first that is shown to the list's end.
    pub places: Range<usize>,
    /// The selected place, if one is.
    pub selected: Option<usize>,
}

/// Draws rows into an area, below its first row, which is the heading's. `draw_row` writes one, and tells the ground that
/// it stands on while it is not selected.
pub fn draw(
    buffer: &mut Buffer,
    area: Rect,
    rows: &Rows,
    theme: Theme,
    mut draw_row: impl FnMut(&mut Pen<'_>, usize) -> Style,
) {
    for (row, place) in (1..area.height).zip(rows.places.clone()) {
        let is_selected = rows.selected == Some(place);
        let mut pen = Pen::new(buffer, area, row);
        pen.put(if is_selected { "> " } else { "  " }, theme.accent());
        let ground = draw_row(&mut pen, place);
        let line = Rect { y: area.y + row, height: 1, ..area };
        buffer.set_style(line, if is_selected { theme.selected() } else { ground });
    }
}
