//! What does not go its usual way for a time: enforcement and monitoring can rest, and a panic blocks all but loopback.

use super::clerk::rfc3339;
use crate::control::report;
use crate::rules::Ruleset;
use crate::time::Timestamp;
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

    /// Why a change of the rules does not act at once, in words, if it does not.
    pub const fn why_rules_rest(&self) -> Option<&'static str> {
        if self.panic.is_some() {
            Some("a panic is on: this acts when that has ended ('pfw resume panic')")
        } else if self.enforcement_paused.is_some() {
            Some("enforcement is paused: this acts when it goes on ('pfw resume enforcement')")
        } else {
            None
        }
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

/// The rules of a panic, in place of `rules`: of these only what is suspicious stays.
pub fn panic_rules(rules: &Ruleset) -> Ruleset {
    Ruleset { panic: true, detect: rules.detect.clone(), ..Ruleset::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

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
