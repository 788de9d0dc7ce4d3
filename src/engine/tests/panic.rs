//! A panic: what this machine says to itself passes, and nothing else.

use super::*;

const WORDS: &str = "panic is on: all but what this machine says to itself is blocked";

fn panic() -> Ruleset {
    // Whatever else there is has no say.
    let allow_ips = addresses("allow_ips", &[PEER, "10.0.0.0/8", "::/0"]);
    Ruleset { panic: true, allow_ips, block_ports: block_ports(&["22"]), ..Ruleset::default() }
}

fn datagram(src: &str, dst: &str) -> Ip {
    udp((src, 5000), (dst, 53))
}

#[test]
fn every_way_but_loopback_is_blocked_whatever_the_addresses() {
    for (src, dst) in [(PEER, OWN), (OWN, PEER), (OWN, OWN), ("127.0.0.1", OWN), ("2001:db8::5", "2001:db8::5")] {
        for direction in [Incoming, Outgoing, Forwarded] {
            let said = decide(&panic(), direction, &datagram(src, dst));
            assert_eq!(said, blocked("panic", WORDS), "{direction:?} {src} {dst}");
        }
    }
}

#[test]
fn on_loopback_this_machine_speaks_to_its_own_addresses_alone() {
    for own in [OWN, "127.0.0.1", "127.7.7.7", "::1", "2001:db8::5", "fe80::5"] {
        let said = decide(&panic(), Loopback, &tcp((own, 40_000), (own, 22), "S"));
        assert_eq!(said, allowed("loopback", "loopback interface"), "{own}");
    }
    // What is local by routing alone, and what is for many.
    for other in [PEER, "255.255.255.255", "224.0.0.1", "2001:db8::6", "ff02::1"] {
        assert_eq!(decide(&panic(), Loopback, &datagram(OWN, other)), blocked("panic", WORDS), "{other}");
        assert_eq!(decide(&panic(), Loopback, &datagram(other, OWN)), blocked("panic", WORDS), "{other}");
    }
}

#[test]
fn the_guards_of_step_1_pass_and_those_of_step_4_do_not() {
    let mut solicitation = icmp("fe80::1", "fe80::5", 135, 0, 0);
    solicitation.ttl = 255;
    assert_eq!(decide(&panic(), Incoming, &solicitation).1, "guard:neighbour-discovery");
    assert_eq!(decide(&panic(), Forwarded, &icmp(PEER, OWN, 3, 4, 0)).1, "guard:path-mtu");
    assert_eq!(decide(&panic(), Outgoing, &udp(("0.0.0.0", 68), ("255.255.255.255", 67))).1, "panic");
}
