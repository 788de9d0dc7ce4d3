//! Frames and reports in every order in which they can come.

mod crossing;
mod fragments;
mod translated;

use super::*;
use crate::engine::{Decision, Hit, RuleNumber, State, Step};
use crate::packet::{About, Fingerprint, Fragment, Icmp, Ports, Protocol, Tcp, TcpFlags};
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
    let packet = Packet::of(Net::Ip(ip));
    Seen { time, packet, direction: Direction::Incoming, interface: 2, fingerprint: None, for_another: false }
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
    Judgement { decision, direction: Direction::Incoming, epoch: 0 }
}

/// What is known by then of a packet: a fragment was due before.
fn judged(seen: &Seen) -> Option<Judgement> {
    datagram_of(seen).map(|_| judgement())
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
    release_judged(withheld, settled, judgement())
}

/// The same, of fragments that are judged so.
fn release_judged(withheld: &mut Withheld, settled: Timestamp, judgement: Judgement) -> Vec<Settled> {
    let mut all = Vec::new();
    while let Some(next) = withheld.release(settled) {
        match next {
            Settled::Due(seen) => withheld.keep(seen, Some(judgement)),
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
    let passage = Passage { seen: udp(at(7), 83), by: None, original: None, asked: None };
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
    let passage = Passage { seen: udp(at(5), 80), by: Some(BY), original: None, asked: None };
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

#[test]
fn room_for_packets_of_others_is_made_by_those_that_go_and_what_finds_none_is_counted() {
    let mut withheld = Withheld::default();
    assert!((0..MAX_FOR_ANOTHER).all(|_| withheld.hold_for_another(udp(at(1), 80))));
    assert!(!withheld.hold_for_another(udp(at(2), 80)));
    let Some(Settled::Passed(first, _)) = withheld.release(at(1)) else { panic!("the first is due") };
    assert!(first.for_another);
    assert!(withheld.hold_for_another(udp(at(2), 80)));
    assert_eq!(withheld.refused(), 1);
}
