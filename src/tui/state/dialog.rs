//! What lies above the panes for a moment: a line that is typed, a choice, a page of text.

use crate::control::{Op, Request};
use crate::tui::keys::Motion;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Characters of a line that is typed at most.
const MAX_TYPED: usize = 200;

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Show only some lines of the log.
    Filter,
    /// Look for lines of the log.
    Search,
    /// Block or allow what is typed.
    Target(Op),
}

/// A line that is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// What for.
    pub purpose: Purpose,
    /// What stands there.
    pub text: String,
    /// Characters in front of the cursor.
    pub cursor: usize,
    /// Why it can't be taken.
    pub error: Option<String>,
}

/// What became of a key while a line is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// The line goes on.
    On,
    /// It is finished.
    Finished,
    /// It is given up.
    GivenUp,
}

impl Input {
    /// A line that begins with this.
    pub fn new(purpose: Purpose, text: &str) -> Self {
        Self { purpose, text: text.to_owned(), cursor: text.chars().count(), error: None }
    }

    /// Takes in a key.
    pub fn press(&mut self, key: KeyEvent) -> Typed {
        let length = self.text.chars().count();
        match key.code {
            KeyCode::Enter => return Typed::Finished,
            KeyCode::Esc => return Typed::GivenUp,
            KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                (self.text, self.cursor) = (String::new(), 0);
            }
            KeyCode::Char(_) if key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {}
            KeyCode::Char(char) => self.insert(char),
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.byte(self.cursor));
            }
            KeyCode::Delete if self.cursor < length => drop(self.text.remove(self.byte(self.cursor))),
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(length),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = length,
            _ => {}
        }
        self.error = None;
        Typed::On
    }

    /// Takes in what is pasted. It stays one line, which is finished by nothing in it.
    pub fn paste(&mut self, text: &str) {
        for char in text.trim().chars() {
            self.insert(if char.is_control() { ' ' } else { char });
        }
        self.error = None;
    }

    fn insert(&mut self, char: char) {
        if self.text.chars().count() < MAX_TYPED {
            self.text.insert(self.byte(self.cursor), char);
            self.cursor += 1;
        }
    }

    fn byte(&self, characters: usize) -> usize {
        self.text.char_indices().nth(characters).map_or(self.text.len(), |(byte, _)| byte)
    }
}

/// A page of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its title.
    pub title: &'static str,
    /// Its lines.
    pub lines: Vec<Text>,
    /// The first that is shown.
    pub top: usize,
}

/// A line of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// A heading.
    Heading(String),
    /// A name and what it stands for.
    Pair(String, String),
    /// Words.
    Words(String),
    /// Nothing.
    Gap,
}

impl Page {
    /// A page, from its beginning.
    pub fn new(title: &'static str, lines: Vec<Text>) -> Self {
        Self { title, lines, top: 0 }
    }

    /// Moves; `height` lines are shown.
    pub fn go(&mut self, motion: Motion, height: usize) {
        let most = self.lines.len().saturating_sub(height);
        let page = height.max(2) - 1;
        self.top = match motion {
            Motion::Up => self.top.saturating_sub(1),
            Motion::Down => self.top + 1,
            Motion::PageUp => self.top.saturating_sub(page),
            Motion::PageDown => self.top + page,
            Motion::First => 0,
            Motion::Last => most,
        };
        self.top = self.top.min(most);
    }
}

/// A choice between things that pfw can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Menu {
    /// What it is about, in lines.
    pub title: Vec<String>,
    /// What can be chosen.
    pub choices: Vec<Choice>,
    /// What Enter takes.
    pub selected: usize,
    /// What becomes of what is chosen.
    pub kind: Kind,
}

/// What becomes of what is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is done.
    Acts,
    /// It lets more through, or nothing at all: whether this, and the words of the choice, is meant is asked first.
    Asks(String),
    /// This is that question: one key says yes, and every other means no.
    Question,
}

/// Something that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The key that selects it; in a question, that takes it.
    pub key: char,
    /// What it is, in words.
    pub words: String,
    /// What is asked for then; nothing if it is to leave things as they are.
    pub request: Option<Request>,
}

impl Menu {
    /// Moves, within the choices.
    pub fn go(&mut self, motion: Motion) {
        let last = self.choices.len().saturating_sub(1);
        self.selected = match motion {
            Motion::Up => self.selected.saturating_sub(1),
            Motion::Down => (self.selected + 1).min(last),
            Motion::PageUp | Motion::First => 0,
            Motion::PageDown | Motion::Last => last,
        };
    }

    /// The place of a key's choice.
    pub fn place_of(&self, key: char) -> Option<usize> {
        self.choices.iter().position(|choice| choice.key == key)
    }
}

/// What lies above the panes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dialog {
    /// Something is chosen.
    Menu(Menu),
    /// A line is typed.
    Input(Input),
    /// A page is read.
    Page(Page),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_in(input: &mut Input, keys: &[KeyCode]) -> Typed {
        let press = |_, &code| input.press(KeyEvent::new(code, KeyModifiers::NONE));
        keys.iter().fold(Typed::On, press)
    }

    #[test]
    fn a_line_is_typed_and_changed_in_its_middle() {
        let mut input = Input::new(Purpose::Filter, "äb");
        assert_eq!(
            type_in(&mut input, &[KeyCode::Left, KeyCode::Char('ö'), KeyCode::Home, KeyCode::Delete]),
            Typed::On
        );
        assert_eq!((input.text.as_str(), input.cursor), ("öb", 0));
        type_in(
            &mut input,
            &[KeyCode::Backspace, KeyCode::End, KeyCode::Backspace, KeyCode::Right, KeyCode::Char('c')],
        );
        assert_eq!(input.text, "öc");
        input.press(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!((input.text.as_str(), input.cursor), ("", 0));
        assert_eq!(type_in(&mut input, &[KeyCode::Enter]), Typed::Finished);
        assert_eq!(type_in(&mut input, &[KeyCode::Esc]), Typed::GivenUp);
    }

    #[test]
    fn a_line_has_an_end() {
        let mut input = Input::new(Purpose::Search, "");
        type_in(&mut input, &[KeyCode::Char('x'); 1_000]);
        assert_eq!(input.text.len(), MAX_TYPED);
    }

    #[test]
    fn a_page_stays_on_its_lines() {
        let mut page = Page::new("t", vec![Text::Gap; 10]);
        page.go(Motion::Last, 4);
        assert_eq!(page.top, 6);
        page.go(Motion::PageDown, 4);
        page.go(Motion::Up, 4);
        assert_eq!(page.top, 5);
        page.go(Motion::Last, 40);
        assert_eq!(page.top, 0);
    }
}
