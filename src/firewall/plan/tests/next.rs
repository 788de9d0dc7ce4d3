//! A plan that follows another.

use super::*;

#[test]
fn the_next_plan_says_the_same_as_one_made_from_nothing_and_uses_the_sets_that_are_there() {
    let networks: Vec<_> = (1..60).map(|n| format!("198.51.100.{}/32", 2 * n)).collect();
    let long = format!(r#""block_ips": ["{}"]"#, networks.join("\", \""));
    let first = Plan::new(&parse(&format!("{{ {long} }}")), &host(), OPTIONS, NOW);
    let rules = parse(&format!(r#"{{ {long}, "block_ports": ["81/tcp"] }}"#));
    let options = Options { generation: OPTIONS.generation + 1, ..OPTIONS };
    let (next, anew) = (first.next(&rules, &host(), options, NOW), Plan::new(&rules, &host(), options, NOW));
    let names = |plan: &Plan| plan.sets().iter().map(|set| set.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&next), names(&first));
    assert!(next.set_text_of(|set| !first.has_set(&set.name)).is_empty());
    let of_anew = anew.to_string().replace(&names(&anew)[0], &names(&next)[0]);
    assert_eq!(next.to_string(), of_anew);
}

#[test]
fn tables_that_differ_in_marks_alone_are_alike_and_others_are_not() {
    let options = |generation| Options { generation, ..OPTIONS };
    let plan = |text: &str, generation| Plan::new(&parse(text), &host(), options(generation), NOW);
    let first = plan(r#"{ "block_ips": ["192.0.2.1"], "block_ports": ["81/tcp"] }"#, 1);
    let next = plan(r#"{ "block_ips": ["192.0.2.1", "192.0.2.2"], "block_ports": ["81/tcp"] }"#, 2);
    let alike = |family| next.is_alike(&first, family, TableName::Filter);
    assert_eq!((alike(Family::V4), alike(Family::V6)), (false, true));
    assert!(plan(r#"{ "block_ips": ["192.0.2.1"], "block_ports": ["81/tcp"] }"#, 9).is_alike(
        &first,
        Family::V4,
        TableName::Filter
    ));
}

/// Plans of one rules file after the other, each of its own generation.
fn one_after_the_other(before: &str, after: &str) -> (Plan, Plan) {
    let first = Plan::new(&parse(before), &host(), OPTIONS, NOW);
    let options = Options { generation: OPTIONS.generation + 1, ..OPTIONS };
    let next = first.next(&parse(after), &host(), options, NOW);
    (first, next)
}

/// A long list of every other address of a network, and what is to stand beside it.
fn long(more: &[&str], beside: &str) -> String {
    let networks = (1..60).map(|n| format!("198.51.100.{}", 2 * n)).chain(more.iter().map(|&one| one.to_owned()));
    format!(r#"{{ "block_ips": ["{}"]{beside} }}"#, networks.collect::<Vec<_>>().join("\", \""))
}

/// What can be there early, each entry with its set.
fn added(next: &Plan, first: &Plan) -> Option<Vec<String>> {
    let growth = next.growth(first)?;
    Some(growth.entries.iter().map(|(address, prefix)| format!("{} {address}/{prefix}", growth.set)).collect())
}

#[test]
fn a_list_of_blocked_peers_that_has_some_more_can_get_them_before_the_rest_is_done() {
    let (first, next) = one_after_the_other(&long(&[], ""), &long(&["198.51.100.9", "198.51.100.121"], ""));
    let name = &first.sets()[0].name;
    // 8, 9 and 10 are one range now: 9 is what it lacked.
    let entries = vec![format!("{name} 198.51.100.9/32"), format!("{name} 198.51.100.121/32")];
    assert_eq!(added(&next, &first), Some(entries).filter(|_| next.sets().len() == 1));
    let six = |more: &str| {
        let networks = (1..60).map(|n| format!("2001:db8::{n:x}0"));
        let all = networks.chain([more.to_owned()]).collect::<Vec<_>>().join("\", \"");
        format!(r#"{{ "block_ips": ["{all}"] }}"#)
    };
    let (first, next) = one_after_the_other(&six("2001:db8::10"), &six("2001:db8::11"));
    let name = &first.sets()[0].name;
    assert_eq!(added(&next, &first), Some(vec![format!("{name} 2001:db8::11/128")]));
}

#[test]
fn nothing_is_there_early_that_is_not_all_that_is_different() {
    let list = long(&[], "");
    let lists =
        |text: &str| format!(r#"{{ "rules": [ {{ "action": "allow", "src": {text} }} ], "default_policy": "deny" }}"#);
    let addresses = |last: u32| {
        let all = (1..=last).map(|n| format!("\"198.51.100.{}\"", 2 * n));
        format!("[{}]", all.collect::<Vec<_>>().join(","))
    };
    for (before, after, why) in [
        (&list, long(&["203.0.113.1"], ""), "outside the network that stands before the set as a condition"),
        (&list, long(&["198.51.100.9"], r#", "block_ports": [81]"#), "another rule is new"),
        (&long(&["198.51.100.9"], ""), list.clone(), "it has less"),
        (&long(&["198.51.100.9"], ""), long(&["198.51.100.11"], ""), "it has more and less"),
        (&list, long(&["198.51.100.9", "2001:db8::1"], ""), "the other family has a new rule"),
        (&list, list.clone(), "nothing is different"),
        (&lists(&addresses(40)), lists(&addresses(41)), "it is a list of those who are let through"),
    ] {
        let (first, next) = one_after_the_other(before, &after);
        assert_eq!(first.sets().len(), 1, "{why}");
        assert_eq!(next.growth(&first), None, "{why}");
    }
    let many: Vec<_> = (0..65).map(|n| format!("198.51.100.{}", 2 * n + 121)).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let growth = |more: &[&str]| {
        let (first, next) =
            one_after_the_other(&long(&["198.51.100.254"], ""), &long(&[more, &["198.51.100.254"]].concat(), ""));
        added(&next, &first).map(|entries| entries.len())
    };
    assert_eq!((growth(&many[..64]), growth(&many)), (Some(64), None), "as many as there is room for");
}

#[test]
fn what_is_only_added_can_be_there_ahead_of_the_rest() {
    let first = plan(r#"{ "block_ips": ["192.0.2.1"], "block_ports": ["80/tcp"] }"#);
    let ahead = |text: &str, family| {
        let next = first.next(&parse(text), &host(), Options { generation: 0x2b, ..OPTIONS }, NOW);
        next.ahead(&first, family).map(|additions| transaction_ahead(&additions))
    };
    let text = ahead(r#"{ "block_ips": ["192.0.2.1"], "block_ports": ["80/tcp", "81/tcp"] }"#, Family::V4);
    let text = text.expect("two rules in each chain");
    let lines: Vec<_> = text.lines().collect();
    let behind_others = chain(&first, Family::V4, "PFW-IN").len() + 1;
    assert_eq!((lines[0], lines.last(), lines.len()), ("*filter", Some(&"COMMIT"), 8), "{text}");
    for (line, (place, target)) in lines[1..].iter().zip([(behind_others, "NFLOG"), (behind_others + 1, "DROP")]) {
        assert!(line.starts_with(&format!("-I PFW-IN {place} -p tcp -m multiport --ports 81 ")), "{line}");
        assert!(line.contains(&format!("-j {target}")), "{line}");
    }
    assert!(lines[1].contains("pfw:0000002b:000002"), "it bears the mark of the new rule set: {}", lines[1]);
    for (why, text) in [
        ("nothing is added", r#"{ "block_ips": ["192.0.2.1"], "block_ports": ["80/tcp"] }"#),
        ("one is gone", r#"{ "block_ips": ["192.0.2.1"], "block_ports": ["81/tcp"] }"#),
        ("it is another", r#"{ "block_ips": ["192.0.2.2"], "block_ports": ["80/tcp", "81/tcp"] }"#),
        (
            "there is a chain more",
            r#"{ "block_ips": ["192.0.2.1"], "block_ports": ["80/tcp"], "rules":
            [{ "id": "a", "action": "block", "direction": "in", "src": ["192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7", "192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14", "192.0.2.15", "192.0.2.16", "192.0.2.17", "192.0.2.18", "192.0.2.19"] }] }"#,
        ),
    ] {
        assert_eq!(ahead(text, Family::V4), None, "{why}");
    }
    let many: Vec<_> = (1..40).map(|port| format!("\"{port}/udp\"")).collect();
    let many = format!(r#"{{ "block_ips": ["192.0.2.1"], "block_ports": ["80/tcp", {}] }}"#, many.join(","));
    assert_eq!(ahead(&many, Family::V6), None, "too many");
}
