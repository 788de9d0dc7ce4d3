//! How things look: colours where they are wanted, and always a second sign beside them (a word, a place, bold).

use crate::control::Kind;
use ratatui::style::{Color, Modifier, Style};

/// Colours, or none (<https://no-color.org>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Whether colours are wanted.
    pub colours: bool,
}

/// Shades of the chart's allowed packets, from the axis outwards, and of the blocked ones: numbers of the 256 colours.
const ALLOWED: [u8; 5] = [28, 34, 40, 46, 82];
const BLOCKED: [u8; 5] = [124, 160, 196, 203, 210];

impl Theme {
    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// What became of a packet.
    pub fn kind(self, kind: Kind) -> Style {
        match kind {
            Kind::Allowed => self.colour(Color::Green),
            Kind::Blocked => self.colour(Color::Red).add_modifier(Modifier::BOLD),
            Kind::WouldBlock => self.colour(Color::Magenta).add_modifier(Modifier::BOLD),
            Kind::Suspicious => self.colour(Color::Yellow).add_modifier(Modifier::BOLD),
            Kind::Lost => self.colour(Color::Yellow).add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Kind::Pfw => self.colour(Color::Cyan),
        }
    }

    /// A word on a ground of its own.
    pub fn badge(self, colour: Color) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        if self.colours { style.fg(Color::Black).bg(colour) } else { style.add_modifier(Modifier::REVERSED) }
    }

    /// What matters less.
    pub fn dim(self) -> Style {
        if self.colours { Style::new().fg(Color::DarkGray) } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// Headings and keys.
    pub fn accent(self) -> Style {
        self.colour(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// What somebody should look at.
    pub fn warning(self) -> Style {
        self.colour(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// What has failed.
    pub fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// What has been done.
    pub fn good(self) -> Style {
        self.colour(Color::Green).add_modifier(Modifier::BOLD)
    }

    /// The selected row.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What was looked for.
    pub fn found(self) -> Style {
        if self.colours { Style::new().bg(Color::Indexed(58)) } else { Style::new().add_modifier(Modifier::UNDERLINED) }
    }

    /// A row of the chart, `at` of `rows` from the axis.
    pub fn plot(self, blocked: bool, at: usize, rows: usize) -> Style {
        let shades = if blocked { BLOCKED } else { ALLOWED };
        let shade = shades.get(at * shades.len() / rows.max(1)).copied().unwrap_or(7);
        self.colour(Color::Indexed(shade))
    }
}
