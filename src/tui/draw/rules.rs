//! The rules in their order, each with its hits and the last of them.

use super::list::{self, Rows};
use super::pen::Pen;
use super::theme::Theme;
use crate::control::Kind;
use crate::control::report::RuleRow;
use crate::text::{grouped, time};
use crate::tui::layout::Layout;
use crate::tui::state::State;
use ratatui::buffer::Buffer;
use ratatui::style::Style;

/// Columns of the remark.
const REMARKS: u16 = 24;

/// Draws them.
pub fn draw(buffer: &mut Buffer, layout: &Layout, state: &State, theme: Theme) {
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
    let matches = area.width.saturating_sub(2 + 6 + 7 + 12 + 9 + REMARKS);
    let rows = Rows { places: cursor.top..rules.total(), selected: Some(cursor.selected) };
    list::draw(buffer, area, &rows, theme, |pen, place| {
        match rules.row(place) {
            Some(rule) => draw_row(pen, rule, matches, theme),
            None => drop(pen.put("  ...", theme.dim())),
        }
        Style::new()
    });
}

fn draw_row(pen: &mut Pen<'_>, rule: &RuleRow, matches: u16, theme: Theme) {
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
    pen.column(&rule.matches, matches.saturating_sub(1), quiet).skip(1).column(&remark(rule), REMARKS, theme.dim());
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
