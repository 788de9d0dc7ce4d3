//! UDP ports of which their host has said that nobody listens there: what goes on coming for them is nobody's
//! conversation, one-sided as many are.
//!
//! A small table: it is asked for each packet of a one-sided flow to a host that has refused something lately, so that
//! the answer must be cheap. Where two ports fall together the latest stays.

use crate::time::Timestamp;
use std::net::IpAddr;
use std::time::Duration;

/// Ports that are remembered at once: Linux refuses no more than about one a second to each peer.
const PORTS: usize = 64;
/// Bits that tell whether a host may have refused anything.
const HOSTS: u32 = 64;
/// For how long a port counts as closed: somebody may begin to listen there.
const CLOSED: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Refusals {
    ports: [Option<Refusal>; PORTS],
    /// A bit for each host that may have refused something, by the end of its address.
    hosts: u64,
}

#[derive(Clone, Copy, Debug)]
struct Refusal {
    host: IpAddr,
    port: u16,
    last: Timestamp,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { ports: [None; PORTS], hosts: 0 }
    }
}

impl Refusals {
    /// Takes in that nobody listens at a port of `host`.
    pub(super) fn add(&mut self, host: IpAddr, port: u16, now: Timestamp) {
        if let Some(place) = self.ports.get_mut(usize::from(port) % PORTS) {
            *place = Some(Refusal { host, port, last: now });
        }
        let fresh = self.ports.iter().flatten().filter(|refusal| now.since(refusal.last) <= CLOSED);
        self.hosts = fresh.fold(0, |hosts, refusal| hosts | bit(refusal.host));
    }

    /// Whether `host` may have refused anything lately: a look that costs next to nothing.
    #[inline]
    pub(super) fn may_be(&self, host: IpAddr) -> bool {
        self.hosts & bit(host) != 0
    }

    /// Whether `host` has said lately that nobody listens at this port of its.
    pub(super) fn knows(&self, host: IpAddr, port: u16, now: Timestamp) -> bool {
        let refusal = self.ports.get(usize::from(port) % PORTS).copied().flatten();
        refusal.is_some_and(|it| it.host == host && it.port == port && now.since(it.last) <= CLOSED)
    }
}

#[inline]
fn bit(host: IpAddr) -> u64 {
    let end = match host {
        IpAddr::V4(host) => host.octets()[3],
        IpAddr::V6(host) => host.octets()[15],
    };
    1 << (u32::from(end) % HOSTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_closed_for_a_while_after_its_host_has_said_so() {
        let [host, other]: [IpAddr; 2] = ["10.0.0.5".parse().unwrap(), "10.0.0.69".parse().unwrap()];
        let at = |seconds| Timestamp::from_parts(seconds, 0);
        let mut refusals = Refusals::default();
        assert!(!refusals.may_be(host) && !refusals.knows(host, 9, at(0)));
        refusals.add(host, 9, at(0));
        assert!(refusals.may_be(host) && refusals.knows(host, 9, at(10)));
        assert!(!refusals.knows(host, 9, at(11)) && !refusals.knows(host, 10, at(1)));
        assert!(refusals.may_be(other) && !refusals.knows(other, 9, at(1)), "the same end of the address");
        refusals.add("10.0.0.6".parse().unwrap(), 12, at(100));
        assert!(!refusals.may_be(host), "long ago");
    }
}
