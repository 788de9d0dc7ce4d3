//! What is suspicious, each with how grave it is, who does it, how much there is of it, and until when he is banned.

use super::list::{self, Rows};
use super::pen::Pen;
use super::theme::Theme;
use crate::control::Kind;
use crate::text::{grouped, time};
use crate::tui::layout::Layout;
use crate::tui::state::{Incident, State};
use ratatui::buffer::Buffer;
use ratatui::style::Style;

/// From this width on the words of each have a column.
const WIDE: u16 = 100;

/// Draws them.
pub fn draw(buffer: &mut Buffer, layout: &Layout, state: &State, theme: Theme) {
    let (area, incidents) = (layout.list, &state.incidents);
    let is_wide = area.width >= WIDE;
    let mut pen = Pen::new(buffer, area, 0);
    pen.put("─ ", theme.dim()).column("last", 9, theme.accent()).column("since", 9, theme.accent());
    pen.column("grave", 7, theme.accent()).column("what", 21, theme.accent()).column("source", 17, theme.accent());
    pen.number("packets", 9, theme.accent()).skip(1);
    pen.put(if is_wide { "banned, or what it is " } else { "" }, theme.accent());
    let bans = state.status.bans.len();
    let banned = if bans > 0 { format!(", {} banned", grouped(bans as u64)) } else { String::new() };
    pen.put_right(&format!(" {}{banned} ─", grouped(incidents.list.rows.len() as u64)), theme.dim());
    if incidents.list.rows.is_empty() {
        let words = "nothing suspicious since this view was opened; the log has what was before";
        Pen::new(buffer, area, 2).skip(4).put(words, theme.dim());
    }
    let cursor = incidents.list.cursor;
    let rows = Rows { places: cursor.top..incidents.list.rows.len(), selected: Some(cursor.selected) };
    list::draw(buffer, area, &rows, theme, |pen, place| {
        if let Some(one) = incidents.list.rows.get(place) {
            draw_row(pen, state, one, theme);
        }
        Style::new()
    });
}

fn draw_row(pen: &mut Pen<'_>, state: &State, one: &Incident, theme: Theme) {
    let grave = if one.what.severity == 1 { theme.kind(Kind::Blocked) } else { theme.kind(Kind::Suspicious) };
    let source = one.source().map_or("many".to_owned(), |source| source.to_string());
    pen.column(&one.last, 9, Style::new()).column(&one.since, 9, theme.dim());
    pen.column(one.what.grave(), 7, grave).column(&one.what.name, 20, Style::new()).skip(1);
    pen.column(&source, 17, Style::new()).number(&grouped(one.packets), 9, Style::new()).skip(1);
    match state.ban_of(one) {
        Some(ban) => {
            let until = time(&ban.until);
            pen.put("until ", theme.kind(Kind::Blocked))
                .put(until.get(11..16).unwrap_or(&until), theme.kind(Kind::Blocked));
        }
        None => drop(pen.put(&one.line.reason, theme.dim())),
    }
}
