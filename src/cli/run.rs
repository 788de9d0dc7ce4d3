//! `pfw run`: watch, and say of each packet what the rules make of it.

use super::options::{ConfigArgs, LogArgs, parse_size};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The arguments of `pfw run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    #[command(flatten)]
    pub config: ConfigArgs,

    /// Watch and predict only: the kernel's rules are not touched
    #[arg(long)]
    pub monitor_only: bool,

    /// Watch this interface alone (may be given several times); all of them if none is named
    #[arg(short, long = "interface", value_name = "IFACE")]
    pub interfaces: Vec<String>,

    /// The log file; - for standard output
    #[arg(long, default_value = "firewall.log", value_name = "FILE")]
    pub log_file: PathBuf,

    #[command(flatten)]
    pub log: LogArgs,

    /// Print each line on standard output too, as is done anyway when that is a terminal
    #[arg(long)]
    pub print: bool,

    /// How packets are captured: ring (fast, exact) or pnet (where the ring is not to be had)
    #[arg(long, value_enum, default_value_t = CaptureKind::Ring, value_name = "SOURCE")]
    pub capture: CaptureKind,

    /// Memory for packets that were captured and not yet read: 1M to 1G
    #[arg(long, value_parser = parse_size, default_value = "32M", value_name = "SIZE")]
    pub ring_size: u64,

    /// Print what would be given to the kernel, and end
    #[arg(long, conflicts_with = "monitor_only")]
    pub dry_run: bool,

    /// Enforce even if open connections would be cut
    #[arg(long)]
    pub yes: bool,

    /// Enforce, and take everything back unless it is confirmed within this time
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub confirm: Option<u32>,

    /// Leave the rules in force on exit
    #[arg(long)]
    pub keep: bool,

    /// The control socket
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
}

/// `--capture`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CaptureKind {
    /// An AF_PACKET ring shared with the kernel
    Ring,
    /// pnet's channel
    Pnet,
}

/// Runs.
pub fn run(_: &RunArgs) -> anyhow::Result<super::Exit> {
    Ok(super::Exit::Usage)
}
