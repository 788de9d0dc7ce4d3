//! Fragments: of a datagram that is dropped, and beside one.

use super::*;
use crate::app::withheld::datagrams::MAX_BEGUN;

/// What is let go until `settled`, of fragments that are to be blocked.
fn release_blocked(withheld: &mut Withheld, settled: Timestamp) -> Vec<Settled> {
    release_judged(withheld, settled, blocked())
}

fn blocked() -> Judgement {
    let decision = Decision { action: Action::Block, step: Step::BlockIps, ..judgement().decision };
    Judgement { decision, ..judgement() }
}

/// The datagram of [`part`] in two fragments, as it is reported.
fn whole(time: Timestamp, port: u16) -> Seen {
    seen(time, ip(Protocol::UDP, 2980, Transport::Udp(Ports { src: 4000, dst: port })))
}

/// A fragment of eight bytes of a TCP segment of twenty-four.
fn tcp_part(time: Timestamp, offset: u32) -> Seen {
    let ports = Tcp { ports: Ports { src: 4000, dst: 80 }, ..Tcp::default() };
    let transport = if offset == 0 { Transport::Tcp(ports) } else { Transport::None };
    let fragment = Some(Fragment { id: 9, offset, len: 8, more: offset < 16 });
    seen(time, Ip { fragment, ..ip(Protocol::TCP, 28, transport) })
}

fn tcp_whole(time: Timestamp, port: u16, len: u32) -> Seen {
    let flags = TcpFlags(TcpFlags::SYN);
    let tcp = Tcp { ports: Ports { src: 4000, dst: port }, flags, seq: 7, ..Tcp::default() };
    seen(time, ip(Protocol::TCP, len, Transport::Tcp(tcp)))
}

#[test]
fn a_dropped_datagram_has_one_line_for_all_its_fragments() {
    let whole =
        |micros, port| seen(at(micros), ip(Protocol::UDP, 2980, Transport::Udp(Ports { src: 4000, dst: port })));
    let fragments = [part(at(1), 9, 0, 80), part(at(3), 9, 1480, 80)];
    assert_eq!(release(fragments, [whole(3, 80)]), [dropped_whole(whole(3, 80))]);
    let backwards = [part(at(1), 9, 1480, 80), part(at(3), 9, 0, 80)];
    assert_eq!(release(backwards, [whole(3, 80)]), [dropped_whole(whole(3, 80))]);
    assert_eq!(release(fragments, []), fragments.map(passed), "a line for each of an allowed one");
}

#[test]
fn fragments_of_an_allowed_datagram_pass_beside_a_dropped_one() {
    let whole = seen(at(4), ip(Protocol::UDP, 2980, Transport::Udp(Ports { src: 4000, dst: 80 })));
    let (allowed, blocked) =
        ([part(at(1), 8, 0, 81), part(at(4), 8, 1480, 81)], [part(at(2), 9, 0, 80), part(at(4), 9, 1480, 80)]);
    let released = release([allowed[0], blocked[0], allowed[1], blocked[1]], [whole]);
    assert_eq!(
        released,
        [dropped_whole(whole), passed(allowed[0]), passed(allowed[1])],
        "of the same ends, and of one stamp"
    );
}

#[test]
fn datagrams_that_find_no_room_are_counted() {
    let mut withheld = Withheld::default();
    let room = u32::try_from(MAX_BEGUN).expect("small");
    (0..room + 3).for_each(|id| withheld.hold(part(at(1), id, 0, 80)));
    release_blocked(&mut withheld, at(2));
    assert_eq!(withheld.forgotten(), 3);
}

#[test]
fn what_comes_twice_of_a_dropped_datagram_goes_with_it() {
    let whole = seen(at(2), ip(Protocol::UDP, 2980, Transport::Udp(Ports { src: 4000, dst: 80 })));
    let twice = [part(at(1), 9, 0, 80), part(at(2), 9, 1480, 80), part(at(3), 9, 1480, 80)];
    assert_eq!(release(twice, [whole]), [dropped_whole(whole), Settled::Repeated(twice[2])], "and is counted");
    let later = part(at(40_000), 9, 0, 80);
    let mut withheld = Withheld::default();
    for part in twice {
        withheld.hold(part);
    }
    withheld.report_incoming(whole, BY);
    assert_eq!(release_until(&mut withheld, at(40_000)), [dropped_whole(whole), Settled::Repeated(twice[2])]);
    withheld.hold(later);
    assert_eq!(release_until(&mut withheld, END), [passed(later)], "another datagram by then");
}

#[test]
fn a_datagram_that_bears_the_identification_of_a_dropped_one_has_lines_of_its_own() {
    let whole = seen(at(2), ip(Protocol::UDP, 2980, Transport::Udp(Ports { src: 4000, dst: 80 })));
    let blocked = [part(at(1), 9, 0, 80), part(at(2), 9, 1480, 80)];
    let released = |allowed: [Seen; 2]| release(blocked.into_iter().chain(allowed), [whole]);
    let (first, rest) = (part(at(3), 9, 0, 81), part(at(4), 9, 1480, 81));
    assert_eq!(released([first, rest]), [dropped_whole(whole), passed(first), passed(rest)]);
    let (rest, first) = (part(at(3), 9, 1480, 81), part(at(4), 9, 0, 81));
    assert_eq!(released([rest, first]), [dropped_whole(whole), passed(first), passed(rest)], "in whatever order");
    let further = part(at(3), 9, 2960, 80);
    let all = release(blocked.into_iter().chain([further]), [whole]);
    assert_eq!(all, [dropped_whole(whole), passed(further)], "what the dropped one never had");
}

#[test]
fn a_fragment_that_was_reported_by_itself_is_dropped_by_itself() {
    let fragments = [part(at(1), 9, 0, 80), part(at(2), 9, 1480, 80)];
    assert_eq!(release(fragments, [fragments[1]]), [dropped(fragments[1]), passed(fragments[0])]);
}

#[test]
fn a_fragment_waits_for_the_rest_of_its_datagram_and_no_other_packet_does() {
    let mut withheld = Withheld::default();
    withheld.hold(part(at(1), 9, 0, 80));
    withheld.hold(udp(at(2), 80));
    assert_eq!(release_until(&mut withheld, at(10_000)), [passed(udp(at(2), 80))]);
    withheld.hold(part(at(20_000), 9, 1480, 80));
    let whole = seen(at(20_000), ip(Protocol::UDP, 2980, Transport::Udp(Ports { src: 4000, dst: 80 })));
    withheld.report_incoming(whole, BY);
    assert_eq!(release_until(&mut withheld, at(20_000)), [dropped_whole(whole)]);
    withheld.hold(part(at(30_000), 10, 0, 80));
    assert_eq!(release_until(&mut withheld, at(60_000)), [passed(part(at(30_000), 10, 0, 80))]);
}

#[test]
fn a_fragment_is_due_in_its_turn() {
    let mut withheld = Withheld::default();
    let (first, behind) = (part(at(1), 9, 0, 80), udp(at(2), 80));
    for frame in [first, behind] {
        withheld.hold(frame);
    }
    withheld.report_outgoing(udp(at(0), 81), BY);
    assert_eq!(withheld.release(at(5)), Some(Settled::Unseen(udp(at(0), 81), BY)), "dropped before it");
    assert_eq!(withheld.release(at(5)), Some(Settled::Due(first)));
    withheld.keep(first, None);
    assert_eq!(withheld.release(at(5)), Some(passed(behind)));
    assert_eq!(withheld.release(at(5)), None);
    assert_eq!(withheld.release(END), Some(Settled::Passed(first, None)));
}

#[test]
fn a_dropped_datagram_whose_first_fragment_ends_in_its_header_has_one_line() {
    let parts = [0, 8, 16].map(|offset| tcp_part(at(i64::from(offset)), offset));
    let reported = tcp_whole(at(16), 80, 44);
    assert_eq!(release(parts, [reported]), [dropped_whole(reported)]);
    let others = [tcp_whole(at(16), 81, 44), tcp_whole(at(16), 80, 52), tcp_whole(at(15), 80, 44), whole(at(16), 80)];
    for other in others {
        assert_eq!(release(parts, [other]).len(), 4, "{other:?} is none of them");
    }
}

#[test]
fn a_reported_datagram_begins_as_its_first_fragment_does() {
    let of = |part: Transport, whole: Transport| {
        let first =
            Ip { fragment: Some(Fragment { id: 9, offset: 0, len: 8, more: true }), ..ip(Protocol::TCP, 28, part) };
        is_first_of(&seen(at(1), first).packet, &seen(at(1), ip(Protocol::TCP, 60, whole)).packet)
    };
    let tcp = |port, flags, seq| {
        Transport::Tcp(Tcp { ports: Ports { src: 1, dst: port }, flags: TcpFlags(flags), seq, ack: 0 })
    };
    assert!(of(tcp(80, 0, 0), tcp(80, 2, 7)) && of(tcp(80, 2, 0), tcp(80, 2, 7)) && of(tcp(80, 2, 7), tcp(80, 2, 7)));
    assert!(
        !of(tcp(80, 0, 0), tcp(81, 2, 7)) && !of(tcp(80, 4, 0), tcp(80, 2, 7)) && !of(tcp(80, 2, 6), tcp(80, 2, 7))
    );
    let icmp = |id, about| Transport::Icmp(Icmp { kind: 3, code: 1, id, about });
    let ends = Ip { fragment: None, ..tcp_ip(80) };
    let quoted = About::Quoted(crate::packet::Quoted {
        src: ends.src,
        dst: ends.dst,
        protocol: ends.protocol,
        ports: Ports { src: 1, dst: 2 },
    });
    assert!(of(icmp(0, About::Nothing), icmp(0, quoted)) && !of(icmp(0, About::Nothing), icmp(1, quoted)));
    assert!(of(Transport::None, tcp(80, 2, 7)), "nothing of it");
}

#[test]
fn fragments_that_are_to_be_blocked_wait_longer_for_the_rest() {
    let (first, rest) = (part(at(0), 9, 0, 80), part(at(90_000), 9, 1480, 80));
    let mut withheld = Withheld::default();
    withheld.hold(first);
    assert_eq!(release_blocked(&mut withheld, at(89_000)), []);
    withheld.hold(rest);
    withheld.report_incoming(whole(at(90_000), 80), BY);
    let dropped = Settled::Dropped(whole(at(90_000), 80), Some(blocked()), BY);
    assert_eq!(release_blocked(&mut withheld, END), [dropped]);
    assert!(!withheld.is_urgent() && withheld.is_empty());
    withheld.hold(part(at(100_000), 10, 0, 80));
    assert_eq!(release_blocked(&mut withheld, at(200_000)).len(), 1, "but not for ever");
    assert!(withheld.is_urgent() && !withheld.is_urgent());
}

#[test]
fn what_has_no_line_yet_of_a_slow_datagram_goes_with_its_report() {
    let parts = [0, 8, 16].map(|offset| tcp_part(at(i64::from(offset) * 10_000), offset));
    let mut withheld = Withheld::default();
    withheld.hold(parts[0]);
    withheld.hold(parts[1]);
    assert_eq!(release_blocked(&mut withheld, at(110_000)), [Settled::Passed(parts[0], Some(blocked()))]);
    assert!(withheld.is_unfinished(&parts[0]));
    withheld.hold(parts[2]);
    let reported = tcp_whole(at(160_000), 80, 44);
    withheld.report_incoming(reported, BY);
    assert_eq!(release_blocked(&mut withheld, END), [Settled::Dropped(reported, Some(blocked()), BY)]);
    let other = tcp_part(at(200_000), 16);
    withheld.hold(other);
    assert_eq!(release_blocked(&mut withheld, END), [Settled::Passed(other, Some(blocked()))]);
    assert!(withheld.is_unfinished(&other), "of another datagram");
}

#[test]
fn a_datagram_is_unfinished_until_all_its_fragments_have_come() {
    let mut withheld = Withheld::default();
    let parts = [0, 8, 16].map(|offset| tcp_part(at(i64::from(offset)), offset));
    for part in parts {
        withheld.hold(part);
    }
    assert_eq!(release_blocked(&mut withheld, END).len(), 3);
    assert!(parts.iter().all(|part| !withheld.is_unfinished(part)), "no rule dropped it");
    let again = tcp_part(at(30), 0);
    withheld.hold(again);
    assert_eq!(release_blocked(&mut withheld, END).len(), 1);
    assert!(withheld.is_unfinished(&again) && !withheld.is_unfinished(&parts[2]), "the number is in use again");
    assert!(!withheld.is_unfinished(&tcp(at(1), 80)), "no fragment");
    let leaving = Seen { direction: Direction::Outgoing, ..again };
    assert!(!withheld.is_unfinished(&leaving), "the rules have seen it");
    let later = tcp_part(Timestamp::from_nanos(at(40).nanos() + 31_000_000_000), 8);
    withheld.hold(tcp_part(at(35), 16));
    withheld.hold(later);
    assert_eq!(release_blocked(&mut withheld, END).len(), 2);
    assert!(withheld.is_unfinished(&later), "the kernel waits no longer");
}

#[test]
fn the_kernel_puts_nothing_together_without_a_fragment_that_was_dropped_by_itself() {
    let mut withheld = Withheld::default();
    let parts = [0, 8, 16].map(|offset| tcp_part(at(i64::from(offset)), offset));
    for part in parts {
        withheld.hold(part);
    }
    withheld.report_incoming(parts[0], BY);
    let released = release_blocked(&mut withheld, END);
    assert_eq!(released.first(), Some(&Settled::Dropped(parts[0], Some(blocked()), BY)));
    assert_eq!(released.len(), 3);
    assert!(withheld.is_unfinished(&parts[2]));
}

#[test]
fn a_fragment_on_its_way_through_is_known_though_it_seemed_to_be_blocked() {
    let mut withheld = Withheld::default();
    let first = known(part(at(0), 9, 0, 80), 5);
    withheld.hold(first);
    assert_eq!(release_blocked(&mut withheld, at(20_000)), []);
    withheld.report_forwarded(known(whole(at(20_000), 80), 5), None);
    let released = release_blocked(&mut withheld, at(60_000));
    assert_eq!(released.first(), Some(&Settled::Entered(first)), "{released:?}");
    assert_eq!(released.len(), 2);
}
