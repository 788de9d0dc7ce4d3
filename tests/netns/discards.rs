//! What the kernel does of its own and no rule of pfw does: it discards packets in front of the rules, and answers
//! others.

use crate::Case;
use crate::audit::send_raw;
use crate::common::wait_for;
use crate::enforce::{count, ends_as_predicted, enforce, wait_for_lines};
use crate::variant;
use crate::verdict::mac;
use crate::verdict::raw::Wire;
use crate::verdict::wire::{Body, Flaw, Spec, frame, source_routed};
use crate::world::{HOST4, HOST6, PEER4, PEER6, SERVER4, SERVER6, World, on_peer, sh};
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

pub const CASES: &[Case] = &[
    ("what_routing_discards_is_no_difference", what_routing_discards),
    ("what_is_for_another_and_came_in_a_frame_for_all_is_no_difference", what_is_not_passed_on),
    ("what_has_a_source_route_is_no_difference", what_has_a_source_route),
    ("what_is_led_to_where_it_can_t_go_is_no_difference", what_is_led_too_far),
    ("what_a_router_does_not_pass_on_has_one_line", what_a_router_does_not_pass_on),
    ("a_header_that_is_cut_off_is_never_said_to_be_allowed", a_cut_off_header_has_no_verdict),
    ("a_header_cut_off_behind_its_ports_is_told_as_the_kernel_judged_it", ports_of_a_cut_off_header),
    ("what_others_drop_in_front_is_no_defect", what_others_drop_in_front),
    ("an_error_of_the_kernel_is_no_answer_of_a_reject", an_error_is_no_answer_of_a_reject),
];

/// mDNS, which nobody here has joined.
const GROUP4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0xfb);

fn what_routing_discards() {
    let world = World::new();
    sh("ip -n peer route add 224.0.0.0/4 dev eth0");
    let rules = format!(r#"{{ "block_ips": ["{PEER4}"], "default_policy": {{ "in": "deny", "out": "allow" }} }}"#);
    let pfw = enforce(&world, &rules, []);
    on_peer(|| {
        let socket = UdpSocket::bind((PEER4, 5353)).expect("a free port");
        socket.send_to(b"x", (GROUP4, 5353)).expect("sent");
        let socket = UdpSocket::bind((PEER6, 5353)).expect("a free port");
        socket.send_to(b"x", (GROUP6, 5353)).expect("sent");
        // The kernel takes in what is for this machine.
        UdpSocket::bind((PEER4, 0)).and_then(|socket| socket.send_to(b"x", (HOST4, 9))).expect("sent");
    });
    let reason = "reason=\"discarded by the kernel before any rule: nobody here has joined that group\"";
    wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP 10.77.0.2:5353", "rule=block_ips", reason]);
    wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP [fd77::2]:5353", "rule=default_policy", reason]);
    wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0 UDP", ":9 ", "rule=block_ips"]);
    ends_as_predicted(pfw);
}

/// A datagram of nine bytes between addresses.
pub fn datagram(src: &str, dst: &str, port: u16) -> Spec {
    let [src, dst] = [src, dst].map(|text| text.parse().expect("an address"));
    let body = Body::Udp { ports: (4000, port), data: vec![b'x'; 9] };
    Spec { src, dst, ttl: 64, id: 7, body, extensions: Vec::new(), flaw: Flaw::None }
}

fn what_is_not_passed_on() {
    let world = World::new().with_server();
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}", "{PEER6}"] }}"#), []);
    let wire = on_peer(|| Wire::open("eth0"));
    for ends in [(PEER4, SERVER4), (PEER6, SERVER6), (PEER4, HOST4), (PEER6, HOST6)] {
        wire.send(&frame([0xff; 6], [2, 0, 0, 0, 0, 9], None, &datagram(ends.0, ends.1, 9).bytes()));
    }
    let reason = "reason=\"discarded by the kernel before any rule: it is for another machine, and the kernel does not";
    for server in [SERVER4, SERVER6] {
        wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP", server, "rule=block_ips", reason]);
    }
    // What is for this machine is taken in whatever its frame.
    wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 UDP", "rule=block_ips"]);
    ends_as_predicted(pfw);
}

/// Addresses of the link: of who sends, and of this machine.
const LINK6: &str = "fe80::4";
const HOST_LINK6: &str = "fe80::77:1";

fn what_is_led_too_far() {
    let world = World::new().with_server();
    sh(&format!("ip addr add {HOST_LINK6}/64 dev eth0 nodad"));
    for variant in variant::BOTH {
        variant::choose(variant);
        for (tool, to) in [("iptables", format!("{SERVER4}:9")), ("ip6tables", format!("[{SERVER6}]:9"))] {
            sh(&format!("{tool} -t nat -A PREROUTING -i eth0 -p udp --dport 2222 -j DNAT --to {to}"));
        }
        let pfw = enforce(&world, r#"{ "block_protocols": ["udp"] }"#, []);
        let (wire, host) = (on_peer(|| Wire::open("eth0")), mac("", "eth0"));
        let send = |spec: &Spec| wire.send(&frame(host, [2, 0, 0, 0, 0, 9], None, &spec.bytes()));
        send(&datagram(LINK6, HOST_LINK6, 2222));
        let reason = "reason=\"discarded by the kernel before any rule: it is for another machine, and its source is";
        let rule = "rule=block_protocols:udp ";
        wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP", LINK6, ":2222 ", rule, reason]);
        let reason =
            "reason=\"discarded by the kernel before any rule: it is for another machine, and its time to live";
        for (src, dst) in [(PEER4, HOST4), (PEER6, HOST6)] {
            send(&Spec { ttl: 1, ..datagram(src, dst, 2222) });
            wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP", src, dst, ":2222 ", rule, reason]);
        }
        // Those that stay here, or may go on.
        send(&datagram(LINK6, HOST_LINK6, 9));
        send(&Spec { ttl: 1, ..datagram(PEER4, HOST4, 9) });
        wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 UDP", ":9 ", rule]);
        send(&datagram(PEER6, HOST6, 2222));
        wait_for_lines(&world, 1, &["[BLOCKED] forwarded eth0 UDP", SERVER6, rule]);
        ends_as_predicted(pfw);
        sh("iptables -t nat -F && ip6tables -t nat -F && conntrack -F");
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    }
}

fn what_a_router_does_not_pass_on() {
    let world = World::new().with_server();
    // So many that they are dropped in front of routing.
    let listed = (1..=20).map(|n| format!(r#""10.77.0.{}""#, 100 + 2 * n)).collect::<Vec<_>>().join(",");
    let rules = format!(r#"{{ "block_ips": [{listed}], "block_ports": ["7/udp"] }}"#);
    for variant in variant::BOTH {
        variant::choose(variant);
        let pfw = enforce(&world, &rules, []);
        let (wire, host) = (on_peer(|| Wire::open("eth0")), mac("", "eth0"));
        let send = |spec: &Spec| wire.send(&frame(host, [2, 0, 0, 0, 0, 9], None, &spec.bytes()));
        let discarded = |src: &str, port: u16, why: &str| {
            let (port, why) = (format!(":{port} "), format!("discarded by the kernel before any rule: {why}"));
            wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP", src, &port, &why]);
        };
        for (src, dst, port) in [(PEER4, SERVER4, 1001), (PEER6, SERVER6, 1002), (PEER4, SERVER4, 7)] {
            send(&Spec { ttl: 1, ..datagram(src, dst, port) });
            discarded(src, port, "it is for another machine, and its time to live ends here");
        }
        let nobody = "no packet comes in by that interface from or to such an address";
        for (port, src, dst) in [
            (1011, "127.0.0.1", SERVER4),
            (1012, "0.0.0.0", SERVER4),
            (1013, HOST4, SERVER4),
            (1014, "255.255.255.255", SERVER4),
            (1015, PEER4, "0.0.0.0"),
            (1016, "::1", SERVER6),
            (1017, "::", SERVER6),
            (1018, PEER6, "::"),
        ] {
            send(&datagram(src, dst, port));
            discarded(src, port, nobody);
        }
        send(&datagram(LINK6, SERVER6, 1021));
        discarded(LINK6, 1021, "it is for another machine, and its source is an address of the link");
        // They go back by where they came.
        send(&datagram(LINK6, "fd77::9", 1022));
        // What is dropped first, and what goes on.
        send(&Spec { ttl: 1, ..datagram("10.77.0.102", SERVER4, 1031) });
        wait_for_lines(&world, 1, &["[BLOCKED]", "10.77.0.102:", ":1031 ", "rule=block_ips"]);
        send(&datagram(PEER4, SERVER4, 7));
        wait_for_lines(&world, 1, &["[BLOCKED] forwarded eth0 UDP", ":7 "]);
        for (src, dst) in [(PEER4, SERVER4), (PEER6, SERVER6)] {
            send(&Spec { ttl: 2, ..datagram(src, dst, 1033) });
            wait_for_lines(&world, 1, &["[ALLOWED] forwarded eth0 UDP", src, ":1033 "]);
        }
        let lines = world.lines(&["eth0 UDP"]);
        assert_eq!(lines.len(), 17, "{lines:#?}");
        ends_as_predicted(pfw);
        sh("conntrack -F");
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    }
}

/// The options of RFC 791 section 3.1.
const SOURCE_ROUTES: [u8; 2] = [0x83, 0x89];

fn what_has_a_source_route() {
    let world = World::new();
    let rules = format!(r#"{{ "block_ips": ["{PEER4}"], "default_policy": {{ "in": "deny", "out": "allow" }} }}"#);
    let pfw = enforce(&world, &rules, []);
    let (wire, host) = (on_peer(|| Wire::open("eth0")), mac("", "eth0"));
    let send = |port, next| {
        for kind in SOURCE_ROUTES {
            let packet = source_routed(&datagram(PEER4, HOST4, port).bytes(), kind, next);
            wire.send(&frame(host, [2, 0, 0, 0, 0, 9], None, &packet));
        }
    };
    send(1001, 4);
    let reason =
        "reason=\"discarded by the kernel before any rule: it has a source route, which the kernel does not accept";
    wait_for_lines(&world, 2, &["[ALLOWED] incoming eth0 UDP", ":1001 ", "rule=block_ips", reason]);
    sh("sysctl -qw net.ipv4.conf.all.accept_source_route=1 net.ipv4.conf.eth0.accept_source_route=1");
    // It has been everywhere that it was to go.
    send(1002, 8);
    wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 UDP", ":1002 ", "rule=block_ips"]);
    ends_as_predicted(pfw);
}

/// The guards in front of all else ask for ICMP types, for which iptables drops what has none.
fn a_cut_off_header_has_no_verdict() {
    let world = World::new();
    let pfw = enforce(&world, &format!(r#"{{ "allow_ips": ["{PEER4}"], "block_ports": [81] }}"#), []);
    on_peer(|| {
        send_raw(libc::IPPROTO_ICMP, &[8, 0, 0xf7, 0xff]);
        send_raw(libc::IPPROTO_TCP, &[0x10, 0]);
    });
    for words in ["anomaly=icmp.header_truncated", "anomaly=tcp.header_truncated"] {
        wait_for(words, || world.log().iter().any(|line| line.contains(words)).then_some(()));
    }
    // An allowed one comes behind them.
    on_peer(|| UdpSocket::bind((PEER4, 0)).and_then(|socket| socket.send_to(b"x", (HOST4, 9))).expect("sent"));
    wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP", ":9 "]);
    assert_eq!(count(&world, &["[ALLOWED] incoming eth0 ICMP ", PEER4]), 0, "{:?}", world.log());
    assert_eq!(count(&world, &["[ALLOWED] incoming eth0 TCP", PEER4]), 0, "{:?}", world.log());
    ends_as_predicted(pfw);
}

/// Some matches want whole headers, and drop what has none or do not see it.
fn ports_of_a_cut_off_header() {
    let world = World::new();
    let many = (0..20).map(|n| format!("{}", 1001 + 2 * n)).collect::<Vec<_>>().join(",");
    let rules = format!(
        r#"{{ "block_ips": ["192.0.2.1"], "rules": [
            {{ "id": "few", "action": "block", "direction": "in", "dst_port": [80, 90] }},
            {{ "id": "many", "action": "block", "direction": "in", "dst_port": [{many}] }},
            {{ "id": "no", "action": "reject", "direction": "in", "dst_port": 113 }}], "default_policy": {{ "out": "deny" }} }}"#
    );
    for variant in variant::BOTH {
        variant::choose(variant);
        let pfw = enforce(&world, &rules, []);
        for port in [80, 99, 1003_u16] {
            let mut header = vec![0x10, 0];
            header.extend(port.to_be_bytes());
            header.extend([0; 3]);
            on_peer(|| [libc::IPPROTO_TCP, libc::IPPROTO_UDP].map(|protocol| send_raw(protocol, &header)));
        }
        for protocol in ["TCP", "UDP"] {
            let hidden = "rule=many reason=\"no set of ports sees one whose header is not whole";
            for (verdict, port, words) in [
                ("BLOCKED", ":80 ", "rule=few "),
                ("ALLOWED", ":99 ", "rule=default_policy "),
                ("ALLOWED", ":1003 ", hidden),
            ] {
                wait_for_lines(&world, 1, &[&format!("[{verdict}] incoming eth0 {protocol}"), port, words]);
            }
        }
        ends_as_predicted(pfw);
        std::fs::remove_file(world.path("firewall.log")).expect("there is a log");
    }
}

fn what_others_drop_in_front() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_ports": [82] }"#, []);
    let send =
        || on_peer(|| UdpSocket::bind((PEER4, 0)).and_then(|socket| socket.send_to(b"x", (HOST4, 82)))).expect("sent");
    send();
    wait_for_lines(&world, 1, &["[BLOCKED] incoming eth0 UDP", ":82 ", "rule=block_ports:82 "]);
    let chain = "'{ type filter hook input priority -1; }'";
    sh(&format!(
        "nft add table inet bans && nft add chain inet bans in {chain} && nft add rule inet bans in udp dport 82 drop"
    ));
    send();
    let reason = "reason=\"not dropped by pfw; rules of others stand in front";
    wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0 UDP", ":82 ", "rule=block_ports:82 ", reason]);
    let (code, said) = pfw.stop(libc::SIGTERM);
    let difference = said.lines().find(|line| line.starts_with("differences "));
    assert!(code == 0 && difference.is_some_and(|line| line.ends_with(" 1  others")), "{said}");
}

fn an_error_is_no_answer_of_a_reject() {
    let world = World::new();
    sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.icmp_ratelimit=0; ip -n peer route add 203.0.113.0/24 via 10.77.0.1");
    let reject = r#"{ "id": "no", "action": "reject", "direction": "in", "protocol": "tcp", "dst_port": 99 }"#;
    let pfw = enforce(&world, &format!(r#"{{ "block_ips": ["{PEER4}"], "rules": [{reject}] }}"#), []);
    // There is no way there, which the host says; but not to somebody who is blocked.
    on_peer(|| UdpSocket::bind((PEER4, 0)).and_then(|socket| socket.send_to(b"x", ("203.0.113.5", 9))).expect("sent"));
    wait_for_lines(&world, 1, &["[BLOCKED] outgoing eth0 ICMP", "type=3", "rule=block_ips"]);
    assert_eq!(count(&world, &["rule=guard:reject-answer"]), 0, "{:?}", world.log());
    ends_as_predicted(pfw);
}
