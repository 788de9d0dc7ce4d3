//! Any sound file and any edit: the new text says what the old one said plus the change, and nothing else moved.

use super::*;
use crate::rules::model::Entry;
use proptest::prelude::*;
use std::fmt::Write;

/// An element of a list as the files here have it: values, and what stands beside them.
#[derive(Clone, Debug)]
struct Piece {
    values: Vec<String>,
    id: bool,
    comment: Option<&'static str>,
    expires: Option<&'static str>,
    enabled: Option<bool>,
}

/// A file: its lists in the order of their keys, and rules.
#[derive(Clone, Debug)]
struct Draft {
    lists: Vec<(List, Option<Vec<Piece>>)>,
    rules: Option<Vec<(u16, bool)>>,
    /// Chooses the order of keys and all white space.
    seed: u64,
}

const ENDS: [&str; 2] = ["2026-01-01T00:00:00Z", "2027-06-01T12:00:00.5+02:00"];

fn values(list: List) -> Vec<&'static str> {
    match list {
        List::AllowIps | List::BlockIps => {
            vec![
                "10.0.0.1",
                "10.0.0.2",
                "10.0.0.0/24",
                "10.0.0.1-10.0.0.3",
                "2001:db8::1",
                "::1/128",
                "!10.0.0.2",
                "@lan",
            ]
        }
        List::BlockPorts => vec!["80", "80/tcp", "443/udp", "20-25", "!80", "@web"],
        _ => vec!["tcp", "UDP", "icmp", "58", "253", "!gre"],
    }
}

fn piece(list: List) -> impl Strategy<Value = Piece> {
    let plain: Vec<_> = values(list).into_iter().filter(|value| !value.starts_with('@')).collect();
    let one = prop::sample::select(values(list)).prop_map(|value| vec![value.to_owned()]);
    let some = prop::collection::vec(prop::sample::select(plain).prop_map(str::to_owned), 1..4);
    let comment = prop::option::of(prop::sample::select(vec!["a, \"b\" [", "ä {}"]));
    let beside = (
        any::<bool>(),
        comment,
        prop::option::of(prop::sample::select(ENDS.to_vec())),
        prop::option::of(any::<bool>()),
    );
    (prop_oneof![3 => one, 1 => some], prop_oneof![2 => Just((false, None, None, None)), 1 => beside]).prop_map(
        |(values, (id, comment, expires, enabled))| {
            // The model below can't tell the values of a set from others once the entry has an id of its own.
            let id = id && !values.iter().any(|value| value.starts_with('@'));
            Piece { values, id, comment, expires, enabled }
        },
    )
}

fn draft() -> impl Strategy<Value = Draft> {
    let list = |list| prop::option::of(prop::collection::vec(piece(list), 0..5)).prop_map(move |pieces| (list, pieces));
    let lists =
        [List::AllowIps, List::BlockIps, List::BlockPorts, List::BlockProtocols, List::AllowProtocols].map(list);
    let rules = prop::option::of(prop::collection::vec((1_u16..5, any::<bool>()), 0..4));
    (Vec::from(lists), rules, any::<u64>()).prop_map(|(lists, rules, seed)| Draft { lists, rules, seed })
}

/// Writes JSON with white space of its own choice.
struct Pen {
    seed: u64,
    newline: &'static str,
    indent: &'static str,
    /// 0: everything on one line without spaces; 1: with spaces; 2: one item a line; 3: whatever comes.
    habit: u64,
    ids: usize,
}

impl Pen {
    fn dice(&mut self, sides: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % sides
    }

    fn space(&mut self, depth: usize) -> String {
        match self.habit {
            0 => String::new(),
            1 => " ".to_owned(),
            2 => [self.newline, &self.indent.repeat(depth)].concat(),
            _ => match self.dice(5) {
                0 => String::new(),
                1 => "  ".to_owned(),
                2 => self.newline.repeat(2),
                3 => [self.newline, &self.indent.repeat(depth)].concat(),
                _ => " ".to_owned(),
            },
        }
    }

    fn enclosed(&mut self, open: char, close: char, items: &[String], depth: usize) -> String {
        let mut text = open.to_string();
        for (index, item) in items.iter().enumerate() {
            text.push_str(if index > 0 { "," } else { "" });
            text.push_str(&self.space(depth + 1));
            text.push_str(item);
        }
        text.push_str(&self.space(depth));
        text.push(close);
        text
    }

    fn member(&mut self, key: &str, json: &str) -> String {
        let space = if self.habit == 0 {
            String::new()
        } else if self.habit == 3 {
            self.space(0)
        } else {
            " ".to_owned()
        };
        format!("\"{key}\":{space}{json}")
    }

    fn value(&mut self, text: &str) -> String {
        if text.bytes().all(|byte| byte.is_ascii_digit()) && self.dice(2) == 0 {
            text.to_owned()
        } else {
            format!("\"{text}\"")
        }
    }

    fn piece(&mut self, list: List, piece: &Piece) -> String {
        let values: Vec<_> = piece.values.iter().map(|value| self.value(value)).collect();
        let alone = values.len() == 1
            && !piece.id
            && piece.comment.is_none()
            && piece.expires.is_none()
            && piece.enabled.is_none();
        if alone {
            return values.concat();
        }
        let value =
            if values.len() == 1 && self.dice(2) == 0 { values.concat() } else { self.enclosed('[', ']', &values, 2) };
        let mut members = vec![self.member(list.value_key(), &value)];
        if piece.id {
            self.ids += 1;
            let id = format!("\"given-{}\"", self.ids);
            members.push(self.member("id", &id));
        }
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        members.extend(piece.comment.map(|comment| self.member("comment", &quoted(comment))));
        members.extend(piece.expires.map(|expires| self.member("expires", &quoted(expires))));
        members.extend(piece.enabled.map(|enabled| self.member("enabled", &enabled.to_string())));
        self.enclosed('{', '}', &members, 2)
    }

    fn file(&mut self, draft: &Draft) -> String {
        let mut members =
            vec![self.member("sets", "{\"lan\":[\"10.0.0.1\",\"10.0.0.2\"], \"web\": [80, \"443/tcp\"]}")];
        for (list, pieces) in &draft.lists {
            let Some(pieces) = pieces else { continue };
            let items: Vec<_> = pieces.iter().map(|piece| self.piece(*list, piece)).collect();
            let json = self.enclosed('[', ']', &items, 1);
            members.push(self.member(list.key(), &json));
        }
        if let Some(rules) = &draft.rules {
            let items = rules.iter().map(|(port, enabled)| {
                format!("{{ \"action\": \"allow\", \"dst_port\": {port}, \"enabled\": {enabled} }}")
            });
            let items: Vec<_> = items.collect();
            let json = self.enclosed('[', ']', &items, 1);
            members.push(self.member("rules", &json));
        }
        let turn = self.dice(members.len() as u64);
        members.rotate_left(usize::try_from(turn).unwrap());
        self.enclosed('{', '}', &members, 0) + &self.space(0)
    }
}

fn written(draft: &Draft) -> String {
    let seed = draft.seed;
    let mut pen = Pen {
        seed,
        newline: ["\n", "\r\n"][usize::from(seed & 1 == 1)],
        indent: ["\t", "  ", "    "][(seed >> 1) as usize % 3],
        habit: (seed >> 3) % 4,
        ids: 0,
    };
    pen.file(draft)
}

fn edit() -> impl Strategy<Value = Edit> {
    let lists = vec![List::AllowIps, List::BlockIps, List::BlockPorts, List::BlockProtocols, List::AllowProtocols];
    let valued = prop::sample::select(lists).prop_flat_map(|list| {
        let plain: Vec<_> = values(list).into_iter().filter(|text| !text.starts_with(['!', '@'])).collect();
        (Just(list), prop::sample::select(plain).prop_map(move |text| list.value(text).unwrap()))
    });
    let details = (
        any::<bool>(),
        prop::option::of(Just("new \"remark\"".to_owned())),
        prop::option::of(prop::sample::select(vec![
            NOW.plus(std::time::Duration::from_hours(1)),
            Timestamp::from_parts(1_900_000_000, 0),
        ])),
    )
        .prop_map(|(id, comment, expires)| Details { id: id.then(|| "new-id".to_owned()), comment, expires });
    let id = prop::sample::select(vec![
        "given-1",
        "given-2",
        "block_ips:10.0.0.1",
        "block_ips:not:10.0.0.2",
        "block_ips:@lan",
        "allow_ips:10.0.0.1",
        "block_ports:80",
        "block_ports:@web",
        "block_protocols:icmp",
        "block_protocols:253",
        "allow_protocols:tcp",
    ])
    .prop_map(Arc::from);
    let rule = (1_u16..7, prop_oneof![Just(At::First), Just(At::Last)]).prop_map(|(port, at)| {
        let rule = NewRule { dst_port: vec![port.to_string()], ..NewRule::new(Action::Allow) };
        Edit::AddRule { at, rule: Box::new(rule) }
    });
    prop_oneof![
        4 => (valued.clone(), details).prop_map(|((list, value), details)| Edit::Add { list, value, details }),
        3 => valued.prop_map(|(list, value)| Edit::Drop { list, value }),
        2 => id.clone().prop_map(|id| Edit::Remove { id }),
        2 => (id, any::<bool>()).prop_map(|(id, enabled)| Edit::SetEnabled { id, enabled }),
        1 => rule,
    ]
}

/// What a rule set says, but for where it stands in the file: one line for each entry.
fn lines(rules: &Ruleset) -> Vec<(List, String)> {
    fn of<T: std::fmt::Display>(list: List, entries: &[Entry<T>]) -> Vec<(List, String)> {
        entries.iter().map(|entry| (list, line(entry))).collect()
    }
    let mut lines = of(List::AllowIps, &rules.allow_ips);
    lines.extend(of(List::BlockIps, &rules.block_ips));
    lines.extend(of(List::BlockPorts, &rules.block_ports));
    lines.extend(of(List::BlockProtocols, &rules.block_protocols));
    lines.extend(of(List::AllowProtocols, &rules.allow_protocols));
    for rule in &rules.rules {
        let mut text = String::new();
        write!(text, "{:?} {:?} {:?} {:?}", rule.action, rule.dst_port, rule.enabled, rule.expires).unwrap();
        lines.push((List::Rules, text));
    }
    lines
}

fn line<T: std::fmt::Display>(entry: &Entry<T>) -> String {
    let Entry { value, negated, id, comment, expires, enabled, .. } = entry;
    format!("{value} | {negated} | {id} | {comment:?} | {expires:?} | {enabled}")
}

/// One entry of the model, from its line.
fn field(line: &str, index: usize) -> &str {
    line.split(" | ").nth(index).unwrap()
}

/// What the lines become by an edit that changes something; none where the lines don't tell enough.
fn expected(old: &[(List, String)], edit: &Edit, done: Done) -> Option<Vec<(List, String)>> {
    let mut new = old.to_vec();
    match (edit, done) {
        (Edit::Add { list, value, details }, Done::Added) => {
            let id = details.id.clone().unwrap_or_else(|| list.derived_id(&value.to_string()));
            let Details { comment, expires, .. } = details;
            let line = format!("{value} | false | {id} | {comment:?} | {expires:?} | true");
            let behind = new.iter().rposition(|(other, _)| other == list).map_or_else(
                || new.iter().take_while(|(other, _)| rank(*other) < rank(*list)).count(),
                |last| last + 1,
            );
            new.insert(behind, (*list, line));
        }
        (Edit::Drop { list, .. }, _) => new.retain(|(other, line)| {
            let is_meant = || {
                let value = list.value(field(line, 0).split(", ").next().unwrap());
                field(line, 1) == "false"
                    && !field(line, 2).contains('@')
                    && value.is_some_and(|found| value_of(edit).includes(&found))
            };
            other != list || !is_meant()
        }),
        (Edit::Remove { id }, _) => new.retain(|(list, line)| *list == List::Rules || field(line, 2) != &**id),
        (Edit::SetEnabled { id, enabled }, _) => {
            for (_, line) in new.iter_mut().filter(|(list, line)| *list != List::Rules && field(line, 2) == &**id) {
                let kept = line.rsplit_once(" | ").unwrap().0.to_owned();
                *line = format!("{kept} | {enabled}");
            }
        }
        (Edit::AddRule { .. } | Edit::Add { .. }, _) => return None,
    }
    Some(new)
}

fn value_of(edit: &Edit) -> &Value {
    let Edit::Drop { value, .. } = edit else { panic!("{edit:?} has no value") };
    value
}

fn rank(list: List) -> usize {
    List::ALL.iter().position(|other| *other == list).unwrap()
}

/// Whether `short` is `long` with pieces left out.
fn is_within(short: &str, long: &str) -> bool {
    let mut rest = long.bytes();
    short.bytes().all(|byte| rest.any(|other| other == byte))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_new_file_says_what_the_old_one_said_and_the_change(draft in draft(), edit in edit()) {
        let text = written(&draft);
        let loaded = load(&text);
        let Ok(answer) = edit.apply(&loaded, NOW) else { return Ok(()) };
        let Outcome::Changed(Change { done, text: new, undo }) = answer.outcome else { return Ok(()) };
        prop_assert_ne!(&new, &text);
        prop_assert_eq!(undo.apply(&new).unwrap(), &*text);
        let (old_lines, new_lines) = (lines(&loaded.ruleset), lines(&load(&new).ruleset));
        if let Some(expected) = expected(&old_lines, &edit, done) {
            prop_assert_eq!(&new_lines, &expected, "{}\n->\n{}", text, new);
        }
        match (&edit, done) {
            (Edit::AddRule { .. }, _) => {
                let rules = |lines: &[(List, String)]| lines.iter().filter(|(list, _)| *list == List::Rules).count();
                prop_assert_eq!(rules(&new_lines), rules(&old_lines) + 1);
                let others = |lines: &[(List, String)]| lines.iter().filter(|(list, _)| *list != List::Rules).cloned().collect::<Vec<_>>();
                prop_assert_eq!(others(&new_lines), others(&old_lines));
            }
            (Edit::Add { list, value, .. }, Done::Updated) => {
                let about = |(other, line): &&(List, String)| other == list && line.starts_with(&format!("{value} | false"));
                let others = |lines: &[(List, String)]| lines.iter().filter(|line| !about(line)).cloned().collect::<Vec<_>>();
                prop_assert_eq!(others(&new_lines), others(&old_lines));
                prop_assert!(new_lines.iter().filter(about).any(|(_, line)| line.ends_with("true")));
            }
            _ => {}
        }
        // Nothing is written anew: what was taken out leaves a part of the old text, what was added has all of it, but
        // for the white space within an empty list.
        let packed = |text: &str| text.replace(char::is_whitespace, "");
        match done {
            Done::Removed => prop_assert!(is_within(&new, &text)),
            Done::Added => prop_assert!(is_within(&packed(&text), &packed(&new))),
            _ => {}
        }
        // The same edit again finds it done.
        let again = edit.apply(&load(&new), NOW).map(|answer| answer.outcome);
        let settled = matches!(again, Ok(Outcome::AlreadyThere | Outcome::NotThere) | Err(_));
        prop_assert!(settled, "{edit:?}\n{text}\n->\n{new}\n->\n{again:?}");
    }

    #[test]
    fn what_was_added_comes_out_again(draft in draft(), list in prop::sample::select(vec![List::BlockIps, List::BlockPorts])) {
        let text = written(&draft);
        let value = if list == List::BlockIps { value("198.51.100.7") } else { value("7/udp") };
        let add = Edit::Add { list, value: value.clone(), details: Details::default() };
        let Ok(Answer { outcome: Outcome::Changed(added), .. }) = add.apply(&load(&text), NOW) else { return Ok(()) };
        let was_filled = draft.lists.iter().any(|(other, pieces)| *other == list && pieces.as_ref().is_some_and(|pieces| !pieces.is_empty()));
        // Beside negated entries it may have become the one that must stay.
        let drop = Edit::Drop { list, value };
        let Ok(Answer { outcome: Outcome::Changed(Change { text: removed, .. }), .. }) = drop.apply(&load(&added.text), NOW) else { return Ok(()) };
        if was_filled {
            prop_assert_eq!(removed, text);
        } else {
            prop_assert_eq!(lines(&load(&removed).ruleset), lines(&load(&text).ruleset));
        }
    }

    #[test]
    fn what_was_switched_off_comes_on_again(draft in draft(), id in prop::sample::select(vec!["given-1", "block_ips:10.0.0.1", "block_ports:80", "block_protocols:icmp"])) {
        let text = written(&draft);
        let off = Edit::SetEnabled { id: id.into(), enabled: false };
        let Ok(Answer { outcome: Outcome::Changed(changed), .. }) = off.apply(&load(&text), NOW) else { return Ok(()) };
        let on = Edit::SetEnabled { id: id.into(), enabled: true };
        // An entry that is negated and alone is not switched on again: it would turn the list around.
        let Ok(Answer { outcome: Outcome::Changed(Change { text: again, .. }), .. }) = on.apply(&load(&changed.text), NOW) else { return Ok(()) };
        let enabled = |lines: Vec<(List, String)>| lines.into_iter().map(|(_, line)| if line.contains(id) { line.replace("| false", "| true") } else { line }).collect::<Vec<_>>();
        prop_assert_eq!(enabled(lines(&load(&again).ruleset)), enabled(lines(&load(&text).ruleset)));
    }
}

#[test]
fn the_files_and_edits_of_these_properties_meet() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut changed, mut same, mut refused) = (0, 0, 0);
    for _ in 0..1_000 {
        let (draft, edit) = (draft(), edit()).new_tree(&mut runner).unwrap().current();
        match edit.apply(&load(&written(&draft)), NOW).map(|answer| answer.outcome) {
            Ok(Outcome::Changed(_)) => changed += 1,
            Ok(_) => same += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(changed > 400 && same > 50 && refused > 50, "{changed} {same} {refused}");
}
