//! What the log says: lines as they come, and what tells the packet of one from another.

use pfw::packet::{Ip, Ports, Transport};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::path::Path;

/// What a line tells of its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub src: IpAddr,
    pub dst: IpAddr,
    ports: Option<(u16, u16)>,
    len: u32,
    flags: Option<u8>,
    icmp: Option<(u8, u8)>,
    fragment: Option<(u32, u32, bool)>,
}

/// A line about a packet.
#[derive(Clone, Debug)]
pub struct Line {
    pub key: Key,
    /// `allowed`, `blocked`, or `anomaly` for what has no verdict.
    pub verdict: String,
    pub direction: String,
    pub rule: String,
    pub reason: String,
    pub text: String,
}

/// A log that is being written.
pub struct Log {
    file: BufReader<File>,
    /// The beginning of a line whose end is not there yet.
    begun: String,
    /// Lines about the program, since they were asked for last.
    pub about_itself: Vec<String>,
}

impl Key {
    pub fn of(ip: &Ip) -> Self {
        let both = |ports: Ports| Some((ports.src, ports.dst));
        let (ports, flags, icmp) = match ip.transport {
            Transport::Tcp(tcp) => (both(tcp.ports), Some(tcp.flags.0), None),
            Transport::Udp(ports) | Transport::Sctp(ports) => (both(ports), None, None),
            Transport::Icmp(icmp) => (None, None, Some((icmp.kind, icmp.code))),
            Transport::TcpRest(_) | Transport::None => (None, None, None),
        };
        let fragment = ip.fragment.map(|fragment| (fragment.id, fragment.offset, fragment.more));
        Self { src: ip.src, dst: ip.dst, ports, len: ip.len, flags, icmp, fragment }
    }

    /// The port that the packet is sent to.
    pub fn destination_port(&self) -> Option<u16> {
        self.ports.map(|(_, destination)| destination)
    }

    fn read(line: &Value) -> Option<Self> {
        let address = |name: &str| line[name].as_str()?.parse().ok();
        let number = |value: &Value| value.as_u64();
        let pair = |first: &str, second: &str| Some((number(&line[first])?, number(&line[second])?));
        let small = |(a, b): (u64, u64)| Some((u8::try_from(a).ok()?, u8::try_from(b).ok()?));
        let medium = |(a, b): (u64, u64)| Some((u16::try_from(a).ok()?, u16::try_from(b).ok()?));
        let fragment = &line["fragment"];
        let fragment = number(&fragment["id"]).zip(number(&fragment["offset"])).and_then(|(id, offset)| {
            Some((u32::try_from(id).ok()?, u32::try_from(offset).ok()?, fragment["more"].as_bool()?))
        });
        Some(Self {
            src: address("src_ip")?,
            dst: address("dest_ip")?,
            ports: pair("src_port", "dest_port").and_then(medium),
            len: u32::try_from(number(&line["pkt_len"])?).ok()?,
            flags: line["tcp_flags"].as_str().and_then(|flags| u8::from_str_radix(flags, 16).ok()),
            icmp: pair("icmp_type", "icmp_code").and_then(small),
            fragment,
        })
    }
}

impl Log {
    pub fn open(path: &Path) -> Self {
        let file = BufReader::new(File::open(path).expect("pfw has made its log"));
        Self { file, begun: String::new(), about_itself: Vec::new() }
    }

    /// The lines about packets that are new.
    pub fn read(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        while self.file.read_line(&mut self.begun).expect("the log is text") > 0 {
            if !self.begun.ends_with('\n') {
                break;
            }
            let text = std::mem::take(&mut self.begun);
            let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            match value["event_type"].as_str() {
                Some("packet" | "anomaly") => {
                    lines.extend(Line::read(&value, text));
                }
                _ => self.about_itself.push(text),
            }
        }
        lines
    }
}

impl Line {
    /// Whether its packet is a fragment.
    pub fn is_fragment(&self) -> bool {
        self.key.fragment.is_some()
    }

    /// Whether its packet is a later fragment.
    pub fn is_later_fragment(&self) -> bool {
        self.key.fragment.is_some_and(|(_, offset, _)| offset > 0)
    }

    /// Whether its packet is of a kind that a reject answers with.
    pub fn is_reset_or_unreachable(&self) -> bool {
        let reset = self.key.flags.is_some_and(|flags| flags & 0x04 != 0);
        let unreachable = if self.key.src.is_ipv4() { 3 } else { 1 };
        reset || self.key.icmp.is_some_and(|(kind, _)| kind == unreachable)
    }

    /// `None` for what is no packet of IP.
    fn read(line: &Value, text: String) -> Option<Self> {
        let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        if line["arp"].is_object() {
            return None;
        }
        let verdict = if line["event_type"] == "anomaly" { "anomaly".to_owned() } else { word("verdict") };
        Some(Self {
            key: Key::read(line)?,
            verdict,
            direction: word("direction"),
            rule: word("rule"),
            reason: word("reason"),
            text,
        })
    }
}
