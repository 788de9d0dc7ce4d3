//! The connection tracker: what conntrack would call a packet (`net/netfilter/nf_conntrack_core.c`).
//!
//! It keeps netfilter's states and its default time-outs, on the clock of the packets. It does not look at TCP
//! sequence numbers or at checksums, has no helpers (a related *connection* is a new one here), and knows nothing of
//! address translation. UDP-Lite is tracked as UDP, SCTP and all other protocols by their addresses and, where they
//! have any, ports.
//!
//! A limit: netfilter lets only some chunks open an SCTP association, INIT above all, and calls another first packet
//! (one with a DATA chunk, say) invalid. Chunks are not looked at here, so that any first packet is new.

mod connections;
mod listing;
mod marks;
mod tcp;
mod tuple;

pub use connections::MAX_CONNECTIONS;
pub use listing::{Tracked, TrackedPage};

use super::decision::State;
use crate::host::connections::{Connection, Phase};
use crate::packet::{Ip, Ports, Protocol, Quoted, TcpFlags};
use crate::time::Timestamp;
use connections::{Connections, Entry, Key, Placed};
use std::net::IpAddr;
use std::time::Duration;
use tcp::{Effect, Segment, TcpState};
use tuple::{Flow, Kind, Tuple};

/// Seconds that an ICMP query waits for its answer.
const ICMP_TIMEOUT: u32 = 30;
/// Seconds of a UDP flow that was not answered, or only just.
const UDP_TIMEOUT: u32 = 30;
/// Seconds of a UDP flow that went both ways for longer than [`UDP_STREAM_AGE`].
const UDP_STREAM_TIMEOUT: u32 = 120;
/// Milliseconds after which a UDP flow that goes both ways counts as a stream.
const UDP_STREAM_AGE: u32 = 2_000;
/// Seconds of any other protocol.
const GENERIC_TIMEOUT: u32 = 600;

/// All connections.
pub(super) struct Tracker {
    v4: Connections<2>,
    v6: Connections<5>,
    evicted: u64,
    full: u64,
}

impl Tracker {
    /// A tracker for at most `limit` connections of each family.
    pub(super) fn new(limit: usize) -> Self {
        Self { v4: Connections::new(limit), v6: Connections::new(limit), evicted: 0, full: 0 }
    }

    /// The state of a packet that is no later fragment. The connection that it belongs to is moved on, whatever the
    /// rules will say of the packet; one that it would open is remembered by [`confirm`](Self::confirm).
    pub(super) fn track(&mut self, packet: &Ip, now: Timestamp) -> State {
        match Flow::of(packet) {
            Flow::Untracked => State::Untracked,
            Flow::Invalid => State::Invalid,
            Flow::Error(quoted) => self.error(quoted, packet.dst, now),
            Flow::Of(tuple, kind) => match (packet.src, packet.dst) {
                (IpAddr::V4(src), IpAddr::V4(dst)) => follow(&mut self.v4, &tuple.v4_key(src, dst), tuple, kind, now),
                (src, dst) => follow(&mut self.v6, &tuple.v6_key(src, dst), tuple, kind, now),
            },
        }
    }

    /// The state of a packet of which more is to come: one of the connection that it belongs to, which is not moved on yet,
    /// or else new.
    pub(super) fn glance(&mut self, packet: &Ip, now: Timestamp) -> State {
        let Flow::Of(tuple, _) = Flow::of(packet) else { return State::Invalid };
        let entry = match (packet.src, packet.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.v4.get_mut(&tuple.v4_key(src, dst), now),
            (src, dst) => self.v6.get_mut(&tuple.v6_key(src, dst), now),
        };
        entry.map_or(State::New, |entry| state_in(entry, tuple))
    }

    /// Remembers the connection that `packet` opens, once it has been let through: `track` has called it new.
    pub(super) fn confirm(&mut self, packet: &Ip, now: Timestamp) {
        let Flow::Of(tuple, kind) = Flow::of(packet) else { return };
        let Some(entry) = open(tuple, kind, now) else { return };
        let placed = match (packet.src, packet.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.v4.insert(&tuple.v4_key(src, dst), entry, now),
            (src, dst) => self.v6.insert(&tuple.v6_key(src, dst), entry, now),
        };
        self.count(placed);
    }

    /// Takes in that the rules answer a segment with a reset of their own. If the segment belongs to a connection, netfilter
    /// closes that (`nf_ct_set_closing`, since Linux 6.3: the rules end what only they know to be over), and ties the reset
    /// to it (RELATED), which so is not tracked as a segment.
    pub(super) fn reject(&mut self, packet: &Ip, now: Timestamp) {
        let Flow::Of(tuple, kind @ Kind::Tcp(..)) = Flow::of(packet) else { return };
        if kind.is_reset() {
            // Has no answer.
            return;
        }
        let entry = match (packet.src, packet.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.v4.get_mut(&tuple.v4_key(src, dst), now),
            (src, dst) => self.v6.get_mut(&tuple.v6_key(src, dst), now),
        };
        if let Some(entry) = entry {
            entry.put(marks::REJECTED, true);
            tcp::close(entry, now);
        }
    }

    fn count(&mut self, placed: Placed) {
        match placed {
            Placed::Free => {}
            Placed::Evicting => self.evicted += 1,
            Placed::Full => self.full += 1,
        }
    }

    /// Remembers a connection that was opened before anything of it was seen, as one that has gone both ways for long. One
    /// that is known with the same opener stays as it is.
    pub(super) fn enter(&mut self, connection: &Connection, now: Timestamp) {
        let (from, to) = connection.ends();
        let ports = Ports { src: from.port(), dst: to.port() };
        let tuple = Tuple::between(from.ip(), to.ip(), ports, Protocol(connection.protocol().number()));
        let entry = already_open(tuple, connection.phase, now);
        let placed = match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => put_in(&mut self.v4, &tuple.v4_key(from, to), entry, now),
            (from, to) => put_in(&mut self.v6, &tuple.v6_key(from, to), entry, now),
        };
        self.count(placed);
    }

    /// Forgets all connections.
    pub(super) fn forget(&mut self) {
        self.v4.clear();
        self.v6.clear();
    }

    /// How many connections are remembered, those included that have expired unnoticed.
    pub(super) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// How many were given up for another.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many found no place.
    pub(super) fn full(&self) -> u64 {
        self.full
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes()
    }

    /// An error is related if it is about a known connection, and goes to who sent the packet that it quotes.
    fn error(&mut self, quoted: Option<&Quoted>, to: IpAddr, now: Timestamp) -> State {
        let Some(quoted) = quoted.filter(|quoted| quoted.src == to) else { return State::Invalid };
        let Some(tuple) = Tuple::of_quoted(quoted) else { return State::Invalid };
        let known = match (quoted.src, quoted.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.v4.get_mut(&tuple.v4_key(src, dst), now).is_some(),
            (src, dst) => self.v6.get_mut(&tuple.v6_key(src, dst), now).is_some(),
        };
        if known { State::Related } else { State::Invalid }
    }
}

/// Moves the packet's connection on.
fn follow<const N: usize>(
    connections: &mut Connections<N>,
    key: &Key<N>,
    tuple: Tuple,
    kind: Kind,
    now: Timestamp,
) -> State {
    let Some(entry) = connections.get_mut(key, now) else { return first_state(tuple, kind, now) };
    let state = state_in(entry, tuple);
    let reply = state == State::Reply;
    let answers = entry.take(marks::REJECTED) && reply != entry.has(marks::LAST_IN_REPLY);
    if answers && kind.is_reset() {
        return state;
    }
    match advance(entry, kind, reply, now) {
        Effect::Refresh(timeout) => entry.refresh(now, timeout),
        Effect::Keep => {}
        Effect::End => connections.remove(key),
        Effect::Invalid => return State::Invalid,
        Effect::Reopen => {
            connections.remove(key);
            return first_state(tuple, kind, now);
        }
    }
    state
}

/// The state of a packet of a connection that is known.
fn state_in(entry: &Entry, tuple: Tuple) -> State {
    let is_reply = tuple.symmetric || tuple.from_first != entry.has(marks::FIRST_END_OPENED);
    if is_reply { State::Reply } else { State::Original }
}

fn first_state(tuple: Tuple, kind: Kind, now: Timestamp) -> State {
    if open(tuple, kind, now).is_some() { State::New } else { State::Invalid }
}

fn advance(entry: &mut Entry, kind: Kind, reply: bool, now: Timestamp) -> Effect {
    let effect = match kind {
        Kind::Tcp(flags, ack) => match Segment::of(flags) {
            Some(Segment::Rst) if flags.has(TcpFlags::ACK) && tcp::has_seen_nothing_of_peer(entry, reply) => {
                tcp::reset_in_vain(ack).unwrap_or_else(|| tcp::advance(entry, Segment::Rst, reply))
            }
            Some(segment) => tcp::advance(entry, segment, reply),
            None => Effect::Invalid,
        },
        Kind::Udp => Effect::Refresh(advance_udp(entry, now)),
        Kind::Icmp => Effect::Refresh(ICMP_TIMEOUT),
        Kind::Generic => Effect::Refresh(GENERIC_TIMEOUT),
    };
    if reply && effect != Effect::Invalid {
        entry.put(marks::REPLIED, true);
    }
    effect
}

fn advance_udp(entry: &mut Entry, now: Timestamp) -> u32 {
    if !entry.has(marks::REPLIED) || !entry.is_older_than(UDP_STREAM_AGE, now) {
        return UDP_TIMEOUT;
    }
    entry.put(marks::ASSURED, true);
    UDP_STREAM_TIMEOUT
}

/// What a packet without a connection opens, if it can.
fn open(tuple: Tuple, kind: Kind, now: Timestamp) -> Option<Entry> {
    let (timeout, tcp, last) = match kind {
        Kind::Tcp(flags, _) => {
            let segment = Segment::of(flags)?;
            let state = tcp::open(segment)?;
            (tcp::open_timeout(state), state, segment)
        }
        // An answer that nobody asked for.
        Kind::Icmp if !tuple.from_first => return None,
        Kind::Icmp => (ICMP_TIMEOUT, TcpState::None, Segment::None),
        Kind::Udp => (UDP_TIMEOUT, TcpState::None, Segment::None),
        Kind::Generic => (GENERIC_TIMEOUT, TcpState::None, Segment::None),
    };
    Some(Entry::new(now, timeout, tcp, last, tuple.from_first))
}

/// What is remembered of a connection that was there before.
fn already_open(tuple: Tuple, phase: Phase, now: Timestamp) -> Entry {
    let (state, timeout) = match phase {
        Phase::Established => (TcpState::Established, TcpState::Established.timeout()),
        Phase::FinWait => (TcpState::FinWait, TcpState::FinWait.timeout()),
        Phase::CloseWait => (TcpState::CloseWait, TcpState::CloseWait.timeout()),
        Phase::LastAck => (TcpState::LastAck, TcpState::LastAck.timeout()),
        Phase::Udp => (TcpState::None, UDP_STREAM_TIMEOUT),
    };
    let last = if phase == Phase::Udp { Segment::None } else { Segment::Ack };
    // Old enough for a stream.
    let opened = now.minus(Duration::from_millis(u64::from(UDP_STREAM_AGE) + 1));
    let mut entry = Entry::new(opened, timeout, state, last, tuple.from_first);
    entry.refresh(now, timeout);
    entry.put(marks::REPLIED | marks::ASSURED, true);
    entry.put(marks::CLOSED, matches!(phase, Phase::FinWait | Phase::CloseWait | Phase::LastAck));
    entry
}

fn put_in<const N: usize>(connections: &mut Connections<N>, key: &Key<N>, entry: Entry, now: Timestamp) -> Placed {
    let opener = |entry: &Entry| entry.has(marks::FIRST_END_OPENED);
    match connections.get_mut(key, now) {
        Some(known) if opener(known) == opener(&entry) => Placed::Free,
        _ => connections.insert(key, entry, now),
    }
}

#[cfg(test)]
mod tests;
