//! What takes the decision of another packet: replies and later fragments.

use super::*;
use crate::packet::{Tcp, TcpFlags};

#[test]
fn replies_pass_in_front_of_the_rules_and_say_who_opened() {
    let matcher = matcher(&Ruleset { rules: vec![incoming(0, Action::Block)], ..Ruleset::default() });
    let mut engine = engine();
    let mut go = |direction, packet: &Ip| {
        let decision = engine.decide(&matcher, packet, &context(direction, 0));
        (decision.action, id(&matcher, &decision), reason(&matcher, &decision, packet))
    };
    assert_eq!(go(Outgoing, &tcp((OWN, 40_000), (PEER, 443), "S")).1, "default_policy");
    let answer = go(Incoming, &tcp((PEER, 443), (OWN, 40_000), "SA"));
    assert_eq!(answer, allowed("reply", "reply to a connection opened from here"));
    let error = icmp_error(ip("203.0.113.1"), &tcp((OWN, 40_000), (PEER, 443), "S"));
    assert_eq!(go(Incoming, &error), allowed("related", "ICMP error about a known connection"));
    assert_eq!(go(Incoming, &syn()), blocked("rule-0", "rule 1 blocks it"));
    let unknown = tcp((PEER, 443), (OWN, 40_001), "SA");
    assert_eq!(go(Incoming, &unknown), blocked("rule-0", "rule 1 blocks it, state invalid"));
}

#[test]
fn a_blocked_opener_has_no_replies_and_an_opener_is_judged_with_each_packet() {
    let rules = Ruleset { rules: vec![incoming(0, Action::Allow)], ..deny_all() };
    let (strict, open) = (matcher(&deny_all()), matcher(&rules));
    let mut engine = engine();
    let mut go = |matcher: &Matcher, direction, packet: &Ip| {
        let decision = engine.decide(matcher, packet, &context(direction, 0));
        (decision.state, id(matcher, &decision), decision.allows())
    };
    let answer = tcp((OWN, 22), (PEER, 40_000), "SA");
    assert_eq!(go(&strict, Incoming, &syn()), (State::New, "default_policy".into(), false));
    assert_eq!(go(&strict, Outgoing, &answer), (State::Invalid, "default_policy".into(), false));
    assert_eq!(go(&open, Incoming, &syn()), (State::New, "rule-0".into(), true));
    assert_eq!(go(&open, Outgoing, &answer), (State::Reply, "reply".into(), true));
    let ack = tcp((PEER, 40_000), (OWN, 22), "A");
    assert_eq!(go(&open, Incoming, &ack), (State::Original, "rule-0".into(), true));
    assert_eq!(go(&strict, Incoming, &ack), (State::Original, "default_policy".into(), false), "new rules");
}

/// A segment in fragments of eight bytes: the first ends in front of its flags.
fn tiny(flags: &str) -> [Ip; 3] {
    let whole = tcp((PEER, 40_000), (OWN, 22), flags);
    let Transport::Tcp(Tcp { flags, .. }) = whole.transport else { panic!("a segment") };
    let part = |offset, len, transport| Ip {
        fragment: Some(Fragment { id: 9, offset, len, more: offset < 16 }),
        transport,
        ..whole
    };
    let first = whole.with_tcp_flags(TcpFlags(0)).transport;
    [part(0, 8, first), part(8, 8, Transport::TcpRest(flags)), part(16, 4, Transport::None)]
}

#[test]
fn a_segment_whose_flags_are_in_its_second_fragment_opens_a_connection_by_them() {
    let rules = Ruleset { rules: vec![incoming(0, Action::Allow)], ..deny_all() };
    let matcher = matcher(&rules);
    let answer = tcp((OWN, 22), (PEER, 40_000), "RA");
    for (flags, reply) in [("S", State::Reply), ("A", State::Reply), ("F", State::Invalid), ("", State::Invalid)] {
        for backwards in [false, true] {
            let mut engine = engine();
            let mut parts = tiny(flags);
            if backwards {
                parts.reverse();
            }
            for part in parts {
                assert!(engine.decide(&matcher, &part, &context(Incoming, 0)).allows());
            }
            assert_eq!(engine.decide(&matcher, &answer, &context(Outgoing, 1)).state, reply, "{flags} {backwards}");
        }
    }
}

#[test]
fn later_fragments_take_the_decision_of_their_first() {
    let rules = Ruleset {
        block_ports: block_ports(&["445"]),
        rules: vec![Rule { dst_port: condition(ports("22")), ..incoming(0, Action::Allow) }],
        ..deny_all()
    };
    let matcher = matcher(&rules);
    let mut engine = engine();
    let mut go = |packet: &Ip, seconds| {
        let decision = engine.decide(&matcher, packet, &context(Incoming, seconds));
        reason(&matcher, &decision, packet)
    };
    let ssh = syn();
    let smb = tcp((PEER, 40_000), (OWN, 445), "S");
    assert_eq!(go(&fragment(ssh, 7, 1480), 0), "default_policy deny for incoming, fragment without its first");
    assert_eq!(go(&fragment(ssh, 7, 0), 1), "rule 1 allows it");
    assert_eq!(go(&fragment(ssh, 7, 1480), 2), "rule 1 allows it");
    assert_eq!(go(&fragment(smb, 8, 0), 3), "destination port 445 is in block_ports");
    assert_eq!(go(&fragment(smb, 8, 1480), 4), "destination port 445 is in block_ports");
    assert_eq!(go(&fragment(ssh, 7, 2960), 30), "rule 1 allows it");
    assert_eq!(go(&fragment(ssh, 7, 2960), 31), "default_policy deny for incoming, fragment without its first");
    assert_eq!(engine.counters().fragments_unknown, 2);
}

#[test]
fn an_ipv6_datagram_is_known_by_its_id_whatever_header_its_fragments_name() {
    let rules = Ruleset { block_ports: block_ports(&["445"]), ..Ruleset::default() };
    let matcher = matcher(&rules);
    let mut engine = engine();
    let first = udp(("2001:db8::7", 1), ("2001:db8::5", 445));
    let mut later = fragment(first, 9, 1448);
    later.protocol = Protocol(60);
    engine.decide(&matcher, &fragment(first, 9, 0), &context(Incoming, 0));
    assert_eq!(engine.decide(&matcher, &later, &context(Incoming, 59)).step, Step::BlockPorts);
    assert!(engine.decide(&matcher, &later, &context(Incoming, 60)).without_first);
}

#[test]
fn the_oldest_datagram_makes_room() {
    let matcher = matcher(&Ruleset::default());
    let mut engine = Engine::new(Limits { datagrams: 10, ..Limits::default() });
    for id in 0..11 {
        engine.decide(&matcher, &fragment(syn(), id, 0), &context(Incoming, 0));
    }
    let mut known = |id| !engine.decide(&matcher, &fragment(syn(), id, 40), &context(Incoming, 0)).without_first;
    assert_eq!((known(1), known(10), known(0)), (true, true, false));
}

#[test]
fn only_a_whole_datagram_opens_a_connection() {
    let rules = Ruleset { rules: vec![incoming(0, Action::Allow)], ..deny_all() };
    let matcher = matcher(&rules);
    let (there, back) = (udp((PEER, 1), (OWN, 2)), udp((OWN, 2), (PEER, 1)));
    let part = |id, offset, more| {
        let mut part = fragment(Ip { len: 20 + 16, ..there }, id, offset);
        part.fragment = part.fragment.map(|fragment| Fragment { more, ..fragment });
        part
    };
    let whole = [(0, true), (16, true), (32, false)];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let mut engine = engine();
        let mut go = |packet: &Ip, direction| engine.decide(&matcher, packet, &context(direction, 0)).state;
        for (count, place) in order.into_iter().enumerate() {
            assert_eq!(go(&back, Outgoing), State::New, "{count} fragments are there");
            let (offset, more) = whole[place];
            go(&part(7, offset, more), Incoming);
            // The same again is nothing new.
            if count < 2 {
                go(&part(7, offset, more), Incoming);
            }
        }
        assert_eq!(go(&back, Outgoing), State::Reply, "{order:?}");
    }
}
