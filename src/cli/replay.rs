//! `pfw replay`: the decisions of the rules on a capture file, without privilege.

use super::Exit;
use super::options::{ConfigArgs, LogArgs};
use super::rules_file::{refuse, rules_of};
use super::say::{say, say_lines};
use crate::app;
use crate::app::locality::Locality;
use crate::record::{Summary, WhenFull};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;

/// The arguments of `pfw replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The capture file (pcap or pcapng); - for standard input
    file: PathBuf,

    #[command(flatten)]
    config: ConfigArgs,

    /// An address of the machine that the capture was taken on (may be given several times); inferred if none is named
    #[arg(long, value_name = "ADDR")]
    local: Vec<IpAddr>,

    /// Write the lines to this file; standard output if none is named
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,

    #[command(flatten)]
    log: LogArgs,

    /// Say who would be banned if detect.action in the rules file were "ban"
    #[arg(long)]
    would_ban: bool,

    /// No lines, the summary alone
    #[arg(short, long)]
    quiet: bool,

    /// Print the summary as one line of JSON on standard output (and lines only with --log-file)
    #[arg(long)]
    json: bool,
}

/// Replays a capture file.
pub fn run(args: &ReplayArgs) -> Result<Exit> {
    let loaded = match rules_of(&args.config) {
        Ok((loaded, _)) => loaded,
        Err(errors) => return Ok(refuse(&errors)),
    };
    let lines_wanted = !args.quiet && (!args.json || args.log_file.is_some());
    let outcome = app::replay::replay(app::replay::Options {
        file: args.file.clone(),
        ruleset: loaded.ruleset,
        local: args.local.clone(),
        log: lines_wanted.then(|| args.log.config(args.log_file.as_deref().unwrap_or("-".as_ref()), WhenFull::Wait)),
        selection: args.log.log,
        would_ban: args.would_ban,
    })?;
    if let Some((locality, why)) = &outcome.inferred {
        say(&format!("pfw: {}", whose(locality, why)));
    }
    tell(&outcome.summary, args.json)?;
    match outcome.damage {
        Some(damage) => Err(damage.into()),
        None if outcome.summary.lost_log > 0 && !outcome.unwanted => {
            bail!("{} lines could not be written", outcome.summary.lost_log)
        }
        None => Ok(Exit::Fine),
    }
}

/// Whose machine a capture was taken for, in words.
fn whose(locality: &Locality, why: &str) -> String {
    /// Addresses that are named; a machine seldom has more, and a line should stay one.
    const NAMED: usize = 8;
    let addresses = locality.addresses.all();
    if addresses.is_empty() {
        return "the capture does not tell whose machine it was taken on; --local ADDR does".to_owned();
    }
    let mut names: Vec<String> = addresses.iter().take(NAMED).map(IpAddr::to_string).collect();
    if addresses.len() > NAMED {
        names.push(format!("{} more", addresses.len() - NAMED));
    }
    format!("taken for this machine: {} ({why}); --local ADDR says otherwise", names.join(", "))
}

/// Prints the summary: to people on standard error, to programs on standard output.
fn tell(summary: &Summary, json: bool) -> Result<()> {
    if json {
        let line = serde_json::to_string(summary).context("cannot write the summary as JSON")?;
        return writeln!(std::io::stdout(), "{line}").context("cannot write to standard output");
    }
    say_lines(&summary.to_string());
    Ok(())
}
