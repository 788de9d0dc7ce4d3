//! Packets for others that this machine takes in for a transparent proxy of its own, while it passes others on between the
//! same hosts: to the tap all of them are on their way through. Each has its line.

use crate::Case;
use crate::common::PATIENCE;
use crate::enforce::{count, ends_as_predicted, enforce, wait_for_lines};
use crate::variant;
use crate::world::{PEER4, PEER6, SERVER4, SERVER6, World, on_peer, sh};
use std::io::{Read, Write};
use std::mem::size_of_val;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("what_a_transparent_proxy_is_sent_has_a_line_for_each_packet", each_packet_has_a_line),
    ("fragments_that_a_transparent_proxy_is_sent_have_lines", fragments_have_lines),
];

/// Ports of the server that the proxy answers for: one whose packets are allowed, and one whose are not.
const PROXIED: u16 = 5300;
const BLOCKED: u16 = 5301;
/// One that it does not answer for.
const FORWARDED: u16 = 3001;
/// Where the proxy listens.
const PROXY: u16 = 3129;
/// Datagrams of each kind.
const EACH: usize = 5;

fn divert() {
    sh("ip rule del fwmark 1 2>/dev/null; ip -6 rule del fwmark 1 2>/dev/null; \
        ip rule add fwmark 1 lookup 100 && ip route replace local default dev lo table 100 && \
        ip -6 rule add fwmark 1 lookup 100 && ip -6 route replace local default dev lo table 100");
    for tool in ["iptables", "ip6tables"] {
        sh(&format!("{tool} -t mangle -F"));
        for protocol in ["tcp", "udp"] {
            sh(&format!(
                "{tool} -t mangle -A PREROUTING -i eth0 -p {protocol} --dport {PROXIED}:{BLOCKED} \
                 -j TPROXY --on-port {PROXY} --tproxy-mark 1"
            ));
        }
    }
}

fn ends() -> [(IpAddr, IpAddr); 2] {
    [(PEER4, SERVER4), (PEER6, SERVER6)].map(|(peer, server)| {
        let address = |text: &str| text.parse().expect("an address");
        (address(peer), address(server))
    })
}

fn rules() -> String {
    let allow = format!(r#"{{ "id": "proxied", "action": "allow", "direction": "in", "dst_port": {PROXIED} }}"#);
    format!(r#"{{ "default_policy": {{ "in": "deny", "out": "allow" }}, "rules": [{allow}] }}"#)
}

fn each_packet_has_a_line() {
    let world = World::new().with_server();
    for variant in variant::BOTH {
        variant::choose(variant);
        divert();
        let pfw = enforce(&world, &rules(), []);
        for (peer, server) in ends() {
            exchange(peer, server);
            connect(peer, server);
        }
        let (to, allowed) = (format!(":{PROXIED} "), "[ALLOWED] incoming eth0 ");
        wait_for_lines(&world, 2 * EACH, &[allowed, "UDP", &to, "rule=proxied "]);
        wait_for_lines(&world, 2 * EACH, &["[ALLOWED] outgoing eth0 UDP", &to, "rule=reply "]);
        wait_for_lines(
            &world,
            2 * EACH,
            &["[BLOCKED] incoming eth0 UDP", &format!(":{BLOCKED} "), "rule=default_policy "],
        );
        wait_for_lines(&world, 2, &["[ALLOWED] forwarded eth0 UDP", &format!(":{FORWARDED} ")]);
        wait_for_lines(&world, 2, &[allowed, "TCP", &to, "flags=S ", "rule=proxied "]);
        wait_for_lines(&world, 2, &[allowed, "TCP", &to, "flags=PA ", "rule=proxied "]);
        ends_as_predicted(pfw);
        let all = world.log().join("\n");
        assert_eq!(count(&world, &["UDP"]), 6 * EACH + 2, "{all}");
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
        sh("conntrack -F 2>/dev/null || true");
    }
}

/// Datagrams to the proxy, which answers, to a port that is blocked, and through this machine.
fn exchange(peer: IpAddr, server: IpAddr) {
    let proxy = UdpSocket::from(transparent(SocketAddr::new(any(server), PROXY), libc::SOCK_DGRAM));
    proxy.set_read_timeout(Some(PATIENCE)).expect("set");
    let answers = UdpSocket::from(transparent(SocketAddr::new(server, PROXIED), libc::SOCK_DGRAM));
    let client = on_peer(|| UdpSocket::bind((peer, 4000)).expect("a free port"));
    client.set_read_timeout(Some(PATIENCE)).expect("set");
    for _ in 0..EACH {
        client.send_to(b"hello", (server, PROXIED)).expect("sent");
        // What is for this very address goes to the socket that is bound to it.
        let (_, from) = receive(&answers, &proxy);
        answers.send_to(b"hello", from).expect("sent");
        client.recv_from(&mut [0; 5]).expect("answered");
        client.send_to(b"hello", (server, BLOCKED)).expect("sent");
        client.send_to(b"hello", (server, FORWARDED)).expect("sent");
    }
}

/// What one of two sockets receives.
fn receive(one: &UdpSocket, other: &UdpSocket) -> (usize, SocketAddr) {
    one.set_read_timeout(Some(Duration::from_millis(50))).expect("set");
    one.recv_from(&mut [0; 5]).or_else(|_| other.recv_from(&mut [0; 5])).expect("the proxy is sent it")
}

fn connect(peer: IpAddr, server: IpAddr) {
    let listener = std::net::TcpListener::from(transparent(SocketAddr::new(any(server), PROXY), libc::SOCK_STREAM));
    let mut stream =
        on_peer(|| TcpStream::connect_timeout(&SocketAddr::new(server, PROXIED), PATIENCE).expect("it is proxied"));
    let (mut accepted, from) = listener.accept().expect("a client");
    assert_eq!((from.ip(), accepted.local_addr().expect("connected").ip()), (peer, server));
    stream.write_all(b"hello").expect("sent");
    accepted.read_exact(&mut [0; 5]).expect("received");
}

fn fragments_have_lines() {
    let world = World::new().with_server();
    divert();
    let pfw = enforce(&world, &rules(), []);
    for (peer, server) in ends() {
        let proxy = UdpSocket::from(transparent(SocketAddr::new(any(server), PROXY), libc::SOCK_DGRAM));
        proxy.set_read_timeout(Some(PATIENCE)).expect("set");
        let client = on_peer(|| UdpSocket::bind((peer, 4000)).expect("a free port"));
        client.send_to(&[7; 4000], (server, PROXIED)).expect("sent");
        proxy.recv_from(&mut [0; 4000]).expect("the proxy is sent it");
        client.send_to(&[7; 4000], (server, BLOCKED)).expect("sent");
    }
    wait_for_lines(&world, 6, &["[ALLOWED] incoming eth0 UDP", "rule=proxied "]);
    wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 UDP", "rule=default_policy "]);
    ends_as_predicted(pfw);
    assert_eq!(count(&world, &["UDP"]), 8, "{}", world.log().join("\n"));
}

fn any(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// A socket with an address that need not be this machine's.
fn transparent(address: SocketAddr, kind: libc::c_int) -> OwnedFd {
    let (family, level, option) = match address {
        SocketAddr::V4(_) => (libc::AF_INET, libc::SOL_IP, libc::IP_TRANSPARENT),
        SocketAddr::V6(_) => (libc::AF_INET6, libc::SOL_IPV6, libc::IPV6_TRANSPARENT),
    };
    // SAFETY: makes a socket, which nobody else knows of.
    let socket = unsafe { OwnedFd::from_raw_fd(libc::socket(family, kind | libc::SOCK_CLOEXEC, 0)) };
    for (level, option) in [(level, option), (libc::SOL_SOCKET, libc::SO_REUSEADDR)] {
        set(&socket, level, option);
    }
    if address.is_ipv6() {
        set(&socket, libc::SOL_IPV6, libc::IPV6_V6ONLY);
    }
    bind(&socket, address);
    if kind == libc::SOCK_STREAM {
        // SAFETY: has the socket listen.
        assert_eq!(unsafe { libc::listen(socket.as_raw_fd(), 8) }, 0, "it listens");
    }
    socket
}

fn set(socket: &OwnedFd, level: libc::c_int, option: libc::c_int) {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).expect("a small number");
    // SAFETY: the kernel reads `size` bytes of `on`, which outlives the call.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), size) };
    assert_eq!(set, 0, "set");
}

fn bind(socket: &OwnedFd, address: SocketAddr) {
    let bound = match address {
        SocketAddr::V4(address) => {
            let (family, s_addr) = (family(libc::AF_INET), u32::from_ne_bytes(address.ip().octets()));
            bind_to(
                socket,
                &libc::sockaddr_in {
                    sin_family: family,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr { s_addr },
                    sin_zero: [0; 8],
                },
            )
        }
        SocketAddr::V6(address) => bind_to(
            socket,
            &libc::sockaddr_in6 {
                sin6_family: family(libc::AF_INET6),
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: 0,
            },
        ),
    };
    assert_eq!(bound, 0, "a free port");
}

fn family(number: libc::c_int) -> libc::sa_family_t {
    number.try_into().expect("a small number")
}

fn bind_to<A>(socket: &OwnedFd, address: &A) -> libc::c_int {
    let size = libc::socklen_t::try_from(size_of_val(address)).expect("a small number");
    // SAFETY: the kernel reads `size` bytes of the address, which outlives the call.
    unsafe { libc::bind(socket.as_raw_fd(), (&raw const *address).cast(), size) }
}
