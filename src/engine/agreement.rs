//! The compiled matcher says what the plain walk says: of random rules, over random traffic.
//!
//! All values come from small domains, so that they collide: networks overlap, ports are listed and used, packets are
//! answered, quoted and cut. Rules expire while the traffic goes on.

use super::plain::Plain;
use super::testing::*;
use super::*;
use crate::host::Host;
use crate::packet::{About, Icmp, Ip, Ports, Protocol, Tcp, TcpFlags, Transport};
use crate::rules::address::AddressRange;
use crate::rules::port::PortSet;
use crate::rules::ranges::Ranges;
use crate::rules::{Action, BlockList, DefaultPolicy, Entry, Policy, ProtocolEntry, Rule, RuleDirection, Ruleset};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;
use std::net::IpAddr;

const V4: [&str; 8] =
    ["10.0.0.5", "127.0.0.1", "10.0.0.1", "10.0.0.7", "192.0.2.7", "255.255.255.255", "224.0.0.1", "10.0.0.255"];
const V6: [&str; 8] = [
    "2001:db8::5",
    "::1",
    "fe80::1",
    "fe80::5",
    "2001:db8::7",
    "2001:db8:1::7",
    "ff02::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];
const RANGES: [&str; 18] = [
    "0.0.0.0/0",
    "10.0.0.0/24",
    "10.0.0.0/29",
    "10.0.0.5",
    "10.0.0.7",
    "10.0.0.7-192.0.2.7",
    "127.0.0.0/8",
    "192.0.2.0/24",
    "255.255.255.255",
    "224.0.0.0/4",
    "::/0",
    "::1",
    "2001:db8::/64",
    "2001:db8::/32",
    "2001:db8::5-2001:db8::7",
    "fe80::/10",
    "ff00::/8",
    "fe80::1",
];
const PORTS: [u16; 8] = [0, 22, 53, 67, 68, 546, 547, 65535];
const PROTOCOLS: [u8; 8] = [1, 2, 6, 17, 47, 58, 132, 136];
const INTERFACES: [&str; 4] = ["eth0", "eth1", "wlan0", "lo"];
const PATTERNS: [&str; 6] = ["eth0", "eth+", "wlan0", "lo", "l+", "+"];
const TYPES: [u8; 16] = [0, 2, 3, 8, 11, 13, 14, 128, 129, 130, 133, 135, 137, 139, 140, 143];

fn host() -> Host {
    let addresses = [("127.0.0.1", 8), ("::1", 128), ("10.0.0.5", 24), ("2001:db8::5", 64), ("fe80::5", 64)];
    Host {
        addresses: addresses.map(|(address, prefix)| (ip(address), prefix)).into(),
        gateways: vec![ip("10.0.0.1"), ip("fe80::1")],
        ..Host::default()
    }
}

fn entries<T: Clone + std::fmt::Debug + 'static>(
    list: &'static str,
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Vec<Entry<T>>> {
    let parts = (value, prop::bool::weighted(0.2), weighted(0.2, 0_i64..300), prop::bool::weighted(0.9));
    vec(parts, 0..4).prop_map(move |values| {
        let named = |(number, (value, negated, expires, enabled)): (usize, (T, bool, Option<i64>, bool))| Entry {
            negated,
            expires: expires.map(at),
            enabled,
            ..entry(list, &number.to_string(), value)
        };
        values.into_iter().enumerate().map(named).collect()
    })
}

fn ranges() -> impl Strategy<Value = AddressRange> {
    select(&RANGES[..]).prop_map(range)
}

fn port_set() -> impl Strategy<Value = PortSet> {
    let ranges = || {
        let range = (select(&PORTS[..]), select(&PORTS[..]));
        vec(range, 0..3).prop_map(Ranges::from_ranges)
    };
    (ranges(), ranges(), any::<bool>()).prop_map(|(tcp, udp, negated)| {
        if negated { PortSet { tcp: tcp.complement(), udp: udp.complement() } } else { PortSet { tcp, udp } }
    })
}

fn protocol_entries(list: &'static str) -> impl Strategy<Value = Vec<ProtocolEntry>> {
    let few = vec(select(&PROTOCOLS[..]), 1..3).prop_map(|numbers| protocol_set(&numbers));
    prop_oneof![2 => Just(Vec::new()), 1 => entries(list, few)]
}

fn block_lists() -> impl Strategy<Value = Vec<BlockList>> {
    let list = (vec(select(&RANGES[..]), 0..4), weighted(0.2, 0_i64..300), prop::bool::weighted(0.9));
    vec(list, 0..3).prop_map(|lists| {
        let list = |(number, (networks, expires, enabled)): (usize, (Vec<&str>, Option<i64>, bool))| BlockList {
            expires: expires.map(at),
            enabled,
            ..block_list(&number.to_string(), &networks)
        };
        lists.into_iter().enumerate().map(list).collect()
    })
}

fn address_texts() -> impl Strategy<Value = Vec<String>> {
    let text = (any::<bool>(), select(&RANGES[..]))
        .prop_map(|(negated, text)| if negated { format!("!{text}") } else { text.to_owned() });
    vec(text, 1..3)
}

prop_compose! {
    fn any_rule()(
        action in select(vec![Action::Allow, Action::Block, Action::Reject]),
        direction in of(select(vec![RuleDirection::In, RuleDirection::Out])),
        (protocol, src, dst) in (
            weighted(0.3, vec(select(&PROTOCOLS[..]), 1..4)), weighted(0.4, address_texts()), weighted(0.4, address_texts())
        ),
        (src_port, dst_port) in (weighted(0.2, port_set()), weighted(0.3, port_set())),
        icmp in weighted(0.1, vec((select(&TYPES[..]), 0_u8..2), 1..4)),
        interface in weighted(0.3, vec((any::<bool>(), select(&PATTERNS[..])), 1..3)),
        (expires, enabled) in (weighted(0.2, 0_i64..300), prop::bool::weighted(0.9)),
    ) -> Rule {
        let addresses = |texts: Vec<String>| address_condition(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        Rule {
            direction,
            protocol: protocol.and_then(|numbers| condition(protocol_set(&numbers))),
            src: src.and_then(addresses),
            dst: dst.and_then(addresses),
            src_port: src_port.and_then(condition),
            dst_port: dst_port.and_then(condition),
            icmp_type: icmp.and_then(|pairs| icmp_condition(&pairs)),
            interface: interface.unwrap_or_default().into_iter().map(|(not, name)| (not, name.into())).collect(),
            expires: expires.map(at),
            enabled,
            ..rule(0, action)
        }
    }
}

prop_compose! {
    fn any_rules()(
        (incoming, outgoing) in (any::<bool>(), any::<bool>()),
        allow_ips in entries("allow_ips", ranges()),
        block_ips in prop_oneof![2 => Just(Vec::new()), 1 => entries("block_ips", ranges())],
        block_lists in prop_oneof![1 => Just(Vec::new()), 1 => block_lists()],
        block_ports in prop_oneof![1 => Just(Vec::new()), 1 => entries("block_ports", port_set())],
        block_protocols in protocol_entries("block_protocols"),
        allow_protocols in protocol_entries("allow_protocols"),
        rules in vec(any_rule(), 0..12),
        panic in prop::bool::weighted(0.1),
    ) -> Ruleset {
        let policy = |allow| if allow { Policy::Allow } else { Policy::Deny };
        let number = |(index, rule): (u32, Rule)| Rule { id: format!("rule-{index}").into(), index, ..rule };
        Ruleset {
            default_policy: DefaultPolicy { incoming: policy(incoming), outgoing: policy(outgoing) },
            allow_ips,
            block_ips,
            block_lists,
            block_ports,
            block_protocols,
            allow_protocols,
            rules: (0..).zip(rules).map(number).collect(),
            panic,
            ..Ruleset::default()
        }
    }
}

/// A packet by itself, or one that has to do with an earlier one.
#[derive(Clone, Debug)]
enum Sent {
    New(Ip),
    Again(usize),
    /// Ends exchanged, TCP with these flags, ICMP queries answered.
    Answer(usize, TcpFlags),
    Error(usize, IpAddr),
    /// Cut: datagram and offset.
    Fragment(usize, u32, u32),
}

fn transport(protocol: u8) -> BoxedStrategy<Transport> {
    let ports = || (select(&PORTS[..]), select(&PORTS[..])).prop_map(|(src, dst)| Ports { src, dst });
    let known = match protocol {
        6 => (ports(), any_flags())
            .prop_map(|(ports, flags)| Transport::Tcp(Tcp { ports, flags, ..Tcp::default() }))
            .boxed(),
        17 | 136 => ports().prop_map(Transport::Udp).boxed(),
        132 => ports().prop_map(Transport::Sctp).boxed(),
        1 | 58 => (select(&TYPES[..]), prop_oneof![Just(0_u8), Just(1), Just(4)], 0_u16..2)
            .prop_map(|(kind, code, id)| Transport::Icmp(Icmp { kind, code, id, about: About::Nothing }))
            .boxed(),
        _ => Just(Transport::None).boxed(),
    };
    prop_oneof![12 => known, 1 => Just(Transport::None)].boxed()
}

fn any_flags() -> impl Strategy<Value = TcpFlags> {
    prop_oneof![6 => select(vec!["S", "SA", "A", "PA", "FA", "R", "RA"]).prop_map(flags), 1 => any::<u8>().prop_map(TcpFlags)]
}

fn any_packet() -> impl Strategy<Value = Ip> {
    let protocol = prop_oneof![2 => Just(6_u8), 2 => Just(17), 3 => select(&PROTOCOLS[..])];
    let addresses = prop_oneof![Just(V4), Just(V6)];
    (addresses, 0_usize..8, 0_usize..8, protocol, prop_oneof![Just(64), Just(255)]).prop_flat_map(
        |(addresses, src, dst, protocol, ttl)| {
            transport(protocol).prop_map(move |transport| Ip {
                src: ip(addresses[src]),
                dst: ip(addresses[dst]),
                protocol: Protocol(protocol),
                ttl,
                len: 60,
                fragment: None,
                transport,
            })
        },
    )
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let earlier = || 0_usize..30;
    let router = prop_oneof![select(&V4[..]), select(&V6[..])].prop_map(ip);
    prop_oneof![
        4 => any_packet().prop_map(Sent::New),
        2 => earlier().prop_map(Sent::Again),
        4 => (earlier(), any_flags()).prop_map(|(which, flags)| Sent::Answer(which, flags)),
        2 => (earlier(), router).prop_map(|(about, router)| Sent::Error(about, router)),
        2 => (earlier(), 0_u32..3, prop_oneof![Just(0_u32), Just(1480)])
            .prop_map(|(of, id, offset)| Sent::Fragment(of, id, offset)),
    ]
}

/// The packet that is really sent, given those before.
fn resolve(sent: &Sent, before: &[Ip]) -> Option<Ip> {
    let pick = |which: usize| before.len().checked_sub(1).map(|last| before[which.min(last)]);
    match *sent {
        Sent::New(packet) => Some(packet),
        Sent::Again(which) => pick(which),
        Sent::Answer(which, flags) => pick(which).map(|packet| answer(packet, flags)),
        Sent::Error(about, router) => pick(about).map(|packet| {
            let src = if router.is_ipv4() == packet.src.is_ipv4() { router } else { packet.dst };
            icmp_error(src, &packet)
        }),
        Sent::Fragment(of, id, offset) => pick(of).map(|packet| fragment(packet, id, offset)),
    }
}

fn answer(packet: Ip, flags: TcpFlags) -> Ip {
    let back = |ports: Ports| Ports { src: ports.dst, dst: ports.src };
    let transport = match packet.transport {
        Transport::Tcp(tcp) => Transport::Tcp(Tcp { ports: back(tcp.ports), flags, ..Tcp::default() }),
        Transport::Udp(ports) => Transport::Udp(back(ports)),
        Transport::Sctp(ports) => Transport::Sctp(back(ports)),
        Transport::Icmp(icmp) => Transport::Icmp(Icmp { kind: answer_type(icmp.kind), ..icmp }),
        other @ (Transport::TcpRest(_) | Transport::None) => other,
    };
    Ip { src: packet.dst, dst: packet.src, transport, fragment: None, ..packet }
}

fn answer_type(kind: u8) -> u8 {
    match kind {
        8 => 0,
        13 | 128 | 139 => kind + 1,
        other => other,
    }
}

/// All that can be said of a decision, in words that both evaluators share.
type Said = (Action, Step, String, Option<ListEntry>, State, bool, Hit);

fn compiled(engine: &mut Engine, matcher: &Matcher, packet: &Ip, context: &Context) -> Said {
    let said = engine.decide(matcher, packet, context);
    let info = &matcher.rules()[said.rule.0 as usize];
    assert_eq!(info.step, said.step);
    let mut reason = Vec::new();
    matcher.write_reason(&said, packet, &mut reason);
    assert!(!reason.is_empty());
    let entry = said.entry.map(|entry| matcher.entry(entry).unwrap());
    (said.action, said.step, info.id.to_string(), entry, said.state, said.without_first, said.hit)
}

fn plain(engine: &mut Engine, plain: &Plain<'_>, packet: &Ip, context: &Context, interface: &str) -> Said {
    let said = plain.decide(engine, packet, context, interface);
    (said.action, said.step, said.rule.to_string(), said.entry, said.state, said.without_first, said.hit)
}

proptest! {
    #[test]
    fn the_matcher_says_what_a_plain_walk_says(
        rules in any_rules(),
        traffic in vec(
            (
                any_sent(),
                select(vec![
                    Direction::Incoming,
                    Direction::Outgoing,
                    Direction::Loopback,
                    Direction::LedAway,
                    Direction::Forwarded,
                ]),
                select(&INTERFACES[..]),
                prop_oneof![4 => 0_i64..3, 1 => -5_i64..70],
            ),
            1..30,
        ),
    ) {
        let host = host();
        let (mut engine, mut other) = (Engine::new(Limits::default()), Engine::new(Limits::default()));
        let mut clock = 0;
        // Others with the same block lists stood before.
        let before = Ruleset { allow_ips: Vec::new(), block_ips: Vec::new(), ..rules.clone() };
        let mut matcher = Matcher::new(&before, &host, at(clock)).next(&rules, &host, at(clock));
        let mut packets = Vec::new();
        for (sent, direction, interface, passes) in traffic {
            // The clock of the rules never goes back; that of the packets may.
            clock += passes.max(0);
            if at(clock) >= matcher.valid_until() {
                matcher = matcher.next(&rules, &host, at(clock));
            }
            let Some(packet) = resolve(&sent, &packets) else { continue };
            packets.push(packet);
            let context =
                Context { direction, interface: matcher.interface_class(interface), time: at(clock + passes.min(0)) };
            let walk = Plain { rules: &rules, host: &host, now: at(clock) };
            prop_assert_eq!(
                compiled(&mut engine, &matcher, &packet, &context),
                plain(&mut other, &walk, &packet, &context, interface),
                "{:?}", packet
            );
        }
    }
}
