//! What pfw takes while nothing happens: processor time, memory, and the size of the program.

use crate::world::World;
use crate::{Size, start};
use std::time::{Duration, Instant};

/// The goals: share of a processor, resident memory and size of the program, in bytes.
const SHARE: f64 = 0.001;
const MEMORY: u64 = 15_000_000;
const BINARY: u64 = 10_000_000;

/// All of it.
pub fn all(world: &World, size: Size) {
    let running = start(world, r#"{ "block_ips": ["192.0.2.1"], "block_ports": [23] }"#, &[]);
    // What the start has left to do is no rest.
    std::thread::sleep(Duration::from_secs(1));
    let (before, begin) = (processor_time(running.pid()), Instant::now());
    std::thread::sleep(size.rest);
    let spent = processor_time(running.pid()).saturating_sub(before);
    let share = spent.as_secs_f64() / begin.elapsed().as_secs_f64();
    row(
        "processor time at rest",
        &format!("{:.1} %", SHARE * 100.0),
        &format!("{:.2} %", share * 100.0),
        share / SHARE,
    );
    in_bytes("resident memory at rest, the capture ring aside", MEMORY, memory(running.pid()));
    in_bytes("the program", BINARY, std::fs::metadata(env!("CARGO_BIN_EXE_pfw")).expect("it is there").len());
    let (code, said) = running.stop(libc::SIGTERM);
    assert_eq!(code, 0, "{said}");
}

fn in_bytes(what: &str, goal: u64, bytes: u64) {
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    row(what, &mb(goal), &mb(bytes), bytes as f64 / goal as f64);
}

fn row(what: &str, goal: &str, measured: &str, ratio: f64) {
    println!("| {what} | {goal} | {measured} | {ratio:.2} |");
}

/// The processor time that all threads of a process have had.
///
/// # Panics
///
/// If there is no such process.
pub fn processor_time(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        // Nanoseconds on a processor, as the scheduler counts; ticks would be too coarse.
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(tasks.filter_map(of_task).sum())
}

/// Bytes of a process that are in memory, without what is mapped from sockets.
fn memory(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps")).expect("readable");
    let mut is_ring = false;
    let mut kilobytes = 0;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("Rss:") {
            let size: u64 = rest.trim().trim_end_matches(" kB").parse().expect("a number");
            kilobytes += if is_ring { 0 } else { size };
        } else if line.split(' ').next().is_some_and(|word| word.contains('-')) {
            is_ring = line.contains("socket:");
        }
    }
    kilobytes * 1024
}
