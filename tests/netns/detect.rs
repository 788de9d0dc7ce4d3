//! What is suspicious, made by the tools that people make it with: each is named, and who did it.

use crate::enforce::enforce;
use crate::world::{HOST4, HOST6, PEER4, PEER6, SERVER4, SERVER6, World, on, on_peer, sh};
use pnet::datalink;
use pnet::packet::icmpv6::{self, Icmpv6Packet};
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

/// The cases.
pub const CASES: &[(&str, fn())] = &[
    (FLOODS, floods_of_forged_sources_are_named_and_a_scan_among_them_too),
    ("neighbours that are not who they say are named", neighbours_that_are_not_who_they_say),
    ("neighbours of IPv6 that are not who they say are named", ipv6_neighbours_that_are_not_who_they_say),
    ("hosts that answer a monitor, and addresses that are handed on, raise nothing", what_is_asked_and_handed_on),
    ("servers that nobody asked are named", servers_that_nobody_asked),
    ("ordinary traffic raises nothing", ordinary_traffic_raises_nothing),
    (THROUGH, who_scans_through_a_router),
    ("who scans published ports is named", who_scans_published_ports),
    ("who floods a published port is named", who_floods_a_published_port),
    ("clients of a published port raise nothing", clients_of_a_published_port_raise_nothing),
    ("clients behind a router that translates raise nothing", clients_behind_a_router_raise_nothing),
];

/// Cases that need nmap, and hping3.
pub const THROUGH: &str = "who scans through a router is named";
pub const FLOODS: &str = "floods of hping3 are named and a scan among them too";

const RULES: &str = r#"{ "default_policy": "allow" }"#;

/// A source and what it was named for, with the packets that this took and the last count that was told.
type Named = BTreeMap<(String, String), (u64, u64)>;

pub fn field<'l>(line: &'l str, key: &str) -> &'l str {
    line.split_once(key).and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or_default()
}

/// The alerts of the log by who is named first in their reason.
fn named(world: &World) -> Named {
    let mut named = Named::new();
    for line in world.log().iter().filter(|line| line.contains(" alert=")) {
        let packets = field(line, " packets=").parse().expect("a count");
        let source = field(line, " reason=\"").to_owned();
        let entry = named.entry((field(line, " alert=").to_owned(), source)).or_insert((packets, packets));
        entry.1 = packets;
    }
    named
}

/// Waits until an alert of this name and source is in the log.
fn wait_for(world: &World, alert: &str, source: &str) -> (u64, u64) {
    let since = Instant::now();
    loop {
        let named = named(world);
        if let Some(&counts) = named.get(&(alert.to_owned(), source.to_owned())) {
            return counts;
        }
        assert!(since.elapsed() < Duration::from_secs(10), "no {alert} of {source}: {named:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn floods_of_forged_sources_are_named_and_a_scan_among_them_too() {
    let world = World::new();
    let _running = world.watch(RULES, ["--log", "blocked"]);
    let flood = "ip netns exec peer timeout 5 hping3 -q --rand-source -i u200 -c 20000";
    sh(&format!(
        "({flood} -S -p 80 {HOST4} & {flood} --udp -p ++9 {HOST4} & {flood} -1 {HOST4} & \
         ip netns exec peer timeout 20 nmap -n -Pn -sS -T2 -p 1001-1030 {HOST4}; wait) >/dev/null 2>&1; true"
    ));
    wait_for(&world, "scan.syn", PEER4);
    for alert in ["flood.syn", "flood.udp", "flood.icmp"] {
        wait_for(&world, alert, "more");
    }
    let lines = world.log().iter().filter(|line| line.contains(" alert=")).count();
    assert!(lines < 60, "{lines} lines");
}

/// Another address of the peer.
const OTHER4: &str = "10.77.0.9";

fn neighbours_that_are_not_who_they_say() {
    let world = World::new();
    sh(&format!("ip -n peer addr add {OTHER4}/24 dev eth0 && ip route replace default via {PEER4}"));
    let _running = world.watch(RULES, ["--log", "blocked"]);
    let ask = || sh(&format!("ip neigh flush dev eth0 && ping -q -c 1 {PEER4} && ping -q -c 1 {OTHER4}"));
    ask();
    sh("ip -n peer link set eth0 address 02:00:00:00:66:66");
    ask();
    wait_for(&world, "arp.gateway", PEER4);
    wait_for(&world, "arp.changed", OTHER4);
}

/// Whose hardware address the false neighbours say.
const FALSE_MAC: [u8; 6] = [2, 0, 0, 0, 0x66, 0x66];

fn ipv6_neighbours_that_are_not_who_they_say() {
    const GATEWAY6: &str = "fe80::1";
    const OTHER6: &str = "fd77::9";
    let world = World::new();
    sh(&format!(
        "ip -n peer addr add {GATEWAY6}/64 dev eth0 nodad && ip -n peer addr add {OTHER6}/64 dev eth0 nodad && \
         ip -6 route replace default via {GATEWAY6} dev eth0"
    ));
    let _running = world.watch(RULES, ["--log", "blocked"]);
    let ask = || sh(&format!("ip -6 neigh flush dev eth0 && ping -q -c 1 {GATEWAY6}%eth0 && ping -q -c 1 {OTHER6}"));
    ask();
    assert_eq!(named(&world), Named::new());
    on_peer(|| {
        // Of a router, with the option of the sender's hardware address; of a neighbour, to replace what is known.
        advertise(GATEWAY6, &[&[134, 0, 0, 0, 64, 0, 0, 0], &[0; 8][..], &[1, 1], &FALSE_MAC].concat());
        let target = OTHER6.parse::<Ipv6Addr>().expect("an address").octets();
        advertise("fe80::66", &[&[136, 0, 0, 0, 0x20, 0, 0, 0], &target[..], &[2, 1], &FALSE_MAC].concat());
    });
    wait_for(&world, "ndp.gateway", GATEWAY6);
    wait_for(&world, "ndp.changed", OTHER6);
}

/// Sends a message of neighbour discovery to all.
fn advertise(src: &str, message: &[u8]) {
    let (src, all) = (src.parse::<Ipv6Addr>().expect("an address"), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    let mut message = message.to_vec();
    let sum = icmpv6::checksum(&Icmpv6Packet::new(&message).expect("a message"), &src, &all);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let len = u16::try_from(message.len()).expect("short").to_be_bytes();
    let ethernet = [&[0x33, 0x33, 0, 0, 0, 1][..], &FALSE_MAC, &[0x86, 0xdd]].concat();
    let ip = [&[0x60, 0, 0, 0, len[0], len[1], 58, 255][..], &src.octets(), &all.octets()].concat();
    let frame = [ethernet, ip, message].concat();
    let eth0 = datalink::interfaces().into_iter().find(|interface| interface.name == "eth0").expect("there");
    let Ok(datalink::Channel::Ethernet(mut sender, _)) = datalink::channel(&eth0, datalink::Config::default()) else {
        panic!("no channel");
    };
    sender.send_to(&frame, None).expect("accepted").expect("sent");
}

fn what_is_asked_and_handed_on() {
    let world = World::new();
    let hosts: Vec<_> = (101..221).map(|n| format!("10.77.0.{n}")).collect();
    for host in &hosts {
        sh(&format!("ip -n peer addr add {host}/24 dev eth0"));
    }
    sh("ip link add br0 type bridge && ip addr add 10.78.0.1/24 dev br0 && ip link set br0 up");
    let _running = world.watch(RULES, ["--log", "blocked"]);
    // A monitor asks some hosts in turn, and later all at the same time.
    for host in &hosts[..20] {
        sh(&format!("ping -q -c 1 {host}"));
    }
    std::thread::sleep(Duration::from_secs(3));
    let all: Vec<_> = hosts.iter().map(|host| format!("ping -q -c 1 {host} &")).collect();
    sh(&format!("{} wait", all.join("\n")));
    // A container is started again, and has the same address with another hardware address.
    for port in ["port1", "port2", "port3"] {
        sh(&format!(
            "ip netns add container && ip link add {port} type veth peer name eth0 netns container && \
             ip link set {port} master br0 up && ip -n container addr add 10.78.0.2/24 dev eth0 && \
             ip -n container link set eth0 up && ping -q -c 3 -i 0.2 -W 5 10.78.0.2 && \
             ip link del {port} && ip netns del container"
        ));
        let vanished =
            || world.log().iter().any(|line| line.contains(&format!("event=interface-vanished interface={port}")));
        crate::common::wait_for("the port's end", || vanished().then_some(()));
    }
    assert_eq!(named(&world), Named::new());
}

fn servers_that_nobody_asked() {
    let world = World::new();
    sh(&format!("ip -n peer addr add {OTHER4}/24 dev eth0"));
    let _running = world.watch(RULES, ["--log", "blocked"]);
    on_peer(|| {
        let from = |address: &str, port: u16| std::net::UdpSocket::bind((address, port)).expect("a free port");
        for address in [PEER4, OTHER4] {
            from(address, 67).send_to(&[2; 240], (HOST4, 68)).expect("sent");
        }
        let resolver = from(PEER4, 53);
        for port in 40_000..40_030 {
            resolver.send_to(&[0x80; 40], (HOST4, port)).expect("sent");
        }
    });
    wait_for(&world, "dhcp.second_server", OTHER4);
    wait_for(&world, "dns.unsolicited", "DNS");
}

fn who_scans_through_a_router() {
    let world = World::new().with_server();
    let _running = enforce(&world, RULES, ["--log", "blocked"]);
    let nmap = |host: &str, how: &str| sh(&format!("ip netns exec {host} timeout 60 nmap -n -Pn -T4 {how}"));
    nmap("peer", &format!("-sS --top-ports 100 {SERVER4}"));
    assert!(wait_for(&world, "scan.syn", PEER4).0 <= 12);
    nmap("peer", &format!("-6 -sT --top-ports 100 {SERVER6}"));
    assert!(wait_for(&world, "scan.connect", PEER6).0 <= 12);
    nmap("server", "-sS --max-retries 0 -p 445 10.77.0.0/24");
    wait_for(&world, "sweep.tcp", SERVER4);
}

/// The host's ports that lead to the server's.
const PUBLISHED: std::ops::Range<u16> = 2000..2040;

fn publish() {
    for (tool, host, server) in [("iptables", HOST4, SERVER4), ("ip6tables", HOST6, SERVER6)] {
        for protocol in ["tcp", "udp"] {
            sh(&format!(
                "{tool} -t nat -A PREROUTING -i eth0 -d {host} -p {protocol} --dport {}:{} -j DNAT --to-destination {server}",
                PUBLISHED.start, PUBLISHED.end
            ));
        }
    }
}

/// The alerts of one name, by source.
fn sources_of(world: &World, alert: &str) -> Vec<String> {
    let named = named(world).into_keys();
    named.filter(|(name, _)| name == alert).map(|(_, source)| source).collect()
}

/// What is let through, and what is dropped: nobody is named for what another does.
fn who_scans_published_ports() {
    for rules in [RULES, r#"{ "block_ports": ["2000-2040"] }"#] {
        let world = World::new().with_server();
        publish();
        let running = enforce(&world, rules, ["--log", "blocked"]);
        for host in [HOST4, HOST6] {
            let host: std::net::IpAddr = host.parse().expect("an address");
            on_peer(|| {
                for port in PUBLISHED {
                    let wait = Duration::from_millis(20);
                    assert!(
                        std::net::TcpStream::connect_timeout(&(host, port).into(), wait).is_err(),
                        "nobody is there"
                    );
                }
            });
        }
        let [four, six] = [PEER4, PEER6].map(|peer| wait_for(&world, "scan.connect", peer).0);
        assert!(four <= 12 && six <= 12, "{four} and {six}: each packet is looked at once");
        assert_eq!(sources_of(&world, "scan.connect"), [PEER4, PEER6]);
        assert_eq!(named(&world).len(), 2, "{:#?}", named(&world));
        assert_eq!(running.stop(libc::SIGTERM).0, 0);
        sh("ip netns del peer; ip netns del server; umount /run; iptables -t nat -F; ip6tables -t nat -F");
    }
}

fn clients_of_a_published_port_raise_nothing() {
    let world = World::new().with_server();
    publish();
    let _running = enforce(&world, RULES, ["--log", "blocked"]);
    let server = on("server", || std::net::TcpListener::bind((SERVER4, PUBLISHED.start)).expect("a port"));
    let accepting = std::thread::spawn(move || server.incoming().take(200).map_while(Result::ok).count());
    on_peer(|| {
        for _ in 0..200 {
            drop(std::net::TcpStream::connect((HOST4, PUBLISHED.start)).expect("a connection"));
        }
    });
    assert_eq!(accepting.join().expect("served"), 200);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(named(&world), Named::new());
}

fn who_floods_a_published_port() {
    let world = World::new().with_server();
    publish();
    let _running = enforce(&world, RULES, ["--log", "blocked"]);
    on_peer(|| {
        // Each opens a flow.
        for _ in 0..5000 {
            let socket = std::net::UdpSocket::bind((PEER4, 0)).expect("a free port");
            socket.send_to(b"x", (HOST4, PUBLISHED.start)).expect("sent");
        }
    });
    wait_for(&world, "flood.udp", "more");
}

fn clients_behind_a_router_raise_nothing() {
    let world = World::new().with_server();
    sh("iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE");
    let sites: Vec<_> = (101..251).map(|n| format!("10.77.0.{n}")).collect();
    for site in &sites {
        sh(&format!("ip -n peer addr add {site}/24 dev eth0"));
    }
    let _running = enforce(&world, RULES, ["--log", "blocked"]);
    let server = on_peer(|| std::net::TcpListener::bind(("0.0.0.0", 443)).expect("a port"));
    let accepting = std::thread::spawn(move || server.incoming().take(300).map_while(Result::ok).count());
    on("server", || {
        for site in sites.iter().cycle().take(300) {
            drop(std::net::TcpStream::connect((site.as_str(), 443)).expect("a connection"));
        }
    });
    assert_eq!(accepting.join().expect("served"), 300);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(named(&world), Named::new());
}

fn ordinary_traffic_raises_nothing() {
    let world = World::new();
    let _running = world.watch(RULES, ["--log", "blocked"]);
    let server = std::net::TcpListener::bind((HOST4, 8080)).expect("a port");
    let accepting = std::thread::spawn(move || server.incoming().take(200).map_while(Result::ok).count());
    on_peer(|| {
        for _ in 0..200 {
            drop(std::net::TcpStream::connect((HOST4, 8080)).expect("a connection"));
        }
    });
    assert_eq!(accepting.join().expect("served"), 200);
    sh(&format!("ip netns exec peer ping -q -c 20 -i 0.05 {HOST4} && ip netns exec peer ping -q -c 5 -i 0.05 {HOST6}"));
    std::thread::sleep(Duration::from_millis(500));
    let suspicious: Vec<_> = world.log().into_iter().filter(|line| line.contains("[SUSPICIOUS]")).collect();
    assert_eq!(suspicious, [""; 0]);
}
