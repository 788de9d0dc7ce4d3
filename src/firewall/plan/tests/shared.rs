//! Many ordered rules that block share a chain.

use super::super::shared::MANY;
use super::*;

/// So many rules that block, of which each has its place as port and in its id; behind them another.
fn many(count: usize, another: &str, options: Options) -> Plan {
    let rule =
        |n| format!(r#"{{ "id": "r{n}", "action": "block", "direction": "in", "protocol": "tcp", "dst_port": {n} }}"#);
    let rules: Vec<_> = (1..=count).map(rule).chain([another.to_owned()]).collect();
    Plan::new(&parse(&format!(r#"{{ "rules": [{}] }}"#, rules.join(","))), &host(), options, NOW)
}

const ALLOW: &str = r#"{ "action": "allow", "dst_port": 7000 }"#;

#[test]
fn many_rules_that_block_are_one_kernel_rule_each_and_report_together() {
    let plan = many(MANY, ALLOW, OPTIONS);
    let rules = chain(&plan, Family::V4, "PFW-G00001");
    assert_eq!(rules.len(), MANY);
    assert_eq!(rules[41], "-p tcp -m tcp --dport 42 -g PFW-B00000 # r42");
    assert_eq!(chain(&plan, Family::V4, "PFW-B00000"), ["log 000000 # shared-rules", "-j DROP # shared-rules"]);
    let number = plan.shared().expect("they share");
    assert_eq!((number, &*plan.rules()[0].id), (0, "shared-rules"));
    // What each led there is counted once.
    let counted = |name: &str| {
        let chain = plan.chains(Family::V4).iter().find(|chain| chain.name == name).expect("a chain");
        chain.rules.iter().filter(|rule| rule.drops).filter_map(|rule| rule.number).collect::<Vec<_>>()
    };
    assert_eq!((counted("PFW-B00000"), counted("PFW-G00001")), (vec![], (1..=100).collect()));
}

#[test]
fn a_few_rules_that_block_report_in_place() {
    let plan = many(MANY - 1, r#"{ "action": "reject", "dst_port": 7000 }"#, OPTIONS);
    assert_eq!(plan.shared(), None);
    assert_eq!(
        chain(&plan, Family::V4, "PFW-G00000")[3..5].concat(),
        "\
        -p tcp -m tcp --dport 1 log 000000 # r1-p tcp -m tcp --dport 1 -j DROP # r1"
    );
}

#[test]
fn what_a_report_does_not_show_is_reported_in_place() {
    let plan = many(MANY, r#"{ "id": "eth", "action": "block", "direction": "in", "interface": "eth0" }"#, OPTIONS);
    assert!(plan.shared().is_some());
    let own = decisive(&plan, Family::V4, "PFW-IN");
    assert!(own.contains(&"-i eth0 log 000065 # eth".to_owned()), "{own:#?}");
}

#[test]
fn what_is_not_reported_is_dropped_in_place() {
    let unreported = many(MANY, ALLOW, Options { nflog_group: None, ..OPTIONS });
    assert_eq!(chain(&unreported, Family::V4, "PFW-G00000")[0], "-p tcp -m tcp --dport 1 -j DROP # r1");
    assert!(!unreported.chains(Family::V4).iter().any(|chain| chain.name.starts_with("PFW-B")));
}
