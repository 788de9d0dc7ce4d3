//! What was decided lately: packets of one conversation are decided alike, and come one after the other.
//!
//! What the rules say of a TCP or UDP packet rests on its addresses and ports, its state, its passage, its interface
//! and the rules, and on nothing else; so it is remembered by all of these, and found again for less than two of the
//! tables cost that [`Matcher::judge`](super::Matcher) asks. Packets of which more counts are judged each time.
//!
//! Each has one place, and the later takes it from the earlier. Who makes up packets that share no conversation, or
//! that fall on one place, has them judged each time: no more than is done without this.

use super::decision::{Decision, InterfaceClass, State};
use super::subject::{Header, Passage, Subject};
use foldhash::fast::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::IpAddr;

/// How many are remembered: 144 KiB, which stay in the processor's second cache.
const PLACES: usize = 1 << 11;

/// All that a decision rests on.
type Key = [u64; 6];

#[derive(Clone, Copy)]
struct Place {
    key: Key,
    decision: Option<Decision>,
}

/// The decisions that are remembered.
pub(super) struct Recent {
    places: Box<[Place]>,
    hasher: RandomState,
}

impl Recent {
    /// Nothing was decided yet.
    pub(super) fn new() -> Self {
        Self { places: vec![Place { key: [0; 6], decision: None }; PLACES].into(), hasher: RandomState::default() }
    }

    /// What was decided by `key`, or what `judge` says now.
    #[inline]
    pub(super) fn find(&mut self, key: Option<Key>, judge: impl FnOnce() -> Decision) -> Decision {
        let Some(key) = key else { return judge() };
        let mut hasher = self.hasher.build_hasher();
        for word in key {
            hasher.write_u64(word);
        }
        let at = (hasher.finish() >> 32) as usize % PLACES;
        let Some(place) = self.places.get_mut(at) else { return judge() };
        match place.decision {
            Some(decision) if is_same(&place.key, &key) => decision,
            _ => {
                let decision = judge();
                *place = Place { key, decision: Some(decision) };
                decision
            }
        }
    }
}

/// Whether two keys are equal, without the call that comparing arrays of this size makes.
#[inline]
fn is_same(one: &Key, other: &Key) -> bool {
    one.iter().zip(other).fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}

/// What a decision by the rules of number `rules` rests on, if it is no more than a key holds.
#[inline]
pub(super) fn key(
    rules: u32,
    subject: &Subject<'_>,
    passage: Passage,
    interface: InterfaceClass,
    state: State,
) -> Option<Key> {
    let (ports, udp) = match subject.header {
        Header::Tcp(ports) => (ports, 0),
        Header::Udp(ports) => (ports, 1),
        Header::Icmp { .. } | Header::None => return None,
    };
    let ends = u64::from(ports.src) << 16 | u64::from(ports.dst);
    let family = u64::from(subject.src().is_ipv4());
    let how = family << 17 | udp << 16 | (passage as u64) << 8 | state as u64;
    let ([a, b], [c, d]) = (words(subject.src()), words(subject.dst()));
    Some([a, b, c, d, ends << 32 | how, u64::from(rules) << 32 | u64::from(interface.0)])
}

/// An address without its family, which the key has elsewhere.
#[inline]
fn words(address: IpAddr) -> [u64; 2] {
    match address {
        IpAddr::V4(address) => [0, address.to_bits().into()],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
            let halves = [(bits >> 64) as u64, bits as u64];
            halves
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::super::{Context, Direction, Engine, Limits, Matcher};
    use super::*;
    use crate::host::Host;
    use crate::packet::{About, Icmp, Ip, Ports, Protocol, Tcp, Transport};
    use crate::rules::Ruleset;
    use std::collections::HashSet;

    fn packet(src: &str, dst: &str, protocol: Protocol, transport: Transport) -> Ip {
        Ip { src: ip(src), dst: ip(dst), protocol, ttl: 64, len: 60, fragment: None, transport }
    }

    fn tcp(src: u16, dst: u16) -> (Protocol, Transport) {
        (Protocol::TCP, Transport::Tcp(Tcp { ports: Ports { src, dst }, ..Tcp::default() }))
    }

    fn udp(src: u16, dst: u16) -> (Protocol, Transport) {
        (Protocol::UDP, Transport::Udp(Ports { src, dst }))
    }

    #[test]
    fn all_that_a_decision_rests_on_is_told_apart() {
        use Passage::{In, LoopbackIn, LoopbackOut, Out, Through};
        use State::{Invalid, New, Original, Related, Reply, Untracked};
        let (here, there) = ("10.0.0.5", "192.0.2.7");
        let ends = [(here, there), (there, here), (here, here), ("::a00:5", "::c000:207"), ("::a00:5:0:0", "::1")];
        let headers = [tcp(1, 2), tcp(2, 1), tcp(2, 2), udp(1, 2), udp(2, 1)];
        let (mut keys, mut count) = (HashSet::new(), 0);
        for ((src, dst), (protocol, transport)) in ends.iter().flat_map(|&ends| headers.map(|header| (ends, header))) {
            let packet = packet(src, dst, protocol, transport);
            for passage in [In, Out, LoopbackIn, LoopbackOut, Through] {
                for state in [New, Original, Reply, Related, Invalid, Untracked] {
                    for (rules, interface) in [(0, 0), (0, 1), (1, 0), (u32::MAX, u32::MAX)] {
                        let subject = Subject::of(&packet);
                        keys.insert(key(rules, &subject, passage, InterfaceClass(interface), state).unwrap());
                        count += 1;
                    }
                }
            }
        }
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn packets_of_which_more_counts_are_not_remembered() {
        let message = Transport::Icmp(Icmp { kind: 8, code: 0, id: 1, about: About::Nothing });
        for (protocol, transport) in [(Protocol::ICMP, message), (Protocol::IGMP, Transport::None)] {
            let packet = packet("10.0.0.5", "192.0.2.7", protocol, transport);
            assert_eq!(key(0, &Subject::of(&packet), Passage::In, InterfaceClass(0), State::New), None);
        }
    }

    #[test]
    fn other_rules_decide_anew() {
        let (protocol, transport) = tcp(4000, 80);
        let packet = packet("192.0.2.7", "10.0.0.5", protocol, transport);
        let rules = |block_ips| Ruleset { block_ips, ..Ruleset::default() };
        let compiled = |rules| Matcher::new(&rules, &Host::default(), at(0));
        let open = compiled(rules(Vec::new()));
        let closed = compiled(rules(addresses("block_ips", &["192.0.2.7"])));
        let mut engine = Engine::new(Limits::default());
        let context = Context { direction: Direction::Incoming, interface: InterfaceClass(0), time: at(0) };
        for _ in 0..3 {
            assert!(engine.decide(&open, &packet, &context).allows());
            assert!(!engine.decide(&closed, &packet, &context).allows());
        }
    }
}
