//! What the first fragment of a datagram told, for the later ones, which have no transport header; and whether all of
//! it was seen.

use super::decision::State;
use super::subject::Header;
use crate::packet::{Counted, Datagram, Fragment, Ip, Parts, Protocol, TcpFlags, Transport};
use crate::time::Timestamp;
use std::collections::{HashMap, VecDeque};

/// Datagrams remembered at most, about a megabyte: enough for a gigabit of large datagrams in half a second, and
/// fragments follow each other at once.
pub const MAX_DATAGRAMS: usize = 4096;

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

/// What is known of a datagram that comes in fragments.
struct Known {
    /// It is remembered as long as the kernel waits for the rest.
    expires: Timestamp,
    /// What its first fragment told, once that was seen.
    told: Option<Told>,
    /// Its first fragment, if that opens a connection and was let through, until all is there.
    opening: Option<Ip>,
    /// TCP's flags, if the first fragment ended in front of them.
    flags: Option<TcpFlags>,
    parts: Parts,
}

impl Known {
    /// Nothing, until then.
    fn new(expires: Timestamp) -> Self {
        Self { expires, told: None, opening: None, flags: None, parts: Parts::default() }
    }

    /// Counts a fragment. What was told of a datagram that it ends is of another.
    fn count(&mut self, packet: &Ip, fragment: Fragment) -> Counted {
        let counted = self.parts.count(fragment, packet.src.is_ipv6());
        if counted == Counted::Ends {
            *self = Self::new(self.expires);
        }
        counted
    }
}

/// The datagrams of late that came in fragments, bounded: the oldest makes room.
pub(super) struct Fragments {
    datagrams: HashMap<Datagram, Known, foldhash::fast::RandomState>,
    /// Oldest first.
    order: VecDeque<Datagram>,
    limit: usize,
    unknown: u64,
}

impl Fragments {
    /// A memory of at most `limit` datagrams.
    pub(super) fn new(limit: usize) -> Self {
        Self { datagrams: HashMap::default(), order: VecDeque::new(), limit, unknown: 0 }
    }

    /// Remembers what the first fragment `packet` tells.
    pub(super) fn remember(&mut self, packet: &Ip, fragment: Fragment, told: Told, now: Timestamp) {
        let expires = now.plus(Datagram::of_fragment(packet, fragment).reassembly_timeout());
        let datagram = self.datagram(packet, fragment, now);
        if datagram.told.is_some() && datagram.parts.are_all() {
            // The number is in use again.
            *datagram = Known::new(expires);
        }
        // The kernel keeps the one that came before.
        if datagram.count(packet, fragment) != Counted::LeftOut || datagram.told.is_none() {
            (datagram.told, datagram.expires) = (Some(told), expires);
        }
    }

    /// What the first fragment of `packet`'s datagram told; what is not known is counted.
    pub(super) fn recall(&mut self, packet: &Ip, fragment: Fragment, now: Timestamp) -> Option<Told> {
        let datagram = self.datagram(packet, fragment, now);
        datagram.count(packet, fragment);
        if let Transport::TcpRest(flags) = packet.transport {
            datagram.flags = Some(flags);
        }
        let told = datagram.told;
        if told.is_none() {
            self.unknown += 1;
        }
        told
    }

    /// A fragment was let through, a first one that `opens` a connection perhaps. Returns the first, with TCP's flags, when
    /// all of its datagram is there: the kernel tracks it whole, or not at all.
    pub(super) fn leave(&mut self, packet: &Ip, fragment: Fragment, opens: bool) -> Option<Ip> {
        let datagram = self.datagrams.get_mut(&Datagram::of_fragment(packet, fragment))?;
        if opens {
            datagram.opening = Some(*packet);
        }
        let opening = datagram.parts.are_all().then(|| datagram.opening.take()).flatten()?;
        // Those of a header that is cut off are none.
        let flags = || datagram.flags.unwrap_or_default();
        Some(if opening.hides_tcp_flags() { opening.with_tcp_flags(flags()) } else { opening })
    }

    /// How many later fragments came without their first.
    pub(super) fn unknown(&self) -> u64 {
        self.unknown
    }

    /// What is known of the datagram of `packet`; room for it, if that is nothing.
    fn datagram(&mut self, packet: &Ip, fragment: Fragment, now: Timestamp) -> &mut Known {
        let key = Datagram::of_fragment(packet, fragment);
        let expires = now.plus(key.reassembly_timeout());
        if !self.datagrams.contains_key(&key) {
            self.order.push_back(key);
            if self.order.len() > self.limit
                && let Some(oldest) = self.order.pop_front()
            {
                self.datagrams.remove(&oldest);
            }
        }
        let datagram = self.datagrams.entry(key).or_insert_with(|| Known::new(expires));
        if datagram.expires <= now {
            *datagram = Known::new(expires);
        }
        datagram
    }
}
