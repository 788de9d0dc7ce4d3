use super::*;
use crate::engine::testing::{at, bare, icmp, icmp_error, ip, tcp, udp};
use crate::host::connections::Opener;
use crate::packet::Transport;
use State::{Invalid, New, Original, Related, Reply, Untracked};
use TcpState::{Close, CloseWait, Established, FinWait, LastAck, SynRecv, SynSent, SynSent2, TimeWait};

const HERE: (&str, u16) = ("10.0.0.5", 40_000);
const PEER: (&str, u16) = ("192.0.2.7", 443);

fn tracker() -> Tracker {
    Tracker::new(MAX_CONNECTIONS)
}

/// The state of a packet that the rules let through.
fn pass(tracker: &mut Tracker, packet: &Ip, seconds: i64) -> State {
    let state = tracker.track(packet, at(seconds));
    if state == New {
        tracker.confirm(packet, at(seconds));
    }
    state
}

/// Plays a connection from `HERE` to `PEER`, a second for each segment: `>` the opener's, `<` the peer's. Gives back the
/// states.
fn play(tracker: &mut Tracker, segments: &[&str]) -> Vec<State> {
    let segment = |text: &str| match text.split_at(1) {
        (">", flags) => tcp(HERE, PEER, flags),
        (_, flags) => tcp(PEER, HERE, flags),
    };
    (1..).zip(segments).map(|(second, text)| pass(tracker, &segment(text), second)).collect()
}

/// What is remembered of the connection from `HERE` to `PEER`.
fn entry(tracker: &mut Tracker) -> Entry {
    let Flow::Of(tuple, _) = Flow::of(&tcp(HERE, PEER, "S")) else { panic!() };
    let key = tuple.v4_key(HERE.0.parse().unwrap(), PEER.0.parse().unwrap());
    *tracker.v4.get_mut(&key, at(0)).unwrap()
}

/// The TCP state after `segments`.
fn state_after(segments: &[&str]) -> TcpState {
    let mut tracker = tracker();
    play(&mut tracker, segments);
    entry(&mut tracker).tcp
}

/// For how many seconds after the last segment the connection is remembered.
fn lifetime(segments: &[&str]) -> i64 {
    let mut tracker = tracker();
    play(&mut tracker, segments);
    entry(&mut tracker).expires.parts().0 - i64::try_from(segments.len()).unwrap()
}

#[test]
fn a_tcp_connection_opens_talks_and_closes() {
    let life = [">S", "<SA", ">A", ">PA", "<A", ">FA", "<A", "<FA", ">A"];
    let states = play(&mut tracker(), &life);
    assert_eq!(states, [New, Reply, Original, Original, Reply, Original, Reply, Reply, Original]);
    let steps = (1..=life.len()).map(|n| state_after(&life[..n])).collect::<Vec<_>>();
    let want = [SynSent, SynRecv, Established, Established, Established, FinWait, CloseWait, LastAck, TimeWait];
    assert_eq!(steps, want);
}

#[test]
fn each_tcp_state_lives_as_long_as_in_the_kernel() {
    assert_eq!(lifetime(&[">S"]), 120);
    assert_eq!(lifetime(&[">S", "<SA"]), 60);
    assert_eq!(lifetime(&[">S", "<SA", ">A"]), 432_000);
    assert_eq!(lifetime(&[">S", "<SA", ">A", ">FA"]), 120);
    assert_eq!(lifetime(&[">S", "<SA", ">A", ">FA", "<A"]), 60);
    assert_eq!(lifetime(&[">S", "<SA", ">A", ">FA", "<FA"]), 30);
    assert_eq!(lifetime(&[">S", "<SA", ">A", ">FA", "<FA", ">A"]), 120);
    assert_eq!(lifetime(&[">S", "<SA", ">A", "<RA"]), 10);
    assert_eq!(lifetime(&[">S", "<S"]), 119, "a SYN on SYN_SENT does not live longer, whoever sends it");
    assert_eq!(lifetime(&[">S", "<S", "<S"]), 120);
}

#[test]
fn a_syn_that_is_sent_again_does_not_live_longer() {
    assert_eq!(lifetime(&[">S", ">S", ">S"]), 118);
}

#[test]
fn both_ends_can_close_at_once_or_after_the_handshake_s_second_step() {
    assert_eq!(state_after(&[">S", "<SA", ">A", ">FA", "<FA", ">A"]), TimeWait);
    assert_eq!(state_after(&[">S", "<SA", ">FA"]), FinWait);
}

#[test]
fn a_simultaneous_open_is_established_by_the_reply_s_ack() {
    let states = play(&mut tracker(), &[">S", "<S", ">SA", "<A"]);
    assert_eq!(states, [New, Reply, Original, Reply]);
    assert_eq!(state_after(&[">S", "<S"]), SynSent2);
    assert_eq!(state_after(&[">S", "<S", ">SA"]), SynRecv);
    assert_eq!(state_after(&[">S", "<S", ">SA", "<A"]), Established);
}

#[test]
fn a_refused_connection_is_forgotten_at_once() {
    let mut tracker = tracker();
    assert_eq!(play(&mut tracker, &[">S", "<RA"]), [New, Reply]);
    assert_eq!(tracker.len(), 0);
    assert_eq!(pass(&mut tracker, &tcp(PEER, HERE, "RA"), 3), Invalid);
}

#[test]
fn a_reset_of_the_rules_own_closes_a_connection_that_is_known() {
    let mut tracker = tracker();
    tracker.reject(&tcp(HERE, PEER, "S"), at(0));
    assert_eq!(tracker.len(), 0, "it was never let through");
    play(&mut tracker, &[">S", "<SA", ">A"]);
    tracker.reject(&tcp(HERE, PEER, "A"), at(3));
    assert_eq!((entry(&mut tracker).tcp, end_of(&mut tracker, &tcp(HERE, PEER, "A"))), (Close, 3 + 10));
    assert_eq!(pass(&mut tracker, &tcp(PEER, HERE, "R"), 4), Reply, "the reset itself");
    tracker.reject(&tcp(HERE, PEER, "A"), at(5));
    assert_eq!(end_of(&mut tracker, &tcp(HERE, PEER, "A")), 3 + 10, "a closed one does not live longer");
}

#[test]
fn a_reset_that_acknowledges_what_nobody_has_sent_ends_nothing() {
    let after = |flags: &str, ack| {
        let mut tracker = tracker();
        play(&mut tracker, &[">S"]);
        let mut reset = tcp(HERE, PEER, flags);
        let Transport::Tcp(segment) = &mut reset.transport else { panic!() };
        segment.ack = ack;
        (pass(&mut tracker, &reset, 2), tracker.len())
    };
    assert_eq!(after("R", 7), (Original, 0), "it acknowledges nothing");
    assert_eq!([after("RA", 0), after("RA", u32::MAX)], [(Original, 0); 2]);
    assert_eq!([after("RA", 1), after("RA", 1 << 31)], [(Invalid, 1); 2], "more than was sent");
    assert_eq!(after("RA", 2_939_984_894), (Original, 1), "delayed for too long");
}

#[test]
fn a_connection_is_picked_up_in_its_middle_by_whoever_speaks_first() {
    let mut tracker = tracker();
    assert_eq!(play(&mut tracker, &["<A", ">A", "<PA"]), [New, Reply, Original]);
    assert_eq!(lifetime(&[">A"]), 300, "not five days until somebody answers");
    assert_eq!(lifetime(&[">A", "<A"]), 300, "the answer itself still finds it without one");
    assert_eq!(lifetime(&[">A", "<A", ">A"]), 432_000);
}

#[test]
fn what_can_not_open_a_connection_is_invalid() {
    for segment in [">SA", ">FA", ">R", ">RA", ">FAU"] {
        assert_eq!(play(&mut tracker(), &[segment]), [Invalid], "{segment}");
    }
    assert_eq!(play(&mut tracker(), &[">S", ">A", ">FA", ">SA"]), [New, Invalid, Invalid, Invalid]);
}

#[test]
fn combinations_of_flags_that_no_tcp_sends_are_invalid_and_change_nothing() {
    for flags in ["", "F", "P", "U", "SF", "SR", "SRA", "SFA", "FU", "FPU", "RF", "RU", "SAU", "FSRPAU"] {
        let mut tracker = tracker();
        play(&mut tracker, &[">S", "<SA", ">A"]);
        assert_eq!(pass(&mut tracker, &tcp(HERE, PEER, flags), 4), Invalid, "{flags}");
        assert_eq!(play(&mut tracker, &[">A"]), [Original], "{flags}");
    }
    assert_eq!(play(&mut tracker(), &[">SEC", "<SAE", ">A", ">PAUE"]), [New, Reply, Original, Original]);
    assert_eq!(play(&mut tracker(), &[">SU"]), [New]);
}

#[test]
fn a_syn_on_a_connection_closed_in_order_opens_a_new_one_from_its_sender() {
    let closed = [">S", "<SA", ">A", ">FA", "<FA", ">A"];
    let mut tracker = tracker();
    play(&mut tracker, &closed);
    assert_eq!(pass(&mut tracker, &tcp(HERE, PEER, "S"), 7), New);
    play(&mut tracker, &closed);
    assert_eq!(pass(&mut tracker, &tcp(PEER, HERE, "S"), 7), New, "now the peer is the opener");
    assert_eq!(pass(&mut tracker, &tcp(HERE, PEER, "SA"), 8), Reply);
}

#[test]
fn a_syn_after_a_reset_opens_a_new_one_for_who_had_reset() {
    let mut reset_by_opener = tracker();
    assert_eq!(play(&mut reset_by_opener, &[">S", "<SA", ">A", ">R", ">S"])[4], New);
    // The kernel lets the SYN pass as the old connection's, and believes the answer.
    let mut reset_by_peer = tracker();
    let states = play(&mut reset_by_peer, &[">S", "<SA", ">A", "<R", ">S", "<SA", ">A"]);
    assert_eq!(states[4..], [Original, Reply, Original]);
    assert_eq!(state_after(&[">S", "<SA", ">A", "<R", ">S", "<SA", ">A"]), Established);
}

#[test]
fn an_ignored_syn_changes_nothing_until_it_is_answered() {
    assert_eq!(state_after(&[">S", "<SA", ">A", ">S"]), Established);
    assert_eq!(state_after(&[">S", "<SA", ">A", ">S", "<SA"]), SynRecv);
    assert_eq!(play(&mut tracker(), &[">S", "<SA", ">A", ">S", "<A"]), [New, Reply, Original, Original, Reply]);
}

#[test]
fn the_answer_to_a_challenge_is_not_taken_for_the_last_ack() {
    let last_ack = [">S", "<SA", ">A", ">FA", "<FA"];
    let challenged = [&last_ack[..], &[">S", "<A"]].concat();
    assert_eq!(state_after(&challenged), LastAck);
    assert_eq!(state_after(&[&last_ack[..], &["<A"]].concat()), TimeWait);
}

#[test]
fn a_connection_that_expired_is_as_if_it_had_never_been() {
    let mut tracker = tracker();
    play(&mut tracker, &[">S", "<SA"]);
    assert_eq!(pass(&mut tracker, &tcp(HERE, PEER, "S"), 62), New, "SYN_RECV ends 60 s after second 2");
    play(&mut tracker, &[">S", "<SA"]);
    assert_eq!(pass(&mut tracker, &tcp(PEER, HERE, "SA"), 61), Reply);
}

#[test]
fn a_connection_whose_opener_was_blocked_is_not_remembered() {
    let mut tracker = tracker();
    assert_eq!(tracker.track(&tcp(HERE, PEER, "S"), at(1)), New);
    assert_eq!(tracker.len(), 0);
    assert_eq!(pass(&mut tracker, &tcp(PEER, HERE, "SA"), 2), Invalid);
}

#[test]
fn udp_is_answered_and_becomes_a_stream() {
    let mut tracker = tracker();
    let (query, answer) = (udp(HERE, PEER), udp(PEER, HERE));
    assert_eq!(pass(&mut tracker, &query, 0), New);
    assert_eq!(pass(&mut tracker, &query, 20), Original, "30 s without an answer");
    assert_eq!(pass(&mut tracker, &answer, 49), Reply);
    assert_eq!(pass(&mut tracker, &query, 50), Original, "older than two seconds and answered: 120 s");
    assert_eq!(pass(&mut tracker, &answer, 169), Reply);
    assert_eq!(pass(&mut tracker, &query, 289), New);
}

#[test]
fn an_answer_within_two_seconds_does_not_make_a_stream() {
    let mut tracker = tracker();
    pass(&mut tracker, &udp(HERE, PEER), 0);
    pass(&mut tracker, &udp(PEER, HERE), 1);
    pass(&mut tracker, &udp(HERE, PEER), 2);
    assert_eq!(pass(&mut tracker, &udp(PEER, HERE), 32), New);
}

#[test]
fn icmp_answers_belong_to_the_query_with_their_id_and_code() {
    let mut tracker = tracker();
    for (query, answer) in [(8, 0), (13, 14), (15, 16), (17, 18)] {
        assert_eq!(pass(&mut tracker, &icmp(HERE.0, PEER.0, query, 0, 77), 0), New);
        assert_eq!(pass(&mut tracker, &icmp(HERE.0, PEER.0, query, 0, 77), 1), Original);
        assert_eq!(pass(&mut tracker, &icmp(PEER.0, HERE.0, answer, 0, 77), 2), Reply);
        assert_eq!(pass(&mut tracker, &icmp(PEER.0, HERE.0, answer, 0, 78), 2), Invalid, "another id");
        assert_eq!(pass(&mut tracker, &icmp(PEER.0, HERE.0, answer, 1, 77), 2), Invalid, "another code");
        assert_eq!(pass(&mut tracker, &icmp(HERE.0, PEER.0, answer, 0, 77), 2), Invalid, "the wrong way");
        assert_eq!(pass(&mut tracker, &icmp(PEER.0, HERE.0, query, 0, 77), 2), New, "the peer asks by itself");
        assert_eq!(pass(&mut tracker, &icmp(PEER.0, HERE.0, answer, 0, 77), 32), Invalid, "30 s");
    }
}

#[test]
fn icmp_that_is_neither_query_nor_error_is_invalid() {
    for kind in [1, 2, 7, 9, 10, 19, 40, 255] {
        assert_eq!(pass(&mut tracker(), &icmp(PEER.0, HERE.0, kind, 0, 0), 0), Invalid, "{kind}");
    }
    let mut icmpv6_in_ipv4 = icmp(PEER.0, HERE.0, 128, 0, 1);
    icmpv6_in_ipv4.protocol = crate::packet::Protocol::ICMPV6;
    assert_eq!(pass(&mut tracker(), &icmpv6_in_ipv4, 0), Invalid);
}

#[test]
fn icmpv6_queries_are_tracked_and_neighbour_discovery_is_not() {
    let (here, peer) = ("2001:db8::5", "2001:db8::7");
    let mut tracker = tracker();
    for (query, answer) in [(128, 129), (139, 140)] {
        assert_eq!(pass(&mut tracker, &icmp(here, peer, query, 0, 1), 0), New);
        assert_eq!(pass(&mut tracker, &icmp(peer, here, answer, 0, 1), 1), Reply);
    }
    for kind in (130..=137).chain([143]) {
        assert_eq!(pass(&mut tracker, &icmp(here, peer, kind, 0, 0), 0), Untracked, "{kind}");
    }
    for kind in [138, 141, 142, 144, 200] {
        assert_eq!(pass(&mut tracker, &icmp(here, peer, kind, 0, 0), 0), Invalid, "{kind}");
    }
}

#[test]
fn an_error_about_a_known_connection_is_related_in_either_direction() {
    let ends = [("10.0.0.5", "192.0.2.7", "203.0.113.1"), ("2001:db8::5", "2001:db8::7", "2001:db8:9::1")];
    for (here, peer, router) in ends {
        let mut tracker = tracker();
        let (there, back) = (udp((here, 1000), (peer, 2000)), udp((peer, 2000), (here, 1000)));
        assert_eq!(pass(&mut tracker, &icmp_error(ip(router), &there), 0), Invalid, "not yet known");
        pass(&mut tracker, &there, 0);
        assert_eq!(pass(&mut tracker, &icmp_error(ip(router), &there), 1), Related);
        assert_eq!(pass(&mut tracker, &icmp_error(ip(here), &back), 1), Related);
        let mut misdirected = icmp_error(ip(router), &there);
        misdirected.dst = router.parse().unwrap();
        assert_eq!(pass(&mut tracker, &misdirected, 1), Invalid, "not to the sender of what it quotes");
        assert_eq!(pass(&mut tracker, &icmp_error(ip(router), &udp((here, 1001), (peer, 2000))), 1), Invalid);
        assert_eq!(pass(&mut tracker, &icmp_error(ip(router), &there), 30), Invalid, "errors keep nothing alive");
        let ping = icmp(here, peer, if here.contains(':') { 128 } else { 8 }, 0, 9);
        pass(&mut tracker, &ping, 40);
        assert_eq!(pass(&mut tracker, &icmp_error(ip(router), &ping), 41), Related);
    }
}

#[test]
fn other_protocols_are_tracked_by_their_addresses() {
    let mut tracker = tracker();
    assert_eq!(pass(&mut tracker, &bare(HERE.0, PEER.0, 47), 0), New);
    assert_eq!(pass(&mut tracker, &bare(PEER.0, HERE.0, 47), 599), Reply);
    assert_eq!(pass(&mut tracker, &bare(PEER.0, HERE.0, 50), 600), New);
    assert_eq!(pass(&mut tracker, &bare(HERE.0, PEER.0, 47), 1199), New);
}

#[test]
fn a_transport_header_that_can_not_be_read_makes_the_packet_invalid() {
    for protocol in [1, 6, 17, 58, 132, 136] {
        assert_eq!(pass(&mut tracker(), &bare(HERE.0, PEER.0, protocol), 0), Invalid, "{protocol}");
    }
}

#[test]
fn a_flow_from_a_socket_to_itself_is_a_reply_from_its_second_packet_on() {
    let mut tracker = tracker();
    let packet = udp(("127.0.0.1", 5000), ("127.0.0.1", 5000));
    assert_eq!(pass(&mut tracker, &packet, 0), New);
    assert_eq!(pass(&mut tracker, &packet, 1), Reply);
}

#[test]
fn time_that_goes_backwards_does_no_harm() {
    let mut tracker = tracker();
    assert_eq!(pass(&mut tracker, &udp(HERE, PEER), 1000), New);
    assert_eq!(pass(&mut tracker, &udp(PEER, HERE), -5000), Reply);
    assert_eq!(pass(&mut tracker, &udp(PEER, HERE), i64::MIN), Reply);
    assert_eq!(pass(&mut tracker, &udp(PEER, HERE), i64::MAX), New);
}

/// `n` connections from as many addresses, which nobody answers.
fn flood(tracker: &mut Tracker, n: u32, seconds: i64) {
    let mut packet = udp(HERE, PEER);
    for source in 0..n {
        packet.src = IpAddr::V4(source.into());
        pass(tracker, &packet, seconds);
    }
}

#[test]
fn a_full_table_gives_up_connections_that_nobody_answered() {
    let mut tracker = Tracker::new(100);
    flood(&mut tracker, 1000, 0);
    assert!(tracker.len() <= 100);
    assert_eq!(tracker.evicted() + tracker.full(), 900);
    assert!(tracker.evicted() > 0);
}

#[test]
fn a_full_table_keeps_its_assured_connections() {
    let mut tracker = Tracker::new(64);
    let ends = |n: u16| ((HERE.0, 1000 + n), (PEER.0, 80));
    for n in 0..64 {
        let (here, peer) = ends(n);
        for segment in [tcp(here, peer, "S"), tcp(peer, here, "SA"), tcp(here, peer, "A")] {
            pass(&mut tracker, &segment, 0);
        }
    }
    flood(&mut tracker, 1000, 10);
    assert_eq!((tracker.len(), tracker.evicted(), tracker.full()), (64, 0, 1000));
    for n in 0..64 {
        let (here, peer) = ends(n);
        assert_eq!(pass(&mut tracker, &tcp(peer, here, "A"), 11), Reply);
    }
}

#[test]
fn a_full_table_is_swept_of_what_has_expired() {
    let mut tracker = Tracker::new(64);
    flood(&mut tracker, 64, 0);
    assert_eq!(tracker.len(), 64);
    flood(&mut tracker, 2000, 60);
    assert!(tracker.evicted() + tracker.full() < 2000);
    assert!(tracker.len() <= 64);
}

#[test]
fn a_million_random_flows_stay_within_the_stated_memory() {
    let mut tracker = tracker();
    let mut v4 = udp(HERE, PEER);
    let mut v6 = udp(("2001:db8::5", 1), ("2001:db8::7", 2));
    for n in 0..1_000_000_u32 {
        // An odd factor: all over the address space, and each once.
        let source = n.wrapping_mul(2_654_435_761);
        v4.src = IpAddr::V4(source.into());
        v6.src = IpAddr::V6((u128::from(source) << 64).into());
        pass(&mut tracker, &v4, i64::from(n / 100_000));
        pass(&mut tracker, &v6, i64::from(n / 100_000));
    }
    assert_eq!(tracker.len(), 2 * MAX_CONNECTIONS);
    assert!(tracker.bytes() <= 44 << 20, "{}", tracker.bytes());
    assert_eq!(tracker.evicted() + tracker.full(), 2_000_000 - 2 * MAX_CONNECTIONS as u64);
}

mod table {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        /// Removals move entries about: each must stay where it is found.
        #[test]
        fn the_table_holds_what_a_hash_map_holds(
            steps in prop::collection::vec((0_u64..40, 0_u8..3), 0..400)
        ) {
            let mut table = Connections::<2>::new(1000);
            let mut model = HashMap::new();
            for (n, (key, what)) in (0_u32..).zip(steps) {
                let entry = Entry::new(at(0), n + 1, TcpState::None, Segment::None, true);
                match what {
                    0 => {
                        table.insert(&[key, 0], entry, at(0));
                        model.insert(key, entry);
                    }
                    1 => {
                        table.remove(&[key, 0]);
                        model.remove(&key);
                    }
                    _ => prop_assert_eq!(table.get_mut(&[key, 0], at(0)).copied(), model.get(&key).copied()),
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for key in 0..40 {
                prop_assert_eq!(table.get_mut(&[key, 0], at(0)).copied(), model.get(&key).copied());
            }
        }
    }
}

/// The connection from `HERE` to `PEER` as a socket table tells it.
fn open_connection(phase: Phase, opener: Opener) -> Connection {
    let end = |(address, port): (&str, u16)| std::net::SocketAddr::new(address.parse().unwrap(), port);
    Connection { phase, local: end(HERE), remote: end(PEER), opener, is_opener_sure: true, uid: 0, inode: 0 }
}

#[test]
fn a_connection_that_was_open_before_is_known_with_its_opener_whoever_speaks_first() {
    for (opener, states) in [(Opener::Local, [Original, Reply]), (Opener::Remote, [Reply, Original])] {
        let mut tracker = tracker();
        tracker.enter(&open_connection(Phase::Established, opener), at(0));
        assert_eq!(play(&mut tracker, &[">A", "<PA"]), states);
        assert_eq!(end_of(&mut tracker, &tcp(HERE, PEER, "A")), 432_000 + 2);
        let mut tracker = self::tracker();
        tracker.enter(&open_connection(Phase::Udp, opener), at(0));
        assert_eq!(end_of(&mut tracker, &udp(HERE, PEER)), 120);
        assert_eq!([pass(&mut tracker, &udp(HERE, PEER), 100), pass(&mut tracker, &udp(PEER, HERE), 219)], states);
    }
}

/// The second at which the connection of `packet` is forgotten.
fn end_of(tracker: &mut Tracker, packet: &Ip) -> i64 {
    let Flow::Of(tuple, _) = Flow::of(packet) else { panic!() };
    let key = tuple.v4_key(HERE.0.parse().unwrap(), PEER.0.parse().unwrap());
    tracker.v4.get_mut(&key, at(0)).unwrap().expires.parts().0
}

#[test]
fn a_connection_that_was_picked_up_the_wrong_way_round_is_turned_and_a_right_one_stays() {
    let mut tracker = tracker();
    play(&mut tracker, &["<A", ">A"]);
    tracker.enter(&open_connection(Phase::Established, Opener::Local), at(3));
    assert_eq!(play(&mut tracker, &[">A"]), [Original]);
    play(&mut tracker, &["<FA"]);
    tracker.enter(&open_connection(Phase::Established, Opener::Local), at(4));
    assert_eq!(entry(&mut tracker).tcp, FinWait, "as it was");
    assert_eq!(tracker.len(), 1);
    tracker.forget();
    assert_eq!((tracker.len(), play(&mut tracker, &["<A"])), (0, vec![New]));
}

#[test]
fn a_connection_that_is_ending_is_remembered_no_longer_than_that_takes() {
    for (phase, state, seconds) in
        [(Phase::FinWait, FinWait, 120), (Phase::CloseWait, CloseWait, 60), (Phase::LastAck, LastAck, 30)]
    {
        let mut tracker = tracker();
        tracker.enter(&open_connection(phase, Opener::Local), at(0));
        assert_eq!((entry(&mut tracker).tcp, end_of(&mut tracker, &tcp(HERE, PEER, "A"))), (state, seconds));
    }
}
