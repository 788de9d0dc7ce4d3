//! The head: what pfw does and since when, its numbers, the panes; and the foot: keys, a line that is typed, or what came
//! of the last key, in as many rows as it takes.

use super::pen::Pen;
use super::theme::Theme;
use crate::control::Op;
use crate::control::report::Status;
use crate::text::{duration, grouped};
use crate::tui::keys::{Hint, hints};
use crate::tui::layout::Layout;
use crate::tui::state::{Dialog, Input, Link, Notice, Pane, Purpose, State, wrap};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::{Clear, Widget};

/// Rows of words that are said at the foot, at most.
const MOST_SAID: usize = 8;
/// Seconds of a day, from which on the time of day does not tell when pfw started.
const DAY: u64 = 86_400;

/// Draws the head.
pub fn draw(buffer: &mut Buffer, layout: &Layout, state: &State, theme: Theme) {
    let status = &state.status;
    let (badge, colour) = doing(state);
    let mut pen = Pen::new(buffer, layout.head, 0);
    pen.put(" pfw ", Style::new().add_modifier(Modifier::BOLD)).put(&format!(" {badge} "), theme.badge(colour));
    if status.regime.monitoring_paused.is_some() {
        pen.skip(1).put(" NOT MONITORING ", theme.badge(Color::Yellow));
    }
    if status.regime.panic.is_none() {
        pen.put(&format!("  {} rules", grouped(status.rules.count as u64)), Style::new());
    }
    pen.put(&format!("  since {} ({})", since(status), duration(status.uptime)), Style::new());
    if let Some(tools) = status.tools.as_ref().map(|tools| format!("  by {tools}")).filter(|tools| pen.fits(tools)) {
        pen.put(&tools, theme.dim());
    }
    numbers(&mut Pen::new(buffer, layout.head, 1), state, theme);
    tabs(&mut Pen::new(buffer, layout.tabs, 0), state, theme);
}

fn doing(state: &State) -> (&'static str, Color) {
    let regime = &state.status.regime;
    match (&state.link, state.status.enforcing, &state.status.tools) {
        (Link::Down(_), ..) => ("CONNECTION LOST", Color::Red),
        (Link::Up, ..) if regime.panic.is_some() => ("PANIC: ALL IS BLOCKED", Color::Red),
        (Link::Up, ..) if regime.enforcement_paused.is_some() => ("PAUSED: NOTHING IS BLOCKED", Color::Yellow),
        (Link::Up, true, Some(_)) if state.status.degraded => ("DEGRADED", Color::Red),
        (Link::Up, true, Some(_)) => ("ENFORCING", Color::Green),
        (Link::Up, true, None) => ("ABOUT TO ENFORCE", Color::Yellow),
        (Link::Up, false, _) => ("WATCHING", Color::Cyan),
    }
}

/// The time of day, of the last day; else the date.
fn since(status: &Status) -> &str {
    let (date, time) = status.since.split_once(' ').unwrap_or((&status.since, &status.since));
    if status.uptime < DAY { time } else { date }
}

fn numbers(pen: &mut Pen<'_>, state: &State, theme: Theme) {
    if let Link::Down(why) = &state.link {
        pen.put(&format!(" {why}; trying again, q leaves"), theme.bad());
        return;
    }
    let (status, counts) = (&state.status, &state.status.counts);
    if let Some(left) = status.confirm {
        let key = if state.confirms_by_enter() { "Enter" } else { "C" };
        pen.put(&format!(" all is taken back in {left} s unless you press {key} "), theme.warning());
    }
    let lost = counts.lost_kernel + counts.lost_reports + counts.lost_log;
    pen.put(" ", Style::new()).put(&grouped(status.packets_per_second), Style::new().add_modifier(Modifier::BOLD));
    pen.put(" packets/s", Style::new());
    for (name, n) in [("lost", lost), ("differences", counts.differences)] {
        let style = if n > 0 { theme.warning() } else { theme.dim() };
        let words = format!("  {name} {}", grouped(n));
        if !pen.fits(&words) {
            return;
        }
        pen.put(&words, style);
    }
    let (word, dropped) =
        if status.enforcing { ("blocked", counts.blocked) } else { ("would be blocked", counts.would_block) };
    let incidents = state.incidents.count() as u64;
    let words = [
        ("seen", counts.packets),
        (word, dropped),
        ("odd", counts.suspicious),
        (if incidents == 1 { "incident" } else { "incidents" }, incidents),
    ];
    let words = words.map(|(name, n)| format!("{} {name}", grouped(n))).join(", ");
    let (in_all, short) = (format!("  in all {words}"), format!("  in all {} {word}", grouped(dropped)));
    if let Some(words) = [&in_all, &short].into_iter().find(|words| pen.fits(words)) {
        pen.put(words, theme.dim());
    }
}

fn tabs(pen: &mut Pen<'_>, state: &State, theme: Theme) {
    for (pane, number) in Pane::ALL.into_iter().zip(1..) {
        let style = if pane == state.pane { theme.badge(Color::Cyan) } else { theme.dim() };
        pen.put(&format!(" {number} {} ", pane.title()), style).skip(1);
    }
    let warnings = state.status.warnings.len();
    if warnings > 0 {
        let s = if warnings == 1 { "" } else { "s" };
        pen.put_right(&format!("! {warnings} warning{s}: w "), theme.warning());
    }
}

/// Draws the foot. Where the cursor of a line that is typed is.
pub fn foot(buffer: &mut Buffer, layout: &Layout, state: &State, theme: Theme) -> Option<Position> {
    let said = state.notice.as_ref().map(|notice| said(notice, theme));
    if let Some(Dialog::Input(input)) = &state.dialog {
        let above = Rect { y: layout.foot.y - 1, ..layout.foot };
        if let Some((words, style)) = input.error.clone().map(|error| (error, theme.bad())).or(said) {
            say(buffer, above, &words, style);
        }
        return Some(typed(&mut Pen::new(buffer, layout.foot, 0), layout, input, theme));
    }
    if let Some((words, style)) = said {
        say(buffer, layout.foot, &words, style);
        return None;
    }
    let mut pen = Pen::new(buffer, layout.foot, 0);
    let (own, always) = hints(state.pane);
    let width = |hints: &[Hint]| hints.iter().map(|(key, words)| key.len() + words.len() + 3).sum::<usize>();
    for (key, words) in own {
        if usize::from(pen.room()) > width(&[(key, words)]) + width(&always) {
            put_hint(&mut pen, (key, words), theme);
        }
    }
    let gap = usize::from(pen.room()).saturating_sub(width(&always));
    pen.skip(u16::try_from(gap).unwrap_or_default());
    for hint in always {
        put_hint(&mut pen, hint, theme);
    }
    None
}

/// What came of the last key, and how it looks.
fn said(notice: &Notice, theme: Theme) -> (String, Style) {
    let (sign, style) = if notice.is_good { ("ok", theme.good()) } else { ("no", theme.bad()) };
    (format!("{sign}: {}", notice.words), style)
}

/// Writes words so that they end in a row, over as many rows above it as they take.
fn say(buffer: &mut Buffer, last: Rect, words: &str, style: Style) {
    let mut lines = wrap(words, usize::from(last.width.saturating_sub(2)));
    if lines.len() > MOST_SAID {
        lines.truncate(MOST_SAID);
        if let Some(line) = lines.last_mut() {
            line.push('…');
        }
    }
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let area = Rect { y: (last.y + 1).saturating_sub(rows), height: rows, ..last };
    Clear.render(area, buffer);
    for (row, line) in (0..rows).zip(lines) {
        Pen::new(buffer, area, row).skip(1).put(&line, style);
    }
}

fn put_hint(pen: &mut Pen<'_>, (key, words): Hint, theme: Theme) {
    pen.put(&format!(" {key}"), theme.accent()).put(&format!(" {words} "), theme.dim());
}

fn typed(pen: &mut Pen<'_>, layout: &Layout, input: &Input, theme: Theme) -> Position {
    let title = match input.purpose {
        Purpose::Filter => " filter: ",
        Purpose::Search => " search: ",
        Purpose::Target(Op::Allow) => " allow (192.168.1.7, 10.0.0.0/8, 80, 445/tcp, icmp): ",
        Purpose::Target(_) => " block (192.168.1.7, 10.0.0.0/8, 80, 445/tcp, icmp): ",
    };
    let room = layout.foot.width;
    let width = |characters: usize| u16::try_from(characters).unwrap_or(u16::MAX);
    let start = width(title.len());
    // The end of a long line is seen, where the cursor is most of the time.
    let hidden = width(input.cursor).saturating_sub(room.saturating_sub(start + 2));
    let text: String = input.text.chars().skip(hidden.into()).collect();
    pen.put(title, theme.accent()).put(&text, Style::new());
    Position::new(layout.foot.x + start + width(input.cursor) - hidden, layout.foot.y)
}
