//! What is tracked, for people: the connections page by page, each with its ends and how it stands. A page costs a
//! bounded time, however many there are.

use super::Tracker;
use super::connections::{Connections, Entry, Key};
use super::marks;
use super::tcp::TcpState;
use crate::packet::{About, Icmp, Ip, Ports, Protocol, Tcp, TcpFlags, Transport};
use crate::time::Timestamp;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Places of the tables that a page looks at, at most: half a megabyte for IPv4, which takes a tenth of a millisecond.
const PLACES: usize = 1 << 14;

/// A tracked connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Who opened it.
    pub opener: IpAddr,
    /// The other end.
    pub other: IpAddr,
    /// Its protocol.
    pub protocol: Protocol,
    /// The opener's port and the other's; of ICMP the query's number, and its type and code in one.
    ports: Ports,
    /// Of TCP, the state that conntrack would have; nothing for other protocols.
    pub tcp: Option<&'static str>,
    /// Whether an answer was seen.
    pub answered: bool,
    /// How long it is known, modulo 2^32 ms.
    pub known_for: Duration,
    /// How long it is kept if nothing more comes.
    pub expires_in: Duration,
}

/// Some of the connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackedPage {
    /// They, in no order.
    pub rows: Vec<Tracked>,
    /// Where the next page begins; none behind the last. Connections that come and go in between may be in both pages
    /// or in none.
    pub next: Option<usize>,
}

impl Tracked {
    /// The opener's port and the other's, if the protocol has any.
    pub fn ports(&self) -> Option<(u16, u16)> {
        let has_ports = matches!(self.protocol, Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP);
        has_ports.then_some((self.ports.src, self.ports.dst))
    }

    /// A packet that its opener sends.
    pub fn packet(&self) -> Ip {
        let transport = match self.protocol {
            Protocol::TCP => {
                Transport::Tcp(Tcp { ports: self.ports, flags: TcpFlags(TcpFlags::ACK), ..Tcp::default() })
            }
            Protocol::UDP | Protocol::UDPLITE => Transport::Udp(self.ports),
            Protocol::SCTP => Transport::Sctp(self.ports),
            Protocol::ICMP | Protocol::ICMPV6 => {
                let [kind, code] = self.ports.dst.to_be_bytes();
                Transport::Icmp(Icmp { kind, code, id: self.ports.src, about: About::Nothing })
            }
            _ => Transport::None,
        };
        Ip { src: self.opener, dst: self.other, protocol: self.protocol, ttl: 64, len: 0, fragment: None, transport }
    }

    fn new(first: IpAddr, second: IpAddr, tail: u64, entry: &Entry, now: Timestamp) -> Self {
        let [first_high, first_low, second_high, second_low, _, _, _, protocol] = tail.to_be_bytes();
        let ports = Ports {
            src: u16::from_be_bytes([first_high, first_low]),
            dst: u16::from_be_bytes([second_high, second_low]),
        };
        let protocol = Protocol(protocol);
        let first_opened = entry.has(marks::FIRST_END_OPENED);
        let (opener, other) = if first_opened { (first, second) } else { (second, first) };
        let ports = if first_opened { ports } else { Ports { src: ports.dst, dst: ports.src } };
        Self {
            opener,
            other,
            protocol,
            ports,
            tcp: (protocol == Protocol::TCP).then(|| word(entry.tcp)),
            answered: entry.has(marks::REPLIED),
            known_for: entry.age(now),
            expires_in: entry.expires.since(now),
        }
    }
}

impl Tracker {
    /// The connections from the place `from` on (0 for the first page), `most` of them at most.
    pub(in crate::engine) fn page(&self, from: usize, most: usize, now: Timestamp) -> TrackedPage {
        let behind_v4 = self.v4.places();
        let mut rows = Vec::new();
        let end = from.saturating_add(PLACES);
        let mut next = from;
        let v4 = |key: &Key<2>, entry: &Entry| {
            let [ends, tail] = *key;
            let [first, second] = halves(ends);
            Tracked::new(Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(second).into(), tail, entry, now)
        };
        let v6 = |key: &Key<5>, entry: &Entry| {
            let [a, b, c, d, tail] = *key;
            let (first, second) = (Ipv6Addr::from_bits(joined(a, b)), Ipv6Addr::from_bits(joined(c, d)));
            Tracked::new(first.into(), second.into(), tail, entry, now)
        };
        if next < behind_v4 {
            next = gather(&self.v4, next, end.min(behind_v4), most, &mut rows, now, v4);
        }
        if next >= behind_v4 && rows.len() < most {
            let last = end.saturating_sub(behind_v4).min(self.v6.places());
            next = behind_v4 + gather(&self.v6, next - behind_v4, last, most, &mut rows, now, v6);
        }
        TrackedPage { rows, next: (next < behind_v4 + self.v6.places()).then_some(next) }
    }
}

/// Gathers what is in the places from `from` to `end`, until there are `most` rows. Where it ended.
fn gather<const N: usize>(
    table: &Connections<N>,
    from: usize,
    end: usize,
    most: usize,
    rows: &mut Vec<Tracked>,
    now: Timestamp,
    row: impl Fn(&Key<N>, &Entry) -> Tracked,
) -> usize {
    for place in from..end {
        if rows.len() >= most {
            return place;
        }
        rows.extend(table.at(place, now).map(|(key, entry)| row(key, entry)));
    }
    end.max(from)
}

fn halves(word: u64) -> [u32; 2] {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let halves = [(word >> 32) as u32, word as u32];
    halves
}

fn joined(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// The names that `conntrack -L` prints.
const fn word(state: TcpState) -> &'static str {
    match state {
        TcpState::None => "NONE",
        TcpState::SynSent => "SYN_SENT",
        TcpState::SynRecv => "SYN_RECV",
        TcpState::Established => "ESTABLISHED",
        TcpState::FinWait => "FIN_WAIT",
        TcpState::CloseWait => "CLOSE_WAIT",
        TcpState::LastAck => "LAST_ACK",
        TcpState::TimeWait => "TIME_WAIT",
        TcpState::Close => "CLOSE",
        TcpState::SynSent2 => "SYN_SENT2",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{at, ip};
    use super::*;
    use std::collections::BTreeSet;

    fn packet(src: &str, dst: &str, protocol: Protocol, transport: Transport) -> Ip {
        Ip { src: ip(src), dst: ip(dst), protocol, ttl: 64, len: 60, fragment: None, transport }
    }

    fn udp(src: &str, src_port: u16, dst: &str, dst_port: u16) -> Ip {
        packet(src, dst, Protocol::UDP, Transport::Udp(Ports { src: src_port, dst: dst_port }))
    }

    fn open(tracker: &mut Tracker, packet: &Ip, seconds: i64) {
        tracker.track(packet, at(seconds));
        tracker.confirm(packet, at(seconds));
    }

    #[test]
    fn each_connection_is_told_with_its_opener_and_how_it_stands() {
        let mut tracker = Tracker::new(100);
        let syn = |src: &str, dst: &str| {
            let ports = Ports { src: 50_000, dst: 443 };
            packet(
                src,
                dst,
                Protocol::TCP,
                Transport::Tcp(Tcp { ports, flags: TcpFlags(TcpFlags::SYN), ..Tcp::default() }),
            )
        };
        let ping = Transport::Icmp(Icmp { kind: 8, code: 0, id: 77, about: About::Nothing });
        let opening = [
            syn("192.0.2.9", "192.0.2.1"),
            syn("192.0.2.1", "192.0.2.9"),
            udp("2001:db8::9", 4_000, "2001:db8::1", 53),
            packet("192.0.2.9", "192.0.2.1", Protocol::ICMP, ping),
        ];
        for packet in &opening {
            open(&mut tracker, packet, 10);
        }
        tracker.track(&udp("2001:db8::1", 53, "2001:db8::9", 4_000), at(11));
        let page = tracker.page(0, 100, at(13));
        assert_eq!(page.next, None);
        let mut told: Vec<String> = page
            .rows
            .iter()
            .map(|row| format!("{} > {} {:?} {:?} {}", row.opener, row.other, row.ports(), row.tcp, row.answered))
            .collect();
        told.sort();
        assert_eq!(
            told,
            [
                r#"192.0.2.1 > 192.0.2.9 Some((50000, 443)) Some("SYN_SENT") false"#,
                "192.0.2.9 > 192.0.2.1 None None false",
                r#"192.0.2.9 > 192.0.2.1 Some((50000, 443)) Some("SYN_SENT") false"#,
                "2001:db8::9 > 2001:db8::1 Some((4000, 53)) None true",
            ]
        );
        for row in &page.rows {
            assert_eq!(row.known_for, Duration::from_secs(3));
            let sent = opening.iter().find(|sent| {
                let (sent, told) = (sent.transport, row.packet().transport);
                match (sent, told) {
                    (Transport::Tcp(sent), Transport::Tcp(told)) => sent.ports == told.ports,
                    _ => sent == told,
                }
            });
            assert!(sent.is_some_and(|sent| sent.protocol == row.protocol), "{row:?}");
        }
        assert_eq!(tracker.page(0, 100, at(1_000)).rows, [], "they have expired");
    }

    #[test]
    fn pages_have_all_connections_once_and_are_bounded() {
        let mut tracker = Tracker::new(1 << 16);
        for n in 0..20_000_u16 {
            open(&mut tracker, &udp("192.0.2.9", n, "192.0.2.1", 53), 0);
            if n < 100 {
                open(&mut tracker, &udp("2001:db8::9", n, "2001:db8::1", 53), 0);
            }
        }
        let (mut seen, mut from, mut pages) = (BTreeSet::new(), 0, 0);
        loop {
            let page = tracker.page(from, 1_000, at(1));
            assert!(page.rows.len() <= 1_000);
            for row in page.rows {
                assert!(seen.insert((row.opener, row.ports())), "{row:?} came before");
            }
            pages += 1;
            let Some(next) = page.next else { break };
            assert!(next > from && next - from <= PLACES);
            from = next;
        }
        assert_eq!(seen.len(), 20_100);
        assert!(pages >= 21, "{pages}");
        assert_eq!(tracker.page(usize::MAX, 10, at(1)), TrackedPage::default());
    }
}
