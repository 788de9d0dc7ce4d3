//! The panes as text, at the smallest size and at a usual one. `PFW_BLESS=1 cargo test panes` writes what they look like
//! now; what changed is then to be read in the diff.

use super::*;
use crate::control::Done;
use crate::control::report::{Regime, Spell};
use crate::tui::draw::{Theme, draw};
use crate::tui::event::testing::alert;
use ratatui::Terminal as Screen;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use std::fs;
use std::path::Path;

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

fn screen(state: &State, colours: bool) -> TestBackend {
    let (width, height) = state.size;
    let mut screen = Screen::new(TestBackend::new(width, height)).unwrap();
    screen.draw(|frame| draw(frame, state, Theme { colours })).unwrap();
    screen.backend().clone()
}

fn text(state: &State) -> String {
    let backend = screen(state, true);
    let buffer = backend.buffer();
    let width = usize::from(buffer.area.width);
    let lines = buffer.content().chunks(width).map(|row| {
        let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        row.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// Holds a screen against the one that is kept.
fn hold(name: &str, state: &State) {
    let (width, height) = state.size;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/tui/tests/screens/{name}-{width}x{height}.txt"));
    let now = text(state);
    if std::env::var_os("PFW_BLESS").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(now, kept, "{} has changed; it is now:\n{now}", path.display());
}

fn at_each_size(name: &str, prepare: impl Fn(&mut State)) {
    for size in SIZES {
        let mut state = state(size);
        prepare(&mut state);
        hold(name, &state);
    }
}

#[test]
fn the_live_pane() {
    at_each_size("live", |_| {});
}

#[test]
fn a_log_that_is_held_and_filtered() {
    at_each_size("held", |state| {
        press(state, KeyCode::Char('f'));
        type_in(state, "in !udp");
        press(state, KeyCode::Enter);
        press(state, KeyCode::Up);
        press(state, KeyCode::Up);
    });
}

#[test]
fn all_about_one_line() {
    at_each_size("details", |state| {
        press(state, KeyCode::Char('/'));
        type_in(state, ":445");
        press(state, KeyCode::Enter);
        press(state, KeyCode::Enter);
    });
}

#[test]
fn a_filter_that_is_typed_and_wrong() {
    at_each_size("typed", |state| {
        press(state, KeyCode::Char('f'));
        type_in(state, "blocked :http port:99999");
        press(state, KeyCode::Enter);
    });
}

#[test]
fn each_pane_is_drawn_in_the_widest_terminal_there_can_be() {
    let (width, height) = (u16::MAX, 24);
    let mut state = state((width, height));
    hear(&mut state, &Request::Connections { from: 0 }, Answer::Connections(connections()));
    let mut screen = Screen::new(TestBackend::new(width, height)).unwrap();
    for pane in '1'..='5' {
        press(&mut state, KeyCode::Char(pane));
        screen.draw(|frame| draw(frame, &state, Theme { colours: true })).unwrap();
        let buffer = screen.backend().buffer();
        assert!((0..height).any(|row| buffer[(width - 1, row)].symbol() != " "), "{pane}");
    }
}

#[test]
fn the_rules() {
    at_each_size("rules", |state| {
        press(state, KeyCode::Char('2'));
        press(state, KeyCode::Down);
    });
}

#[test]
fn who_talks_most() {
    at_each_size("talkers", |state| drop(press(state, KeyCode::Char('3'))));
}

#[test]
fn the_connections() {
    at_each_size("connections", |state| {
        press(state, KeyCode::Char('4'));
        hear(state, &Request::Connections { from: 0 }, Answer::Connections(connections()));
        press(state, KeyCode::Down);
    });
}

#[test]
fn the_incidents() {
    at_each_size("incidents", |state| {
        let mut status = status(1_301);
        status.bans = vec![ban()];
        hear(state, &Request::Status, Answer::Status(Box::new(status)));
        press(state, KeyCode::Char('5'));
        let events = [
            alert("scan.connect", 1, 10, "203.0.113.20"),
            alert("flood.syn", 2, 12_800, "198.51.100.9"),
            alert("brute_force", 3, 20, "2001:db8:1234:5678:9abc:def0:1234:5678"),
            alert("scan.connect", 1, 20, "203.0.113.20"),
        ];
        state.update(Incoming::News(News::Events(events.into())));
        press(state, KeyCode::Down);
    });
}

#[test]
fn all_about_one_incident() {
    at_each_size("incident", |state| {
        let mut status = status(1_301);
        status.bans = vec![ban()];
        hear(state, &Request::Status, Answer::Status(Box::new(status)));
        state.update(Incoming::News(News::Events(vec![alert("scan.connect", 1, 20, "203.0.113.20")])));
        press(state, KeyCode::Char('5'));
        press(state, KeyCode::Enter);
    });
}

#[test]
fn a_choice() {
    at_each_size("choice", |state| {
        press(state, KeyCode::Char('3'));
        press(state, KeyCode::Char('b'));
        press(state, KeyCode::Down);
    });
}

#[test]
fn a_question() {
    at_each_size("question", |state| {
        press(state, KeyCode::Char('e'));
        press(state, KeyCode::Char('2'));
        press(state, KeyCode::Enter);
    });
}

#[test]
fn a_long_answer_is_seen_in_full() {
    at_each_size("answer", |state| {
        let mut done = Done::new(
            "monitoring is paused until 2026-11-23T00:56:38Z: packets that are allowed have no line; what is blocked or suspicious still has, and all are counted",
        );
        done.warnings = vec!["it would have cut 3 connections".to_owned()];
        hear(state, &Request::Undo, Answer::Done(done));
    });
}

#[test]
fn rules_that_are_to_be_confirmed_in_this_window() {
    for size in SIZES {
        let mut state = State::new(size, Status { confirm: Some(57), ..status(3) }, true);
        for uptime in 4..=20 {
            let status = Status { confirm: Some(60 - uptime), ..status(uptime) };
            hear(&mut state, &Request::Status, Answer::Status(Box::new(status)));
        }
        hold("confirm", &state);
    }
}

#[test]
fn a_pfw_that_blocks_all_and_monitors_nothing() {
    at_each_size("panic", |state| {
        let spell = Some(Spell { since: "2026-11-21T18:40:01Z".into(), until: None });
        let regime = Regime { monitoring_paused: spell.clone(), panic: spell, ..Regime::default() };
        let status = Status { regime, ..status(1_301) };
        hear(state, &Request::Status, Answer::Status(Box::new(status)));
        press(state, KeyCode::Char('+'));
        type_in(state, "192.168.1.7");
    });
}

#[test]
fn the_help() {
    at_each_size("help", |state| drop(press(state, KeyCode::Char('?'))));
}

#[test]
fn a_pfw_that_has_much_to_say() {
    at_each_size("trouble", |state| {
        let mut status = status(100_000);
        status.counts.lost_kernel = 77;
        status.counts.differences = 3;
        status.enforcing = false;
        status.tools = None;
        status.warnings = vec!["the rules file was refused at 19:40, and the rules before it stay: rules.json:3:5: \"block_portz\": unknown key; did you mean \"block_ports\"?".into(); 2];
        hear(state, &Request::Status, Answer::Status(Box::new(status)));
        press(state, KeyCode::Char('w'));
    });
}

#[test]
fn a_connection_that_is_lost() {
    at_each_size("lost", |state| {
        state.update(Incoming::News(News::Down("pfw has ended, or closed the connection".into())));
    });
}

#[test]
fn a_view_that_knows_nothing_yet() {
    for size in SIZES {
        hold("empty", &State::new(size, Status::default(), false));
    }
}

#[test]
fn a_screen_that_is_too_small_says_so_and_no_size_is_a_surprise() {
    let mut state = state((80, 24));
    state.update(Incoming::Size((60, 20)));
    assert!(text(&state).starts_with("pfw needs 80x24, this is 60x20; q leaves\n"));
    press(&mut state, KeyCode::Char('?'));
    for width in 1..130 {
        for height in [1, 2, 3, 5, 23, 24, 25, 60] {
            state.update(Incoming::Size((width, height)));
            text(&state);
        }
    }
}

#[test]
fn without_colours_there_are_none() {
    let mut state = state((120, 40));
    for pane in ['1', '2', '3', '4', '5', 'P', '?'] {
        press(&mut state, KeyCode::Char(pane));
        let backend = screen(&state, false);
        let plain = |cell: &ratatui::buffer::Cell| cell.fg == Color::Reset && cell.bg == Color::Reset;
        assert!(backend.buffer().content().iter().all(plain), "{pane}");
    }
}
