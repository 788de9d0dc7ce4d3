//! What keys and news do to the view.

use super::*;
use crate::control::{Change, Done};
use crate::tui::state::{Dialog, Link, Pane, Problem};
use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

pub(super) fn click(state: &mut State, column: u16, row: u16) -> Vec<Effect> {
    mouse(state, MouseEventKind::Down(MouseButton::Left), column, row)
}

fn mouse(state: &mut State, kind: MouseEventKind, column: u16, row: u16) -> Vec<Effect> {
    let event = MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE };
    state.update(Incoming::Terminal(Terminal::Mouse(event)))
}

pub(super) fn refuse(state: &mut State, request: &Request, words: &str, needs_force: bool) -> Vec<Effect> {
    let problem = Problem { words: words.into(), needs_force };
    state.update(Incoming::News(News::Answer { request: request.clone(), answer: Err(problem) }))
}

pub(super) fn change(change: Change) -> [Effect; 1] {
    [Effect::Ask(Request::Change(change))]
}

pub(super) fn notice(state: &State) -> (bool, &str) {
    state.notice.as_ref().map_or((true, ""), |notice| (notice.is_good, notice.words.as_str()))
}

#[test]
fn the_status_is_asked_for_each_second_and_not_before_it_was_answered() {
    let mut state = State::new((80, 24), status(1), false);
    let ask = [Effect::Ask(Request::Status)];
    assert_eq!(pass(&mut state, 0), [ask[0].clone(), Effect::Ask(Request::Incidents)], "what was before is asked once");
    assert_eq!(pass(&mut state, 5), []);
    assert_eq!(hear(&mut state, &Request::Status, Answer::Status(Box::new(status(2)))), []);
    assert_eq!(pass(&mut state, 6), ask);
}

#[test]
fn the_rules_are_asked_for_while_they_are_in_sight() {
    let mut state = State::new((80, 24), status(1), false);
    pass(&mut state, 0);
    assert_eq!(press(&mut state, KeyCode::Char('2')), [Effect::Ask(Request::Rules { from: 0 })]);
    hear(&mut state, &Request::Rules { from: 0 }, Answer::Rules(rules()));
    assert!(pass(&mut state, 1).contains(&Effect::Ask(Request::Rules { from: 0 })) || state.pane == Pane::Rules);
    press(&mut state, KeyCode::Char('1'));
    assert!(!pass(&mut state, 9).contains(&Effect::Ask(Request::Rules { from: 0 })));
}

#[test]
fn panes_are_changed_by_keys_and_by_the_mouse() {
    let mut state = state((80, 24));
    let mut seen = Vec::new();
    for key in [KeyCode::Tab, KeyCode::Tab, KeyCode::BackTab, KeyCode::Char('1')] {
        press(&mut state, key);
        seen.push(state.pane);
    }
    assert_eq!(seen, [Pane::Rules, Pane::Talkers, Pane::Rules, Pane::Live]);
    click(&mut state, 10, 2);
    assert_eq!(state.pane, Pane::Rules);
    click(&mut state, 79, 2);
    assert_eq!(state.pane, Pane::Rules);
}

#[test]
fn a_click_selects_a_line_and_another_tells_all_about_it() {
    let mut state = state((80, 24));
    let list = state.layout().unwrap().list;
    click(&mut state, 5, list.y + 2);
    assert!(state.log.is_held() && state.dialog.is_none());
    let selected = state.log.cursor();
    click(&mut state, 5, list.y + 2);
    assert!(matches!(&state.dialog, Some(Dialog::Page(page)) if page.title == "One line"));
    press(&mut state, KeyCode::Esc);
    assert!(state.dialog.is_none() && state.log.is_held(), "Esc has closed the page and nothing else");
    mouse(&mut state, MouseEventKind::ScrollUp, 5, list.y + 2);
    assert_eq!(state.log.cursor().selected, selected.selected - 3);
}

#[test]
fn what_is_typed_is_no_command_and_a_wrong_filter_can_be_mended() {
    let mut state = state((80, 24));
    press(&mut state, KeyCode::Char('f'));
    type_in(&mut state, "q :99999");
    assert_eq!(press(&mut state, KeyCode::Enter), []);
    assert!(matches!(&state.dialog, Some(Dialog::Input(input)) if input.error.is_some()));
    for _ in 0..8 {
        press(&mut state, KeyCode::Backspace);
    }
    type_in(&mut state, "blocked");
    press(&mut state, KeyCode::Enter);
    assert_eq!((state.dialog.is_none(), state.log.filter().text(), state.log.len().0), (true, "blocked", 9));
    press(&mut state, KeyCode::Esc);
    assert!(state.log.filter().is_empty());
}

#[test]
fn what_is_pasted_goes_into_an_open_line_and_nowhere_else() {
    let mut state = state((80, 24));
    assert_eq!(paste(&mut state, "e1\ry make debug\n"), []);
    assert!(state.dialog.is_none() && notice(&state).1.starts_with("what is pasted does nothing here"));
    press(&mut state, KeyCode::Char('e'));
    assert_eq!(paste(&mut state, "1\ry"), []);
    assert!(matches!(&state.dialog, Some(Dialog::Menu(menu)) if menu.selected == 0), "no choice is made");
    press(&mut state, KeyCode::Esc);
    press(&mut state, KeyCode::Char('+'));
    type_in(&mut state, "1.");
    assert_eq!(paste(&mut state, " 92.168\r\n.1\x1b[31m.7\n"), []);
    let Some(Dialog::Input(input)) = &state.dialog else { panic!("a line") };
    assert_eq!(input.text, "1.92.168  .1 [31m.7", "one line, which goes on");
    paste(&mut state, &"x".repeat(10_000));
    assert!(matches!(&state.dialog, Some(Dialog::Input(input)) if input.text.len() == 200));
}

#[test]
fn ctrl_z_stops_a_view_and_never_a_firewall() {
    let ctrl_z = |state: &mut State| {
        let key = KeyEvent::new(KeyCode::Char('z'), KeyModifiers::CONTROL);
        state.update(Incoming::Terminal(Terminal::Key(key)))
    };
    let mut view = state((80, 24));
    assert_eq!(ctrl_z(&mut view), [Effect::Suspend]);
    press(&mut view, KeyCode::Char('/'));
    assert_eq!(ctrl_z(&mut view), [Effect::Suspend], "also while something is typed");
    assert!(matches!(view.dialog, Some(Dialog::Input(_))), "which is still there");
    let mut own = State::new((80, 24), status(1), true);
    assert_eq!(ctrl_z(&mut own), []);
    assert!(notice(&own).1.starts_with("Ctrl-Z would stop the firewall"), "{:?}", notice(&own));
}

#[test]
fn an_order_is_sent_and_what_came_of_it_is_shown_until_the_next_key() {
    let mut state = state((80, 24));
    assert_eq!(press(&mut state, KeyCode::Char('R')), []);
    assert_eq!(press(&mut state, KeyCode::Char('y')), [Effect::Ask(Request::Reload)]);
    hear(&mut state, &Request::Reload, Answer::Done(Done::new("read it again")));
    assert_eq!(notice(&state), (true, "read it again"));
    refuse(&mut state, &Request::Confirm, "there is nothing to confirm", false);
    assert_eq!(notice(&state), (false, "there is nothing to confirm"));
    press(&mut state, KeyCode::Up);
    assert!(state.notice.is_none());
}

#[test]
fn who_leaves_a_view_leaves_the_firewall_running_unless_it_is_its_own() {
    let ctrl_c = |state: &mut State| {
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        state.update(Incoming::Terminal(Terminal::Key(key)))
    };
    assert_eq!(press(&mut state((80, 24)), KeyCode::Char('q')), [Effect::Leave]);
    assert_eq!(ctrl_c(&mut state((80, 24))), [Effect::Leave]);
    let mut own = State::new((80, 24), status(1), true);
    press(&mut own, KeyCode::Char('/'));
    assert_eq!(ctrl_c(&mut own), [Effect::Ask(Request::Stop)], "also while something is typed");
    assert_eq!(own.update(Incoming::News(News::Down("it has ended".into()))), [Effect::Leave]);
    assert_eq!(press(&mut own, KeyCode::Char('q')), [Effect::Leave], "whatever becomes of the order");
}

#[test]
fn a_lost_connection_is_said_and_so_is_that_it_is_back() {
    let mut state = state((80, 24));
    assert_eq!(state.update(Incoming::News(News::Down("why".into()))), []);
    assert_eq!(state.link, Link::Down("why".into()));
    state.update(Incoming::News(News::Up));
    assert_eq!((&state.link, notice(&state)), (&Link::Up, (true, "connected again")));
}
