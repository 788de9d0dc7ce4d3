//! What the view knows: keys, the mouse and what pfw tells go in, requests to pfw come out. Nothing here draws, waits or
//! asks for the time, so that every step of it can be tested.

mod connections;
mod cursor;
mod dialog;
mod incidents;
mod input;
mod log;
mod news;
mod offers;
mod orders;
mod rules;
mod words;

pub use connections::Connections;
pub use cursor::Cursor;
pub use dialog::{Choice, Dialog, Input, Kind, Menu, Page, Purpose, Text};
pub use incidents::{Incident, Incidents};
pub use log::Log;
pub use rules::Rules;
pub use words::wrap;

use super::event::Event;
use super::history::History;
use super::layout::{Layout, middle};
use super::talkers::Talkers;
use crate::control::report::{BanRow, Status};
use crate::control::{Answer, Request};
use ratatui::crossterm::event::{Event as Terminal, KeyEventKind};
use ratatui::layout::Rect;
use std::mem;
use std::time::Duration;

/// How long it is shown what came of a key.
const NOTICE: Duration = Duration::from_secs(8);

/// Tables of talkers.
const TABLES: usize = 3;

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pane {
    /// The chart and the log.
    #[default]
    Live,
    /// The rules.
    Rules,
    /// Who talks most.
    Talkers,
    /// The connections.
    Connections,
    /// What is suspicious.
    Incidents,
}

impl Pane {
    /// All, in the order in which they stand on the screen.
    pub const ALL: [Self; 5] = [Self::Live, Self::Rules, Self::Talkers, Self::Connections, Self::Incidents];

    /// Its name.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Live => "Live",
            Self::Rules => "Rules",
            Self::Talkers => "Talkers",
            Self::Connections => "Connections",
            Self::Incidents => "Incidents",
        }
    }

    fn beside(self, steps: usize) -> Self {
        let here = Self::ALL.into_iter().position(|pane| pane == self).unwrap_or_default();
        Self::ALL.into_iter().cycle().nth(here + steps).unwrap_or_default()
    }
}

/// What comes in from pfw.
#[derive(Clone, Debug)]
pub enum News {
    /// Events follow from now on.
    Up,
    /// The connection is lost: why.
    Down(String),
    /// Events.
    Events(Vec<Event>),
    /// What pfw says to a request, or why it says nothing.
    Answer {
        /// What was asked.
        request: Request,
        /// What was answered.
        answer: Result<Answer, Problem>,
    },
}

/// Why a request was not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In words.
    pub words: String,
    /// Whether it is done all the same if that is forced.
    pub needs_force: bool,
}

/// Whatever comes in.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// From the keyboard or the mouse.
    Terminal(Terminal),
    /// Columns and rows of the screen.
    Size((u16, u16)),
    /// From pfw.
    News(News),
    /// Time passes: how long the view is there.
    Time(Duration),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask pfw.
    Ask(Request),
    /// Leave.
    Leave,
    /// Stop the process for a while.
    Suspend,
}

/// What came of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// In words.
    pub words: String,
    /// Whether it is what was wanted.
    pub is_good: bool,
    until: Duration,
}

/// The connection to pfw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is there.
    Up,
    /// It is lost: why.
    Down(String),
}

/// When something was asked that is asked again and again.
#[derive(Clone, Copy, Debug, Default)]
struct Poll {
    next: Duration,
    waits: bool,
}

impl Poll {
    /// Whether it is time; then it is taken as asked.
    fn is_due(&mut self, now: Duration, every: Duration) -> bool {
        let is_due = !self.waits && now >= self.next;
        if is_due {
            self.waits = true;
            self.next = now + every;
        }
        is_due
    }
}

/// All that the view knows.
#[derive(Debug)]
pub struct State {
    /// Columns and rows of the screen.
    pub size: (u16, u16),
    /// The connection to pfw.
    pub link: Link,
    /// What pfw does.
    pub status: Status,
    /// What is shown.
    pub pane: Pane,
    /// The chart.
    pub history: History,
    /// The log.
    pub log: Log,
    /// The rules.
    pub rules: Rules,
    /// Who talks most.
    pub talkers: Talkers,
    /// Where one is in the tables of talkers.
    pub table: Tables,
    /// The connections.
    pub connections: Connections,
    /// What is suspicious.
    pub incidents: Incidents,
    /// What lies above the panes.
    pub dialog: Option<Dialog>,
    /// What came of the last key.
    pub notice: Option<Notice>,
    /// This view is the window of a pfw that ends with it.
    owns: bool,
    /// That pfw was told to end.
    leaving: bool,
    now: Duration,
    asked_status: Poll,
    asked_list: Poll,
    /// Incidents that began before this view did were not asked for yet.
    lacks_incidents: bool,
    /// Where the rules are read to find out whether ICMP is blocked.
    icmp: Option<usize>,
    effects: Vec<Effect>,
}

/// Where one is in the tables of talkers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Which: peers, ports, protocols.
    pub which: usize,
    /// Which row.
    pub row: usize,
}

impl State {
    /// A view of a pfw that is connected, on a screen of this size.
    pub fn new(size: (u16, u16), status: Status, owns: bool) -> Self {
        Self {
            size,
            link: Link::Up,
            status,
            pane: Pane::default(),
            history: History::default(),
            log: Log::default(),
            rules: Rules::default(),
            talkers: Talkers::default(),
            table: Tables::default(),
            connections: Connections::default(),
            incidents: Incidents::default(),
            dialog: None,
            notice: None,
            owns,
            leaving: false,
            now: Duration::ZERO,
            asked_status: Poll::default(),
            asked_list: Poll::default(),
            lacks_incidents: true,
            icmp: None,
            effects: Vec::new(),
        }
    }

    /// Takes in what came, and says what is to be done.
    pub fn update(&mut self, incoming: Incoming) -> Vec<Effect> {
        match incoming {
            Incoming::Terminal(Terminal::Key(key)) if key.kind != KeyEventKind::Release => self.press(key),
            Incoming::Terminal(Terminal::Mouse(mouse)) => self.point(mouse),
            Incoming::Terminal(Terminal::Paste(text)) => self.paste(&text),
            Incoming::Terminal(_) => {}
            Incoming::Size(size) => self.size = size,
            Incoming::News(news) => self.hear(news),
            Incoming::Time(now) => self.pass(now),
        }
        self.fit();
        mem::take(&mut self.effects)
    }

    /// Where things are; none if the screen is too small.
    pub fn layout(&self) -> Option<Layout> {
        Layout::new(self.size, self.pane)
    }

    /// Rows of the pane's list.
    pub fn rows(&self) -> usize {
        self.layout().map_or(0, |layout| layout.rows())
    }

    fn fit(&mut self) {
        let height = Layout::new(self.size, Pane::Live).map_or(0, |layout| layout.rows());
        self.log.fit(height);
    }

    pub(super) fn ask(&mut self, request: Request) {
        self.effects.push(Effect::Ask(request));
    }

    pub(super) fn tell(&mut self, is_good: bool, words: &str) {
        self.notice = Some(Notice { words: words.to_owned(), is_good, until: self.now + NOTICE });
    }

    /// The ban of who is behind an incident, if he is banned.
    pub fn ban_of(&self, incident: &Incident) -> Option<&BanRow> {
        let source = incident.source()?;
        self.status.bans.iter().find(|ban| ban.source == source)
    }

    /// Whether Enter says that the rules may stay: in the window of the firewall that asks.
    pub fn confirms_by_enter(&self) -> bool {
        self.owns && self.status.confirm.is_some()
    }

    /// Lines of a page that are in sight.
    pub fn page_height(&self) -> usize {
        usize::from(self.page_area().height.saturating_sub(2))
    }

    /// Where a page lies.
    pub fn page_area(&self) -> Rect {
        let lines = match &self.dialog {
            Some(Dialog::Page(page)) => page.lines.len(),
            _ => usize::MAX,
        };
        let rows = u16::try_from(lines.saturating_add(2)).unwrap_or(u16::MAX).min(self.size.1.saturating_sub(4));
        middle(self.size, 78, rows)
    }

    /// Where a choice lies.
    pub fn menu_area(&self, menu: &Menu) -> Rect {
        let rows = menu.title.len() + 1 + menu.choices.len() + 2;
        middle(self.size, 78, u16::try_from(rows).unwrap_or(u16::MAX))
    }

    /// The place in the pane's list.
    pub fn cursor(&self) -> Cursor {
        match self.pane {
            Pane::Live => self.log.cursor(),
            Pane::Rules => self.rules.cursor(),
            Pane::Talkers => Cursor { selected: self.table.row, top: 0 },
            Pane::Connections => self.connections.list.cursor,
            Pane::Incidents => self.incidents.list.cursor,
        }
    }
}
