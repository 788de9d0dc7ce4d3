//! The connections that are tracked, each with the rule that it lives by.

use super::list::{self, Rows};
use super::pen::Pen;
use super::theme::Theme;
use crate::control::Kind;
use crate::control::report::ConnectionRow;
use crate::text::{duration, grouped};
use crate::tui::event::end;
use crate::tui::layout::Layout;
use crate::tui::state::State;
use ratatui::buffer::Buffer;
use ratatui::style::Style;

/// From this width on the state has a column.
const WIDE: u16 = 100;

/// Draws them.
pub fn draw(buffer: &mut Buffer, layout: &Layout, state: &State, theme: Theme) {
    let (area, connections) = (layout.list, &state.connections);
    let columns = Columns::new(area.width);
    let mut pen = Pen::new(buffer, area, 0);
    pen.put("─ ", theme.dim()).column("way", 4, theme.accent()).column("proto", 8, theme.accent());
    pen.column("opened by > other end", columns.ends + 1, theme.accent());
    pen.column("state", columns.state, theme.accent()).number("for", 12, theme.accent()).skip(2);
    pen.put("rule ", theme.accent());
    let (here, all) = connections.len();
    let all_words = grouped(all as u64);
    let of = if here < all { format!("{} of {all_words}", grouped(here as u64)) } else { all_words };
    pen.put_right(&format!(" {of} ─"), theme.dim());
    if here == 0 {
        Pen::new(buffer, area, 2).skip(4).put("no connections", theme.dim());
    }
    let cursor = connections.list.cursor;
    let rows = Rows { places: cursor.top..here, selected: Some(cursor.selected) };
    list::draw(buffer, area, &rows, theme, |pen, place| {
        if let Some(one) = connections.list.rows.get(place) {
            draw_row(pen, &columns, one, theme);
        }
        Style::new()
    });
}

fn draw_row(pen: &mut Pen<'_>, columns: &Columns, one: &ConnectionRow, theme: Theme) {
    let ends = format!("{} > {}", end(one.src, one.src_port), end(one.dst, one.dst_port));
    pen.column(way(one), 4, Style::new()).column(&one.protocol, 7, Style::new()).skip(1);
    pen.column(&ends, columns.ends, Style::new()).skip(1).column(standing(one), columns.state, theme.dim());
    pen.number(&duration(one.known_for), 12, theme.dim()).skip(2);
    if one.allowed {
        pen.put(&one.rule, theme.kind(Kind::Allowed));
    } else {
        pen.put("cut by ", theme.kind(Kind::Blocked)).put(&one.rule, theme.kind(Kind::Blocked));
    }
}

/// The widths of columns that depend on the screen's.
struct Columns {
    ends: u16,
    state: u16,
}

impl Columns {
    fn new(width: u16) -> Self {
        let (state, rule) = if width >= WIDE { (12, 28) } else { (0, 14) };
        Self { ends: width.saturating_sub(14 + state + 15 + rule), state }
    }
}

fn way(one: &ConnectionRow) -> &'static str {
    match one.direction.as_str() {
        "incoming" => "in",
        "outgoing" => "out",
        "loopback" => "lo",
        "forwarded" => "fwd",
        _ => "-",
    }
}

/// The state, or what stands for one where the protocol has none.
fn standing(one: &ConnectionRow) -> &str {
    match (one.state.as_str(), one.answered) {
        ("", true) => "answered",
        ("", false) => "unanswered",
        (state, _) => state,
    }
}
