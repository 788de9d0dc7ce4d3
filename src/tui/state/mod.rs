//! What the view knows: keys, the mouse and what pfw tells go in, requests to pfw come out. Nothing here draws, waits or
//! asks for the time, so that every step of it can be tested.

mod connections;
mod cursor;
mod dialog;
mod log;
mod offers;
mod orders;
mod rules;
mod words;

pub use connections::Connections;
pub use cursor::Cursor;
pub use dialog::{Choice, Dialog, Input, Menu, Page, Purpose, Text};
pub use log::Log;
pub use rules::Rules;

use super::event::Event;
use super::filter::Filter;
use super::history::History;
use super::keys::{Command, Motion, command};
use super::layout::{Layout, middle};
use super::talkers::Talkers;
use crate::control::report::Status;
use crate::control::{Answer, Request};
use dialog::Typed;
use ratatui::crossterm::event::{
    Event as Terminal, KeyCode, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::{Position, Rect};
use std::mem;
use std::time::Duration;

/// How often pfw is asked what it does; the chart has a second to a column.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How often a list that is in sight is asked for.
const LIST_EVERY: Duration = Duration::from_secs(1);
/// How long it is shown what came of a key.
const NOTICE: Duration = Duration::from_secs(8);
/// Lines that a turn of the mouse's wheel moves.
const WHEEL: usize = 3;

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
}

impl Pane {
    /// All, in the order in which they stand on the screen.
    pub const ALL: [Self; 4] = [Self::Live, Self::Rules, Self::Talkers, Self::Connections];

    /// Its name.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Live => "Live",
            Self::Rules => "Rules",
            Self::Talkers => "Talkers",
            Self::Connections => "Connections",
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
    /// From the keyboard, the mouse or the window.
    Terminal(Terminal),
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
            dialog: None,
            notice: None,
            owns,
            leaving: false,
            now: Duration::ZERO,
            asked_status: Poll::default(),
            asked_list: Poll::default(),
            icmp: None,
            effects: Vec::new(),
        }
    }

    /// Takes in what came, and says what is to be done.
    pub fn update(&mut self, incoming: Incoming) -> Vec<Effect> {
        match incoming {
            Incoming::Terminal(Terminal::Key(key)) if key.kind != KeyEventKind::Release => self.press(key),
            Incoming::Terminal(Terminal::Mouse(mouse)) => self.point(mouse),
            Incoming::Terminal(Terminal::Resize(columns, rows)) => self.size = (columns, rows),
            Incoming::Terminal(_) => {}
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

    fn pass(&mut self, now: Duration) {
        self.now = now;
        self.notice.take_if(|notice| notice.until <= now);
        if self.asked_status.is_due(now, STATUS_EVERY) {
            self.ask(Request::Status);
        }
        let has_list = matches!(self.pane, Pane::Rules | Pane::Connections);
        if has_list && self.asked_list.is_due(now, LIST_EVERY) {
            self.ask_for_list();
        }
    }

    fn ask(&mut self, request: Request) {
        self.effects.push(Effect::Ask(request));
    }

    fn ask_for_list(&mut self) {
        match self.pane {
            Pane::Rules => self.ask(Request::Rules { from: self.rules.wanted() }),
            Pane::Connections => {
                self.connections.begin();
                self.ask(Request::Connections { from: 0 });
            }
            Pane::Live | Pane::Talkers => {}
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Up => {
                if self.link != Link::Up {
                    self.tell(true, "connected again");
                }
                self.link = Link::Up;
            }
            News::Down(_) if self.owns || self.leaving => self.effects.push(Effect::Leave),
            News::Down(why) => self.link = Link::Down(why),
            News::Events(events) => events.into_iter().for_each(|event| self.take(event)),
            News::Answer { request, answer } => self.hear_answer(&request, answer),
        }
    }

    fn take(&mut self, event: Event) {
        self.talkers.take(&event);
        self.rules.note(&event);
        self.log.push(event);
    }

    fn hear_answer(&mut self, request: &Request, answer: Result<Answer, Problem>) {
        match request {
            Request::Status => self.asked_status.waits = false,
            Request::Rules { .. } | Request::Connections { .. } => self.asked_list.waits = false,
            _ => {}
        }
        match answer {
            Ok(Answer::Status(status)) => {
                self.history.take(status.counts, status.uptime);
                self.status = *status;
            }
            Ok(Answer::Rules(page)) if self.icmp == Some(page.from) => self.look_for_icmp(&page),
            Ok(Answer::Rules(page)) => {
                let height = self.rows();
                self.rules.take(page, height);
            }
            Ok(Answer::Connections(page)) => {
                let height = self.rows();
                if let Some(from) = self.connections.take(page, height) {
                    self.asked_list.waits = true;
                    self.ask(Request::Connections { from });
                }
            }
            Ok(Answer::Done(done)) => {
                let words = done.warnings.iter().map(|warning| format!(" ({warning})"));
                let words = done.changed.join("; ") + &words.collect::<String>();
                self.tell(true, &words);
            }
            Ok(_) => {}
            // That the connection is lost is told by itself.
            Err(_) if matches!(request, Request::Status | Request::Rules { .. } | Request::Connections { .. }) => {
                self.icmp = None;
            }
            Err(problem) => self.hear_refusal(request, &problem),
        }
    }

    fn tell(&mut self, is_good: bool, words: &str) {
        self.notice = Some(Notice { words: words.to_owned(), is_good, until: self.now + NOTICE });
    }

    fn press(&mut self, key: KeyEvent) {
        let command = command(self.pane, key);
        match self.dialog.take() {
            _ if command == Some(Command::Leave) && !matches!(key.code, KeyCode::Char('q')) => {
                self.leave();
            }
            Some(Dialog::Input(input)) => self.type_in(input, key),
            Some(Dialog::Page(page)) => self.read(page, command),
            Some(Dialog::Menu(menu)) => self.choose(menu, key, command),
            None => {
                self.notice = None;
                if let Some(command) = command {
                    self.obey(command);
                }
            }
        }
    }

    fn type_in(&mut self, mut input: Input, key: KeyEvent) {
        match input.press(key) {
            Typed::On => self.dialog = Some(Dialog::Input(input)),
            Typed::GivenUp => {}
            Typed::Finished => self.finish(input),
        }
    }

    fn finish(&mut self, mut input: Input) {
        if let Purpose::Target(op) = input.purpose {
            return self.propose(op, input.text.trim());
        }
        let filter = match Filter::parse(&input.text) {
            Ok(filter) => filter,
            Err(error) => {
                input.error = Some(error);
                self.dialog = Some(Dialog::Input(input));
                return;
            }
        };
        let height = self.rows();
        match input.purpose {
            Purpose::Filter => self.log.show(filter),
            Purpose::Search if filter.is_empty() => self.log.forget_search(),
            Purpose::Search if !self.log.look_for(filter, height) => self.tell(false, "no line like that"),
            Purpose::Search | Purpose::Target(_) => {}
        }
    }

    /// A key while a page is read: moves, or closes it.
    fn read(&mut self, mut page: Page, command: Option<Command>) {
        match command {
            Some(Command::Move(motion)) => {
                page.go(motion, self.page_height());
                self.dialog = Some(Dialog::Page(page));
            }
            None => self.dialog = Some(Dialog::Page(page)),
            Some(_) => {}
        }
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

    /// What can be chosen at a place of the screen: below the frame, the title and a gap.
    fn choice_at<'a>(&self, menu: &'a Menu, place: Position) -> Option<&'a Choice> {
        let area = self.menu_area(menu);
        let row = usize::from(place.y.checked_sub(area.y + 1)?).checked_sub(menu.title.len() + 1)?;
        menu.choices.get(row).filter(|_| area.contains(place))
    }

    fn obey(&mut self, command: Command) {
        let height = self.rows();
        match command {
            Command::Leave => self.leave(),
            Command::Help => self.open(words::help()),
            Command::Warnings => self.open(words::warnings(&self.status)),
            Command::Show(pane) => self.show(pane),
            Command::NextPane => self.show(self.pane.beside(1)),
            Command::PreviousPane => self.show(self.pane.beside(Pane::ALL.len() - 1)),
            Command::Move(motion) => self.go(motion, height),
            Command::Details => self.details(),
            Command::Back => self.back(),
            Command::Follow => self.log.hold(!self.log.is_held()),
            Command::Filter => self.dialog = Some(Dialog::Input(Input::new(Purpose::Filter, self.log.filter().text()))),
            Command::Search => self.dialog = Some(Dialog::Input(Input::new(Purpose::Search, ""))),
            Command::NextFound => self.find(true, height),
            Command::PreviousFound => self.find(false, height),
            Command::NextTable => self.turn_to(self.table.which + 1),
            Command::PreviousTable => self.turn_to(self.table.which + TABLES - 1),
            order => self.order(order),
        }
    }

    fn turn_to(&mut self, table: usize) {
        self.table = Tables { which: table % TABLES, row: 0 };
    }

    fn leave(&mut self) {
        if self.owns && !self.leaving && self.link == Link::Up {
            self.leaving = true;
            self.tell(true, "the rules are being taken out; once more leaves at once");
            self.ask(Request::Stop);
        } else {
            self.effects.push(Effect::Leave);
        }
    }

    fn open(&mut self, page: Page) {
        self.dialog = Some(Dialog::Page(page));
    }

    fn show(&mut self, pane: Pane) {
        self.pane = pane;
        self.asked_list.next = Duration::ZERO;
        self.pass(self.now);
    }

    fn go(&mut self, motion: Motion, height: usize) {
        match self.pane {
            Pane::Live => self.log.go(motion, height),
            Pane::Rules => {
                self.rules.go(motion, height);
                if self.rules.lacks(height) {
                    self.ask_for_list();
                }
            }
            Pane::Talkers => {
                let mut cursor = self.cursor();
                cursor.go(motion, self.talkers.rows(self.table.which), height / TABLES);
                self.table.row = cursor.selected;
            }
            Pane::Connections => self.connections.go(motion, height),
        }
    }

    fn details(&mut self) {
        let page = match self.pane {
            Pane::Live => self.log.selected().map(words::event),
            Pane::Rules => self.rules.selected().map(|row| words::rule(row, self.rules.last_hit(&row.id))),
            Pane::Connections => self.connections.selected().map(words::connection),
            Pane::Talkers => None,
        };
        if let Some(page) = page {
            self.open(page);
        }
    }

    fn back(&mut self) {
        if self.pane == Pane::Live {
            self.log.show(Filter::default());
            self.log.forget_search();
            self.log.hold(false);
        }
    }

    fn find(&mut self, forwards: bool, height: usize) {
        if self.log.search().is_empty() {
            self.tell(false, "nothing is looked for; / begins");
        } else if !self.log.find(forwards, height) {
            self.tell(false, if forwards { "no further line below" } else { "no further line above" });
        }
    }

    fn point(&mut self, mouse: MouseEvent) {
        let motion = match mouse.kind {
            MouseEventKind::ScrollUp => Some(Motion::Up),
            MouseEventKind::ScrollDown => Some(Motion::Down),
            _ => None,
        };
        if let Some(motion) = motion {
            return self.scroll(motion);
        }
        if mouse.kind != MouseEventKind::Down(MouseButton::Left) {
            return;
        }
        if let Some(Dialog::Menu(menu)) = &self.dialog {
            let choice = self.choice_at(menu, Position::new(mouse.column, mouse.row));
            let request = choice.and_then(|choice| choice.request.clone());
            self.dialog = None;
            return self.effects.extend(request.map(Effect::Ask));
        }
        let (Some(layout), None) = (self.layout(), self.dialog.take()) else { return };
        if let Some(pane) = layout.tab_at(mouse.column, mouse.row) {
            self.show(pane);
        } else if let Some(row) = layout.row_at(mouse.column, mouse.row) {
            self.select(row, layout.rows());
        }
    }

    fn scroll(&mut self, motion: Motion) {
        let height = self.rows();
        let page_height = self.page_height();
        for _ in 0..WHEEL {
            match &mut self.dialog {
                Some(Dialog::Page(page)) => page.go(motion, page_height),
                Some(Dialog::Menu(menu)) => menu.go(motion),
                Some(Dialog::Input(_)) => {}
                None => self.go(motion, height),
            }
        }
    }

    /// Selects a row; all about it, if it is selected already.
    fn select(&mut self, row: usize, height: usize) {
        let before = self.cursor();
        match self.pane {
            Pane::Live => self.log.select(row, height),
            Pane::Rules => self.rules.select(row, height),
            Pane::Connections => self.connections.select(row, height),
            Pane::Talkers => {}
        }
        if before == self.cursor() && before.selected == before.top + row {
            self.details();
        }
    }

    /// The place in the pane's list.
    pub fn cursor(&self) -> Cursor {
        match self.pane {
            Pane::Live => self.log.cursor(),
            Pane::Rules => self.rules.cursor(),
            Pane::Talkers => Cursor { selected: self.table.row, top: 0 },
            Pane::Connections => self.connections.cursor(),
        }
    }
}
