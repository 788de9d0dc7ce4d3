//! The order of decision once more, as a plain walk over the rule set: slow, and obviously right.
//!
//! The compiled [`Matcher`](super::Matcher) is held against it, and it says of each step and rule why it did *not*
//! decide, which is what a user wants explained. Guards and the engine's memory are the same for both.

use super::catalogue::{builtin, guard_number};
use super::decision::{Context, Direction, Hit, State, Step};
use super::guard::{self, Guard};
use super::in_force::Expires;
use super::memory::{Decides, Engine};
use super::peers::ListEntry;
use super::subject::{Header, Passage, Subject};
use crate::host::Host;
use crate::packet::{Ip, Ports};
use crate::rules::address::AddressRange;
use crate::rules::port::PortSet;
use crate::rules::ranges::Ranges;
use crate::rules::{Action, AddressEntry, Condition, Entry, Policy, ProtocolEntry, Rule, RuleDirection, Ruleset};
use crate::time::Timestamp;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A rule set as it is, on a machine, at a time.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a> {
    /// The rules.
    pub rules: &'a Ruleset,
    /// The machine.
    pub host: &'a Host,
    /// Decides what has expired.
    pub now: Timestamp,
}

/// What a plain walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Allow, block or reject.
    pub action: Action,
    /// The step that decided.
    pub step: Step,
    /// The id of the rule that decided.
    pub rule: Arc<str>,
    /// The entry of an address list that decided.
    pub entry: Option<ListEntry>,
    /// The packet's state.
    pub state: State,
    /// A later fragment whose first was not seen.
    pub without_first: bool,
    /// What of the packet hit.
    pub hit: Hit,
    /// What came before, in its order, and why it did not decide. Of a packet on loopback that was let out, this is
    /// the way in.
    pub passed: Vec<Passed>,
}

/// A step or rule that did not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The step.
    pub step: Step,
    /// The rule, where the step has several that are asked one by one.
    pub rule: Option<Arc<str>>,
    /// Why it did not decide.
    pub why: Miss,
}

/// Why a step or rule did not decide: the first of its conditions that is false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// None of its guards is for this packet.
    NoGuard,
    /// There is no panic.
    NoPanic,
    /// No entry in force has the packet's address, port or protocol.
    NotListed,
    /// A block list has the peer, but bulk lists don't act on such an address.
    Spared,
    /// The list has no entry in force.
    Empty,
    /// The packet is no reply.
    NoReply,
    /// It is neither on loopback nor a copy of what this machine sent to many.
    NotLocal,
    /// `"enabled": false`.
    Disabled,
    /// Its time is over.
    Expired,
    /// The rule is for the other direction.
    Direction,
    /// The rule is for other interfaces; on loopback, it does not name `lo`.
    Interface,
    /// Another protocol.
    Protocol,
    /// Another source address.
    Source,
    /// Another destination address.
    Destination,
    /// Another source port, or none to be seen.
    SourcePort,
    /// Another destination port, or none to be seen.
    DestinationPort,
    /// Another ICMP type, or none to be seen.
    IcmpType,
}

impl Decides for Outcome {
    fn action(&self) -> Action {
        self.action
    }
}

/// One walk.
struct Walk<'a> {
    plain: Plain<'a>,
    subject: Subject<'a>,
    passage: Passage,
    interface: &'a str,
    state: State,
    passed: Vec<Passed>,
}

/// What decided.
struct Found {
    action: Action,
    step: Step,
    rule: Arc<str>,
    entry: Option<ListEntry>,
    hit: Hit,
}

impl<'a> Plain<'a> {
    /// Decides on a packet with the memory of `engine`, as [`Engine::decide`] does. The interface goes by its name,
    /// not by the class in `context`.
    pub fn decide(&self, engine: &mut Engine, packet: &Ip, context: &Context, interface: &str) -> Outcome {
        engine.decide_by(packet, context, |&subject, passage, state, without_first| {
            let mut walk = Walk { plain: *self, subject, passage, interface, state, passed: Vec::new() };
            let Found { action, step, rule, entry, hit } =
                if context.direction == Direction::Forwarded { walk.forwarded() } else { walk.own() };
            Outcome { action, step, rule, entry, state, without_first, hit, passed: walk.passed }
        })
    }

    /// The lowest entry in force that `holds`: any of the positive (if there is one) and none of the negated.
    fn listed<T>(&self, list: &'a [Entry<T>], holds: impl Fn(&T) -> bool) -> Option<(usize, &'a Entry<T>)> {
        let active = || list.iter().enumerate().filter(|(_, entry)| entry.in_force(self.now));
        if active().any(|(_, entry)| entry.negated && holds(&entry.value)) {
            return None;
        }
        if active().all(|(_, entry)| entry.negated) {
            return active().next();
        }
        active().find(|(_, entry)| !entry.negated && holds(&entry.value))
    }

    fn protects(&self, address: IpAddr) -> bool {
        let Host { gateways, resolvers, ssh_peers, .. } = self.host;
        address.is_loopback()
            || self.host.owns(address)
            || [gateways, resolvers, ssh_peers].into_iter().any(|known| known.contains(&address))
    }
}

impl Walk<'_> {
    fn own(&mut self) -> Found {
        self.guard_before_lists()
            .or_else(|| self.panic())
            .or_else(|| self.allow_ips(self.peer()))
            .or_else(|| self.block_ips(self.peer()))
            .or_else(|| self.guard_behind_lists())
            .or_else(|| self.block_ports())
            .or_else(|| self.block_protocols())
            .or_else(|| self.reply())
            .or_else(|| self.ordered_rules())
            .or_else(|| self.local())
            .or_else(|| self.allow_protocols())
            .unwrap_or_else(|| self.default_policy())
    }

    fn forwarded(&mut self) -> Found {
        if let Some(guard) = guard::path_mtu(&self.subject) {
            return found_guard(Step::Guard, guard);
        }
        if let Some(panic) = self.panic() {
            return panic;
        }
        for end in [(self.subject.src(), Hit::Source), (self.subject.dst(), Hit::Destination)] {
            if self.allow_ips(end).is_none()
                && let Some(found) = self.block_ips(end)
            {
                return found;
            }
        }
        self.block_ports()
            .or_else(|| self.block_protocols())
            .unwrap_or_else(|| found(Action::Allow, Step::Forwarded, builtin_id(builtin::FORWARDED)))
    }

    fn peer(&self) -> (IpAddr, Hit) {
        match self.passage.direction() {
            RuleDirection::In => (self.subject.src(), Hit::Source),
            RuleDirection::Out => (self.subject.dst(), Hit::Destination),
        }
    }

    fn guard_before_lists(&mut self) -> Option<Found> {
        let guard = guard::before_lists(&self.subject).map(|guard| found_guard(Step::Guard, guard));
        self.or_pass(Step::Guard, Miss::NoGuard, guard)
    }

    fn panic(&mut self) -> Option<Found> {
        let (peer, _) = self.peer();
        let is_own = peer.is_loopback() || self.plain.host.owns(peer);
        let (action, step, rule) = match self.passage {
            Passage::LoopbackIn | Passage::LoopbackOut if is_own => (Action::Allow, Step::Loopback, builtin::LOOPBACK),
            _ => (Action::Block, Step::Panic, builtin::PANIC),
        };
        let panic = self.plain.rules.panic.then(|| found(action, step, builtin_id(rule)));
        self.or_pass(Step::Panic, Miss::NoPanic, panic)
    }

    fn guard_behind_lists(&mut self) -> Option<Found> {
        let guard = guard::behind_lists(&self.subject, self.passage.direction());
        self.or_pass(Step::LinkGuard, Miss::NoGuard, guard.map(|guard| found_guard(Step::LinkGuard, guard)))
    }

    fn allow_ips(&mut self, (address, hit): (IpAddr, Hit)) -> Option<Found> {
        let entry = self.plain.listed(&self.plain.rules.allow_ips, |range| range.contains(address));
        let found = entry.map(|(_, entry)| found_address(Action::Allow, Step::AllowIps, entry, hit));
        self.or_pass(Step::AllowIps, Miss::NotListed, found)
    }

    fn block_ips(&mut self, (address, hit): (IpAddr, Hit)) -> Option<Found> {
        let Plain { rules, now, .. } = self.plain;
        if let Some((_, entry)) = self.plain.listed(&rules.block_ips, |range| range.contains(address)) {
            return Some(found_address(Action::Block, Step::BlockIps, entry, hit));
        }
        let holds = |range: &&AddressRange| range.contains(address);
        let lists = rules.block_lists.iter().filter(|list| list.in_force(now));
        let network = lists.into_iter().find_map(|list| Some((&list.id, *list.networks.iter().find(holds)?)));
        let why = if network.is_some() { Miss::Spared } else { Miss::NotListed };
        let network = network.filter(|_| !self.plain.protects(address)).map(|(id, addresses)| Found {
            action: Action::Block,
            step: Step::BlockIps,
            rule: Arc::clone(id),
            entry: Some(ListEntry { negated: false, addresses }),
            hit,
        });
        self.or_pass(Step::BlockIps, why, network)
    }

    fn block_ports(&mut self) -> Option<Found> {
        let (ports, of): (Ports, fn(&PortSet) -> &Ranges<u16>) = match self.subject.header {
            Header::Tcp(ports) => (ports, |set| &set.tcp),
            Header::Udp(ports) => (ports, |set| &set.udp),
            Header::Icmp { .. } | Header::None => return self.or_pass(Step::BlockPorts, Miss::NotListed, None),
        };
        let listed = |port| self.plain.listed(&self.plain.rules.block_ports, |set| of(set).contains(port));
        let ends = [(ports.dst, Hit::DestinationPort(ports.dst)), (ports.src, Hit::SourcePort(ports.src))];
        let hits = ends.into_iter().filter_map(|(port, hit)| Some((listed(port)?, hit)));
        let first = hits.min_by_key(|&((place, _), _)| place);
        let first = first
            .map(|((_, entry), hit)| Found { hit, ..found(Action::Block, Step::BlockPorts, Arc::clone(&entry.id)) });
        self.or_pass(Step::BlockPorts, Miss::NotListed, first)
    }

    fn block_protocols(&mut self) -> Option<Found> {
        let entry = self.protocol_entry(&self.plain.rules.block_protocols);
        let found = entry.map(|id| found(Action::Block, Step::BlockProtocols, id));
        self.or_pass(Step::BlockProtocols, Miss::NotListed, found)
    }

    fn protocol_entry(&self, list: &[ProtocolEntry]) -> Option<Arc<str>> {
        let protocol = self.subject.protocol;
        let listed = Plain { ..self.plain }.listed(list, |set| set.contains(protocol));
        listed.map(|(_, entry)| Arc::clone(&entry.id))
    }

    fn reply(&mut self) -> Option<Found> {
        let reply = match self.state {
            State::Reply => Some(Found {
                hit: Hit::Direction(self.passage.direction()),
                ..found(Action::Allow, Step::Reply, builtin_id(builtin::REPLY))
            }),
            State::Related => Some(found(Action::Allow, Step::Reply, builtin_id(builtin::RELATED))),
            _ => None,
        };
        self.or_pass(Step::Reply, Miss::NoReply, reply)
    }

    fn ordered_rules(&mut self) -> Option<Found> {
        for rule in &self.plain.rules.rules {
            let Some(why) = self.miss(rule) else {
                return Some(found(rule.action, Step::Rules, Arc::clone(&rule.id)));
            };
            self.passed.push(Passed { step: Step::Rules, rule: Some(Arc::clone(&rule.id)), why });
        }
        None
    }

    /// Why `rule` does not match.
    fn miss(&self, rule: &Rule) -> Option<Miss> {
        let (src, dst, protocol) = (self.subject.src(), self.subject.dst(), self.subject.protocol);
        let interface = if self.passage.is_loopback() {
            rule.names_loopback() && rule.interface_matches("lo")
        } else {
            rule.interface_matches(self.interface)
        };
        let (source_port, destination_port) = (self.port(|ports| ports.src), self.port(|ports| ports.dst));
        let conditions = [
            (Miss::Disabled, rule.enabled),
            (Miss::Expired, rule.expires.is_none_or(|end| self.plain.now < end)),
            (Miss::Direction, rule.direction.is_none_or(|direction| direction == self.passage.direction())),
            (Miss::Interface, interface),
            (Miss::Protocol, holds(rule.protocol.as_ref(), |set| set.contains(protocol))),
            (Miss::Source, holds(rule.src.as_ref(), |set| set.contains(src))),
            (Miss::Destination, holds(rule.dst.as_ref(), |set| set.contains(dst))),
            (Miss::SourcePort, holds(rule.src_port.as_ref(), source_port)),
            (Miss::DestinationPort, holds(rule.dst_port.as_ref(), destination_port)),
            (
                Miss::IcmpType,
                holds(rule.icmp_type.as_ref(), |set| match (src, self.subject.header) {
                    (IpAddr::V4(_), Header::Icmp { kind, code }) => set.v4.contains(u16::from_be_bytes([kind, code])),
                    (IpAddr::V6(_), Header::Icmp { kind, code }) => set.v6.contains(u16::from_be_bytes([kind, code])),
                    _ => false,
                }),
            ),
        ];
        conditions.into_iter().find(|&(_, holds)| !holds).map(|(why, _)| why)
    }

    fn port(&self, end: fn(Ports) -> u16) -> impl Fn(&PortSet) -> bool {
        let header = self.subject.header;
        move |set| match header {
            Header::Tcp(ports) => set.tcp.contains(end(ports)),
            Header::Udp(ports) => set.udp.contains(end(ports)),
            Header::Icmp { .. } | Header::None => false,
        }
    }

    fn local(&mut self) -> Option<Found> {
        let rule = match self.passage {
            Passage::LoopbackIn | Passage::LoopbackOut => Some(builtin::LOOPBACK),
            Passage::In if self.is_own_copy() => Some(builtin::OWN_MULTICAST),
            _ => None,
        };
        let found = rule.map(|rule| found(Action::Allow, Step::Loopback, builtin_id(rule)));
        self.or_pass(Step::Loopback, Miss::NotLocal, found)
    }

    fn is_own_copy(&self) -> bool {
        let IpAddr::V4(dst) = self.subject.dst() else {
            return self.plain.host.owns(self.subject.src()) && self.subject.dst().is_multicast();
        };
        let networks = self.plain.host.addresses.iter();
        let is_broadcast_of = |&(own, prefix): &(IpAddr, u8)| match own {
            IpAddr::V4(own) if prefix <= 30 => {
                let mask = Ipv4Addr::from_bits(u32::MAX.checked_shr(prefix.into()).unwrap_or(0));
                own | mask == dst
            }
            _ => false,
        };
        let to_many = dst.is_multicast() || dst.is_broadcast() || networks.into_iter().any(is_broadcast_of);
        self.plain.host.owns(self.subject.src()) && to_many
    }

    fn allow_protocols(&mut self) -> Option<Found> {
        let list = &self.plain.rules.allow_protocols;
        if !list.iter().any(|entry| entry.in_force(self.plain.now)) {
            return self.or_pass(Step::AllowProtocols, Miss::Empty, None);
        }
        Some(match self.protocol_entry(list) {
            Some(id) => found(Action::Allow, Step::AllowProtocols, id),
            None => found(Action::Block, Step::AllowProtocols, builtin_id(builtin::ALLOW_PROTOCOLS)),
        })
    }

    fn default_policy(&mut self) -> Found {
        let direction = self.passage.direction();
        let policy = match direction {
            RuleDirection::In => self.plain.rules.default_policy.incoming,
            RuleDirection::Out => self.plain.rules.default_policy.outgoing,
        };
        let action = if policy == Policy::Allow { Action::Allow } else { Action::Block };
        let hit = Hit::Direction(direction);
        Found { hit, ..found(action, Step::DefaultPolicy, builtin_id(builtin::DEFAULT_POLICY)) }
    }

    fn or_pass(&mut self, step: Step, why: Miss, found: Option<Found>) -> Option<Found> {
        if found.is_none() {
            self.passed.push(Passed { step, rule: None, why });
        }
        found
    }
}

/// A condition that is missing is true.
fn holds<Term, Set>(condition: Option<&Condition<Term, Set>>, set: impl Fn(&Set) -> bool) -> bool {
    condition.is_none_or(|condition| set(&condition.set))
}

fn found(action: Action, step: Step, rule: Arc<str>) -> Found {
    Found { action, step, rule, entry: None, hit: Hit::None }
}

fn found_address(action: Action, step: Step, entry: &AddressEntry, hit: Hit) -> Found {
    let listed = ListEntry { negated: entry.negated, addresses: entry.value };
    Found { entry: Some(listed), hit, ..found(action, step, Arc::clone(&entry.id)) }
}

fn found_guard(step: Step, guard: Guard) -> Found {
    found(Action::Allow, step, builtin_id(guard_number(guard)))
}

fn builtin_id(number: super::RuleNumber) -> Arc<str> {
    builtin::ALL.get(number.0 as usize).map_or("", |&(id, ..)| id).into()
}
