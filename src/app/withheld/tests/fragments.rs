//! Fragments: of a datagram that is dropped, and beside one.

use super::*;

#[test]
fn a_dropped_datagram_has_one_line_for_all_its_fragments() {
    let whole =
        |micros, port| seen(at(micros), ip(Protocol::UDP, 2900, Transport::Udp(Ports { src: 4000, dst: port })));
    let fragments = [part(at(1), 9, 0, 80), part(at(3), 9, 1480, 80)];
    assert_eq!(release(fragments, [whole(3, 80)]), [dropped_whole(whole(3, 80))]);
    let backwards = [part(at(1), 9, 1480, 80), part(at(3), 9, 0, 80)];
    assert_eq!(release(backwards, [whole(3, 80)]), [dropped_whole(whole(3, 80))]);
    assert_eq!(release(fragments, []), fragments.map(passed), "a line for each of an allowed one");
}

#[test]
fn fragments_of_an_allowed_datagram_pass_beside_a_dropped_one() {
    let whole = seen(at(4), ip(Protocol::UDP, 2900, Transport::Udp(Ports { src: 4000, dst: 80 })));
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
fn what_comes_twice_of_a_dropped_datagram_goes_with_it() {
    let whole = seen(at(2), ip(Protocol::UDP, 2900, Transport::Udp(Ports { src: 4000, dst: 80 })));
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
    let whole = seen(at(2), ip(Protocol::UDP, 2900, Transport::Udp(Ports { src: 4000, dst: 80 })));
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
    let whole = seen(at(20_000), ip(Protocol::UDP, 2900, Transport::Udp(Ports { src: 4000, dst: 80 })));
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
