//! Three answers held against each other: the engine's, the kernel's, the log's.

use super::ground::{Frames, Happening, INNER_PORT, LAN4, LAN6, LED_TO, PUBLISHED_PORT, identification, packet_of};
use super::traffic::address;
use crate::world::{HOST4, HOST6};
use pfw::conntrack::Ends;
use pfw::engine::{Context, Decision, Direction, Engine, Limits, Matcher, State, Step};
use pfw::nflog::Hook;
use pfw::packet::{Ip, Net, Packet, Ports, Tcp, TcpFlags, Transport};
use pfw::time::Timestamp;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

/// A packet in three answers.
#[derive(Debug)]
pub struct Verdict {
    pub happening: Happening,
    pub decision: Decision,
    pub rule: String,
    /// Another rule of the same step that blocks it in its other form.
    pub or_rule: Option<String>,
    /// A rule of its rule set rejects.
    pub rejects: bool,
    /// Why the engine may say otherwise than the kernel.
    pub cause: Option<&'static str>,
    /// It hangs on its connection, and pfw learns in its own time of a packet of that which was dropped on its way out.
    pub late: bool,
}

/// The engine, as the test runs it beside pfw's.
pub struct Judge {
    engine: Engine,
    /// A rule of the rule set in force rejects.
    pub rejects: bool,
    /// Connections of which conntrack called a packet INVALID and the engine did not: it counts no such packet, so that the
    /// two know different things of what follows.
    apart: HashSet<Ends>,
    /// Connections of which a packet was dropped on its way out, where no tap sees it: the kernel's report of it bears no
    /// time, and is read when later ones have been judged.
    unseen: HashSet<Ends>,
    /// Far ends of flows to the published port.
    published: HashSet<(IpAddr, Option<u16>)>,
    /// The sources that masqueraded flows left with, by their ends.
    masqueraded: HashMap<Ends, (IpAddr, Option<u16>)>,
}

impl Judge {
    pub fn new() -> Self {
        Self {
            engine: Engine::new(Limits::default()),
            rejects: false,
            apart: HashSet::new(),
            unseen: HashSet::new(),
            published: HashSet::new(),
            masqueraded: HashMap::new(),
        }
    }

    /// A forwarded packet as it was before its addresses were translated, if they were, or as it leaves.
    fn untranslated(
        &mut self,
        happening: &Happening,
        arrived: &HashMap<u32, Ip>,
        left: &HashMap<u32, Ip>,
    ) -> Option<Ip> {
        if happening.hook != Hook::Forward {
            return None;
        }
        let masqueraded = self.masqueraded(happening, left);
        if masqueraded.is_some() {
            return masqueraded;
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
        // There is no flow before its first packet has come through.
        if is_other && happening.through && ends(&before).1 == Some(PUBLISHED_PORT) {
            self.published.insert((before.src, ends(&before).0));
        }
        is_other.then_some(before)
    }

    /// A forwarded packet with the source that the first of its flow left with, if that is another than it was sent from. It
    /// is chosen behind all rules, so that they know nothing of it when they see the first.
    fn masqueraded(&mut self, happening: &Happening, left: &HashMap<u32, Ip>) -> Option<Ip> {
        let Happening { ip, id, state, through, .. } = happening;
        let flow = Ends::of_packet(ip)?;
        match state {
            'F' if !through => None,
            'F' => {
                self.masqueraded.remove(&flow);
                let leaving = left.get(id).filter(|leaving| leaving.src != ip.src)?;
                self.masqueraded.insert(flow, (leaving.src, ends(leaving).0));
                None
            }
            'N' | 'O' => {
                let &(src, port) = self.masqueraded.get(&flow)?;
                let ip = Ip { src, ..*ip };
                Some(port.map_or(ip, |port| from_port(ip, port)))
            }
            _ => None,
        }
    }

    /// Why the engine may see a packet in another state than conntrack.
    fn cause(&mut self, happening: &Happening, decision: &Decision) -> Option<&'static str> {
        let cause = cause(happening, decision, self.rejects)?;
        let is_error = matches!(happening.ip.transport, Transport::Icmp(_));
        let is_led = happening.hook == Hook::Input && ends(&happening.ip).1 == Some(LED_TO);
        if (is_led || direction(happening) == Direction::LedAway) && cause == "kernel new, engine reply" {
            return Some(SAME_ENDS);
        }
        let ends = Ends::of_packet(&happening.ip);
        if cause == "invalid" && !is_error {
            self.apart.extend(ends);
        }
        let is_apart = ends.is_some_and(|ends| self.apart.contains(&ends));
        Some(if is_apart && !NAMED.contains(&cause) { BEHIND_INVALID } else { cause })
    }

    /// Whether what pfw makes of a packet hangs on one that it has not heard of.
    fn is_late(&mut self, happening: &Happening, decision: &Decision) -> bool {
        let ends = Ends::of_packet(&happening.ip);
        if happening.hook == Hook::Output && !happening.through {
            self.unseen.extend(ends);
        }
        decision.step >= Step::Reply && ends.is_some_and(|ends| self.unseen.contains(&ends))
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
        let left: HashMap<u32, Ip> = frames.from_host.iter().filter_map(read).collect();
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
            // Forwarded packets are judged in both forms, step by step.
            let mut other = None;
            if let Some(before) = self.untranslated(&happening, &arrived, &left) {
                let hidden = Engine::new(Limits::default()).decide(matcher, &before, &context);
                if decision.allows() || !hidden.allows() && hidden.step < decision.step {
                    decision = hidden;
                } else if !hidden.allows() && hidden.step == decision.step {
                    other = Some(hidden);
                }
            }
            let id = |decision: &Decision| matcher.rules()[decision.rule.0 as usize].id.to_string();
            let (rule, or_rule) = (id(&decision), other.as_ref().map(id));
            let cause = self.cause(&happening, &decision);
            let late = self.is_late(&happening, &decision);
            verdicts.push(Verdict { happening, decision, rule, or_rule, rejects: self.rejects, cause, late });
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
/// Fragments can arrive as the datagram that they make, and a datagram (IPv6) as the fragments that it came in. Whether
/// it was sent by loopback.
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
        return arrived.ip.fragment.is_some() && arrive_in_part(verdicts, arrived);
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
    if *cause != Some(BEHIND_INVALID) {
        *cause = self::cause(happening, decision, *rejects);
    }
    true
}

/// Joins a fragment that arrives with the datagram that was sent; it is a packet of its own from here on.
fn arrive_in_part(verdicts: &mut Vec<Verdict>, arrived: &Happening) -> bool {
    let Happening { ip: part, id, .. } = arrived;
    let is_whole = |one: &&mut Verdict| {
        let Happening { loopback, ip, id: sent, .. } = &one.happening;
        let cut = ip.fragment.is_none() || one.happening.hook == Hook::Input;
        *loopback && cut && (ip.src, ip.dst, sent) == (part.src, part.dst, id)
    };
    let Some(whole) = verdicts.iter_mut().rev().find(is_whole) else { return false };
    let parted = whole.happening.hook == Hook::Input;
    // Nobody ever gets the rest of a datagram whose first fragment was dropped.
    let cut = parted && !whole.happening.through || whole.cause == Some(INCOMPLETE);
    let cause = if cut && arrived.through { Some(INCOMPLETE) } else { whole.cause };
    let judged = Verdict { happening: arrived.clone(), rule: whole.rule.clone(), or_rule: None, cause, ..*whole };
    if parted {
        verdicts.push(judged);
    } else {
        *whole = judged;
    }
    true
}

pub fn direction(happening: &Happening) -> Direction {
    let is_for_lan = [LAN4, LAN6].map(address).contains(&happening.ip.dst);
    match happening.hook {
        Hook::Output if happening.loopback && is_for_lan => Direction::LedAway,
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
        Direction::Loopback | Direction::LedAway => "loopback",
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
    // Where the one rule saw nothing another may have dropped it.
    if happening.cut && matches!(decision.step, Step::Rules | Step::BlockPorts) {
        return Some(NO_HEADER);
    }
    let left = happening.loopback && happening.hook == Hook::Output && happening.through;
    if left && happening.ip.fragment.is_some() {
        // It waits for the rest of its datagram, so far.
        return Some(INCOMPLETE);
    }
    let kernel = if matches!(happening.state, 'O' | 'F') { 'N' } else { happening.state };
    let may_answer = rejects && (happening.loopback || happening.hook == Hook::Output);
    match (kernel, engine) {
        ('-', _) => None,
        // What answers an INVALID packet can't be told from what a reject answers it with.
        ('I', 'I') if may_answer && (is_reset(&happening.ip) || happening.ip.says_port_is_unreachable()) => {
            Some("invalid")
        }
        // Nor an error about a connection from one about what of it was rejected.
        ('L', _) if may_answer && happening.ip.says_port_is_unreachable() => Some("reject-answer"),
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

/// Fragments on loopback of which no datagram becomes, so far or for good.
const INCOMPLETE: &str = "incomplete datagram";

/// Sets of ports see those of whole headers.
const NO_HEADER: &str = "no set of ports sees it";

/// What conntrack makes of a connection of which it found a packet invalid.
const BEHIND_INVALID: &str = "behind an invalid one";

/// A flow that is led here, and one that this host has opened from where that leads to, or one that is led away, and one
/// that was opened there: translated, they have the same ends.
const SAME_ENDS: &str = "two flows of the same ends";

/// Causes that the contract names.
pub const NAMED: [&str; 7] =
    [INCOMPLETE, SAME_ENDS, NO_HEADER, "invalid", BEHIND_INVALID, "reject-answer", "untracked"];

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
