//! What lies above the panes: a page of text in a frame.

use super::pen::Pen;
use super::theme::Theme;
use crate::tui::state::{Kind, Menu, Page, Text};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::{Block, BorderType, Clear, Widget};

/// Columns of the names in a page.
const NAMES: u16 = 14;

/// Draws a choice.
pub fn menu(buffer: &mut Buffer, area: Rect, menu: &Menu, theme: Theme) {
    Clear.render(area, buffer);
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(theme.warning());
    let block = block.title_bottom(match menu.kind {
        Kind::Question => " y does it; any other letter, and Esc, leave it as it is ",
        Kind::Acts | Kind::Asks(_) => " Enter takes the marked line, its letter marks a line; Esc leaves it ",
    });
    let inner = block.inner(area);
    block.render(area, buffer);
    for (row, line) in (0..inner.height).zip(&menu.title) {
        Pen::new(buffer, inner, row).skip(1).put(line, Style::new().add_modifier(Modifier::BOLD));
    }
    let first = u16::try_from(menu.title.len() + 1).unwrap_or(u16::MAX);
    for (row, (place, choice)) in (first..inner.height).zip(menu.choices.iter().enumerate()) {
        let mut pen = Pen::new(buffer, inner, row);
        pen.put(if place == menu.selected { " > " } else { "   " }, theme.accent());
        pen.put(&choice.key.to_string(), theme.accent()).skip(2).put(&choice.words, Style::new());
        if place == menu.selected {
            buffer.set_style(Rect { y: inner.y + row, height: 1, ..inner }, theme.selected());
        }
    }
}

/// Draws a page.
pub fn draw(buffer: &mut Buffer, area: Rect, page: &Page, theme: Theme) {
    Clear.render(area, buffer);
    let more = page.lines.len() > page.top + usize::from(area.height.saturating_sub(2));
    let foot = if more { " more below; Esc closes " } else { " Esc closes " };
    let block = Block::bordered().border_type(BorderType::Rounded).border_style(theme.accent());
    let block = block.title(format!(" {} ", page.title)).title_bottom(foot);
    let inner = block.inner(area);
    block.render(area, buffer);
    for (row, line) in (0..inner.height).zip(page.lines.iter().skip(page.top)) {
        let mut pen = Pen::new(buffer, inner, row);
        pen.skip(1);
        match line {
            Text::Heading(words) => pen.put(words, theme.accent()),
            Text::Pair(name, value) => {
                pen.column(name, NAMES, Style::new().add_modifier(Modifier::BOLD)).put(value, Style::new())
            }
            Text::Words(words) => pen.put(words, Style::new()),
            Text::Gap => &mut pen,
        };
    }
}
