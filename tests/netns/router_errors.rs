//! Errors with which this machine answers packets that it was to pass on: connection tracking knows what they are about,
//! translated or not, although none of it was ever for this machine. Each is allowed under any policy, and has one line.

use crate::Case;
use crate::common::PATIENCE;
use crate::enforce::{count, ends_as_predicted, enforce, wait_for_lines};
use crate::variant;
use crate::world::{HOST4, HOST6, PEER4, PEER6, SERVER4, SERVER6, World, on, on_peer, sh};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;

pub const CASES: &[Case] = &[("an_error_about_a_forwarded_packet_is_allowed", an_error_is_allowed)];

/// A port of this host that leads to the server.
const PUBLISHED: u16 = 8080;
const SERVICE: u16 = 9080;
/// Who is nowhere.
const NOBODY4: &str = "10.99.0.1";
const NOBODY6: &str = "fd99::1";
/// Errors of each kind: both variants together have fewer than the kernel sends of its routes in a row.
const EACH: usize = 2;

/// A machine that publishes a port and hides who is behind it, and knows where nobody is.
fn translate() {
    for (tool, server, to) in [
        ("iptables", SERVER4, format!("{SERVER4}:{SERVICE}")),
        ("ip6tables", SERVER6, format!("[{SERVER6}]:{SERVICE}")),
    ] {
        sh(&format!(
            "{tool} -t nat -F
             {tool} -t nat -A PREROUTING -i eth0 -p udp --dport {PUBLISHED} -j DNAT --to-destination {to}
             {tool} -t nat -A POSTROUTING -s {server} -o eth0 -j MASQUERADE"
        ));
    }
    sh("ip route replace unreachable 10.99.0.0/24 && ip -6 route replace unreachable fd99::/64");
}

struct Ends {
    host: IpAddr,
    peer: IpAddr,
    server: IpAddr,
    nobody: IpAddr,
}

fn ends() -> [Ends; 2] {
    [[HOST4, PEER4, SERVER4, NOBODY4], [HOST6, PEER6, SERVER6, NOBODY6]].map(|four| {
        let [host, peer, server, nobody] = four.map(|text| text.parse().expect("an address"));
        Ends { host, peer, server, nobody }
    })
}

fn an_error_is_allowed() {
    let world = World::new().with_server();
    // So many errors come at once that the kernel would leave some out. (Of those that no route leads to it does anyway.)
    sh("sysctl -q -w net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratelimit=0");
    for variant in variant::BOTH {
        variant::choose(variant);
        translate();
        let pfw = enforce(&world, r#"{ "default_policy": { "in": "allow", "out": "deny" } }"#, []);
        for Ends { host, peer, server, nobody } in ends() {
            let service = on("server", || UdpSocket::bind((server, SERVICE)).expect("a free port"));
            service.set_read_timeout(Some(PATIENCE)).expect("set");
            on_peer(|| {
                // Of flows that never pass this machine, of one that nobody passes, and of one in its middle.
                send(&client(peer, 4001, 1), server, SERVICE);
                send(&client(peer, 4002, 1), host, PUBLISHED);
                send(&client(peer, 4003, 64), nobody, SERVICE);
            });
            on("server", || send(&client(server, 4004, 1), peer, SERVICE));
            let opener = on_peer(|| client(peer, 4005, 64));
            opener.send_to(b"x", (host, PUBLISHED)).expect("sent");
            service.recv_from(&mut [0; 1]).expect("it goes there");
            limit(&opener, 1);
            send(&opener, host, PUBLISHED);
        }
        let related = "rule=related ";
        wait_for_lines(&world, 3 * EACH, &["[ALLOWED] outgoing eth0 ICMP ", "type=11", related]);
        wait_for_lines(&world, 3 * EACH, &["[ALLOWED] outgoing eth0 ICMPv6 ", "type=3 ", related]);
        wait_for_lines(&world, EACH, &["[ALLOWED] outgoing eth0 ICMP ", "type=3 ", related]);
        wait_for_lines(&world, EACH, &["[ALLOWED] outgoing eth0 ICMPv6 ", "type=1 ", related]);
        wait_for_lines(&world, EACH, &["[ALLOWED] outgoing eth1 ICMP ", "type=11", related]);
        wait_for_lines(&world, EACH, &["[ALLOWED] outgoing eth1 ICMPv6 ", "type=3 ", related]);
        ends_as_predicted(pfw);
        let all = world.log().join("\n");
        assert_eq!(count(&world, &[" ICMP "]), 5 * EACH, "{all}");
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
        sh("conntrack -F 2>/dev/null || true");
    }
}

/// Who sends packets that live so long.
fn client(own: IpAddr, port: u16, ttl: u32) -> UdpSocket {
    let socket = UdpSocket::bind((own, port)).expect("a free port");
    limit(&socket, ttl);
    socket
}

fn limit(socket: &UdpSocket, ttl: u32) {
    if socket.local_addr().expect("bound").is_ipv4() {
        return socket.set_ttl(ttl).expect("set");
    }
    let value = libc::c_int::try_from(ttl).expect("a small number");
    let size = libc::socklen_t::try_from(size_of_val(&value)).expect("a small number");
    // SAFETY: the kernel reads `size` bytes of `value`, which outlives the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IPV6,
            libc::IPV6_UNICAST_HOPS,
            (&raw const value).cast(),
            size,
        )
    };
    assert_eq!(set, 0, "set");
}

fn send(socket: &UdpSocket, to: IpAddr, port: u16) {
    for _ in 0..EACH {
        socket.send_to(b"x", (to, port)).expect("sent");
    }
}
