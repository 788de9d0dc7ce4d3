//! The thresholds of detectors: the keys of `detect` in a rules file, with what they mean, default and range.

use super::{ALERTS, Alert};

/// A threshold as a rules file knows it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The key.
    pub key: &'static str,
    /// What it says, with its unit.
    pub meaning: &'static str,
    /// What holds where the file does not say.
    pub default: u32,
    /// The least that makes sense.
    pub least: u32,
    /// The most that makes sense.
    pub most: u32,
    place: fn(&mut Settings) -> &mut u32,
}

impl Setting {
    /// Sets it.
    pub fn set(&self, settings: &mut Settings, value: u32) {
        *(self.place)(settings) = value;
    }
}

/// What is done about suspicious traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// It has its line.
    Log,
    /// Besides, its source is blocked for a time.
    Ban,
}

impl Response {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Log, Self::Ban];

    /// The word that a rules file has for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Ban => "ban",
        }
    }
}

/// Makes [`Settings`] and [`SETTINGS`] from rows of `key: default in least..=most, "meaning";`.
macro_rules! settings {
    ($($key:ident: $default:literal in $least:literal..=$most:literal, $meaning:literal;)*) => {
        /// What a rules file says of detection.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Settings {
            $(#[doc = $meaning] pub $key: u32,)*
            /// What is done about who does it.
            pub action: Response,
            /// Ban for what a forged source can make it look like, too.
            pub ban_unverified: bool,
            /// Alerts that are not raised, by their discriminants.
            off: u64,
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($key: $default,)* action: Response::Log, ban_unverified: false, off: 0 }
            }
        }

        /// Every threshold.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            key: stringify!($key),
            meaning: $meaning,
            default: $default,
            least: $least,
            most: $most,
            place: |settings| &mut settings.$key,
        },)*];
    };
}

settings! {
    scan_ports: 10 in 3..=400, "closed or blocked ports of one host that one source tries before it is a scan";
    scan_seconds: 3600 in 1..=86_400, "time in which it tries them, in seconds";
    scan_network_ports: 30 in 3..=400, "the same for all sources of a network (/24, in IPv6 /64) together";
    sweep_hosts: 32 in 3..=400, "hosts that one source asks for the same without an answer before it is a sweep";
    sweep_seconds: 60 in 1..=86_400, "time in which it asks them, in seconds";
    flood_packets: 1000 in 10..=1_000_000, "unsolicited packets a second to one place that are a flood";
    brute_force_attempts: 20 in 3..=400, "connections of one source to one login service before they are an attack";
    brute_force_seconds: 60 in 1..=86_400, "time in which they are opened, in seconds";
    arp_gratuitous: 30 in 3..=100_000, "gratuitous ARP packets of one station before they are a storm";
    arp_seconds: 60 in 1..=86_400, "time in which it sends them, in seconds";
    dns_answers: 20 in 1..=100_000, "DNS answers to one address that nobody asked for before they are reported";
    dns_seconds: 60 in 1..=86_400, "time in which they come, in seconds";
    ban_seconds: 600 in 1..=31_536_000, "time for which a source is banned first, in seconds; each time again twice as long";
    ban_most_seconds: 86_400 in 1..=31_536_000, "the longest time for which a source is banned, in seconds";
}

const _: () = assert!(ALERTS.len() <= u64::BITS as usize);

impl Settings {
    /// What differs from the defaults: thresholds with their values, and the names of alerts that are off.
    pub fn changes(&self) -> (Vec<(&'static str, u32)>, Vec<&'static str>) {
        let value = |setting: &Setting| *(setting.place)(&mut self.clone());
        let set = SETTINGS.iter().map(|setting| (setting, value(setting)));
        let set = set.filter(|(setting, value)| *value != setting.default).map(|(setting, value)| (setting.key, value));
        let off = ALERTS.iter().filter(|entry| !self.wants(entry.alert)).map(|entry| entry.name);
        (set.collect(), off.collect())
    }

    /// Whether an alert is raised.
    pub const fn wants(&self, alert: Alert) -> bool {
        self.off & (1 << alert as u64) == 0
    }

    /// Raises an alert no more.
    pub const fn switch_off(&mut self, alert: Alert) {
        self.off |= 1 << alert as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_range_and_each_key_sets_its_own() {
        for setting in SETTINGS {
            assert!((setting.least..=setting.most).contains(&setting.default), "{}", setting.key);
            let (mut settings, mut same) = (Settings::default(), Settings::default());
            setting.set(&mut same, setting.default);
            setting.set(&mut settings, setting.most);
            assert!(same == Settings::default() && settings != same, "{}", setting.key);
        }
    }

    #[test]
    fn an_alert_is_wanted_until_it_is_switched_off() {
        let mut settings = Settings::default();
        settings.switch_off(Alert::IpLand);
        assert!(!settings.wants(Alert::IpLand) && settings.wants(Alert::IpPortZero));
        settings.scan_ports = 7;
        assert_eq!(settings.changes(), (vec![("scan_ports", 7)], vec!["ip.land"]));
        assert_eq!(Settings::default().changes(), (Vec::new(), Vec::new()));
    }
}
