//! Several threads that read packets: every frame is accounted for, and all are in the order that they came in.

use crate::Case;
use crate::capture::{MARK, loopback_sockets};
use crate::common::wait_for;
use crate::enforce::enforce;
use crate::world::{HOST4, PEER4, World, on_peer};
use pfw::capture::{FrameSource, Live, LiveConfig, Reader, RingConfig};
use pfw::packet::{Net, PacketType, Transport};
use std::fs;
use std::net::UdpSocket;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub const CASES: &[Case] = &[
    ("several_readers_hand_out_every_frame_in_its_order", every_frame_is_handed_out_in_its_order),
    ("what_several_readers_do_not_keep_up_with_is_counted", what_they_do_not_keep_up_with_is_counted),
    ("a_lone_frame_of_several_readers_does_not_wait_long", a_lone_frame_does_not_wait_long),
    ("several_readers_of_pfw_lose_no_line_and_no_drop", of_pfw_they_lose_no_line_and_no_drop),
];

const THREADS: u8 = 3;

fn open(bytes: usize) -> (Live, Vec<Reader>) {
    let ring = RingConfig { bytes, threads: THREADS, ..RingConfig::default() };
    let config = LiveConfig { ring, names: vec!["lo".to_owned()], ..LiveConfig::default() };
    let mut live = Live::open(config).expect("a test is privileged in its namespace");
    let readers = live.take_readers();
    assert_eq!(readers.len(), usize::from(THREADS));
    (live, readers)
}

fn run(readers: Vec<Reader>) -> Vec<JoinHandle<()>> {
    readers.into_iter().map(|reader| thread::spawn(move || reader.run())).collect()
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("it ends with the capture");
    }
}

/// The number of a datagram is its length.
fn every_frame_is_handed_out_in_its_order() {
    const DATAGRAMS: usize = 40_000;
    const LENGTHS: usize = 1000;
    let _world = World::new();
    let (mut live, readers) = open(RingConfig::default().bytes);
    let threads = run(readers);
    let (sender, _receiver) = loopback_sockets();
    let port = sender.local_addr().expect("bound").port();
    let sending = thread::spawn(move || {
        for number in 0..DATAGRAMS {
            sender.send(&vec![7; number % LENGTHS]).expect("sent");
            // Rings that are emptied between, and rings that are not.
            if number % 10_000 == 0 {
                thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let mut lengths = Vec::new();
    wait_for("all datagrams", || {
        live.poll(Duration::from_millis(20), &mut |frame| {
            let packet = frame.packet();
            let Net::Ip(ip) = packet.net else { return };
            let is_ours = matches!(ip.transport, Transport::Udp(udp) if udp.src == port);
            if is_ours && frame.packet_type == Some(PacketType::Host) {
                assert!(frame.bytes.is_empty() && packet.as_sent().malformed.is_none());
                lengths.push(frame.original_len as usize - 28);
            }
        })
        .expect("polled");
        (lengths.len() == DATAGRAMS).then_some(())
    });
    assert!(lengths.iter().enumerate().all(|(number, &length)| length == number % LENGTHS));
    sending.join().expect("all is sent");
    assert!(!live.has_frames());
    assert_eq!(live.counters().frames, 2 * DATAGRAMS as u64);
    drop(live);
    join(threads);
}

fn what_they_do_not_keep_up_with_is_counted() {
    const DATAGRAMS: u64 = 60_000;
    let _world = World::new();
    let (mut live, readers) = open(usize::from(THREADS) * RingConfig::MIN_BYTES);
    let (sender, _receiver) = loopback_sockets();
    // Nobody reads meanwhile.
    for _ in 0..DATAGRAMS {
        sender.send(MARK).expect("sent");
    }
    assert!(live.has_frames());
    let threads = run(readers);
    let mut handed_out = 0;
    live.drain(&mut |_| handed_out += 1).expect("drained");
    let counters = live.counters();
    assert_eq!(counters.frames, handed_out);
    assert_eq!(counters.frames + counters.dropped, 2 * DATAGRAMS, "{counters:?}");
    assert!(counters.dropped > 0 && handed_out > 0, "{counters:?}");
    // The filter stays shut.
    sender.send(MARK).expect("sent");
    live.poll(Duration::from_millis(50), &mut |_| panic!("a frame after the drain")).expect("polled");
    join(threads);
}

fn a_lone_frame_does_not_wait_long() {
    let _world = World::new();
    let (mut live, readers) = open(RingConfig::default().bytes);
    let threads = run(readers);
    let (sender, _receiver) = loopback_sockets();
    for _ in 0..20 {
        sender.send(MARK).expect("sent");
        let (start, mut frames) = (Instant::now(), 0);
        while frames < 2 {
            live.poll(Duration::from_secs(10), &mut |_| frames += 1).expect("polled");
            assert!(start.elapsed() < Duration::from_secs(5), "what comes wakes who waits");
        }
    }
    drop(live);
    join(threads);
}

fn of_pfw_they_lose_no_line_and_no_drop() {
    const EACH: usize = 3000;
    let world = World::new();
    let args = ["--capture-threads", "3", "--log-max-size", "0"];
    let pfw = enforce(&world, r#"{ "block_ports": [9000] }"#, args);
    let to = |port: u16| format!("{HOST4}:{port}");
    let taken = UdpSocket::bind(to(9001)).expect("a free port");
    on_peer(|| {
        let socket = UdpSocket::bind(format!("{PEER4}:0")).expect("a free port");
        for _ in 0..EACH {
            for port in [9000, 9001] {
                socket.send_to(MARK, to(port)).expect("sent");
            }
        }
    });
    let count = |words: &[&str]| {
        let log = fs::read_to_string(world.path("firewall.log")).expect("there");
        log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
    };
    wait_for("all lines", || {
        let blocked = count(&["[BLOCKED]", ":9000 ", "rule=block_ports:9000"]);
        let allowed = count(&["[ALLOWED]", ":9001 "]);
        (blocked == EACH && allowed == EACH).then_some(())
    });
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    assert_eq!(count(&["[LOST]"]) + count(&["unexplained"]), 0);
    let log = fs::read_to_string(world.path("firewall.log")).expect("there");
    let times: Vec<_> = log.lines().filter(|line| line.contains(":900")).map(|line| &line[..23]).collect();
    assert!(times.is_sorted(), "in the order of their times");
    drop(taken);
}
