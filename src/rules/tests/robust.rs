//! Whatever the bytes are: an answer, the same each time, and never a panic.

use super::{cases, read_with};
use crate::host::Host;
use crate::rules::Loaded;
use crate::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value};

const EXAMPLE: &str = include_str!("../../../rules.example.json");

/// Reads `bytes`, lints what comes of it, and says all that is told.
fn told(bytes: &[u8], list: &str) -> String {
    let words = |loaded: Loaded| {
        let warnings = loaded.all_warnings(&Host::default(), Timestamp::default());
        format!("{:?}\n{warnings:?}", loaded.ruleset)
    };
    read_with(bytes, list).map_or_else(|errors| errors.to_string(), words)
}

/// JSON of any shape, made of the words that rules files are made of.
fn json() -> impl Strategy<Value = Value> {
    let words: Vec<&'static str> = cases(include_str!("broken.txt"))
        .iter()
        .flat_map(|case| case.text.clone().leak().split('"'))
        .chain(EXAMPLE.split('"'))
        .collect();
    let word = prop::sample::select(words);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1_i64..70_000).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        let members = prop::collection::vec((word.clone(), inner.clone()), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            members.prop_map(|members| members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        told(&bytes, "");
        told(b"{ \"block_lists\": [\"drop.txt\"] }", &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_json_gets_an_answer(value in json()) {
        told(value.to_string().as_bytes(), "192.0.2.1");
    }

    #[test]
    fn a_mutilated_example_gets_the_same_answer_each_time(cuts in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..4, any::<u8>()), 1..4)) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        for (at, length, byte) in cuts {
            let start = at.index(bytes.len());
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, [byte]);
        }
        prop_assert_eq!(told(&bytes, ""), told(&bytes, ""));
    }
}
