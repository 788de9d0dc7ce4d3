//! What the first fragment of a datagram told, for the later ones, which have no transport header.

use super::decision::State;
use super::subject::Header;
use crate::packet::{Fragment, Ip, Protocol};
use crate::time::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// Datagrams remembered at most, about half a megabyte: enough for a gigabit of large datagrams in half a second, and
/// fragments follow each other at once.
pub const MAX_DATAGRAMS: usize = 4096;
/// How long a first fragment is remembered: as long as the kernel waits for the rest (`ipfrag_time`,
/// `nf_conntrack_frag6_timeout`).
const TIMEOUT_V4: Duration = Duration::from_secs(30);
const TIMEOUT_V6: Duration = Duration::from_mins(1);

/// What tells datagrams apart (RFC 791 section 3.2, RFC 8200 section 4.5: IPv6 has no protocol in it, since the
/// fragments may name different extension headers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: Option<Protocol>,
}

/// What a first fragment tells of its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// The protocol behind all extension headers.
    pub(super) protocol: Protocol,
    /// The transport header.
    pub(super) header: Header,
    /// The state that it had.
    pub(super) state: State,
}

/// The first fragments of late, bounded: the oldest makes room.
pub(super) struct Fragments {
    told: HashMap<Key, (Timestamp, Told), foldhash::fast::RandomState>,
    /// The keys of `told`, oldest first.
    order: VecDeque<Key>,
    limit: usize,
    unknown: u64,
}

impl Fragments {
    /// A memory of at most `limit` datagrams.
    pub(super) fn new(limit: usize) -> Self {
        Self { told: HashMap::default(), order: VecDeque::new(), limit, unknown: 0 }
    }

    /// Remembers what the first fragment `packet` tells.
    pub(super) fn remember(&mut self, packet: &Ip, fragment: Fragment, told: Told, now: Timestamp) {
        let key = Key::of(packet, fragment);
        let timeout = if packet.src.is_ipv4() { TIMEOUT_V4 } else { TIMEOUT_V6 };
        if self.told.insert(key, (now.plus(timeout), told)).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.told.remove(&oldest);
        }
    }

    /// What the first fragment of `packet`'s datagram told; what is not known is counted.
    pub(super) fn recall(&mut self, packet: &Ip, fragment: Fragment, now: Timestamp) -> Option<Told> {
        let known = self.told.get(&Key::of(packet, fragment)).filter(|(expires, _)| *expires > now);
        if known.is_none() {
            self.unknown += 1;
        }
        known.map(|&(_, told)| told)
    }

    /// How many later fragments came without their first.
    pub(super) fn unknown(&self) -> u64 {
        self.unknown
    }
}

impl Key {
    fn of(packet: &Ip, fragment: Fragment) -> Self {
        let protocol = packet.src.is_ipv4().then_some(packet.protocol);
        Self { src: packet.src, dst: packet.dst, id: fragment.id, protocol }
    }
}
