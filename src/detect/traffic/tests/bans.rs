//! Who is banned, for how long, and who is not though somebody forges his address.

use super::*;
use crate::alert::Response;

const SYN: u8 = TcpFlags::SYN;
const ACK: u8 = TcpFlags::ACK;
/// The number that our side begins with.
const OURS: u32 = 7_000;

impl Wire {
    pub(super) fn banning() -> Self {
        let mut settings = Settings::default();
        settings.action = Response::Ban;
        Self::with(settings)
    }

    fn segment(&mut self, src: &str, dst: &str, ports: (u16, u16), flags: u8, ack: u32, state: State) -> &mut Self {
        let (ports, seq) = (Ports { src: ports.0, dst: ports.1 }, if src == US { OURS } else { 1 });
        let transport = Transport::Tcp(Tcp { ports, flags: TcpFlags(flags), seq, ack });
        self.send(&packet(src, dst, Protocol::TCP, 52, transport), state)
    }

    /// A connection of `src` to an open port, which acknowledges `number` and ends with these flags.
    fn connect(&mut self, src: &str, ports: (u16, u16), number: u32, end: u8) -> &mut Self {
        self.wait(MS).segment(src, US, ports, SYN, 0, State::New);
        self.segment(US, src, (ports.1, ports.0), SYN | ACK, 2, State::Reply);
        self.segment(src, US, ports, ACK, number, State::Original);
        self.segment(src, US, ports, end, number, State::Original)
    }

    fn scan(&mut self, src: &str, ports: std::ops::Range<u16>) -> &mut Self {
        for port in ports {
            self.wait(MS).tcp(src, US, (40_000, port), SYN, 20, State::New);
        }
        self
    }

    fn banned(&self) -> Vec<(&'static str, u64, u32)> {
        self.bans.iter().map(|ban| (ban.alert.name(), ban.lasts.as_secs(), ban.times)).collect()
    }
}

#[test]
fn who_scans_and_leaves_an_open_port_without_a_word_is_banned_whichever_comes_first() {
    for open_port_first in [true, false] {
        let mut wire = Wire::banning();
        if open_port_first {
            wire.connect(PEER, (40_001, 80), OURS + 1, ACK | TcpFlags::RST).scan(PEER, 1..20);
        } else {
            wire.scan(PEER, 1..20).connect(PEER, (40_001, 80), OURS + 1, ACK | TcpFlags::FIN);
        }
        assert_eq!(wire.banned(), [("scan.connect", 600, 1)], "{open_port_first}");
        let ban = &wire.bans[0];
        assert!(ban.source == address(PEER) && ban.reason.starts_with(PEER), "{ban:?}");
    }
}

#[test]
fn nothing_that_a_forged_source_can_do_bans_anybody() {
    let mut wire = Wire::banning();
    wire.scan(PEER, 1..200);
    wire.connect(PEER, (40_001, 80), OURS, ACK | TcpFlags::FIN);
    for port in 1..40 {
        wire.wait(MS).udp(PEER, US, (40_000, port), State::New);
        wire.connect(PEER, (port, 22), OURS + 2, ACK | TcpFlags::FIN);
    }
    assert_eq!(wire.names(), ["scan.connect", "scan.udp", "brute_force"]);
    assert_eq!(wire.banned(), []);
}

#[test]
fn who_speaks_before_he_leaves_is_not_banned() {
    let mut wire = Wire::banning();
    wire.scan(PEER, 1..20);
    wire.connect(PEER, (40_001, 80), OURS + 1, ACK | TcpFlags::PSH);
    wire.segment(PEER, US, (40_001, 80), ACK | TcpFlags::FIN, OURS + 1, State::Original);
    assert_eq!(wire.banned(), []);
    wire.wait(180_000 * MS).connect(PEER, (40_002, 80), OURS + 1, ACK | TcpFlags::FIN);
    assert_eq!(wire.banned(), [], "long after the scan");
}

#[test]
fn who_opens_many_connections_to_a_login_is_banned_by_those_that_he_really_opened() {
    let mut wire = Wire::banning();
    for port in 1..=19 {
        wire.connect(PEER, (port, 22), OURS + 1, ACK | TcpFlags::PSH);
    }
    assert_eq!(wire.banned(), []);
    wire.connect(PEER, (20, 22), OURS + 1, ACK | TcpFlags::PSH);
    assert_eq!(wire.banned(), [("brute_force", 600, 1)]);
}

#[test]
fn a_ban_grows_when_the_source_goes_on_after_it() {
    let mut wire = Wire::banning();
    for _ in 0..3 {
        wire.scan(PEER, 1..30).connect(PEER, (40_001, 80), OURS + 1, ACK | TcpFlags::RST);
        wire.wait(700_000 * MS);
    }
    assert_eq!(wire.banned(), [("scan.connect", 600, 1), ("scan.connect", 1200, 2)], "700 s after the second it lasts");
}

#[test]
fn a_forged_source_is_banned_only_where_that_is_wanted() {
    let mut settings = Settings::default();
    (settings.action, settings.ban_unverified) = (Response::Ban, true);
    let mut wire = Wire::with(settings);
    for port in 1..40 {
        wire.wait(MS).udp(PEER, US, (40_000, port), State::New);
    }
    assert_eq!(wire.banned(), [("scan.udp", 600, 1)]);
}

#[test]
fn this_machine_is_never_banned_and_without_the_wish_nobody_is() {
    let mut wire = Wire::banning();
    for n in 0..200 {
        wire.wait(20 * MS).tcp(US, &nth(n), (40_000, 23), SYN, 20, State::New);
    }
    assert_eq!((wire.names(), wire.banned()), (vec!["sweep.tcp"], vec![]));
    let mut wire = Wire::new();
    wire.connect(PEER, (40_001, 80), OURS + 1, ACK | TcpFlags::RST).scan(PEER, 1..20);
    assert_eq!((wire.names(), wire.banned()), (vec!["scan.connect"], vec![]));
}
