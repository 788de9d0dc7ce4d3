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

/// A bar for a share: what was let through in one symbol, what was blocked in another.
fn draw_bar(pen: &mut Pen<'_>, cells: u16, share: Share, total: Share, theme: Theme) {
    let of = |packets: u64| {
        let cells = u128::from(packets) * u128::from(cells) / u128::from(total.packets.max(1));
        u16::try_from(cells).unwrap_or_default()
    };
    let all = of(share.packets).max(1);
    // Each part is seen, as far as there is room for both; else the larger one.
    let most = if share.blocked * 2 < share.packets { all - 1 } else { all };
    let blocked = of(share.blocked).max(u16::from(share.blocked > 0)).min(most);
    let allowed = all - blocked;
    pen.put(&"█".repeat(allowed.into()), theme.kind(Kind::Allowed));
    pen.put(&"▒".repeat(blocked.into()), theme.kind(Kind::Blocked));
    pen.skip(cells - all);
}
