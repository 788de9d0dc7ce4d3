//! Packets that cross the machine, and the reports that tell of them on their way.

use super::*;

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
    Settled::Forwarded(Passage { seen, by: Some(BY), original: original.map(|seen| seen.packet), asked: None })
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

/// What is released once reports have come of packets that pass through, `entering` being what came in for others, of
/// which `late` was read after the reports.
fn cross_from(entering: &[Seen], reports: &[Seen], late: bool) -> Vec<Option<Packet>> {
    let mut withheld = Withheld::default();
    let enter = |withheld: &mut Withheld| entering.iter().for_each(|seen| withheld.entering(seen));
    if !late {
        enter(&mut withheld);
    }
    for &seen in reports {
        withheld.report_forwarded(seen, Some(BY));
    }
    if late {
        enter(&mut withheld);
    }
    let passages = release_until(&mut withheld, END).into_iter();
    passages
        .filter_map(|settled| if let Settled::Forwarded(passage) = settled { Some(passage.asked) } else { None })
        .collect()
}

#[test]
fn a_report_tells_where_a_packet_was_sent_to_that_came_in_for_another_machine() {
    let to = |time, host: u8, port| {
        let ip = Ip { dst: Ipv4Addr::new(10, 96, 0, host).into(), ..tcp_ip(port) };
        known(seen(at(time), ip), 5)
    };
    let asked = |seen: Seen| Some(seen.packet);
    let behind = |time| to(time, 1, 80);
    for late in [false, true] {
        assert_eq!(cross_from(&[to(1, 9, 8080)], &[behind(900)], late), [asked(to(1, 9, 8080))]);
        assert_eq!(cross_from(&[to(1, 1, 8080)], &[behind(900)], late), [asked(to(1, 1, 8080))], "another port");
        assert_eq!(cross_from(&[behind(1)], &[behind(900)], late), [None], "it is not translated");
        assert_eq!(cross_from(&[to(1, 9, 8080)], &[behind(9_000)], late), [None], "long before");
        let tried = [to(1, 9, 8080), to(2, 1, 80), to(3, 7, 8080)];
        let reports = [behind(901), behind(902), behind(903)];
        assert_eq!(cross_from(&tried, &reports, late), [None, asked(tried[0]), asked(tried[2])], "one each");
    }
    let exactly = Seen { time: at(900).plus(Duration::from_nanos(864)), ..to(1, 9, 8080) };
    assert_eq!(cross_from(&[exactly], &[behind(900)], false), [asked(exactly)], "a report tells microseconds");
    let elsewhere = Seen { interface: 3, ..to(1, 9, 8080) };
    assert_eq!(cross_from(&[elsewhere], &[behind(900)], false), [None]);
}
