//! How long it takes until a change that is asked for on the command line is in the kernel, beside a long list.

use crate::common::pfw;
use crate::world::World;
use crate::{Size, median, networks, start};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The goals, in ms.
const RULE: f64 = 50.0;
const ENTRY: f64 = 10.0;
/// Time between two changes, in which what is left of one is cleared up.
const PAUSE: Duration = Duration::from_millis(300);
/// Entries of a list that is a set in the kernel.
const LONG: u32 = 100;
/// What is blocked. Nobody is there: the network between takes the datagrams.
const PEERS: u32 = 0x0a4d_0080;

/// Entries of a list that becomes a set with the last change: until then each is a rule.
const SHORT: u32 = 2;

/// All of them.
pub fn all(world: &World, size: Size) {
    std::fs::write(world.path("bulk.txt"), networks(size.networks)).expect("written");
    let beside = format!("beside {} networks", size.networks);
    let peer = |n| (Ipv4Addr::from(PEERS + 2 * n).to_string(), (Ipv4Addr::from(PEERS + 2 * n), 9));
    compare(world, size, (&format!("`pfw block`, one added rule, {beside}"), RULE), SHORT, peer);
    compare(world, size, (&format!("`pfw block`, one added entry of a set, {beside}"), ENTRY), LONG, peer);
    let port = |n: u32| (format!("{}/udp", 2000 + n), (Ipv4Addr::from(PEERS), u16::try_from(2000 + n).expect("small")));
    compare(world, size, (&format!("`pfw block`, one added port, {beside}"), RULE), LONG, port);
}

/// Blocks what `next` names, again and again, and where it is sent to then.
fn compare(
    world: &World,
    size: Size,
    (what, goal): (&str, f64),
    listed: u32,
    next: impl Fn(u32) -> (String, (Ipv4Addr, u16)),
) {
    // Every other address of the network that holds the peers, so that nothing but the set has to change.
    let list: Vec<_> = (0..listed).map(|n| format!("\"{}\"", Ipv4Addr::from((PEERS & !0xff) + 2 * n + 5))).collect();
    let rules = format!(r#"{{ "block_lists": ["bulk.txt"], "block_ips": [{}] }}"#, list.join(","));
    let running = start(world, &rules, &["--log", "blocked"]);
    let mut times: Vec<_> = (0..size.changes).map(|n| until_blocked(world, &next(n))).collect();
    let (code, said) = running.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    let time = median(&mut times);
    let slowest = times.iter().copied().fold(0.0, f64::max);
    println!(
        "| {what} | {goal} ms | {time:.0} ms, the slowest of {} {slowest:.0} ms | {:.2} |",
        times.len(),
        time / goal
    );
}

/// Milliseconds from the call to the first datagram that the kernel refuses.
fn until_blocked(world: &World, (target, to): &(String, (Ipv4Addr, u16))) -> f64 {
    std::thread::sleep(PAUSE);
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    socket.set_nonblocking(true).expect("set");
    let is_refused = || {
        let sent = socket.send_to(b"x", to);
        sent.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
    };
    assert!(!is_refused(), "{target} is not blocked yet");
    let begin = Instant::now();
    let mut command = pfw(["block", target]);
    let mut child = command.current_dir(world.folder.path()).stdout(Stdio::null()).spawn().expect("it starts");
    while !is_refused() {
        assert!(begin.elapsed() < crate::PATIENCE, "{target} is never blocked");
        std::thread::sleep(Duration::from_micros(200));
    }
    let took = begin.elapsed().as_secs_f64() * 1000.0;
    assert!(child.wait().expect("it ends").success());
    took
}
