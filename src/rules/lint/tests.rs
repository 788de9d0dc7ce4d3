//! Each warning has a file that must draw it and a near miss that must not: `warnings.txt`.

use super::lint;
use crate::host::Host;
use crate::packet::Protocol;
use crate::rules::icmp::IcmpSet;
use crate::rules::port::PortSet;
use crate::rules::tests::cases;
use crate::rules::{AddressEntry, Loaded, Origin, PortEntry, Rule, RuleDirection, Ruleset, parse};
use crate::time::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

/// A machine with a resolver and a database on loopback, and somebody at work over SSH.
fn machine() -> Host {
    let ip = |text: &str| text.parse().unwrap();
    Host {
        addresses: vec![(ip("127.0.0.1"), 8), (ip("::1"), 128), (ip("10.0.0.5"), 24), (ip("2001:db8:1::5"), 64)],
        gateways: vec![ip("10.0.0.1")],
        resolvers: vec![ip("127.0.0.53"), ip("10.0.0.2")],
        ssh_peers: vec![ip("203.0.113.9")],
        loopback_listeners: vec![("udp", "127.0.0.53:53".parse().unwrap()), ("tcp", "127.0.0.1:5432".parse().unwrap())],
        ephemeral_ports: Some((32_768, 60_999)),
        ..Host::default()
    }
}

/// 2026-06-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_parts(1_780_272_000, 0);

fn load(text: &str) -> Loaded {
    let read = |path: &Path| -> std::io::Result<Vec<u8>> {
        let list: &[u8] = match path.to_str() {
            Some("near.txt") => b"127.0.0.0/8\n10.0.0.0/8\n198.51.100.0/24\n",
            _ => b"198.51.100.0/24\n10.0.0.77\n2001:db8:2::/48\n",
        };
        Ok(list.to_vec())
    };
    let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
    parse(text.into(), &origin).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

fn told(text: &str) -> String {
    let loaded = load(text);
    let mut findings = loaded.warnings.clone();
    findings.extend(lint(&loaded.ruleset, &machine(), NOW));
    loaded.locate(findings).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn warnings_are_told_where_they_are_due_and_nowhere_else() {
    let wrong: String =
        cases(include_str!("warnings.txt")).iter().filter_map(|case| case.mismatch(&told(&case.text))).collect();
    assert!(wrong.is_empty(), "these are told differently:\n{wrong}");
}

#[test]
fn a_repeated_rule_is_found_among_ten_thousand() {
    let rule = |n: u32| {
        let source = std::net::Ipv4Addr::from(0x0a00_0000 + n);
        format!(r#"{{ "action": "block", "direction": "in", "protocol": "tcp", "src": "{source}", "dst_port": 22 }}"#)
    };
    let mut rules: Vec<_> = (0..9_999).map(rule).collect();
    rules.push(rule(1));
    let told = told(&format!(r#"{{ "rules": [{}] }}"#, rules.join(",")));
    assert!(told.contains("rules[9999]: never acts: it repeats rules[1] "), "{told}");
}

#[test]
fn the_example_draws_no_warning() {
    assert_eq!(told(include_str!("../../../rules.example.json")), "");
}

/// A packet, as far as rules look at it.
#[derive(Clone, Copy, Debug)]
struct Packet {
    way: RuleDirection,
    interface: &'static str,
    src: IpAddr,
    dst: IpAddr,
    protocol: Protocol,
    /// Source and destination port, or type and code.
    pair: (u16, u16),
}

impl Packet {
    fn peer(&self) -> IpAddr {
        if self.way == RuleDirection::In { self.src } else { self.dst }
    }

    fn has_port(&self, ports: &PortSet, port: u16) -> bool {
        match self.protocol {
            Protocol::TCP => ports.tcp.contains(port),
            Protocol::UDP => ports.udp.contains(port),
            _ => false,
        }
    }

    fn has_type(&self, types: &IcmpSet) -> bool {
        let number = self.pair.0 << 8 | self.pair.1;
        match (self.protocol, self.src) {
            (Protocol::ICMP, IpAddr::V4(_)) => types.v4.contains(number),
            (Protocol::ICMPV6, IpAddr::V6(_)) => types.v6.contains(number),
            _ => false,
        }
    }

    fn is_decided_before_rules(&self, ruleset: &Ruleset) -> bool {
        let listed = |list: &[AddressEntry]| list.iter().any(|entry| entry.value.contains(self.peer()));
        let ports =
            |entry: &PortEntry| self.has_port(&entry.value, self.pair.0) || self.has_port(&entry.value, self.pair.1);
        listed(&ruleset.allow_ips)
            || listed(&ruleset.block_ips)
            || ruleset.block_ports.iter().any(ports)
            || ruleset.block_protocols.iter().any(|entry| entry.value.contains(self.protocol))
    }

    fn fulfils(&self, rule: &Rule) -> bool {
        rule.direction.is_none_or(|way| way == self.way)
            && rule.protocol.as_ref().is_none_or(|it| it.set.contains(self.protocol))
            && rule.src.as_ref().is_none_or(|it| it.set.contains(self.src))
            && rule.dst.as_ref().is_none_or(|it| it.set.contains(self.dst))
            && rule.src_port.as_ref().is_none_or(|it| self.has_port(&it.set, self.pair.0))
            && rule.dst_port.as_ref().is_none_or(|it| self.has_port(&it.set, self.pair.1))
            && rule.icmp_type.as_ref().is_none_or(|it| self.has_type(&it.set))
            && rule.interface_matches(self.interface)
            && (self.interface != "lo" || rule.names_loopback())
    }
}

/// A packet of every sort that the values below tell apart.
fn packets() -> Vec<Packet> {
    let families = [
        ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "8.8.8.8"]
            .map(|text| text.parse::<IpAddr>().unwrap())
            .to_vec(),
        ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap()).to_vec(),
    ];
    let mut packets = Vec::new();
    for addresses in families {
        for (&src, &dst) in addresses.iter().flat_map(|src| addresses.iter().map(move |dst| (src, dst))) {
            for way in [RuleDirection::In, RuleDirection::Out] {
                for interface in ["lo", "eth0", "eth1", "eth2", "wlan0"] {
                    let mut add = |protocol, pair| packets.push(Packet { way, interface, src, dst, protocol, pair });
                    for pair in [1, 2, 3].into_iter().flat_map(|a| [1, 2, 3].map(|b| (a, b))) {
                        add(Protocol::TCP, pair);
                        add(Protocol::UDP, pair);
                    }
                    for kind in [0, 8, 128, 129] {
                        add(Protocol::ICMP, (kind, 0));
                        add(Protocol::ICMPV6, (kind, 0));
                    }
                    add(Protocol(47), (0, 0));
                    add(Protocol(50), (0, 0));
                }
            }
        }
    }
    packets
}

/// A condition of a rule: mostly missing, otherwise one or two of `values`.
fn condition(key: &'static str, values: &'static [&'static str]) -> impl Strategy<Value = String> {
    let value = || prop::sample::select(values);
    prop_oneof![
        3 => Just(String::new()),
        1 => value().prop_map(move |value| format!(", \"{key}\": {value}")),
        1 => (value(), value()).prop_map(move |(a, b)| format!(", \"{key}\": [{a}, {b}]")),
    ]
}

fn rule() -> impl Strategy<Value = String> {
    const ADDRESSES: &[&str] = &[
        "\"10.0.0.1\"",
        "\"10.0.0.0/31\"",
        "\"10.0.0.0/30\"",
        "\"!10.0.0.2\"",
        "\"0.0.0.0/0\"",
        "\"::/0\"",
        "\"2001:db8::1\"",
    ];
    const PORTS: &[&str] = &["1", "2", "\"1-2\"", "\"1/tcp\"", "\"!2/udp\"", "\"0-65535\""];
    let direction = prop::sample::select(&["", "", ", \"direction\": \"in\"", ", \"direction\": \"out\""]);
    let transport = prop_oneof![
        (
            condition("protocol", &["\"tcp\"", "\"udp\"", "\"!tcp\""]),
            condition("src_port", PORTS),
            condition("dst_port", PORTS)
        )
            .prop_map(|(a, b, c)| a + &b + &c),
        condition("protocol", &["\"tcp\"", "\"!udp\"", "\"icmp\"", "\"icmpv6\"", "47", "\"!50\""]),
        condition("icmp_type", &["\"echo-request\"", "8", "\"!echo-reply\""]),
    ];
    let interface = condition("interface", &["\"eth0\"", "\"eth+\"", "\"lo\"", "\"!eth1\""]);
    (direction, condition("src", ADDRESSES), condition("dst", ADDRESSES), transport, interface)
        .prop_map(|(a, b, c, d, e)| format!("{{ \"action\": \"block\"{a}{b}{c}{d}{e} }}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A rule is said never to act if and only if it decides no packet at all.
    #[test]
    fn only_what_never_acts_is_said_to(
        rules in prop::collection::vec(rule(), 1..7),
        lists in prop::sample::select(&["", "\"block_ports\": [2],", "\"block_ips\": [\"10.0.0.0/31\"], \"block_protocols\": [\"udp\"],", "\"allow_ips\": [\"::/0\"],"]),
    ) {
        let text = format!("{{ {lists} \"rules\": [{}] }}", rules.join(", "));
        let read = |_: &Path| Ok(Vec::new());
        let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
        // Conditions that exclude each other are errors of their own.
        prop_assume!(parse(text.clone().into(), &origin).is_ok());
        let loaded = load(&text);
        let idle = lint(&loaded.ruleset, &Host::default(), NOW);
        let idle: BTreeSet<String> = idle
            .into_iter()
            .filter(|finding| finding.message.starts_with("never acts") || finding.message.starts_with("no packet"))
            .map(|finding| finding.path)
            .collect();
        let mut acting = BTreeSet::new();
        for packet in packets() {
            if !packet.is_decided_before_rules(&loaded.ruleset) {
                acting.extend(loaded.ruleset.rules.iter().position(|rule| packet.fulfils(rule)));
            }
        }
        let expected: BTreeSet<String> =
            (0..rules.len()).filter(|index| !acting.contains(index)).map(|index| format!("rules[{index}]")).collect();
        prop_assert_eq!(idle, expected, "{}", text);
    }
}
