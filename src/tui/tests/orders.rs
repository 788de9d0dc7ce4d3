//! What keys have pfw do.

use super::steps::{change, click, notice, refuse};
use super::*;
use crate::control::report::{Regime, Spell};
use crate::control::{Activity, Change, Forcible, Op, Resumed};
use crate::tui::event::testing::alert;
use crate::tui::state::Dialog;

/// Goes to the line of the log that a filter finds.
fn select(state: &mut State, filter: &str) {
    press(state, KeyCode::Char('/'));
    type_in(state, filter);
    press(state, KeyCode::Enter);
}

#[test]
fn what_is_typed_is_blocked_for_good_or_for_a_time() {
    let mut state = state((80, 24));
    press(&mut state, KeyCode::Char('+'));
    type_in(&mut state, "192.168.1.7");
    assert_eq!(press(&mut state, KeyCode::Enter), [], "for how long is asked first");
    assert_eq!(press(&mut state, KeyCode::Enter), change(Change::new(Op::Block, "192.168.1.7")));
    assert!(state.dialog.is_none());
    press(&mut state, KeyCode::Char('*'));
    type_in(&mut state, "80");
    press(&mut state, KeyCode::Enter);
    let for_an_hour = Change { for_seconds: Some(3_600), ..Change::new(Op::Allow, "80") };
    assert_eq!(mean(&mut state, '2'), change(for_an_hour));
    press(&mut state, KeyCode::Char('+'));
    press(&mut state, KeyCode::Enter);
    assert!(state.dialog.is_none(), "nothing was typed, and nothing is meant by it");
}

#[test]
fn a_rule_is_made_of_a_line_with_one_key() {
    let mut state = state((80, 24));
    select(&mut state, "rule:block_ports:445/tcp");
    press(&mut state, KeyCode::Char('b'));
    let temporary = Change { temporary: true, ..Change::new(Op::Block, "203.0.113.20") };
    assert_eq!(press(&mut state, KeyCode::Char('t')), [], "a letter marks its line");
    assert_eq!(press(&mut state, KeyCode::Enter), change(temporary));
    press(&mut state, KeyCode::Char('B'));
    assert_eq!(press(&mut state, KeyCode::Enter), change(Change::new(Op::Block, "445/tcp")));
    press(&mut state, KeyCode::Char('a'));
    press(&mut state, KeyCode::Down);
    press(&mut state, KeyCode::Up);
    assert_eq!(mean(&mut state, 'g'), change(Change::new(Op::Allow, "203.0.113.20")));
    press(&mut state, KeyCode::Char('A'));
    assert_eq!(press(&mut state, KeyCode::Esc), []);
    select(&mut state, "icmp");
    press(&mut state, KeyCode::Char('B'));
    assert_eq!(notice(&state), (false, "what is selected has no TCP or UDP port"));
    select(&mut state, "pfw");
    press(&mut state, KeyCode::Char('b'));
    assert_eq!(notice(&state), (false, "what is selected has no peer"));
}

#[test]
fn who_is_behind_an_incident_can_be_blocked_and_his_ban_taken_back() {
    let mut state = state((80, 24));
    press(&mut state, KeyCode::Char('5'));
    state.update(Incoming::News(News::Events(vec![
        alert("flood.syn", 2, 1_000, "198.51.100.9"),
        alert("scan.connect", 1, 10, "203.0.113.20"),
    ])));
    press(&mut state, KeyCode::Home);
    press(&mut state, KeyCode::Char('-'));
    assert_eq!(notice(&state), (false, "nobody is banned for what is selected"));
    press(&mut state, KeyCode::Char('b'));
    assert_eq!(press(&mut state, KeyCode::Enter), change(Change::new(Op::Block, "203.0.113.20")));
    let status = Status { bans: vec![ban()], ..status(1_301) };
    hear(&mut state, &Request::Status, Answer::Status(Box::new(status)));
    assert_eq!(press(&mut state, KeyCode::Char('-')), []);
    assert_eq!(press(&mut state, KeyCode::Char('y')), change(Change::new(Op::Unblock, "203.0.113.20")));
    press(&mut state, KeyCode::Down);
    while state.incidents.list.selected().is_some_and(|one| &*one.what.name != "flood.syn") {
        press(&mut state, KeyCode::Down);
    }
    press(&mut state, KeyCode::Char('b'));
    assert_eq!(notice(&state), (false, "what is selected has no peer"));
}

#[test]
fn who_talks_and_what_is_connected_can_be_blocked() {
    let mut state = state((80, 24));
    press(&mut state, KeyCode::Char('3'));
    press(&mut state, KeyCode::Down);
    press(&mut state, KeyCode::Char('b'));
    assert_eq!(press(&mut state, KeyCode::Enter), change(Change::new(Op::Block, "203.0.113.20")));
    press(&mut state, KeyCode::Right);
    press(&mut state, KeyCode::Char('B'));
    assert_eq!(press(&mut state, KeyCode::Enter), change(Change::new(Op::Block, "53/udp")));
    press(&mut state, KeyCode::Char('b'));
    assert!(!notice(&state).0, "a port has no peer");
    assert_eq!(press(&mut state, KeyCode::Char('4')), [Effect::Ask(Request::Connections { from: 0 })]);
    hear(&mut state, &Request::Connections { from: 0 }, Answer::Connections(connections()));
    press(&mut state, KeyCode::End);
    press(&mut state, KeyCode::Char('b'));
    assert_eq!(
        press(&mut state, KeyCode::Enter),
        change(Change::new(Op::Block, "192.0.2.1")),
        "the peer of what we opened"
    );
    press(&mut state, KeyCode::Up);
    press(&mut state, KeyCode::Char('b'));
    assert_eq!(press(&mut state, KeyCode::Enter), change(Change::new(Op::Block, "192.168.1.7")), "who opened it");
}

#[test]
fn connections_are_gathered_page_by_page() {
    let mut state = state((80, 24));
    press(&mut state, KeyCode::Char('4'));
    let page = ConnectionsPage { next: Some(4_096), ..connections() };
    let effects = hear(&mut state, &Request::Connections { from: 0 }, Answer::Connections(page));
    assert_eq!(effects, [Effect::Ask(Request::Connections { from: 4_096 })]);
    assert_eq!(state.connections.len().0, 0);
    hear(&mut state, &Request::Connections { from: 4_096 }, Answer::Connections(connections()));
    assert_eq!(state.connections.len().0, 6);
}

#[test]
fn rules_are_removed_and_switched() {
    let mut state = state((80, 24));
    press(&mut state, KeyCode::Char('2'));
    press(&mut state, KeyCode::Down);
    let said_yes = |state: &mut State, key| {
        assert_eq!(press(state, KeyCode::Char(key)), [], "it is asked back");
        press(state, KeyCode::Char('y'))
    };
    assert_eq!(said_yes(&mut state, '-'), change(Change::new(Op::Unblock, "block_ips:192.168.1.7")));
    assert_eq!(said_yes(&mut state, ' '), change(Change::new(Op::Disable, "block_ips:192.168.1.7")));
    for _ in 0..4 {
        press(&mut state, KeyCode::Down);
    }
    assert_eq!(said_yes(&mut state, ' '), change(Change::new(Op::Enable, "games")), "an allow rule lets more through");
    assert_eq!(said_yes(&mut state, 'u'), [Effect::Ask(Request::Undo)]);
    let mut page = rules();
    page.rows[5].action = "block".into();
    hear(&mut state, &Request::Rules { from: 0 }, Answer::Rules(page));
    assert_eq!(press(&mut state, KeyCode::Char(' ')), change(Change::new(Op::Enable, "games")), "it blocks again");
}

#[test]
fn icmp_is_switched_by_what_the_rules_say() {
    let mut state = state((80, 24));
    assert_eq!(press(&mut state, KeyCode::Char('i')), [Effect::Ask(Request::Rules { from: 0 })]);
    let mut page = rules();
    hear(&mut state, &Request::Rules { from: 0 }, Answer::Rules(page.clone()));
    assert_eq!(press(&mut state, KeyCode::Char('y')), change(Change::new(Op::Block, "icmp")));
    page.rows[4] = RuleRow { step: 6, matches: "icmp".into(), ..page.rows[4].clone() };
    press(&mut state, KeyCode::Char('i'));
    hear(&mut state, &Request::Rules { from: 0 }, Answer::Rules(page.clone()));
    assert_eq!(press(&mut state, KeyCode::Char('y')), change(Change::new(Op::Unblock, "icmp")));
    press(&mut state, KeyCode::Char('i'));
    page.rows.truncate(4);
    let answer = hear(&mut state, &Request::Rules { from: 0 }, Answer::Rules(page));
    assert_eq!(answer, [Effect::Ask(Request::Rules { from: 4 })], "of a long list the rest is read first");
}

#[test]
fn what_rests_goes_on_with_the_same_key() {
    let mut state = state((80, 24));
    let what = Activity::Monitoring;
    assert_eq!(press(&mut state, KeyCode::Char('m')), [Effect::Ask(Request::Pause { what, for_seconds: None })]);
    press(&mut state, KeyCode::Char('e'));
    let paused = Request::Pause { what: Activity::Enforcement, for_seconds: Some(600) };
    assert_eq!(mean(&mut state, '1'), [Effect::Ask(paused)]);
    press(&mut state, KeyCode::Char('P'));
    assert_eq!(mean(&mut state, 'u'), [Effect::Ask(Request::Panic { for_seconds: None, force: false })]);
    let spell = || Some(Spell::default());
    let regime = Regime { enforcement_paused: spell(), monitoring_paused: spell(), panic: spell() };
    hear(&mut state, &Request::Status, Answer::Status(Box::new(Status { regime, ..status(1_301) })));
    for (key, what) in [('m', Resumed::Monitoring), ('e', Resumed::Enforcement)] {
        assert_eq!(press(&mut state, KeyCode::Char(key)), [Effect::Ask(Request::Resume { what, force: false })]);
    }
    assert_eq!(press(&mut state, KeyCode::Char('P')), [], "what is allowed passes again: it is asked back");
    assert_eq!(
        press(&mut state, KeyCode::Char('y')),
        [Effect::Ask(Request::Resume { what: Resumed::Panic, force: false })]
    );
}

/// Lines that somebody types or pastes for a shell, where the terminal does not tell pasted text from keys.
const STRAY: [&str; 5] = [
    "make debug\n",
    "stty -a | grep -o -E '[-]?(icanon|echo) '\n",
    "cat rules.json\n",
    "Put that under /etc, e.g. at 10\n",
    "sudo apt update && sudo apt upgrade -y\n",
];

#[test]
fn text_that_was_meant_for_a_shell_changes_no_rule_and_pauses_no_enforcement() {
    let is_harmless = |effect: &Effect| match effect {
        Effect::Ask(Request::Pause { what, .. }) => *what == Activity::Monitoring,
        Effect::Ask(Request::Resume { what, .. }) => *what == Resumed::Monitoring,
        Effect::Ask(Request::Rules { .. } | Request::Connections { .. } | Request::Status) | Effect::Leave => true,
        _ => false,
    };
    for pane in ['1', '2', '3', '4', '5'] {
        for text in STRAY {
            let mut state = state((80, 24));
            pass(&mut state, 1);
            press(&mut state, KeyCode::Char(pane));
            for char in text.chars() {
                let code = if char == '\n' { KeyCode::Enter } else { KeyCode::Char(char) };
                let mut effects = press(&mut state, code);
                if effects.contains(&Effect::Ask(Request::Rules { from: 0 })) {
                    effects = hear(&mut state, &Request::Rules { from: 0 }, Answer::Rules(rules()));
                }
                assert!(effects.iter().all(is_harmless), "pane {pane}, {text:?} at {char:?}: {effects:?}");
            }
        }
    }
}

#[test]
fn every_key_but_yes_leaves_things_as_they_are() {
    for key in [KeyCode::Enter, KeyCode::Char('n'), KeyCode::Char('x'), KeyCode::Char('j'), KeyCode::Esc] {
        let mut state = state((80, 24));
        press(&mut state, KeyCode::Char('u'));
        assert_eq!(press(&mut state, key), []);
        assert!(state.dialog.is_none(), "{key:?}");
    }
}

#[test]
fn of_a_question_nothing_but_its_letter_is_a_yes() {
    let mut state = state((80, 24));
    for key in [KeyCode::Down, KeyCode::End, KeyCode::PageDown] {
        press(&mut state, KeyCode::Char('e'));
        press(&mut state, KeyCode::Enter);
        press(&mut state, key);
        assert_eq!(press(&mut state, KeyCode::Enter), [], "{key:?}");
    }
}

#[test]
fn a_key_that_is_no_choice_is_said_to_be_none() {
    let mut state = state((80, 24));
    press(&mut state, KeyCode::Char('+'));
    type_in(&mut state, "192.168.1.7");
    press(&mut state, KeyCode::Enter);
    type_in(&mut state, "8");
    assert_eq!(notice(&state), (false, "'8' is none of the choices: Enter takes the marked one, Esc leaves it"));
    assert_eq!(press(&mut state, KeyCode::Enter), change(Change::new(Op::Block, "192.168.1.7")));
}

#[test]
fn what_pfw_asks_back_is_not_answered_by_what_is_typed_for_something_else() {
    let mut state = state((80, 24));
    press(&mut state, KeyCode::Char('/'));
    refuse(&mut state, &Request::Change(Change::new(Op::Block, "10.0.0.1")), "this would cut your own session", true);
    assert!(matches!(&state.dialog, Some(Dialog::Input(_))));
    assert_eq!(notice(&state), (false, "this would cut your own session"));
}

#[test]
fn enter_says_in_its_own_window_alone_that_the_rules_may_stay() {
    let waits = || Answer::Status(Box::new(Status { confirm: Some(9), ..status(1_301) }));
    let mut own = State::new((80, 24), status(1), true);
    hear(&mut own, &Request::Status, waits());
    assert_eq!(press(&mut own, KeyCode::Enter), [Effect::Ask(Request::Confirm)]);
    assert_eq!(press(&mut own, KeyCode::Char('C')), [Effect::Ask(Request::Confirm)]);
    let mut state = state((80, 24));
    hear(&mut state, &Request::Status, waits());
    assert_eq!(press(&mut state, KeyCode::Enter), []);
    assert!(matches!(&state.dialog, Some(Dialog::Page(_))));
}

#[test]
fn what_cuts_somebody_off_is_asked_back_and_done_only_if_it_is_meant() {
    let mut state = state((80, 24));
    let request = Request::Change(Change::new(Op::Block, "10.0.0.1"));
    refuse(&mut state, &request, "this would cut your own session", true);
    assert!(matches!(&state.dialog, Some(Dialog::Menu(menu)) if menu.title == ["this would cut your own session"]));
    assert_eq!(press(&mut state, KeyCode::Enter), [], "Enter leaves it as it is");
    refuse(&mut state, &request, "this would cut your own session", true);
    let forced = Change { force: true, ..Change::new(Op::Block, "10.0.0.1") };
    assert_eq!(press(&mut state, KeyCode::Char('y')), change(forced));
    for (request, forced) in [
        (Request::Undo, Request::Force(Forcible::Undo)),
        (Request::Reload, Request::Force(Forcible::Reload)),
        (
            Request::Resume { what: Resumed::Enforcement, force: false },
            Request::Resume { what: Resumed::Enforcement, force: true },
        ),
    ] {
        refuse(&mut state, &request, "this would cut your own session", true);
        assert_eq!(press(&mut state, KeyCode::Char('y')), [Effect::Ask(forced)]);
    }
    refuse(&mut state, &request, "no such address", false);
    assert_eq!(notice(&state), (false, "no such address"));
}

#[test]
fn a_choice_is_made_by_the_mouse_too() {
    let mut state = state((80, 24));
    press(&mut state, KeyCode::Char('+'));
    type_in(&mut state, "80");
    press(&mut state, KeyCode::Enter);
    let Some(Dialog::Menu(menu)) = &state.dialog else { panic!("a choice") };
    let area = state.menu_area(menu);
    let temporary = Change { temporary: true, ..Change::new(Op::Block, "80") };
    assert_eq!(click(&mut state, area.x + 5, area.y + 4), change(temporary));
    assert!(state.dialog.is_none());
    press(&mut state, KeyCode::Char('e'));
    let Some(Dialog::Menu(menu)) = &state.dialog else { panic!("a choice") };
    let area = state.menu_area(menu);
    assert_eq!(click(&mut state, area.x + 5, area.y + 3), [], "it is asked back");
    let Some(Dialog::Menu(menu)) = &state.dialog else { panic!("a question") };
    let area = state.menu_area(menu);
    let request = Request::Pause { what: Activity::Enforcement, for_seconds: Some(600) };
    assert_eq!(click(&mut state, area.x + 5, area.y + 4), [Effect::Ask(request)]);
    press(&mut state, KeyCode::Char('P'));
    assert_eq!(click(&mut state, 0, 0), []);
    assert!(state.dialog.is_none(), "a click elsewhere closes it");
}

fn title(state: &State) -> String {
    let Some(Dialog::Menu(menu)) = &state.dialog else { panic!("a choice") };
    menu.title.concat()
}

#[test]
fn what_is_asked_of_a_pause_during_a_panic_is_true() {
    let mut state = state((80, 24));
    press(&mut state, KeyCode::Char('e'));
    assert!(title(&state).contains("nothing is blocked then"));
    press(&mut state, KeyCode::Esc);
    state.status.regime.panic = Some(crate::control::report::Spell { since: "t".to_owned(), until: None });
    press(&mut state, KeyCode::Char('e'));
    assert!(title(&state).contains("behind the panic, which goes on"));
}
