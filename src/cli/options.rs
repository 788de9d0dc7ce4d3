//! Options that several commands share, and the values behind them.

use crate::record::sink::{parse_size, sudo_group};
use crate::record::{Config, FileConfig, Format, Selection, Target, WhenFull};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where lines go and which.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// How a line is written: text for people, json (Suricata EVE field names) for programs
    #[arg(long, value_parser = one_of::<Format>(["text", "json"]), default_value = "text", value_name = "FORMAT")]
    pub log_format: Format,

    /// Which packets get a line: all, blocked (and suspicious), none
    #[arg(long, value_parser = one_of::<Selection>(["all", "blocked", "none"]), default_value = "all", value_name = "WHICH")]
    pub log: Selection,

    /// Rotate the log when it reaches this size: 500K, 100M, 1G; 0 for no limit
    #[arg(long, value_parser = parse_size, default_value = "100M", value_name = "SIZE")]
    pub log_max_size: u64,

    /// How many rotated files to keep beside the log (firewall.log.1 is the newest)
    #[arg(long, default_value_t = FileConfig::DEFAULT_KEEP, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=999))]
    pub log_keep: u32,
}

/// A parser for an option that takes one of some words, which `--help` then lists.
fn one_of<T>(words: impl IntoIterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = &'static str> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words.into_iter().collect::<Vec<_>>()).try_map(|word| word.parse::<T>())
}

impl LogArgs {
    /// What the record is to do: lines to `path`, or to standard output if that is `-`.
    pub fn config(&self, path: &Path, when_full: WhenFull) -> Config {
        let target = if path == Path::new("-") {
            Target::StandardOutput
        } else {
            let (max_size, keep) = (self.log_max_size, self.log_keep);
            Target::File(FileConfig { path: path.to_owned(), max_size, keep, group: sudo_group() })
        };
        Config { target, format: self.log_format, zone: TimeZone::system(), when_full }
    }
}

/// The control socket.
#[derive(Args, Clone, Debug)]
pub struct ControlArgs {
    /// The control socket, if it is not the one of this network namespace under /run/pfw
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
}

/// What the commands that only show something take.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// Who is asked
    #[command(flatten)]
    pub control: ControlArgs,

    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// The rules file.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// The rules file
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The rules file when `--config` does not name one.
pub const DEFAULT_CONFIG: &str = "rules.json";
