//! The head: what pfw does and since when, its numbers, the panes; and the foot: keys, or what came of the last one.

use super::pen::Pen;
use super::theme::Theme;
use crate::control::Op;
use crate::control::report::Status;
use crate::text::{duration, grouped};
use crate::tui::keys::{Hint, hints};
use crate::tui::layout::Layout;
use crate::tui::state::{Dialog, Input, Link, Pane, Purpose, State};
use ratatui::buffer::Buffer;
use ratatui::layout::Position;
use ratatui::style::{Color, Modifier, Style};

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
    pen.put(&format!("  {} rules", grouped(status.rules.count as u64)), Style::new());
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
        pen.put(&format!(" all is taken back in {left} s unless C says that the rules may stay "), theme.warning());
    }
    let lost = counts.lost_kernel + counts.lost_reports + counts.lost_log;
    pen.put(" ", Style::new()).put(&grouped(status.packets_per_second), Style::new().add_modifier(Modifier::BOLD));
    pen.put(" packets/s", Style::new());
    for (name, n) in [("lost", lost), ("differences", counts.differences)] {
        let style = if n > 0 { theme.warning() } else { theme.dim() };
        pen.put(&format!("  {name} {}", grouped(n)), style);
    }
    let (word, dropped) =
        if status.enforcing { ("blocked", counts.blocked) } else { ("would be blocked", counts.would_block) };
    let words = [("seen", counts.packets), (word, dropped), ("suspicious", counts.suspicious)];
    let words = words.map(|(name, n)| format!("{} {name}", grouped(n))).join(", ");
    let (in_all, short) = (format!("  in all {words}"), format!("  in all {} {word}", grouped(dropped)));
    if pen.fits(&in_all) {
        pen.put(&in_all, theme.dim());
    } else {
        pen.put(&short, theme.dim());
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
    let mut pen = Pen::new(buffer, layout.foot, 0);
    if let Some(Dialog::Input(input)) = &state.dialog {
        return Some(typed(&mut pen, layout, input, theme));
    }
    if let Some(notice) = &state.notice {
        let (sign, style) = if notice.is_good { ("ok", theme.good()) } else { ("no", theme.bad()) };
        pen.put(&format!(" {sign}: {}", notice.words), style);
        return None;
    }
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
    if let Some(error) = &input.error {
        pen.put(&format!("  {error}"), theme.bad());
    }
    Position::new(layout.foot.x + start + width(input.cursor) - hidden, layout.foot.y)
}
