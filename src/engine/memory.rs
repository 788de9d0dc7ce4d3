//! [`Engine`]: what is remembered from packet to packet, and the order in which a packet meets it and the rules.

use super::decision::{Context, Decision, State};
use super::fragments::{Fragments, MAX_DATAGRAMS, Told};
use super::matcher::Matcher;
use super::recent::{self, Recent};
use super::subject::{Header, Passage, Subject};
use super::tracker::{MAX_CONNECTIONS, TrackedPage, Tracker};
use crate::host::connections::Connection;
use crate::packet::Ip;
use crate::rules::Action;
use crate::time::Timestamp;

/// Bounds of what is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of each address family.
    pub connections: usize,
    /// Datagrams whose first fragment was seen.
    pub datagrams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: MAX_CONNECTIONS, datagrams: MAX_DATAGRAMS }
    }
}

/// What happened to the engine's memory so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections remembered now, those included that have expired unnoticed.
    pub connections: usize,
    /// Bytes that their tables take.
    pub connection_bytes: usize,
    /// Connections without an answer that were given up to make room.
    pub evicted: u64,
    /// Connections that found no place: their replies are judged like opening packets.
    pub table_full: u64,
    /// Later fragments whose first was not seen.
    pub fragments_unknown: u64,
}

/// What is remembered from packet to packet: connections and fragments. It outlives a change of rules.
pub struct Engine {
    memory: Memory,
    recent: Recent,
}

struct Memory {
    tracker: Tracker,
    fragments: Fragments,
}

/// A packet as the rules see it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    subject: Subject<'a>,
    state: State,
    /// It is the packet that opens a connection, or the first fragment of that.
    opens: bool,
    without_first: bool,
}

/// What `Engine` has to know of a decision.
pub(super) trait Decides {
    /// What happens to the packet.
    fn action(&self) -> Action;
}

impl Decides for Decision {
    fn action(&self) -> Action {
        self.action
    }
}

impl Engine {
    /// An engine that remembers nothing yet.
    pub fn new(limits: Limits) -> Self {
        let (tracker, fragments) = (Tracker::new(limits.connections), Fragments::new(limits.datagrams));
        Self { memory: Memory { tracker, fragments }, recent: Recent::new() }
    }

    /// Decides on `packet` by the rules of `matcher`.
    pub fn decide(&mut self, matcher: &Matcher, packet: &Ip, context: &Context) -> Decision {
        let Self { memory, recent } = self;
        memory.decide_by(packet, context, |subject, passage, state, without_first| {
            let key = recent::key(matcher.number(), subject, passage, context.interface, state);
            let decision = recent.find(key, || matcher.judge(subject, passage, context.interface, state));
            Decision { without_first, ..decision }
        })
    }

    /// Remembers connections that were opened before anything of them was seen, each with its opener. Those that are
    /// known with the same opener stay as they are.
    pub fn enter(&mut self, connections: &[Connection], now: Timestamp) {
        for connection in connections {
            self.memory.tracker.enter(connection, now);
        }
    }

    /// Forgets all connections.
    pub fn forget_connections(&mut self) {
        self.memory.tracker.forget();
    }

    /// The connections that are remembered, from the place `from` on (0 for the first page), `most` of them at most.
    pub fn connections(&self, from: usize, most: usize, now: Timestamp) -> TrackedPage {
        self.memory.tracker.page(from, most, now)
    }

    /// What happened to the engine's memory so far.
    pub fn counters(&self) -> Counters {
        let Memory { tracker, fragments } = &self.memory;
        Counters {
            connections: tracker.len(),
            connection_bytes: tracker.bytes(),
            evicted: tracker.evicted(),
            table_full: tracker.full(),
            fragments_unknown: fragments.unknown(),
        }
    }

    /// Decides on `packet` by whatever `judge` is.
    pub(super) fn decide_by<D: Decides>(
        &mut self,
        packet: &Ip,
        context: &Context,
        judge: impl FnMut(&Subject<'_>, Passage, State, bool) -> D,
    ) -> D {
        self.memory.decide_by(packet, context, judge)
    }
}

impl Memory {
    /// Decides in netfilter's order: the tracker sees each packet before the rules, and remembers a new connection once the
    /// packet has left (on loopback: before it arrives).
    fn decide_by<D: Decides>(
        &mut self,
        packet: &Ip,
        context: &Context,
        mut judge: impl FnMut(&Subject<'_>, Passage, State, bool) -> D,
    ) -> D {
        let seen = self.observe(packet, context.time);
        let (first, second) = Passage::of(context.direction);
        let mut judge = |passage| judge(&seen.subject, passage, seen.state, seen.without_first);
        let mut decision = judge(first);
        if decision.action() == Action::Allow {
            self.leave(packet, seen.opens, context.time);
            decision = second.map_or(decision, judge);
        }
        if decision.action() == Action::Reject && seen.state != State::Invalid {
            self.tracker.reject(packet, context.time);
        }
        decision
    }

    /// A packet was let out: what it opens is remembered, once all of it is there.
    fn leave(&mut self, packet: &Ip, opens: bool, now: Timestamp) {
        let opening = match packet.fragment {
            None => opens.then_some(*packet),
            Some(fragment) => self.fragments.leave(packet, fragment, opens),
        };
        let Some(opening) = opening else { return };
        // What its flags make of it is known only now.
        if !opening.hides_tcp_flags() || self.tracker.track(&opening, now) == State::New {
            self.tracker.confirm(&opening, now);
        }
    }

    fn observe<'a>(&mut self, packet: &'a Ip, now: Timestamp) -> Seen<'a> {
        match packet.fragment {
            Some(fragment) if fragment.offset > 0 => {
                let told = self.fragments.recall(packet, fragment, now);
                Seen::later_fragment(packet, told)
            }
            Some(fragment) => {
                let seen = if packet.hides_tcp_flags() {
                    self.observe_tiny(packet, now)
                } else {
                    self.observe_whole(packet, now)
                };
                let Subject { protocol, header, .. } = seen.subject;
                self.fragments.remember(packet, fragment, Told { protocol, header, state: seen.state }, now);
                seen
            }
            None => self.observe_whole(packet, now),
        }
    }

    /// The first fragment of a segment whose flags are behind it. It is taken for what it most likely is, until all is there.
    fn observe_tiny<'a>(&mut self, packet: &'a Ip, now: Timestamp) -> Seen<'a> {
        Seen {
            subject: Subject::of(packet),
            state: self.tracker.glance(packet, now),
            opens: true,
            without_first: false,
        }
    }

    fn observe_whole<'a>(&mut self, packet: &'a Ip, now: Timestamp) -> Seen<'a> {
        let state = self.tracker.track(packet, now);
        Seen { subject: Subject::of(packet), state, opens: state == State::New, without_first: false }
    }
}

impl<'a> Seen<'a> {
    /// A later fragment is judged as if it had what its first told; the tracker has seen the datagram already.
    fn later_fragment(packet: &'a Ip, told: Option<Told>) -> Self {
        let without_first = told.is_none();
        let told = told.unwrap_or(Told { protocol: packet.protocol, header: Header::None, state: State::Untracked });
        let subject = Subject::of(packet).with(told.protocol, told.header);
        Self { subject, state: told.state, opens: false, without_first }
    }
}
