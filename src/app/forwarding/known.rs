//! Flows that are known to be on their way through, so that only packets of others need be looked at more closely. The
//! kernel has reported how each began; those that were there before are not among them.

use crate::conntrack::Ends;
use crate::packet::{Ip, TcpFlags, Transport};
use crate::time::Timestamp;
use foldhash::fast::FixedState;
use std::hash::BuildHasher;
use std::time::Duration;

/// Flows that are remembered in a bucket, the latest first.
const WAYS: usize = 4;
/// Buckets. Packets of a flow that is forgotten are looked at more closely again.
const BUCKETS: usize = 1 << 12;

/// How long a flow is known after it began, or a packet of it has left: conntrack remembers all longer than that, so that none
/// with the same ends can have begun since, but by a packet that [opens](is_opening) one.
const KNOWN: Duration = Duration::from_secs(1);

/// Flows by their ends.
#[derive(Debug)]
pub(super) struct Known {
    buckets: Box<[[Flow; WAYS]]>,
    hasher: FixedState,
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    fingerprint: u64,
    until: Timestamp,
}

impl Flow {
    const NONE: Self = Self { fingerprint: 0, until: Timestamp::MIN };
}

impl Default for Known {
    fn default() -> Self {
        Self { buckets: vec![[Flow::NONE; WAYS]; BUCKETS].into(), hasher: FixedState::default() }
    }
}

impl Known {
    /// A packet of a flow with these ends has left.
    pub(super) fn leaves(&mut self, ends: &Ends, time: Timestamp) {
        let fingerprint = self.fingerprint(ends);
        let flows = self.bucket_mut(fingerprint).into_iter().flatten();
        let until = time.plus(KNOWN);
        flows.filter(|flow| flow.fingerprint == fingerprint).for_each(|flow| flow.until = until.max(flow.until));
    }

    /// The flow with these ends has begun.
    pub(super) fn begins(&mut self, ends: &Ends, time: Timestamp) {
        let fingerprint = self.fingerprint(ends);
        let Some(bucket) = self.bucket_mut(fingerprint) else { return };
        let place = bucket.iter().position(|flow| flow.fingerprint == fingerprint).unwrap_or(WAYS - 1);
        if let Some(older) = bucket.get_mut(..=place) {
            older.rotate_right(1);
        }
        if let Some(first) = bucket.first_mut() {
            *first = Flow { fingerprint, until: time.plus(KNOWN) };
        }
    }

    /// The flow with these ends is on no way through any more.
    pub(super) fn ends(&mut self, ends: &Ends) {
        let fingerprint = self.fingerprint(ends);
        let flows = self.bucket_mut(fingerprint).into_iter().flatten();
        flows.filter(|flow| flow.fingerprint == fingerprint).for_each(|flow| *flow = Flow::NONE);
    }

    /// Whether a packet is part of a flow that passes.
    pub(super) fn has(&self, packet: &Ip, ends: &Ends, time: Timestamp) -> bool {
        let fingerprint = self.fingerprint(ends);
        let bucket = usize::try_from(fingerprint % BUCKETS as u64).ok().and_then(|place| self.buckets.get(place));
        let mut flows = bucket.into_iter().flatten();
        flows.any(|flow| flow.fingerprint == fingerprint && time <= flow.until) && !is_opening(packet)
    }

    fn bucket_mut(&mut self, fingerprint: u64) -> Option<&mut [Flow; WAYS]> {
        self.buckets.get_mut(usize::try_from(fingerprint % BUCKETS as u64).ok()?)
    }

    fn fingerprint(&self, ends: &Ends) -> u64 {
        self.hasher.hash_one(ends).max(1)
    }
}

/// Whether a packet opens a connection, whatever has been between its ends.
pub(super) fn is_opening(packet: &Ip) -> bool {
    let Transport::Tcp(tcp) = packet.transport else { return false };
    tcp.flags.0 & (TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN) == TcpFlags::SYN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Ports, Protocol, Tcp};

    fn segment(flags: u8, port: u16) -> Ip {
        let ports = Ports { src: port, dst: 80 };
        let transport = Transport::Tcp(Tcp { ports, flags: TcpFlags(flags), ..Tcp::default() });
        let (src, dst) = ([10, 0, 0, 9].into(), [192, 0, 2, 1].into());
        Ip { src, dst, protocol: Protocol::TCP, ttl: 64, len: 40, fragment: None, transport }
    }

    #[test]
    fn a_flow_is_known_for_a_while_but_not_what_opens_one() {
        let at = |millis| Timestamp::from_parts(1_800_000_000, 0).plus(Duration::from_millis(millis));
        let has = |known: &Known, packet: &Ip, millis| known.has(packet, &Ends::of_packet(packet).unwrap(), at(millis));
        let (ack, syn, other) =
            (segment(TcpFlags::ACK, 4000), segment(TcpFlags::SYN, 4000), segment(TcpFlags::ACK, 4001));
        let ends = Ends::of_packet(&ack).unwrap();
        let mut known = Known::default();
        known.leaves(&ends, at(0));
        assert!(!has(&known, &ack, 0), "it may be part of none");
        known.begins(&ends, at(0));
        assert!(has(&known, &ack, 1000) && !has(&known, &ack, 1001));
        assert!(!has(&known, &syn, 1) && !has(&known, &other, 1));
        known.leaves(&ends, at(900));
        assert!(has(&known, &ack, 1900));
        known.ends(&ends);
        assert!(!has(&known, &ack, 1));
    }
}
