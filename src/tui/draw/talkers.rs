//! Who talks most: peers, ports and protocols, each with a bar for its share.

use super::pen::Pen;
use super::theme::Theme;
use crate::control::Kind;
use crate::text::{grouped, size};
use crate::tui::layout::Layout;
use crate::tui::state::State;
use crate::tui::talkers::Share;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::fmt::Display;

/// Cells of a share bar.
const BAR: u16 = 16;

/// Draws the tables, one below the other.
pub fn draw(buffer: &mut Buffer, layout: &Layout, state: &State, theme: Theme) {
    let (area, talkers) = (layout.list, &state.talkers);
    let rows = area.height / 3;
    let part =
        |n: u16| Rect { y: area.y + n * rows, height: if n == 2 { area.height - 2 * rows } else { rows }, ..area };
    let selected = |which: usize| (state.table.which == which).then_some(state.table.row);
    let total = talkers.total;
    Table { title: "peers", total, selected: selected(0) }.draw(buffer, part(0), &talkers.peers.busiest(), theme);
    Table { title: "ports", total, selected: selected(1) }.draw(buffer, part(1), &talkers.ports.busiest(), theme);
    Table { title: "protocols", total, selected: selected(2) }.draw(
        buffer,
        part(2),
        &talkers.protocols.busiest(),
        theme,
    );
}

/// Draws the busiest peers beside the chart.
pub fn busiest(buffer: &mut Buffer, area: Rect, state: &State, theme: Theme) {
    let table = Table { title: "busiest peers", total: state.talkers.total, selected: None };
    table.draw(buffer, area, &state.talkers.peers.busiest(), theme);
}

/// One table.
struct Table {
    title: &'static str,
    /// What shares are shares of.
    total: Share,
    selected: Option<usize>,
}

impl Table {
    fn draw<K: Display>(&self, buffer: &mut Buffer, area: Rect, rows: &[(K, Share)], theme: Theme) {
        let is_wide = area.width >= 70;
        let mut pen = Pen::new(buffer, area, 0);
        pen.put("─ ", theme.dim()).put(self.title, theme.accent()).put(" ", Style::new()).fill("─", theme.dim());
        let (bar, numbers) = if is_wide { (BAR, 36) } else { (8, 8) };
        let name = area.width.saturating_sub(bar + numbers + 9);
        // The selected row is in sight.
        let top = self.selected.map_or(0, |selected| (selected + 2).saturating_sub(area.height.into()));
        for (row, (place, (key, share))) in (1..area.height).zip(rows.iter().enumerate().skip(top)) {
            let is_selected = self.selected == Some(place);
            let mut pen = Pen::new(buffer, area, row);
            let percent = share.packets * 100 / self.total.packets.max(1);
            pen.put(if is_selected { ">" } else { " " }, theme.accent());
            pen.column(&key.to_string(), name, Style::new()).skip(1);
            draw_bar(&mut pen, bar, *share, self.total, theme);
            pen.number(&format!("{percent} %"), 5, Style::new()).number(&grouped(share.packets), 8, theme.dim());
            if is_wide {
                pen.number(&size(share.bytes), 13, theme.dim());
                let style = if share.blocked > 0 { theme.kind(Kind::Blocked) } else { theme.dim() };
                pen.number(&format!("{} blocked", grouped(share.blocked)), 15, style);
            }
            if is_selected {
                buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, theme.selected());
            }
        }
    }
}

/// A bar for a share, to an eighth of a cell: what was let through in one symbol, what was blocked in another.
fn draw_bar(pen: &mut Pen<'_>, cells: u16, share: Share, total: Share, theme: Theme) {
    let bar = Bar::new(cells, share, total);
    let (allowed, blocked) = (theme.kind(Kind::Allowed), theme.kind(Kind::Blocked));
    pen.put(&"█".repeat(bar.allowed.into()), allowed);
    pen.put(&"▒".repeat(bar.blocked.into()), blocked);
    pen.put(bar.rest, if bar.ends_blocked { blocked } else { allowed });
    pen.skip(cells - bar.allowed - bar.blocked - u16::from(!bar.rest.is_empty()));
}

/// The cells of a bar.
#[derive(Debug, PartialEq, Eq)]
struct Bar {
    /// Full ones, of what was let through.
    allowed: u16,
    /// Full ones, of what was blocked.
    blocked: u16,
    /// The last one, if it is not full.
    rest: &'static str,
    /// That this is of what was blocked.
    ends_blocked: bool,
}

impl Bar {
    fn new(cells: u16, share: Share, total: Share) -> Self {
        /// None to seven eighths of a cell (Unicode, Block Elements).
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        let of = |packets: u64, units: u16| {
            let units = u128::from(packets) * u128::from(units) / u128::from(total.packets.max(1));
            u16::try_from(units).unwrap_or_default()
        };
        let is_seen = of(share.packets, 100) > 0;
        let eighths = of(share.packets, cells * 8).max(u16::from(is_seen));
        let (full, rest) = (eighths / 8, usize::from(eighths % 8));
        // Each part is seen, as far as there is room for both; else the larger one.
        let is_mostly_blocked = share.blocked * 2 >= share.packets && share.blocked > 0;
        let most = if is_mostly_blocked { full } else { full.saturating_sub(1) };
        let blocked = of(share.blocked, cells).max(u16::from(share.blocked > 0)).min(most);
        let ends_blocked = blocked > 0 || is_mostly_blocked;
        let rest = EIGHTHS.get(rest).copied().unwrap_or_default();
        Self { allowed: full - blocked, blocked, rest, ends_blocked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(cells: u16, packets: u64, blocked: u64) -> String {
        let share = |packets, blocked| Share { packets, bytes: 0, blocked };
        let Bar { allowed, blocked, rest, ends_blocked } = Bar::new(cells, share(packets, blocked), share(1_000, 0));
        let end = if ends_blocked && !rest.is_empty() { "!" } else { "" };
        "█".repeat(allowed.into()) + &"▒".repeat(blocked.into()) + rest + end
    }

    #[test]
    fn shares_that_differ_have_bars_that_differ_and_next_to_nothing_has_none() {
        assert_eq!(
            [0, 9, 10, 30, 90, 170, 1_000].map(|packets| bar(8, packets, 0)),
            ["", "", "▏", "▏", "▋", "█▎", "████████"]
        );
        assert_eq!([0, 10, 30, 90, 170].map(|packets| bar(16, packets, 0)), ["", "▏", "▍", "█▍", "██▋"]);
    }

    #[test]
    fn what_was_blocked_is_seen_where_there_is_room_and_never_hides_more_than_it_is() {
        assert_eq!(bar(8, 500, 250), "██▒▒");
        assert_eq!(bar(8, 500, 1), "███▒");
        assert_eq!(bar(8, 170, 1), "█▎", "no room for both");
        assert_eq!(bar(8, 170, 170), "▒▎!");
        assert_eq!([bar(8, 90, 90), bar(8, 90, 40)], ["▋!", "▋"]);
        assert_eq!(bar(8, 500, 500), "▒▒▒▒");
    }
}
