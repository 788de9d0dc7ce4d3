//! What sound files come to.

use super::{read, read_with};
use crate::alert::{Alert, Response, Settings};
use crate::packet::Protocol;
use crate::rules::exact::ExactSet;
use crate::rules::*;
use crate::time::Timestamp;
use std::net::IpAddr;

fn rules(text: &str) -> Vec<Rule> {
    read(&format!("{{ \"sets\": {{ \"lan\": [\"192.168.1.0/24\", \"fd00:1::/64\"], \"web\": [80, \"443/tcp\"] }}, \"rules\": [{text}] }}"))
        .unwrap()
        .ruleset
        .rules
}

fn rule(text: &str) -> Rule {
    rules(&format!("{{ \"action\": \"block\", {text} }}")).remove(0)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ids<T>(entries: &[Entry<T>]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.id).collect()
}

/// The warnings of a file, with line and column.
fn warnings(text: &str) -> Vec<String> {
    let loaded = read(text).unwrap();
    let warnings = loaded.locate(loaded.warnings.clone());
    warnings.iter().map(|warning| warning.to_string().trim_start_matches("rules.json:").to_owned()).collect()
}

#[test]
fn an_empty_object_allows_everything() {
    let ruleset = read("{}").unwrap().ruleset;
    assert_eq!(ruleset.default_policy, DefaultPolicy { incoming: Policy::Allow, outgoing: Policy::Allow });
    assert!(ruleset.rules.is_empty() && ruleset.block_ips.is_empty());
}

#[test]
fn the_default_policy_is_one_word_or_two() {
    let policy = |text: &str| read(&format!("{{ \"default_policy\": {text} }}")).unwrap().ruleset.default_policy;
    assert_eq!(policy("\"deny\""), DefaultPolicy { incoming: Policy::Deny, outgoing: Policy::Deny });
    assert_eq!(policy("{ \"in\": \"deny\" }"), DefaultPolicy { incoming: Policy::Deny, outgoing: Policy::Allow });
}

#[test]
fn thresholds_are_those_of_the_file_and_the_defaults_for_the_rest() {
    let detect = |text: &str| read(text).unwrap().ruleset.detect;
    assert_eq!(detect("{}"), Settings::default());
    let ours = detect(r#"{ "detect": { "scan_ports": 25, "off": ["ip.port_zero"] } }"#);
    assert_eq!((ours.scan_ports, ours.scan_seconds), (25, Settings::default().scan_seconds));
    assert!(!ours.wants(Alert::IpPortZero) && ours.wants(Alert::ScanSyn));
    assert_eq!((ours.action, ours.ban_unverified), (Response::Log, false));
    let bans = detect(r#"{ "detect": { "action": "ban", "ban_unverified": true, "ban_seconds": 60 } }"#);
    assert_eq!((bans.action, bans.ban_unverified, bans.ban_seconds), (Response::Ban, true, 60));
}

#[test]
fn entries_have_the_id_that_was_given_or_one_from_their_content() {
    let ruleset = read(
        r#"{ "block_ips": ["192.168.1.7", "192.168.1.9/24", "!10.0.0.1", "@lan", { "ip": "192.0.2.1", "id": "mine" }],
             "block_ports": [80, "445/TCP", "137-139/udp", { "port": ["1", "2"] }],
             "block_protocols": ["ICMP", 58, 253, "TCP"],
             "sets": { "lan": ["10.0.0.0/8", "fd00::/8"] } }"#,
    )
    .unwrap()
    .ruleset;
    let expected = [
        "block_ips:192.168.1.7",
        "block_ips:192.168.1.0/24",
        "block_ips:not:10.0.0.1",
        "block_ips:@lan",
        "block_ips:@lan",
        "mine",
    ];
    assert_eq!(ids(&ruleset.block_ips), expected);
    let expected =
        ["block_ports:80", "block_ports:445/tcp", "block_ports:137-139/udp", "block_ports:1", "block_ports:2"];
    assert_eq!(ids(&ruleset.block_ports), expected);
    let expected = ["block_protocols:icmp", "block_protocols:icmpv6", "block_protocols:253", "block_protocols:tcp"];
    assert_eq!(ids(&ruleset.block_protocols), expected);
    assert_eq!(
        ruleset.block_ips.iter().map(|entry| entry.negated).collect::<Vec<_>>(),
        [false, false, true, false, false, false]
    );
    let offsets: Vec<_> = ruleset.block_ips.iter().map(|entry| entry.offset).collect();
    assert_eq!((offsets[0], offsets[3] == offsets[4]), (16, true));
}

#[test]
fn what_stands_beside_a_value_is_kept() {
    let ruleset = read(
        r#"{ "block_ips": [{ "ip": "192.0.2.66", "comment": "scänner", "expires": "2027-01-01T01:00:00.5+01:00", "enabled": false }] }"#,
    )
    .unwrap()
    .ruleset;
    let entry = &ruleset.block_ips[0];
    assert_eq!(entry.comment.as_deref(), Some("scänner"));
    assert_eq!(entry.expires, Some(Timestamp::from_parts(1_798_761_600, 500_000_000)));
    assert!(!entry.enabled);
}

#[test]
fn times_before_the_epoch_keep_their_fraction() {
    let ruleset =
        read(r#"{ "block_ips": [{ "ip": "192.0.2.66", "expires": "1969-12-31T23:59:59.25Z" }] }"#).unwrap().ruleset;
    assert_eq!(ruleset.block_ips[0].expires, Some(Timestamp::from_nanos(-750_000_000)));
}

#[test]
fn a_rule_keeps_its_terms_and_knows_what_they_mean() {
    let rule = rule(r#""direction": "out", "protocol": ["UDP", 6], "dst": ["@lan", "!192.168.1.1"], "dst_port": 53"#);
    assert_eq!((rule.action, rule.direction), (Action::Block, Some(RuleDirection::Out)));
    let dst = rule.dst.unwrap();
    assert_eq!(&*dst.text, "@lan, !192.168.1.1");
    assert_eq!(dst.terms.iter().map(|(negated, _)| *negated).collect::<Vec<_>>(), [false, false, true]);
    assert!(dst.set.contains(ip("192.168.1.2")) && dst.set.contains(ip("fd00:1::5")));
    assert!(!dst.set.contains(ip("192.168.1.1")) && !dst.set.contains(ip("8.8.8.8")));
    let protocol = rule.protocol.unwrap();
    assert_eq!(&*protocol.text, "udp, tcp");
    assert_eq!(protocol.set.iter().collect::<Vec<_>>(), [Protocol::TCP, Protocol::UDP]);
}

#[test]
fn deny_is_block() {
    assert_eq!(rules(r#"{ "action": "deny", "dst_port": 1 }"#)[0].action, Action::Block);
}

#[test]
fn a_negated_set_is_everything_outside_it() {
    let src = rule(r#""src": "!@lan""#).src.unwrap();
    assert!(src.set.contains(ip("8.8.8.8")) && src.set.contains(ip("2001:db8::1")));
    assert!(!src.set.contains(ip("192.168.1.2")) && !src.set.contains(ip("fd00:1::5")));
}

#[test]
fn a_set_with_negated_entries_stands_for_what_is_left() {
    let ruleset = read(
        r#"{ "sets": { "some": ["10.0.0.0/30", "!10.0.0.1"] }, "block_ips": ["@some"], "rules": [
        { "action": "block", "dst": "!@some" }] }"#,
    )
    .unwrap()
    .ruleset;
    assert_eq!(
        ruleset.block_ips.iter().map(|entry| entry.value.to_string()).collect::<Vec<_>>(),
        ["10.0.0.0", "10.0.0.2/31"]
    );
    let dst = ruleset.rules[0].dst.as_ref().unwrap();
    assert!(dst.set.contains(ip("10.0.0.1")) && !dst.set.contains(ip("10.0.0.2")));
}

#[test]
fn ports_imply_their_protocols() {
    let implied = |text| rule(text).protocol.unwrap().text.to_string();
    assert_eq!(implied(r#""dst_port": 22"#), "tcp, udp");
    assert_eq!(implied(r#""dst_port": "22/tcp""#), "tcp");
    assert_eq!(implied(r#""src_port": "53/udp", "dst_port": 53"#), "udp");
    assert_eq!(implied(r#""dst_port": "!22/tcp""#), "tcp, udp");
    assert_eq!(implied(r#""dst_port": "@web""#), "tcp, udp");
    assert_eq!(implied(r#""icmp_type": "echo-request""#), "icmp");
}

#[test]
fn bare_icmp_types_are_of_icmp_unless_the_protocol_is_icmpv6() {
    let [plain, v6] = [r#""icmp_type": 8"#, r#""protocol": "icmpv6", "icmp_type": "128/0""#]
        .map(|text| rule(text).icmp_type.unwrap().set);
    assert!(plain.v4.contains(0x0800) && plain.v6.is_empty());
    assert!(v6.v6.contains(0x8000) && !v6.v6.contains(0x8001) && v6.v4.is_empty());
}

#[test]
fn interfaces_may_end_in_a_wildcard() {
    let rule = rule(r#""interface": ["eth0", "wlan+", "!wlan9"]"#);
    let matches = ["eth0", "eth01", "wlan0", "wlan9", "lo"].map(|name| rule.interface_matches(name));
    assert_eq!(matches, [true, false, true, false, false]);
}

#[test]
fn a_missing_id_comes_from_what_the_rule_does() {
    let text = r#"{ "action": "block", "direction": "out", "protocol": "UDP", "dst_port": 53"#;
    let first = &rules(&format!("{text} }}"))[0].id;
    assert!(first.starts_with("rules:block-out-udp-53-"), "{first}");
    let again = &rules(&format!(
        "{{ \"action\": \"allow\", \"src\": \"@lan\" }}, {text}, \"comment\": \"x\", \"enabled\": false }}"
    ))[1]
        .id;
    assert_eq!(first, again);
    let other = &rules(&format!("{text}, \"dst\": \"192.0.2.1\" }}"))[0].id;
    assert_ne!(first, other);
}

#[test]
fn the_second_of_two_equal_rules_gets_a_number() {
    let text = r#"{ "action": "allow", "dst_port": 1 }"#;
    let rules = rules(&[text; 3].join(", "));
    assert_eq!(*rules[1].id, format!("{}:2", rules[0].id));
    assert_eq!(*rules[2].id, format!("{}:3", rules[0].id));
}

#[test]
fn block_lists_are_read_from_beside_the_file() {
    let ruleset = read(r#"{ "block_lists": ["drop.txt", { "file": "gone.txt", "enabled": false }, { "file": "/etc/drop.txt", "id": "again" }] }"#)
        .unwrap()
        .ruleset;
    let lists: Vec<_> = ruleset.block_lists.iter().map(|list| (&*list.id, list.networks.len(), list.enabled)).collect();
    assert_eq!(lists, [("block_lists:drop.txt", 2, true), ("block_lists:gone.txt", 0, false), ("again", 2, true)]);
    assert_eq!(ruleset.block_lists[0].path.to_str(), Some("/etc/drop.txt"));
}

#[test]
fn errors_in_a_block_list_name_its_line_and_not_its_content() {
    let errors =
        read_with(r#"{ "block_lists": ["drop.txt"], "block_ports": [70000] }"#, "192.0.2.1\n\n  secret\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "drop.txt:3:3: block_lists[0]: this line is neither an address nor a network\n\
         rules.json:1:48: block_ports[0]: 70000 is not a port (0 to 65535)"
    );
}

#[test]
fn what_can_be_read_but_was_surely_not_meant_is_told() {
    assert_eq!(
        warnings(
            r#"{ "block_ips": ["192.168.1.7/24", "10.0.0.1", "10.0.0.1/32", { "ip": "10.0.0.1", "enabled": false }],
  "allow_ips": ["!192.0.2.1"],
  "block_protocols": ["TCP", 6],
  "sets": { "unused": [1] },
  "rules": [{ "action": "allow", "protocol": ["tcp", "gre"], "dst_port": [80, "80"] },
            { "action": "allow", "protocol": "!udp", "dst_port": 80 }] }"#
        ),
        [
            "1:17: block_ips[0]: 192.168.1.7/24 has host bits set; it is taken as 192.168.1.0/24",
            "1:47: block_ips[2]: 10.0.0.1 stands in this list already, as block_ips[1]",
            "2:16: allow_ips: every entry is negated: this list means everything but them",
            "3:30: block_protocols[1]: tcp stands in this list already, as block_protocols[0]",
            "4:23: sets.unused: the set is never used: nothing says \"@unused\"",
            "5:46: rules[0].protocol: only TCP and UDP have ports: gre is without effect here",
            "5:79: rules[0].dst_port[1]: 80 stands in this list already, as rules[0].dst_port[0]",
        ]
    );
}

#[test]
fn host_bits_in_a_block_list_are_one_warning() {
    let loaded = read_with(r#"{ "block_lists": ["drop.txt"] }"#, "10.0.0.1/8\n10.0.0.2/8\n").unwrap();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(loaded.warnings[0].message.starts_with("2 networks have host bits set in drop.txt (the first on line 1)"));
}

#[test]
fn a_condition_that_leaves_nothing_is_no_condition_for_everything() {
    let rule = rule(r#""src": ["10.0.0.1", "!10.0.0.0/8"], "dst": "192.0.2.1""#);
    assert!(rule.src.unwrap().set.is_empty());
}

#[test]
fn limits_end_in_errors_with_their_place() {
    let error = |text: String| read(&text).unwrap_err().to_string();
    let rules = format!("{{ \"rules\": [{}] }}", vec![r#"{"action":"allow","dst_port":1}"#; 10_001].join(","));
    assert!(error(rules).starts_with("rules.json:1:320013: rules[10000]: more than 10000 rules"));
    let ports = format!("{{ \"sets\": {{ \"many\": [{}] }} }}", vec!["1"; 65_537].join(","));
    assert!(error(ports).starts_with("rules.json:1:21: sets.many: a set has 65536 entries at most, this one 65537"));
    let set = format!(
        "{{ \"sets\": {{ \"many\": [{}] }}, \"block_ports\": [{}] }}",
        vec!["1"; 60_000].join(","),
        vec!["\"@many\""; 20].join(",")
    );
    assert!(error(set).contains("block_ports[15]: more than 1000000 entries"));
    let comment = format!("{{ \"comment\": \"{}\" }}", "ä".repeat(257));
    assert_eq!(error(comment), "rules.json:1:14: comment: a comment has 256 characters at most, this one 257");
}

#[test]
fn bytes_that_are_no_text_have_a_place_too() {
    for (bytes, told) in [
        (&b"{\n \"comment\": \"\xff\" }"[..], "2:14: the byte 0xff is not UTF-8"),
        (b"\xef\xbb\xbf{}", "1:1: the file begins with a byte order mark; save it as UTF-8 without one"),
        (b"\xff\xfe{\0}\0", "1:1: the file is UTF-16; save it as UTF-8"),
        (b"", "1:1: the file is empty; a file without rules is {}"),
        (b" \n\t", "1:1: the file is empty; a file without rules is {}"),
    ] {
        assert_eq!(read_with(bytes, "").unwrap_err().to_string(), format!("rules.json:{told}"));
    }
}
