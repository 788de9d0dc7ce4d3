//! What can be asked of pfw for some target, and the choices that the view offers for it: for how long, and whether it is
//! meant. The latter is asked of all that has pfw block less, and of what blocks everything.

use super::dialog::{Choice, Kind, Menu};
use crate::control::{Activity, Change, Forcible, Op, Request};

/// Times that are offered, in seconds, with their key and their words.
const TIMES: [(char, u64, &str); 3] =
    [('1', 600, "for 10 minutes"), ('2', 3_600, "for 1 hour"), ('3', 86_400, "for 24 hours")];

/// Block or allow something: for good or for a time.
pub fn change(op: Op, target: &str) -> Menu {
    let change = Change::new(op, target);
    let offer = |key, words: &str, change| choice(key, words, Request::Change(change));
    let temporary = Change { temporary: true, ..change.clone() };
    let mut choices = vec![
        offer('g', "for good: written to the rules file", change.clone()),
        offer('t', "for as long as this pfw runs", temporary),
    ];
    choices.extend(
        TIMES.map(|(key, seconds, words)| offer(key, words, Change { for_seconds: Some(seconds), ..change.clone() })),
    );
    let what = format!("{} {target}", verb(op));
    let title = vec![format!("{what}: for how long?")];
    Menu { title, choices, selected: 0, kind: if op == Op::Allow { Kind::Asks(what) } else { Kind::Acts } }
}

/// Take the rules out of the kernel for a while; during a panic that goes on.
pub fn pause_enforcement(in_panic: bool) -> Menu {
    let pause = |for_seconds| Request::Pause { what: Activity::Enforcement, for_seconds };
    let mut choices = Vec::from(TIMES.map(|(key, seconds, words)| choice(key, words, pause(Some(seconds)))));
    choices.push(choice('u', "until e is pressed again", pause(None)));
    let (title, what) = if in_panic {
        (
            "Take the rules out of the kernel behind the panic, which goes on. For how long?",
            "Block nothing behind the panic",
        )
    } else {
        ("Take the rules out of the kernel; nothing is blocked then. For how long?", "Block nothing")
    };
    Menu { title: vec![title.to_owned()], choices, selected: 0, kind: Kind::Asks(what.to_owned()) }
}

/// Block everything for a while.
pub fn panic() -> Menu {
    let panic = |for_seconds| Request::Panic { for_seconds, force: false };
    let mut choices = Vec::from(TIMES.map(|(key, seconds, words)| choice(key, words, panic(Some(seconds)))));
    choices.push(choice('u', "until P is pressed again", panic(None)));
    let title = vec!["Block everything but loopback: for how long?".to_owned()];
    Menu { title, choices, selected: 0, kind: Kind::Asks("Block everything but loopback".to_owned()) }
}

/// Do all the same what pfw has refused for its consequences; none if it can't be forced.
pub fn force(request: &Request, title: Vec<String>) -> Option<Menu> {
    let forced = match request {
        Request::Change(change) => Request::Change(Change { force: true, ..change.clone() }),
        Request::Panic { for_seconds, .. } => Request::Panic { for_seconds: *for_seconds, force: true },
        Request::Resume { what, .. } => Request::Resume { what: *what, force: true },
        Request::Undo => Request::Force(Forcible::Undo),
        Request::Reload => Request::Force(Forcible::Reload),
        _ => return None,
    };
    Some(question(title, "do it all the same", forced))
}

/// Whether something is meant.
pub fn question(title: Vec<String>, yes: &str, request: Request) -> Menu {
    let leave = Choice { key: 'n', words: "leave it as it is".to_owned(), request: None };
    Menu { title, choices: vec![leave, choice('y', yes, request)], selected: 0, kind: Kind::Question }
}

fn choice(key: char, words: &str, request: Request) -> Choice {
    Choice { key, words: words.to_owned(), request: Some(request) }
}

/// What a change does, as a word.
pub const fn verb(op: Op) -> &'static str {
    match op {
        Op::Block => "Block",
        Op::Allow => "Allow",
        Op::Unblock => "Remove",
        Op::Enable => "Switch on",
        Op::Disable => "Switch off",
    }
}
