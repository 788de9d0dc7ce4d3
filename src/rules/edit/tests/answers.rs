//! What is said of an edit: what it did, what was so already, what is without effect, what can't be.

use super::*;
use std::time::Duration;

fn said(text: &str, edit: &Edit) -> String {
    answer(text, edit).to_string()
}

fn for_hours(text: &str, hours: u64) -> Edit {
    let expires = Some(NOW.plus(Duration::from_hours(hours)));
    Edit::block(value(text), Details { expires, ..Details::default() })
}

fn allow(text: &str, file: &str) -> Edit {
    Edit::allow(value(text), Details::default(), &load(file).ruleset)
}

#[test]
fn what_is_there_is_said_and_not_doubled() {
    let file = r#"{ "block_ips": ["10.0.0.1/32", { "ip": "10.0.0.2", "id": "two" }], "block_ports": ["22/TCP"], "block_protocols": [1] }"#;
    for (text, id) in [
        ("10.0.0.1", "block_ips:10.0.0.1"),
        ("10.0.0.2", "two"),
        ("22/tcp", "block_ports:22/tcp"),
        ("icmp", "block_protocols:icmp"),
    ] {
        assert_eq!(said(file, &block(text)), format!("nothing to do, this is so already: {id}"));
    }
    assert_eq!(
        said(file, &for_hours("10.0.0.1", 2)),
        "nothing to do, this is so already: block_ips:10.0.0.1; it has no end"
    );
    assert_eq!(said(file, &unblock("10.0.0.3")), "nothing to do, this is not there: block_ips:10.0.0.3");
}

#[test]
fn the_later_end_counts_and_off_becomes_on() {
    let file = r#"{ "block_ips": [{ "ip": "10.0.0.1", "expires": "2026-11-21T19:40:00Z" }, { "ip": "10.0.0.2", "enabled": false }] }"#;
    assert_eq!(edited(file, &for_hours("10.0.0.1", 5)), file.replace("T19:40", "T23:40"));
    assert_eq!(
        said(file, &for_hours("10.0.0.1", 0)),
        "nothing to do, this is so already: block_ips:10.0.0.1; it lasts until 2026-11-21T19:40:00Z"
    );
    assert_eq!(edited(file, &block("10.0.0.1")), file.replace(", \"expires\": \"2026-11-21T19:40:00Z\"", ""));
    assert_eq!(
        edited(file, &block("10.0.0.2")),
        file.replace("{ \"ip\": \"10.0.0.2\", \"enabled\": false }", "\"10.0.0.2\"")
    );
    let comment = Edit::block(value("10.0.0.2"), Details { comment: Some("again".into()), ..Details::default() });
    assert_eq!(edited(file, &comment), file.replace("\"enabled\": false", "\"comment\": \"again\", \"enabled\": true"));
    assert_eq!(said(file, &comment), "changed block_ips:10.0.0.2");
}

#[test]
fn a_value_among_others_gets_its_own_entry_when_it_alone_changes() {
    let file = r#"{ "block_ips": [{ "ip": ["10.0.0.1", "10.0.0.2"], "expires": "2026-11-21T19:40:00Z" }] }"#;
    let new = r#"{ "block_ips": [{ "ip": ["10.0.0.2"], "expires": "2026-11-21T19:40:00Z" }, "10.0.0.1"] }"#;
    assert_eq!(edited(file, &block("10.0.0.1")), new);
    let off = Edit::SetEnabled { id: "block_ips:10.0.0.1".into(), enabled: false };
    assert!(refused(file, &off).starts_with("block_ips:10.0.0.1 shares its entry with other values"));
    let gone = Edit::Remove { id: "block_ips:10.0.0.1".into() };
    assert_eq!(edited(file, &gone), file.replace("\"10.0.0.1\", ", ""));
}

#[test]
fn what_other_entries_make_of_it_is_told() {
    let file = r#"{ "allow_ips": ["10.1.0.0/16"], "block_ips": ["10.2.0.0/16", "!10.2.2.2", "@some"], "block_lists": ["drop.txt"],
                    "sets": { "some": ["172.16.0.1", "172.16.0.2"] } }"#;
    for (edit, words) in [
        (
            block("10.1.2.3"),
            "added block_ips:10.1.2.3; without effect: allow_ips:10.1.0.0/16 lets it through, and allow_ips goes first",
        ),
        (block("10.2.0.1"), "added block_ips:10.2.0.1; block_ips:10.2.0.0/16 covers it too"),
        (
            block("10.2.2.2"),
            "added block_ips:10.2.2.2; block_ips:10.2.0.0/16 covers it too; without effect: block_ips:not:10.2.2.2 takes it out of the list",
        ),
        (
            allow("10.2.0.1", file),
            "added allow_ips:10.2.0.1; block_ips:10.2.0.0/16 would block it, but allow_ips goes first",
        ),
        (allow("10.2.2.2", file), "added allow_ips:10.2.2.2"),
        (
            allow("192.0.2.7", file),
            "added allow_ips:192.0.2.7; block_lists:drop.txt would block it, but allow_ips goes first",
        ),
        (
            unblock("10.2.0.1"),
            "nothing to do, this is not there: block_ips:10.2.0.1; it stays blocked by block_ips:10.2.0.0/16",
        ),
        (unblock("10.2.2.2"), "nothing to do, this is not there: block_ips:10.2.2.2"),
        (unblock("10.1.2.3"), "nothing to do, this is not there: block_ips:10.1.2.3"),
        (
            unblock("192.0.2.7"),
            "nothing to do, this is not there: block_ips:192.0.2.7; it stays blocked by block_lists:drop.txt",
        ),
        (
            unblock("192.0.0.0/16"),
            "nothing to do, this is not there: block_ips:192.0.0.0/16; part of it stays blocked by block_lists:drop.txt",
        ),
        (
            unblock("172.16.0.1"),
            "nothing to do, this is not there: block_ips:172.16.0.1; it stays blocked by block_ips:@some",
        ),
        (block("172.16.0.1"), "added block_ips:172.16.0.1; block_ips:@some covers it too"),
    ] {
        assert_eq!(said(file, &edit), words);
    }
}

#[test]
fn what_no_longer_acts_is_not_told_of() {
    let file = r#"{ "block_ips": ["10.0.0.1", { "ip": "10.0.0.0/8", "expires": "2026-11-21T18:40:00Z" }, { "ip": "10.0.0.0/9", "enabled": false }] }"#;
    assert_eq!(said(file, &unblock("10.0.0.1")), "removed block_ips:10.0.0.1");
}

#[test]
fn many_remarks_are_counted() {
    let entries: Vec<_> = (0..9).map(|n| format!("\"10.0.{n}.0/24\"")).collect();
    let file = format!("{{ \"block_ips\": [{}] }}", entries.join(", "));
    assert!(
        said(&file, &unblock("10.0.0.0/8"))
            .ends_with("part of it stays blocked by block_ips:10.0.4.0/24; 4 more entries have to do with it")
    );
}

#[test]
fn an_entry_of_several_values_is_told_with_what_else_becomes_of_it() {
    let file = r#"{ "block_ips": [{ "ip": ["1.1.1.1", "2.2.2.2"], "id": "two" }], "block_ports": [{ "port": ["445/tcp", "1900/udp"], "id": "shares" }] }"#;
    assert_eq!(said(file, &unblock("1.1.1.1")), "removed two; only 1.1.1.1 of it: 2.2.2.2 stays");
    assert_eq!(edited(file, &unblock("1.1.1.1")), file.replace("\"1.1.1.1\", ", ""));
    assert_eq!(said(file, &Edit::Remove { id: "two".into() }), "removed two");
    let off = Edit::switch(Target::parse("445/tcp", &load(file).ruleset).unwrap(), false, &load(file).ruleset);
    assert_eq!(said(file, &off), "disabled shares; that is 445/tcp, 1900/udp");
    let many: Vec<_> = (1..=8).map(|n| format!("\"10.0.0.{n}\"")).collect();
    let file = format!("{{ \"block_ips\": [{{ \"ip\": [{}], \"id\": \"x\" }}] }}", many.join(", "));
    let words = "removed x; only 10.0.0.1 of it: 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6 and 2 more stay";
    assert_eq!(said(&file, &unblock("10.0.0.1")), words);
}

#[test]
fn a_port_without_a_protocol_takes_both_halves_out() {
    let file =
        r#"{ "block_ports": ["80/tcp", "80/udp", "80-90", "443/tcp"], "block_protocols": ["icmpv6", "icmp", "gre"] }"#;
    assert_eq!(
        said(file, &unblock("80")),
        "removed block_ports:80/tcp, block_ports:80/udp; it stays blocked by block_ports:80-90"
    );
    assert_eq!(edited(file, &unblock("80")), file.replace("\"80/tcp\", \"80/udp\", ", ""));
    assert_eq!(edited(file, &unblock("icmp")), file.replace("\"icmpv6\", \"icmp\", ", ""));
    assert_eq!(said(file, &unblock("443")), "removed block_ports:443/tcp");
}

#[test]
fn an_allowed_port_is_a_rule_and_what_goes_before_it_is_told() {
    let file =
        r#"{ "block_ports": [80], "block_protocols": ["icmp"], "rules": [{ "action": "block", "direction": "in" }] }"#;
    let new = edited(file, &allow("22/tcp", file));
    assert_eq!(
        new,
        file.replace(
            "[{ \"action\": \"block\"",
            "[{ \"action\": \"allow\", \"direction\": \"in\", \"dst_port\": \"22/tcp\" }, { \"action\": \"block\""
        )
    );
    assert!(
        said(&new, &allow("22/tcp", &new)).starts_with("nothing to do, this is so already: rules:allow-in-tcp-22/tcp-")
    );
    let below = file.replace(
        "}]",
        "}, { \"id\": \"ssh\", \"action\": \"allow\", \"direction\": \"in\", \"dst_port\": \"22/tcp\" }]",
    );
    assert_eq!(
        said(&below, &allow("22/tcp", &below)),
        "nothing to do, this is so already: ssh; 1 rule before it decides first"
    );
    assert!(
        said(file, &allow("80", file)).ends_with("; it stays blocked by block_ports:80, which goes before the rules")
    );
    assert!(
        said(file, &allow("icmp", file))
            .ends_with("; it stays blocked by block_protocols:icmp, which goes before the rules")
    );
}

#[test]
fn the_first_allowed_protocol_never_blocks_all_others() {
    let [empty, used] = ["[]", "[\"tcp\"]"].map(|list| format!("{{ \"allow_protocols\": {list} }}"));
    let new = edited(&empty, &allow("gre", &empty));
    assert!(load(&new).ruleset.allow_protocols.is_empty() && load(&new).ruleset.rules.len() == 1);
    assert_eq!(edited(&used, &allow("gre", &used)), "{ \"allow_protocols\": [\"tcp\", \"gre\"] }");
    let remove = Edit::Remove { id: "allow_protocols:tcp".into() };
    assert_eq!(
        said(&used, &remove),
        "removed allow_protocols:tcp; allow_protocols has no entry any more: every protocol is allowed"
    );
    let add = Edit::Add { list: List::AllowProtocols, value: value("tcp"), details: Details::default() };
    assert_eq!(
        said(&empty, &add),
        "added allow_protocols:tcp; allow_protocols had no entry before: all others are blocked now"
    );
}

#[test]
fn an_edit_never_turns_the_meaning_of_a_list_around() {
    let file = r#"{ "block_ips": ["10.0.0.0/8", "!10.0.0.1"] }"#;
    for edit in [
        unblock("10.0.0.0/8"),
        Edit::SetEnabled { id: "block_ips:10.0.0.0/8".into(), enabled: false },
        Edit::Remove { id: "block_ips:10.0.0.0/8".into() },
    ] {
        assert!(refused(file, &edit).starts_with("nothing but negated entries would be left in block_ips"));
    }
    assert!(refused(r#"{ "block_ips": ["!10.0.0.1"] }"#, &block("10.0.0.2")).contains("means everything but them"));
    let off = r#"{ "block_ips": [{ "ip": "!10.0.0.1", "enabled": false }] }"#;
    assert!(refused(off, &Edit::SetEnabled { id: "block_ips:not:10.0.0.1".into(), enabled: true }).contains("negated"));
    assert!(
        refused(off.replace("true", "false").as_str(), &Edit::SetEnabled { id: "x".into(), enabled: true })
            .contains("no id")
    );
    // What ends one day leaves the negated ones alone then.
    let ends =
        r#"{ "block_ips": ["10.0.0.0/8", { "ip": "10.9.0.0/16", "expires": "2027-01-01T00:00:00Z" }, "!10.0.0.1"] }"#;
    assert!(refused(ends, &unblock("10.0.0.0/8")).contains("negated"));
    assert_eq!(
        edited(file, &Edit::Remove { id: "block_ips:not:10.0.0.1".into() }),
        r#"{ "block_ips": ["10.0.0.0/8"] }"#
    );
}

#[test]
fn what_the_file_could_not_hold_is_refused() {
    let details = |id: Option<&str>, comment: Option<&str>| Details {
        id: id.map(str::to_owned),
        comment: comment.map(str::to_owned),
        expires: None,
    };
    let file = r#"{ "rules": [{ "id": "a", "action": "block", "dst_port": 1 }] }"#;
    let block = |details| Edit::block(value("10.0.0.1"), details);
    assert_eq!(
        refused(file, &block(details(None, Some("a\nb")))),
        "block_ips[0].comment: a comment is one line without control characters"
    );
    assert!(refused(file, &block(details(None, Some(&"x".repeat(257))))).contains("256 characters"));
    assert!(refused(file, &block(details(Some("a"), None))).contains("the id \"a\" is taken"));
    assert!(refused(file, &block(details(Some("a b"), None))).contains("is not an id"));
    let rule = |port: &str| NewRule { dst_port: vec![port.to_owned()], ..NewRule::new(Action::Allow) };
    let add = |port: &str, at| Edit::AddRule { at, rule: Box::new(rule(port)) };
    assert_eq!(refused(file, &add("70000", At::First)), "rules[0].dst_port: 70000 is not a port (0 to 65535)");
    assert_eq!(refused(file, &add("80", At::After("b".into()))), "there is no id \"b\"; 'pfw rules' lists them");
    assert!(
        refused(file, &Edit::Add { list: List::BlockPorts, value: value("icmp"), details: Details::default() })
            .contains("nothing that block_ports holds")
    );
    let two = crate::rules::ranges::Ranges::from_ranges([(1, 2), (5, 6)]);
    let two = crate::rules::port::PortSet { tcp: two.clone(), udp: two };
    assert!(refused(file, &Edit::block(two.into(), Details::default())).contains("block_ports[0]"));
}

#[test]
fn a_change_is_taken_back_only_while_it_is_the_last() {
    let file = "{ \"block_ips\": [\"10.0.0.1\"] }";
    let first = change(file, &block("10.0.0.2"));
    let second = change(&first.text, &block("10.0.0.3"));
    assert!(first.undo.apply(&second.text).unwrap_err().0.contains("has changed since"));
    assert_eq!(first.undo.apply(&second.undo.apply(&second.text).unwrap()).unwrap(), file);
}
