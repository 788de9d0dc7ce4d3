//! The state -> a frame. Nothing here changes anything.

mod chart;
mod connections;
mod head;
mod incidents;
mod list;
mod log;
mod pages;
mod pen;
mod rules;
mod talkers;
mod theme;

pub use theme::Theme;

use super::layout::SMALLEST;
use super::state::{Dialog, Pane, State};
use pen::Pen;
use ratatui::Frame;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, state: &State, theme: Theme) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let Some(layout) = state.layout() else {
        let (width, height) = SMALLEST;
        let words = format!("pfw needs {width}x{height}, this is {}x{}; q leaves", area.width, area.height);
        Pen::new(buffer, area, 0).put(&words, theme.warning());
        return;
    };
    head::draw(buffer, &layout, state, theme);
    if let Some(area) = layout.chart {
        chart::draw(buffer, area, &state.history, state.status.enforcing, theme);
    }
    if let Some(area) = layout.side {
        talkers::busiest(buffer, area, state, theme);
    }
    match state.pane {
        Pane::Live => log::draw(buffer, &layout, state, theme),
        Pane::Rules => rules::draw(buffer, &layout, state, theme),
        Pane::Talkers => talkers::draw(buffer, &layout, state, theme),
        Pane::Connections => connections::draw(buffer, &layout, state, theme),
        Pane::Incidents => incidents::draw(buffer, &layout, state, theme),
    }
    let cursor = head::foot(buffer, &layout, state, theme);
    if let Some(Dialog::Page(page)) = &state.dialog {
        pages::draw(buffer, state.page_area(), page, theme);
    }
    if let Some(Dialog::Menu(menu)) = &state.dialog {
        pages::menu(buffer, state.menu_area(menu), menu, theme);
    }
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}
