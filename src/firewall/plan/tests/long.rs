//! Lists that are sets, and where they are dropped.

use super::*;

/// Forty addresses that no network holds together, as the entries of a list.
fn many(network: &str) -> String {
    (0..40).map(|n| format!("\"{network}{}\"", n * 2)).collect::<Vec<_>>().join(",")
}

#[test]
fn what_is_too_long_for_plain_rules_is_a_set_that_all_hooks_share() {
    let rules = parse(&format!(r#"{{ "block_ips": [{}] }}"#, many("192.0.2.")));
    let plan = Plan::new(&rules, &host(), Options { raw: false, ..OPTIONS }, NOW);
    assert!(!plan.uses_raw());
    assert_eq!(
        decisive(&plan, Family::V4, "PFW-IN"),
        ["-s 192.0.2.0/25 -m set --match-set PFW4-0000002a-00000 src -j PFW-B00000 # block_ips"]
    );
    assert_eq!(
        decisive(&plan, Family::V4, "PFW-OUT"),
        ["-d 192.0.2.0/25 -m set --match-set PFW4-0000002a-00000 dst -j PFW-B00000 # block_ips"]
    );
    assert_eq!(chain(&plan, Family::V4, "PFW-B00000"), ["log 000000 # block_ips", "-j DROP # block_ips"]);
    assert_eq!(sizes(&plan), [("PFW4-0000002a-00000", 40)]);
}

#[test]
fn a_long_list_drops_what_comes_in_before_all_else_and_the_filter_table_the_rest() {
    let plan = plan(&format!(
        r#"{{ "allow_ips": ["192.0.2.2"], "block_ips": [{}, {}] }}"#,
        many("192.0.2."),
        many("2001:db8::")
    ));
    assert_eq!(
        chain(&plan, Family::V4, "PFW-RAW"),
        [
            "-s 192.0.2.0/25 -p icmp -m set --match-set PFW4-0000002a-00000 src -g PFW-R0000002a-00001 # block_ips",
            "-s 192.0.2.0/25 -m set --match-set PFW4-0000002a-00000 src -g PFW-R0000002a-00000 # block_ips"
        ]
    );
    assert_eq!(
        chain(&plan, Family::V4, "PFW-R0000002a-00001"),
        ["-p icmp -m icmp --icmp-type 3/4 -j RETURN # guard:path-mtu", "-g PFW-R0000002a-00000 # block_ips"]
    );
    let blocking = ["-i lo -j RETURN # loopback", "log 000001 # block_ips", "-j DROP # block_ips"];
    assert_eq!(chain(&plan, Family::V4, "PFW-R0000002a-00000"), blocking);
    assert_eq!(
        decisive(&plan, Family::V4, "PFW-IN"),
        [
            "-s 192.0.2.2/32 -j RETURN # allow_ips:192.0.2.2",
            "-s 192.0.2.0/25 -i lo -m set --match-set PFW4-0000002a-00000 src -j PFW-B00002 # block_ips",
        ]
    );
    assert_eq!(
        decisive(&plan, Family::V4, "PFW-FWD"),
        ["-d 192.0.2.0/25 -m set --match-set PFW4-0000002a-00000 dst -j PFW-B00002 # block_ips"]
    );
    assert!(plan.sets().iter().all(|set| set.entries == 39 || set.entries == 40), "{:?}", plan.sets());
    let guarded = chain(&plan, Family::V6, "PFW-R0000002a-00001");
    assert_eq!(guarded.iter().filter(|rule| rule.contains("guard:neighbour-discovery")).count(), 4, "{guarded:?}");
    assert_eq!(
        decisive(&plan, Family::V6, "PFW-FWD")[0],
        "-s 2001:db8::/121 -p ipv6-icmp -m set --match-set PFW6-0000002a-00001 src -j PFW-B00002 # block_ips",
        "neighbour discovery that is no guard here"
    );
    assert_eq!(chain(&plan, Family::V4, "PFW-IN")[0].split(" -m").nth(1), Some(" socket  # guard:defragment"));
}

fn behind_loopback(plan: &Plan, name: &str) -> Vec<String> {
    decisive(plan, Family::V4, name).into_iter().filter(|rule| !rule.contains("# loopback")).collect()
}

#[test]
fn in_the_raw_table_a_router_tells_what_passes_through_and_holds_it_against_untranslated_destinations() {
    let text = format!(r#"{{ "block_ips": [{}] }}"#, many("192.0.2."));
    let plan = plan_with(&text, true);
    assert_eq!(
        chain(&plan, Family::V4, "PFW-RAW"),
        [
            "-s 192.0.2.0/25 -p icmp -m set --match-set PFW4-0000002a-00000 src -g PFW-R0000002a-00002 # block_ips",
            "-s 192.0.2.0/25 -m set --match-set PFW4-0000002a-00000 src -g PFW-R0000002a-00001 # block_ips",
            "-m set --match-set PFW4-0000002a-00000 dst -m addrtype --dst-type UNICAST -j PFW-R0000002a-00000 # block_ips",
        ]
    );
    assert_eq!(
        behind_loopback(&plan, "PFW-R0000002a-00001"),
        [
            "-m addrtype --dst-type UNICAST -g PFW-R0000002a-00000 # block_ips",
            "log 000000 # block_ips",
            "-j DROP # block_ips"
        ]
    );
    assert_eq!(decisive(&plan, Family::V4, "PFW-R0000002a-00002"), ["-g PFW-R0000002a-00001 # block_ips"]);
    let through = behind_loopback(&plan, "PFW-R0000002a-00000");
    assert_eq!(through, ["log 000000:fwd # block_ips", "-j DROP # block_ips"]);
    let unreported = Options { forwards: true, nflog_group: None, ..OPTIONS };
    let unreported = Plan::new(&parse(&text), &host(), unreported, NOW);
    assert!(!unreported.to_string().contains("NFLOG"));
    assert_eq!(decisive(&unreported, Family::V4, "PFW-R0000002a-00001"), ["-j DROP # block_ips"]);
}

#[test]
fn what_is_not_reported_is_dropped_where_the_set_has_told_it() {
    let rules = parse(&format!(r#"{{ "block_ips": [{}] }}"#, many("192.0.2.")));
    let plan = Plan::new(&rules, &host(), Options { nflog_group: None, ..OPTIONS }, NOW);
    assert_eq!(
        chain(&plan, Family::V4, "PFW-RAW"),
        [
            "-s 192.0.2.0/25 -p icmp -m set --match-set PFW4-0000002a-00000 src -g PFW-R0000002a-00000 # block_ips",
            "-s 192.0.2.0/25 -m set --match-set PFW4-0000002a-00000 src -j DROP # block_ips"
        ]
    );
    let of_icmp = ["-p icmp -m icmp --icmp-type 3/4 -j RETURN # guard:path-mtu", "-j DROP # block_ips"];
    assert_eq!(chain(&plan, Family::V4, "PFW-R0000002a-00000"), of_icmp);
    assert_eq!(decisive(&plan, Family::V4, "PFW-IN"), <[&str; 0]>::default(), "loopback included");
    let answering = format!(
        r#"{{ "block_ips": [{}], "rules": [{{ "action": "reject", "src": "192.0.2.99" }}] }}"#,
        many("192.0.2.")
    );
    let plan = Plan::new(&parse(&answering), &host(), Options { nflog_group: None, ..OPTIONS }, NOW);
    let on_loopback = "-s 192.0.2.0/25 -i lo -m set --match-set PFW4-0000002a-00000 src -j PFW-B00002 # block_ips";
    assert_eq!(decisive(&plan, Family::V4, "PFW-IN")[0], on_loopback, "where there may be an answer");
    let blocking = chain(&plan, Family::V4, "PFW-R0000002a-00000");
    assert_eq!(blocking, ["-i lo -j RETURN # loopback", "-j DROP # block_ips"]);
}

#[test]
fn what_a_short_list_in_front_names_is_left_to_it() {
    let far = (0..40).map(|n| format!("192.0.2.{}", n * 2)).collect::<Vec<_>>();
    let list = |id: &str, networks: &[String]| rules::BlockList {
        id: id.into(),
        path: "bulk".into(),
        networks: networks.iter().map(|one| one.parse::<std::net::IpAddr>().expect("an address").into()).collect(),
        expires: None,
        enabled: true,
        comment: None,
        offset: 0,
    };
    let block_lists = vec![list("block_lists:short", &far[..3]), list("block_lists:long", &far)];
    let plan = Plan::new(&Ruleset { block_lists, ..Ruleset::default() }, &host(), OPTIONS, NOW);
    assert_eq!(sizes(&plan), [("PFW4-0000002a-00000", 37)]);
    assert_eq!(decisive(&plan, Family::V4, "PFW-IN").len(), 2 * 3 + 1);
}

#[test]
fn a_network_with_many_holes_is_a_long_list_and_leaves_to_a_short_one_in_front_what_that_names() {
    let holes = many("192.0.2.");
    let plan = plan(&format!(r#"{{ "allow_ips": [{holes}], "block_ips": ["192.0.2.0/30", "192.0.2.0/24"] }}"#));
    // 1 and 3 are the first's; 5 to 77 lie alone between two holes, and behind the last are 79, 80 to 95, 96 to 127 and 128.
    assert_eq!(sizes(&plan), [("PFW4-0000002a-00000", 37 + 4), ("PFW4-0000002a-00001", 40)]);
}

#[test]
fn block_lists_spare_what_this_machine_lives_on() {
    let list = |networks: &[&str]| rules::BlockList {
        id: "block_lists:bulk".into(),
        path: "bulk".into(),
        networks: networks
            .iter()
            .map(|one| one.parse::<std::net::IpAddr>().map_or_else(|_| panic!("{one}"), Into::into))
            .collect(),
        expires: None,
        enabled: true,
        comment: None,
        offset: 0,
    };
    let all = ["127.0.0.53", "10.0.0.5", "10.0.0.1", "9.9.9.9", "198.51.100.7", "::1", "fd00::5", "192.0.2.1"];
    let rules = Ruleset { block_lists: vec![list(&all)], ..Ruleset::default() };
    let plan = Plan::new(&rules, &host(), OPTIONS, NOW);
    assert_eq!(
        decisive(&plan, Family::V4, "PFW-IN"),
        ["-s 192.0.2.1/32 log 000000 # block_lists:bulk", "-s 192.0.2.1/32 -j DROP # block_lists:bulk"]
    );
    assert_eq!(decisive(&plan, Family::V6, "PFW-IN"), <[&str; 0]>::default());
}
