//! What the machine says to itself.

use super::*;

#[test]
fn on_loopback_only_rules_that_name_it_act_and_the_lists_are_absolute() {
    let packet = udp(("127.0.0.1", 1), ("127.0.0.1", 53));
    let mut rules = Ruleset { rules: vec![rule(0, Action::Block)], ..deny_all() };
    assert_eq!(decide(&rules, Loopback, &packet), allowed("loopback", "loopback interface"));
    rules.rules[0].interface = vec![(false, "lo".into())];
    assert_eq!(decide(&rules, Loopback, &packet).1, "rule-0");
    rules.rules[0].interface = vec![(false, "l+".into())];
    assert_eq!(decide(&rules, Loopback, &packet).1, "loopback", "a prefix does not name it");
    rules.block_ports = block_ports(&["53"]);
    assert_eq!(decide(&rules, Loopback, &packet).1, "block_ports:53");
}

#[test]
fn on_loopback_either_way_can_block_and_the_way_in_has_the_last_word() {
    let lo = |index, direction, action| Rule {
        direction: Some(direction),
        interface: vec![(false, "lo".into())],
        ..rule(index, action)
    };
    let packet = udp(("127.0.0.1", 1), ("127.0.0.1", 53));
    let with = |out, into| {
        let rules = vec![lo(0, RuleDirection::Out, out), lo(1, RuleDirection::In, into)];
        decide(&Ruleset { rules, ..Ruleset::default() }, Loopback, &packet).1
    };
    assert_eq!(with(Action::Allow, Action::Allow), "rule-1");
    assert_eq!(with(Action::Allow, Action::Block), "rule-1");
    assert_eq!(with(Action::Block, Action::Allow), "rule-0");
    assert_eq!(with(Action::Reject, Action::Block), "rule-0");
}

#[test]
fn a_loopback_connection_is_remembered_once_it_has_left() {
    let block_in =
        Rule { interface: vec![(false, "lo".into())], dst_port: condition(ports("53")), ..incoming(0, Action::Block) };
    let matcher = matcher(&Ruleset { rules: vec![block_in], ..Ruleset::default() });
    let mut engine = engine();
    let query = udp(("127.0.0.1", 4000), ("127.0.0.1", 53));
    let first = engine.decide(&matcher, &query, &context(Loopback, 0));
    let second = engine.decide(&matcher, &query, &context(Loopback, 0));
    assert_eq!((first.state, second.state), (State::New, State::Original));
    assert!(!first.allows() && !second.allows());
}

#[test]
fn the_reset_that_answers_a_rejected_segment_leaves_its_connection_as_it_is() {
    let reject_in =
        Rule { interface: vec![(false, "lo".into())], dst_port: condition(ports("22")), ..incoming(0, Action::Reject) };
    let matcher = matcher(&Ruleset { rules: vec![reject_in], ..Ruleset::default() });
    let (client, server) = (("127.0.0.1", 4000), ("127.0.0.1", 22));
    let states = |segments: &[&str]| -> Vec<State> {
        let mut engine = engine();
        let packet = |text: &str| match text.split_at(1) {
            (">", flags) => tcp(client, server, flags),
            (_, flags) => tcp(server, client, flags),
        };
        let packets = segments.iter().map(|text| packet(text));
        packets.map(|packet| engine.decide(&matcher, &packet, &context(Loopback, 0)).state).collect()
    };
    assert_eq!(states(&[">S", "<RA", "<SA"]), [State::New, State::Reply, State::Reply]);
    // A second one is the other end's own, and so is one that goes the same way.
    assert_eq!(states(&[">S", "<RA", "<RA", "<SA"]), [State::New, State::Reply, State::Reply, State::Invalid]);
    assert_eq!(states(&[">S", ">R", "<SA"]), [State::New, State::Original, State::Invalid]);
    // Conntrack has closed the connection with the first answer, and finds no fault with an ACK on a closed one.
    let (new, original, reply) = (State::New, State::Original, State::Reply);
    assert_eq!(states(&[">S", "<RA", ">A", "<R", "<SA"]), [new, reply, original, reply, reply]);
}

#[test]
fn own_multicast_and_broadcast_is_heard() {
    let heard = |src, dst| decide(&deny_all(), Incoming, &udp((src, 5353), (dst, 5353))).1 == "own-multicast";
    assert!(heard(OWN, "224.0.0.251") && heard(OWN, "255.255.255.255") && heard(OWN, "10.0.0.255"));
    assert!(heard("fe80::5", "ff02::fb"));
    assert!(!heard(OWN, "10.0.0.7") && !heard(PEER, "224.0.0.251") && !heard("fe80::6", "ff02::fb"));
}
