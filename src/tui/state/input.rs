//! What is typed, and what is done with the mouse.

use super::dialog::Typed;
use super::{Dialog, Effect, Input, Link, Menu, Page, Pane, Purpose, State, TABLES, Tables, words};
use crate::control::Request;
use crate::tui::filter::Filter;
use crate::tui::keys::{Command, Motion, command};
use ratatui::crossterm::event::{KeyCode, KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;
use std::time::Duration;

/// Lines that a turn of the mouse's wheel moves.
const WHEEL: usize = 3;

impl State {
    pub(super) fn press(&mut self, key: KeyEvent) {
        let command = command(self.pane, key);
        self.notice = None;
        if command == Some(Command::Suspend) {
            return self.suspend();
        }
        match self.dialog.take() {
            _ if command == Some(Command::Leave) && !matches!(key.code, KeyCode::Char('q')) => {
                self.leave();
            }
            Some(Dialog::Input(input)) => self.type_in(input, key),
            Some(Dialog::Page(page)) => self.read(page, command),
            Some(Dialog::Menu(menu)) => self.choose(menu, key, command),
            None => {
                if let Some(command) = command {
                    self.obey(command);
                }
            }
        }
    }

    /// Text that is pasted is for a line that is typed; nothing in it is a key.
    pub(super) fn paste(&mut self, text: &str) {
        self.notice = None;
        match &mut self.dialog {
            Some(Dialog::Input(input)) => input.paste(text),
            _ => self.tell(false, "what is pasted does nothing here; + * / and f open a line to paste into"),
        }
    }

    fn suspend(&mut self) {
        if self.owns {
            let words = "Ctrl-Z would stop the firewall with this view, so it does nothing; q ends both. A view that can be \
                         left alone is 'pfw tui', beside a 'pfw run'.";
            self.tell(false, words);
        } else {
            self.effects.push(Effect::Suspend);
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

    /// What can be chosen at a place of the screen: below the frame, the title and a gap.
    fn choice_at(&self, menu: &Menu, place: Position) -> Option<usize> {
        let area = self.menu_area(menu);
        let row = usize::from(place.y.checked_sub(area.y + 1)?).checked_sub(menu.title.len() + 1)?;
        Some(row).filter(|&row| row < menu.choices.len() && area.contains(place))
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
            Command::Details if self.confirms_by_enter() => self.order(Command::Confirm),
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
            Pane::Connections => self.connections.list.go(motion, height),
            Pane::Incidents => self.incidents.list.go(motion, height),
        }
    }

    fn details(&mut self) {
        let page = match self.pane {
            Pane::Live => self.log.selected().map(words::event),
            Pane::Rules => self.rules.selected().map(words::rule),
            Pane::Connections => self.connections.list.selected().map(words::connection),
            Pane::Incidents => self.incidents.list.selected().map(|one| words::incident(one, self.ban_of(one))),
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

    pub(super) fn point(&mut self, mouse: MouseEvent) {
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
        let dialog = self.dialog.take();
        if let Some(Dialog::Menu(menu)) = &dialog
            && let Some(place) = self.choice_at(menu, Position::new(mouse.column, mouse.row))
        {
            return self.take_choice(menu, place);
        }
        let (Some(layout), None) = (self.layout(), dialog) else { return };
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
            Pane::Connections => self.connections.list.select(row, height),
            Pane::Incidents => self.incidents.list.select(row, height),
            Pane::Talkers => {}
        }
        if before == self.cursor() && before.selected == before.top + row {
            self.details();
        }
    }
}
