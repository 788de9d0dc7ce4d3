//! Errors that this machine sends and connection tracking calls RELATED. What they are about need be no connection of its
//! own: it may be a packet that it was to pass on.

use super::{KEPT, MAX_KEPT};
use crate::app::withheld::{Seen, ends};
use crate::conntrack::Ends;
use crate::packet::{Ip, Net, Transport};
use crate::time::Timestamp;
use std::collections::VecDeque;

/// Reports of them, oldest first, with the time at which each was read.
#[derive(Debug, Default)]
pub(super) struct Related(VecDeque<(Seen, Timestamp)>);

impl Related {
    /// Takes a report; it is kept as long as it may be of use.
    pub(super) fn report(&mut self, seen: Seen, now: Timestamp) {
        while self.0.pop_front_if(|(_, read)| *read <= now.minus(KEPT)).is_some() {}
        if self.0.len() >= MAX_KEPT {
            self.0.pop_front();
        }
        self.0.push_back((seen, now));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an error was reported; each report tells of one. `others` are the ends of what it is about to the rules, where
    /// they are translated behind them.
    pub(super) fn take(&mut self, seen: &Seen, others: Option<Ends>) -> bool {
        // Most packets that go out are none.
        let Some(error) = error_in(seen) else { return false };
        let is_it = |(reported, _): &(Seen, _)| {
            error_in(reported).as_ref() == Some(&error) && is_about_the_same(seen, reported, others)
        };
        self.0.iter().position(is_it).and_then(|place| self.0.remove(place)).is_some()
    }
}

/// Whether two sightings of errors are about the same packet. Behind the rules translation can change what one is about.
fn is_about_the_same(seen: &Seen, reported: &Seen, others: Option<Ends>) -> bool {
    let is_other_form = || others.is_some_and(|others| ends(&reported.packet) == Some(others));
    seen.interface == reported.interface && (seen.fingerprint == reported.fingerprint || is_other_form())
}

/// What an error says to whom; where it comes from translation can change behind the rules. One on its way through has lost
/// one of its time to live.
fn error_in(seen: &Seen) -> Option<impl Eq + use<>> {
    let Net::Ip(Ip { dst, ttl, len, transport: Transport::Icmp(icmp), .. }) = seen.packet.net else { return None };
    Some((dst, ttl, len, icmp.kind, icmp.code))
}
