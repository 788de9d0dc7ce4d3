//! Options that several commands share, and the values behind them.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Where lines go and which.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// How a line is written: text for people, json (Suricata EVE field names) for programs
    #[arg(long, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// Which packets get a line: all, blocked (and suspicious), none
    #[arg(long = "log", value_enum, default_value_t = LogLevel::All, value_name = "WHICH")]
    pub log_level: LogLevel,

    /// Rotate the log when it reaches this size: 500K, 100M, 1G; 0 for no limit
    #[arg(long, value_parser = parse_size, default_value = DEFAULT_LOG_MAX_SIZE, value_name = "SIZE")]
    pub log_max_size: u64,

    /// How many rotated files to keep beside the log (firewall.log.1 is the newest)
    #[arg(long, default_value_t = DEFAULT_LOG_KEEP, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=999))]
    pub log_keep: u32,
}

/// A text line is about 180 bytes: half a million packets in a file, quick to open in an editor.
const DEFAULT_LOG_MAX_SIZE: &str = "100M";
/// With the default size at most 600 MB in all, which a laptop's disk has to spare.
const DEFAULT_LOG_KEEP: u32 = 5;

/// `--log-format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text a packet
    Text,
    /// One JSON object a line
    Json,
}

/// `--log`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Every packet
    All,
    /// Blocked and suspicious packets
    Blocked,
    /// No packet
    None,
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
