//! Any bytes as a rules file, and as the block list that it names: an answer each time, the same for the same bytes,
//! and places that are in the file.
//!
//! The input is the rules file; what stands behind a byte 0xff, which no UTF-8 has, is the block list.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pfw::host::Host;
use pfw::rules::{Errors, Loaded, Origin, parse};
use pfw::time::Timestamp;
use std::path::Path;

fuzz_target!(|input: &[u8]| {
    let end = input.iter().position(|&byte| byte == 0xff).unwrap_or(input.len());
    let (text, list) = input.split_at(end);
    match (read(text, list), read(text, list)) {
        (Ok(loaded), Ok(again)) => {
            let ids = |loaded: &Loaded| loaded.ruleset.rules.iter().map(|rule| rule.id.clone()).collect::<Vec<_>>();
            assert_eq!(ids(&loaded), ids(&again));
            let lines = loaded.text.lines().count().max(1);
            for warning in loaded.all_warnings(&Host::default(), Timestamp::default()) {
                assert!(warning.place.unwrap().line as usize <= lines);
            }
        }
        (Err(errors), Err(again)) => {
            assert!(!errors.errors.is_empty());
            assert!(!errors.to_string().contains('\u{1b}'));
            assert_eq!(errors, again);
        }
        _ => panic!("once sound and once broken"),
    }
});

fn read(text: &[u8], list: &[u8]) -> Result<Loaded, Errors> {
    let read = |_: &Path| Ok(list.to_vec());
    parse(text.to_vec(), &Origin { file: "rules.json", folder: Path::new(""), read: &read })
}
