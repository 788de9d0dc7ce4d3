//! What of a rule set is in force at a time, and when that changes next.

use crate::rules::{BlockList, Entry, Rule, Ruleset};
use crate::time::Timestamp;

/// What can be switched off and can expire.
pub(super) trait Expires {
    /// `enabled` as written.
    fn enabled(&self) -> bool;
    /// `expires` as written.
    fn expires(&self) -> Option<Timestamp>;

    /// Whether it counts at `now`; what doesn't is as if it were not in the file.
    fn in_force(&self, now: Timestamp) -> bool {
        self.enabled() && self.expires().is_none_or(|end| end > now)
    }
}

macro_rules! expires {
    ($([$($generic:ident)?] $type:ty),*) => {$(
        impl$(<$generic>)? Expires for $type {
            fn enabled(&self) -> bool { self.enabled }
            fn expires(&self) -> Option<Timestamp> { self.expires }
        }
    )*};
}
expires!([T] Entry<T>, [] BlockList, [] Rule);

/// When the next thing expires that is in force at `now`; `Timestamp::MAX` for never.
pub(super) fn next_change(rules: &Ruleset, now: Timestamp) -> Timestamp {
    fn ends<T: Expires>(all: &[T], now: Timestamp) -> impl Iterator<Item = Timestamp> {
        all.iter().filter(move |one| one.in_force(now)).filter_map(Expires::expires)
    }
    let lists = ends(&rules.allow_ips, now).chain(ends(&rules.block_ips, now)).chain(ends(&rules.block_lists, now));
    let numbers = ends(&rules.block_ports, now).chain(ends(&rules.block_protocols, now));
    let rest = ends(&rules.allow_protocols, now).chain(ends(&rules.rules, now));
    lists.chain(numbers).chain(rest).min().unwrap_or(Timestamp::MAX)
}
