//! Rules in a row behind one condition.

use super::{Family, chain, decisive, plan};

/// A rules file with these rules, of which each has the id of its place.
fn rules(rules: impl Iterator<Item = String>) -> String {
    let rules: Vec<_> = rules.enumerate().map(|(n, rule)| format!(r#"{{ "id": "r{n}", {rule} }}"#)).collect();
    format!(r#"{{ "rules": [{}] }}"#, rules.join(","))
}

fn jumps(text: &str, family: Family) -> Vec<String> {
    let all = decisive(&plan(text), family, "PFW-IN");
    all.into_iter().filter(|rule| rule.contains("PFW-G")).collect()
}

#[test]
fn rules_in_a_row_about_ports_are_behind_one_look_at_the_port() {
    let of = |n: u32| format!(r#""action": "block", "direction": "in", "protocol": "tcp", "dst_port": {n}"#);
    let text = rules((1..=8).map(of).chain([r#""action": "allow", "dst_port": 9"#.to_owned()]));
    let plan = plan(&text);
    assert_eq!(
        decisive(&plan, Family::V4, "PFW-IN")[3..6],
        [
            "-p tcp -m tcp --dport 1:8 -j PFW-G00000 # rules",
            "-p tcp -m tcp --dport 9 -j RETURN # r8",
            "-p udp -m udp --dport 9 -j RETURN # r8",
        ]
    );
    let inside = chain(&plan, Family::V4, "PFW-G00000");
    assert_eq!(inside[..2], ["-p tcp -m tcp --dport 1 log 000000 # r0", "-p tcp -m tcp --dport 1 -j DROP # r0"]);
    assert_eq!(inside.len(), 16);
    let inside_v6 = chain(&plan, Family::V6, "PFW-G00000");
    let as_multiport = |rule: &String| rule.replace("-m tcp --dport", "-m multiport --dports");
    assert_eq!(inside_v6, inside.iter().map(as_multiport).collect::<Vec<_>>(), "IPv6 is no other");
}

#[test]
fn where_nothing_else_blocks_the_look_comes_before_the_one_at_the_connection() {
    let of = |n: u32| format!(r#""action": "block", "direction": "in", "protocol": "tcp", "dst_port": {n}"#);
    let rules = |more: &str| format!("{{ {more} {}", &rules((1..=8).map(of))[1..]);
    let asked = [
        "-m conntrack --ctstate ESTABLISHED --ctdir REPLY -j RETURN # reply",
        "-p icmp -m conntrack --ctstate RELATED -j RETURN # related",
        "-i lo -j RETURN # loopback",
    ];
    let alone = plan(&rules(""));
    let look = "-p tcp -m tcp --dport 1:8 -j PFW-G00000 # rules";
    assert_eq!(decisive(&alone, Family::V4, "PFW-IN"), [look]);
    let inside = chain(&alone, Family::V4, "PFW-G00000");
    assert_eq!((&inside[..3], inside.len()), (&asked.map(str::to_owned)[..], 3 + 16));
    let denying = plan(&rules(r#""default_policy": { "in": "deny" },"#));
    assert_eq!(decisive(&denying, Family::V4, "PFW-IN")[..4], [&asked[..], &[look]].concat());
    assert_eq!(chain(&denying, Family::V4, "PFW-G00000").len(), 16);
}

#[test]
fn a_group_is_told_by_the_ports_of_each_protocol_or_by_the_addresses_of_the_family() {
    let port = |n: u32| format!(r#""action": "block", "dst_port": {}, "protocol": ["tcp", "udp"]"#, n * 100);
    assert_eq!(
        jumps(&rules((1..=8).map(port)), Family::V4),
        [
            "-p tcp -m multiport --dports 100,200,300,400,500,600,700,800 -j PFW-G00000 # rules",
            "-p udp -m multiport --dports 100,200,300,400,500,600,700,800 -j PFW-G00000 # rules",
        ]
    );
    let address = |n: u32| format!(r#""action": "reject", "src": ["192.0.2.{}", "2001:db8::{}"]"#, n * 2, n * 2);
    let text = rules((0..9).map(address));
    assert_eq!(jumps(&text, Family::V4), ["-m set --match-set PFW4-0000002a-00000 src -j PFW-G00000 # rules"]);
    assert_eq!(jumps(&text, Family::V6), ["-m set --match-set PFW6-0000002a-00001 src -j PFW-G00000 # rules"]);
}

#[test]
fn what_is_not_worth_a_look_or_allows_stands_where_it_stood() {
    let port = |action: &str, n: u32| format!(r#""action": "{action}", "dst_port": {n}"#);
    let alone = |text: String| assert_eq!(jumps(&text, Family::V4), <[&str; 0]>::default(), "{text}");
    alone(rules((1..=7).map(|n| port("block", n))));
    alone(rules((1..=20).map(|n| port("allow", n))));
    alone(rules((1..=14).map(|n| port(if n == 7 { "allow" } else { "block" }, n))));
    // As many conditions as rules would spare nobody anything, and one that is always true neither.
    alone(rules((0..8).map(|n| format!(r#""action": "block", "src": "192.0.2.{}""#, n * 2))));
    alone(rules((0..9).map(|n| format!(r#""action": "block", "src": "!192.0.2.{}""#, n * 2))));
    // None of them is about IPv4.
    alone(rules((0..9).map(|n| format!(r#""action": "block", "src": "2001:db8::{}""#, n * 2))));
}
