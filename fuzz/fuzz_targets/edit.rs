//! Any bytes as a rules file, and any edit of it: what comes of a sound file is a sound file that says the same plus
//! the edit, and the way back leads to the same bytes.
//!
//! The first five bytes choose the edit, the rest is the rules file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pfw::rules::edit::{At, Change, Details, Done, Edit, List, NewRule, Outcome, Value};
use pfw::rules::{Action, Entry, Loaded, Origin, Ruleset, parse};
use pfw::time::Timestamp;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

const VALUES: [&str; 12] = [
    "10.0.0.1",
    "10.0.0.0/8",
    "10.0.0.1-10.0.0.9",
    "2001:db8::/32",
    "::1",
    "80",
    "80/tcp",
    "20-25/udp",
    "icmp",
    "tcp",
    "gre",
    "protocol:253",
];

fuzz_target!(|input: &[u8]| {
    let Some((&[kind, what, beside, place, now], text)) = input.split_first_chunk() else { return };
    let Some(loaded) = read(text) else { return };
    let edit = edit(kind, what, beside, place, &loaded.ruleset);
    let now = Timestamp::from_parts(i64::from(now) << 24, 0);
    let Ok(answer) = edit.apply(&loaded, now) else { return };
    assert!(!answer.to_string().contains(['\n', '\u{1b}']));
    let Outcome::Changed(Change { done, text: new, undo }) = answer.outcome else { return };
    assert_eq!(undo.apply(&new).unwrap(), loaded.text);
    let after = read(new.as_bytes()).expect("what is handed out is sound");
    let (before, after) = (lines(&loaded.ruleset), lines(&after.ruleset));
    match done {
        Done::Added => assert_eq!(after.len(), before.len() + 1),
        Done::Removed => assert!(after.len() < before.len()),
        Done::Updated | Done::Enabled | Done::Disabled => assert_eq!(after.len(), before.len()),
    }
    // All others stand in the order in which they stood, and say what they said.
    let (few, many) = if done == Done::Added { (&before, &after) } else { (&after, &before) };
    if matches!(done, Done::Added | Done::Removed) {
        let mut rest = many.iter();
        assert!(few.iter().all(|line| rest.any(|other| other == line)), "{before:#?}\n{after:#?}");
    }
});

fn read(text: &[u8]) -> Option<Loaded> {
    let read = |_: &Path| Ok(b"10.0.0.0/9\n".to_vec());
    parse(text.to_vec(), &Origin { file: "rules.json", folder: Path::new(""), read: &read }).ok()
}

fn edit(kind: u8, what: u8, beside: u8, place: u8, rules: &Ruleset) -> Edit {
    let value = Value::parse(VALUES[usize::from(what) % VALUES.len()]).unwrap();
    let details = Details {
        id: (beside & 1 != 0).then(|| "new".to_owned()),
        comment: (beside & 2 != 0).then(|| "a \"remark\"".to_owned()),
        expires: (beside & 4 != 0).then(|| Timestamp::from_parts(i64::from(beside) << 24, 0)),
    };
    let list = if place & 1 == 0 { value.block_list() } else { List::ALL[usize::from(place >> 1) % List::ALL.len()] };
    match kind % 6 {
        0 => Edit::Add { list, value, details },
        1 => Edit::allow(value, details, rules),
        2 => Edit::Drop { list, value },
        3 => Edit::Remove { id: id(rules, what) },
        4 => Edit::SetEnabled { id: id(rules, what), enabled: place & 1 == 0 },
        _ => {
            let at = match place % 4 {
                0 => At::First,
                1 => At::Last,
                2 => At::Before(id(rules, what)),
                _ => At::After(id(rules, what)),
            };
            let dst_port = vec![u16::from(what).to_string(), "443/tcp".to_owned()];
            Edit::AddRule { at, rule: Box::new(NewRule { dst_port, details, ..NewRule::new(Action::Block) }) }
        }
    }
}

/// One of the ids that there are.
fn id(rules: &Ruleset, number: u8) -> Arc<str> {
    fn of<T>(entries: &[Entry<T>]) -> impl Iterator<Item = &Arc<str>> {
        entries.iter().map(|entry| &entry.id)
    }
    let ids: Vec<_> = of(&rules.allow_ips)
        .chain(of(&rules.block_ips))
        .chain(of(&rules.block_ports))
        .chain(of(&rules.block_protocols))
        .chain(of(&rules.allow_protocols))
        .chain(rules.block_lists.iter().map(|list| &list.id))
        .chain(rules.rules.iter().map(|rule| &rule.id))
        .collect();
    ids.get(usize::from(number) % ids.len().max(1)).map_or_else(|| "none".into(), |id| Arc::clone(id))
}

/// What the rules say, but for where it stands: one line for each entry. Ids of rules are left out, because a derived
/// one counts equal rules.
fn lines(rules: &Ruleset) -> Vec<String> {
    fn of<T: Display>(list: List, entries: &[Entry<T>]) -> Vec<String> {
        let line = |entry: &Entry<T>| {
            let Entry { value, negated, id, comment, expires, enabled, .. } = entry;
            format!("{list:?} {value} {negated} {id} {comment:?} {expires:?} {enabled}")
        };
        entries.iter().map(line).collect()
    }
    let mut lines = of(List::AllowIps, &rules.allow_ips);
    lines.extend(of(List::BlockIps, &rules.block_ips));
    lines.extend(of(List::BlockPorts, &rules.block_ports));
    lines.extend(of(List::BlockProtocols, &rules.block_protocols));
    lines.extend(of(List::AllowProtocols, &rules.allow_protocols));
    lines.extend(
        rules
            .block_lists
            .iter()
            .map(|list| format!("{:?} {:?} {:?} {}", list.path, list.comment, list.expires, list.enabled)),
    );
    lines.extend(rules.rules.iter().map(|rule| {
        let conditions = (&rule.protocol, &rule.src, &rule.dst, &rule.src_port, &rule.dst_port, &rule.icmp_type);
        format!(
            "{:?} {:?} {conditions:?} {:?} {:?} {:?} {}",
            rule.action, rule.direction, rule.interface, rule.comment, rule.expires, rule.enabled
        )
    }));
    lines
}
