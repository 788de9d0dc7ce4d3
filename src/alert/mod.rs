//! The names of what is suspicious: how grave each is, what raises it, what it means, what causes false alarms, and
//! which keys of the rules file change it.
//!
//! One table ([`ALERTS`]) for lines, `pfw explain --alert`, and the README; one ([`SETTINGS`]) for the thresholds that
//! a rules file may set. Who finds these things is `packet`'s matter (what the bytes alone tell) and `detect`'s; what
//! is plainly broken has its names in [`packet::Reason`](crate::packet::Reason).

mod oddity;
mod settings;
mod table;

pub use oddity::Oddity;
pub use settings::{Response, SETTINGS, Setting, Settings};
pub use table::{ALERTS, Alert, Entry};

/// How grave something is. The numbers are those of EVE's `severity`: 1 is the gravest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody is doing this on purpose, and it works if nothing stands against it.
    High = 1,
    /// Seldom innocent.
    Medium = 2,
    /// As often a defect as an attack.
    Low = 3,
}

impl Severity {
    /// The word that lines carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// The number that EVE has for it.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// How much traffic it takes to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// One packet; each has a line.
    Packet,
    /// Many packets; they are one incident, which has a line whenever it has doubled.
    Traffic,
}

impl Alert {
    /// The alert of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALERTS.iter().find(|entry| entry.name == name).map(|entry| entry.alert)
    }

    /// The name for machines, which stays the same from version to version.
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// How grave it is.
    pub const fn severity(self) -> Severity {
        self.entry().severity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_alert_has_its_row_and_a_name_of_its_own() {
        let names: HashSet<_> = ALERTS.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), ALERTS.len());
        for (place, entry) in ALERTS.iter().enumerate() {
            assert_eq!((entry.alert as usize, entry.alert.entry().name), (place, entry.name));
            assert_eq!(Alert::named(entry.name), Some(entry.alert));
            assert!(entry.name.bytes().all(|byte| byte.is_ascii_lowercase() || b"._0123456789".contains(&byte)));
            for text in [entry.trigger, entry.meaning, entry.harmless] {
                assert!(!text.is_empty() && text.is_ascii(), "{}", entry.name);
            }
        }
        assert_eq!(Alert::named("nothing"), None);
    }

    #[test]
    fn the_table_of_the_readme_is_this_one() {
        let readme = include_str!("../../README.md");
        let rows: Vec<_> =
            readme.lines().skip_while(|line| *line != "| name | severity | raised by | defaults |").collect();
        let told: Vec<_> = rows.into_iter().skip(2).take_while(|line| line.starts_with('|')).collect();
        let default = |key: &&str| {
            let setting = SETTINGS.iter().find(|setting| setting.key == *key).unwrap();
            format!("`{key} {}`", setting.default)
        };
        let row = |entry: &Entry| {
            let mut keys = entry.keys.to_vec();
            keys.sort_by_key(|key| SETTINGS.iter().position(|setting| setting.key == *key));
            let defaults = keys.iter().map(default).collect::<Vec<_>>().join(", ");
            format!("| `{}` | {} | {} | {defaults} |", entry.name, entry.severity.name(), entry.trigger)
        };
        assert_eq!(told, ALERTS.iter().map(row).collect::<Vec<_>>());
    }

    #[test]
    fn the_keys_that_change_an_alert_are_settings() {
        for entry in ALERTS {
            for key in entry.keys {
                assert!(SETTINGS.iter().any(|setting| setting.key == *key), "{}: {key}", entry.name);
            }
        }
        // Those about bans say what becomes of who raises an alert.
        for setting in SETTINGS.iter().filter(|setting| !setting.key.starts_with("ban_")) {
            assert!(ALERTS.iter().any(|entry| entry.keys.contains(&setting.key)), "{} changes nothing", setting.key);
        }
    }
}
