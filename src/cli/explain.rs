//! `pfw explain`: what an alert means, why it matters, what causes false alarms, and which keys change it.

use super::Exit;
use super::say::say;
use crate::alert::{ALERTS, Alert, Entry, SETTINGS, Setting};
use crate::packet::Reason;
use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use std::io::{Write, stdout};

/// The arguments of `pfw explain`.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct ExplainArgs {
    /// Say what this alert is, as a [SUSPICIOUS] line names it
    #[arg(long, value_name = "NAME")]
    alert: Option<String>,

    /// List all alerts
    #[arg(long)]
    alerts: bool,

    /// List all alerts as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// Explains.
pub fn run(args: &ExplainArgs) -> Result<Exit> {
    let Some(name) = &args.alert else {
        let list = if args.json { json() } else { table() };
        stdout().write_all(list.as_bytes()).context("cannot write to standard output")?;
        return Ok(Exit::Fine);
    };
    let Some(words) = explanation(name) else {
        say(&format!("pfw: there is no alert '{name}'; 'pfw explain --alerts' lists all"));
        return Ok(Exit::Usage);
    };
    stdout().write_all(words.as_bytes()).context("cannot write to standard output")?;
    Ok(Exit::Fine)
}

/// What is to be said of the alert or malformation of this name.
fn explanation(name: &str) -> Option<String> {
    if let Some(alert) = Alert::named(name) {
        return Some(of_alert(&alert.entry()));
    }
    let reason = Reason::ALL.iter().find(|reason| reason.name() == name)?;
    Some(of_malformed(*reason))
}

fn of_alert(entry: &Entry) -> String {
    let Entry { name, severity, trigger, meaning, harmless, keys, .. } = entry;
    let words = format!(
        "{name} (severity {})\n\nRaised by: {trigger}.\n\n{meaning}\n\nFalse alarms: {harmless}\n\n",
        severity.name()
    );
    let key = |setting: &Setting| {
        let Setting { key, meaning, default, .. } = setting;
        format!("detect.{key} (default {default}): {meaning}.\n")
    };
    let keys: String = settings(keys).map(key).collect();
    format!("{words}{keys}\"detect\": {{ \"off\": [\"{name}\"] }} in the rules file switches it off.\n")
}

fn of_malformed(reason: Reason) -> String {
    let fate = if reason.discarded_by_kernel() {
        "Linux drops such a packet before any rule if it comes from outside, so that it has no verdict."
    } else {
        "Linux lets such a packet come as far as the rules, which decide about it as about any other."
    };
    format!(
        "{} (severity low)\n\nRaised by: a packet whose {} header contradicts itself or the packet's length; the line has the numbers.\n\n\
         Such packets are made to crash or deceive whoever reads them, and to slip by filters. {fate}\n\n\
         False alarms: defective network cards and drivers, tunnels, and captures that were altered.\n",
        reason.name(),
        reason.layer()
    )
}

fn settings(keys: &[&str]) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| keys.contains(&setting.key))
}

/// All alerts for people.
fn table() -> String {
    let row = |entry: &Entry| {
        let keys: Vec<_> = settings(entry.keys).map(|setting| format!("{} {}", setting.key, setting.default)).collect();
        let keys = if keys.is_empty() { String::new() } else { format!(" [{}]", keys.join(", ")) };
        format!("{:<24} {:<7} {}{keys}\n", entry.name, entry.severity.name(), entry.trigger)
    };
    ALERTS.iter().map(row).collect()
}

/// An alert for programs.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    severity: u8,
    trigger: &'static str,
    meaning: &'static str,
    false_alarms: &'static str,
    keys: &'static [&'static str],
}

fn json() -> String {
    let row = |entry: &Entry| Row {
        name: entry.name,
        severity: entry.severity.number(),
        trigger: entry.trigger,
        meaning: entry.meaning,
        false_alarms: entry.harmless,
        keys: entry.keys,
    };
    let rows: Vec<_> = ALERTS.iter().map(row).collect();
    serde_json::to_string_pretty(&rows).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_a_line_can_carry_is_explained() {
        for entry in ALERTS {
            let words = explanation(entry.name).unwrap();
            assert!(words.contains(entry.meaning) && words.contains(entry.harmless), "{words}");
            assert!(entry.keys.iter().all(|key| words.contains(&format!("detect.{key} (default "))), "{words}");
        }
        for reason in Reason::ALL {
            assert!(explanation(reason.name()).unwrap().starts_with(reason.name()));
        }
        assert_eq!(explanation("scan"), None);
    }

    #[test]
    fn the_lists_have_a_row_for_each() {
        assert_eq!(table().lines().count(), ALERTS.len());
        let rows: serde_json::Value = serde_json::from_str(&json()).unwrap();
        assert_eq!(rows.as_array().unwrap().len(), ALERTS.len());
    }
}
