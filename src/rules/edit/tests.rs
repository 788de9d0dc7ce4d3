//! What edits make of texts.

mod answers;
mod layout;
mod properties;

use super::*;
use crate::rules::model::Action;
use crate::rules::tests::read_with;
use crate::rules::{Loaded, Ruleset};
use crate::time::Timestamp;

/// 2026-11-21T18:40:00Z.
const NOW: Timestamp = Timestamp::from_parts(1_795_286_400, 0);

fn load(text: &str) -> Loaded {
    read_with(text, "192.0.2.0/24\n").unwrap()
}

fn value(text: &str) -> Value {
    Value::parse(text).unwrap()
}

fn block(text: &str) -> Edit {
    Edit::block(value(text), Details::default())
}

fn unblock(text: &str) -> Edit {
    Edit::unblock(Target::Value(value(text)))
}

fn answer(text: &str, edit: &Edit) -> Answer {
    edit.apply(&load(text), NOW).unwrap()
}

fn change(text: &str, edit: &Edit) -> Change {
    match answer(text, edit).outcome {
        Outcome::Changed(change) => change,
        other => panic!("{edit:?} changes nothing of {text}: {other:?}"),
    }
}

/// The text after an edit, which is taken back on the way.
fn edited(text: &str, edit: &Edit) -> String {
    let Change { text: new, undo, .. } = change(text, edit);
    assert_eq!(undo.apply(&new).unwrap(), text);
    new
}

fn refused(text: &str, edit: &Edit) -> String {
    edit.apply(&load(text), NOW).unwrap_err().0
}
