//! What programs do that nobody means ill by: file sharing, browsers, calls, backups, searches for devices, containers.
//! Nothing is to be said of it.

use super::*;

const SYN: u8 = TcpFlags::SYN;
const SYN_ACK: u8 = TcpFlags::SYN | TcpFlags::ACK;
const RST_ACK: u8 = TcpFlags::RST | TcpFlags::ACK;

/// What comes of a connection that is asked for.
#[derive(Clone, Copy)]
enum Fate {
    Accepted,
    Refused,
    /// Asked for three times, and not answered.
    Ignored,
}

impl Wire {
    fn asks(&mut self, from: &str, to: &str, ports: (u16, u16), fate: Fate) {
        let back = (ports.1, ports.0);
        self.tcp(from, to, ports, SYN, 20, State::New).wait(20 * MS);
        match fate {
            Fate::Accepted => {
                self.tcp(to, from, back, SYN_ACK, 20, State::Reply).tcp(
                    from,
                    to,
                    ports,
                    TcpFlags::ACK,
                    12,
                    State::Original,
                );
            }
            Fate::Refused => {
                self.tcp(to, from, back, RST_ACK, 0, State::Reply);
            }
            Fate::Ignored => {
                self.wait(1000 * MS).tcp(from, to, ports, SYN, 20, State::New);
                self.wait(2000 * MS).tcp(from, to, ports, SYN, 20, State::New);
            }
        }
    }
}

fn port(n: u32, first: u16) -> u16 {
    first + u16::try_from(n.wrapping_mul(7919) % 20_000).unwrap()
}

#[test]
fn file_sharing_with_hundreds_of_peers_of_whom_many_refuse_or_are_silent() {
    let mut wire = Wire::new();
    for n in 0..1200_u32 {
        // A third of the peers have the port that their program comes with.
        let there = if n % 3 == 0 { 6881 } else { port(n, 20_000) };
        let fate = [Fate::Accepted, Fate::Ignored, Fate::Refused, Fate::Ignored][(n % 4) as usize];
        let peer = nth(n);
        wire.wait(200 * MS).asks(US, &peer, (port(n, 32_768), there), fate);
        // The same over UDP, and the table of who has what.
        wire.udp(US, &peer, (6881, there), State::New);
        wire.udp(US, &nth(n + 5000), (6881, port(n, 1024)), State::New);
        // They come to us too, and each search finds new ones.
        wire.udp(&nth(n + 9000), US, (port(n, 20_000), 6881), State::New);
        wire.asks(&nth(n + 700), US, (port(n, 20_000), 6881), Fate::Accepted);
        // Peers behind one address of a provider.
        if n % 40 == 0 {
            wire.asks(US, "198.51.100.99", (port(n, 32_768), port(n, 40_000)), fate);
            wire.udp(US, "198.51.100.99", (6881, port(n + 1, 40_000)), State::New);
        }
    }
    assert_eq!(wire.found, []);
}

#[test]
fn a_browser_that_opens_three_hundred_connections_at_once() {
    let mut wire = Wire::new();
    for n in 0..300_u32 {
        let (server, here) = (nth(n % 90), port(n, 32_768));
        wire.udp(US, "10.0.0.1", (here, 53), State::New).wait(2 * MS).udp("10.0.0.1", US, (53, here), State::Reply);
        // Both families race, and one in ten servers has gone.
        let fate = if n % 10 == 0 { Fate::Ignored } else { Fate::Accepted };
        wire.wait(MS).asks(US, &server, (here, if n % 7 == 0 { 80 } else { 443 }), fate);
        wire.udp(US, &server, (here, 443), State::New).wait(5 * MS).udp(&server, US, (443, here), State::Reply);
    }
    // All are closed by the servers later, when they are forgotten.
    for n in 0..300_u32 {
        wire.wait(MS).tcp(&nth(n % 90), US, (443, port(n, 32_768)), TcpFlags::FIN | TcpFlags::ACK, 0, State::Invalid);
    }
    assert_eq!(wire.found, []);
}

#[test]
fn calls_whose_media_change_their_ports_and_go_one_way() {
    let mut wire = Wire::new();
    for call in 0..8_u32 {
        let (media, here) = (port(call, 16_384), port(call, 36_000));
        // Paths are tried that lead nowhere.
        for n in 0..4 {
            wire.wait(50 * MS).udp(US, PEER, (here, port(call * 4 + n, 30_000)), State::New);
        }
        // The picture, and every few seconds a report about it.
        for n in 0..2000 {
            wire.wait(100 * MS).udp(PEER, US, (media, here + 10), State::New);
            if n % 40 == 0 {
                wire.udp(PEER, US, (media + 1, here + 11), State::New);
            }
        }
        wire.wait(60_000 * MS);
    }
    assert_eq!(wire.found, []);
}

#[test]
fn backups_deployment_mail_and_databases() {
    let mut wire = Wire::new();
    for n in 0..200_u32 {
        wire.wait(100 * MS).asks(US, "10.0.0.50", (port(n, 32_768), 22), Fate::Accepted);
        wire.asks(US, "10.0.0.50", (port(n, 32_768), 445), Fate::Accepted);
    }
    for n in 0..90_u32 {
        // Pages of a program in another machine, each with a connection to our database.
        wire.wait(800 * MS).asks("10.0.0.8", US, (port(n, 32_768), 5432), Fate::Accepted);
    }
    assert_eq!(wire.found, []);
}

#[test]
fn searches_for_devices_that_each_answers() {
    let mut wire = Wire::new();
    for search in 0..60_u32 {
        let here = port(search, 40_000);
        wire.wait(30_000 * MS).udp(US, "239.255.255.250", (here, 1900), State::New);
        wire.udp("10.0.0.9", "224.0.0.251", (5353, 5353), State::New);
        for device in 10..30 {
            // Some answer from a port of their own.
            let there = if device % 2 == 0 { 1900 } else { port(search + device, 44_000) };
            wire.wait(10 * MS).udp(&format!("10.0.0.{device}"), US, (there, here), State::New);
        }
    }
    assert_eq!(wire.found, []);
}

#[test]
fn a_machine_that_talks_to_many_of_its_neighbours() {
    let mut wire = Wire::new();
    for n in 1..=200 {
        wire.wait(200 * MS).arp(1, 5, [10, 0, 0, 5], [10, 0, 0, n]).answers_arp([10, 0, 0, n], 5, [10, 0, 0, 5]);
    }
    assert_eq!(wire.found, []);
}

#[test]
fn a_router_that_maps_ports_and_sends_ours_back_to_us() {
    let mut wire = Wire::new();
    let mapped = [80, 443, 8080, 22, 25, 51_413, 32_400, 25_565, 1194, 51_820, 8443, 9000, 9001, 9002];
    for n in 0..400_u32 {
        // What the network sends to its own outer address comes from the router.
        let there = mapped[(n as usize) % mapped.len()];
        wire.wait(500 * MS).asks("10.0.0.1", US, (port(n, 32_768), there), Fate::Accepted);
        wire.udp("10.0.0.1", US, (port(n, 32_768), 51_820), State::New).udp(
            US,
            "10.0.0.1",
            (51_820, port(n, 32_768)),
            State::Reply,
        );
    }
    assert_eq!(wire.found, []);
}

#[test]
fn a_dhcp_server_that_answers_itself_and_through_relays() {
    let mut wire = Wire::new();
    for _ in 0..10 {
        // Asked by all, it answers through the relays; asked by one whose lease is to be renewed, itself.
        wire.wait(1000 * MS).answers_dhcp("10.0.0.1", "255.255.255.255", "10.9.0.1", State::New);
        wire.answers_dhcp("10.0.0.2", US, "10.9.0.1", State::New);
        wire.wait(1000 * MS).answers_dhcp("10.9.0.1", US, "10.9.0.1", State::Reply);
    }
    assert_eq!(wire.found, []);
}

#[test]
fn hosts_that_answer_a_monitor() {
    let mut wire = Wire::new();
    for round in 0..20_u32 {
        // All at once, and after a while again.
        wire.wait(11_000 * MS);
        for n in 0..100 {
            wire.echo(US, &nth(n));
            wire.arp(1, 5, [10, 0, 0, 5], [10, 0, 1, u8::try_from(n).unwrap()]);
        }
        wire.wait(MS);
        for n in 0..100 {
            wire.answers_echo(&nth(n), US);
            if n > 0 || round % 2 == 0 {
                wire.answers_arp([10, 0, 1, u8::try_from(n).unwrap()], 5, [10, 0, 0, 5]);
            }
        }
    }
    assert_eq!(wire.found, []);
}

#[test]
fn media_that_go_one_way_to_who_listens() {
    let mut wire = Wire::new();
    wire.udp(PEER, US, (6000, 6000), State::New);
    for _ in 0..20_000 {
        wire.wait(MS / 5).udp(PEER, US, (6000, 6000), State::Original);
    }
    // Somebody stops listening, and the sender goes on for a little while.
    wire.refuses(US, PEER, (6000, 6000));
    for _ in 0..900 {
        wire.wait(MS / 5).udp(PEER, US, (6000, 6000), State::Original);
    }
    assert_eq!(wire.found, []);
}

#[test]
fn a_machine_whose_own_hardware_address_changes() {
    let mut wire = Wire::new();
    for station in 1..5 {
        wire.wait(1000 * MS).arp(1, station, [10, 0, 0, 5], [10, 0, 0, 9]);
    }
    assert_eq!(wire.found, []);
    wire.arp(2, 66, [10, 0, 0, 5], [10, 0, 0, 9]).arp_from_outside(2, 66, [10, 0, 0, 5], [10, 0, 0, 9]);
    assert_eq!(wire.names(), [""; 0], "the machine itself has said so before");
    wire.arp_from_outside(2, 67, [10, 0, 0, 5], [10, 0, 0, 9]);
    assert_eq!(wire.names(), ["arp.changed"]);
}

#[test]
fn another_network_behind_the_same_interface() {
    let mut wire = Wire::new();
    for home in 1..4 {
        wire.arp(2, home, [10, 0, 0, 1], [10, 0, 0, 5]).says("fe80::1", None, home);
        wire.answers_dhcp("10.0.0.1", US, &format!("10.0.{home}.1"), State::New).wait(60_000 * MS);
        wire.detector.forget_neighbours(ETH0);
    }
    assert_eq!(wire.found, []);
}
