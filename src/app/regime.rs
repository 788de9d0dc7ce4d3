//! What does not go its usual way for a time: enforcement and monitoring can rest, and a panic blocks all but loopback.

use super::clerk::rfc3339;
use crate::control::report;
use crate::host::Host;
use crate::rules::{Origin, Ruleset, parse};
use crate::time::Timestamp;
use std::io;
use std::path::Path;
use std::time::Duration;

/// What rests, and what is blocked beyond the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regime {
    /// Enforcement rests.
    pub enforcement_paused: Option<Spell>,
    /// Monitoring rests.
    pub monitoring_paused: Option<Spell>,
    /// All but loopback is blocked, whatever else rests.
    pub panic: Option<Spell>,
}

/// A time that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spell {
    /// When.
    pub since: Timestamp,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

impl Spell {
    /// One that begins now.
    pub fn new(seconds: Option<u64>) -> Self {
        let since = Timestamp::now();
        Self { since, until: seconds.map(|seconds| since.plus(Duration::from_secs(seconds))) }
    }

    /// Its end in words.
    pub fn ends(&self, otherwise: &str) -> String {
        self.until.map_or_else(|| otherwise.to_owned(), |end| format!("until {}", rfc3339(end)))
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|end| end <= now)
    }
}

impl Regime {
    /// When the next spell ends.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.all().into_iter().flatten().filter_map(|spell| spell.until).min()
    }

    /// Without the spells that are over.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Self {
        let left = |spell: Option<Spell>| spell.filter(|spell| !spell.is_over(now));
        Self {
            enforcement_paused: left(self.enforcement_paused),
            monitoring_paused: left(self.monitoring_paused),
            panic: left(self.panic),
        }
    }

    /// Whether the rules are to be in the kernel.
    pub const fn enforces(&self) -> bool {
        self.enforcement_paused.is_none() || self.panic.is_some()
    }

    /// As it is told.
    pub fn report(&self) -> report::Regime {
        let told = |spell: Option<Spell>| {
            spell.map(|spell| report::Spell { since: rfc3339(spell.since), until: spell.until.map(rfc3339) })
        };
        report::Regime {
            enforcement_paused: told(self.enforcement_paused),
            monitoring_paused: told(self.monitoring_paused),
            panic: told(self.panic),
        }
    }

    const fn all(&self) -> [Option<Spell>; 3] {
        [self.enforcement_paused, self.monitoring_paused, self.panic]
    }
}

/// The rules of a panic: every peer is blocked that is not this machine, forwarded traffic and open connections too.
pub fn panic_rules(host: &Host) -> Ruleset {
    let own = host.addresses.iter().map(|(address, _)| address.to_string());
    let spared = ["127.0.0.0/8".to_owned(), "::1".to_owned()].into_iter().chain(own);
    let spared: Vec<_> = spared.map(|address| format!("\"!{address}\"")).collect();
    let entry = format!(
        r#"{{ "ip": [{}], "id": "panic", "comment": "panic is on: all but this machine itself is blocked" }}"#,
        spared.join(", ")
    );
    // Should a machine have an address that no rules file can hold, nothing is spared but what needs no list.
    rules(&format!(r#"{{ "block_ips": [{entry}] }}"#))
        .or_else(|| rules(r#"{ "default_policy": "deny" }"#))
        .unwrap_or_default()
}

fn rules(text: &str) -> Option<Ruleset> {
    let read = |_: &Path| Err(io::ErrorKind::NotFound.into());
    let origin = Origin { file: "panic", folder: Path::new(""), read: &read };
    parse(text.as_bytes().to_vec(), &origin).ok().map(|loaded| loaded.ruleset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Matcher;

    fn host() -> Host {
        let addresses = ["127.0.0.1/8", "10.0.0.5/24", "fe80::1/64", "::1/128"].map(|text| {
            let (address, len) = text.split_once('/').unwrap();
            (address.parse().unwrap(), len.parse().unwrap())
        });
        Host { addresses: addresses.into(), ..Host::default() }
    }

    #[test]
    fn a_panic_blocks_every_peer_but_this_machine() {
        let matcher = Matcher::new(&panic_rules(&host()), &host(), Timestamp::now());
        let blocks = |address: &str| matcher.listed(address.parse().unwrap()).map(|(rule, _)| rule.id.to_string());
        for peer in ["10.0.0.1", "192.0.2.1", "2001:db8::1", "fe80::2", "255.255.255.255"] {
            assert_eq!(blocks(peer).as_deref(), Some("panic"), "{peer}");
        }
        for own in ["127.0.0.1", "127.7.7.7", "10.0.0.5", "fe80::1", "::1"] {
            assert_eq!(blocks(own), None, "{own}");
        }
    }

    #[test]
    fn spells_end_at_their_time_and_the_others_go_on() {
        let spell = |from, to: Option<i64>| {
            let at = |seconds| Timestamp::from_parts(seconds, 0);
            Some(Spell { since: at(from), until: to.map(at) })
        };
        let regime = Regime {
            enforcement_paused: spell(1, Some(50)),
            monitoring_paused: spell(1, None),
            panic: spell(1, Some(20)),
        };
        assert_eq!(regime.ends_at(), Some(Timestamp::from_parts(20, 0)));
        assert!(regime.enforces(), "a panic is in force whatever rests");
        let later = regime.at(Timestamp::from_parts(20, 0));
        assert_eq!((later.panic, later.enforces()), (None, false));
        let last = regime.at(Timestamp::from_parts(50, 0));
        assert_eq!((last.ends_at(), last.enforces(), last.monitoring_paused), (None, true, spell(1, None)));
    }
}
