//! Three answers held against each other: the engine's, the kernel's, the log's.

use super::ground::{Frames, Happening, INNER_PORT, LAN4, LAN6, PUBLISHED_PORT, identification, packet_of};
use super::lines::{Key, Line};
use crate::world::{HOST4, HOST6};
use pfw::engine::{Context, Decision, Direction, Engine, Limits, Matcher, State};
use pfw::host::Host;
use pfw::nflog::Hook;
use pfw::packet::{Ip, Malformed, Net, Packet, Ports, Tcp, TcpFlags, Transport};
use pfw::time::Timestamp;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

/// A packet in three answers.
#[derive(Debug)]
pub struct Verdict {
    pub happening: Happening,
    pub decision: Decision,
    pub rule: String,
    /// A rule of its rule set rejects.
    pub rejects: bool,
    /// Why the engine may say otherwise than the kernel.
    pub cause: Option<&'static str>,
}

/// A line that there must be.
#[derive(Clone, Debug)]
pub struct Expected {
    pub key: Key,
    /// `allowed`, `blocked` or `anomaly`.
    pub verdict: &'static str,
    /// `None` where the packet never came far enough to have one.
    pub direction: Option<&'static str>,
    /// The rule that the engine names, where kernel and engine agree.
    pub rule: Option<String>,
    /// The log may say that the prediction was another.
    pub explained: bool,
    /// It may be missing.
    pub optional: bool,
    /// A rule of its rule set rejects.
    pub rejects: bool,
}

impl Expected {
    /// Of a packet that reached the firewall.
    fn new(verdict: &Verdict, key: Key, word_of_verdict: &'static str) -> Self {
        let same = verdict.decision.allows() == verdict.happening.through;
        let direction = direction(&verdict.happening);
        Self {
            key,
            verdict: word_of_verdict,
            direction: Some(word(direction)),
            rule: (same && verdict.cause.is_none()).then(|| verdict.rule.clone()),
            explained: verdict.cause.is_some(),
            optional: false,
            rejects: verdict.rejects,
        }
    }

    /// Of one that never did.
    fn of_unreached(ip: &Ip, verdict: &'static str) -> Self {
        Self {
            key: Key::of(ip),
            verdict,
            direction: None,
            rule: None,
            explained: true,
            optional: false,
            rejects: false,
        }
    }
}

/// A disagreement, in words.
pub type Complaint = String;

/// The engine, as the test runs it beside pfw's.
pub struct Judge {
    engine: Engine,
    /// A rule of the rule set in force rejects.
    pub rejects: bool,
    /// Far ends of flows to the published port.
    published: HashSet<(IpAddr, Option<u16>)>,
}

impl Judge {
    pub fn new() -> Self {
        Self { engine: Engine::new(Limits::default()), rejects: false, published: HashSet::new() }
    }

    /// A forwarded packet as it was before its addresses were translated, if they were.
    fn untranslated(&mut self, happening: &Happening, arrived: &HashMap<u32, Ip>) -> Option<Ip> {
        if happening.hook != Hook::Forward {
            return None;
        }
        let own = |v4: &str, v6: &str| -> IpAddr {
            (if happening.ip.src.is_ipv4() { v4 } else { v6 }).parse().expect("an address")
        };
        let inner = own(LAN4, LAN6);
        let (from, to) = ends(&happening.ip);
        let is_reply = happening.state == 'R';
        if is_reply
            && from == Some(INNER_PORT)
            && happening.ip.src == inner
            && self.published.contains(&(happening.ip.dst, to))
        {
            return Some(Ip { src: own(HOST4, HOST6), ..from_port(happening.ip, PUBLISHED_PORT) });
        }
        let before = *arrived.get(&happening.id)?;
        let is_other = (before.src, before.dst, ends(&before)) != (happening.ip.src, happening.ip.dst, (from, to));
        if is_other && ends(&before).1 == Some(PUBLISHED_PORT) {
            self.published.insert((before.src, ends(&before).0));
        }
        is_other.then_some(before)
    }

    /// The engine's answers to what reached the firewall, in the order in which it did.
    pub fn decide(
        &mut self,
        matcher: &Matcher,
        happenings: Vec<Happening>,
        frames: &Frames,
        name: impl Fn(u32) -> String,
    ) -> Vec<Verdict> {
        let mut verdicts: Vec<Verdict> = Vec::new();
        let read = |frame: &Vec<u8>| match packet_of(frame)? {
            (bytes, Packet { net: Net::Ip(ip), .. }) => {
                Some((identification(bytes), ip)).filter(|(_, ip)| is_first(ip))
            }
            _ => None,
        };
        let arrived: HashMap<u32, Ip> = frames.to_host.iter().filter_map(read).collect();
        for happening in happenings {
            if happening.loopback && happening.hook == Hook::Input && arrive(&mut verdicts, &happening) {
                continue;
            }
            let context = Context {
                direction: direction(&happening),
                interface: matcher.interface_class(&name(happening.interface)),
                time: Timestamp::now(),
            };
            let mut decision = self.engine.decide(matcher, &happening.ip, &context);
            // Forwarded packets are judged in both forms.
            if let Some(before) = self.untranslated(&happening, &arrived).filter(|_| decision.allows()) {
                decision = Engine::new(Limits::default()).decide(matcher, &before, &context);
            }
            let rule = matcher.rules()[decision.rule.0 as usize].id.to_string();
            let cause = cause(&happening, &decision, self.rejects);
            verdicts.push(Verdict { happening, decision, rule, rejects: self.rejects, cause });
        }
        verdicts
    }
}

fn ends(ip: &Ip) -> (Option<u16>, Option<u16>) {
    match ip.transport {
        Transport::Tcp(Tcp { ports, .. }) | Transport::Udp(ports) => (Some(ports.src), Some(ports.dst)),
        _ => (None, None),
    }
}

/// Whether it has a transport header, if it has any.
fn is_first(ip: &Ip) -> bool {
    ip.fragment.is_none_or(|fragment| fragment.offset == 0)
}

fn from_port(ip: Ip, port: u16) -> Ip {
    let transport = match ip.transport {
        Transport::Tcp(tcp) => Transport::Tcp(Tcp { ports: Ports { src: port, ..tcp.ports }, ..tcp }),
        Transport::Udp(ports) => Transport::Udp(Ports { src: port, ..ports }),
        other => other,
    };
    Ip { transport, ..ip }
}

/// Joins a packet that arrives by loopback with what was sent: it is judged once, and blocked if either passage blocks.
/// Fragments can arrive as the datagram that they make. Whether it was sent by loopback.
fn arrive(verdicts: &mut Vec<Verdict>, arrived: &Happening) -> bool {
    let sent = |one: &Verdict| {
        let Happening { loopback, hook, through, ip, id, .. } = &one.happening;
        let same = *ip == arrived.ip || ip.fragment.is_some() && arrived.ip.fragment.is_none();
        let ends = (ip.src, ip.dst, *id) == (arrived.ip.src, arrived.ip.dst, arrived.id);
        *loopback && *hook == Hook::Output && *through && same && ends
    };
    let whole = |one: &Verdict| one.happening.ip.fragment.is_none();
    let Some(first) =
        verdicts.iter().rposition(|one| sent(one) && whole(one)).or_else(|| verdicts.iter().position(sent))
    else {
        return false;
    };
    if !whole(&verdicts[first]) && arrived.ip.fragment.is_none() {
        let mut place = 0;
        verdicts.retain(|one| {
            place += 1;
            place - 1 == first || !sent(one)
        });
        verdicts[first].happening.ip = arrived.ip;
    }
    let Verdict { happening, decision, rejects, cause, .. } = &mut verdicts[first];
    happening.hook = Hook::Input;
    happening.through = arrived.through;
    *cause = self::cause(happening, decision, *rejects);
    true
}

fn direction(happening: &Happening) -> Direction {
    match happening.hook {
        _ if happening.loopback => Direction::Loopback,
        Hook::Forward => Direction::Forwarded,
        Hook::Output | Hook::PostRouting => Direction::Outgoing,
        Hook::Input | Hook::PreRouting => Direction::Incoming,
    }
}

pub fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => "incoming",
        Direction::Outgoing => "outgoing",
        Direction::Loopback => "loopback",
        Direction::Forwarded => "forwarded",
    }
}

/// What only conntrack knows, by the names of the contract.
fn cause(happening: &Happening, decision: &Decision, rejects: bool) -> Option<&'static str> {
    let engine = match decision.state {
        State::New | State::Original => 'N',
        State::Reply => 'R',
        State::Related => 'L',
        State::Invalid => 'I',
        State::Untracked => 'U',
    };
    let left = happening.loopback && happening.hook == Hook::Output && happening.through;
    if left && happening.ip.fragment.is_some() {
        // It waits for the rest of its datagram, so far.
        return Some("incomplete datagram");
    }
    let kernel = if matches!(happening.state, 'O' | 'F') { 'N' } else { happening.state };
    match (kernel, engine) {
        ('-', _) => None,
        // What answers an INVALID packet can't be told from what a reject answers it with.
        ('I', 'I') if rejects && (happening.loopback || happening.hook == Hook::Output) && is_reset(&happening.ip) => {
            Some("invalid")
        }
        (kernel, engine) if kernel == engine => None,
        ('I', _) => Some("invalid"),
        ('U', _) => Some("untracked"),
        ('N', 'I') => Some("kernel new, engine invalid"),
        ('N', 'R') => Some("kernel new, engine reply"),
        ('N', 'L') => Some("kernel new, engine related"),
        ('N', _) => Some("kernel new, engine untracked"),
        ('R', 'N') => Some("kernel reply, engine new"),
        ('R', _) => Some("kernel reply, engine other"),
        // Of the rules that reject only the kernel tells what it has answered.
        ('L', 'I') if rejects => Some("reject-answer"),
        ('L', _) => Some("kernel related, engine other"),
        _ => Some("other"),
    }
}

fn is_reset(ip: &Ip) -> bool {
    matches!(ip.transport, Transport::Tcp(tcp) if tcp.flags.has(TcpFlags::RST))
}

/// Causes that the contract names.
pub const NAMED: [&str; 4] = ["incomplete datagram", "invalid", "reject-answer", "untracked"];

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Happening { ip, state, through, bytes, .. } = &self.happening;
        let kernel = if *through { "let it through" } else { "dropped it" };
        let Decision { action, state: believed, .. } = self.decision;
        let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let direction = word(direction(&self.happening));
        write!(
            f,
            "{direction} {ip:?}\n    the kernel {kernel} (state {state}), the engine says {action:?} by {} (state {believed:?}, {})\n    {hex}",
            self.rule,
            self.cause.unwrap_or("the same state")
        )
    }
}

impl Verdict {
    /// Whether engine and kernel say the same, or the contract says why not.
    pub fn agrees(&self) -> bool {
        self.decision.allows() == self.happening.through || self.cause.is_some_and(|cause| NAMED.contains(&cause))
    }
}

/// The lines that there must be, and those that there may be.
pub fn expected(verdicts: &[Verdict], frames: &Frames, host: &Host, translates: bool) -> Vec<Expected> {
    let mut account = Account { host, translates, verdicts, told: vec![false; verdicts.len()], all: Vec::new() };
    let packets = |frames: &[Vec<u8>]| -> Vec<(u32, Packet)> {
        let read = |frame: &Vec<u8>| packet_of(frame).map(|(bytes, packet)| (identification(bytes), packet));
        frames.iter().filter_map(read).collect()
    };
    for (id, packet) in packets(&frames.to_host) {
        account.arrived(id, &packet);
    }
    account.dropped();
    account.forwarded();
    account.told.fill(false);
    for frames in [&frames.from_host, &frames.on_loopback] {
        for (id, packet) in packets(frames) {
            account.left(id, &packet);
        }
    }
    account.all
}

/// Lines that are gathered.
struct Account<'a> {
    host: &'a Host,
    /// Whether it translates addresses.
    translates: bool,
    verdicts: &'a [Verdict],
    /// Packets that have their frame.
    told: Vec<bool>,
    all: Vec<Expected>,
}

impl Account<'_> {
    /// A frame came to the host.
    fn arrived(&mut self, id: u32, packet: &Packet) {
        let Net::Ip(ip) = &packet.net else { return };
        let place =
            self.find(id, ip, |happening| matches!(happening.hook, Hook::Input | Hook::Forward) && !happening.loopback);
        let Some(place) = place else {
            // No rule has dropped what never came to one. What was on its way through has no line then, and behind a
            // translation nobody knows what was.
            let discarded = packet.malformed.is_some_and(Malformed::discarded_by_kernel);
            let through = is_for_another(ip.dst, self.host) || self.translates;
            let unreached = Expected::of_unreached(ip, if discarded { "anomaly" } else { "allowed" });
            return self.all.push(Expected { optional: through, ..unreached });
        };
        if self.verdicts[place].happening.hook == Hook::Forward {
            // The kernel's reports tell of those.
            self.told[place] = true;
            return;
        }
        let first = !std::mem::replace(&mut self.told[place], true);
        let verdict = &self.verdicts[place];
        if verdict.happening.through {
            self.all.push(Expected::new(verdict, Key::of(ip), "allowed"));
        } else if first {
            self.all.push(Expected::new(verdict, Key::of(&verdict.happening.ip), "blocked"));
        }
    }

    /// What was on its way through: each that was dropped, and the first of each flow, or what belongs to none.
    fn forwarded(&mut self) {
        for verdict in self.verdicts.iter().filter(|verdict| verdict.happening.hook == Hook::Forward) {
            let Happening { ip, state, through, .. } = &verdict.happening;
            if !through {
                self.all.push(Expected::new(verdict, Key::of(ip), "blocked"));
            } else if matches!(state, 'F' | 'I' | 'U') {
                self.all.push(Expected::new(verdict, Key::of(ip), "allowed"));
            }
        }
    }

    /// What was dropped and came by no wire: what the host sends, and copies of what it sends to many.
    fn dropped(&mut self) {
        for (verdict, told) in self.verdicts.iter().zip(&self.told) {
            if !verdict.happening.through && !told && verdict.happening.hook != Hook::Forward {
                self.all.push(Expected::new(verdict, Key::of(&verdict.happening.ip), "blocked"));
            }
        }
    }

    /// A frame left the host, or went round on loopback.
    fn left(&mut self, id: u32, packet: &Packet) {
        let Net::Ip(ip) = &packet.net else { return };
        let passed = |happening: &Happening| match happening.hook {
            // What went round can be dropped where it arrives.
            Hook::Input => happening.loopback,
            _ => happening.through,
        };
        let Some(place) = self.find(id, ip, passed) else {
            return self.all.push(Expected::of_unreached(ip, "allowed"));
        };
        self.told[place] = true;
        let verdict = &self.verdicts[place];
        if verdict.happening.through && verdict.happening.hook != Hook::Forward {
            self.all.push(Expected::new(verdict, Key::of(ip), "allowed"));
        }
    }

    /// The packet that a frame is, or is a part of.
    fn find(&self, id: u32, ip: &Ip, wanted: impl Fn(&Happening) -> bool) -> Option<usize> {
        self.verdicts.iter().zip(&self.told).position(|(Verdict { happening, .. }, &told)| {
            wanted(happening)
                && happening.id == id
                && is_part(ip, &happening.ip, happening.hook)
                && (!told || ip.fragment.is_some())
        })
    }
}

/// Whether a packet to this address can only be on its way through.
fn is_for_another(dst: IpAddr, host: &Host) -> bool {
    let to_many = dst.is_multicast() || ["255.255.255.255", "10.77.0.255"].contains(&dst.to_string().as_str());
    host.forwards_v4 && !to_many && !host.owns(dst)
}

/// Whether a packet at a wire is a packet at a hook, or a part of it. Translation changes ends between the two.
fn is_part(at_wire: &Ip, at_hook: &Ip, hook: Hook) -> bool {
    let translated = hook == Hook::Forward;
    let same_ends = translated || (at_wire.src, at_wire.dst) == (at_hook.src, at_hook.dst);
    let same_transport = translated || at_wire.transport == at_hook.transport;
    match at_wire.fragment {
        None => same_ends && same_transport && at_wire.len == at_hook.len,
        Some(_) => same_ends && (at_hook.fragment.is_none() || at_hook.fragment == at_wire.fragment),
    }
}

/// Holds the lines that are there against those that must be.
pub fn compare(expected: &[Expected], lines: &[Line]) -> Vec<Complaint> {
    let mut by_key: BTreeMap<Key, (Vec<&Expected>, Vec<&Line>)> = BTreeMap::new();
    for one in expected {
        by_key.entry(one.key).or_default().0.push(one);
    }
    for one in lines {
        by_key.entry(one.key).or_default().1.push(one);
    }
    by_key.values().flat_map(|(expected, lines)| of_one_key(expected, lines)).collect()
}

fn of_one_key(expected: &[&Expected], lines: &[&Line]) -> Vec<Complaint> {
    // Packets that look the same may be told in any order.
    let mut left: Vec<&Line> = lines.iter().copied().filter(|line| line.verdict != "anomaly").collect();
    let mut anomalies = lines.len() - left.len();
    let mut complaints = Vec::new();
    for one in expected {
        if one.verdict == "anomaly" {
            if anomalies == 0 {
                complaints.push(format!("no anomaly line: {one:?}"));
            }
            anomalies = anomalies.saturating_sub(1);
            continue;
        }
        let fits =
            |line: &&Line| line.verdict == one.verdict && one.direction.is_none_or(|word| word == line.direction);
        match left.iter().position(|line| fits(line) && rule_fits(one, line)) {
            Some(place) => {
                left.remove(place);
            }
            None if one.optional => {}
            None => match left.iter().position(fits) {
                Some(place) => {
                    let line = left.remove(place);
                    complaints.push(format!("another rule or reason: {one:?}\n    {}", line.text));
                }
                None => complaints.push(format!("no such line: {one:?}")),
            },
        }
    }
    complaints.extend(left.iter().map(|line| format!("a line too many: {}", line.text)));
    complaints
}

fn rule_fits(expected: &Expected, line: &Line) -> bool {
    if line.reason.contains("fragment without its first") || line.is_judged_late() {
        return true;
    }
    let surprised = line.reason.contains("by the kernel");
    if surprised && !expected.explained {
        // What came before its first fragment was foretold without it.
        return line.is_later_fragment();
    }
    // Resets and errors that follow on a rejected packet can't be told from its answer.
    if line.rule == "guard:reject-answer" {
        return expected.rejects && line.is_reset_or_unreachable();
    }
    // On its way out a datagram is judged whole by the kernel, in parts at the tap.
    if line.is_fragment() && line.verdict == "allowed" {
        return true;
    }
    // A long list goes by its own name in the kernel, by its entry in the prediction.
    expected.rule.as_ref().is_none_or(|rule| rule.starts_with(&line.rule) || line.rule.starts_with(rule))
}
