//! Where packets on their way through this machine were sent to: what one of a service's address is translated to is all
//! that its report tells.
//!
//! The tap saw it come in, as a packet for another machine. The rest of it is the same in both, so that it is known by
//! that; of several that look alike (one sender tries many addresses) each report takes the first that came in so.

use super::{Seen, UNTIL_REPORTED, stamp};
use crate::packet::{Ip, Net, Packet, Ports, Transport};
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;

/// Packets that are remembered of those that look alike, the latest first.
const WAYS: usize = 4;
/// Buckets: what comes in within [`UNTIL_REPORTED`] at a million a second, and some more. What is forgotten is judged by
/// where it goes alone.
const BUCKETS: usize = 1 << 12;

/// Where a packet was sent to: an address, and a port if the protocol has any.
pub(super) type To = (IpAddr, u16);

/// A packet that came in for another machine, and of which nothing was reported yet.
#[derive(Clone, Copy, Debug)]
struct Entered {
    /// What it is, but for where it was sent to.
    key: u64,
    /// When it came in, as far as reports tell it.
    time: Timestamp,
    to: To,
}

/// What came in lately for other machines.
#[derive(Debug)]
pub(super) struct Asked {
    buckets: Box<[[Option<Entered>; WAYS]]>,
    hasher: RandomState,
}

impl Default for Asked {
    fn default() -> Self {
        Self { buckets: vec![[None; WAYS]; BUCKETS].into(), hasher: RandomState::default() }
    }
}

impl Asked {
    /// Takes in that a packet came in for another machine.
    pub(super) fn entering(&mut self, seen: &Seen) {
        let (Some(key), Some(to)) = (self.key(seen), to(&seen.packet)) else { return };
        if let Some(bucket) = self.bucket(key) {
            bucket.rotate_right(1);
            if let Some(first) = bucket.first_mut() {
                *first = Some(Entered { key, time: stamp(seen), to });
            }
        }
    }

    /// Where the packet of a report was sent to, if the tap saw it come in for another machine. It is told once.
    pub(super) fn take(&mut self, reported: &Seen) -> Option<To> {
        let key = self.key(reported)?;
        let near = reported.time.minus(UNTIL_REPORTED)..=reported.time;
        let is_near = |one: &Option<Entered>| one.is_some_and(|one| one.key == key && near.contains(&one.time));
        let goes_to = to(&reported.packet);
        let bucket = self.bucket(key)?;
        // It need not be translated at all.
        let as_it_is = bucket.iter().rposition(|one| is_near(one) && one.map(|one| one.to) == goes_to);
        let place = as_it_is.or_else(|| bucket.iter().rposition(is_near))?;
        bucket.get_mut(place)?.take().map(|entered| entered.to)
    }

    /// What a packet is, but for where it was sent to.
    fn key(&self, seen: &Seen) -> Option<u64> {
        Some(self.hasher.hash_one((seen.fingerprint?.whole, seen.interface)))
    }

    fn bucket(&mut self, key: u64) -> Option<&mut [Option<Entered>; WAYS]> {
        self.buckets.get_mut(usize::try_from(key % BUCKETS as u64).ok()?)
    }
}

/// A packet as one that is sent elsewhere.
pub(super) fn sent_to(packet: &Packet, (dst, port): To) -> Packet {
    let Net::Ip(ip) = packet.net else { return *packet };
    let transport = ip.transport.with_ports(|ports| Ports { dst: port, ..ports });
    Packet { net: Net::Ip(Ip { dst, transport, ..ip }), ..*packet }
}

fn to(packet: &Packet) -> Option<To> {
    let Net::Ip(ip) = &packet.net else { return None };
    let port = match ip.transport {
        Transport::Tcp(tcp) => tcp.ports.dst,
        Transport::Udp(ports) | Transport::Sctp(ports) => ports.dst,
        Transport::Icmp(_) | Transport::TcpRest(_) | Transport::None => 0,
    };
    Some((ip.dst, port))
}
