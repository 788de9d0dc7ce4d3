//! Bridges and VLANs under enforcement: one line for each packet, where it reaches the IP stack; and the firewalls of
//! others beside.

use crate::Case;
use crate::capture::send_tagged;
use crate::enforce::{count, ends_as_predicted, enforce, ping, wait_for_lines};
use crate::firewall::everything;
use crate::firewall::life::rules_of_others;
use crate::variant::{BOTH, choose};
use crate::world::{HOST4, PEER4, World, on_peer, sh, try_sh};
use std::net::UdpSocket;

pub const CASES: &[Case] = &[
    ("on_a_bridge_each_packet_has_one_line_and_one_verdict", on_a_bridge),
    ("what_a_bridge_passes_on_is_judged_where_the_kernel_lets_it", what_a_bridge_passes_on),
    (ON_A_VLAN, on_a_vlan),
    ("a_tagged_frame_has_one_line_if_it_is_for_this_machine", a_tagged_frame_has_one_line),
    ("the_firewalls_of_others_stay_byte_for_byte", the_firewalls_of_others_stay),
];

/// Not each kernel has VLAN devices.
pub const ON_A_VLAN: &str = "on_a_vlan_each_packet_has_one_line_and_one_verdict";

/// Whether the bridge hands its packets to iptables, if the kernel can do that.
fn call_iptables(yes: bool) -> bool {
    let value = u8::from(yes);
    try_sh(&format!("for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do echo {value} >$f || exit 1; done"))
        .status
        .success()
}

/// Makes the host's only port that of a bridge, which has the address.
fn bridge() {
    sh(&format!(
        "ip addr flush dev eth0 && ip link add br0 type bridge && ip link set eth0 master br0 && ip addr add {HOST4}/24 dev br0 && ip link set br0 up"
    ));
}

fn ping_from_peer(address: &str, n: usize) -> bool {
    try_sh(&format!("ip netns exec peer ping -q -c {n} -i 0.05 -W 0.5 {address}")).status.success()
}

fn on_a_bridge() {
    let world = World::new();
    bridge();
    let receiver = UdpSocket::bind((HOST4, 5000)).expect("free");
    for called in [false, true] {
        if !call_iptables(called) {
            println!("no br_netfilter here");
        }
        let _ = std::fs::remove_file(world.path("firewall.log"));
        let pfw = enforce(&world, r#"{ "block_protocols": ["ICMP"] }"#, []);
        assert!(!ping(PEER4, 3) && !ping_from_peer(HOST4, 2));
        on_peer(|| UdpSocket::bind((PEER4, 6000)).expect("free").send_to(b"x", (HOST4, 5000)).expect("sent"));
        assert_eq!(receiver.recv(&mut [0; 8]).expect("it arrives"), 1);
        wait_for_lines(&world, 3, &["[BLOCKED] outgoing br0 ICMP "]);
        wait_for_lines(&world, 2, &["[BLOCKED] incoming br0 ICMP "]);
        wait_for_lines(&world, 1, &["[ALLOWED] incoming br0 UDP", ":6000 > "]);
        assert_eq!(count(&world, &[" ICMP "]), 5, "{}", world.log().join("\n"));
        assert_eq!(count(&world, &[" eth0 "]), 0, "{}", world.log().join("\n"));
        ends_as_predicted(pfw);
    }
}

fn what_a_bridge_passes_on() {
    let world = World::new();
    bridge();
    sh(
        "ip netns add guest && ip link add port0 type veth peer name eth0 netns guest && ip link set port0 master br0 up \
        && ip -n guest addr add 10.77.0.9/24 dev eth0 && ip -n guest link set eth0 up",
    );
    let pings_peer = || try_sh(&format!("ip netns exec guest ping -q -c 2 -i 0.05 -W 0.5 {PEER4}")).status.success();
    crate::common::wait_for("the bridge", || pings_peer().then_some(()));
    for called in [false, true] {
        if !call_iptables(called) {
            println!("no br_netfilter here");
            return;
        }
        let pfw = enforce(&world, r#"{ "block_protocols": ["ICMP"] }"#, []);
        assert_eq!(pings_peer(), !called, "the kernel decides whether a bridge asks iptables");
        if called {
            wait_for_lines(&world, 2, &["[BLOCKED] forwarded ", "10.77.0.9 > 10.77.0.2", "rule=block_protocols:icmp"]);
        }
        pfw.stop(libc::SIGTERM);
        assert!(pings_peer());
    }
}

fn on_a_vlan() {
    let world = World::new();
    sh(
        "for ns in '' '-n peer'; do ip $ns link add link eth0 name eth0.5 type vlan id 5 && ip $ns link set eth0.5 up; done \
        && ip addr add 10.79.0.1/24 dev eth0.5 && ip -n peer addr add 10.79.0.2/24 dev eth0.5",
    );
    crate::common::wait_for("the VLAN", || ping("10.79.0.2", 1).then_some(()));
    for variant in BOTH {
        choose(variant);
        let _ = std::fs::remove_file(world.path("firewall.log"));
        let rules = r#"{ "block_ports": ["5001/udp"], "rules": [{ "id": "vlan", "action": "block", "interface": "eth0.5", "protocol": "icmp" }] }"#;
        let pfw = enforce(&world, rules, []);
        assert!(!ping("10.79.0.2", 3) && !ping_from_peer("10.79.0.1", 2));
        assert!(ping(PEER4, 2), "the rule is the VLAN's");
        let receiver = UdpSocket::bind(("10.79.0.1", 5000)).expect("free");
        on_peer(|| {
            let socket = UdpSocket::bind(("10.79.0.2", 6000)).expect("free");
            for port in [5000, 5001, 5001] {
                socket.send_to(b"x", ("10.79.0.1", port)).expect("sent");
            }
        });
        assert_eq!(receiver.recv(&mut [0; 8]).expect("it arrives"), 1);
        wait_for_lines(&world, 3, &["[BLOCKED] outgoing eth0.5 ICMP ", "rule=vlan"]);
        wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0.5 ICMP ", "rule=vlan"]);
        wait_for_lines(&world, 1, &["[ALLOWED] incoming eth0.5 UDP", ":6000 > "]);
        wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0.5 UDP", ":6000 > ", "rule=block_ports:5001/udp"]);
        wait_for_lines(&world, 4, &["[ALLOWED] ", " eth0 ICMP "]);
        assert_eq!(count(&world, &[" eth0 ", "10.79.0."]), 0, "{}", world.log().join("\n"));
        ends_as_predicted(pfw);
    }
}

/// A tag that holds a priority alone is none; one of a VLAN that this machine does not have is not for it.
fn a_tagged_frame_has_one_line() {
    let world = World::new();
    let pfw = enforce(&world, r#"{ "block_protocols": [253] }"#, []);
    send_tagged(&[7, 0x6000, 7, 0x6000]);
    wait_for_lines(&world, 2, &["[BLOCKED] incoming eth0 ", &format!("{PEER4} > {HOST4}"), "rule=block_protocols:253"]);
    assert_eq!(count(&world, &[&format!("{PEER4} > {HOST4}")]), 2, "{}", world.log().join("\n"));
    ends_as_predicted(pfw);
}

/// Tables as firewalld and Docker make them with nftables itself.
const NATIVE: &str = r#"
table inet firewalld {
    set trusted { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.0.2.1 }; }
    chain filter_INPUT_POLICIES { ip saddr @trusted accept; tcp dport 22 accept; }
    chain filter_INPUT {
        type filter hook input priority filter + 10; policy accept;
        ct state { established, related } accept; iifname "lo" accept; jump filter_INPUT_POLICIES;
    }
    chain nat_POSTROUTING { type nat hook postrouting priority srcnat + 10; policy accept; oifname "docker0" masquerade; }
}
table ip docker-bridges {
    chain raw-PREROUTING {
        type filter hook prerouting priority raw; policy accept; ip daddr 172.17.0.2 iifname != "docker0" drop;
    }
}
"#;

fn the_firewalls_of_others_stay() {
    let world = World::new();
    rules_of_others();
    std::fs::write(world.path("native.nft"), NATIVE).expect("written");
    sh(&format!("nft -f {}", world.path("native.nft").display()));
    // Tables that iptables makes when it is asked are there from now on.
    let all = || {
        let chains = everything();
        chains
            + &sh(
                "nft -s list ruleset; iptables-legacy-save | sed '/^#/d; s/ \\[.*//'; ip6tables-legacy-save | sed '/^#/d; s/ \\[.*//'",
            )
    };
    sh("iptables-nft -L; ip6tables-nft -L; iptables-legacy -L; ip6tables-legacy -L");
    let before = all();
    assert!(before.contains("docker-bridges") && before.contains("filter_INPUT_POLICIES"));
    for variant in BOTH {
        choose(variant);
        let rules = r#"{ "default_policy": "deny", "block_ips": ["192.0.2.0/24"], "block_ports": [1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33] }"#;
        let pfw = enforce(&world, rules, ["--yes"]);
        assert_ne!(all(), before);
        pfw.signal(libc::SIGHUP);
        let (code, said) = pfw.stop(libc::SIGTERM);
        assert_eq!(code, 0, "{said}");
        assert_eq!(all(), before, "{variant}");
    }
}
