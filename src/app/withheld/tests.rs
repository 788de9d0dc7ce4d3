//! Frames and reports in every order in which they can come.

use super::*;
use crate::engine::{Decision, Hit, RuleNumber, State, Step};
use crate::packet::{About, Fingerprint, Fragment, Icmp, Ip, Ports, Protocol, Tcp, TcpFlags};
use crate::rules::Action;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Everything has been read.
const END: Timestamp = Timestamp::MAX;
const BY: By = By { generation: 1, number: 7, uid: None, corrupt: false };

/// Microseconds past some second.
fn at(micros: i64) -> Timestamp {
    Timestamp::from_nanos(1_800_000_000_000_000_000 + micros * 1000)
}

/// A packet that came in, of this length.
fn ip(protocol: Protocol, len: u32, transport: Transport) -> Ip {
    let (src, dst) = (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(10, 0, 0, 5).into());
    Ip { src, dst, protocol, ttl: 64, len, fragment: None, transport }
}

fn seen(time: Timestamp, ip: Ip) -> Seen {
    let packet = Packet { vlan: None, link_direction: None, net: Net::Ip(ip), malformed: None, odd: None };
    Seen { time, packet, direction: Direction::Incoming, interface: 2, fingerprint: None }
}

fn udp(time: Timestamp, port: u16) -> Seen {
    seen(time, ip(Protocol::UDP, 100, Transport::Udp(Ports { src: 4000, dst: port })))
}

fn tcp_ip(port: u16) -> Ip {
    let tcp = Tcp { ports: Ports { src: 4000, dst: port }, flags: TcpFlags(TcpFlags::SYN), ..Tcp::default() };
    ip(Protocol::TCP, 60, Transport::Tcp(tcp))
}

fn tcp(time: Timestamp, port: u16) -> Seen {
    seen(time, tcp_ip(port))
}

/// A fragment of datagram `id`. The first has the header.
fn part(time: Timestamp, id: u32, offset: u32, port: u16) -> Seen {
    let transport = if offset == 0 { Transport::Udp(Ports { src: 4000, dst: port }) } else { Transport::None };
    let fragment = Some(Fragment { id, offset, len: 1480, more: offset == 0 });
    seen(time, Ip { fragment, ..ip(Protocol::UDP, 1500, transport) })
}

fn judgement() -> Judgement {
    let decision = Decision {
        action: Action::Allow,
        step: Step::DefaultPolicy,
        rule: RuleNumber(10),
        entry: None,
        state: State::New,
        without_first: false,
        hit: Hit::None,
    };
    Judgement { decision, epoch: 0 }
}

/// What is known by then of a packet: a fragment was due before.
fn judged(seen: &Seen) -> Option<Judgement> {
    Datagram::of(&seen.packet).map(|_| judgement())
}

fn passed(seen: Seen) -> Settled {
    Settled::Passed(seen, judged(&seen))
}

fn dropped(seen: Seen) -> Settled {
    Settled::Dropped(seen, judged(&seen), BY)
}

/// A datagram that came in fragments.
fn dropped_whole(seen: Seen) -> Settled {
    Settled::Dropped(seen, Some(judgement()), BY)
}

/// What is released once the tap has seen `frames` and `reports` have come.
fn release(frames: impl IntoIterator<Item = Seen>, reports: impl IntoIterator<Item = Seen>) -> Vec<Settled> {
    let mut withheld = Withheld::default();
    frames.into_iter().for_each(|frame| withheld.hold(frame));
    reports.into_iter().for_each(|report| withheld.report_incoming(report, BY));
    release_until(&mut withheld, END)
}

fn release_until(withheld: &mut Withheld, settled: Timestamp) -> Vec<Settled> {
    let mut all = Vec::new();
    while let Some(next) = withheld.release(settled) {
        match next {
            Settled::Due(seen) => withheld.keep(seen, Some(judgement())),
            next => all.push(next),
        }
    }
    all
}

/// The time that a report gives of a packet that the tap saw at `time`: in whole microseconds.
fn cut(time: Timestamp) -> Timestamp {
    Timestamp::from_nanos(time.nanos() / 1000 * 1000)
}

#[test]
fn a_frame_is_dropped_if_a_report_bears_its_stamp_and_passes_if_none_does() {
    let precise = Timestamp::from_nanos(at(5).nanos() + 999);
    assert_eq!(
        release([udp(at(1), 80), udp(precise, 81), udp(at(9), 80)], [udp(cut(precise), 81)]),
        [passed(udp(at(1), 80)), dropped(udp(precise, 81)), passed(udp(at(9), 80))]
    );
}

#[test]
fn nothing_is_released_before_its_time_and_everything_then() {
    let mut withheld = Withheld::default();
    assert!(withheld.is_empty());
    (1..=3).for_each(|micros| withheld.hold(udp(at(micros), 80)));
    assert_eq!(release_until(&mut withheld, at(0)), []);
    assert_eq!(release_until(&mut withheld, at(2)), [passed(udp(at(1), 80)), passed(udp(at(2), 80))]);
    withheld.report_incoming(udp(at(3), 80), BY);
    assert_eq!(release_until(&mut withheld, at(3)), [dropped(udp(at(3), 80))]);
    assert!(withheld.is_empty());
}

#[test]
fn the_report_may_be_read_before_its_frame() {
    let mut withheld = Withheld::default();
    withheld.report_incoming(udp(at(5), 80), BY);
    assert_eq!(release_until(&mut withheld, at(4)), [], "the tap has been read up to 4");
    withheld.hold(udp(at(5), 80));
    assert_eq!(release_until(&mut withheld, at(5)), [dropped(udp(at(5), 80))]);
}

#[test]
fn packets_of_one_stamp_are_told_apart_and_equal_ones_counted() {
    let released = release([80, 81, 80, 80].map(|port| udp(at(5), port)), [80, 80].map(|port| udp(at(5), port)));
    let count = |wanted: &Settled| released.iter().filter(|settled| *settled == wanted).count();
    assert_eq!(released.len(), 4);
    assert_eq!(count(&dropped(udp(at(5), 80))), 2);
    assert_eq!((count(&passed(udp(at(5), 80))), count(&passed(udp(at(5), 81)))), (1, 1));
}

#[test]
fn a_report_without_a_frame_has_its_line_in_the_order_of_time() {
    let mut withheld = Withheld::default();
    withheld.hold(udp(at(1), 80));
    withheld.hold(udp(at(9), 80));
    withheld.report_incoming(udp(at(5), 81), BY);
    withheld.report_outgoing(udp(at(6), 82), BY);
    let passage = Passage { seen: udp(at(7), 83), by: None, original: None };
    withheld.report_forwarded(passage.seen, passage.by);
    assert_eq!(
        release_until(&mut withheld, END),
        [
            passed(udp(at(1), 80)),
            Settled::Unseen(udp(at(5), 81), BY),
            Settled::Unseen(udp(at(6), 82), BY),
            passed(udp(at(9), 80)),
            Settled::Forwarded(passage),
        ],
        "one on its way through waits for its fragments"
    );
}

#[test]
fn an_outgoing_or_forwarded_report_takes_no_frame() {
    let mut withheld = Withheld::default();
    withheld.hold(udp(at(5), 80));
    withheld.report_outgoing(udp(at(5), 80), BY);
    let passage = Passage { seen: udp(at(5), 80), by: Some(BY), original: None };
    withheld.report_forwarded(passage.seen, passage.by);
    assert_eq!(
        release_until(&mut withheld, END),
        [Settled::Unseen(udp(at(5), 80), BY), passed(udp(at(5), 80)), Settled::Forwarded(passage)]
    );
}

#[test]
fn frames_and_reports_that_come_out_of_order_are_joined_all_the_same() {
    let (a, b) = (udp(at(4), 80), udp(at(5), 81));
    for frames in [[a, b], [b, a]] {
        for reports in [[a, b], [b, a]] {
            let released = release(frames, reports);
            assert_eq!(released.len(), 2, "{released:?}");
            assert!(released.contains(&dropped(a)) && released.contains(&dropped(b)), "{released:?}");
        }
    }
    assert_eq!(release([b, a], [a]), [dropped(a), passed(b)]);
}

#[test]
fn a_tcp_segment_is_known_by_itself_where_its_report_has_the_time_of_writing() {
    let late = |micros| Seen { time: at(micros), ..tcp(at(0), 22) };
    assert_eq!(release([tcp(at(0), 22)], [late(900)]), [dropped(tcp(at(0), 22))]);
    assert_eq!(
        release([tcp(at(0), 22)], [late(6_000)]),
        [passed(tcp(at(0), 22)), Settled::Unseen(late(6_000), BY)],
        "a later one"
    );
    assert_eq!(
        release([udp(at(0), 22)], [udp(at(900), 22)]),
        [passed(udp(at(0), 22)), Settled::Unseen(udp(at(900), 22), BY)],
        "all others bear the stamp of the tap"
    );
}

#[test]
fn a_report_takes_one_segment_alone() {
    let reports = [Seen { time: at(20), ..tcp(at(0), 22) }];
    assert_eq!(release([tcp(at(0), 22), tcp(at(10), 22)], reports), [dropped(tcp(at(0), 22)), passed(tcp(at(10), 22))]);
}

#[test]
fn of_two_segments_that_are_alike_the_one_is_dropped_whose_stamp_is_reported() {
    let (first, second) = (tcp(at(0), 22), tcp(at(10), 22));
    assert_eq!(release([first, second], [second]), [passed(first), dropped(second)]);
}

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

#[test]
fn a_report_whose_header_was_cut_off_is_joined_by_addresses_and_length() {
    let ping = Transport::Icmp(Icmp { kind: 8, code: 0, id: 7, about: About::Nothing });
    let frame = seen(at(5), ip(Protocol::ICMP, 84, ping));
    let report = seen(at(5), ip(Protocol::ICMP, 84, Transport::None));
    assert_eq!(release([frame], [report]), [dropped(frame)]);
    let longer = seen(at(5), ip(Protocol::ICMP, 85, Transport::None));
    assert_eq!(release([frame], [longer]), [Settled::Unseen(longer, BY), passed(frame)]);
}

#[test]
fn beyond_what_there_is_room_for_the_oldest_go_early() {
    let mut withheld = Withheld::default();
    for micros in 0..=i64::try_from(MAX_HELD).unwrap() {
        withheld.hold(udp(at(micros), 80));
    }
    assert_eq!(release_until(&mut withheld, Timestamp::MIN), [passed(udp(at(0), 80))]);
    for _ in 0..=MAX_HELD {
        withheld.report_outgoing(udp(at(9), 81), BY);
    }
    assert_eq!(release_until(&mut withheld, Timestamp::MIN).len(), 8 + 1, "those in front of it, and one");
}

/// A packet by which a report knows it.
fn known(seen: Seen, fingerprint: u64) -> Seen {
    Seen { fingerprint: Some(Fingerprint { whole: fingerprint, head: !fingerprint }), ..seen }
}

#[test]
fn of_two_segments_that_look_alike_the_one_is_dropped_of_which_the_report_tells() {
    let (passes, blocked) = (known(tcp(at(1), 80), 5), known(tcp(at(900), 80), 6));
    let report = known(tcp(at(910), 80), 6);
    assert_eq!(release([passes, blocked], [report]), [passed(passes), dropped(blocked)]);
    let changed = known(tcp(at(910), 80), 7);
    assert_eq!(release([passes], [changed]), [dropped(passes)], "something was changed in it on its way to the rules");
}

#[test]
fn a_segment_that_looks_like_a_dropped_one_is_told_from_it_however_many_came_between() {
    let (passes, blocked) = (known(tcp(at(1), 80), 5), known(tcp(at(900), 80), 6));
    let between = (2..900).map(|micros| udp(at(micros), 81));
    let report = known(tcp(at(910), 80), 6);
    let released = release([passes].into_iter().chain(between).chain([blocked]), [report]);
    assert_eq!((released.first(), released.last()), (Some(&passed(passes)), Some(&dropped(blocked))));
    assert_eq!(released.len(), 900);
}

#[test]
fn a_segment_is_told_by_what_came_behind_it_until_the_report() {
    let (first, second) = (known(tcp(at(1), 80), 5), known(tcp(at(920), 80), 6));
    let report = known(tcp(at(910), 80), 6);
    assert_eq!(release([first, second], [report]), [dropped(first), passed(second)], "the second came in later");
    let reports = [known(tcp(at(905), 80), 9), known(tcp(at(910), 80), 5)];
    let released = release([first], reports);
    assert_eq!(released.first(), Some(&dropped(first)));
    assert_eq!(released.last(), Some(&Settled::Unseen(reports[0], BY)), "the one that tells what is in it goes first");
}

/// What is released once the tap has seen `frames` for this machine and `reports` have come of packets that pass
/// through it.
fn cross(frames: &[Seen], reports: &[Seen]) -> Vec<Settled> {
    let mut withheld = Withheld::default();
    for &frame in frames {
        withheld.hold(frame);
    }
    for &seen in reports {
        withheld.report_forwarded(seen, Some(BY));
    }
    release_until(&mut withheld, END)
}

fn crossed(seen: Seen, original: Option<Seen>) -> Settled {
    Settled::Forwarded(Passage { seen, by: Some(BY), original: original.map(|seen| seen.packet) })
}

#[test]
fn a_report_of_a_translated_packet_takes_the_frame_that_it_was() {
    let (frame, report) = (known(tcp(at(1), 8080), 5), known(tcp(at(900), 80), 5));
    let other = known(tcp(at(2), 22), 6);
    assert_eq!(
        cross(&[frame, other], &[report]),
        [Settled::Entered(frame), passed(other), crossed(report, Some(frame))]
    );
}

#[test]
fn a_report_takes_one_frame_of_its_interface_that_came_in_just_before() {
    let report = known(tcp(at(9_000), 80), 5);
    let (early, late) = (known(tcp(at(1), 8080), 5), known(tcp(at(9_001), 8080), 5));
    let elsewhere = Seen { interface: 3, ..known(tcp(at(8_000), 8080), 5) };
    assert_eq!(
        cross(&[early, elsewhere, late], &[report]),
        [passed(early), passed(elsewhere), passed(late), crossed(report, None)]
    );
    let (first, second) = (known(tcp(at(8_000), 8080), 5), known(tcp(at(8_001), 8080), 5));
    assert_eq!(
        cross(&[first, second], &[report]),
        [passed(first), Settled::Entered(second), crossed(report, Some(second))],
        "the nearest"
    );
    let between = known(tcp(at(8_000), 80), 5);
    assert_eq!(
        cross(&[first, second], &[between]),
        [Settled::Entered(first), passed(second), crossed(between, Some(first))],
        "the second came in later"
    );
    let reports = [known(tcp(at(8_500), 80), 5), report];
    assert_eq!(
        cross(&[first, second], &reports),
        [
            Settled::Entered(first),
            Settled::Entered(second),
            crossed(reports[0], Some(first)),
            crossed(reports[1], Some(second))
        ]
    );
}

#[test]
fn of_frames_that_look_alike_the_last_is_taken_however_many_came_between() {
    let (first, last) = (known(tcp(at(1), 8080), 5), known(tcp(at(900), 8080), 5));
    let between: Vec<Seen> = (2..900).map(|micros| udp(at(micros), 81)).collect();
    let report = known(tcp(at(910), 80), 5);
    let released = cross(&[&[first][..], &between, &[last]].concat(), &[report]);
    assert_eq!(released.first(), Some(&passed(first)));
    assert_eq!(released[899..], [Settled::Entered(last), crossed(report, Some(last))]);
}

#[test]
fn the_first_fragment_of_a_translated_datagram_is_taken_by_its_report() {
    let rest = part(at(7_000), 9, 1480, 8080);
    let report = known(udp(at(7_100), 80), 5);
    let fingerprint = Some(Fingerprint { whole: 6, head: !5 });
    let first = Seen { fingerprint, ..part(at(1), 9, 0, 8080) };
    assert_eq!(cross(&[first, rest], &[report]), [Settled::Entered(first), passed(rest), crossed(report, Some(first))]);
}

#[test]
fn a_fragment_of_which_a_report_tells_already_is_not_judged_as_one_for_this_machine() {
    let mut withheld = Withheld::default();
    let first = Seen { fingerprint: Some(Fingerprint { whole: 6, head: !5 }), ..part(at(1), 9, 0, 8080) };
    let other = Seen { fingerprint: Some(Fingerprint { whole: 8, head: 9 }), ..part(at(2), 10, 0, 8080) };
    withheld.hold(first);
    withheld.hold(other);
    withheld.report_forwarded(known(udp(at(4), 80), 5), Some(BY));
    assert_eq!(withheld.release(END), Some(Settled::Due(other)));
    assert_eq!(withheld.release(END), Some(Settled::Entered(first)));
}

#[test]
fn fragments_that_came_before_their_first_are_told_behind_it() {
    let rest = part(at(1), 9, 1480, 8080);
    let first = Seen { fingerprint: Some(Fingerprint { whole: 6, head: !5 }), ..part(at(3), 9, 0, 8080) };
    let report = known(udp(at(4), 80), 5);
    assert_eq!(cross(&[rest, first], &[report]), [Settled::Entered(first), passed(rest), crossed(report, Some(first))]);
}

#[test]
fn a_report_of_a_packet_that_came_in_as_it_is_takes_no_other_that_is_alike() {
    let mut withheld = Withheld::default();
    let (report, frame) = (known(tcp(at(900), 80), 5), known(tcp(at(2), 8080), 5));
    let entering = Seen { time: at(1), ..report };
    withheld.entering(&entering);
    withheld.hold(frame);
    withheld.report_forwarded(report, Some(BY));
    assert_eq!(release_until(&mut withheld, END), [passed(frame), crossed(report, None)]);
}

#[test]
fn a_frame_waits_for_no_report_of_a_passage_that_went_before() {
    let mut withheld = Withheld::default();
    withheld.report_forwarded(known(tcp(at(1), 80), 5), None);
    assert_eq!(release_until(&mut withheld, at(100_000)).len(), 1);
    let frame = known(tcp(at(100_001), 8080), 5);
    withheld.hold(frame);
    assert_eq!(release_until(&mut withheld, END), [passed(frame)]);
    assert!(withheld.is_empty());
}

#[test]
fn a_packet_on_loopback_is_not_the_one_of_the_same_ends_that_came_in() {
    let mut withheld = Withheld::default();
    let answer = Seen { direction: Direction::Loopback, interface: 1, ..tcp(at(1), 80) };
    withheld.hold(answer);
    withheld.hold(tcp(at(2), 80));
    // The kernel has no stamp of a segment that was sent on this very machine, but that at which it was reported.
    withheld.report_incoming(tcp(at(4), 80), BY);
    let mut all = Vec::new();
    while let Some(settled) = withheld.release(END) {
        all.push(settled);
    }
    assert_eq!(all, [passed(answer), dropped(tcp(at(2), 80))]);
}

#[test]
fn an_only_fragment_is_reported_without_its_header() {
    let v6 = |len, time| {
        let ends = Ip { src: Ipv6Addr::LOCALHOST.into(), dst: Ipv6Addr::UNSPECIFIED.into(), ..tcp_ip(80) };
        seen(time, Ip { len, ..ends })
    };
    for (held, reported, same) in [(68, 60, true), (60, 60, true), (60, 68, false), (76, 60, false)] {
        let mut withheld = Withheld::default();
        withheld.hold(v6(held, at(1)));
        withheld.report_incoming(v6(reported, at(1)), BY);
        let first = withheld.release(END);
        assert_eq!(first == Some(dropped(v6(held, at(1)))), same, "{held} {reported}");
    }
}
