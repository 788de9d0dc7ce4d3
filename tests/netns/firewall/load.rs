//! Much at once: long lists, many reloads, rule sets of every kind.

use super::{BOTH, PACE, enforce, nothing_of_pfw, ping, ping_from_peer, plan, plan_of, tools, world};
use crate::Case;
use crate::stream::{receive_until, send_until};
use crate::verdict::raw::make_room;
use crate::world::{HOST4, PEER4, sh};
use pfw::firewall::Installed;
use pfw::rules::{Origin, Ruleset};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("firewall_a_hundred_thousand_networks_are_quick", a_hundred_thousand_networks_are_quick),
    ("firewall_reloads_leak_and_lose_nothing", reloads_leak_and_lose_nothing),
    ("firewall_any_rule_set_is_taken_by_the_kernel", any_rule_set_is_taken),
    ("firewall_many_rules_of_many_conditions_act", many_rules_of_many_conditions_act),
];

fn a_hundred_thousand_networks_are_quick() {
    let _world = world();
    let networks = (0..100_000_u32).map(|n| {
        let first = 0x0b00_0000 + n * 512;
        pfw::rules::address::AddressRange::V4 { first: first.into(), last: (first + 255).into() }
    });
    let list = pfw::rules::BlockList {
        id: "block_lists:big".into(),
        path: "big".into(),
        networks: networks.collect(),
        expires: None,
        enabled: true,
        comment: None,
        offset: 0,
    };
    let rules = Ruleset { block_lists: vec![list], ..Ruleset::default() };
    for variant in BOTH {
        let start = Instant::now();
        let plan = plan_of(&rules);
        let planned = start.elapsed();
        let installed = Installed::start(plan, tools(variant)).unwrap_or_else(|error| panic!("{error}"));
        let started = start.elapsed();
        sh("ip addr add 11.0.2.5/32 dev lo");
        sh(
            "ip -n peer route replace 11.0.0.0/8 via 10.77.0.1; ip -n peer addr add 11.0.0.9/32 dev lo; ip route replace 11.0.0.9/32 via 10.77.0.2",
        );
        assert!(!ping("11.0.0.9"), "in the list");
        assert!(ping(PEER4));
        let removing = Instant::now();
        installed.remove().unwrap_or_else(|error| panic!("{error}"));
        assert!(ping("11.0.0.9"));
        println!("{variant:?}: planned in {planned:?}, in force after {started:?}, gone in {:?}", removing.elapsed());
        assert!(started < Duration::from_secs(4), "{started:?}");
        sh("ip addr del 11.0.2.5/32 dev lo");
    }
}

fn reloads_leak_and_lose_nothing() {
    let _world = world();
    let reloads = std::env::var("PFW_RELOADS").map_or(30, |reloads| reloads.parse().expect("a number"));
    let blocked = UdpSocket::bind((HOST4, 5001)).expect("free");
    let passing = UdpSocket::bind((HOST4, 5002)).expect("free");
    blocked.set_nonblocking(true).expect("set");
    // What waits while this process does not get its turn.
    make_room(&passing);
    let others: Vec<_> = (0..20).map(|n| format!("\"1.2.{n}.0/24\"")).collect();
    let texts = [
        r#"{ "block_ports": ["5001/udp"], "block_ips": ["192.0.2.1"] }"#.to_owned(),
        format!(
            r#"{{ "rules": [{{ "action": "block", "protocol": "udp", "dst_port": 5001 }}], "block_ips": [{}] }}"#,
            others.join(",")
        ),
    ];
    for variant in BOTH {
        let mut installed = enforce(variant, &texts[0]);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sender = scope.spawn(|| send_until(&stop, &[5001, 5002], PACE));
            let receiver = scope.spawn(|| receive_until(&passing, &stop));
            for reload in 0..reloads {
                installed.replace(plan(&texts[(reload + 1) % 2])).unwrap_or_else(|error| panic!("{error}"));
            }
            stop.store(true, Ordering::Relaxed);
            let sent = sender.join().expect("it sent");
            assert_eq!(receiver.join().expect("it received"), sent, "{variant:?}: nothing is lost");
            assert!(sent > 1000, "{sent}");
        });
        assert!(blocked.recv(&mut [0; 8]).is_err(), "{variant:?}: nothing leaks");
        drop(installed);
    }
}

/// A small generator of numbers, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("fits") % bound
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn some(&mut self, from: &[&str]) -> String {
        let count = 1 + self.below(4);
        let values: Vec<_> = (0..count).map(|_| format!("{}\"{}\"", "", self.pick(from))).collect();
        format!("[{}]", values.join(","))
    }
}

/// An ordered rule of whatever conditions.
fn any_rule(id: usize, numbers: &mut Numbers) -> String {
    let v4 = ["1.2.3.4", "!1.2.3.5", "10.0.0.0/8", "!10.1.0.0/16", "1.0.0.1-1.0.0.9", "0.0.0.0/1"];
    let v6 = ["2001:db8::1", "!2001:db8::2", "fd00::/8", "2001:db8::5-2001:db8::99"];
    let protocols = ["tcp", "udp", "icmp", "!icmp", "!tcp", "gre", "!udp", "esp", "igmp"];
    let types = ["echo-request", "!echo-reply", "3/4", "255", "!255", "destination-unreachable"];
    let interfaces = ["eth0", "!eth1", "wg+", "lo", "!lo", "we;$(x)"];
    let addresses = if numbers.below(2) == 0 { &v4[..] } else { &v6[..] };
    let mut parts = vec![format!(r#""id": "r{id}", "action": "{}""#, numbers.pick(&["allow", "block", "reject"]))];
    for (key, from) in [("src", addresses), ("dst", addresses), ("interface", &interfaces)] {
        if numbers.below(3) == 0 {
            parts.push(format!(r#""{key}": {}"#, numbers.some(from)));
        }
    }
    let transport: &[(&str, &[&str])] = match numbers.below(4) {
        0 => &[("dst_port", &PORTS)],
        1 => &[("src_port", &PORTS), ("dst_port", &PORTS)],
        2 => &[("protocol", &protocols)],
        _ => &[("icmp_type", &types)],
    };
    parts.extend(transport.iter().map(|(key, from)| format!(r#""{key}": {}"#, numbers.some(from))));
    if numbers.below(2) == 0 {
        parts.push(format!(r#""direction": "{}""#, numbers.pick(&["in", "out"])));
    }
    format!("{{ {} }}", parts.join(", "))
}

const PORTS: [&str; 6] = ["80", "!81", "100-200/udp", "0-65535", "!443/tcp", "1-1023"];

/// A rules file of whatever content; not each is valid.
fn any_rules(numbers: &mut Numbers) -> String {
    let peers = ["1.2.3.4", "!1.2.3.5", "10.0.0.0/8", "1.0.0.1-1.0.0.9", "2001:db8::1", "!2001:db8::2", "fd00::/8"];
    let protocols = ["sctp", "gre", "!icmp", "!tcp", "esp"];
    let rules: Vec<_> = (0..=numbers.below(12)).map(|id| any_rule(id, numbers)).collect();
    format!(
        r#"{{ "default_policy": "{}", "block_ips": {}, "block_ports": {}, "block_protocols": {}, "allow_ips": {}, "rules": [{}] }}"#,
        numbers.pick(&["allow", "deny"]),
        numbers.some(&peers),
        numbers.some(&PORTS),
        numbers.some(&protocols),
        numbers.some(&peers),
        rules.join(",\n")
    )
}

fn any_rule_set_is_taken() {
    let _world = world();
    let mut numbers = Numbers(1);
    let rounds = std::env::var("PFW_ROUNDS").map_or(40, |rounds| rounds.parse().expect("a number"));
    let mut taken = 0;
    for round in 0..rounds {
        let text = any_rules(&mut numbers);
        let read = |_: &Path| Err(ErrorKind::NotFound.into());
        let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
        let Ok(loaded) = pfw::rules::parse(text.into_bytes(), &origin) else { continue };
        taken += 1;
        let installed = Installed::start(plan_of(&loaded.ruleset), tools(BOTH[round % 2]));
        let installed = installed.unwrap_or_else(|error| panic!("{error}\n{}", loaded.text));
        assert_eq!(installed.check().expect("readable"), []);
        installed.remove().unwrap_or_else(|error| panic!("{error}"));
    }
    assert!(taken * 4 > rounds, "{taken} of {rounds} were valid");
    assert!(nothing_of_pfw());
}

fn many_rules_of_many_conditions_act() {
    let _world = world();
    let rule = |action: &str, first: &str| {
        let addresses = |first: &str| format!(r#"["{first}", "192.0.2.1", "192.0.2.3", "192.0.2.5", "192.0.2.7"]"#);
        format!(
            r#"{{ "action": "{action}", "direction": "in", "src": {}, "dst": {} }}"#,
            addresses(first),
            addresses(HOST4)
        )
    };
    let others: Vec<_> =
        (0..30).map(|n| rule(["block", "reject", "allow"][n % 3], &format!("198.51.100.{}", 2 * n + 1))).collect();
    let others = others.join(",");
    let with = |rules: &[String]| format!(r#"{{ "rules": [{others}, {}] }}"#, rules.join(","));
    for variant in BOTH {
        let mut installed = enforce(variant, &with(&[rule("block", PEER4)]));
        assert!(!ping_from_peer(HOST4), "{variant:?}: blocked behind all the others");
        assert_eq!(installed.check().expect("readable"), []);
        let allowed = plan(&with(&[rule("allow", PEER4), rule("block", PEER4)]));
        installed.replace(allowed).unwrap_or_else(|error| panic!("{error}"));
        assert!(ping_from_peer(HOST4), "{variant:?}: allowed before");
    }
}
