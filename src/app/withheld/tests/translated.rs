//! Packets whose destination is translated to another address or port of this machine: their reports name that.

use super::*;

/// A packet by what is in it, whatever its destination.
fn with(content: u64, seen: Seen) -> Seen {
    Seen { fingerprint: Some(Fingerprint { whole: content, head: content }), ..seen }
}

/// It was dropped in the form of its report.
fn dropped_as(frame: Seen, reported: Seen) -> Settled {
    Settled::Translated(frame, reported.packet, BY)
}

#[test]
fn a_report_of_another_port_is_of_the_frame_with_its_stamp_and_its_content() {
    let (frame, reported) = (with(1, udp(at(5), 2222)), with(1, udp(at(5), 22)));
    let other = with(2, udp(at(5), 2222));
    assert_eq!(release([other, frame], [reported]), [dropped_as(frame, reported), passed(other)]);
    let elsewhen = with(1, udp(at(4), 2222));
    let unseen = Settled::Unseen(reported, BY);
    assert_eq!(release([elsewhen], [reported]), [passed(elsewhen), unseen.clone()], "the stamp is another");
    let unknown = udp(at(5), 2222);
    assert_eq!(release([unknown], [reported]), [unseen, passed(unknown)], "nothing is known of what is in it");
}

#[test]
fn a_frame_that_is_what_was_reported_comes_before_one_that_may_be_translated_to_it() {
    let (translated, same) = (with(1, udp(at(5), 2222)), with(1, udp(at(5), 22)));
    assert_eq!(release([translated, same], [same]), [dropped(same), passed(translated)]);
    let (translated, same) = (with(1, tcp(at(5), 2222)), with(1, tcp(at(6), 22)));
    let reported = Seen { time: at(90), ..same };
    assert_eq!(release([translated, same], [reported]), [passed(translated), dropped(same)]);
}

#[test]
fn a_segment_without_a_stamp_is_found_by_its_content() {
    let (frame, reported) = (with(1, tcp(at(5), 2222)), with(1, tcp(at(90), 22)));
    let other = with(2, tcp(at(4), 2222));
    assert_eq!(release([other, frame], [reported]), [passed(other), dropped_as(frame, reported)]);
    let late = with(1, tcp(at(5).plus(UNTIL_REPORTED).plus(Duration::from_millis(1)), 22));
    assert_eq!(release([frame], [late]), [passed(frame), Settled::Unseen(late, BY)]);
}

#[test]
fn a_report_lacks_the_header_that_the_kernel_takes_out_of_an_only_fragment() {
    let v6 = |port, len| {
        let (src, dst) = (Ipv6Addr::LOCALHOST.into(), Ipv6Addr::UNSPECIFIED.into());
        with(1, seen(at(5), Ip { src, dst, len, ..tcp_ip(port) }))
    };
    let (frame, reported) = (v6(443, 68), v6(5999, 60));
    assert_eq!(release([frame], [reported]), [dropped_as(frame, reported)]);
    assert_eq!(release([v6(443, 76)], [reported]), [Settled::Unseen(reported, BY), passed(v6(443, 76))]);
}
