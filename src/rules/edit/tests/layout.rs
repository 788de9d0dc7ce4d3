//! Where a change stands in the text, and that nothing else moves.

use super::*;

fn rule(id: &str) -> Box<NewRule> {
    let details = Details { id: Some(id.to_owned()), ..Details::default() };
    Box::new(NewRule { dst_port: vec!["22".to_owned()], details, ..NewRule::new(Action::Allow) })
}

#[test]
fn an_entry_is_written_like_its_neighbours() {
    for (before, after) in [
        // One line, with and without spaces.
        (r#"{ "block_ips": ["10.0.0.1", "10.0.0.2"] }"#, r#"{ "block_ips": ["10.0.0.1", "10.0.0.2", "10.0.0.9"] }"#),
        (r#"{"block_ips":["10.0.0.1","10.0.0.2"]}"#, r#"{"block_ips":["10.0.0.1","10.0.0.2","10.0.0.9"]}"#),
        (r#"{"block_ips":["10.0.0.1"]}"#, r#"{"block_ips":["10.0.0.1","10.0.0.9"]}"#),
        (r#"{ "block_ips": [ "10.0.0.1" ] }"#, r#"{ "block_ips": [ "10.0.0.1", "10.0.0.9" ] }"#),
        (r#"{ "block_ips": ["10.0.0.1" , "10.0.0.2"] }"#, r#"{ "block_ips": ["10.0.0.1" , "10.0.0.2" , "10.0.0.9"] }"#),
        // Empty lists.
        (r#"{ "block_ips": [] }"#, r#"{ "block_ips": ["10.0.0.9"] }"#),
        (r#"{ "block_ips": [ ] }"#, r#"{ "block_ips": [ "10.0.0.9" ] }"#),
        ("{\n\t\"block_ips\": [\n\t]\n}", "{\n\t\"block_ips\": [\n\t\t\"10.0.0.9\"\n\t]\n}"),
        // One entry a line.
        (
            "{\n  \"block_ips\": [\n    \"10.0.0.1\"\n  ]\n}\n",
            "{\n  \"block_ips\": [\n    \"10.0.0.1\",\n    \"10.0.0.9\"\n  ]\n}\n",
        ),
        (
            "{\r\n\t\"block_ips\": [\r\n\t\t\"10.0.0.1\",\r\n\t\t\"10.0.0.2\"\r\n\t]\r\n}",
            "{\r\n\t\"block_ips\": [\r\n\t\t\"10.0.0.1\",\r\n\t\t\"10.0.0.2\",\r\n\t\t\"10.0.0.9\"\r\n\t]\r\n}",
        ),
        (
            "{ \"block_ips\":\n[ \"10.0.0.1\"\n, \"10.0.0.2\" ]}",
            "{ \"block_ips\":\n[ \"10.0.0.1\"\n, \"10.0.0.2\"\n, \"10.0.0.9\" ]}",
        ),
        // A blank line between groups is not copied.
        ("{\"block_ips\": [\n 1,\n 2,\n\n 3\n]}", "{\"block_ips\": [\n 1,\n 2,\n\n 3,\n \"10.0.0.9\"\n]}"),
    ] {
        let [before, after] = [before, after].map(|text| {
            ["1", "2", "3"]
                .iter()
                .fold(text.to_owned(), |text, n| text.replace(&format!("\n {n}"), &format!("\n \"10.0.0.{n}\"")))
        });
        assert_eq!(edited(&before, &block("10.0.0.9")), after);
    }
}

#[test]
fn a_line_goes_on_only_while_it_is_short() {
    let list = |gap: &str| {
        let entries: Vec<_> = (0..5).map(|n| format!("\"192.168.1.{n}\"")).collect();
        format!("{{\n\t\"block_ips\": [{}{gap}\"192.168.1.5\"]\n}}\n", entries.join(", "))
    };
    let short = list(", ").replace(", \"192.168.1.5\"", "");
    let long = edited(&short, &block("192.168.1.5"));
    assert_eq!(long, list(&format!(",\n\t{}", " ".repeat(14))));
    let longer = edited(&long, &block("192.168.1.6"));
    assert_eq!(longer, long.replace(']', &format!(",\n\t{}\"192.168.1.6\"]", " ".repeat(14))));
    // Who writes long lines gets longer ones, and so does who has the whole file on one.
    let entries: Vec<_> = (0..20).map(|n| format!("\"192.168.1.{n}\"")).collect();
    for text in [
        format!("{{\n \"block_ips\": [{}]\n}}", entries.join(", ")),
        format!("{{ \"block_ips\": [{}] }}", entries.join(", ")),
    ] {
        assert_eq!(edited(&text, &block("10.0.0.9")), text.replace(']', ", \"10.0.0.9\"]"));
    }
}

#[test]
fn a_missing_list_is_made_in_its_place() {
    for (before, after) in [
        ("{}", "{\n  \"block_ips\": [\"10.0.0.9\"]\n}"),
        ("{ }\n", "{\n  \"block_ips\": [\"10.0.0.9\"]\n}\n"),
        ("{\r\n}\r\n", "{\r\n  \"block_ips\": [\"10.0.0.9\"]\r\n}\r\n"),
        (r#"{"rules":[]}"#, r#"{"block_ips":["10.0.0.9"],"rules":[]}"#),
        (r#"{ "allow_ips": [] }"#, r#"{ "allow_ips": [], "block_ips": ["10.0.0.9"] }"#),
        (
            "{\n    \"default_policy\": \"deny\",\n    \"rules\": []\n}",
            "{\n    \"default_policy\": \"deny\",\n    \"block_ips\": [\"10.0.0.9\"],\n    \"rules\": []\n}",
        ),
        // Groups with blank lines stay groups, aligned values stay aligned.
        (
            "{\n  \"allow_ips\": [],\n\n  \"block_ports\": [],\n\n  \"rules\": []\n}",
            "{\n  \"allow_ips\": [],\n\n  \"block_ips\": [\"10.0.0.9\"],\n\n  \"block_ports\": [],\n\n  \"rules\": []\n}",
        ),
        (
            "{\n  \"allow_ips\":       [],\n  \"block_protocols\": []\n}",
            "{\n  \"allow_ips\":       [],\n  \"block_ips\":       [\"10.0.0.9\"],\n  \"block_protocols\": []\n}",
        ),
    ] {
        assert_eq!(edited(before, &block("10.0.0.9")), after);
    }
}

#[test]
fn what_is_taken_out_leaves_the_others_as_they_stand() {
    for (before, after) in [
        (r#"{ "block_ips": ["10.0.0.9"] }"#, r#"{ "block_ips": [] }"#),
        (r#"{ "block_ips": ["10.0.0.9", "10.0.0.1"] }"#, r#"{ "block_ips": ["10.0.0.1"] }"#),
        (r#"{ "block_ips": ["10.0.0.1", "10.0.0.9"] }"#, r#"{ "block_ips": ["10.0.0.1"] }"#),
        (
            "{\"block_ips\": [\n\t\"10.0.0.1\",\n\t\"10.0.0.9\",\n\t\"10.0.0.2\"\n]}",
            "{\"block_ips\": [\n\t\"10.0.0.1\",\n\t\"10.0.0.2\"\n]}",
        ),
        ("{\"block_ips\": [\n\t\"10.0.0.9\",\n\t\"10.0.0.9\"\n]}", "{\"block_ips\": []}"),
        // As an object, spelled in another way, among others.
        (
            r#"{ "block_ips": ["10.0.0.1", { "ip": "10.0.0.9/32", "comment": "\"10.0.0.9\", [", "expires": "2027-01-01T00:00:00Z" }] }"#,
            r#"{ "block_ips": ["10.0.0.1"] }"#,
        ),
        (
            r#"{ "block_ips": [{ "ip": ["10.0.0.1", "10.0.0.9", "10.0.0.2"], "id": "some" }] }"#,
            r#"{ "block_ips": [{ "ip": ["10.0.0.1", "10.0.0.2"], "id": "some" }] }"#,
        ),
        (r#"{ "block_ips": [{ "ip": ["10.0.0.9"], "id": "some" }] }"#, r#"{ "block_ips": [] }"#),
        (
            r#"{ "block_ips": ["10.0.0.\u0039", "10.0.0.1", "10.0.0.9", "10.0.0.9"] }"#,
            r#"{ "block_ips": ["10.0.0.1"] }"#,
        ),
    ] {
        assert_eq!(edited(before, &unblock("10.0.0.9")), after);
    }
}

#[test]
fn ports_and_protocols_are_spelled_as_usual() {
    let text = r#"{ "block_ports": [80], "block_protocols": ["tcp"] }"#;
    assert_eq!(edited(text, &block("443")), text.replace("80", "80, 443"));
    assert_eq!(edited(text, &block("20-25/UDP")), text.replace("80", "80, \"20-25/udp\""));
    assert_eq!(edited(text, &block("ICMP")), text.replace("\"tcp\"", "\"tcp\", \"icmp\""));
    assert_eq!(edited(text, &block("protocol:253")), text.replace("\"tcp\"", "\"tcp\", 253"));
}

#[test]
fn an_entry_with_something_beside_it_is_an_object() {
    let expires = NOW.plus(std::time::Duration::from_millis(7_200_500));
    let details = Details { id: None, comment: Some("a \"scänner\"".to_owned()), expires: Some(expires) };
    let edit = Edit::block(value("10.0.0.9"), details);
    assert_eq!(
        edited(r#"{ "block_ips": ["10.0.0.1"] }"#, &edit),
        r#"{ "block_ips": ["10.0.0.1", { "ip": "10.0.0.9", "comment": "a \"scänner\"", "expires": "2026-11-21T20:40:00.5Z" }] }"#
    );
    assert_eq!(
        edited(r#"{"block_ips":[{"ip":"10.0.0.1"}]}"#, &edit),
        r#"{"block_ips":[{"ip":"10.0.0.1"},{"ip":"10.0.0.9","comment":"a \"scänner\"","expires":"2026-11-21T20:40:00.5Z"}]}"#
    );
    assert_eq!(
        edited("{ \"block_ips\": [\n  {\n    \"ip\" : \"10.0.0.1\"\n  }\n] }", &edit),
        "{ \"block_ips\": [\n  {\n    \"ip\" : \"10.0.0.1\"\n  },\n  {\n    \"ip\" : \"10.0.0.9\",\n    \"comment\" : \"a \\\"scänner\\\"\",\n    \"expires\" : \"2026-11-21T20:40:00.5Z\"\n  }\n] }"
    );
}

#[test]
fn a_rule_goes_where_it_is_wanted() {
    let text = "{\n  \"rules\": [\n    { \"id\": \"a\", \"action\": \"block\" },\n    { \"id\": \"b\", \"action\": \"block\" }\n  ]\n}\n";
    let line = "    { \"id\": \"new\", \"action\": \"allow\", \"dst_port\": 22 }";
    let place = |at| {
        edited(text, &Edit::AddRule { at, rule: rule("new") }).replace(",\n", "\n").lines().position(|it| it == line)
    };
    assert_eq!(place(At::First), Some(2));
    assert_eq!(place(At::After("a".into())), Some(3));
    assert_eq!(place(At::Before("b".into())), Some(3));
    assert_eq!(place(At::Last), Some(4));
    let alone = edited("{\n  \"rules\": []\n}", &Edit::AddRule { at: At::First, rule: rule("new") });
    assert_eq!(alone, format!("{{\n  \"rules\": [\n{line}\n  ]\n}}"));
    let missing = edited("{\n    \"block_ips\": []\n}", &Edit::AddRule { at: At::Last, rule: rule("new") });
    assert_eq!(missing, format!("{{\n    \"block_ips\": [],\n    \"rules\": [\n    {line}\n    ]\n}}"));
    assert_eq!(
        edited("{\"rules\":[]}", &Edit::AddRule { at: At::Last, rule: rule("new") }),
        "{\"rules\":[{ \"id\": \"new\", \"action\": \"allow\", \"dst_port\": 22 }]}"
            .replace(": ", ":")
            .replace(", ", ",")
            .replace("{ ", "{")
            .replace(" }", "}")
    );
}

#[test]
fn in_the_example_a_rule_has_its_members_on_lines_of_their_own() {
    let text = include_str!("../../../../rules.example.json");
    let new = edited(text, &Edit::AddRule { at: At::After("ping".into()), rule: rule("new") });
    let lines = "    {\n      \"id\": \"new\",\n      \"action\": \"allow\",\n      \"dst_port\": 22\n    },\n";
    assert_eq!(new.replacen(lines, "", 1), text);
    let new = edited(text, &block("10.0.0.9"));
    assert_eq!(new.replacen(",\n    \"10.0.0.9\"", "", 1), text);
    let new = edited(text, &Edit::SetEnabled { id: "ping".into(), enabled: false });
    assert_eq!(new.replacen(",\n      \"enabled\": false", "", 1), text);
    let new = edited(text, &Edit::Remove { id: "games".into() });
    assert!(text.starts_with(new.trim_end_matches("\n  ]\n}\n")));
}

#[test]
fn switching_changes_one_word_or_wraps_the_value() {
    let off = |id: &str| Edit::SetEnabled { id: id.into(), enabled: false };
    let on = |id: &str| Edit::SetEnabled { id: id.into(), enabled: true };
    let bare = r#"{ "block_ports": [80, 443] }"#;
    let wrapped = r#"{ "block_ports": [80, { "port": 443, "enabled": false }] }"#;
    assert_eq!(edited(bare, &off("block_ports:443")), wrapped);
    assert_eq!(edited(wrapped, &on("block_ports:443")), bare);
    let text = r#"{ "rules": [{"id":"a","enabled": true , "action":"block"}] }"#;
    let other = text.replace("true", "false");
    assert_eq!(edited(text, &off("a")), other);
    assert_eq!(edited(&other, &on("a")), text);
    let text = r#"{ "block_lists": ["gone.txt"] }"#.replace("gone", "drop");
    assert_eq!(
        edited(&text, &off("block_lists:drop.txt")),
        r#"{ "block_lists": [{ "file": "drop.txt", "enabled": false }] }"#
    );
    let text = r#"{ "block_ips": [{ "ip": ["10.0.0.1", "10.0.0.2"], "id": "pair", "comment": "x" }] }"#;
    assert_eq!(edited(text, &off("pair")), text.replace("\"x\"", "\"x\", \"enabled\": false"));
}
