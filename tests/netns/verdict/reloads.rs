//! Reloads under traffic: what both rule sets allow is never lost, what both block never passes, and each packet has
//! the line of what became of it.

use super::lines::{Line, Log};
use super::{JSON_LOG, number, raw};
use crate::common::{PATIENCE, wait_for};
use crate::enforce::enforce;
use crate::stream::{receive_until, send_until};
use crate::world::{HOST4, World};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Blocked by both rule sets, allowed by both, and blocked by the first alone.
const PORTS: [u16; 3] = [5001, 5002, 5003];
/// Reloads, unless more are wanted.
const RELOADS: u64 = 20;
/// Between two datagrams of a stream.
const PACE: Duration = Duration::from_micros(500);

fn rule_sets() -> [String; 2] {
    let others: Vec<_> = (0..20).map(|n| format!("\"1.2.{n}.0/24\"")).collect();
    [
        r#"{ "block_ports": ["5001/udp", "5003/udp"], "block_ips": ["192.0.2.1"] }"#.to_owned(),
        format!(
            r#"{{ "rules": [{{ "action": "block", "protocol": "udp", "dst_port": 5001 }}], "block_ips": [{}] }}"#,
            others.join(", ")
        ),
    ]
}

pub fn reloads_leak_and_lose_nothing() {
    let world = World::new();
    let texts = rule_sets();
    let write = |text: &str| {
        std::fs::write(world.path("next"), text).expect("the scratch folder is writable");
        std::fs::rename(world.path("next"), world.path("rules.json")).expect("renamed");
    };
    let pfw = enforce(&world, &texts[0], JSON_LOG.into_iter().chain(["--ring-size", "512M"]));
    let mut log = Log::open(&world.path("firewall.log"));
    let mut lines = Vec::new();
    let stop = AtomicBool::new(false);
    let sockets = PORTS.map(|port| UdpSocket::bind((HOST4, port)).expect("a free port"));
    sockets.iter().for_each(raw::make_room);
    let reloads = number("PFW_RELOADS").unwrap_or(RELOADS);
    let (sent, received) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send_until(&stop, &PORTS, PACE));
        let receivers = sockets.each_ref().map(|socket| scope.spawn(|| receive_until(socket, &stop)));
        for reload in 1..=reloads {
            write(&texts[usize::from(!reload.is_multiple_of(2))]);
            log.about_itself.clear();
            pfw.signal(libc::SIGHUP);
            wait_for("the rules to be in force", || {
                lines.extend(log.read());
                log.about_itself.iter().any(|line| line.contains("rules-loaded")).then_some(())
            });
        }
        stop.store(true, Ordering::Relaxed);
        (sender.join().expect("it sent"), receivers.map(|receiver| receiver.join().expect("it received")))
    });
    read_all(&mut log, &mut lines, sent * 3);
    println!("{reloads} reloads: {sent} datagrams to each of {PORTS:?}, of which came {received:?}");
    assert_eq!((received[0], received[1]), (0, sent), "what both block never passes, what both allow is never lost");
    for (port, received) in PORTS.into_iter().zip(received) {
        assert_eq!(told(&lines, port, "allowed"), received, "port {port}: allowed lines");
        assert_eq!(told(&lines, port, "blocked"), sent - received, "port {port}: blocked lines");
    }
    assert!(received[2] > 0 && received[2] < sent, "both rule sets were in force: {received:?}");
    let (code, said) = pfw.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
}

/// Reads until there are `enough` lines, or nothing comes any more.
fn read_all(log: &mut Log, lines: &mut Vec<Line>, enough: u64) {
    let mut last = Instant::now();
    while told_in_all(lines) < enough && last.elapsed() < PATIENCE / 4 {
        let more = log.read();
        if !more.is_empty() {
            last = Instant::now();
        }
        lines.extend(more);
        std::thread::sleep(Duration::from_millis(10));
    }
    // One too many would come now.
    std::thread::sleep(Duration::from_millis(300));
    lines.extend(log.read());
}

fn told_in_all(lines: &[Line]) -> u64 {
    PORTS.into_iter().map(|port| told(lines, port, "allowed") + told(lines, port, "blocked")).sum()
}

fn told(lines: &[Line], port: u16, verdict: &str) -> u64 {
    let count =
        lines.iter().filter(|line| line.key.destination_port() == Some(port) && line.verdict == verdict).count();
    u64::try_from(count).expect("64 bits")
}
