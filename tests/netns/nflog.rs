//! The kernel's reports of what it drops: each is read, and each that is lost is counted.

use crate::Case;
use crate::common::wait_for;
use crate::world::{HOST4, HOST6, PEER4, PEER6, World, on_peer, sh, try_sh};
use pfw::nflog::{BATCH_TIME, COPY_RANGE, Counters, Event, Hook, Reader};
use pfw::packet::{Net, Packet, parse};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("a_group_is_bound_with_what_is_asked_of_it", a_group_is_bound_with_what_is_asked_of_it),
    ("drops_are_reported_in_both_directions_and_families", drops_are_reported_in_both_directions_and_families),
    ("a_flood_is_reported_to_the_packet", a_flood_is_reported_to_the_packet),
    ("what_a_pausing_reader_loses_is_counted_to_the_packet", what_a_pausing_reader_loses_is_counted),
    ("the_open_batch_is_known_before_it_comes", the_open_batch_is_known_before_it_comes),
    ("the_drain_brings_the_open_batch_at_once", the_drain_brings_the_open_batch_at_once),
    ("the_drain_needs_no_privilege", the_drain_needs_no_privilege),
    ("a_group_in_use_is_refused_by_name", a_group_in_use_is_refused_by_name),
    ("without_privilege_no_group_is_bound", without_privilege_no_group_is_bound),
];

/// With a number whose bytes look like an error where a batch ends.
const GROUP: u16 = 0x80ff;
const PORT: u16 = 7777;

/// What a test looks at in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    prefix: String,
    hook: Hook,
    interfaces: (Option<u32>, Option<u32>),
    timed: bool,
    owner: Option<(u32, u32)>,
    addresses: (String, String),
    /// What was kept of the packet, and its whole length.
    lengths: (usize, u32),
}

fn seen(event: &Event<'_>) -> Seen {
    let Packet { net: Net::Ip(ip), malformed: None, .. } = parse(event.link(), event.packet, event.original_len) else {
        panic!("no sound IP packet: {event:?}");
    };
    assert_eq!(ip.len, event.original_len);
    Seen {
        prefix: String::from_utf8_lossy(event.prefix).into_owned(),
        hook: event.hook,
        interfaces: (event.in_interface, event.out_interface),
        timed: event.time.is_some(),
        owner: event.uid.zip(event.gid),
        addresses: (ip.src.to_string(), ip.dst.to_string()),
        lengths: (event.packet.len(), event.original_len),
    }
}

fn read(reader: &mut Reader, count: usize) -> Vec<Seen> {
    let mut found = Vec::new();
    wait_for("the events", || {
        reader.poll(Duration::from_millis(20), &mut |event| found.push(seen(event))).expect("polled");
        (found.len() >= count).then_some(())
    });
    assert_eq!(found.len(), count, "{found:?}");
    found
}

/// Rules of `chain` that report and drop what `matches`.
fn drop_and_report(command: &str, chain: &str, matches: &str, prefix: &str) {
    let nflog = format!("-j NFLOG --nflog-group {GROUP} --nflog-prefix '{prefix}' --nflog-threshold 64");
    sh(&format!("{command} -A {chain} {matches} {nflog} && {command} -A {chain} {matches} -j DROP"));
}

/// How many packets the DROP rules of a chain have seen.
fn dropped(chain: &str) -> u64 {
    let list = sh(&format!("iptables -nvxL {chain}"));
    let drops = list.lines().filter(|line| line.split_whitespace().nth(2) == Some("DROP"));
    drops.map(|line| line.split_whitespace().next().expect("a counter").parse::<u64>().expect("a number")).sum()
}

/// Sends a datagram, whatever the kernel says to it.
fn send(from: &str, to: &str, bytes: usize) {
    let socket = UdpSocket::bind((from, 0)).expect("a free port");
    let _ = socket.send_to(&vec![7; bytes], (to, PORT));
}

/// Sends a datagram as a user of its own, if this process may be another; the user and group that it was.
fn send_as_other_user(from: &str, to: &str, bytes: usize) -> (u32, u32) {
    std::thread::scope(|scope| {
        let work = || {
            // SAFETY: these change numbers of this thread alone; an impossible one tells the present one.
            let owner = unsafe {
                libc::setfsgid(1235);
                libc::setfsuid(1234);
                (libc::setfsuid(u32::MAX).cast_unsigned(), libc::setfsgid(u32::MAX).cast_unsigned())
            };
            send(from, to, bytes);
            owner
        };
        scope.spawn(work).join().expect("sent")
    })
}

/// Does `work` on a thread without any capability.
fn without_privilege<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                // `_LINUX_CAPABILITY_VERSION_3`, this thread; no effective, permitted and inheritable ones.
                let (header, none) = ([0x2008_0522_u32, 0], [0_u32; 6]);
                // SAFETY: pointers to structures of the size that this version has.
                let status = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
                assert_eq!(status, 0, "privilege can be given away");
                work()
            })
            .join()
            .expect("the work succeeds")
    })
}

fn a_group_is_bound_with_what_is_asked_of_it() {
    let _reader = Reader::open(GROUP).expect("bound");
    let groups = std::fs::read_to_string("/proc/self/net/netfilter/nfnetlink_log").expect("the kernel lists them");
    let fields: Vec<&str> = groups.split_whitespace().collect();
    // Copy mode (2: packet), copy range, time-out in hundredths of a second.
    assert_eq!((fields[0], &fields[3..6]), ("33023", &["2", "256", "2"][..]), "{groups}");
}

fn drops_are_reported_in_both_directions_and_families() {
    let _world = World::new();
    let index: u32 = sh("ip -o link show eth0 | cut -d: -f1").trim().parse().expect("an index");
    let mut reader = Reader::open(GROUP).expect("bound");
    for variant in ["nft", "legacy"] {
        if !try_sh(&format!("iptables-{variant} -V")).status.success() {
            continue;
        }
        let families = [("iptables", HOST4, PEER4, 28), ("ip6tables", HOST6, PEER6, 48)];
        for (command, host, peer, headers) in families {
            let command = format!("{command}-{variant}");
            let udp = format!("-p udp --dport {PORT}");
            drop_and_report(&command, "INPUT", &format!("-i eth0 {udp}"), "pfw:1:in");
            drop_and_report(&command, "OUTPUT", &format!("-o eth0 {udp}"), "pfw:2:out");
            on_peer(|| send(peer, host, 300));
            let owner = send_as_other_user(host, peer, 10);
            let incoming = Seen {
                prefix: "pfw:1:in".into(),
                hook: Hook::Input,
                interfaces: (Some(index), None),
                timed: true,
                owner: None,
                addresses: (peer.into(), host.into()),
                lengths: (COPY_RANGE as usize, 300 + headers),
            };
            let outgoing = Seen {
                prefix: "pfw:2:out".into(),
                hook: Hook::Output,
                interfaces: (None, Some(index)),
                timed: false,
                owner: Some(owner),
                addresses: (host.into(), peer.into()),
                lengths: (10 + headers as usize, 10 + headers),
            };
            assert_eq!(read(&mut reader, 2), [incoming, outgoing], "{command}");
            sh(&format!("{command} -F"));
        }
        pings_are_reported(&mut reader, variant);
    }
    assert_eq!((reader.counters().lost, reader.counters().overruns), (0, 0));
}

fn pings_are_reported(reader: &mut Reader, variant: &str) {
    let families = [("iptables", "-p icmp", HOST4, PEER4), ("ip6tables", "-p icmpv6 --icmpv6-type 128", HOST6, PEER6)];
    for (command, icmp, host, peer) in families {
        let command = format!("{command}-{variant}");
        drop_and_report(&command, "OUTPUT", icmp, "ping");
        assert!(!try_sh(&format!("ping -q -c 2 -i 0.05 -W 0.1 {peer}")).status.success(), "{command}");
        for event in read(reader, 2) {
            assert_eq!((event.prefix.as_str(), event.hook), ("ping", Hook::Output));
            assert_eq!(event.addresses, (host.into(), peer.into()));
        }
        sh(&format!("{command} -F"));
    }
}

/// A socket whose datagrams are dropped in INPUT on lo, after the rule has reported them.
fn dropped_sender() -> UdpSocket {
    drop_and_report("iptables", "INPUT", &format!("-i lo -p udp --dport {PORT}"), "flood");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    sender.connect(("127.0.0.1", PORT)).expect("connected");
    sender
}

fn flood(sender: &UdpSocket, datagrams: u64) {
    for _ in 0..datagrams {
        sender.send(b"!").expect("sent");
    }
}

/// Processor time that this thread has used.
fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes a `timespec`, which `time` is.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec.try_into().expect("less than a second"))
}

fn a_flood_is_reported_to_the_packet() {
    const DATAGRAMS: u64 = 200_000;
    let _world = World::new();
    let mut reader = Reader::open(GROUP).expect("bound");
    let sender = dropped_sender();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&sender, DATAGRAMS));
        let (mut next, cpu) = (0, thread_time());
        while !flooding.is_finished() {
            reader.poll(BATCH_TIME, &mut |event| next = event.sequence.expect("a number") + 1).expect("polled");
        }
        let took = start.elapsed();
        reader.drain(&mut |event| next = event.sequence.expect("a number") + 1).expect("drained");
        let cpu = thread_time().saturating_sub(cpu);
        println!("{DATAGRAMS} in {took:?}, of which the reader was busy for {cpu:?}: {:?}", reader.counters());
        assert_eq!(u64::from(next), DATAGRAMS);
    });
    let Counters { events, lost, lost_behind, .. } = reader.counters();
    assert_eq!(dropped("INPUT"), DATAGRAMS);
    assert_eq!((events + lost, lost_behind), (DATAGRAMS, false));
}

fn what_a_pausing_reader_loses_is_counted() {
    const DATAGRAMS: u64 = 600_000;
    let _world = World::new();
    let mut reader = Reader::open(GROUP).expect("bound");
    let sender = dropped_sender();
    flood(&sender, DATAGRAMS);
    // Beyond the open batch, so that it has been lost, too.
    std::thread::sleep(2 * BATCH_TIME);
    let mut handed_out = 0;
    let mut read_all = |reader: &mut Reader| {
        let before = reader.counters().events;
        wait_for("silence", || {
            let before = handed_out;
            reader.poll(Duration::from_millis(10), &mut |_| handed_out += 1).expect("polled");
            (handed_out == before).then_some(())
        });
        assert_eq!(reader.counters().events, handed_out);
        handed_out - before
    };
    let in_buffer = read_all(&mut reader);
    println!("{in_buffer} events were in the buffer: {:?}", reader.counters());
    // Nothing came behind the loss, which would tell its size.
    assert_eq!(reader.counters(), Counters { events: in_buffer, lost: 0, overruns: 1, lost_behind: true });
    flood(&sender, 100);
    std::thread::sleep(2 * BATCH_TIME);
    assert_eq!(read_all(&mut reader), 100);
    let (events, dropped) = (in_buffer + 100, dropped("INPUT"));
    assert_eq!(dropped, DATAGRAMS + 100);
    assert_eq!(reader.counters(), Counters { events, lost: dropped - events, overruns: 1, lost_behind: false });
}

fn the_open_batch_is_known_before_it_comes() {
    let _world = World::new();
    let mut reader = Reader::open(GROUP).expect("bound");
    let sender = dropped_sender();
    assert_eq!(reader.open_batch(), Some(0));
    // Its time can be up before it is looked at.
    wait_for("a look in time", || {
        flood(&sender, 3);
        let open = reader.open_batch().expect("root may know");
        assert!(open <= 3, "{open}");
        (open > 0).then_some(())
    });
    reader.drain(&mut |_| ()).expect("drained");
    assert_eq!(reader.open_batch(), None, "the group is nobody's");
}

fn the_drain_brings_the_open_batch_at_once() {
    let _world = World::new();
    let mut reader = Reader::open(GROUP).expect("bound");
    let sender = dropped_sender();
    flood(&sender, 3);
    let (start, mut handed_out) = (Instant::now(), 0);
    reader.drain(&mut |_| handed_out += 1).expect("drained");
    assert_eq!(handed_out, 3);
    assert!(start.elapsed() < BATCH_TIME, "{:?}", start.elapsed());
    // The group is free; rules that name it drop all the same.
    flood(&sender, 100);
    assert_eq!(dropped("INPUT"), 103);
    Reader::open(GROUP).expect("bound by another");
    reader.drain(&mut |_| panic!("an event of nobody's")).expect("drained again");
    assert_eq!(reader.counters(), Counters { events: 3, ..Counters::default() });
}

fn the_drain_needs_no_privilege() {
    let _world = World::new();
    let mut reader = Reader::open(GROUP).expect("bound");
    flood(&dropped_sender(), 3);
    let mut handed_out = 0;
    without_privilege(|| reader.drain(&mut |_| handed_out += 1)).expect("drained");
    assert_eq!(handed_out, 3);
}

fn a_group_in_use_is_refused_by_name() {
    let _world = World::new();
    let first = Reader::open(GROUP).expect("bound");
    let refused = Reader::open(GROUP).map(drop).expect_err("it is taken");
    assert_eq!(refused.kind(), ErrorKind::ResourceBusy);
    assert_eq!(refused.to_string(), "NFLOG group 33023 is in use by another program");
    let second = Reader::open_free(GROUP..=GROUP + 1).expect("one is free");
    assert_eq!(second.group(), GROUP + 1);
    let refused = Reader::open_free(GROUP..=GROUP + 1).map(drop).expect_err("both are taken");
    assert_eq!(refused.to_string(), "all NFLOG groups from 33023 to 33024 are in use by other programs");
    drop(first);
    assert_eq!(Reader::open_free(GROUP..=GROUP + 1).expect("free again").group(), GROUP);
}

fn without_privilege_no_group_is_bound() {
    let refused = without_privilege(|| Reader::open(GROUP).map(drop)).expect_err("not permitted");
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert_eq!(refused.to_string(), "may not bind NFLOG group 33023: that takes CAP_NET_ADMIN (run with sudo)");
}
