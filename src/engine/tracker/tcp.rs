//! The states of a TCP connection as netfilter sees them (`net/netfilter/nf_conntrack_proto_tcp.c`).
//!
//! Without sequence numbers: what the kernel calls invalid for its window, and what it decides by an acknowledgement
//! number, can't be told here, but for an opener's that nobody has answered yet. Where else the kernel asks whether a number
//! fits, it is taken to fit.

use super::connections::Entry;
use super::marks;
use crate::packet::TcpFlags;
use crate::time::Timestamp;

/// The state of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum TcpState {
    /// No packet seen.
    #[default]
    None,
    /// SYN seen.
    SynSent,
    /// SYN-ACK seen.
    SynRecv,
    /// ACK seen.
    Established,
    /// FIN seen.
    FinWait,
    /// ACK seen after the FIN.
    CloseWait,
    /// FIN seen from both sides.
    LastAck,
    /// Last ACK seen.
    TimeWait,
    /// RST seen.
    Close,
    /// SYN seen from both sides: simultaneous open.
    SynSent2,
}

impl TcpState {
    /// How long the entry lives after a packet that led to this state, in seconds: the kernel's defaults.
    pub(super) const fn timeout(self) -> u32 {
        match self {
            Self::None | Self::SynSent | Self::SynSent2 | Self::FinWait | Self::TimeWait => 120,
            Self::SynRecv | Self::CloseWait => 60,
            Self::Established => 5 * 24 * 3600,
            Self::LastAck => 30,
            Self::Close => 10,
        }
    }
}

/// How long a connection lives that was picked up in its middle, and has seen no answer yet, in seconds
/// (`TCP_CONNTRACK_UNACK`).
const PICKED_UP: u32 = 300;

/// What kind of segment the flags make it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Segment {
    /// Nothing seen yet.
    #[default]
    None,
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
}

impl Segment {
    /// The kind, or nothing for a combination of flags that no TCP sends. PSH, ECE and CWR may stand with all.
    pub(super) const fn of(flags: TcpFlags) -> Option<Self> {
        const FIN: u8 = TcpFlags::FIN;
        const SYN: u8 = TcpFlags::SYN;
        const RST: u8 = TcpFlags::RST;
        const ACK: u8 = TcpFlags::ACK;
        const URG: u8 = TcpFlags::URG;
        const SYN_URG: u8 = SYN | URG;
        const SYN_ACK: u8 = SYN | ACK;
        const RST_ACK: u8 = RST | ACK;
        const FIN_ACK: u8 = FIN | ACK;
        const FIN_ACK_URG: u8 = FIN | ACK | URG;
        const ACK_URG: u8 = ACK | URG;
        match flags.0 & (FIN | SYN | RST | ACK | URG) {
            SYN | SYN_URG => Some(Self::Syn),
            SYN_ACK => Some(Self::SynAck),
            RST | RST_ACK => Some(Self::Rst),
            FIN_ACK | FIN_ACK_URG => Some(Self::Fin),
            ACK | ACK_URG => Some(Self::Ack),
            _ => None,
        }
    }
}

/// Where a segment leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    To(TcpState),
    /// The entry may be out of step with the ends: the packet passes, and the entry stays as it is.
    Ignore,
    Invalid,
}

/// What a segment means for its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It belongs to the connection, and the entry lives on for so many seconds.
    Refresh(u32),
    /// It belongs to the connection, which does not live longer for it.
    Keep,
    /// It belongs to the connection, which ends with it.
    End,
    /// It doesn't fit.
    Invalid,
    /// The connection is over, and the segment opens another in its place.
    Reopen,
}

/// The state of a connection whose first seen segment is `segment`, if it can be: a SYN opens one, and an ACK shows one
/// that is open (the kernel's loose pick-up).
pub(super) const fn open(segment: Segment) -> Option<TcpState> {
    match segment {
        Segment::Syn => Some(TcpState::SynSent),
        Segment::Ack => Some(TcpState::Established),
        _ => None,
    }
}

/// How long a connection lives after its first segment.
pub(super) const fn open_timeout(state: TcpState) -> u32 {
    match state {
        TcpState::Established => PICKED_UP,
        other => other.timeout(),
    }
}

/// Moves the connection on by `segment`, which goes in the reply direction if `reply`.
pub(super) fn advance(entry: &mut Entry, segment: Segment, reply: bool) -> Effect {
    let old = entry.tcp;
    match next(old, segment, reply) {
        Next::Invalid => Effect::Invalid,
        Next::Ignore => ignore(entry, segment, reply),
        Next::To(TcpState::SynSent) if old >= TcpState::TimeWait => reopen(entry, segment, reply),
        Next::To(TcpState::TimeWait) if answers_challenge(entry, segment, reply) => {
            entry.clear(marks::CHALLENGED);
            Effect::Keep
        }
        Next::To(new) => {
            let new = settle_simultaneous(entry, segment, reply, new);
            accept(entry, segment, reply, new)
        }
    }
}

/// How far behind what was sent an acknowledgement may lie where its sender's window says no more (`MAXACKWINCONST`).
const MAX_ACK_WINDOW: u32 = 66_000;

/// Whether the opener alone has been heard, and its SYN was the first of it.
pub(super) fn has_seen_nothing_of_peer(entry: &Entry, reply: bool) -> bool {
    entry.tcp == TcpState::SynSent && !reply && !entry.has(marks::REPLIED)
}

/// What a reset is that acknowledges what nobody has seen, if it ends nothing. To the kernel the other end has sent up to
/// number 0 so far: the one number of a segment that is known here (`tcp_in_window`).
pub(super) const fn reset_in_vain(ack: u32) -> Option<Effect> {
    match ack {
        // More than was sent.
        1..=0x8000_0000 => Some(Effect::Invalid),
        // Delayed for too long: the packet passes, and the entry stays as it is.
        0x8000_0001.. if ack.wrapping_neg() > MAX_ACK_WINDOW => Some(Effect::Keep),
        _ => None,
    }
}

/// Closes the connection without a segment. One that is closed does not live longer for it
/// (`nf_conntrack_tcp_set_closing`).
pub(super) fn close(entry: &mut Entry, now: Timestamp) {
    if entry.tcp != TcpState::Close {
        entry.tcp = TcpState::Close;
        entry.refresh(now, TcpState::Close.timeout());
    }
}

/// The kernel's table.
#[expect(clippy::match_same_arms, reason = "ordered as the kernel's table is, by segment")]
const fn next(state: TcpState, segment: Segment, reply: bool) -> Next {
    use TcpState as S;
    match (segment, state, reply) {
        (Segment::None, ..) | (Segment::Rst, S::None, _) => Next::Invalid,
        (Segment::Rst, ..) => Next::To(S::Close),

        (Segment::Syn, S::None | S::SynSent | S::TimeWait | S::Close, false) => Next::To(S::SynSent),
        (Segment::Syn, S::SynSent2, _) | (Segment::Syn, S::SynSent, true) => Next::To(S::SynSent2),
        (Segment::Syn, S::TimeWait, true) => Next::To(S::SynSent),
        (Segment::Syn, _, false) => Next::Ignore,
        (Segment::Syn, _, true) => Next::Invalid,

        (Segment::SynAck, S::SynRecv | S::SynSent2, false) => Next::To(S::SynRecv),
        (Segment::SynAck, S::SynSent | S::SynSent2, true) => Next::To(S::SynRecv),
        (Segment::SynAck, S::None, _) | (Segment::SynAck, _, false) => Next::Invalid,
        (Segment::SynAck, _, true) => Next::Ignore,

        (Segment::Fin, S::SynRecv | S::Established, _) => Next::To(S::FinWait),
        (Segment::Fin, S::FinWait | S::CloseWait | S::LastAck, _) => Next::To(S::LastAck),
        (Segment::Fin | Segment::Ack, S::TimeWait, _) | (Segment::Ack, S::LastAck, _) => Next::To(S::TimeWait),
        (Segment::Fin | Segment::Ack, S::Close, _) => Next::To(S::Close),
        (Segment::Fin, S::None | S::SynSent | S::SynSent2, _) => Next::Invalid,

        (Segment::Ack, S::None | S::SynRecv, false) | (Segment::Ack, S::Established, _) => Next::To(S::Established),
        (Segment::Ack, S::SynRecv, true) => Next::To(S::SynRecv),
        (Segment::Ack, S::FinWait | S::CloseWait, _) => Next::To(S::CloseWait),
        (Segment::Ack, S::SynSent | S::SynSent2, true) => Next::Ignore,
        (Segment::Ack, S::None | S::SynSent | S::SynSent2, _) => Next::Invalid,
    }
}

/// A SYN on a connection that is over opens a new one if the old one was closed in order, or if the same side had
/// reset it; else the answer will tell.
fn reopen(entry: &mut Entry, segment: Segment, reply: bool) -> Effect {
    let reset_by_sender = entry.last == Segment::Rst && entry.has(marks::LAST_IN_REPLY) == reply;
    if entry.has(marks::CLOSED) || reset_by_sender { Effect::Reopen } else { ignore(entry, segment, reply) }
}

fn ignore(entry: &mut Entry, segment: Segment, reply: bool) -> Effect {
    let answers_ignored_syn =
        segment == Segment::SynAck && entry.last == Segment::Syn && entry.has(marks::LAST_IN_REPLY) != reply;
    if answers_ignored_syn {
        // Both ends agree on a connection that was not believed in: so there is one.
        entry.clear(marks::CHALLENGED);
        return accept(entry, segment, reply, TcpState::SynRecv);
    }
    entry.note(segment, reply);
    if segment == Segment::Syn && !reply {
        // RFC 5961: the other end may answer with an ACK that must not be taken for the last one.
        entry.put(marks::CHALLENGED, entry.tcp == TcpState::LastAck);
    }
    Effect::Keep
}

fn answers_challenge(entry: &Entry, segment: Segment, reply: bool) -> bool {
    entry.tcp == TcpState::LastAck
        && segment == Segment::Ack
        && entry.last == Segment::Syn
        && entry.has(marks::LAST_IN_REPLY) != reply
        && entry.has(marks::CHALLENGED)
}

/// In a simultaneous open, the ACK in the reply direction completes the handshake.
fn settle_simultaneous(entry: &mut Entry, segment: Segment, reply: bool, new: TcpState) -> TcpState {
    match new {
        TcpState::SynSent2 => {
            entry.put(marks::SIMULTANEOUS, true);
            new
        }
        TcpState::SynRecv if reply && segment == Segment::Ack && entry.has(marks::SIMULTANEOUS) => {
            TcpState::Established
        }
        _ => new,
    }
}

fn accept(entry: &mut Entry, segment: Segment, reply: bool, new: TcpState) -> Effect {
    let old = std::mem::replace(&mut entry.tcp, new);
    entry.note(segment, reply);
    if new == TcpState::FinWait && old != new {
        entry.put(marks::CLOSED, true);
    }
    let timeout = if segment == Segment::Rst { TcpState::Close.timeout() } else { new.timeout() };
    if !entry.has(marks::REPLIED) {
        return match (segment, old, new) {
            // Nobody but a RST has answered: there is no connection.
            (Segment::Rst, ..) => Effect::End,
            // A SYN that is sent again and again does not keep the entry alive.
            (Segment::Syn, TcpState::SynSent, _) => Effect::Keep,
            (_, _, TcpState::Established) => Effect::Refresh(PICKED_UP),
            _ => Effect::Refresh(timeout),
        };
    }
    if matches!(old, TcpState::SynRecv | TcpState::Established) && new == TcpState::Established {
        entry.put(marks::ASSURED, true);
    }
    Effect::Refresh(timeout)
}
