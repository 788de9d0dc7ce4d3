//! A panic as kernel rules.

use super::*;

fn panic(forwards: bool) -> Plan {
    let rules = Ruleset { panic: true, ..parse(r#"{ "block_ips": ["192.0.2.1"], "default_policy": "deny" }"#) };
    Plan::new(&rules, &host(), Options { forwards, ..OPTIONS }, NOW)
}

#[test]
fn a_panic_spares_own_addresses_on_loopback_alone() {
    let plan = panic(false);
    let blocked = ["log 000000 # panic", "-j DROP # panic"];
    let of = |own: [&str; 2]| own.map(|own| format!("{own} -j RETURN # loopback"));
    for (family, name, own) in [
        (Family::V4, "PFW-IN", ["-s 10.0.0.5/32 -i lo", "-s 127.0.0.0/8 -i lo"]),
        (Family::V4, "PFW-OUT", ["-d 10.0.0.5/32 -o lo", "-d 127.0.0.0/8 -o lo"]),
        (Family::V6, "PFW-IN", ["-s ::1/128 -i lo", "-s fd00::5/128 -i lo"]),
        (Family::V6, "PFW-OUT", ["-d ::1/128 -o lo", "-d fd00::5/128 -o lo"]),
    ] {
        let expected: Vec<_> = of(own).into_iter().chain(blocked.map(str::to_owned)).collect();
        assert_eq!(decisive(&plan, family, name), expected);
        assert_eq!(decisive(&plan, family, "PFW-FWD"), blocked);
    }
    assert_eq!(
        plan.rules().iter().map(|rule| (&*rule.id, rule.origin)).collect::<Vec<_>>(),
        [("panic", Origin::Panic)]
    );
    assert!(!plan.tracks() && plan.set_text().is_empty());
}

#[test]
fn in_a_panic_neighbour_discovery_and_path_mtu_messages_pass_and_no_other_guard_does() {
    let plan = panic(false);
    let guards = |family, name: &str| {
        let all = chain(&plan, family, name).into_iter().filter(|rule| rule.contains("# guard:"));
        all.map(|rule| rule.split("# guard:").nth(1).unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    for name in ["PFW-IN", "PFW-OUT"] {
        assert_eq!(guards(Family::V4, name), ["path-mtu"]);
        assert_eq!(guards(Family::V6, name), [&["neighbour-discovery"; 4][..], &["path-mtu"]].concat());
    }
    assert_eq!(
        (guards(Family::V4, "PFW-FWD"), guards(Family::V6, "PFW-FWD")),
        (vec!["path-mtu".into()], vec!["path-mtu".into()])
    );
}

#[test]
fn a_machine_with_many_addresses_has_them_in_a_set() {
    let mut host = host();
    host.addresses.extend((1..40_u8).map(|n| ([10, 1, n, 1].into(), 24)));
    let plan = Plan::new(&Ruleset { panic: true, ..Ruleset::default() }, &host, OPTIONS, NOW);
    let rules = decisive(&plan, Family::V4, "PFW-IN");
    assert!(rules[0].starts_with("-i lo -m set --match-set ") && rules.len() == 3, "{rules:?}");
    assert!(!plan.uses_raw());
}
