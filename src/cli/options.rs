//! Options that several commands share, and the values behind them.

use crate::record::sink::sudo_group;
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

/// The rules file.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// The rules file
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The rules file when `--config` does not name one.
pub const DEFAULT_CONFIG: &str = "rules.json";

/// Reads a size: a number of bytes, or one with K, M or G (powers of 1024; a trailing B or iB is fine).
pub fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is not a size: give bytes, or a number with K, M or G, such as 100M");
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_is_bytes() {
        for (text, bytes) in [("0", 0), ("500", 500), ("500K", 512_000), ("100M", 104_857_600), ("1gib", 1 << 30)] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "M", "-1", "1.5M", "1T", "99999999999999999999", "18446744073709551615K"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
