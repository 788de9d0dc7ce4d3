//! Which sources are surely who they say: those that have acknowledged our very number.
//!
//! A source address can be forged, and who bans a forged one does the forger's work. The number that a SYN/ACK asks to
//! be acknowledged is drawn at random (RFC 9293 section 3.4.1), and only who gets the SYN/ACK knows it.

use crate::packet::{Tcp, TcpFlags};
use crate::time::Timestamp;
use std::time::Duration;

/// Handshakes and silent connections that are waited for at once. Under a flood the latest stay: a real handshake takes
/// no longer than a round trip.
const WAITING: usize = 4096;
/// For how long a connection is waited for: until then it has said something, or has gone.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of TCP options at most: more behind the header is payload (RFC 9293 section 3.1).
const MOST_OPTIONS: u32 = 40;

/// What a segment proves about who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// It has opened this connection: it gets what is sent to it.
    Opened,
    /// It has opened this connection, and ends it without having said anything.
    Left,
}

/// A connection that somebody was offered.
#[derive(Clone, Copy, Debug, Default)]
struct Offer {
    /// The connection's key; 0 where there is none.
    key: u64,
    /// The number that has to be acknowledged.
    number: u32,
    is_open: bool,
}

/// The connections.
#[derive(Debug)]
pub(super) struct Proofs {
    offers: Box<[Offer]>,
    /// Until when one is waited for.
    until: Timestamp,
}

impl Proofs {
    pub(super) fn new() -> Self {
        Self { offers: vec![Offer::default(); WAITING].into(), until: Timestamp::MIN }
    }

    /// Bytes that it takes, whatever comes.
    pub(super) const BYTES: usize = WAITING * size_of::<Offer>();

    /// Whether any connection is waited for.
    #[inline]
    pub(super) fn are_waited_for(&self, now: Timestamp) -> bool {
        now <= self.until
    }

    /// A SYN/ACK was sent to who may have asked for the connection `key`.
    pub(super) fn offered(&mut self, key: u64, answer: Tcp, now: Timestamp) {
        self.until = self.until.max(now.plus(PATIENCE));
        if let Some(place) = self.place(key) {
            *place = Offer { key, number: answer.seq.wrapping_add(1), is_open: false };
        }
    }

    /// A segment came from who was offered the connection `key`; `behind` are the bytes behind its fixed header.
    pub(super) fn heard(&mut self, key: u64, tcp: Tcp, behind: u32) -> Option<Proof> {
        let place = self.place(key).filter(|offer| offer.key == key)?;
        let knows = tcp.flags.has(TcpFlags::ACK) && tcp.ack == place.number;
        if !place.is_open && !knows {
            return None;
        }
        let ends = tcp.flags.0 & (TcpFlags::FIN | TcpFlags::RST) != 0;
        let speaks = tcp.flags.has(TcpFlags::PSH) || behind > MOST_OPTIONS;
        let was_open = std::mem::replace(&mut place.is_open, true);
        if ends || speaks {
            *place = Offer::default();
        }
        match was_open {
            _ if ends && !speaks => Some(Proof::Left),
            true => None,
            false => Some(Proof::Opened),
        }
    }

    fn place(&mut self, key: u64) -> Option<&mut Offer> {
        self.offers.get_mut(usize::try_from(key % WAITING as u64).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: u64 = 7;

    fn segment(flags: u8, seq: u32, ack: u32) -> Tcp {
        Tcp { flags: TcpFlags(flags), seq, ack, ..Tcp::default() }
    }

    fn offered() -> Proofs {
        let mut proofs = Proofs::new();
        proofs.offered(KEY, segment(TcpFlags::SYN | TcpFlags::ACK, u32::MAX, 1), Timestamp::from_parts(10, 0));
        proofs
    }

    #[test]
    fn who_knows_our_number_has_opened_the_connection_and_nobody_else() {
        const ACK: u8 = TcpFlags::ACK;
        assert_eq!(offered().heard(KEY, segment(ACK, 1, 0), 12), Some(Proof::Opened));
        assert_eq!(offered().heard(KEY, segment(ACK, 1, 1), 12), None, "another number");
        assert_eq!(offered().heard(KEY + 1, segment(ACK, 1, 0), 12), None, "another connection");
        assert_eq!(offered().heard(KEY, segment(TcpFlags::RST, 1, 0), 0), None, "a half-open scan's end");
        assert_eq!(offered().heard(KEY, segment(ACK | TcpFlags::RST, 1, 0), 0), Some(Proof::Left));
    }

    #[test]
    fn who_goes_without_a_word_has_left_and_who_spoke_has_not() {
        const ACK: u8 = TcpFlags::ACK;
        for (flags, behind, expected) in [
            (ACK | TcpFlags::FIN, 12, Some(Proof::Left)),
            (TcpFlags::RST, 0, Some(Proof::Left)),
            (ACK | TcpFlags::PSH, 30, None),
            (ACK, 1400, None),
            (ACK, 12, None),
        ] {
            let mut proofs = offered();
            proofs.heard(KEY, segment(ACK, 1, 0), 12);
            assert_eq!(proofs.heard(KEY, segment(flags, 1, 0), behind), expected, "{flags:#x} {behind}");
        }
        let mut proofs = offered();
        proofs.heard(KEY, segment(ACK, 1, 0), 12);
        proofs.heard(KEY, segment(ACK | TcpFlags::PSH, 1, 0), 30);
        assert_eq!(proofs.heard(KEY, segment(ACK | TcpFlags::FIN, 31, 0), 12), None, "it has spoken");
    }

    #[test]
    fn nothing_is_waited_for_after_a_while() {
        let proofs = offered();
        assert!(proofs.are_waited_for(Timestamp::from_parts(40, 0)));
        assert!(!proofs.are_waited_for(Timestamp::from_parts(41, 0)));
    }
}
