//! The lists: the log and the rules. The first row is the heading; the selected row has a `>`.

use super::pen::Pen;
use super::theme::Theme;
use crate::control::Kind;
use crate::control::report::RuleRow;
use crate::text::{grouped, time};
use crate::tui::event::{Event, Way};
use crate::tui::layout::Layout;
use crate::tui::state::{Log, State};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// From this width on the log has the rule beside each line, and milliseconds.
const WIDE: u16 = 100;
/// Columns of the rule there.
const RULE: u16 = 32;

/// Draws the log.
pub fn log(buffer: &mut Buffer, layout: &Layout, state: &State, theme: Theme) {
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
    for (row, place) in (1..area.height).zip(cursor.top..) {
        let Some(event) = log.row(place) else { break };
        let mut pen = Pen::new(buffer, area, row);
        let is_selected = place == cursor.selected && log.is_held();
        pen.put(if is_selected { "> " } else { "  " }, theme.accent());
        let time = if is_wide { event.clock() } else { event.clock_to_the_second() };
        pen.column(time, clock, theme.dim()).skip(1).column(event.kind.word(), 11, theme.kind(event.kind)).skip(1);
        pen.column(event.way.map_or("", Way::short), 4, Style::new()).column(&event.protocol, 7, Style::new()).skip(1);
        if event.src.is_some() {
            pen.column(&event.what(), ends, Style::new());
            if is_wide {
                pen.skip(1).column(&event.rule, RULE - 1, theme.dim());
            }
        } else {
            pen.put(&told(event), theme.kind(event.kind));
        }
        if is_selected {
            buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, theme.selected());
        } else if log.is_found(event) {
            buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, theme.found());
        }
    }
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

/// Draws the rules.
pub fn rules(buffer: &mut Buffer, layout: &Layout, state: &State, theme: Theme) {
    let (area, rules) = (layout.list, &state.rules);
    let mut pen = Pen::new(buffer, area, 0);
    pen.put("──", theme.dim()).number("#", 5, theme.accent()).skip(1).column("action", 7, theme.accent());
    pen.number("hits", 11, theme.accent())
        .skip(1)
        .column("last hit", 9, theme.accent())
        .put("packets ", theme.accent());
    pen.put_right(
        &format!(" {} of {} ─", grouped(rules.cursor().selected as u64 + 1), grouped(rules.total() as u64)),
        theme.dim(),
    );
    let cursor = rules.cursor();
    let (remarks, matches) = (24, area.width.saturating_sub(2 + 6 + 7 + 12 + 9 + 24));
    let end = rules.total().min(cursor.top + layout.rows());
    for (row, place) in (1..area.height).zip(cursor.top..end) {
        let mut pen = Pen::new(buffer, area, row);
        let is_selected = place == cursor.selected;
        pen.put(if is_selected { "> " } else { "  " }, theme.accent());
        if let Some(rule) = rules.row(place) {
            let style = match (&rule.idle, rule.action.as_str()) {
                (Some(_), _) => theme.dim(),
                (None, "allow") => theme.kind(Kind::Allowed),
                (None, "except") => Style::new(),
                (None, _) => theme.kind(Kind::Blocked),
            };
            let quiet = if rule.idle.is_some() { theme.dim() } else { Style::new() };
            let number = rule.number.map_or("off".to_owned(), |number| grouped(number as u64));
            pen.number(&number, 5, theme.dim()).skip(1).column(&rule.action, 7, style);
            pen.number(&rule.hits.map_or("\"".to_owned(), grouped), 11, quiet).skip(1);
            pen.column(&last_hit(rule), 8, theme.dim()).skip(1);
            pen.column(&rule.matches, matches - 1, quiet).skip(1).column(&remark(rule), remarks, theme.dim());
        } else {
            pen.put("  ...", theme.dim());
        }
        if is_selected {
            buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, theme.selected());
        }
    }
}

/// The time of day.
fn last_hit(rule: &RuleRow) -> String {
    let last = rule.last_hit.as_deref().map(time);
    last.as_deref().and_then(|last| last.split(' ').next_back()).unwrap_or("-").to_owned()
}

/// What else there is to say of a rule: why it has no effect, the user's words, or its place.
fn remark(rule: &RuleRow) -> String {
    match (&rule.idle, &rule.comment) {
        (Some(why), None) => why.clone(),
        (Some(why), Some(comment)) => format!("{why} # {comment}"),
        (None, Some(comment)) => format!("# {comment}"),
        (None, None) if rule.list == "rules" => rule.id.clone(),
        (None, None) => rule.list.clone(),
    }
}
