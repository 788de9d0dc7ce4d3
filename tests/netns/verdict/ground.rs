//! The ground truth: three hosts, what the kernel of the middle one did with each packet, and what left the wires.
//!
//! Rules of the test's own stand right in front of pfw, and at the end of `filter`, behind it: what the first ones report
//! *reached* the firewall, with what conntrack calls it, and what the second ones report came *through*.
//! Two more stand around the `raw` table, where long lists act: of what comes in there, only what does not come through
//! is of interest, since the rest reaches the others. What is delivered at the other ends is seen on their wires.

use super::raw::{Passed, Sender, Wire};
use super::wire;
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on, sh, try_sh};
use pfw::host::Host;
use pfw::nflog::{Event, Hook, Reader};
use pfw::packet::{Ip, Link, Net, parse, parse_received};
use std::net::IpAddr;
use std::time::Duration;

/// The group that the test's own rules report to.
const GROUP: u16 = 9_001;
/// Packets that can reach the firewall while one is on its way through it: as many as one processor takes while another
/// stands still, as those of virtual machines do for milliseconds.
const MANY: usize = 4096;
/// How long it must be quiet until all is over.
const QUIET: Duration = Duration::from_millis(45);

pub const LAN4: &str = "10.78.0.2";
pub const LAN6: &str = "fd78::2";
pub const VLAN4: &str = "10.79.0.2";
pub const VLAN6: &str = "fd79::2";
/// The host's own addresses on the second wire and in the VLAN.
pub const HOST_LAN4: &str = "10.78.0.1";
pub const HOST_LAN6: &str = "fd78::1";
pub const HOST_VLAN4: &str = "10.79.0.1";
pub const HOST_VLAN6: &str = "fd79::1";
/// The VLAN.
pub const VLAN: u16 = 5;
/// A port of the host that leads to [`INNER_PORT`] of the third host, where addresses are translated: who comes by the first
/// wire, and the host itself.
pub const PUBLISHED_PORT: u16 = 8080;
pub const INNER_PORT: u16 = 80;
/// A port of the third host that leads to [`LED_TO`] of this one, for who comes by the first wire.
pub const LED_PORT: u16 = 443;
pub const LED_TO: u16 = 5999;

/// How much of the kernel's machinery is at work beside pfw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machinery {
    /// Nothing tracks connections but pfw's own rules, and nothing is forwarded.
    Bare,
    /// Connections are tracked.
    Tracked,
    /// And addresses are translated: a published port, a masqueraded network, and a port of another that leads here.
    Translated,
}

/// A packet that reached the firewall.
#[derive(Clone, Debug)]
pub struct Happening {
    pub hook: Hook,
    pub loopback: bool,
    pub ip: Ip,
    /// Its header is cut off, so that no set of ports sees its ports.
    pub cut: bool,
    /// The identification or flow label.
    pub id: u32,
    /// What conntrack calls it: First, New (again, before any answer), Original, Reply, reLated, Invalid, Untracked, or `-` where nobody asked.
    pub state: char,
    /// It came through pfw's rules.
    pub through: bool,
    pub interface: u32,
    pub bytes: Vec<u8>,
}

/// Frames that passed the wires, as the host in the middle sees them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frames {
    pub to_host: Vec<Vec<u8>>,
    pub from_host: Vec<Vec<u8>>,
    pub on_loopback: Vec<Vec<u8>>,
}

/// The far end of a wire. What is sent by a socket, the same socket does not see.
pub struct End {
    pub sends: Wire,
    sees: Wire,
}

/// The three hosts.
pub struct Ground {
    pub world: World,
    pub peer: End,
    pub lan: End,
    pub loopback: Wire,
    pub sender: Sender,
    pub reader: Reader,
    pub macs: Macs,
    /// This kernel has VLANs. Where it has none, tagged frames are for nobody.
    pub vlan: bool,
}

/// Hardware addresses: of the host on its two wires, and of the others.
#[derive(Clone, Copy, Debug)]
pub struct Macs {
    pub host_eth0: [u8; 6],
    pub host_eth1: [u8; 6],
    pub peer: [u8; 6],
    pub lan: [u8; 6],
}

impl Ground {
    pub fn new() -> Self {
        let world = World::new();
        sh("ip netns add lan && ip -n lan link set lo up && ip link add eth1 type veth peer name eth0 netns lan");
        sh(
            "for n in '' 'ip netns exec lan'; do $n sh -c 'for f in /proc/sys/net/ipv6/conf/*/; do echo 0 >$f/accept_dad; echo 0 >$f/router_solicitations; done'; done",
        );
        // The judge knows the test's packets by what stands where a flow label would: the kernel is to make none up.
        sh(
            "for n in '' 'ip netns exec peer' 'ip netns exec lan'; do $n sh -c 'echo 0 >/proc/sys/net/ipv6/auto_flowlabels'; done",
        );
        sh(&format!(
            "ip addr add {HOST_LAN4}/24 dev eth1 && ip addr add {HOST_LAN6}/64 dev eth1 nodad && ip link set eth1 up
             ip -n lan addr add {LAN4}/24 dev eth0 && ip -n lan addr add {LAN6}/64 dev eth0 nodad && ip -n lan link set eth0 up"
        ));
        let vlan = try_sh(&format!(
            "ip link add link eth0 name eth0.5 type vlan id {VLAN} && ip link set eth0.5 up &&
             ip addr add {HOST_VLAN4}/24 dev eth0.5 && ip addr add {HOST_VLAN6}/64 dev eth0.5 nodad"
        ));
        let macs = Macs {
            host_eth0: mac("", "eth0"),
            host_eth1: mac("", "eth1"),
            peer: mac("ip netns exec peer", "eth0"),
            lan: mac("ip netns exec lan", "eth0"),
        };
        routes(&macs, vlan.status.success());
        settings();
        silence(&world);
        watch(&world);
        // What hosts say when a wire is plugged in.
        std::thread::sleep(Duration::from_secs(2));
        let wire = |host| on(host, || End { sends: Wire::open("eth0"), sees: Wire::open("eth0") });
        Self {
            world,
            peer: wire("peer"),
            lan: wire("lan"),
            loopback: Wire::open("lo"),
            sender: Sender::open(),
            reader: Reader::open(GROUP).expect("the group is free in this namespace"),
            macs,
            vlan: vlan.status.success(),
        }
    }

    /// Sets up what is at work beside pfw, and forgets all connections.
    pub fn set(&self, machinery: Machinery) {
        let forwards = u8::from(machinery != Machinery::Bare);
        sh(&format!(
            "echo {forwards} >/proc/sys/net/ipv4/ip_forward; echo {forwards} >/proc/sys/net/ipv6/conf/all/forwarding"
        ));
        let tables = ["ip", "ip6"].map(|family| in_front(family, machinery));
        let path = self.world.path("in-front");
        std::fs::write(&path, tables.concat()).expect("the scratch folder is writable");
        sh(&format!("nft -f {}", path.display()));
        for (tool, host, lan, inner, here) in [
            ("iptables", HOST4, LAN4, format!("{LAN4}:{INNER_PORT}"), format!("{HOST4}:{LED_TO}")),
            ("ip6tables", HOST6, LAN6, format!("[{LAN6}]:{INNER_PORT}"), format!("[{HOST6}]:{LED_TO}")),
        ] {
            sh(&format!("{tool} -t nat -F"));
            if machinery == Machinery::Translated {
                for protocol in ["tcp", "udp"] {
                    sh(&format!(
                        "{tool} -t nat -A OUTPUT -d {host} -p {protocol} --dport {PUBLISHED_PORT} -j DNAT --to-destination {inner}"
                    ));
                    for (from, to, port, leads_to) in [
                        ("-i eth0", host, PUBLISHED_PORT, &inner),
                        // From itself to itself it would be malformed.
                        (&*format!("-i eth0 ! -s {lan}"), lan, LED_PORT, &here),
                    ] {
                        sh(&format!(
                            "{tool} -t nat -A PREROUTING {from} -d {to} -p {protocol} --dport {port} -j DNAT --to-destination {leads_to}"
                        ));
                    }
                }
                sh(&format!("{tool} -t nat -A POSTROUTING -s {lan} -o eth0 -j MASQUERADE"));
            }
        }
        sh("conntrack -F");
    }

    /// What has happened until nothing happens any more.
    pub fn happened(&mut self, host: &Host) -> Vec<Happening> {
        let mut account = Account { loopback: index("lo"), ..Account::default() };
        self.listen(&mut |event| account.take(event));
        assert_eq!(self.reader.counters().lost, 0, "the test itself lost nothing");
        assert!(account.strays.is_empty(), "what comes through has reached it: {:?}", account.strays);
        account.happenings.retain(|one| one.hook != Hook::PreRouting || !one.through);
        for one in account.happenings.iter_mut().filter(|one| one.hook == Hook::PreRouting) {
            one.hook = if is_for_another(one.ip.dst, host) { Hook::Forward } else { Hook::Input };
        }
        account.happenings
    }

    /// Forgets what has happened.
    pub fn forget(&mut self) {
        self.listen(&mut |_| {});
        while self.frames() != Frames::default() {
            self.listen(&mut |_| {});
        }
    }

    /// Takes what the test's own rules report, until they have nothing to report any more. On a busy machine the kernel
    /// can be late with what it keeps to itself for a while.
    fn listen(&mut self, sink: &mut dyn FnMut(&Event<'_>)) {
        loop {
            let mut events = 0;
            let mut count = |event: &Event<'_>| {
                events += 1;
                sink(event);
            };
            self.reader.poll(QUIET, &mut count).expect("polled");
            if events == 0 && self.reader.open_batch().is_none_or(|open| open == 0) {
                return;
            }
        }
    }

    /// What passed the wires since it was asked last.
    pub fn frames(&self) -> Frames {
        let mut frames = Frames::default();
        for wire in [&self.peer, &self.lan] {
            for Passed { bytes, outgoing } in wire.sees.passed() {
                let tagged = bytes.get(12..14) == Some(&[0x81, 0x00]);
                if tagged && !self.vlan {
                    continue;
                }
                if outgoing { frames.to_host.push(bytes) } else { frames.from_host.push(bytes) }
            }
        }
        frames.on_loopback =
            self.loopback.passed().into_iter().filter(|one| !one.outgoing).map(|one| one.bytes).collect();
        frames
    }
}

/// Events of the test's own rules, joined.
#[derive(Default)]
struct Account {
    happenings: Vec<Happening>,
    /// Those that have not come through yet.
    open: Vec<usize>,
    /// What came through without having been seen before.
    strays: Vec<(Hook, Ip)>,
    loopback: u32,
}

impl Account {
    fn take(&mut self, event: &Event<'_>) {
        let interface = event.in_interface.or(event.out_interface).unwrap_or_default();
        let loopback = event.in_interface.into_iter().chain(event.out_interface).any(|one| one == self.loopback);
        let [b'r', b':', state] = event.prefix else { return self.came_through(event) };
        let (ip, cut) = ip_of(event);
        self.open.push(self.happenings.len());
        self.happenings.push(Happening {
            hook: event.hook,
            loopback,
            ip,
            cut,
            id: identification(event.packet),
            state: char::from(*state),
            through: false,
            interface,
            bytes: event.packet.to_vec(),
        });
        // Whatever is dropped stays open: no answer comes between for long.
        if self.open.len() > MANY {
            self.open.remove(0);
        }
    }

    /// The latest packet of these bytes at this hook came through: an answer of REJECT comes between.
    fn came_through(&mut self, event: &Event<'_>) {
        let is_it = |&place: &usize| {
            let happening = &self.happenings[place];
            happening.hook == event.hook && happening.bytes == event.packet
        };
        match self.open.iter().rposition(is_it) {
            Some(place) => self.happenings[self.open.remove(place)].through = true,
            None => self.strays.push((event.hook, ip_of(event).0)),
        }
    }
}

/// The packet, and whether its header is cut off.
fn ip_of(event: &Event<'_>) -> (Ip, bool) {
    let packet = parse(event.link(), event.packet, event.original_len);
    match packet.net {
        Net::Ip(ip) => (ip, packet.is_hidden_from_port_sets()),
        _ => panic!("no IP packet: {event:?}"),
    }
}

/// Whether a packet to this address can only be on its way through.
pub fn is_for_another(dst: IpAddr, host: &Host) -> bool {
    let to_many = dst.is_multicast() || ["255.255.255.255", "10.77.0.255"].contains(&dst.to_string().as_str());
    host.forwards_v4 && !to_many && !host.owns(dst)
}

/// The identification of an IPv4 packet, or the flow label of an IPv6 one; sixteen bits of it.
pub fn identification(packet: &[u8]) -> u32 {
    match packet {
        [first, _, high, low, ..] if first >> 4 == 6 => u16::from_be_bytes([*high, *low]).into(),
        [_, _, _, _, high, low, ..] => u16::from_be_bytes([*high, *low]).into(),
        _ => 0,
    }
}

/// The packet in a frame of Ethernet, if it is one of IP.
pub fn packet_of(frame: &[u8]) -> Option<(&[u8], pfw::packet::Packet)> {
    let behind = match frame.get(12..14)? {
        [0x81, 0x00] => 18,
        _ => 14,
    };
    let packet = frame.get(behind..)?;
    let ethertype = u16::from_be_bytes(frame.get(behind - 2..behind)?.try_into().ok()?);
    let parsed = parse_received(Link::Cooked { ethertype }, packet, u32::try_from(packet.len()).ok()?);
    matches!(ethertype, 0x0800 | 0x86dd).then_some((packet, parsed))
}

pub fn mac(inside: &str, interface: &str) -> [u8; 6] {
    let text = sh(&format!("{inside} ip -o link show {interface} | sed 's/.*ether //;s/ .*//'"));
    let bytes: Vec<u8> = text.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect();
    bytes.try_into().expect("six bytes")
}

fn index(interface: &str) -> u32 {
    sh(&format!("ip -o link show {interface} | cut -d: -f1")).trim().parse().expect("an index")
}

/// Every neighbour is known, so that nobody asks for one, and all that is far goes by the peer.
fn routes(macs: &Macs, vlan: bool) {
    let text = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    let known = [
        (PEER4, "eth0", macs.peer),
        (PEER6, "eth0", macs.peer),
        (LAN4, "eth1", macs.lan),
        (LAN6, "eth1", macs.lan),
        (VLAN4, "eth0.5", macs.peer),
        (VLAN6, "eth0.5", macs.peer),
        ("fe80::77", "eth0", macs.peer),
    ];
    for (address, device, mac) in known.into_iter().filter(|(_, device, _)| vlan || *device != "eth0.5") {
        sh(&format!("ip neigh replace {address} lladdr {} dev {device} nud permanent", text(mac)));
    }
    sh(&format!("ip route add default via {PEER4} dev eth0 && ip -6 route add default via {PEER6} dev eth0"));
}

/// The rules of a family in front of pfw's, behind all that translates a packet's destination: what this machine sends can
/// fit a flow that it masquerades, as the answer of a `reject` does, and goes another way than it was sent.
fn in_front(family: &str, machinery: Machinery) -> String {
    let log = |prefix: &str| format!("log prefix \"r:{prefix}\" group {GROUP} queue-threshold 64;\n");
    let states = [
        ("new ct status & confirmed == 0", "F"),
        ("new ct status & confirmed != 0", "N"),
        ("established ct direction original", "O"),
        ("established ct direction reply", "R"),
        ("related", "L"),
        ("invalid", "I"),
        ("untracked", "U"),
    ];
    let rules = match machinery {
        Machinery::Bare => log("-"),
        _ => states.map(|(state, letter)| format!("ct state {state} {}", log(letter))).concat(),
    };
    let chain =
        |hook: &str| format!("chain {hook} {{ type filter hook {hook} priority -50; policy accept;\n{rules} }}\n");
    let chains = ["input", "forward", "output"].map(chain).concat();
    // There must be one to be taken away.
    format!("table {family} in_front {{ }}\ndelete table {family} in_front\ntable {family} in_front {{ {chains} }}\n")
}

/// The rules behind pfw and around the raw table, once and for all. Those are `nft`'s, since `iptables` has nothing that
/// stands in front of that table: behind what puts fragments together (-400), and in front of connection tracking (-200).
fn watch(world: &World) {
    let chain = |name: &str, priority: i32, prefix: &str| {
        let base = format!("type filter hook prerouting priority {priority}; policy accept;");
        let log = format!("iifname != \"lo\" log prefix \"{prefix}\" group {GROUP} queue-threshold 64");
        format!("chain {name} {{ {base} {log}; }}\n")
    };
    let chains = [chain("reached", -350, "r:-"), chain("through", -250, "p")].concat();
    let tables = ["ip", "ip6"].map(|family| format!("table {family} around_raw {{ {chains} }}\n"));
    let path = world.path("around-raw");
    std::fs::write(&path, tables.concat()).expect("the scratch folder is writable");
    sh(&format!("nft -f {}", path.display()));
    for tool in ["iptables", "ip6tables"] {
        for chain in ["INPUT", "FORWARD", "OUTPUT"] {
            sh(&format!("{tool} -A {chain} -j NFLOG --nflog-group {GROUP} --nflog-prefix p --nflog-threshold 64"));
        }
    }
}

/// What the kernel would drop for reasons of its own, or answer only now and then.
fn settings() {
    sh("cd /proc/sys/net
        for f in ipv4/conf/*/rp_filter ipv4/conf/*/accept_redirects ipv4/conf/*/send_redirects ipv6/conf/*/accept_redirects; do echo 0 >$f; done
        echo 0 >ipv4/icmp_ratelimit; echo 0 >ipv6/icmp/ratelimit; echo 0 >ipv4/icmp_ratemask
        echo 0 >ipv4/icmp_echo_ignore_broadcasts; echo 1000000 >ipv4/tcp_challenge_ack_limit || true
        for f in ipv6/conf/*/accept_ra; do echo 0 >$f; done
");
}

/// The stacks of the other two hosts say nothing: all that comes from there is the test's. Nor does that of the host in the
/// middle say of its own accord, and in front of all that watches, which groups it is in, or that the rest of a datagram
/// never came, which it would say half a minute after what it speaks of.
fn silence(world: &World) {
    let chain =
        |rules: &str| format!("chain out {{ type filter hook output priority -500; policy accept; {rules} }}\n");
    let v4 = chain("icmp type time-exceeded icmp code 1 drop; ip protocol igmp drop;");
    let v6 = chain("icmpv6 type time-exceeded icmpv6 code 1 drop; icmpv6 type 143 drop;");
    let path = world.path("silence");
    let tables = format!("table ip silence {{ {v4} }}\ntable ip6 silence {{ {v6} }}\n");
    std::fs::write(&path, tables).expect("the scratch folder is writable");
    sh(&format!("nft -f {}", path.display()));

    for host in ["peer", "lan"] {
        for tool in ["iptables", "ip6tables"] {
            sh(&format!(
                "ip netns exec {host} sh -c '{tool} -P INPUT DROP; {tool} -P OUTPUT DROP; {tool} -P FORWARD DROP'"
            ));
        }
    }
}

impl Macs {
    /// The hardware address that a packet to `dst` is sent to, where the host's own is `host`.
    pub fn towards(dst: IpAddr, host: [u8; 6]) -> [u8; 6] {
        match dst {
            IpAddr::V4(dst) if dst.is_multicast() => {
                let [_, b, c, d] = dst.octets();
                [0x01, 0x00, 0x5e, b & 0x7f, c, d]
            }
            IpAddr::V4(dst) if dst.is_broadcast() || dst.octets() == [10, 77, 0, 255] => [0xff; 6],
            IpAddr::V6(dst) if dst.is_multicast() => {
                let [.., a, b, c, d] = dst.octets();
                [0x33, 0x33, a, b, c, d]
            }
            _ => host,
        }
    }
}

/// A frame around a packet from one of the other hosts.
pub fn frame_from(macs: &Macs, from_lan: bool, vlan: Option<u16>, dst: IpAddr, packet: &[u8]) -> Vec<u8> {
    let (host, from) = if from_lan { (macs.host_eth1, macs.lan) } else { (macs.host_eth0, macs.peer) };
    wire::frame(Macs::towards(dst, host), from, vlan, packet)
}
