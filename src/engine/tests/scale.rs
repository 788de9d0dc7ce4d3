//! Much at once.

use super::*;

#[test]
fn a_matcher_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Matcher>();
    sent::<Engine>();
}

#[test]
fn a_million_networks_are_found_in_bounded_memory() {
    let networks = (0..1_000_000_u32).map(|n| {
        let first = n.wrapping_mul(2_654_435_761) & !0xff;
        crate::rules::address::AddressRange::V4 { first: first.into(), last: (first | 0xff).into() }
    });
    let list = crate::rules::BlockList { networks: networks.collect(), ..block_list("big", &[]) };
    let matcher = matcher(&Ruleset { block_lists: vec![list], ..Ruleset::default() });
    assert!(matcher.bytes() <= 24 << 20, "{}", matcher.bytes());
}

#[test]
fn ten_thousand_rules_fit_into_a_few_megabytes() {
    let rules = (0..10_000_u32).map(|index| Rule {
        src: condition(crate::rules::address::AddressSet {
            v4: crate::rules::ranges::Ranges::one(index.wrapping_mul(2_654_435_761)),
            ..Default::default()
        }) as Option<Condition<_, _>>,
        dst_port: condition(ports(&(index % 5000).to_string())),
        ..rule(index, Action::Block)
    });
    let matcher = matcher(&Ruleset { rules: rules.collect(), ..Ruleset::default() });
    assert!(matcher.bytes() <= 16 << 20, "{}", matcher.bytes());
}
