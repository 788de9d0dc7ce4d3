//! The lines that there must be, by what the kernel did and what the wires saw, held against those that there are.

use super::ground::{Frames, Happening, LAN4, LAN6, LED_TO, identification, is_for_another, packet_of};
use super::judge::{Verdict, direction, word};
use super::lines::{Key, Line};
use super::traffic::address;
use crate::world::{HOST4, HOST6};
use pfw::engine::{Direction, Step};
use pfw::host::Host;
use pfw::nflog::Hook;
use pfw::packet::{Ip, Net, Packet, Ports};
use std::collections::BTreeMap;
use std::net::IpAddr;

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
    /// One that names it as well, in another form of the packet.
    pub or_rule: Option<String>,
    /// What conntrack called it, for who reads a complaint.
    pub state: char,
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
        // What was dropped is told by the rule that did it, what was not by the state that it was taken to be in.
        let is_told = verdict.cause.is_none() && !(verdict.late && verdict.happening.through);
        let direction = direction(&verdict.happening);
        Self {
            key,
            verdict: word_of_verdict,
            direction: Some(word(direction)),
            rule: (same && is_told).then(|| verdict.rule.clone()),
            or_rule: verdict.or_rule.clone(),
            state: verdict.happening.state,
            explained: verdict.cause.is_some() || verdict.late,
            optional: false,
            rejects: verdict.rejects,
        }
    }

    /// Of one that never did.
    fn of_unreached(ip: &Ip, verdict: &'static str, rejects: bool) -> Self {
        Self {
            key: Key::of(ip),
            verdict,
            direction: None,
            rule: None,
            or_rule: None,
            state: '-',
            explained: true,
            optional: false,
            rejects,
        }
    }
}

/// A disagreement, in words.
pub type Complaint = String;

/// The lines that there must be, and those that there may be.
pub fn expected(verdicts: &[Verdict], frames: &Frames, host: &Host, translates: bool) -> Vec<Expected> {
    let rejects = verdicts.iter().any(|verdict| verdict.rejects);
    let mut account =
        Account { host, translates, rejects, verdicts, told: vec![false; verdicts.len()], all: Vec::new() };
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
    for (frames, direction) in [(&frames.from_host, Direction::Outgoing), (&frames.on_loopback, Direction::Loopback)] {
        for (id, packet) in packets(frames) {
            account.left(id, &packet, direction);
        }
    }
    account.all
}

/// Lines that are gathered.
struct Account<'a> {
    host: &'a Host,
    /// Whether it translates addresses.
    translates: bool,
    /// A rule of its rule set rejects.
    rejects: bool,
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
            let discarded = packet.malformed.is_some_and(|fault| fault.discarded_by_kernel() || fault.is_unreadable());
            let through = is_for_another(ip.dst, self.host) || self.translates;
            let unreached = Expected::of_unreached(ip, if discarded { "anomaly" } else { "allowed" }, self.rejects);
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
            // A datagram in fragments, and what was led here, as the kernel reports it, a packet as it came.
            let as_reported = ip.fragment.is_some() || ip.dst != verdict.happening.ip.dst;
            let told = if as_reported { &verdict.happening.ip } else { ip };
            self.all.push(Expected::new(verdict, Key::of(told), "blocked"));
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

    /// A frame left the host, or went round on loopback. What it was when it was judged does not tell which: it can have
    /// been translated by then.
    fn left(&mut self, id: u32, packet: &Packet, direction: Direction) {
        let Net::Ip(ip) = &packet.net else { return };
        let passed = |happening: &Happening| match happening.hook {
            // What went round can be dropped where it arrives.
            Hook::Input => happening.loopback,
            _ => happening.through,
        };
        let Some(place) = self.find(id, ip, passed) else {
            return self.all.push(Expected::of_unreached(ip, "allowed", self.rejects));
        };
        self.told[place] = true;
        let verdict = &self.verdicts[place];
        if verdict.happening.through && verdict.happening.hook != Hook::Forward {
            let allowed = Expected::new(verdict, Key::of(ip), "allowed");
            // Where another connection has the ends already, the kernel gives one that goes round on loopback another port
            // behind the rules: then the tap sees other ends than they, and nobody tells which.
            let moved = self.translates && direction == Direction::Loopback && verdict.decision.step == Step::Reply;
            let rule = allowed.rule.clone().filter(|_| !moved);
            self.all.push(Expected { direction: Some(word(direction)), rule, ..allowed });
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

/// Whether a packet has this length, or had it before the kernel took the header of an only fragment out.
fn is_len(at_wire: &Ip, len: u32) -> bool {
    at_wire.len == len || at_wire.src.is_ipv6() && at_wire.len == len + 8
}

/// Whether a packet at a wire is a packet at a hook, or a part of it. Translation changes ends between the two.
fn is_part(at_wire: &Ip, at_hook: &Ip, hook: Hook) -> bool {
    let at_wire = &led(at_wire, at_hook, hook).unwrap_or(*at_wire);
    let translated = hook == Hook::Forward;
    let same_ends = translated || (at_wire.src, at_wire.dst) == (at_hook.src, at_hook.dst);
    let same_transport = translated || at_wire.transport == at_hook.transport;
    match at_wire.fragment {
        None => same_ends && same_transport && is_len(at_wire, at_hook.len),
        Some(_) => same_ends && (at_hook.fragment.is_none() || at_hook.fragment == at_wire.fragment),
    }
}

/// A packet at a wire as it may be at a hook: what was sent to the third host can be led to this one, and the answer to it
/// leaves as if it were from there.
fn led(at_wire: &Ip, at_hook: &Ip, hook: Hook) -> Option<Ip> {
    let is_led = |asked: IpAddr, here: IpAddr| {
        [(LAN4, HOST4), (LAN6, HOST6)].map(|(lan, host)| (address(lan), address(host))).contains(&(asked, here))
    };
    match hook {
        Hook::Input if at_wire.src == at_hook.src && is_led(at_wire.dst, at_hook.dst) => {
            let transport = at_wire.transport.with_ports(|ports| Ports { dst: LED_TO, ..ports });
            Some(Ip { dst: at_hook.dst, transport, ..*at_wire })
        }
        Hook::Output if at_wire.dst == at_hook.dst && is_led(at_wire.src, at_hook.src) => {
            let transport = at_wire.transport.with_ports(|ports| Ports { src: LED_TO, ..ports });
            Some(Ip { src: at_hook.src, transport, ..*at_wire })
        }
        _ => None,
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
    // Of those that look the same, what fewest lines suit comes first: else one that any line suits takes the only line that
    // suits another.
    let mut expected = expected.to_vec();
    expected.sort_by_key(|one| (one.rule.is_none(), one.direction.is_none()));
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
                None => complaints.push(format!("no such line (conntrack calls it {}): {one:?}", one.state)),
            },
        }
    }
    complaints.extend(left.iter().map(|line| format!("a line too many: {}", line.text)));
    complaints
}

fn rule_fits(expected: &Expected, line: &Line) -> bool {
    // What came before its first fragment was foretold without it.
    let surprised = ["fragment without its first", "by the kernel"].iter().any(|words| line.reason.contains(words));
    if surprised && !expected.explained {
        return line.is_later_fragment();
    }
    // Resets and errors that follow on a rejected packet can't be told from its answer.
    if line.rule == "guard:reject-answer" {
        return expected.rejects && line.is_reset_or_unreachable();
    }
    // On its way out a datagram is judged whole by the kernel, in parts at the tap.
    if line.is_fragment() && line.verdict == "allowed" && (line.direction != "incoming" || line.is_later_fragment()) {
        return true;
    }
    // A long list goes by its own name in the kernel, by its entry in the prediction.
    let names = |rule: &String| rule.starts_with(&line.rule) || line.rule.starts_with(rule);
    expected.rule.as_ref().is_none_or(names) || expected.or_rule.as_ref().is_some_and(names)
}
