//! `pfw run`: watch, and say of each packet what the rules make of it.

use super::Exit;
use super::options::{ConfigArgs, LogArgs};
use super::rules_file::{refuse, rules_of, warn};
use crate::app::live::{Desk, Options, run as watch};
use crate::capture::{LiveConfig, LiveKind, RingConfig};
use crate::host;
use crate::record::WhenFull;
use crate::record::sink::parse_size;
use crate::rules::{self, Ruleset};
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal};
use std::path::PathBuf;

/// The arguments of `pfw run`.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that a user sets or not")]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Watch and predict only: the kernel's rules are not touched
    #[arg(long)]
    monitor_only: bool,

    /// Watch this interface alone (may be given several times); all of them if none is named
    #[arg(short, long = "interface", value_name = "IFACE")]
    interfaces: Vec<String>,

    /// The log file; - for standard output
    #[arg(long, default_value = "firewall.log", value_name = "FILE")]
    log_file: PathBuf,

    #[command(flatten)]
    log: LogArgs,

    /// Print each line on standard output too, as is done anyway when that is a terminal
    #[arg(long)]
    print: bool,

    /// How packets are captured: ring (fast, exact) or pnet (where the ring is not to be had)
    #[arg(long, value_enum, default_value_t = CaptureKind::Ring, value_name = "SOURCE")]
    capture: CaptureKind,

    /// Memory for packets that were captured and not yet read, from 256K to 4G
    #[arg(long, value_parser = parse_size, default_value = "32M", value_name = "SIZE")]
    ring_size: u64,

    /// Print what would be given to the kernel, and end
    #[arg(long, conflicts_with = "monitor_only")]
    dry_run: bool,

    /// Enforce even if open connections would be cut
    #[arg(long)]
    yes: bool,

    /// Enforce, and take everything back unless it is confirmed within this time
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    confirm: Option<u32>,

    /// Leave the rules in force on exit
    #[arg(long)]
    keep: bool,

    /// The control socket
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
}

/// `--capture`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CaptureKind {
    /// An `AF_PACKET` ring shared with the kernel
    Ring,
    /// pnet's channel
    Pnet,
}

impl From<CaptureKind> for LiveKind {
    fn from(kind: CaptureKind) -> Self {
        match kind {
            CaptureKind::Ring => Self::Ring,
            CaptureKind::Pnet => Self::Pnet,
        }
    }
}

/// Watches until it is told to stop.
pub fn run(args: &RunArgs) -> Result<Exit> {
    if !args.monitor_only {
        eprintln!("pfw: this version does not enforce rules yet; use --monitor-only to watch and predict");
        return Ok(Exit::Usage);
    }
    let loaded = match rules_of(&args.config)? {
        Ok(loaded) => loaded,
        Err(errors) => return Ok(refuse(&errors)),
    };
    warn(&loaded, &host::read());
    let rules = loaded.ruleset.rules.len();
    let options = Options {
        ruleset: loaded.ruleset,
        capture: LiveConfig {
            kind: args.capture.into(),
            names: args.interfaces.clone(),
            ring: RingConfig { bytes: usize::try_from(args.ring_size).unwrap_or(usize::MAX), ..RingConfig::default() },
            wake: None,
        },
        log: args.log.config(&args.log_file, WhenFull::Lose),
        selection: args.log.log,
        print: (args.print || io::stdout().is_terminal()) && !args.logs_to_stdout(),
    };
    let mut desk = Terminal { config: args.config.path(), log_file: args.log_file.clone(), rules };
    match watch(options, &mut desk) {
        Ok(summary) => {
            eprint!("{summary}");
            Ok(Exit::Fine)
        }
        Err(error) if is_usage(&error) => {
            eprintln!("pfw: {error:#}");
            Ok(Exit::Usage)
        }
        Err(error) => Err(error),
    }
}

impl RunArgs {
    fn logs_to_stdout(&self) -> bool {
        self.log_file.as_os_str() == "-"
    }
}

/// Whether an error is a matter of what the user typed: an interface that does not exist, an impossible size.
fn is_usage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidInput)
}

/// Tells the user on standard error, and reads the rules file when asked to.
struct Terminal {
    config: PathBuf,
    log_file: PathBuf,
    rules: usize,
}

impl Desk for Terminal {
    fn ready(&mut self, watched: &[String], remarks: &[String]) {
        for remark in remarks {
            eprintln!("pfw: {remark}");
        }
        eprintln!(
            "pfw: ready: watching {} (nothing is blocked), {} with {} rules, log {}, pid {}",
            watched.join(", ").escape_debug(),
            self.config.display(),
            self.rules,
            self.log_file.display(),
            std::process::id()
        );
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }

    fn read_rules(&mut self) -> Option<Ruleset> {
        match rules::load(&self.config) {
            Ok(loaded) => {
                warn(&loaded, &host::read());
                eprintln!("pfw: read {} again", self.config.display());
                Some(loaded.ruleset)
            }
            Err(errors) => {
                refuse(&errors);
                eprintln!("pfw: the rules that were in force stay");
                None
            }
        }
    }
}
