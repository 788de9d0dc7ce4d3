//! The log: its newest lines, or those around the one at which it is held.

use super::list::{self, Rows};
use super::pen::Pen;
use super::theme::Theme;
use crate::control::Kind;
use crate::text::grouped;
use crate::tui::event::{Event, Way};
use crate::tui::layout::Layout;
use crate::tui::state::{Log, State};
use ratatui::buffer::Buffer;
use ratatui::style::Style;

/// From this width on the log has the rule beside each line, and milliseconds.
const WIDE: u16 = 100;
/// Columns of the rule there.
const RULE: u16 = 32;

/// Draws it.
pub fn draw(buffer: &mut Buffer, layout: &Layout, state: &State, theme: Theme) {
    let (area, log) = (layout.list, &state.log);
    let is_wide = area.width >= WIDE;
    let clock = if is_wide { 12 } else { 8 };
    let ends = area.width.saturating_sub(clock + 28 + if is_wide { RULE } else { 0 });
    let mut pen = Pen::new(buffer, area, 0);
    pen.put("─ ", theme.dim()).column("time", clock + 1, theme.accent()).column("verdict", 12, theme.accent());
    pen.column("way", 4, theme.accent()).column("proto", 8, theme.accent()).put("from > to ", theme.accent());
    let style = if log.is_held() { theme.warning() } else { theme.dim() };
    for words in log_state(log, layout.rows()) {
        if pen.fits(&words) {
            pen.put_right(&words, style);
            break;
        }
    }
    let (shown, all) = log.len();
    let cursor = log.cursor();
    if shown == 0 {
        let words = if all == 0 {
            "no events yet"
        } else {
            "no line for which all words of the filter are true; Esc takes it away"
        };
        Pen::new(buffer, area, 2).skip(4).put(words, theme.dim());
    }
    let rows = Rows { places: cursor.top..shown, selected: log.is_held().then_some(cursor.selected) };
    list::draw(buffer, area, &rows, theme, |pen, place| {
        let Some(event) = log.row(place) else { return Style::new() };
        let time = if is_wide { event.clock() } else { event.clock_to_the_second() };
        pen.column(time, clock, theme.dim()).skip(1).column(event.kind.word(), 11, theme.kind(event.kind)).skip(1);
        pen.column(event.way.map_or("", Way::short), 4, Style::new()).column(&event.protocol, 7, Style::new()).skip(1);
        if event.src.is_some() {
            pen.column(&event.what(), ends, Style::new());
            if is_wide {
                pen.skip(1).column(&event.rule, RULE - 1, theme.dim());
            }
        } else {
            let room = pen.room();
            pen.column(&told(event), room, theme.kind(event.kind));
        }
        if log.is_found(event) { theme.found() } else { Style::new() }
    });
}

/// How the log stands: in full, and shorter and shorter.
fn log_state(log: &Log, rows: usize) -> [String; 3] {
    let (shown, all) = log.len();
    let lines = if log.filter().is_empty() {
        format!("{} lines", grouped(all as u64))
    } else {
        format!("filter '{}': {} of {}", log.filter().text(), grouped(shown as u64), grouped(all as u64))
    };
    let missed = if log.missed > 0 { format!(", {} not shown", grouped(log.missed)) } else { String::new() };
    let (state, short) = match (log.is_held(), log.below(rows)) {
        (false, _) => ("running".to_owned(), "running"),
        (true, 0) => ("HELD".to_owned(), "HELD"),
        (true, below) => (format!("HELD, {} below", grouped(below as u64)), "HELD"),
    };
    [format!(" {lines}{missed}, {state} ─"), format!(" {lines}, {state} ─"), format!(" {short} ─")]
}

/// What a line tells that is about no packet.
fn told(event: &Event) -> String {
    match event.kind {
        Kind::Lost => format!("{} events: {}", grouped(event.lost), event.reason),
        _ => event.reason.to_string(),
    }
}
