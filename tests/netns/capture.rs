//! The live source itself, without the rest of pfw: every frame is accounted for, and each packet has one line.

use crate::Case;
use crate::common::wait_for;
use crate::world::{HOST4, PEER4, World, on_peer, sh};
use pfw::capture::interfaces::{LinkEvent, Sighting};
use pfw::capture::{Frame, FrameSource, Live, LiveConfig, LiveKind, RingConfig};
use pfw::packet::PacketType;
use pnet::datalink::{self, Channel};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("frames_handed_out_and_dropped_are_all_that_were_sent", frames_handed_out_and_dropped_are_all),
    ("what_was_sent_before_the_drain_is_handed_out", what_was_sent_before_the_drain_is_handed_out),
    ("a_long_frame_is_cut_and_its_length_is_told", a_long_frame_is_cut_and_its_length_is_told),
    ("a_macvlan_packet_has_one_line", a_macvlan_packet_has_one_line),
    ("a_foreign_vlan_is_not_for_the_stack", a_foreign_vlan_is_not_for_the_stack),
    ("a_recreated_interface_is_captured_again", a_recreated_interface_is_captured_again),
    ("a_wait_can_be_ended_from_outside", a_wait_can_be_ended_from_outside),
];

const BOTH: [LiveKind; 2] = [LiveKind::Ring, LiveKind::Pnet];

fn open(kind: LiveKind, names: &[&str]) -> Live {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    Live::open(LiveConfig { kind, names, ..LiveConfig::default() }).expect("a test is privileged in its namespace")
}

/// A sender and a receiver on lo. The receiver is there, so that nothing answers.
pub fn loopback_sockets() -> (UdpSocket, UdpSocket) {
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    sender.connect(receiver.local_addr().expect("bound")).expect("connected");
    (sender, receiver)
}

/// What the datagrams of these tests carry, so that they are known from all else.
pub const MARK: &[u8] = b"a datagram of the capture tests";

fn is_ours(frame: &Frame<'_>) -> bool {
    frame.bytes.windows(MARK.len()).any(|bytes| bytes == MARK)
}

/// Name of the interface, packet type, and what the sighting means.
type Seen = (String, PacketType, &'static str);

/// Polls until a packet of ours had `lines` lines, and a little longer for what should not come.
fn watch(live: &mut Live, lines: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut poll = |live: &mut Live| {
        let interfaces = live.interfaces().clone();
        live.poll(Duration::from_millis(20), &mut |frame| {
            let meaning = match interfaces.sighting(frame) {
                Sighting::Line { loopback: false, .. } => "line",
                Sighting::Line { loopback: true, .. } => "loopback",
                Sighting::Duplicate => "duplicate",
                Sighting::OtherHost => "other host",
                Sighting::NotForStack => "not for the stack",
            };
            if is_ours(frame) {
                let name = interfaces.name(frame.interface).expect("a known interface").to_owned();
                seen.push((name, frame.packet_type.expect("live"), meaning));
            }
        })
        .expect("polled");
        seen.iter().filter(|(_, _, meaning)| *meaning == "line").count() >= lines
    };
    wait_for("the lines", || poll(live).then_some(()));
    for _ in 0..5 {
        poll(live);
    }
    seen.sort_by_key(|(name, packet_type, meaning)| (name.clone(), *packet_type as u8, *meaning));
    seen
}

/// Sends a datagram from `from` to a socket on the peer, which sends it back.
fn echo(from: &str, to: &str) {
    let peer = on_peer(|| UdpSocket::bind(format!("{to}:0")).expect("a free port"));
    let own = UdpSocket::bind(format!("{from}:0")).expect("a free port");
    own.send_to(MARK, peer.local_addr().expect("bound")).expect("sent");
    let mut buffer = [0; 64];
    let (len, sender) = peer.recv_from(&mut buffer).expect("received");
    peer.send_to(&buffer[..len], sender).expect("sent");
    own.recv_from(&mut buffer).expect("received");
}

fn frames_handed_out_and_dropped_are_all() {
    const DATAGRAMS: u64 = 20_000;
    let _world = World::new();
    for (kind, per_datagram) in [(LiveKind::Ring, 2), (LiveKind::Pnet, 1)] {
        let ring = RingConfig { bytes: RingConfig::MIN_BYTES, ..RingConfig::default() };
        let config = LiveConfig { kind, ring, names: vec!["lo".to_owned()], ..LiveConfig::default() };
        let mut live = Live::open(config).expect("opened");
        let (sender, _receiver) = loopback_sockets();
        // Nobody reads meanwhile.
        for _ in 0..DATAGRAMS {
            sender.send(MARK).expect("sent");
        }
        let mut handed_out = 0;
        live.drain(&mut |_| handed_out += 1).expect("drained");
        let counters = live.counters();
        assert_eq!(counters.frames, handed_out, "{kind:?}");
        assert_eq!(counters.frames + counters.dropped, per_datagram * DATAGRAMS, "{kind:?} {counters:?}");
        assert_eq!(counters.dropped > 0, kind == LiveKind::Ring, "{kind:?} {counters:?}");
        // The filter stays shut.
        sender.send(MARK).expect("sent");
        live.poll(Duration::from_millis(50), &mut |_| panic!("a frame after the drain")).expect("polled");
    }
}

fn what_was_sent_before_the_drain_is_handed_out() {
    let _world = World::new();
    for (kind, per_datagram) in [(LiveKind::Ring, 2), (LiveKind::Pnet, 1)] {
        for datagrams in [0, 1, 5] {
            let mut live = open(kind, &["lo"]);
            let (sender, receiver) = loopback_sockets();
            for _ in 0..datagrams {
                sender.send(MARK).expect("sent");
                // A busy kernel delivers later than `send` returns; what has arrived has passed the tap.
                receiver.recv(&mut [0; 64]).expect("received");
            }
            let mut handed_out = 0;
            live.drain(&mut |frame| handed_out += u64::from(is_ours(frame))).expect("drained");
            assert_eq!(handed_out, per_datagram * datagrams, "{kind:?}");
        }
    }
}

fn a_long_frame_is_cut_and_its_length_is_told() {
    let _world = World::new();
    let mut live = open(LiveKind::Ring, &["lo"]);
    let (sender, _receiver) = loopback_sockets();
    sender.send(&vec![7; 60_000]).expect("sent");
    let mut lengths = Vec::new();
    live.drain(&mut |frame| lengths.push((frame.bytes.len(), frame.original_len))).expect("drained");
    assert_eq!(lengths, [(2048, 60_028); 2]);
}

fn a_macvlan_packet_has_one_line() {
    let _world = World::new();
    sh("ip link add mv0 link eth0 type macvlan mode bridge && ip addr add 10.78.0.1/24 dev mv0 && ip link set mv0 up");
    sh("ip -n peer addr add 10.78.0.2/24 dev eth0");
    let logged = |packet_type| ("mv0".to_owned(), packet_type, "line");
    let lower = |packet_type, meaning| ("eth0".to_owned(), packet_type, meaning);
    for kind in BOTH {
        let mut live = open(kind, &[]);
        echo("10.78.0.1", "10.78.0.2");
        let mut expected = vec![
            lower(PacketType::OtherHost, "other host"),
            lower(PacketType::Outgoing, "duplicate"),
            logged(PacketType::Host),
            logged(PacketType::Outgoing),
        ];
        if kind == LiveKind::Pnet {
            // The filter drops what is for other hosts.
            expected.remove(0);
        }
        assert_eq!(watch(&mut live, 2), expected, "{kind:?}");
    }
}

/// Sends a frame with each of these tags from the peer to the host.
pub fn send_tagged(tags: &[u16]) {
    let own_mac = sh("ip -o link show eth0 | sed 's/.*ether \\([0-9a-f:]*\\).*/\\1/'");
    let own_mac: Vec<u8> =
        own_mac.trim().split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a MAC address")).collect();
    let packet = ip_packet();
    let tagged =
        |tag: u16| [&own_mac[..], &[2, 0, 0, 0, 0, 9], &[0x81, 0], &tag.to_be_bytes(), &[8, 0], &packet].concat();
    on_peer(|| {
        let interface = datalink::interfaces().into_iter().find(|interface| interface.name == "eth0");
        let channel = datalink::channel(&interface.expect("the peer has it"), datalink::Config::default());
        let Ok(Channel::Ethernet(mut sender, _)) = channel else { panic!("no channel on the peer") };
        for &tag in tags {
            sender.send_to(&tagged(tag), None).expect("room for it").expect("sent");
        }
    });
}

fn a_foreign_vlan_is_not_for_the_stack() {
    let _world = World::new();
    for kind in BOTH {
        let mut live = open(kind, &["eth0"]);
        // Another VLAN; a priority, which is none.
        send_tagged(&[7, 0x6000]);
        let mut seen = watch(&mut live, 1);
        // The kernel knows nobody for this protocol, and its answer quotes the packet.
        seen.retain(|(_, packet_type, _)| *packet_type != PacketType::Outgoing);
        let as_seen = |meaning| ("eth0".to_owned(), PacketType::Host, meaning);
        match kind {
            LiveKind::Ring => assert_eq!(seen, [as_seen("line"), as_seen("not for the stack")]),
            // The filter drops what has a foreign tag.
            LiveKind::Pnet => assert_eq!(seen, [as_seen("line")]),
            LiveKind::Nothing => unreachable!("no frames to watch"),
        }
    }
}

/// An IPv4 packet of protocol 253 ("use for experimentation") from the peer to the host; the checksum is right.
fn ip_packet() -> Vec<u8> {
    let len = u16::try_from(20 + MARK.len()).expect("a short packet");
    let mut header = [&[0x45, 0][..], &len.to_be_bytes(), &[0, 0, 0, 0, 64, 253, 0, 0]].concat();
    for address in [PEER4, HOST4] {
        header.extend(address.parse::<std::net::Ipv4Addr>().expect("an address").octets());
    }
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).expect("folded");
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [&header, MARK].concat()
}

fn a_recreated_interface_is_captured_again() {
    let _world = World::new();
    for kind in BOTH {
        let mut live = open(kind, &["eth0"]);
        sh("ip link del eth0");
        let mut events = Vec::new();
        wait_for("the interface to vanish", || {
            live.poll(Duration::from_millis(20), &mut |_| ()).expect("polled");
            events.extend(live.take_events());
            events.contains(&LinkEvent::Vanished { name: "eth0".to_owned() }).then_some(())
        });
        sh("ip link add eth0 type veth peer name eth0 netns peer");
        for (ns, address) in [("", HOST4), ("-n peer", PEER4)] {
            sh(&format!("ip {ns} addr add {address}/24 dev eth0 && ip {ns} link set eth0 up"));
        }
        wait_for("the interface to be up", || {
            live.poll(Duration::from_millis(20), &mut |_| ()).expect("polled");
            events.extend(live.take_events());
            events.contains(&LinkEvent::Up { name: "eth0".to_owned() }).then_some(())
        });
        echo(HOST4, PEER4);
        let seen = watch(&mut live, 2);
        let logged = |packet_type| ("eth0".to_owned(), packet_type, "line");
        assert_eq!(seen, [logged(PacketType::Host), logged(PacketType::Outgoing)], "{kind:?}");
    }
}

fn a_wait_can_be_ended_from_outside() {
    let _world = World::new();
    for kind in BOTH {
        let (mut bell, ear) = UnixStream::pair().expect("a pair of sockets");
        let wake = vec![ear.try_clone().expect("cloned").into()];
        let mut live = Live::open(LiveConfig { kind, wake, ..LiveConfig::default() }).expect("opened");
        let start = Instant::now();
        let ringing = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            bell.write_all(b"!").expect("written");
            bell
        });
        live.poll(Duration::from_secs(30), &mut |_| ()).expect("polled");
        assert!(start.elapsed() < Duration::from_secs(10), "{kind:?} {:?}", start.elapsed());
        (&ear).read_exact(&mut [0]).expect("the byte is there");
        ringing.join().expect("rung");
    }
}
