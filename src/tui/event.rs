//! A line that pfw's control socket tells -> what the view shows of it. Nothing here is trusted to be well-formed: what
//! can't be read is no event.

use crate::control::Kind;
use serde::Deserialize;
use std::net::IpAddr;

/// Which way a packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// To this machine.
    Incoming,
    /// From it.
    Outgoing,
    /// From it to itself.
    Loopback,
    /// Through it.
    Forwarded,
}

impl Way {
    /// The word, as in the log.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
            Self::Loopback => "loopback",
            Self::Forwarded => "forwarded",
        }
    }

    /// A word that fits a narrow column.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Incoming => "in",
            Self::Outgoing => "out",
            Self::Loopback => "lo",
            Self::Forwarded => "fwd",
        }
    }
}

/// What is suspicious about a packet, or about many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspicion {
    /// Its name, which `pfw explain --alert` explains.
    pub name: Box<str>,
    /// How grave it is; 1 is the gravest, 0 is not known.
    pub severity: u8,
    /// The number of the incident, if it takes many packets.
    pub incident: Option<u64>,
    /// The incident's packets so far.
    pub packets: u64,
}

impl Suspicion {
    /// How grave it is, in a word.
    pub const fn grave(&self) -> &'static str {
        match self.severity {
            1 => "high",
            2 => "medium",
            3 => "low",
            _ => "",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, as the line says it: RFC 3339.
    pub timestamp: Box<str>,
    /// What.
    pub kind: Kind,
    /// Which way.
    pub way: Option<Way>,
    /// Where it was seen.
    pub interface: Box<str>,
    /// The protocol's name.
    pub protocol: Box<str>,
    /// Where it comes from.
    pub src: Option<IpAddr>,
    /// See there.
    pub src_port: Option<u16>,
    /// Where it goes.
    pub dst: Option<IpAddr>,
    /// See there.
    pub dst_port: Option<u16>,
    /// Bytes of the packet.
    pub len: u64,
    /// TCP flags, or ICMP type and code, or what else tells packets of the protocol apart.
    pub detail: Box<str>,
    /// The step of the order of decision.
    pub step: Box<str>,
    /// The id of the rule that decided.
    pub rule: Box<str>,
    /// Why.
    pub reason: Box<str>,
    /// What is suspicious, if something is.
    pub suspicion: Option<Suspicion>,
    /// How many events were lost, if that is what it tells.
    pub lost: u64,
    /// Lost on the way to this view: the log has them.
    pub unread: bool,
}

/// The members of a line that are of interest.
#[derive(Deserialize)]
struct Line {
    timestamp: Box<str>,
    event_type: Box<str>,
    verdict: Option<Box<str>>,
    direction: Option<Way>,
    in_iface: Option<Box<str>>,
    proto: Option<Box<str>>,
    src_ip: Option<Box<str>>,
    src_port: Option<u16>,
    dest_ip: Option<Box<str>>,
    dest_port: Option<u16>,
    pkt_len: Option<u64>,
    tcp_flags: Option<Box<str>>,
    icmp_type: Option<u8>,
    icmp_code: Option<u8>,
    arp: Option<Arp>,
    step: Option<Box<str>>,
    rule: Option<Box<str>>,
    reason: Option<Box<str>>,
    event: Option<Box<str>>,
    n: Option<u64>,
    cause: Option<Box<str>>,
    alert: Option<Named>,
    anomaly: Option<Named>,
    severity: Option<u8>,
    incident: Option<u64>,
    packets: Option<u64>,
}

/// What an alert or an anomaly is called, as EVE has it.
#[derive(Deserialize)]
struct Named {
    #[serde(alias = "event")]
    signature: Box<str>,
    severity: Option<u8>,
}

#[derive(Deserialize)]
struct Arp {
    opcode: Box<str>,
}

impl Event {
    /// The event of a line; none if it is none that this view knows.
    pub fn read(line: &[u8]) -> Option<Self> {
        let line: Line = serde_json::from_slice(line).ok()?;
        let kind = match (&*line.event_type, line.verdict.as_deref()) {
            ("packet", Some("allowed")) => Kind::Allowed,
            ("packet", Some("blocked")) => Kind::Blocked,
            ("packet", Some("would-block")) => Kind::WouldBlock,
            ("anomaly" | "alert", _) => Kind::Suspicious,
            ("lost", _) => Kind::Lost,
            ("pfw", _) => Kind::Pfw,
            _ => return None,
        };
        let address = |text: Option<Box<str>>| text.and_then(|text| text.parse().ok());
        let detail = detail(&line);
        let named = line.alert.or(line.anomaly).filter(|_| kind == Kind::Suspicious);
        let suspicion = named.map(|named| Suspicion {
            name: named.signature,
            severity: named.severity.or(line.severity).unwrap_or_default(),
            incident: line.incident,
            packets: line.packets.unwrap_or_default(),
        });
        Some(Self {
            suspicion,
            kind,
            way: line.direction,
            interface: line.in_iface.unwrap_or_default(),
            protocol: line.proto.map_or_else(Box::default, shorter),
            src: address(line.src_ip),
            src_port: line.src_port,
            dst: address(line.dest_ip),
            dst_port: line.dest_port,
            len: line.pkt_len.unwrap_or_default(),
            detail,
            step: line.step.unwrap_or_default(),
            rule: line.rule.unwrap_or_default(),
            reason: line.reason.unwrap_or_default(),
            lost: line.n.unwrap_or_default(),
            unread: line.cause.as_deref() == Some("not-read"),
            timestamp: line.timestamp,
        })
    }

    /// The time of day, to the millisecond; as the line has it if it has none.
    pub fn clock(&self) -> &str {
        self.timestamp.get(11..23).unwrap_or(&self.timestamp)
    }

    /// The time of day, to the second.
    pub fn clock_to_the_second(&self) -> &str {
        self.timestamp.get(11..19).unwrap_or(&self.timestamp)
    }

    /// Both ends, `192.0.2.1:443 > 10.0.0.5:51512`; what it tells, if it is about no packet.
    pub fn what(&self) -> String {
        match (self.src, self.dst) {
            (Some(src), Some(dst)) => format!("{} > {}", end(src, self.src_port), end(dst, self.dst_port)),
            _ => self.reason.to_string(),
        }
    }

    /// The other end: who sent an incoming packet, who an outgoing one is for.
    pub fn peer(&self) -> Option<IpAddr> {
        match self.way? {
            Way::Incoming | Way::Forwarded => self.src,
            Way::Outgoing | Way::Loopback => self.dst,
        }
    }

    /// The port that a service has, as far as one packet tells: where it goes, or where an answer comes from.
    pub fn service(&self) -> Option<u16> {
        if &*self.step == "reply" { self.src_port } else { self.dst_port }
    }

    /// The line as text, for searching.
    pub fn text(&self) -> String {
        let way = self.way.map_or("", Way::word);
        format!(
            "{} {} {way} {} {} {} {} {} {}",
            self.timestamp,
            self.kind.word(),
            self.interface,
            self.protocol,
            self.what(),
            self.detail,
            self.rule,
            self.reason
        )
    }
}

/// An address, and a port behind it.
pub fn end(address: IpAddr, port: Option<u16>) -> String {
    match (address, port) {
        (address, None) => address.to_string(),
        (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
    }
}

/// The name that people use, where EVE has the registry's.
fn shorter(name: Box<str>) -> Box<str> {
    if &*name == "IPv6-ICMP" { "ICMPv6".into() } else { name }
}

fn detail(line: &Line) -> Box<str> {
    if let Some(flags) = line.tcp_flags.as_deref().and_then(|flags| u8::from_str_radix(flags, 16).ok()) {
        return flag_letters(flags).into();
    }
    if let Some(kind) = line.icmp_type {
        return format!("type {kind} code {}", line.icmp_code.unwrap_or_default()).into();
    }
    line.arp.as_ref().map(|arp| arp.opcode.clone()).or_else(|| line.event.clone()).unwrap_or_default()
}

/// The letters that tcpdump uses, lowest bit first (RFC 9293, section 3.1).
fn flag_letters(flags: u8) -> String {
    let letters: String =
        "FSRPAUEW".chars().enumerate().filter(|(bit, _)| flags >> bit & 1 == 1).map(|it| it.1).collect();
    if letters.is_empty() { "none".to_owned() } else { letters }
}

#[cfg(test)]
pub(super) mod testing {
    //! Events as the socket tells them.

    use super::*;

    /// An incident that has begun or grown.
    pub(in crate::tui) fn alert(name: &str, incident: u64, packets: u64, src: &str) -> Event {
        let line = format!(
            r#"{{"timestamp":"2026-11-21T19:40:03.000001+01:00","in_iface":"eth0","event_type":"alert","src_ip":"{src}","src_port":40000,"dest_ip":"10.0.0.5","dest_port":1,"proto":"TCP","pkt_len":44,"tcp_flags":"02","direction":"incoming","alert":{{"action":"allowed","signature":"{name}","severity":2}},"incident":{incident},"packets":{packets},"reason":"{src} does {name} ({packets} packets)"}}"#
        );
        Event::read(line.as_bytes()).unwrap()
    }

    /// An odd packet.
    pub(in crate::tui) fn anomaly(name: &str, src: &str) -> Event {
        let line = format!(
            r#"{{"timestamp":"2026-11-21T19:40:02.000001+01:00","event_type":"anomaly","src_ip":"{src}","dest_ip":"10.0.0.5","proto":"TCP","pkt_len":40,"direction":"incoming","anomaly":{{"type":"decode","event":"{name}"}},"severity":1,"reason":"odd"}}"#
        );
        Event::read(line.as_bytes()).unwrap()
    }

    /// A packet.
    pub(in crate::tui) fn packet(verdict: &str, way: &str, protocol: &str, src: &str, dst: &str, rule: &str) -> Event {
        let part = |text: &str, name: &str| match text.rsplit_once('#') {
            Some((address, port)) => format!(r#""{name}_ip":"{address}","{name}_port":{port}"#),
            None => format!(r#""{name}_ip":"{text}""#),
        };
        let step = rule.split(':').next().unwrap_or_default();
        let line = format!(
            r#"{{"timestamp":"2026-11-21T19:40:01.123456+01:00","in_iface":"eth0","event_type":"packet",{},{},"proto":"{protocol}","pkt_len":60,"direction":"{way}","verdict":"{verdict}","step":"{step}","rule":"{rule}","reason":"because of {rule}"}}"#,
            part(src, "src"),
            part(dst, "dest"),
        );
        Event::read(line.as_bytes()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_with_all_that_the_view_shows() {
        let line = br#"{"timestamp":"2026-11-21T19:40:01.123456+01:00","in_iface":"eth0","event_type":"packet","src_ip":"2001:db8::7","src_port":443,"dest_ip":"2001:db8::1","dest_port":51512,"proto":"TCP","pkt_len":60,"tcp_flags":"12","direction":"incoming","verdict":"blocked","step":"block_ips","rule":"block_ips:2001:db8::7","reason":"peer is in block_ips"}"#;
        let event = Event::read(line).unwrap();
        assert_eq!((event.kind, event.way, event.clock()), (Kind::Blocked, Some(Way::Incoming), "19:40:01.123"));
        assert_eq!(event.what(), "[2001:db8::7]:443 > [2001:db8::1]:51512");
        assert_eq!((event.peer(), event.service()), (Some("2001:db8::7".parse().unwrap()), Some(51512)));
        assert_eq!((&*event.detail, event.len), ("SA", 60));
    }

    #[test]
    fn what_is_about_no_packet_is_read_too() {
        let lost =
            Event::read(br#"{"timestamp":"t","event_type":"lost","n":7,"cause":"not-read","reason":"slow"}"#).unwrap();
        assert_eq!((lost.kind, lost.lost, lost.unread, lost.clock()), (Kind::Lost, 7, true, "t"));
        let pfw =
            Event::read(br#"{"timestamp":"t","event_type":"pfw","event":"started","reason":"watching"}"#).unwrap();
        assert_eq!((pfw.kind, &*pfw.detail, pfw.what().as_str()), (Kind::Pfw, "started", "watching"));
    }

    #[test]
    fn what_is_suspicious_has_its_name_and_how_grave_it_is() {
        let alert = testing::alert("scan.syn", 7, 20, "192.0.2.7").suspicion.unwrap();
        assert_eq!((&*alert.name, alert.grave(), alert.incident, alert.packets), ("scan.syn", "medium", Some(7), 20));
        let anomaly = testing::anomaly("ip.land", "192.0.2.7").suspicion.unwrap();
        assert_eq!((&*anomaly.name, anomaly.grave(), anomaly.incident), ("ip.land", "high", None));
    }

    #[test]
    fn what_is_no_event_is_none() {
        for line in
            ["", "{", "[]", r#"{"timestamp":"t","event_type":"later"}"#, r#"{"timestamp":7,"event_type":"pfw"}"#]
        {
            assert_eq!(Event::read(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn the_service_of_an_answer_is_where_it_comes_from() {
        let answer = testing::packet("allowed", "incoming", "TCP", "192.0.2.1#443", "10.0.0.5#50000", "reply");
        assert_eq!((answer.service(), answer.peer()), (Some(443), Some("192.0.2.1".parse().unwrap())));
    }
}
