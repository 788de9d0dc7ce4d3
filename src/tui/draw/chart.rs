//! The chart: what was allowed stands upwards from the axis, what was blocked hangs down from it, and where a packet was
//! odd, which is suspicious by itself, the axis has a `!`. Two seconds to a column; either side has its scale.

use super::pen::Pen;
use super::theme::Theme;
use crate::control::Kind;
use crate::text::grouped;
use crate::tui::history::{History, Rates};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Columns of the scale.
const SCALE: u16 = 8;
/// Seconds between two marks on the axis.
const MARKED: u16 = 30;
/// Dots of a cell, one above the other (Unicode, Braille Patterns).
const DOTS: u64 = 4;
/// Seconds of a cell.
const SECONDS: u16 = 2;

/// Draws it.
pub fn draw(buffer: &mut Buffer, area: Rect, history: &History, enforcing: bool, theme: Theme) {
    title(buffer, area, history.now(), enforcing, theme);
    if area.height < 4 || area.width <= SCALE {
        return;
    }
    let rows = area.height - 2;
    let up = rows - rows / 3;
    let plot = Rect { x: area.x + SCALE, y: area.y + 1, width: area.width - SCALE, height: area.height - 1 };
    let seconds: Vec<Rates> = history.latest(usize::from(plot.width) * usize::from(SECONDS)).collect();
    let allowed = Side { most: scale(seconds.iter().map(|rates| rates.allowed)), rows: up, hangs: false };
    let blocked = Side { most: scale(seconds.iter().map(|rates| rates.blocked)), rows: rows - up, hangs: true };
    label(buffer, area, 1, allowed.most, theme);
    label(buffer, area, 1 + up, 0, theme);
    label(buffer, area, area.height - 1, blocked.most, theme);
    axis(buffer, Rect { y: plot.y + up, height: 1, ..plot }, &seconds, theme);
    let allowed_area = Rect { height: up, ..plot };
    allowed.draw(buffer, allowed_area, &seconds.iter().map(|rates| rates.allowed).collect::<Vec<_>>(), theme);
    tell_beginning(buffer, allowed_area, seconds.len(), theme);
    let blocked_area = Rect { y: plot.y + up + 1, height: rows - up, ..plot };
    blocked.draw(buffer, blocked_area, &seconds.iter().map(|rates| rates.blocked).collect::<Vec<_>>(), theme);
}

/// Why there is nothing at the left, as long as there is nothing and room to say so.
fn tell_beginning(buffer: &mut Buffer, area: Rect, seconds: usize, theme: Theme) {
    let known = u16::try_from(seconds.div_ceil(usize::from(SECONDS))).unwrap_or(u16::MAX);
    let empty = Rect { width: area.width.saturating_sub(known), ..area };
    let mut pen = Pen::new(buffer, empty, area.height / 2);
    let words = "before this view was opened";
    if pen.fits(words) {
        pen.skip(empty.width.saturating_sub(u16::try_from(words.len()).unwrap_or(u16::MAX)) / 2)
            .put(words, theme.dim());
    }
}

fn title(buffer: &mut Buffer, area: Rect, now: Rates, enforcing: bool, theme: Theme) {
    let (word, mark) = if enforcing { ("blocked", Kind::Blocked) } else { ("would be blocked", Kind::WouldBlock) };
    let mut pen = Pen::new(buffer, area, 0);
    pen.put("─ packets per second ", theme.dim());
    for (sign, name, rate, mark) in [
        ("▲", "allowed", now.allowed, Kind::Allowed),
        ("▼", word, now.blocked, mark),
        ("!", "odd", now.suspicious, Kind::Suspicious),
    ] {
        pen.put("─ ", theme.dim()).put(&format!("{sign} {name} {} ", grouped(rate)), theme.kind(mark));
    }
    pen.fill("─", theme.dim());
}

/// The end of a scale: the next round number, near enough that the plot fills most of its side.
fn scale(values: impl Iterator<Item = u64>) -> u64 {
    let most = values.max().unwrap_or_default().max(1);
    let steps = (0..19).flat_map(|power| [1, 2, 3, 4, 5, 6, 8].map(|digit: u64| digit * 10_u64.pow(power)));
    steps.into_iter().find(|&step| step >= most).unwrap_or(u64::MAX)
}

fn label(buffer: &mut Buffer, area: Rect, row: u16, value: u64, theme: Theme) {
    let text = match value {
        0..1_000_000 => grouped(value),
        1_000_000.. => format!("{}M", grouped(value / 1_000_000)),
    };
    Pen::new(buffer, area, row).number(&text, SCALE - 1, theme.dim());
}

/// The axis: a mark and its time every so often, the newest second at the right end.
fn axis(buffer: &mut Buffer, area: Rect, seconds: &[Rates], theme: Theme) {
    Pen::new(buffer, area, 0).fill("─", theme.dim());
    let suspicious: Vec<u16> = cells_of(area.width, seconds)
        .filter(|(_, rates)| rates.iter().any(|rates| rates.suspicious > 0))
        .map(|(x, _)| x)
        .collect();
    let cells = MARKED / SECONDS;
    for n in 1..=area.width / cells {
        let Some(x) = (area.width - 1).checked_sub(n * cells) else { continue };
        let past = u32::from(n) * u32::from(MARKED);
        let words = format!("┴ -{} min ", past / 60);
        let length = u16::try_from(words.chars().count()).unwrap_or(u16::MAX);
        let has_room = past.is_multiple_of(60) && !suspicious.iter().any(|at| (x..x + length).contains(at));
        let words = if has_room { &words } else { "┴" };
        Pen::new(buffer, Rect { x: area.x + x, width: area.width - x, ..area }, 0).put(words, theme.dim());
    }
    for x in suspicious {
        Pen::new(buffer, Rect { x: area.x + x, width: 1, ..area }, 0).put("!", theme.kind(Kind::Suspicious));
    }
}

/// The seconds of each cell from the left, the last two at the right end.
fn cells_of<T>(width: u16, seconds: &[T]) -> impl Iterator<Item = (u16, &[T])> {
    seconds.rchunks(usize::from(SECONDS)).zip((0..width).rev()).map(|(pair, x)| (x, pair))
}

/// One side of the axis.
struct Side {
    most: u64,
    rows: u16,
    hangs: bool,
}

impl Side {
    fn draw(&self, buffer: &mut Buffer, area: Rect, seconds: &[u64], theme: Theme) {
        for (x, pair) in cells_of(area.width, seconds) {
            let (left, right) = match *pair {
                [left, right] => (self.dots(left), self.dots(right)),
                [right] => (0, self.dots(right)),
                _ => (0, 0),
            };
            for at in 0..self.rows {
                let symbol = self.symbol(at, left, right);
                let row = if self.hangs { at } else { self.rows - 1 - at };
                let style =
                    if symbol == ' ' { Style::new() } else { theme.plot(self.hangs, at.into(), self.rows.into()) };
                if let Some(cell) = buffer.cell_mut((area.x + x, area.y + row)) {
                    cell.set_char(symbol).set_style(style);
                }
            }
        }
    }

    /// How many dots high a value is. What is not nothing is seen.
    fn dots(&self, value: u64) -> u64 {
        let all = u128::from(DOTS * u64::from(self.rows));
        let dots = (u128::from(value) * all).div_ceil(u128::from(self.most.max(1)));
        u64::try_from(dots.min(all)).unwrap_or(u64::MAX)
    }

    /// The cell `at` rows from the axis, of two columns so many dots high.
    fn symbol(&self, at: u16, left: u64, right: u64) -> char {
        /// The dots of a cell's two columns, from the top (Unicode, Braille Patterns).
        const LEFT: [u32; 4] = [0x01, 0x02, 0x04, 0x40];
        const RIGHT: [u32; 4] = [0x08, 0x10, 0x20, 0x80];
        let below = DOTS * u64::from(at);
        let bits = |dots: u64, column: [u32; 4]| {
            let n = usize::try_from(dots.saturating_sub(below).min(DOTS)).unwrap_or_default();
            let skipped = if self.hangs { 0 } else { column.len() - n };
            column.into_iter().skip(skipped).take(n).fold(0, |bits, dot| bits | dot)
        };
        match bits(left, LEFT) | bits(right, RIGHT) {
            0 => ' ',
            bits => char::from_u32(0x2800 | bits).unwrap_or(' '),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        let of = |value: u64| scale([0, value].into_iter());
        assert_eq!([0, 1, 2, 3, 11, 20, 501, 9_001].map(of), [1, 1, 2, 3, 20, 20, 600, 10_000]);
        assert_eq!(of(u64::MAX), u64::MAX);
    }

    #[test]
    fn what_is_not_nothing_is_seen_and_what_is_most_fills_its_side() {
        let side = Side { most: 1_000, rows: 3, hangs: false };
        assert_eq!([0, 1, 500, 1_000, 5_000].map(|value| side.dots(value)), [0, 1, 6, 12, 12]);
    }

    #[test]
    fn cells_fill_from_the_axis() {
        let stands = Side { most: 8, rows: 2, hangs: false };
        let hangs = Side { hangs: true, ..stands };
        assert_eq!([stands.symbol(0, 4, 1), stands.symbol(0, 1, 0), stands.symbol(1, 8, 3)], ['⣇', '⡀', '⡇']);
        assert_eq!([hangs.symbol(0, 4, 1), hangs.symbol(0, 1, 0), hangs.symbol(1, 0, 3)], ['⡏', '⠁', ' ']);
    }
}
