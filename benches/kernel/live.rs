//! Floods of which every packet becomes a line: packets that are watched, and packets that are blocked.
//!
//! The sender's processor does what the receiving host's kernel has to do; pfw has the others.

use crate::flood::Flood;
use crate::rest::processor_time;
use crate::world::{HOST6, World, on_peer, sh};
use crate::{LISTED, OTHERS, Size, received, start};
use pfw::capture::RingConfig;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The goals: this share of a processor at this rate, and drops reported a second.
const CORE: f64 = 0.6;
const RATE: f64 = 800_000.0;
const REPORTS: f64 = 500_000.0;
/// Bytes that a packet of a flood takes in the ring, about.
const IN_RING: usize = 160;
/// What is not written after so long is not written any more.
const SETTLED: Duration = Duration::from_millis(500);

/// All of them.
pub fn all(world: &World, size: Size, flood: &impl Fn(u32) -> Flood) {
    let watch: &[&str] = &["--monitor-only", "--log-max-size", "0"];
    let enforce: &[&str] = &["--log-max-size", "0"];
    watched(world, size, &flood(OTHERS), watch);
    tcpdump(world, size, &flood(OTHERS));
    backlogs(world, size, &flood(OTHERS));
    let rules = r#"{ "block_ips": ["11.0.0.0/8"] }"#;
    blocked(world, size, &flood(LISTED), (rules, enforce), Some(REPORTS));
    blocked(world, size, &flood(LISTED), (rules, enforce), None);
}

/// What came of a flood.
struct Outcome {
    /// Packets that the host has taken in.
    taken: u64,
    /// How long that took.
    took: Duration,
    /// Lines about them.
    lines: u64,
    /// Packets that are said to be lost.
    lost: u64,
    /// Processor time of the program that wrote them.
    spent: Duration,
}

impl Outcome {
    fn rate(&self) -> f64 {
        self.taken as f64 / self.took.as_secs_f64()
    }

    /// Processors that the program needs at the rate that is the goal.
    fn cores(&self) -> f64 {
        self.spent.as_secs_f64() / self.taken as f64 * RATE
    }

    fn words(&self) -> String {
        format!("{} lines and {} lost of {}, at {:.0}/s", self.lines, self.lost, self.taken, self.rate())
    }
}

fn watched(world: &World, size: Size, flood: &Flood, args: &[&str]) {
    let outcome = with_pfw(world, ("{}", args), || send(flood, size.flood, None));
    let cores = outcome.cores();
    println!(
        "| a flood watched, each packet a line | none lost, {CORE} processors at 800,000/s | {}; {cores:.2} processors | {:.2} |",
        outcome.words(),
        cores / CORE
    );
}

/// The same flood, and `tcpdump` in pfw's place.
fn tcpdump(world: &World, size: Size, flood: &Flood) {
    let (out, err) = (world.path("tcpdump.out"), world.path("tcpdump.err"));
    let file = |path: &Path| Stdio::from(std::fs::File::create(path).expect("created"));
    let mut command = Command::new("tcpdump");
    command.args(["-Z", "root", "-i", "eth0", "-nn", "udp port 5000"]).stdout(file(&out)).stderr(file(&err));
    let mut child = command.spawn().expect("tcpdump is installed");
    thread::sleep(SETTLED);
    let (taken, took) = send(flood, size.flood, None);
    thread::sleep(SETTLED);
    sh(&format!("kill -INT {}", child.id()));
    child.wait().expect("it ends");
    let lines = count(&out, "UDP, length");
    let lost = taken.saturating_sub(lines);
    let rate = taken as f64 / took.as_secs_f64();
    println!("| the same flood, `tcpdump -nn > FILE` | | {lines} lines and {lost} lost of {taken}, at {rate:.0}/s | |");
}

fn blocked(world: &World, size: Size, flood: &Flood, pfw: (&str, &[&str]), rate: Option<f64>) {
    let (mut tried, mut slowest) = (0, 0.0);
    let outcome = with_pfw(world, pfw, || {
        let others = Others::start();
        let sent = send(flood, size.flood, rate);
        (tried, slowest) = others.stop();
        sent
    });
    let goal =
        rate.map_or("as fast as it goes: lines and lost are all".to_owned(), |rate| format!("{rate:.0}/s, none lost"));
    println!(
        "| a blocked flood, each drop a line | {goal} | {}; {tried} connections of others, the slowest {slowest:.1} ms | {:.4} |",
        outcome.words(),
        (outcome.lines + outcome.lost) as f64 / outcome.taken as f64
    );
}

/// What has gathered in the rings while pfw was stopped, each packet a line: how fast one thread reads and decides that, and
/// how much of its time is left to the deciding one where others read. On hosts with processors for all of them that bounds
/// the rate.
fn backlogs(world: &World, size: Size, flood: &Flood) {
    let (mut ratios, mut measured) = (Vec::new(), Vec::new());
    for _ in 0..size.throughputs {
        let [one, two] = ["1", "2"].map(|threads| backlog(world, size, flood, threads));
        ratios.push(two.deciding / one.deciding);
        measured = vec![one, two];
    }
    let words = |backlog: &Backlog| {
        format!("{:.0} ns of the deciding thread a packet, {:.0}/s", backlog.deciding, backlog.rate)
    };
    let words: Vec<_> = measured.iter().map(words).collect();
    println!(
        "| a backlog watched, read by one thread and by two ahead of the deciding one | less work for that | {} | {:.2} |",
        words.join("; "),
        crate::median(&mut ratios)
    );
}

/// How a backlog was worked off.
struct Backlog {
    /// Lines a second.
    rate: f64,
    /// Nanoseconds that the deciding thread took for a packet.
    deciding: f64,
}

fn backlog(world: &World, size: Size, flood: &Flood, threads: &str) -> Backlog {
    let log = world.path("firewall.log");
    let _ = std::fs::remove_file(&log);
    let ring = (size.flood * IN_RING * 2).clamp(RingConfig::default().bytes, RingConfig::MAX_BYTES).to_string();
    let args = ["--monitor-only", "--log-max-size", "0", "--ring-size", &ring, "--capture-threads", threads];
    let running = start(world, "{}", &args);
    sh(&format!("kill -STOP {}", running.pid()));
    let (taken, _) = send(flood, size.flood, None);
    let before = deciding_time(running.pid());
    sh(&format!("kill -CONT {}", running.pid()));
    let begin = Instant::now();
    let (mut end, mut written) = (begin, 0);
    while end.elapsed() < SETTLED {
        let length = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
        if length > written {
            (end, written) = (Instant::now(), length);
        }
        thread::sleep(Duration::from_millis(2));
    }
    let deciding = deciding_time(running.pid()).saturating_sub(before);
    let (code, said) = running.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    let lost = lost(&log);
    // A few the kernel drops where its timer closes a block on another processor.
    assert!(lost < taken / 10_000, "rings and queues hold it, but {lost} of {taken} are lost");
    let taken = taken as f64;
    Backlog { rate: taken / end.duration_since(begin).as_secs_f64(), deciding: deciding.as_nanos() as f64 / taken }
}

/// The time that the deciding thread of a process has run so far (`schedstat`, in nanoseconds).
fn deciding_time(process: u32) -> Duration {
    let named = sh(&format!("grep -l '^capture$' /proc/{process}/task/*/comm"));
    let thread = Path::new(named.trim()).parent().expect("the thread is there").join("schedstat");
    let told = std::fs::read_to_string(thread).expect("the kernel tells it");
    Duration::from_nanos(told.split(' ').next().expect("its first field").parse().expect("a number"))
}

/// Sends a flood; the packets that were taken in, and how long it took.
fn send(flood: &Flood, packets: usize, rate: Option<f64>) -> (u64, Duration) {
    let (before, begin) = (received(), Instant::now());
    on_peer(|| flood.send(packets, rate).expect("sent"));
    let took = begin.elapsed();
    thread::sleep(Duration::from_millis(20));
    (received() - before, took)
}

/// Runs a flood while pfw writes it down.
fn with_pfw(world: &World, (rules, args): (&str, &[&str]), flood: impl FnOnce() -> (u64, Duration)) -> Outcome {
    let log = world.path("firewall.log");
    // Nothing there yet, or what a flood before has left.
    let _ = std::fs::remove_file(&log);
    let running = start(world, rules, args);
    let before = processor_time(running.pid());
    let (taken, took) = flood();
    wait_until_written(&log);
    let spent = processor_time(running.pid()).saturating_sub(before);
    let (code, said) = running.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
    Outcome { taken, took, lines: count(&log, "\\] [a-z]* eth0 UDP .*:5000 len.*rule="), lost: lost(&log), spent }
}

/// What the log says is lost.
fn lost(log: &Path) -> u64 {
    let lost = sh(&format!("grep '\\[LOST\\]' {} | sed 's/.* n=//; s/ .*//' || true", log.display()));
    lost.lines().map(|number| number.parse::<u64>().expect("a number")).sum()
}

fn wait_until_written(log: &Path) {
    let length = || std::fs::metadata(log).map_or(0, |metadata| metadata.len());
    let mut before = 0;
    while length() > before {
        before = length();
        thread::sleep(SETTLED);
    }
}

fn count(log: &Path, words: &str) -> u64 {
    sh(&format!("grep -c -- '{words}' {} || true", log.display())).trim().parse().expect("a number")
}

/// Connections that others open to this host, one after the other; over IPv6, so that their packets are not counted.
struct Others {
    stop: Arc<AtomicBool>,
    server: JoinHandle<()>,
    client: JoinHandle<(u32, f64)>,
}

impl Others {
    fn start() -> Self {
        let listener = TcpListener::bind((HOST6, 7000)).expect("a free port");
        let stop = Arc::new(AtomicBool::new(false));
        let (listens, connects) = (Arc::clone(&stop), Arc::clone(&stop));
        let server = thread::spawn(move || while listener.accept().is_ok() && !listens.load(Ordering::Relaxed) {});
        let client = thread::spawn(move || on_peer(|| connect_until(&connects)));
        Self { stop, server, client }
    }

    /// How many there were, and how long the slowest took, in ms.
    fn stop(self) -> (u32, f64) {
        self.stop.store(true, Ordering::Relaxed);
        let told = self.client.join().expect("each of them succeeds");
        drop(TcpStream::connect((HOST6, 7000)));
        self.server.join().expect("it ends after the next connection");
        told
    }
}

fn connect_until(stop: &AtomicBool) -> (u32, f64) {
    let (mut tried, mut slowest) = (0, 0_f64);
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        drop(TcpStream::connect((HOST6, 7000)).expect("the host answers"));
        slowest = slowest.max(begin.elapsed().as_secs_f64() * 1000.0);
        tried += 1;
        thread::sleep(Duration::from_millis(10));
    }
    (tried, slowest)
}
