//! A panic spares what this machine says to itself, and nothing that only looks like it.

use super::{enforce, ping, steer};
use crate::Case;
use crate::common::{PATIENCE, wait_for};
use crate::discards::datagram;
use crate::enforce::{count, ends_as_predicted, wait_for_lines};
use crate::variant;
use crate::verdict::mac;
use crate::verdict::raw::Wire;
use crate::verdict::wire::frame;
use crate::world::{HOST4, HOST6, PEER4, PEER6, SERVER4, SERVER6, World, on, on_peer, sh, try_sh};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

pub const CASES: &[Case] = &[
    ("a_panic_blocks_who_forges_an_own_address", who_forges_an_own_address),
    ("a_panic_spares_what_this_machine_says_to_itself", what_this_machine_says_to_itself),
    ("a_panic_blocks_what_is_led_elsewhere", what_is_led_elsewhere),
];

/// A second own address of IPv6.
const OTHER6: &str = "fd77::11";
/// An own address that comes while a panic is on.
const LATER4: &str = "10.77.0.99";
const REASON: &str = "rule=panic reason=\"panic is on: all but what this machine says to itself is blocked\"";

fn begin(world: &World) {
    let ran = steer(world, ["panic", "--force"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

/// How many packets the panic's own rule has dropped of those that come in.
fn dropped(tool: &str) -> u64 {
    let saved = sh(&format!("{tool}-save -c -t filter"));
    let is_it = |line: &&str| line.contains("-A PFW-IN") && line.contains("panic") && line.ends_with("-j DROP");
    let line = saved.lines().find(is_it).unwrap_or_else(|| panic!("no rule of a panic in {saved}"));
    let packets = line.trim_start_matches('[').split(':').next().and_then(|packets| packets.parse().ok());
    packets.unwrap_or_else(|| panic!("a counter in {line}"))
}

fn who_forges_an_own_address() {
    let world = World::new();
    sh(&format!("ip addr add {OTHER6}/64 dev eth0 nodad"));
    let sockets = [HOST4, HOST6, OTHER6].map(|own| UdpSocket::bind((own, 5001)).expect("a free port"));
    let nobody_got_any = || {
        for socket in &sockets {
            socket.set_nonblocking(true).expect("set");
            assert!(socket.recv(&mut [0; 99]).is_err(), "{socket:?} in\n{}", world.log().join("\n"));
        }
    };
    let (wire, host) = (on_peer(|| Wire::open("eth0")), mac("", "eth0"));
    let forge = |src, dst| wire.send(&frame(host, [2, 0, 0, 0, 0, 9], None, &datagram(src, dst, 5001).bytes()));
    for variant in variant::BOTH {
        variant::choose(variant);
        sh("sysctl -qw net.ipv4.conf.eth0.accept_local=0");
        let pfw = enforce(&world, "{}", []);
        // Without a panic nothing keeps it out.
        forge(HOST6, HOST6);
        wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP", HOST6, ":5001 "]);
        assert!(sockets[1].recv(&mut [0; 99]).is_ok(), "{variant}");
        begin(&world);
        for (src, dst) in [(HOST6, HOST6), (OTHER6, HOST6), (HOST6, OTHER6), (PEER6, HOST6)] {
            forge(src, dst);
            let ends = format!("[{src}]:4000 > [{dst}]:5001 ");
            wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0 UDP", &ends, REASON]);
        }
        // Of IPv4 the kernel takes none in, before any rule, unless it is told to.
        forge(HOST4, HOST4);
        wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP", HOST4, "discarded by the kernel before any rule"]);
        sh("sysctl -qw net.ipv4.conf.eth0.accept_local=1 net.ipv4.conf.eth0.rp_filter=0 net.ipv4.conf.all.rp_filter=0");
        forge(HOST4, HOST4);
        wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0 UDP", HOST4, ":5001 ", REASON]);
        assert_eq!((dropped("iptables"), dropped("ip6tables")), (1, 4), "{variant}");
        nobody_got_any();
        assert!(!sh("iptables-save; ip6tables-save").contains("conntrack"), "{variant}: nothing asks for connections");
        let audit = steer(&world, ["audit"]);
        assert_eq!(audit.code, 0, "{audit:?}");
        ends_as_predicted(pfw);
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    }
}

/// Speaks to itself at `own` by TCP.
fn converses(own: IpAddr) {
    let listener = TcpListener::bind(SocketAddr::new(own, 0)).expect("a free port");
    let mut there = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (mut here, _) = listener.accept().expect("it is there");
    here.set_read_timeout(Some(PATIENCE)).expect("set");
    there.write_all(b"x").expect("sent");
    here.read_exact(&mut [0]).expect("it arrives");
}

fn what_this_machine_says_to_itself() {
    let world = World::new();
    let link_local: Ipv6Addr =
        sh("ip -6 -o addr show dev eth0 scope link | sed 's/.*inet6 //;s,/.*,,'").trim().parse().expect("an address");
    for variant in variant::BOTH {
        variant::choose(variant);
        let pfw = enforce(&world, "{}", []);
        begin(&world);
        for own in ["127.0.0.1", "127.7.7.7", HOST4, "::1", HOST6] {
            assert!(ping(own), "{variant}: {own}");
            converses(own.parse().expect("an address"));
        }
        assert!(ping(&format!("{link_local}%eth0")), "{variant}: {link_local}");
        // An address that comes is known within the second, and one that goes is another's.
        sh(&format!("ip addr add {LATER4}/24 dev eth0"));
        wait_for("an address that came", || ping(LATER4).then_some(()));
        sh(&format!("ip addr del {LATER4}/24 dev eth0"));
        assert!(!ping(LATER4), "{variant}");
        for others in [PEER4, PEER6] {
            assert!(!ping(others), "{variant}: {others}");
        }
        for from in [HOST4, HOST6] {
            let ran = try_sh(&format!("ip netns exec peer ping -q -c 1 -W 0.5 {from}"));
            assert!(!ran.status.success(), "{variant}: from elsewhere to {from}");
        }
        wait_for("lines", || (count(&world, &["[ALLOWED] loopback lo", "rule=loopback"]) > 0).then_some(()));
        let others = world.lines(&["[BLOCKED] loopback"]).into_iter().filter(|line| !line.contains(LATER4)).count();
        assert_eq!(others, 0, "{variant}: {}", world.log().join("\n"));
        let refused = steer(&world, ["unblock", "panic"]);
        assert!(refused.code == 1 && refused.stderr.contains("is built in: 'pfw panic' begins it"), "{refused:?}");
        let rules = steer(&world, ["rules"]).stdout;
        assert!(rules.contains("step 2: panic") && rules.contains("what this machine sends to itself"), "{rules}");
        ends_as_predicted(pfw);
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    }
}

/// A published port: what this machine sends to itself there leaves it, and what comes in for it goes through.
fn what_is_led_elsewhere() {
    let world = World::new().with_server();
    for (tool, to) in [("iptables", format!("{SERVER4}:80")), ("ip6tables", format!("[{SERVER6}]:80"))] {
        for chain in ["OUTPUT", "PREROUTING"] {
            let to = format!("-p udp --dport 8080 -j DNAT --to-destination {to}");
            sh(&format!("{tool}-nft -t nat -A {chain} {to}"));
        }
    }
    let server = on("server", || [SERVER4, SERVER6].map(|it| UdpSocket::bind((it, 80)).expect("a free port")));
    let got_any = || {
        server.each_ref().map(|socket| {
            socket.set_nonblocking(true).expect("set");
            let mut buffer = [0; 9];
            std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count()
        })
    };
    let send = |from: &UdpSocket, own: &str| drop(from.send_to(b"x", (own, 8080)));
    for variant in variant::BOTH {
        variant::choose(variant);
        let pfw = enforce(&world, "{}", []);
        let here = [HOST4, HOST6].map(|own| UdpSocket::bind((own, 0)).expect("a free port"));
        let there = on_peer(|| [PEER4, PEER6].map(|own| UdpSocket::bind((own, 0)).expect("a free port")));
        let send_all = || {
            for from in [&here, &there] {
                send(&from[0], HOST4);
                send(&from[1], HOST6);
            }
        };
        send_all();
        wait_for("what is led there", || {
            send_all();
            got_any().iter().all(|&packets| packets >= 2).then_some(())
        });
        begin(&world);
        // What was sent before has arrived by now.
        got_any();
        send_all();
        for server in [SERVER4, SERVER6] {
            // To an own address it was to go by loopback.
            for way in ["[BLOCKED] loopback", "[BLOCKED] forwarded"] {
                let words = [way, "UDP", server, REASON];
                wait_for("a line", || (count(&world, &words) > 0).then_some(()));
            }
        }
        assert_eq!(got_any(), [0, 0], "{variant}: {}", world.log().join("\n"));
        ends_as_predicted(pfw);
        sh("conntrack -F");
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    }
}
