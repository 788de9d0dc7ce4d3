//! What a plan says is what the kernel does.

use super::{BOTH, enforce, ping, ping_from_peer, world};
use crate::Case;
use crate::world::{HOST4, HOST6, PEER4, PEER6, on_peer, sh, try_sh};
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

pub const CASES: &[Case] = &[
    ("firewall_lists_block_in_both_directions_and_families", lists_block),
    ("firewall_counters_rise_where_users_look", counters_rise),
    ("firewall_a_reject_is_answered", a_reject_is_answered),
    ("firewall_default_deny_keeps_what_a_machine_needs", default_deny_keeps_what_a_machine_needs),
    ("firewall_fragments_are_no_way_around", fragments_are_no_way_around),
    ("firewall_published_ports_are_no_way_around", published_ports_are_no_way_around),
];

/// Whether a TCP connection to `address` opens within some tenths of a second.
fn connects(address: (&str, u16)) -> Result<(), ErrorKind> {
    let address = (address.0.parse::<IpAddr>().expect("an address"), address.1).into();
    TcpStream::connect_timeout(&address, Duration::from_millis(400)).map(drop).map_err(|error| error.kind())
}

/// Whether a datagram sent with `send` arrives at `receiver`.
fn arrives(sender: &UdpSocket, receiver: &UdpSocket) -> bool {
    receiver.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    // Blocked in OUTPUT, it is refused at once.
    let _ = sender.send_to(b"hello", receiver.local_addr().expect("bound"));
    receiver.recv(&mut [0; 8]).is_ok()
}

fn lists_block() {
    let _world = world();
    let ours = [HOST4, HOST6].map(|host| UdpSocket::bind((host, 5000)).expect("free"));
    let theirs = on_peer(|| [PEER4, PEER6].map(|peer| UdpSocket::bind((peer, 5000)).expect("free")));
    let our_servers = [HOST4, HOST6].map(|host| TcpListener::bind((host, 80)).expect("free"));
    let their_servers = on_peer(|| [PEER4, PEER6].map(|peer| TcpListener::bind((peer, 80)).expect("free")));
    // From a port of its own each time, so that no datagram is a reply.
    let fresh = |host: &str| UdpSocket::bind((host, 0)).expect("free");
    let state = || {
        let pings = [ping(PEER4), ping(PEER6), ping_from_peer(HOST4), ping_from_peer(HOST6)];
        let web_out = [connects((PEER4, 80)).is_ok(), connects((PEER6, 80)).is_ok()];
        let web_in = on_peer(|| [connects((HOST4, 80)).is_ok(), connects((HOST6, 80)).is_ok()]);
        let out = [HOST4, HOST6]
            .iter()
            .zip(&theirs)
            .map(|(host, receiver)| arrives(&fresh(host), receiver))
            .collect::<Vec<_>>();
        let senders = on_peer(|| [PEER4, PEER6].map(fresh));
        let incoming =
            senders.iter().zip(&ours).map(|(sender, receiver)| arrives(sender, receiver)).collect::<Vec<_>>();
        (pings == [true; 4], pings == [false; 4], web_out, web_in, [out, incoming].concat())
    };
    let open = (true, false, [true; 2], [true; 2], vec![true; 4]);
    assert_eq!(state(), open);
    for variant in BOTH {
        for (text, expected) in [
            (r#"{ "block_protocols": ["ICMP"] }"#.to_owned(), (false, true, [true; 2], [true; 2], vec![true; 4])),
            (r#"{ "block_ports": [80] }"#.to_owned(), (true, false, [false; 2], [false; 2], vec![true; 4])),
            (r#"{ "block_ports": ["4999-5001/udp"] }"#.to_owned(), (true, false, [true; 2], [true; 2], vec![false; 4])),
            (format!(r#"{{ "block_ips": ["{PEER4}", "{PEER6}"] }}"#), (false, true, [false; 2], [false; 2], vec![false; 4])),
            (format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), (false, false, [false, true], [false, true], vec![false, true, false, true])),
            (
                format!(r#"{{ "allow_ips": ["{PEER4}"], "block_ips": ["10.0.0.0/8", "fd77::/64"], "block_ports": [80] }}"#),
                (false, false, [true, false], [true, false], vec![true, false, true, false]),
            ),
            (
                r#"{ "rules": [{ "action": "block", "direction": "in", "protocol": "tcp" }, { "action": "block", "direction": "out", "protocol": "udp" }] }"#.to_owned(),
                (true, false, [true; 2], [false; 2], vec![false, false, true, true]),
            ),
            (r#"{ "default_policy": { "in": "deny" } }"#.to_owned(), (false, false, [true; 2], [false; 2], vec![true, true, false, false])),
        ] {
            let installed = enforce(variant, &text);
            let found = state();
            assert_eq!(found, expected, "{variant:?} {text}");
            installed.remove().unwrap_or_else(|error| panic!("{error}"));
        }
    }
    assert_eq!(state(), open);
    drop((our_servers, their_servers));
}

fn counters_rise() {
    let _world = world();
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        let installed =
            enforce(variant, &format!(r#"{{ "block_ips": ["192.0.2.1", "{PEER4}"], "block_ports": [81] }}"#));
        for _ in 0..3 {
            assert!(!ping(PEER4));
        }
        assert!(!ping_from_peer(HOST4));
        let shown = sh(&format!("iptables-{word} -L -v -n --line-numbers"));
        let drops: Vec<_> = shown.lines().filter(|line| line.contains("DROP") && line.contains(PEER4)).collect();
        assert!(drops.iter().any(|line| line.split_whitespace().nth(1) == Some("3")), "{shown}");
        let counters = installed.counters().expect("readable");
        let of =
            |id: &str| counters[installed.plan().rules().iter().position(|rule| &*rule.id == id).expect("planned")];
        assert_eq!(of(&format!("block_ips:{PEER4}")).packets, 4);
        assert_eq!(of("block_ips:192.0.2.1").packets, 0);
        drop(installed);
    }
}

fn a_reject_is_answered() {
    let _world = world();
    let server = TcpListener::bind((HOST4, 113)).expect("free");
    let text = r#"{ "default_policy": "deny", "block_protocols": ["icmp"],
        "rules": [{ "id": "in", "action": "reject", "direction": "in", "dst_port": 113 },
                  { "id": "out", "action": "reject", "direction": "out", "dst_port": 114 }] }"#;
    for variant in BOTH {
        let installed = enforce(variant, text);
        for host in [HOST4, HOST6] {
            assert_eq!(on_peer(|| connects((host, 113))), Err(ErrorKind::ConnectionRefused), "{variant:?} {host}");
            assert_eq!(on_peer(|| connects((host, 115))), Err(ErrorKind::TimedOut));
            let refused = on_peer(|| {
                let socket = UdpSocket::bind(if host == HOST4 { "0.0.0.0:0" } else { "[::]:0" }).expect("free");
                socket.connect((host, 113)).expect("connected");
                socket.set_read_timeout(Some(Duration::from_millis(400))).expect("set");
                socket.send(b"x").expect("sent");
                socket.recv(&mut [0; 8]).map_err(|error| error.kind())
            });
            assert_eq!(refused, Err(ErrorKind::ConnectionRefused), "{variant:?} {host}");
        }
        for peer in [PEER4, PEER6] {
            assert_eq!(connects((peer, 114)), Err(ErrorKind::ConnectionRefused), "{variant:?} {peer}");
        }
        drop(installed);
    }
    drop(server);
}

fn default_deny_keeps_what_a_machine_needs() {
    let _world = world();
    let multicast = UdpSocket::bind("[::]:5353").expect("free");
    let index = sh("ip -o link show dev eth0").split(':').next().and_then(|n| n.parse().ok()).expect("a number");
    let group = "ff02::fb".parse().expect("a group");
    multicast.join_multicast_v6(&group, index).expect("joined");
    multicast.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    let server = TcpListener::bind("127.0.0.1:7000").expect("free");
    for variant in BOTH {
        let out = enforce(variant, r#"{ "default_policy": { "in": "deny", "out": "allow" } }"#);
        sh("ip -6 neigh flush dev eth0; ip neigh flush dev eth0");
        assert!(ping(PEER4) && ping(PEER6), "{variant:?}: replies and neighbour discovery pass");
        assert!(!ping_from_peer(HOST4) && !ping_from_peer(HOST6));
        assert_eq!(connects(("127.0.0.1", 7000)), Ok(()));
        multicast.send_to(b"hi", std::net::SocketAddrV6::new(group, 5353, 0, index)).expect("sent");
        assert_eq!(multicast.recv(&mut [0; 8]).expect("a copy for ourselves"), 2, "{variant:?}");
        drop(out);
        let both = enforce(variant, r#"{ "default_policy": "deny" }"#);
        assert!(!ping(PEER4) && !ping(PEER6));
        assert!(ping("127.0.0.1") && ping("::1") && ping(HOST4) && ping(HOST6));
        drop(both);
        let lo = enforce(
            variant,
            r#"{ "rules": [{ "action": "block", "protocol": "tcp" }, { "id": "lo", "action": "block", "interface": "lo", "protocol": "udp" }] }"#,
        );
        assert_eq!(connects(("127.0.0.1", 7000)), Ok(()), "a rule that doesn't name loopback does not act there");
        let local = UdpSocket::bind("127.0.0.1:0").expect("free");
        assert!(!arrives(&UdpSocket::bind("127.0.0.1:0").expect("free"), &local));
        drop(lo);
        let listed = enforce(variant, r#"{ "block_ports": [7000] }"#);
        assert!(connects(("127.0.0.1", 7000)).is_err(), "lists are absolute");
        drop(listed);
    }
    drop(server);
}

fn fragments_are_no_way_around() {
    let _world = world();
    for variant in BOTH {
        for (host, any) in [(HOST4, "0.0.0.0:0"), (HOST6, "[::]:0")] {
            let receiver = UdpSocket::bind((host, 5000)).expect("free");
            receiver.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
            let send = || {
                on_peer(|| UdpSocket::bind(any).expect("free").send_to(&[7; 5000], (host, 5000)).expect("sent"));
                receiver.recv(&mut [0; 6000]).is_ok()
            };
            assert!(send());
            let installed = enforce(variant, r#"{ "block_ports": ["5000/udp"] }"#);
            assert!(!send(), "{variant:?} {host}");
            let counted: u64 = installed.counters().expect("readable").iter().map(|counter| counter.packets).sum();
            assert_eq!(counted, 1, "{variant:?} {host}: the datagram is whole when it is judged");
            assert!(!sh("iptables-save; iptables-legacy-save").contains("conntrack"));
            drop(installed);
        }
    }
}

/// Peer - host - inner, where the host publishes port 8080 as the inner one's 80, and hides the inner one.
pub fn container_network() {
    sh(
        "ip netns add inner && ip link add in0 type veth peer name eth0 netns inner && ip addr add 10.88.0.1/24 dev in0 && ip link set in0 up \
        && ip -n inner link set lo up && ip -n inner addr add 10.88.0.2/24 dev eth0 && ip -n inner link set eth0 up \
        && ip -n inner route add default via 10.88.0.1 && echo 1 >/proc/sys/net/ipv4/ip_forward",
    );
}

fn publish(variant: &str) {
    sh(&format!(
        "t=iptables-{variant}; $t -t nat -A PREROUTING -p tcp -d {HOST4} --dport 8080 -j DNAT --to-destination 10.88.0.2:80 \
         && $t -t nat -A POSTROUTING -o eth0 -s 10.88.0.0/24 -j MASQUERADE"
    ));
}

fn published_ports_are_no_way_around() {
    let _world = world();
    container_network();
    let server = std::thread::spawn(|| {
        let namespace = std::fs::File::open("/run/netns/inner").expect("there");
        // SAFETY: setns moves this thread alone; the descriptor is open for the call.
        assert_eq!(unsafe { libc::setns(std::os::fd::AsRawFd::as_raw_fd(&namespace), libc::CLONE_NEWNET) }, 0);
        TcpListener::bind("10.88.0.2:80").expect("free")
    });
    let server = server.join().expect("it listens");
    let theirs = on_peer(|| TcpListener::bind((PEER4, 81)).expect("free"));
    let published = || on_peer(|| connects((HOST4, 8080)).is_ok());
    let outgoing =
        || try_sh(&format!("ip netns exec inner timeout 0.4 bash -c 'exec 3<>/dev/tcp/{PEER4}/81'")).status.success();
    for (variant, word) in BOTH.into_iter().zip(["nft", "legacy"]) {
        publish(word);
        assert!(published() && outgoing(), "{word}");
        for (text, published_passes, outgoing_passes) in [
            (r#"{ "block_ports": [8080] }"#.to_owned(), false, true),
            (r#"{ "block_ports": [80] }"#.to_owned(), false, true),
            (r#"{ "block_ports": ["81/tcp"] }"#.to_owned(), true, false),
            (format!(r#"{{ "block_ips": ["{PEER4}"] }}"#), false, false),
            (r#"{ "block_ips": ["10.88.0.2"] }"#.to_owned(), false, false),
            (format!(r#"{{ "block_ips": ["{HOST4}"] }}"#), false, false),
            (format!(r#"{{ "allow_ips": ["{PEER4}"], "block_ips": ["10.77.0.0/24"] }}"#), false, false),
            (format!(r#"{{ "allow_ips": ["{PEER4}", "{HOST4}"], "block_ips": ["10.77.0.0/24"] }}"#), true, true),
            (r#"{ "block_protocols": ["tcp"] }"#.to_owned(), false, false),
            (r#"{ "default_policy": "deny", "rules": [{ "action": "block" }] }"#.to_owned(), true, true),
        ] {
            let installed = enforce(variant, &text);
            assert_eq!((published(), outgoing()), (published_passes, outgoing_passes), "{word} {text}");
            installed.remove().unwrap_or_else(|error| panic!("{error}"));
        }
        sh(&format!("iptables-{word} -t nat -F"));
    }
    drop((server, theirs));
}
