//! `pfw replay`: the decisions of the rules on a capture file, without privilege.

use super::options::{ConfigArgs, LogArgs};
use clap::Args;
use std::net::IpAddr;
use std::path::PathBuf;

/// The arguments of `pfw replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The capture file (pcap or pcapng); - for standard input
    pub file: PathBuf,

    #[command(flatten)]
    pub config: ConfigArgs,

    /// An address of the machine that the capture was taken on (may be given several times); inferred if none is named
    #[arg(long, value_name = "ADDR")]
    pub local: Vec<IpAddr>,

    /// Write the lines to this file; standard output if none is named
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,

    #[command(flatten)]
    pub log: LogArgs,

    /// No lines, the summary alone
    #[arg(short, long)]
    pub quiet: bool,

    /// Print the summary as one line of JSON on standard output (and lines only with --log-file)
    #[arg(long)]
    pub json: bool,
}
