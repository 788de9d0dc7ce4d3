//! What many packets tell: scans, sweeps, floods, guessed passwords, and neighbours that are not who they say.
//!
//! A try counts against who makes it only where nobody has been heard at that port ([`spoken`]); when somebody answers
//! there after all, it is taken back. So replies, late answers and what an honest client does are nobody's scan.
//! All memory is taken in the beginning and does not grow ([`tallies`], [`rates`], [`spoken`], [`overlaps`],
//! [`incidents`], [`neighbours`]); what gives way to what is said there.

mod accused;
mod clock;
mod distinct;
mod fragments;
mod incidents;
mod keyed;
mod logins;
mod neighbours;
mod overlaps;
mod probe;
mod proof;
mod rates;
mod refusals;
mod sentence;
mod sketch;
mod spoken;
mod tallies;
#[cfg(test)]
mod tests;
mod vicinity;

use super::home::Home;
use super::{Ban, Finding, Found, Look};
use crate::alert::{Alert, Settings};
use crate::engine::{Direction, State};
use crate::packet::{Icmp, Ip, Net, Ports, Protocol, Tcp, TcpFlags, Transport};
use accused::{Accused, Charge};
use clock::seconds;
use incidents::{Beginning, Incidents, News};
use keyed::{
    DNS_ANSWERS, FLOOD_ICMP, FLOOD_SYN, FLOOD_UDP, Keyed, OF_NETWORK, PORT, SWEEP_ICMP, SWEEP_TCP, SWEEP_UDP, network,
};
use logins::attempts;
use neighbours::Neighbours;
use overlaps::Overlaps;
use probe::{Message, Probe, Way};
use proof::Proofs;
use rates::Rates;
use refusals::Refusals;
use spoken::Spoken;
use std::net::IpAddr;
use tallies::{Tallies, Try};

/// Sources of a network that must take part before its tries are a scan of several.
const FEWEST_SOURCES: u32 = 4;
/// Where DNS is answered from, DHCP is answered from and to, and where a service has its port and a client not.
const DNS: u16 = 53;
const DHCP: Ports = Ports { src: 67, dst: 68 };
const FIRST_CLIENT_PORT: u16 = 1024;

/// Of segments that answer ours, one in so many is taken for a sign that somebody listens there: their handshake has told
/// it already, unless it was before pfw began.
const HEARD: u32 = 16;
/// Where answers may be under way, a burst counts only if it is so many times as much as is needed, or if half of that
/// was there before and had time to be answered.
const IN_A_HURRY: u32 = 4;
/// So many times as many tries are needed where file sharing makes some too: its peers often have the same port, or are
/// many behind one address, and half of them don't answer.
const OF_FILE_SHARING: u32 = 4;
/// Who sends more UDP packets than this from one port to another in so many seconds is not looking for what is there:
/// media go one way, and nobody asks a closed port more than a dozen times (`nmap --max-retries` is 10).
const STREAM: u32 = 11;
const STREAM_SECONDS: u32 = 120;

/// All that is remembered of traffic.
#[derive(Debug)]
pub(super) struct Traffic {
    keyed: Keyed,
    tallies: Tallies,
    rates: Rates,
    spoken: Spoken,
    refusals: Refusals,
    incidents: Incidents,
    overlaps: Overlaps,
    neighbours: Neighbours,
    accused: Accused,
    /// Segments that answered ours, modulo [`HEARD`].
    answers: u32,
}

/// What a look is held against.
#[derive(Clone, Copy)]
struct Against<'a> {
    look: Look<'a>,
    home: &'a Home,
    settings: &'a Settings,
}

/// Tries that count together, and how many of them are an incident.
struct Limit {
    alert: Alert,
    /// Different things.
    things: u32,
    /// The same where answers may be under way.
    at_once: u32,
    /// Different who.
    who: u32,
}

impl Limit {
    /// So many things, whoever tries them.
    fn of(alert: Alert, things: u32) -> Self {
        Self { alert, things, at_once: things.saturating_mul(IN_A_HURRY), who: 1 }
    }

    /// The same where file sharing may be what it looks like.
    fn of_file_sharing(alert: Alert, things: u32) -> Self {
        Self { things: things.saturating_mul(OF_FILE_SHARING), ..Self::of(alert, things) }
    }
}

impl Traffic {
    /// Nothing seen so far; `seed` is the key of the hashes.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            keyed: Keyed::new(seed),
            tallies: Tallies::new(),
            rates: Rates::new(),
            spoken: Spoken::new(),
            refusals: Refusals::default(),
            incidents: Incidents::new(),
            overlaps: Overlaps::new(),
            neighbours: Neighbours::default(),
            accused: Accused::new(),
            answers: 0,
        }
    }

    /// Bytes that the tables take, whatever comes; incidents and neighbours have at most some hundred kilobytes more.
    pub(super) const BYTES: usize = Tallies::BYTES + Rates::BYTES + Spoken::BYTES + Overlaps::BYTES + Proofs::BYTES;

    /// Whether bans are wanted from now on.
    pub(super) fn want_bans(&mut self, are_wanted: bool) {
        self.accused.want(are_wanted);
    }

    /// Incidents so far, and those that found no room.
    pub(super) fn incidents(&self) -> (u64, u64) {
        (self.incidents.begun(), self.incidents.untold())
    }

    /// Takes in a packet.
    #[inline]
    pub(super) fn observe(&mut self, look: Look<'_>, home: &Home, settings: &Settings) -> Option<Found> {
        let proves = self.accused.are_wanted();
        match &look.packet.net {
            _ if look.direction == Direction::Loopback => None,
            Net::Ip(ip) => {
                let ordinary = self.is_ordinary(ip, look.state);
                if ordinary && !proves { None } else { self.look(&Against { look, home, settings }, proves, ordinary) }
            }
            Net::Arp(_) => self.look(&Against { look, home, settings }, proves, false),
            Net::Other { .. } => None,
        }
    }

    /// Takes in a packet that may tell something.
    fn look(&mut self, against: &Against<'_>, proves: bool, ordinary: bool) -> Option<Found> {
        let mut found = Found::default();
        match &against.look.packet.net {
            Net::Ip(ip) => {
                if proves {
                    self.prove(ip, against, &mut found);
                }
                if !ordinary {
                    self.ip(ip, against, &mut found);
                }
            }
            Net::Arp(arp) => self.arp(arp, against, &mut found),
            Net::Other { .. } => {}
        }
        let is_news = !(found.findings.is_empty() && found.bans.is_empty());
        is_news.then_some(found)
    }

    /// Forgets who is in the network that `interface` was in.
    pub(super) fn forget_neighbours(&mut self, interface: &[u8]) {
        self.neighbours.forget(self.keyed.network(interface));
    }

    fn ip(&mut self, ip: &Ip, against: &Against<'_>, found: &mut Found) {
        if let Some(fragment) = ip.fragment {
            self.fragment(ip, fragment, against, found);
        }
        let later_fragment = ip.fragment.is_some_and(|fragment| fragment.offset > 0);
        if later_fragment || against.look.packet.malformed.is_some() {
            return;
        }
        // Who asks all is answered by each.
        if let Some(ports) = probe::answers(ip, against.look.state) {
            self.hear(ip, ports, against);
        }
        if let Transport::Icmp(icmp) = ip.transport {
            self.neighbour(ip, icmp, against, found);
            if let Some(port) = probe::refuses(ip, icmp) {
                self.refusals.add(ip.src, port, against.look.time);
            }
            if probe::answers_echo(ip, icmp) {
                self.tallies.take_back(self.keyed.one(SWEEP_ICMP, ip.dst, 0), self.keyed.one(PORT, ip.src, 0));
            }
        }
        if matches!(ip.transport, Transport::Udp(DHCP)) && against.look.direction != Direction::Outgoing {
            self.serves(ip, against, found);
        }
        if is_for_many(ip.dst) {
            return;
        }
        match ip.transport {
            Transport::Icmp(icmp) => self.icmp(ip, icmp, against, found),
            Transport::Udp(ports) => self.udp(ip, ports, against, found),
            _ => {}
        }
        let odd = against.look.packet.odd.map(|odd| odd.alert);
        let Some(probe) = probe::of(ip, odd, against.look.state) else { return };
        if let Way::Syn { .. } = probe.way
            && self.opens(ip, probe.ports, against, found)
        {
            // Who is behind a flood of forged sources can't be told by them.
            return;
        }
        if probe.way.is_never_honest() || !self.spoken.knows(self.port(ip.dst, ip.protocol, probe.ports.dst)) {
            self.probed(ip, probe, against, found);
        }
    }

    /// Whether a packet is what most are and tells nothing new: one of a known connection.
    #[inline]
    fn is_ordinary(&mut self, ip: &Ip, state: State) -> bool {
        let segment = match ip.transport {
            _ if ip.fragment.is_some() => return false,
            Transport::Tcp(Tcp { flags, .. }) => flags.has(TcpFlags::ACK) && !flags.has(TcpFlags::SYN),
            Transport::Udp(ports) if state == State::Original => return ports != DHCP && !self.refusals.may_be(ip.dst),
            _ => false,
        };
        match state {
            State::Original => segment,
            State::Reply if segment => {
                self.answers = (self.answers + 1) % HEARD;
                self.answers > 0
            }
            _ => false,
        }
    }

    /// Tells what `source` does, and asks whether it is to be banned for that.
    fn blame(&mut self, source: IpAddr, news: &News, words: &str, against: &Against<'_>, found: &mut Found) {
        let finding = tell(news, words);
        let Finding { alert, incident, .. } = finding;
        let charge = Charge { alert, incident: Some(incident), reason: finding.reason.clone() };
        found.bans.extend(self.accused.accuse(source, charge, against));
        found.findings.push(finding);
    }

    fn port(&self, host: IpAddr, protocol: Protocol, port: u16) -> u64 {
        self.keyed.one(PORT ^ protocol.0 << 1, host, port)
    }

    /// Takes in that something was sent from a port. If that is news, who has tried it before did not try in vain.
    fn hear(&mut self, ip: &Ip, ports: Ports, against: &Against<'_>) {
        let now = seconds(against.look.time);
        let tcp = ip.protocol == Protocol::TCP;
        if !self.spoken.add(self.port(ip.src, ip.protocol, ports.src), now) {
            return;
        }
        let ways: &[Way] = if tcp {
            &[Way::Syn { by_system: true }, Way::Syn { by_system: false }, Way::Ack, Way::Maimon]
        } else {
            &[Way::Udp]
        };
        let thing = self.keyed.item(ports.src.into());
        for way in ways {
            self.tallies.take_back(self.keyed.pair(way.number(), ip.dst, ip.src, 0), thing);
            self.tallies.take_back(self.keyed.pair(OF_NETWORK | way.number(), network(ip.dst), ip.src, 0), thing);
        }
        let sweep = self.keyed.one(if tcp { SWEEP_TCP } else { SWEEP_UDP }, ip.dst, ports.src);
        self.tallies.take_back(sweep, self.keyed.one(PORT, ip.src, 0));
    }

    /// Whether so many packets go from one port to another that these are no tries. Who gets them wants them.
    fn is_stream(&mut self, ip: &Ip, ports: Ports, against: &Against<'_>) -> bool {
        let flow = self.keyed.connection((ip.src, ports.src), (ip.dst, ports.dst));
        let is_one = self.rates.add(flow, STREAM_SECONDS, seconds(against.look.time)) > STREAM;
        if is_one {
            let receiver = Ip { src: ip.dst, dst: ip.src, ..*ip };
            self.hear(&receiver, Ports { src: ports.dst, dst: ports.src }, against);
        }
        is_one
    }

    /// A port of a host was tried.
    fn probed(&mut self, ip: &Ip, Probe { way, ports }: Probe, against: &Against<'_>, found: &mut Found) {
        if self.accused.are_wanted() {
            found.bans.extend(self.accused.goes_on(ip.src, against));
        }
        if way == Way::Udp && self.is_stream(ip, ports, against) {
            return;
        }
        let Settings { scan_ports, scan_seconds, scan_network_ports, sweep_hosts, sweep_seconds, .. } =
            *against.settings;
        let (who, thing) = (self.keyed.one(PORT, ip.src, 0), self.keyed.item(ports.dst.into()));
        let key = self.keyed.pair(way.number(), ip.src, ip.dst, 0);
        let of_ours = against.look.direction == Direction::Outgoing && way.is_file_sharing();
        let limit = if of_ours { Limit::of_file_sharing } else { Limit::of }(way.scan(), scan_ports);
        if let Some(news) = self.tried(&Try { key, thing, who, window: scan_seconds }, &limit, against) {
            let ports = if way.is_never_honest() { "ports" } else { "closed or blocked ports" };
            let words = format!("{} tried {} {ports} of {}", ip.src, news.things, ip.dst);
            self.blame(ip.src, &news, &words, against, found);
        } else if !self.incidents.goes_on(key, against.look.time) {
            let key = self.keyed.pair(OF_NETWORK | way.number(), network(ip.src), ip.dst, 0);
            let limit = Limit { who: FEWEST_SOURCES, ..Limit::of(Alert::ScanDistributed, scan_network_ports) };
            if let Some(news) = self.tried(&Try { key, thing, who, window: scan_seconds }, &limit, against) {
                let prefix = if ip.src.is_ipv4() { 24 } else { 64 };
                let sources = network(ip.src);
                let words = format!("sources of {sources}/{prefix} tried {} ports of {}", news.things, ip.dst);
                found.findings.push(tell(&news, &words));
            }
        }
        let (what, alert, name) = match way {
            Way::Syn { .. } => (SWEEP_TCP, Alert::SweepTcp, "tcp"),
            Way::Udp if probe::is_service_of_udp(ports.dst) => (SWEEP_UDP, Alert::SweepUdp, "udp"),
            _ => return,
        };
        let key = self.keyed.one(what, ip.src, ports.dst);
        let thing = self.keyed.one(PORT, ip.dst, 0);
        let is_service =
            way == Way::Udp || ports.dst < FIRST_CLIENT_PORT || attempts(ports.dst, against.settings).is_some();
        let limit = if is_service { Limit::of } else { Limit::of_file_sharing }(alert, sweep_hosts);
        if let Some(news) = self.tried(&Try { key, thing, who, window: sweep_seconds }, &limit, against) {
            let words = format!("{} tried port {}/{name} of {} hosts", ip.src, ports.dst, news.things);
            self.blame(ip.src, &news, &words, against, found);
        }
    }

    /// A SYN to a port, open or not. Whether it is part of a flood.
    fn opens(&mut self, ip: &Ip, ports: Ports, against: &Against<'_>, found: &mut Found) -> bool {
        if against.look.direction == Direction::Outgoing {
            return false;
        }
        let key = self.keyed.one(FLOOD_SYN, ip.dst, ports.dst);
        let limit = against.settings.flood_packets;
        if let Some(news) = self.too_many(key, Alert::FloodSyn, limit, 1, against) {
            let words = format!("more than {limit} SYN segments a second to {} port {}", ip.dst, ports.dst);
            found.findings.push(tell(&news, &words));
        }
        if self.incidents.goes_on(key, against.look.time) {
            return true;
        }
        self.guesses(ip, ports, against, found);
        false
    }

    fn udp(&mut self, ip: &Ip, ports: Ports, against: &Against<'_>, found: &mut Found) {
        let refused = || self.refusals.may_be(ip.dst) && self.refusals.knows(ip.dst, ports.dst, against.look.time);
        let unasked = match against.look.state {
            State::New | State::Invalid => true,
            State::Original => refused(),
            _ => false,
        };
        if !unasked || against.look.direction == Direction::Outgoing {
            return;
        }
        let flood = against.settings.flood_packets;
        if let Some(news) = self.too_many(self.keyed.one(FLOOD_UDP, ip.dst, 0), Alert::FloodUdp, flood, 1, against) {
            found
                .findings
                .push(tell(&news, &format!("more than {flood} unsolicited UDP packets a second to {}", ip.dst)));
        }
        let answer = ports.src == DNS && ports.dst >= FIRST_CLIENT_PORT;
        if answer && !self.spoken.knows(self.port(ip.dst, ip.protocol, ports.dst)) {
            let Settings { dns_answers, dns_seconds, .. } = *against.settings;
            let key = self.keyed.one(DNS_ANSWERS, ip.dst, 0);
            if let Some(news) = self.too_many(key, Alert::DnsUnsolicited, dns_answers, dns_seconds, against) {
                let words = format!("DNS answers to {} that nobody asked for, the last from {}", ip.dst, ip.src);
                found.findings.push(tell(&news, &words));
            }
        }
    }

    fn icmp(&mut self, ip: &Ip, icmp: Icmp, against: &Against<'_>, found: &mut Found) {
        let Some(message) = probe::message(ip, icmp, against.look.state) else { return };
        if against.look.direction != Direction::Outgoing {
            let flood = against.settings.flood_packets;
            let key = self.keyed.one(FLOOD_ICMP, ip.dst, 0);
            if let Some(news) = self.too_many(key, Alert::FloodIcmp, flood, 1, against) {
                found.findings.push(tell(&news, &format!("more than {flood} ICMP messages a second to {}", ip.dst)));
            }
        }
        if message == Message::Echo {
            let (key, thing) = (self.keyed.one(SWEEP_ICMP, ip.src, 0), self.keyed.one(PORT, ip.dst, 0));
            let limit = Limit::of(Alert::SweepIcmp, against.settings.sweep_hosts);
            let tried = Try { key, thing, who: 0, window: against.settings.sweep_seconds };
            if let Some(news) = self.tried(&tried, &limit, against) {
                found.findings.push(tell(&news, &format!("{} sent echo requests to {} hosts", ip.src, news.things)));
            }
        }
    }

    /// Counts a try with the others of its tally. The incident that it begins, or makes news of.
    fn tried(&mut self, tried: &Try, limit: &Limit, against: &Against<'_>) -> Option<News> {
        let now = against.look.time;
        if !against.settings.wants(limit.alert) {
            return None;
        }
        if let Ok(news) = self.incidents.add(tried.key, tried.thing, now) {
            return news;
        }
        let count = self.tallies.add(tried, seconds(now))?;
        let waits = may_be_answered(limit.alert, against.look.direction) && count.things < limit.at_once;
        let is_burst = waits && count.settled < limit.things / 2;
        if count.things < limit.things || is_burst || count.who < limit.who {
            return None;
        }
        self.tallies.forget(tried.key);
        let (things, window) = (count.things, tried.window);
        let beginning =
            Beginning { alert: limit.alert, packets: things.into(), things, seconds: count.seconds, window };
        self.incidents.begin(tried.key, &beginning, now)
    }

    /// Counts one more of something. The incident that it begins, or makes news of, beyond `limit` in `span` seconds.
    fn too_many(&mut self, key: u64, alert: Alert, limit: u32, span: u32, against: &Against<'_>) -> Option<News> {
        let now = against.look.time;
        let count = self.rates.add(key, span, seconds(now));
        if count <= limit || !against.settings.wants(alert) {
            return None;
        }
        if let Ok(news) = self.incidents.add(key, 0, now) {
            return news;
        }
        let beginning = Beginning { alert, packets: count.into(), things: 0, seconds: 0, window: span };
        self.incidents.begin(key, &beginning, now)
    }

    /// Something happened that is an incident at once.
    fn happened(&mut self, key: u64, alert: Alert, against: &Against<'_>) -> Option<News> {
        let now = against.look.time;
        if !against.settings.wants(alert) {
            return None;
        }
        if let Ok(news) = self.incidents.add(key, 0, now) {
            return news;
        }
        self.incidents.begin(key, &Beginning { alert, packets: 1, things: 1, seconds: 0, window: 0 }, now)
    }
}

/// Whether answers to what goes this way may be under way: to what this machine sends, and to what somebody behind it
/// asks of many hosts.
fn may_be_answered(alert: Alert, direction: Direction) -> bool {
    let is_sweep = matches!(alert, Alert::SweepTcp | Alert::SweepUdp | Alert::SweepIcmp);
    direction == Direction::Outgoing || is_sweep && direction == Direction::Forwarded
}

fn is_for_many(dst: IpAddr) -> bool {
    dst.is_multicast() || matches!(dst, IpAddr::V4(dst) if dst.is_broadcast())
}

/// The finding that an incident's news are, in words.
#[cold]
fn tell(news: &News, words: &str) -> Finding {
    let &News { alert, number, packets, lasted, is_new, .. } = news;
    let since = if is_new { "in" } else { "going on for" };
    let reason = format!("{words} ({packets} packets, {since} {:.1} s)", lasted.as_secs_f64());
    Finding { alert, incident: number, packets, is_new, reason }
}
