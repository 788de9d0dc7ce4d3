//! What a machine needs under every policy works when everything else is denied: path MTU, neighbour discovery, DHCP,
//! loopback.

use crate::Case;
use crate::common::wait_for;
use crate::enforce::{enforce, ping};
use crate::variant::{BOTH, choose};
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("a_transfer_finds_its_path_mtu_under_deny", a_transfer_finds_its_path_mtu),
    ("neighbours_are_found_again_under_deny", neighbours_are_found_again),
    ("a_dhcp_lease_is_renewed_under_deny", a_lease_is_renewed),
    ("a_local_resolver_answers_under_deny", a_local_resolver_answers),
];

/// Both ways.
const DENY: &str = r#"{ "default_policy": "deny" }"#;

const FAR: [&str; 2] = ["10.78.0.2", "fd78::2"];
/// Enough that each loss would be noticed, and several windows.
const BYTES: usize = 1 << 20;

/// Host - peer - far, and between the latter two only packets of 1300 bytes pass.
fn narrow_path() {
    sh("ip netns add far && ip -n far link set lo up && ip -n peer link add far0 type veth peer name eth0 netns far \
        && ip -n peer addr add 10.78.0.1/24 dev far0 && ip -n peer addr add fd78::1/64 dev far0 nodad \
        && ip -n far addr add 10.78.0.2/24 dev eth0 && ip -n far addr add fd78::2/64 dev eth0 nodad \
        && ip -n peer link set far0 mtu 1300 up && ip -n far link set eth0 up \
        && ip -n far route add default via 10.78.0.1 && ip -n far -6 route add default via fd78::1 \
        && ip netns exec peer sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'");
    sh(&format!("ip route add 10.78.0.0/24 via {PEER4} && ip -6 route add fd78::/64 via {PEER6}"));
}

/// A server in the namespace `far` that reads to the end and tells how much it was.
fn far_server(address: &'static str) -> TcpListener {
    let bind = move || {
        let namespace = std::fs::File::open("/run/netns/far").expect("there");
        // SAFETY: setns moves this thread alone; the descriptor is open for the call.
        assert_eq!(unsafe { libc::setns(std::os::fd::AsRawFd::as_raw_fd(&namespace), libc::CLONE_NEWNET) }, 0);
        TcpListener::bind((address, 8080)).expect("free")
    };
    std::thread::spawn(bind).join().expect("it listens")
}

fn a_transfer_finds_its_path_mtu() {
    let world = World::new();
    narrow_path();
    let servers = FAR.map(far_server);
    wait_for("the path", || FAR.iter().all(|far| ping(far, 1)).then_some(()));
    for variant in BOTH {
        choose(variant);
        let rules = r#"{ "default_policy": "deny", "rules": [{ "action": "allow", "direction": "out", "dst_port": "8080/tcp" }] }"#;
        let pfw = enforce(&world, rules, []);
        for (server, far) in servers.iter().zip(FAR) {
            sh("ip route flush cache; ip -6 route flush cache");
            let received = std::thread::scope(|scope| {
                let receiver = scope.spawn(|| {
                    let (mut stream, _) = server.accept().expect("a client");
                    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("set");
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).map_or(0, |_| all.len())
                });
                let address = SocketAddr::new(far.parse::<IpAddr>().expect("an address"), 8080);
                let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).expect("it is allowed");
                stream.set_write_timeout(Some(Duration::from_secs(10))).expect("set");
                stream.write_all(&vec![7; BYTES]).expect("sent");
                drop(stream);
                receiver.join().expect("received")
            });
            assert_eq!(received, BYTES, "{variant} {far}");
            assert!(sh(&format!("ip route get {far}")).contains("mtu 1300"), "{variant} {far}: a router has told");
        }
        let (_, said) = pfw.stop(libc::SIGTERM);
        assert!(!said.contains("differences"), "{said}");
    }
}

fn neighbours_are_found_again() {
    let world = World::new();
    let receivers = [HOST4, HOST6].map(|host| UdpSocket::bind((host, 5000)).expect("free"));
    wait_for("the network", || (ping(PEER4, 1) && ping(PEER6, 1)).then_some(()));
    for variant in BOTH {
        choose(variant);
        let rules = r#"{ "default_policy": "deny", "rules": [{ "action": "allow", "protocol": "icmp", "icmp_type": "echo-request", "direction": "out" },
            { "action": "allow", "direction": "in", "dst_port": "5000/udp" }] }"#;
        let pfw = enforce(&world, rules, []);
        for _ in 0..3 {
            for ns in ["", "-n peer"] {
                sh(&format!("ip {ns} neigh flush dev eth0; ip {ns} -6 neigh flush dev eth0"));
            }
            assert!(ping(PEER4, 1) && ping(PEER6, 1), "{variant}: this machine asks");
            for ns in ["", "-n peer"] {
                sh(&format!("ip {ns} neigh flush dev eth0; ip {ns} -6 neigh flush dev eth0"));
            }
            for (receiver, (peer, host)) in receivers.iter().zip([(PEER4, HOST4), (PEER6, HOST6)]) {
                receiver.set_read_timeout(Some(Duration::from_secs(3))).expect("set");
                on_peer(|| UdpSocket::bind((peer, 0)).expect("free").send_to(b"x", (host, 5000)).expect("sent"));
                assert_eq!(receiver.recv(&mut [0; 8]).ok(), Some(1), "{variant}: the peer asks for {host}");
            }
        }
        pfw.stop(libc::SIGTERM);
    }
}

/// Sends from the one to the other and back.
fn exchange(client: &UdpSocket, server: &UdpSocket) {
    for socket in [client, server] {
        socket.set_read_timeout(Some(Duration::from_secs(3))).expect("set");
    }
    let mut request = [0; 8];
    client.send_to(b"request", server.local_addr().expect("bound")).expect("nothing holds it back");
    let (length, from) = server.recv_from(&mut request).expect("it arrives");
    assert_eq!(&request[..length], b"request");
    server.send_to(b"answer", from).expect("sent");
    assert_eq!(client.recv(&mut request).expect("it arrives"), 6);
}

/// The link-local address of `eth0`, to be reached through the interface of this index.
fn link_local(ns: &str, port: u16) -> SocketAddrV6 {
    let shown = sh(&format!("ip {ns} -6 -o addr show dev eth0 scope link"));
    let words: Vec<_> = shown.split_whitespace().collect();
    let index = words[0].trim_end_matches(':').parse().expect("an index");
    let address = words[3].split('/').next().expect("an address").parse().expect("an address");
    SocketAddrV6::new(address, port, 0, index)
}

fn a_lease_is_renewed() {
    let world = World::new();
    wait_for("link-local addresses", || {
        ["", "-n peer"]
            .iter()
            .all(|ns| sh(&format!("ip {ns} -6 -o addr show dev eth0 scope link")).contains("fe80"))
            .then_some(())
    });
    let client = UdpSocket::bind((HOST4, 68)).expect("free");
    let server = on_peer(|| UdpSocket::bind((PEER4, 67)).expect("free"));
    let (client_at, server_at) = (link_local("", 546), link_local("-n peer", 547));
    let client6 = UdpSocket::bind(client_at).expect("free");
    let server6 = on_peer(|| UdpSocket::bind(server_at).expect("free"));
    for variant in BOTH {
        choose(variant);
        let pfw = enforce(&world, DENY, []);
        for _ in 0..3 {
            exchange(&client, &server);
            // The interface has another index here than there.
            client6.set_read_timeout(Some(Duration::from_secs(3))).expect("set");
            server6.set_read_timeout(Some(Duration::from_secs(3))).expect("set");
            let to = SocketAddrV6::new(*server_at.ip(), 547, 0, client_at.scope_id());
            client6.send_to(b"renew", to).expect("nothing holds it back");
            let (_, from) = server6.recv_from(&mut [0; 8]).expect("it arrives");
            server6.send_to(b"reply", from).expect("sent");
            assert_eq!(client6.recv(&mut [0; 8]).expect("it arrives"), 5);
        }
        let other = UdpSocket::bind((HOST4, 69)).expect("free");
        assert!(other.send_to(b"x", (PEER4, 67)).is_err(), "only a client's own port is free");
        let (_, said) = pfw.stop(libc::SIGTERM);
        assert!(!said.contains("differences"), "{said}");
    }
}

fn a_local_resolver_answers() {
    let world = World::new();
    sh("ip addr add 127.0.0.53/8 dev lo");
    let server = UdpSocket::bind("127.0.0.53:53").expect("free");
    let tcp = TcpListener::bind("127.0.0.53:53").expect("free");
    let own = UdpSocket::bind((HOST4, 53)).expect("free");
    for variant in BOTH {
        choose(variant);
        let pfw = enforce(&world, DENY, []);
        for _ in 0..3 {
            exchange(&UdpSocket::bind("127.0.0.1:0").expect("free"), &server);
            exchange(&UdpSocket::bind((HOST4, 0)).expect("free"), &own);
            let mut client = TcpStream::connect_timeout(&tcp.local_addr().expect("bound"), Duration::from_secs(3))
                .expect("it answers");
            let (mut stream, _) = tcp.accept().expect("a client");
            stream.write_all(b"answer").expect("sent");
            client.read_exact(&mut [0; 6]).expect("answered");
        }
        assert!(ping("127.0.0.1", 1) && ping("::1", 1) && ping(HOST4, 1) && ping(HOST6, 1));
        assert!(!ping(PEER4, 1) && !ping(PEER6, 1));
        let (_, said) = pfw.stop(libc::SIGTERM);
        assert!(!said.contains("differences"), "{said}");
    }
}
