//! Flows that are translated, and connections of this machine's own with the same ends.

use super::super::first_fragments;
use super::*;
use crate::conntrack::Tuple;
use crate::packet::{Fragment, Protocol, TcpFlags};
use std::time::Duration;

const CLIENT: [u8; 4] = [203, 0, 113, 9];
const HOST: [u8; 4] = [198, 51, 100, 1];
const SERVER: [u8; 4] = [172, 17, 0, 2];

fn host() -> Host {
    Host { addresses: vec![(HOST.into(), 24)], forwards_v4: true, ..Host::default() }
}

fn millis(millis: u64) -> Timestamp {
    at(0).plus(Duration::from_millis(millis))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_parts(1_800_000_000 + seconds, 0)
}

fn tuple(src: [u8; 4], dst: [u8; 4], ports: (u16, u16)) -> Tuple {
    let ports = Ports { src: ports.0, dst: ports.1 };
    Tuple { src: src.into(), dst: dst.into(), protocol: Protocol::UDP, ports }
}

fn udp(src: [u8; 4], dst: [u8; 4], ports: (u16, u16)) -> Ip {
    let Tuple { src, dst, protocol, ports } = tuple(src, dst, ports);
    Ip { src, dst, protocol, ttl: 64, len: 100, fragment: None, transport: Transport::Udp(ports) }
}

/// A flow to a port of the host that leads to the server.
fn published() -> Flow {
    Flow { original: tuple(CLIENT, HOST, (4000, 8080)), reply: tuple(SERVER, CLIENT, (80, 4000)) }
}

/// A flow of the server's that leaves by the port of the host that it has itself.
fn masqueraded() -> Flow {
    Flow { original: tuple(SERVER, CLIENT, (80, 4000)), reply: tuple(CLIENT, HOST, (4000, 80)) }
}

/// What answers in it, before it is translated back.
fn from_outside() -> Ip {
    udp(CLIENT, HOST, (4000, 80))
}

#[test]
fn packets_of_a_translated_flow_are_known_while_it_is_there() {
    let mut forwarding = Forwarding::default();
    let packet = udp(CLIENT, HOST, (4000, 8080));
    assert!(!forwarding.covers(&packet, at(0)));
    forwarding.change(&host(), &Change::Opened(published()), at(1));
    assert!(forwarding.covers(&packet, at(5)) && forwarding.covers(&udp(HOST, CLIENT, (8080, 4000)), at(5)));
    assert!(!forwarding.covers(&udp(CLIENT, HOST, (4000, 22)), at(5)), "another flow");
    let other = forwarding.other_ends(&udp(SERVER, CLIENT, (80, 4000)), at(5));
    assert_eq!(other, Some(published().original.ends()));
    forwarding.change(&host(), &Change::Closed(published()), at(9));
    assert!(forwarding.covers(&packet, at(9)), "it was seen before");
    assert!(!forwarding.covers(&packet, at(10)));
}

#[test]
fn what_was_missed_is_put_right_by_a_list() {
    let mut forwarding = Forwarding::default();
    forwarding.change(&host(), &Change::Opened(published()), at(1));
    let other = Flow { original: tuple(CLIENT, HOST, (4001, 8080)), reply: tuple(SERVER, CLIENT, (80, 4001)) };
    forwarding.changed_to(&host(), &[other], at(2));
    assert!(!forwarding.covers(&udp(CLIENT, HOST, (4000, 8080)), at(3)));
    assert!(forwarding.covers(&udp(CLIENT, HOST, (4001, 8080)), at(3)));
}

#[test]
fn a_translated_flow_that_begins_or_ends_here_does_not_pass_through() {
    let redirected = Flow { original: tuple(CLIENT, HOST, (4000, 80)), reply: tuple(HOST, CLIENT, (8080, 4000)) };
    let masqueraded = Flow { original: tuple(HOST, CLIENT, (5000, 53)), reply: tuple(CLIENT, HOST, (53, 6000)) };
    let mut forwarding = Forwarding::default();
    for flow in [redirected, masqueraded] {
        forwarding.change(&host(), &Change::Opened(flow), at(1));
    }
    assert!(!forwarding.covers(&udp(CLIENT, HOST, (4000, 80)), at(2)));
    assert!(!forwarding.covers(&udp(HOST, CLIENT, (6000, 53)), at(2)));
}

#[test]
fn where_a_connection_to_this_machine_begins_a_flow_is_over() {
    let mut forwarding = Forwarding::default();
    let packet = udp(CLIENT, HOST, (4000, 8080));
    forwarding.change(&host(), &Change::Opened(published()), at(1));
    forwarding.begins(&packet, at(3));
    assert!(forwarding.covers(&packet, at(2)) && !forwarding.covers(&packet, at(3)));
    forwarding.change(&host(), &Change::Closed(published()), at(4));
    assert!(!forwarding.covers(&packet, at(3)), "late notice of the end changes nothing");
    forwarding.change(&host(), &Change::Opened(published()), at(5));
    forwarding.begins(&packet, at(4));
    assert!(forwarding.covers(&packet, at(6)), "late notice of that neither");
}

#[test]
fn what_this_machine_opened_before_a_flow_of_the_same_ends_began_is_its_own() {
    let outside = from_outside();
    let mut forwarding = Forwarding::default();
    forwarding.begins(&outside, at(1));
    forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), at(2));
    forwarding.change(&host(), &Change::Opened(masqueraded()), at(2));
    assert!(!forwarding.covers(&outside, at(1)) && forwarding.covers(&outside, at(2)));
    // And so again and again, before packets of the first are looked at.
    let mut forwarding = Forwarding::default();
    for (own, flow) in [(1, 2), (4, 5)] {
        forwarding.begins(&outside, millis(own));
        forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), millis(flow));
    }
    forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), millis(7));
    forwarding.change(&host(), &Change::Opened(masqueraded()), millis(9));
    let covered = [1, 2, 3, 4, 5, 6].map(|time| forwarding.covers(&outside, millis(time)));
    assert_eq!(covered, [false, true, true, false, true, true]);
}

#[test]
fn a_flow_that_was_over_before_its_time_was_looked_at_is_not_ended_by_what_this_machine_opened_before_it() {
    let outside = from_outside();
    let mut forwarding = Forwarding::default();
    forwarding.change(&host(), &Change::Opened(masqueraded()), millis(9));
    forwarding.change(&host(), &Change::Closed(masqueraded()), millis(10));
    forwarding.begins(&outside, millis(1));
    forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), millis(5));
    let covered = [1, 4, 5, 8, 10, 11].map(|time| forwarding.covers(&outside, millis(time)));
    assert_eq!(covered, [false, false, true, true, true, false]);
}

#[test]
fn one_connection_after_another_of_the_ends_of_a_flow_that_is_over_is_this_machine_s_own() {
    let outside = from_outside();
    let mut forwarding = Forwarding::default();
    forwarding.change(&host(), &Change::Opened(masqueraded()), millis(50));
    forwarding.change(&host(), &Change::Closed(masqueraded()), millis(51));
    forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), millis(1));
    let own = || (3..40).step_by(3);
    own().for_each(|time| forwarding.begins(&outside, millis(time)));
    assert!(forwarding.covers(&outside, millis(2)));
    assert_eq!(own().find(|&time| forwarding.covers(&outside, millis(time))), None);
}

#[test]
fn a_flow_that_is_translated_at_both_ends_follows_on_an_own_connection_like_any_other() {
    // Its ends inside were another flow's, so that it left with another port.
    let published = Flow { reply: tuple(SERVER, CLIENT, (80, 4001)), ..published() };
    let outside = udp(CLIENT, HOST, (4000, 8080));
    let mut forwarding = Forwarding::default();
    forwarding.begins(&outside, at(1));
    forwarding.passes(&udp(CLIENT, SERVER, (4000, 80)), at(2));
    forwarding.change(&host(), &Change::Opened(published), at(2));
    assert!(!forwarding.covers(&outside, at(1)) && forwarding.covers(&outside, at(2)));
}

#[test]
fn the_beginning_of_a_flow_the_other_way_between_the_same_ends_is_not_that_of_a_translated_one() {
    let outside = udp(CLIENT, HOST, (4000, 8080));
    let mut forwarding = Forwarding::default();
    forwarding.begins(&outside, millis(1));
    forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), millis(2));
    forwarding.passes(&udp(CLIENT, SERVER, (4000, 80)), millis(4));
    forwarding.change(&host(), &Change::Opened(published()), millis(4));
    assert!(!forwarding.covers(&outside, millis(3)) && forwarding.covers(&outside, millis(4)));
}

#[test]
fn the_beginning_of_a_flow_that_left_with_other_ends_makes_no_own_packet_part_of_the_one_before() {
    let masqueraded =
        |port| Flow { original: tuple(SERVER, CLIENT, (80, 4000)), reply: tuple(CLIENT, HOST, (4000, port)) };
    let (outside, inside) = (udp(CLIENT, HOST, (4000, 80)), udp(SERVER, CLIENT, (80, 4000)));
    let mut forwarding = Forwarding::default();
    for change in [Change::Opened(masqueraded(80)), Change::Closed(masqueraded(80)), Change::Opened(masqueraded(49))] {
        forwarding.change(&host(), &change, millis(9));
    }
    forwarding.passes(&inside, millis(1));
    forwarding.begins(&outside, millis(3));
    forwarding.passes(&inside, millis(5));
    let covered = [1, 2, 3, 4, 5, 8].map(|time| forwarding.covers(&outside, millis(time)));
    assert_eq!(covered, [true, true, false, false, false, false], "the port was taken, so that it left with another");
    assert!(forwarding.covers(&udp(CLIENT, HOST, (4000, 49)), millis(6)));
}

#[test]
fn who_answers_in_a_flow_and_opens_a_connection_that_ends_it_opens_one_to_this_machine() {
    let segment = |flags, ip: Ip| {
        let Transport::Udp(ports) = ip.transport else { unreachable!("made so") };
        Ip { transport: Transport::Tcp(Tcp { ports, flags: TcpFlags(flags), ..Tcp::default() }), ..ip }
    };
    let as_tcp = |flow: Flow| {
        let [original, reply] = [flow.original, flow.reply].map(|tuple| Tuple { protocol: Protocol::TCP, ..tuple });
        Flow { original, reply }
    };
    let tcp = |ip: Ip| Ip { protocol: Protocol::TCP, ..ip };
    let syn = segment(TcpFlags::SYN, tcp(udp(CLIENT, HOST, (4000, 80))));
    let mut forwarding = Forwarding::default();
    forwarding.change(&host(), &Change::Opened(as_tcp(masqueraded())), at(1));
    assert!(!forwarding.is_replaced_by(&syn, at(2)), "the flow goes on: both have opened it at once");
    forwarding.change(&host(), &Change::Closed(as_tcp(masqueraded())), at(3));
    assert!(forwarding.is_replaced_by(&syn, at(2)) && !forwarding.is_replaced_by(&syn, at(4)));
    let answer = segment(TcpFlags::SYN | TcpFlags::ACK, tcp(udp(CLIENT, HOST, (4000, 80))));
    assert!(!forwarding.is_replaced_by(&answer, at(2)));
    forwarding.change(&host(), &Change::Opened(as_tcp(published())), at(1));
    forwarding.change(&host(), &Change::Closed(as_tcp(published())), at(3));
    let again = segment(TcpFlags::SYN, tcp(udp(CLIENT, HOST, (4000, 8080))));
    assert!(!forwarding.is_replaced_by(&again, at(2)), "who opened it opens another that is translated");
}

#[test]
fn the_end_of_an_own_connection_ends_no_flow_of_the_same_ends() {
    // The port is taken, so that its packets leave with another.
    let own = Flow { original: tuple(HOST, CLIENT, (80, 4000)), reply: tuple(CLIENT, HOST, (4000, 159)) };
    let mut forwarding = Forwarding::default();
    forwarding.change(&host(), &Change::Opened(masqueraded()), at(1));
    forwarding.change(&host(), &Change::Opened(own), at(2));
    forwarding.change(&host(), &Change::Closed(own), at(3));
    assert!(forwarding.covers(&udp(CLIENT, HOST, (4000, 80)), at(4)));
}

#[test]
fn detection_sees_a_translated_flow_as_who_opened_it_does() {
    let mut forwarding = Forwarding::default();
    forwarding.change(&host(), &Change::Opened(published()), at(1));
    let shows = |src, dst, ports| {
        let net = Net::Ip(udp(src, dst, ports));
        let packet = Packet::of(net);
        let direction = crate::engine::Direction::Forwarded;
        forwarding.shows(&Seen { time: at(2), packet, direction, interface: 2, fingerprint: None, for_another: false })
    };
    assert!(shows(CLIENT, HOST, (4000, 8080)) && shows(HOST, CLIENT, (8080, 4000)));
    assert!(!shows(CLIENT, SERVER, (4000, 80)) && !shows(SERVER, CLIENT, (80, 4000)));
    assert!(shows(CLIENT, SERVER, (4001, 80)), "of no translated flow");
}

#[test]
fn fragments_go_with_their_first() {
    let mut forwarding = Forwarding::default();
    forwarding.change(&host(), &Change::Opened(published()), at(1));
    let fragment = |offset| Some(Fragment { id: 7, offset, len: 80, more: true });
    let first = Ip { fragment: fragment(0), ..udp(CLIENT, HOST, (4000, 8080)) };
    let later = Ip { fragment: fragment(1480), transport: Transport::None, ..first };
    assert!(!forwarding.covers(&later, at(2)));
    assert!(forwarding.covers(&first, at(2)));
    forwarding.entered(&first, at(2));
    assert!(forwarding.covers(&later, at(2)));
    assert!(!forwarding.covers(&later, at(4)), "another datagram by then");
}

#[test]
fn datagrams_that_find_no_room_are_counted() {
    let mut forwarding = Forwarding::default();
    let room = u32::try_from(first_fragments::MAX_DATAGRAMS).unwrap();
    for id in 0..room + 3 {
        let fragment = Some(Fragment { id, offset: 0, len: 80, more: true });
        forwarding.entered(&Ip { fragment, ..udp(CLIENT, HOST, (4000, 8080)) }, at(1));
    }
    assert_eq!(forwarding.forgotten_datagrams(), 3);
}
