//! Puts text into cells: cut where its column ends, and with nothing in it that a terminal would obey.

use crate::text::visible;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Writes into one row of the screen, from left to right.
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    x: u16,
    end: u16,
    y: u16,
}

impl<'a> Pen<'a> {
    /// A pen at the beginning of a rectangle's row, from 0.
    pub fn new(buffer: &'a mut Buffer, area: Rect, row: u16) -> Self {
        let area = area.intersection(buffer.area);
        let end = if row < area.height { area.right() } else { area.x };
        Self { buffer, x: area.x, end, y: area.y.saturating_add(row) }
    }

    /// Writes, as far as there is room.
    pub fn put(&mut self, text: &str, style: Style) -> &mut Self {
        let room = usize::from(self.end - self.x);
        if room > 0 {
            (self.x, _) = self.buffer.set_stringn(self.x, self.y, visible(text), room, style);
        }
        self
    }

    /// Writes into a column of so many cells; what is too long ends in `…`.
    pub fn column(&mut self, text: &str, width: u16, style: Style) -> &mut Self {
        let width = width.min(self.end - self.x);
        let end = self.x + width;
        if width == 0 {
            return self;
        }
        let (after, _) = self.buffer.set_stringn(self.x, self.y, visible(text), width.into(), style);
        if text.chars().count() > usize::from(width) && after == end {
            self.buffer.set_stringn(end - 1, self.y, "…", 1, style);
        }
        self.x = end;
        self
    }

    /// Writes at the right end of a column of so many cells.
    pub fn number(&mut self, text: &str, width: u16, style: Style) -> &mut Self {
        let length = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
        self.skip(width.saturating_sub(length)).column(text, width.min(length), style)
    }

    /// Leaves cells as they are.
    pub fn skip(&mut self, cells: u16) -> &mut Self {
        self.x = self.x.saturating_add(cells).min(self.end);
        self
    }

    /// Whether there is room for all of it, and a gap in front of it.
    pub fn fits(&self, text: &str) -> bool {
        text.chars().count() < usize::from(self.room())
    }

    /// Writes at the right end of the row, if there is room, and a gap in front of it.
    pub fn put_right(&mut self, text: &str, style: Style) -> &mut Self {
        if self.fits(text) {
            let length = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
            self.x = self.end - length;
            self.put(text, style);
        }
        self
    }

    /// Fills the rest of the row.
    pub fn fill(&mut self, symbol: &str, style: Style) {
        while self.x < self.end {
            self.put(symbol, style);
        }
    }

    /// Cells that are left.
    pub fn room(&self) -> u16 {
        self.end - self.x
    }
}
