//! Traffic as it is made on purpose and as it just happens, and what is said of it.

mod bans;
mod fragments;
mod ordinary;

use super::*;
use crate::detect::Detector;
use crate::engine::Premises;
use crate::packet::{About, Arp, Packet, TcpFlags};
use crate::time::Timestamp;
use std::net::Ipv4Addr;
use std::time::Duration;

const US: &str = "10.0.0.5";
const PEER: &str = "192.0.2.7";
const ETH0: &[u8] = b"eth0 ";
/// A millisecond, in nanoseconds.
const MS: i64 = 1_000_000;

struct Wire {
    detector: Detector,
    now: Timestamp,
    found: Vec<Finding>,
    bans: Vec<Ban>,
    /// The hop limit of neighbour discovery.
    hops: u8,
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Wire {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        let premises =
            Premises { settings, own: vec![address(US)], gateways: vec![address("10.0.0.1"), address("fe80::1")] };
        Self {
            detector: Detector::new(&premises, 1),
            now: Timestamp::from_parts(1_000_000, 0),
            found: Vec::new(),
            bans: Vec::new(),
            hops: 255,
        }
    }

    fn wait(&mut self, nanos: i64) -> &mut Self {
        self.now = self.now.plus(Duration::from_nanos(u64::try_from(nanos).unwrap()));
        self
    }

    fn send(&mut self, packet: &Packet, state: State) -> &mut Self {
        let direction = match packet.net {
            Net::Ip(ip) if ip.src == address(US) => Direction::Outgoing,
            Net::Arp(arp) if arp.sender == address(US) => Direction::Outgoing,
            _ => Direction::Incoming,
        };
        self.show(packet, state, direction)
    }

    fn show(&mut self, packet: &Packet, state: State, direction: Direction) -> &mut Self {
        let look = Look { packet, direction, time: self.now, state, interface: ETH0 };
        let Found { findings, bans } = self.detector.traffic(look).unwrap_or_default();
        self.found.extend(findings);
        self.bans.extend(bans);
        self
    }

    fn tcp(&mut self, src: &str, dst: &str, ports: (u16, u16), flags: u8, options: u32, state: State) -> &mut Self {
        let ports = Ports { src: ports.0, dst: ports.1 };
        let transport = Transport::Tcp(Tcp { ports, flags: TcpFlags(flags), ..Tcp::default() });
        self.send(&packet(src, dst, Protocol::TCP, 40 + options, transport), state)
    }

    fn syn(&mut self, src: &str, dst: &str, ports: (u16, u16)) -> &mut Self {
        self.tcp(src, dst, ports, TcpFlags::SYN, 4, State::New)
    }

    fn udp(&mut self, src: &str, dst: &str, ports: (u16, u16), state: State) -> &mut Self {
        let transport = Transport::Udp(Ports { src: ports.0, dst: ports.1 });
        self.send(&packet(src, dst, Protocol::UDP, 28, transport), state)
    }

    /// An answer of DHCP, which was sent by `src` and names its server.
    fn answers_dhcp(&mut self, src: &str, dst: &str, server: &str, state: State) -> &mut Self {
        let transport = Transport::Udp(Ports { src: 67, dst: 68 });
        let answer = packet(src, dst, Protocol::UDP, 328, transport);
        self.send(&Packet { dhcp_server: Some(server.parse().unwrap()), ..answer }, state)
    }

    fn echo(&mut self, src: &str, dst: &str) -> &mut Self {
        let transport = Transport::Icmp(Icmp { kind: 8, code: 0, id: 1, about: About::Nothing });
        self.send(&packet(src, dst, Protocol::ICMP, 84, transport), State::New)
    }

    fn answers_echo(&mut self, src: &str, dst: &str) -> &mut Self {
        let transport = Transport::Icmp(Icmp { kind: 0, code: 0, id: 1, about: About::Nothing });
        self.send(&packet(src, dst, Protocol::ICMP, 84, transport), State::Reply)
    }

    /// `src` says that nobody listens where `dst` has sent something to.
    fn refuses(&mut self, src: &str, dst: &str, ports: (u16, u16)) -> &mut Self {
        let ports = Ports { src: ports.0, dst: ports.1 };
        let (from, to) = (address(dst), address(src));
        let quoted = crate::packet::Quoted { src: from, dst: to, protocol: Protocol::UDP, ports };
        let transport = Transport::Icmp(Icmp { kind: 3, code: 3, id: 0, about: About::Quoted(quoted) });
        self.send(&packet(src, dst, Protocol::ICMP, 56, transport), State::Related)
    }

    fn arp(&mut self, operation: u16, station: u8, sender: [u8; 4], target: [u8; 4]) -> &mut Self {
        let sender_mac = [2, 0, 0, 0, 0, station];
        let (sender, target) = (Ipv4Addr::from(sender), Ipv4Addr::from(target));
        let net = Net::Arp(Arp { operation, sender_mac, sender, target_mac: [0; 6], target, len: 28 });
        self.send(&Packet::of(net), State::Untracked)
    }

    /// Somebody else says that he has `sender`.
    fn arp_from_outside(&mut self, operation: u16, station: u8, sender: [u8; 4], target: [u8; 4]) -> &mut Self {
        let sender_mac = [2, 0, 0, 0, 0, station];
        let (sender, target) = (Ipv4Addr::from(sender), Ipv4Addr::from(target));
        let net = Net::Arp(Arp { operation, sender_mac, sender, target_mac: [0; 6], target, len: 28 });
        let packet = Packet::of(net);
        self.show(&packet, State::Untracked, Direction::Incoming)
    }

    /// `sender`, whose station has the number that its address ends with, answers who has asked for it.
    fn answers_arp(&mut self, sender: [u8; 4], station: u8, target: [u8; 4]) -> &mut Self {
        let [sender_mac, target_mac] = [sender[3], station].map(|last| [2, 0, 0, 0, 0, last]);
        let (sender, target) = (Ipv4Addr::from(sender), Ipv4Addr::from(target));
        let net = Net::Arp(Arp { operation: 2, sender_mac, sender, target_mac, target, len: 28 });
        self.send(&Packet::of(net), State::Untracked)
    }

    /// `sender` says that the station has `target`, or its own address.
    fn says(&mut self, sender: &str, target: Option<&str>, station: u8) -> &mut Self {
        let advertised = target.map(|target| target.parse().unwrap());
        let neighbour = Some(crate::packet::Neighbour { advertised, mac: [2, 0, 0, 0, 0, station] });
        let kind = if target.is_some() { 136 } else { 135 };
        let transport =
            Transport::Icmp(Icmp { kind, code: 0, id: 0, about: neighbour.map_or(About::Nothing, About::Neighbour) });
        let mut said = packet(sender, "ff02::1", Protocol::ICMPV6, 72, transport);
        if let Net::Ip(ip) = &mut said.net {
            ip.ttl = self.hops;
        }
        self.send(&said, State::Untracked)
    }

    /// The names of incidents that began.
    fn names(&self) -> Vec<&'static str> {
        self.found.iter().filter(|found| found.is_new).map(|found| found.alert.name()).collect()
    }
}

fn packet(src: &str, dst: &str, protocol: Protocol, len: u32, transport: Transport) -> Packet {
    let ip = Ip { src: address(src), dst: address(dst), protocol, ttl: 64, len, fragment: None, transport };
    let odd = match transport {
        Transport::Tcp(tcp) if tcp.flags.0 == 0 => Some(Alert::TcpFlagsNone),
        Transport::Tcp(tcp) if tcp.flags.0 == 0x29 => Some(Alert::TcpFlagsXmas),
        _ => None,
    };
    let odd = odd.map(|alert| crate::alert::Oddity { alert, found: 0, bound: 0 });
    Packet { odd, ..Packet::of(Net::Ip(ip)) }
}

/// An address of which there are many.
fn nth(n: u32) -> String {
    Ipv4Addr::from_bits(0x0b00_0000 + n.wrapping_mul(2_654_435_761) % 0x7000_0000).to_string()
}

#[test]
fn each_kind_of_scan_is_named_within_a_dozen_probes_and_its_source_is_right() {
    let probes = [
        ("scan.syn", TcpFlags::SYN, 4, State::New),
        ("scan.connect", TcpFlags::SYN, 20, State::New),
        ("scan.fin", TcpFlags::FIN, 0, State::Invalid),
        ("scan.null", 0, 0, State::Invalid),
        ("scan.xmas", 0x29, 0, State::Invalid),
        ("scan.ack", TcpFlags::ACK, 0, State::New),
        ("scan.maimon", TcpFlags::FIN | TcpFlags::ACK, 0, State::Invalid),
    ];
    for (name, flags, options, state) in probes {
        let mut wire = Wire::new();
        for port in 1..=12 {
            wire.wait(MS).tcp(PEER, US, (40000, port), flags, options, state);
            wire.tcp(US, PEER, (port, 40000), TcpFlags::RST | TcpFlags::ACK, 0, State::Reply);
        }
        assert_eq!(wire.names(), [name]);
        assert!(wire.found[0].reason.starts_with(PEER) && wire.found[0].packets == 10, "{:?}", wire.found);
    }
    let mut wire = Wire::new();
    for port in 1..=12 {
        wire.wait(MS).udp(PEER, US, (40000, port), State::New);
    }
    assert_eq!(wire.names(), ["scan.udp"]);
}

#[test]
fn a_scan_is_one_incident_that_is_told_at_doubling_counts() {
    let mut wire = Wire::new();
    for port in 1..=1000 {
        wire.wait(MS).syn(PEER, US, (40000, port));
    }
    assert_eq!(wire.names(), ["scan.syn"]);
    assert_eq!(wire.found.iter().map(|it| it.packets).collect::<Vec<_>>(), [10, 20, 40, 80, 160, 320, 640]);
}

#[test]
fn a_slow_scan_is_found_and_one_that_takes_days_is_not() {
    for (minutes, expected) in [(5, &["scan.syn"][..]), (60, &[])] {
        let mut wire = Wire::new();
        for port in 1..=20 {
            wire.wait(minutes * 60_000 * MS).syn(PEER, US, (40000, port));
        }
        assert_eq!(wire.names(), expected, "every {minutes} minutes");
    }
}

#[test]
fn a_slow_scan_in_a_flood_of_forged_sources_is_found() {
    let mut wire = Wire::new();
    for n in 0..300_000_u32 {
        let ports = (40000, u16::try_from(n % 50_000).unwrap() + 1);
        wire.wait(MS).syn(&nth(n), US, ports);
        if n % 6_000 == 0 {
            wire.syn(PEER, US, (40000, u16::try_from(n / 6_000).unwrap() + 50_001));
        }
    }
    let scans: Vec<_> = wire.found.iter().filter(|found| found.is_new && found.reason.starts_with(PEER)).collect();
    assert_eq!(scans.len(), 1, "{:?}", wire.found);
    assert_eq!(scans[0].alert, Alert::ScanSyn);
    assert!(wire.found.len() < 500, "{} lines", wire.found.len());
}

#[test]
fn a_scan_from_many_addresses_of_a_network_is_one() {
    let mut wire = Wire::new();
    for port in 1..=60_u16 {
        wire.wait(MS).syn(&format!("192.0.2.{}", port % 20 + 1), US, (40000, port));
    }
    assert_eq!(wire.names(), ["scan.distributed"]);
    assert!(wire.found[0].reason.contains("192.0.2.0/24"), "{:?}", wire.found);
}

#[test]
fn who_is_answered_does_not_scan() {
    let mut wire = Wire::new();
    for port in 20_000..20_500 {
        // Passive FTP: each transfer to a port of its own.
        wire.wait(100 * MS).tcp(PEER, US, (port, port), TcpFlags::SYN, 20, State::New);
        wire.tcp(US, PEER, (port, port), TcpFlags::SYN | TcpFlags::ACK, 20, State::Reply);
    }
    assert_eq!(wire.found, []);
}

#[test]
fn answers_to_what_this_machine_sent_are_nobodys_scan() {
    let mut wire = Wire::new();
    for port in 40_000..40_500 {
        // Resolvers answer late, devices answer a search that was sent to all.
        wire.wait(100 * MS).udp(US, "10.0.0.1", (port, 53), State::New);
        wire.udp(US, "239.255.255.250", (port + 1000, 1900), State::New);
    }
    for port in 40_000..40_500 {
        wire.wait(10 * MS).udp("10.0.0.1", US, (53, port), State::New);
    }
    assert_eq!(wire.found, []);
    for port in 33_434..33_534 {
        wire.wait(MS).udp(PEER, US, (50_000, port), State::New);
    }
    assert_eq!(wire.found, [], "traceroute");
}

#[test]
fn a_desktop_is_quiet() {
    let mut wire = Wire::new();
    for n in 0..20_000_u32 {
        let (peer, local) = (nth(n % 300), u16::try_from(32_768 + n % 28_000).unwrap());
        // Pages: connections that are answered. Peers of file sharing: many that are not, on ports of their own.
        wire.wait(20 * MS).tcp(US, &peer, (local, 443), TcpFlags::SYN, 20, State::New);
        wire.tcp(&peer, US, (443, local), TcpFlags::SYN | TcpFlags::ACK, 20, State::Reply);
        wire.tcp(US, &peer, (local, 443), TcpFlags::ACK, 12, State::Original);
        wire.udp(US, &nth(n), (6881, u16::try_from(n % 60_000).unwrap() + 1024), State::New);
        wire.udp(&nth(n + 7), US, (u16::try_from(n % 60_000).unwrap() + 1024, 6881), State::New);
        if n % 10 == 0 {
            wire.tcp(US, &nth(n), (local, u16::try_from(n % 60_000).unwrap() + 1024), TcpFlags::SYN, 20, State::New);
            wire.udp("10.0.0.9", "224.0.0.251", (5353, 5353), State::New);
            wire.udp("10.0.0.9", "10.0.0.255", (137, 137), State::New);
        }
    }
    assert_eq!(wire.found, []);
}

#[test]
fn a_burst_of_ours_is_no_sweep_before_anybody_could_answer_and_a_great_one_is() {
    let mut wire = Wire::new();
    for n in 0..100 {
        wire.wait(MS).syn(US, &nth(n), (40000, 443));
    }
    for n in 0..100 {
        wire.wait(MS).tcp(&nth(n), US, (443, 40000), TcpFlags::SYN | TcpFlags::ACK, 20, State::Reply);
    }
    assert_eq!(wire.found, []);
    for n in 0..200 {
        wire.wait(MS).syn(US, &nth(1000 + n), (40000, 443));
    }
    assert_eq!(wire.names(), ["sweep.tcp"]);
}

#[test]
fn a_sweep_is_named_whether_by_us_or_by_others() {
    // Of what we send, answers may be under way for some time.
    for (src, apart) in [(US, 60 * MS), (PEER, MS)] {
        let mut wire = Wire::new();
        for n in 0..40 {
            wire.wait(apart).syn(src, &nth(n), (40000, 445));
        }
        for n in 0..40 {
            wire.wait(apart).udp(src, &nth(n), (40000, 161), State::New);
        }
        for n in 0..40 {
            wire.wait(apart).echo(src, &nth(n));
        }
        assert_eq!(wire.names(), ["sweep.tcp", "sweep.udp", "sweep.icmp"]);
    }
    let mut wire = Wire::new();
    for n in 1..=40 {
        wire.wait(MS).arp(1, 9, [10, 0, 0, 9], [10, 0, 0, n]);
    }
    assert_eq!(wire.names(), ["sweep.arp"]);
}

#[test]
fn floods_of_forged_sources_are_each_one_incident() {
    let mut wire = Wire::new();
    for n in 0..20_000 {
        wire.wait(MS / 10).syn(&nth(n), US, (40000, 80));
        wire.udp(&nth(n), US, (40000, 9), State::New);
        wire.echo(&nth(n), US);
    }
    let mut names = wire.names();
    names.sort_unstable();
    assert_eq!(names, ["flood.icmp", "flood.syn", "flood.udp"]);
    assert!(wire.found.len() < 40, "{}", wire.found.len());
}

#[test]
fn a_flood_of_one_sender_to_one_closed_port_is_named() {
    let mut wire = Wire::new();
    wire.udp(PEER, US, (4000, 9), State::New).refuses(US, PEER, (4000, 9));
    for _ in 0..6_000 {
        wire.wait(MS / 3).udp(PEER, US, (4000, 9), State::Original);
    }
    assert_eq!(wire.names(), ["flood.udp"]);
}

#[test]
fn a_search_for_servers_of_udp_is_a_sweep_and_peers_of_file_sharing_are_none() {
    for (port, expected) in [(1434, &["sweep.udp"][..]), (5060, &["sweep.udp"]), (6881, &[])] {
        let mut wire = Wire::new();
        for n in 0..100 {
            wire.wait(50 * MS).udp(US, &nth(n), (40000, port), State::New);
        }
        assert_eq!(wire.names(), expected, "{port}");
    }
}

#[test]
fn many_logins_are_named_and_many_pages_are_not() {
    let mut wire = Wire::new();
    for n in 0..60 {
        wire.wait(100 * MS).tcp(PEER, US, (30000 + n, 443), TcpFlags::SYN, 20, State::New);
    }
    for _ in 0..60 {
        wire.wait(1000 * MS).tcp(PEER, US, (30000, 22), TcpFlags::SYN, 20, State::New);
    }
    assert_eq!(wire.names(), [""; 0], "one connection, asked for again and again");
    for n in 0..60 {
        wire.wait(100 * MS).tcp(PEER, US, (30000 + n, 22), TcpFlags::SYN, 20, State::New);
    }
    assert_eq!(wire.names(), ["brute_force"]);
}

#[test]
fn neighbours_that_are_not_who_they_say_are_named() {
    let mut wire = Wire::new();
    wire.arp(2, 1, [10, 0, 0, 1], [10, 0, 0, 5]).arp(2, 7, [10, 0, 0, 7], [10, 0, 0, 5]);
    assert_eq!(wire.names(), [""; 0]);
    wire.wait(1000 * MS).arp(2, 66, [10, 0, 0, 1], [10, 0, 0, 5]).arp(2, 66, [10, 0, 0, 7], [10, 0, 0, 5]);
    assert_eq!(wire.names(), ["arp.gateway", "arp.changed"]);
    for _ in 0..40 {
        wire.wait(100 * MS).arp(1, 66, [10, 0, 0, 66], [10, 0, 0, 66]);
    }
    assert_eq!(wire.names()[2..], ["arp.gratuitous_storm"]);
}

#[test]
fn ipv6_neighbours_that_are_not_who_they_say_are_named() {
    const GATEWAY: &str = "fe80::1";
    let mut wire = Wire::new();
    wire.says(GATEWAY, None, 1).says("2001:db8::7", None, 7).says("fe80::9", Some("2001:db8::9"), 9);
    wire.wait(1000 * MS).says(GATEWAY, None, 1).says("fe80::9", Some("2001:db8::9"), 9);
    assert_eq!(wire.names(), [""; 0]);
    wire.says("fe80::66", Some(GATEWAY), 66).says("2001:db8::7", None, 66).says("fe80::66", Some("2001:db8::9"), 66);
    assert_eq!(wire.names(), ["ndp.gateway", "ndp.changed", "ndp.changed"]);
    let reason = &wire.found[0].reason;
    assert!(reason.starts_with("fe80::1 is at 02:00:00:00:00:42, and was at 02:00:00:00:00:01 before"), "{reason}");
}

#[test]
fn what_came_over_a_router_says_nothing_of_neighbours() {
    let mut wire = Wire::new();
    wire.says("fe80::9", Some("2001:db8::9"), 9).hops = 254;
    wire.says("fe80::66", Some("2001:db8::9"), 66);
    assert_eq!(wire.names(), [""; 0]);
}

#[test]
fn a_second_dhcp_server_and_answers_that_nobody_asked_for_are_named() {
    let mut wire = Wire::new();
    wire.udp("10.0.0.1", US, (67, 68), State::New).wait(1000 * MS).udp("10.0.0.1", US, (67, 68), State::New);
    assert_eq!(wire.names(), [""; 0]);
    wire.udp("10.0.0.66", US, (67, 68), State::New);
    for n in 0..40 {
        wire.wait(100 * MS).udp(&nth(n), US, (53, 40000 + u16::try_from(n).unwrap()), State::New);
    }
    assert_eq!(wire.names(), ["dhcp.second_server", "dns.unsolicited"]);
}

#[test]
fn a_second_dhcp_server_is_named_by_what_its_answers_say_to_all() {
    let mut wire = Wire::new();
    wire.answers_dhcp("10.0.0.1", "255.255.255.255", "10.0.0.1", State::New);
    assert_eq!(wire.names(), [""; 0]);
    wire.answers_dhcp("10.0.0.1", "255.255.255.255", "10.0.0.66", State::Original);
    wire.answers_dhcp("10.0.0.67", "255.255.255.255", "10.0.0.67", State::New);
    assert_eq!(wire.names(), ["dhcp.second_server"; 2]);
    let reason = &wire.found[0].reason;
    assert!(reason.starts_with("10.0.0.66 answers DHCP (sent by 10.0.0.1) where 10.0.0.1 did"), "{reason}");
}

#[test]
fn thresholds_are_those_of_the_rules_and_what_is_off_is_not_raised() {
    let mut settings = Settings::default();
    settings.scan_ports = 3;
    let mut wire = Wire::with(settings);
    for port in 1..=3 {
        wire.syn(PEER, US, (40000, port));
    }
    assert_eq!(wire.names(), ["scan.syn"]);
    let mut settings = Settings::default();
    settings.switch_off(Alert::ScanSyn);
    let mut wire = Wire::with(settings);
    for port in 1..=100 {
        wire.syn(PEER, US, (40000, port));
    }
    assert_eq!(wire.names(), [""; 0]);
}

// However many there are: what is taken in the beginning is all that the tables ever take.
const _: () = assert!(Detector::BYTES < 6 << 20);

#[test]
fn a_slow_scan_among_a_million_forged_sources_is_found_in_the_memory_that_was_there() {
    let mut wire = Wire::banning();
    for n in 0..1_000_000 {
        let port = u16::try_from(n % 60_000 + 1).unwrap();
        wire.wait(MS / 2).syn(&nth(n), US, (40_000, port));
        if n % 20_000 == 0 {
            wire.syn(PEER, US, (40_001, u16::try_from(n / 20_000 + 1).unwrap()));
        }
    }
    let of_peer = wire.found.iter().filter(|found| found.reason.starts_with(PEER));
    assert!(of_peer.clone().any(|found| found.alert == Alert::ScanSyn && found.packets <= 20), "{:#?}", wire.found);
    assert!(wire.found.len() < 50, "{} lines", wire.found.len());
    assert_eq!(wire.bans, []);
    const { assert!(Detector::BYTES < 6 << 20) };
    let (begun, untold) = wire.detector.incidents();
    assert!(begun < 20 && untold == 0, "{begun} {untold}");
}
