//! Each form of line, whole, and what must hold for any event.

use super::*;
use crate::engine::{Direction, RuleInfo, Step};
use crate::packet::{About, Arp, Fragment, Icmp, Ip, Link, Net, Packet, Ports, Protocol, Tcp, TcpFlags, Transport};
use crate::record::EscapedName;
use crate::time::Timestamp;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// 2026-11-21T19:40:01.123456+01:00
const TIME: Timestamp = Timestamp::from_parts(1_795_286_401, 123_456_000);

fn zone() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(1))
}

fn ip(protocol: Protocol, transport: Transport) -> Ip {
    Ip {
        src: IpAddr::V4(Ipv4Addr::new(192, 168, 1, 7)),
        dst: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5)),
        protocol,
        ttl: 64,
        len: 60,
        fragment: None,
        transport,
    }
}

fn ip6(protocol: Protocol, transport: Transport) -> Ip {
    let (src, dst) = ("2001:db8::1".parse().unwrap(), "fe80::2:0:0:1".parse().unwrap());
    Ip { src: IpAddr::V6(src), dst: IpAddr::V6(dst), ..ip(protocol, transport) }
}

fn packet(net: Net) -> Packet {
    Packet::of(net)
}

/// An IPv4 header that says it has 3 words.
fn malformed() -> Packet {
    let bytes = [0x43, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 198, 51, 100, 2];
    crate::packet::parse(Link::Cooked { ethertype: 0x0800 }, &bytes, 20)
}

fn syn() -> Transport {
    Transport::Tcp(Tcp { ports: Ports { src: 443, dst: 51512 }, flags: TcpFlags(TcpFlags::SYN), ..Tcp::default() })
}

fn rule(id: &str, step: Step) -> RuleText {
    RuleText::new(&RuleInfo { id: Arc::from(id), step })
}

fn line(format: Format, packet: &Packet, verdict: Verdict, rule: &RuleText, reason: &str) -> String {
    let interface = EscapedName::new(b"eth0");
    let seen = Sighting { time: TIME, direction: Some(Direction::Incoming), interface: &interface, packet };
    let mut out = Vec::new();
    let line = PacketLine { seen, verdict, uid: None, rule, standing: None };
    Formatter::new(format, zone()).packet(&mut out, &line, |out| out.extend_from_slice(reason.as_bytes()));
    String::from_utf8(out).unwrap()
}

/// The text line of an allowed packet, from the protocol on, without rule and reason.
fn middle(packet: &Packet) -> String {
    let line = line(Format::Text, packet, Verdict::Allowed, &rule("r", Step::Rules), "");
    let line = line.strip_prefix("2026-11-21T19:40:01.123456+01:00 [ALLOWED] incoming eth0 ").unwrap();
    line.strip_suffix(" rule=r reason=\"\"\n").unwrap().to_owned()
}

#[test]
fn a_blocked_packet_reads_as_in_the_contract() {
    let packet = packet(Net::Ip(ip(Protocol::TCP, syn())));
    let rule = rule("block_ips:192.168.1.7", Step::BlockIps);
    let reason = "peer 192.168.1.7 is in block_ips";
    assert_eq!(
        line(Format::Text, &packet, Verdict::Blocked, &rule, reason),
        "2026-11-21T19:40:01.123456+01:00 [BLOCKED] incoming eth0 TCP 192.168.1.7:443 > 10.0.0.5:51512 len=60 flags=S \
         rule=block_ips:192.168.1.7 reason=\"peer 192.168.1.7 is in block_ips\"\n"
    );
    assert_eq!(
        line(Format::Json, &packet, Verdict::Blocked, &rule, reason),
        concat!(
            r#"{"timestamp":"2026-11-21T19:40:01.123456+0100","in_iface":"eth0","event_type":"packet","#,
            r#""src_ip":"192.168.1.7","src_port":443,"dest_ip":"10.0.0.5","dest_port":51512,"proto":"TCP","pkt_len":60,"#,
            r#""tcp_flags":"02","direction":"incoming","verdict":"blocked","step":"block_ips","#,
            r#""rule":"block_ips:192.168.1.7","reason":"peer 192.168.1.7 is in block_ips"}"#,
            "\n"
        )
    );
}

#[test]
fn the_user_stands_before_the_rule() {
    let packet = packet(Net::Ip(ip(Protocol::TCP, syn())));
    let (interface, rule) = (EscapedName::new(b"eth0"), rule("web", Step::Rules));
    let seen = Sighting { time: TIME, direction: Some(Direction::Outgoing), interface: &interface, packet: &packet };
    let line = PacketLine { seen, verdict: Verdict::Blocked, uid: Some(1000), rule: &rule, standing: None };
    let [text, json] = [Format::Text, Format::Json].map(|format| {
        let mut out = Vec::new();
        Formatter::new(format, zone()).packet(&mut out, &line, |_| {});
        String::from_utf8(out).unwrap()
    });
    assert!(text.contains(" len=60 flags=S uid=1000 rule=web reason="), "{text}");
    assert!(json.contains(r#","direction":"outgoing","uid":1000,"verdict":"blocked","#), "{json}");
}

#[test]
fn each_transport_has_its_fields() {
    let ports = Ports { src: 5353, dst: 0 };
    let icmp = Icmp { kind: 8, code: 0, id: 7, about: About::Nothing };
    let v4 = |protocol, transport| middle(&packet(Net::Ip(ip(protocol, transport))));
    let v6 = |protocol, transport| middle(&packet(Net::Ip(ip6(protocol, transport))));
    assert_eq!(v4(Protocol::UDP, Transport::Udp(ports)), "UDP 192.168.1.7:5353 > 10.0.0.5:0 len=60");
    assert_eq!(v4(Protocol::SCTP, Transport::Sctp(ports)), "SCTP 192.168.1.7:5353 > 10.0.0.5:0 len=60");
    assert_eq!(v4(Protocol::ICMP, Transport::Icmp(icmp)), "ICMP 192.168.1.7 > 10.0.0.5 len=60 type=8 code=0");
    assert_eq!(v4(Protocol::IGMP, Transport::None), "IGMP 192.168.1.7 > 10.0.0.5 len=60");
    assert_eq!(v4(Protocol(253), Transport::None), "253 192.168.1.7 > 10.0.0.5 len=60");
    assert_eq!(v6(Protocol::TCP, syn()), "TCP [2001:db8::1]:443 > [fe80::2:0:0:1]:51512 len=60 flags=S");
    assert_eq!(v6(Protocol::ICMPV6, Transport::Icmp(icmp)), "ICMPv6 2001:db8::1 > fe80::2:0:0:1 len=60 type=8 code=0");
}

#[test]
fn fragments_and_tags_are_told() {
    let fragment = |offset, more, transport| {
        let ip = Ip { fragment: Some(Fragment { id: 9, offset, len: 8, more }), ..ip(Protocol::UDP, transport) };
        Packet { vlan: Some(5), ..packet(Net::Ip(ip)) }
    };
    let first = fragment(0, true, Transport::Udp(Ports { src: 53, dst: 1024 }));
    let last = fragment(1480, false, Transport::None);
    assert_eq!(middle(&first), "UDP 192.168.1.7:53 > 10.0.0.5:1024 len=60 frag=0+ vlan=5");
    assert_eq!(middle(&last), "UDP 192.168.1.7 > 10.0.0.5 len=60 frag=1480 vlan=5");
    let json = line(Format::Json, &last, Verdict::WouldBlock, &rule("block_lists:drop.txt", Step::BlockIps), "x");
    assert!(json.contains(r#","event_type":"packet","vlan":[5],"src_ip":"#), "{json}");
    assert!(json.contains(r#","pkt_len":60,"fragment":{"id":9,"offset":1480,"more":false},"direction":"#), "{json}");
    assert!(json.contains(r#","verdict":"would-block","step":"block_lists","#), "{json}");
}

#[test]
fn frames_without_ip_have_a_line_too() {
    let arp = |operation| {
        packet(Net::Arp(Arp {
            operation,
            sender_mac: [2, 0, 0, 0, 0, 1],
            sender: Ipv4Addr::new(192, 168, 1, 1),
            target_mac: [0; 6],
            target: Ipv4Addr::new(192, 168, 1, 2),
            len: 28,
        }))
    };
    assert_eq!(middle(&arp(1)), "ARP 192.168.1.1 > 192.168.1.2 len=28 arp=request");
    assert_eq!(middle(&arp(2)), "ARP 192.168.1.1 > 192.168.1.2 len=28 arp=reply");
    assert_eq!(middle(&arp(9)), "ARP 192.168.1.1 > 192.168.1.2 len=28 arp=9");
    assert_eq!(middle(&packet(Net::Other { ethertype: 0x88cc, len: 46 })), "LLDP - > - len=46");
    assert_eq!(middle(&packet(Net::Other { ethertype: 0x1234, len: 46 })), "0x1234 - > - len=46");
    assert_eq!(middle(&packet(Net::Other { ethertype: 38, len: 38 })), "LLC - > - len=38");
    let json = line(Format::Json, &arp(1), Verdict::Allowed, &rule("non-ip", Step::NonIp), "not IP");
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["arp"]["opcode"], "request");
    assert_eq!(value["arp"]["src_mac"], "02:00:00:00:00:01");
    assert_eq!(value["proto"], "ARP");
    assert_eq!(value["step"], "non-ip");
}

#[test]
fn an_anomaly_says_what_is_wrong_and_all_that_was_read() {
    let packet = malformed();
    let interface = EscapedName::new(b"eth0");
    let seen = Sighting { time: TIME, direction: None, interface: &interface, packet: &packet };
    let line = AnomalyLine { seen, anomaly: Anomaly::Malformed(packet.malformed.unwrap()) };
    let mut out = Vec::new();
    Formatter::new(Format::Text, zone()).anomaly(&mut out, &line);
    Formatter::new(Format::Json, zone()).anomaly(&mut out, &line);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            "2026-11-21T19:40:01.123456+01:00 [SUSPICIOUS] - eth0 TCP 192.0.2.1 > 198.51.100.2 len=20 ",
            "anomaly=ipv4.header_length severity=low reason=\"ipv4: header length 3 words, at least 5\"\n",
            r#"{"timestamp":"2026-11-21T19:40:01.123456+0100","in_iface":"eth0","event_type":"anomaly","#,
            r#""src_ip":"192.0.2.1","dest_ip":"198.51.100.2","proto":"TCP","pkt_len":20,"anomaly":{"type":"decode","event":"ipv4.header_length"},"severity":3,"#,
            r#""reason":"ipv4: header length 3 words, at least 5"}"#,
            "\n"
        )
    );
}

#[test]
fn losses_and_pfw_itself_have_their_lines() {
    let lost = Lost { n: 1234, cause: LostCause::LogQueue, from: Timestamp::from_parts(1_795_286_400, 0), to: TIME };
    let interface = EscapedName::new(b"eth0");
    let started = PfwLine { time: TIME, event: PfwEvent::Started, interface: None, reason: "pfw 0.1.0" };
    let down = PfwLine { time: TIME, event: PfwEvent::InterfaceDown, interface: Some(&interface), reason: "down" };
    let mut out = Vec::new();
    for format in [Format::Text, Format::Json] {
        let mut formatter = Formatter::new(format, zone());
        formatter.lost(&mut out, &lost);
        formatter.pfw(&mut out, &started);
        formatter.pfw(&mut out, &down);
    }
    assert_eq!(
        String::from_utf8(out).unwrap(),
        concat!(
            "2026-11-21T19:40:01.123456+01:00 [LOST] n=1234 cause=log-queue-full from=2026-11-21T19:40:00.000000+01:00 ",
            "to=2026-11-21T19:40:01.123456+01:00 reason=\"lines came faster than they could be written\"\n",
            "2026-11-21T19:40:01.123456+01:00 [PFW] event=started reason=\"pfw 0.1.0\"\n",
            "2026-11-21T19:40:01.123456+01:00 [PFW] event=interface-down interface=eth0 reason=\"down\"\n",
            r#"{"timestamp":"2026-11-21T19:40:01.123456+0100","event_type":"lost","n":1234,"cause":"log-queue-full","#,
            r#""from":"2026-11-21T19:40:00.000000+0100","to":"2026-11-21T19:40:01.123456+0100","#,
            r#""reason":"lines came faster than they could be written"}"#,
            "\n",
            r#"{"timestamp":"2026-11-21T19:40:01.123456+0100","event_type":"pfw","event":"started","reason":"pfw 0.1.0"}"#,
            "\n",
            r#"{"timestamp":"2026-11-21T19:40:01.123456+0100","in_iface":"eth0","event_type":"pfw","#,
            r#""event":"interface-down","reason":"down"}"#,
            "\n",
        )
    );
}

#[test]
fn the_selection_keeps_what_it_says() {
    use Verdict::{Allowed, Blocked, WouldBlock};
    let wanted = |selection: Selection| [Allowed, Blocked, WouldBlock].map(|verdict| selection.wants(verdict));
    assert_eq!(wanted(Selection::All), [true; 3]);
    assert_eq!(wanted(Selection::Blocked), [false, true, true]);
    assert_eq!(wanted(Selection::None), [false; 3]);
    assert!(Selection::Blocked.wants_suspicious() && !Selection::None.wants_suspicious());
}

fn address() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<(Ipv4Addr, Ipv4Addr)>().prop_map(|(a, b)| (IpAddr::V4(a), IpAddr::V4(b))),
        any::<(Ipv6Addr, Ipv6Addr)>().prop_map(|(a, b)| (IpAddr::V6(a), IpAddr::V6(b))),
    ]
}

fn transport() -> impl Strategy<Value = Transport> {
    let ports = || any::<(u16, u16)>().prop_map(|(src, dst)| Ports { src, dst });
    prop_oneof![
        (ports(), any::<u8>()).prop_map(|(ports, flags)| Transport::Tcp(Tcp {
            ports,
            flags: TcpFlags(flags),
            ..Tcp::default()
        })),
        ports().prop_map(Transport::Udp),
        ports().prop_map(Transport::Sctp),
        any::<(u8, u8, u16)>().prop_map(|(kind, code, id)| Transport::Icmp(Icmp {
            kind,
            code,
            id,
            about: About::Nothing
        })),
        Just(Transport::None),
    ]
}

fn net() -> impl Strategy<Value = Net> {
    let fragment = any::<(u32, u32, bool)>().prop_map(|(id, offset, more)| Fragment { id, offset, len: 8, more });
    let ip = (address(), any::<(u8, u8, u32)>(), prop::option::of(fragment), transport()).prop_map(
        |((src, dst), (protocol, ttl, len), fragment, transport)| {
            Net::Ip(Ip { src, dst, protocol: Protocol(protocol), ttl, len, fragment, transport })
        },
    );
    let arp = any::<(u16, [u8; 6], Ipv4Addr, [u8; 6], Ipv4Addr, u32)>().prop_map(
        |(operation, sender_mac, sender, target_mac, target, len)| {
            Net::Arp(Arp { operation, sender_mac, sender, target_mac, target, len })
        },
    );
    prop_oneof![4 => ip, 1 => arp, 1 => any::<(u16, u32)>().prop_map(|(ethertype, len)| Net::Other { ethertype, len })]
}

proptest! {
    #[test]
    fn any_packet_with_any_names_is_one_line_of_valid_json_and_of_plain_text(
        net in net(),
        vlan: Option<u16>,
        uid: Option<u32>,
        time: i64,
        interface: Vec<u8>,
        id: String,
        reason: Vec<u8>,
    ) {
        let packet = Packet { vlan, ..packet(net) };
        let rule = rule(&id, Step::Rules);
        let interface = EscapedName::new(&interface);
        let time = Timestamp::from_nanos(time);
        let seen = Sighting { time, direction: Some(Direction::Outgoing), interface: &interface, packet: &packet };
        let verdict = PacketLine { seen, verdict: Verdict::Allowed, uid, rule: &rule, standing: None };
        let anomaly = AnomalyLine { seen, anomaly: Anomaly::Malformed(malformed().malformed.unwrap()) };
        for format in [Format::Text, Format::Json] {
            let mut formatter = Formatter::new(format, zone());
            let (mut first, mut second) = (Vec::new(), Vec::new());
            formatter.packet(&mut first, &verdict, |out| out.extend_from_slice(&reason));
            formatter.anomaly(&mut second, &anomaly);
            for (line, reason) in [(first, reason.as_slice()), (second, b"ipv4: header length 3 words, at least 5")] {
                let (end, content) = line.split_last().unwrap();
                prop_assert_eq!(*end, b'\n');
                prop_assert!(content.iter().all(|byte| matches!(byte, b' '..=b'~')));
                if format == Format::Json {
                    let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
                    let written: Vec<u8> = value["reason"].as_str().unwrap().chars().map(|c| c as u8).collect();
                    prop_assert_eq!(written, reason);
                } else {
                    let text = std::str::from_utf8(content).unwrap();
                    let (fields, quoted) = text.split_once(" reason=\"").unwrap();
                    prop_assert_eq!(quoted.matches('"').count(), 1);
                    prop_assert!(fields.split(' ').all(|field| !field.is_empty()));
                    // Behind the word, brackets are those of an IPv6 address with a port.
                    prop_assert!(fields.split(' ').skip(2).all(|field| !field.starts_with('[') || field.contains("]:")));
                }
            }
        }
    }
}
