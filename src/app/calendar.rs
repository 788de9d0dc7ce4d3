//! The rules that are in force at each packet's own time in a capture. A packet tells nothing of the time of another:
//! clocks step, captures are merged, and stamps are damaged.

use super::bans;
use crate::engine::Matcher;
use crate::host::Host;
use crate::rules::Ruleset;
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Compiled rule sets that are kept: clocks that jump back and forth between so many spans compile nothing again. A
/// large one takes some ten megabytes.
const KEPT: usize = 4;

/// A rule set and the times at which something of it expires. Between two of them the same rules are in force.
#[derive(Debug)]
pub struct Calendar {
    ruleset: Ruleset,
    host: Host,
    /// In order, each once.
    expiries: Vec<Timestamp>,
    /// The first and the last time of the span that is in force.
    in_force: (Timestamp, Timestamp),
    /// The span that is in force first, then those that were before, each by the number of expiries before it.
    compiled: VecDeque<(usize, Arc<Matcher>)>,
}

impl Calendar {
    /// A calendar, and the rules that are in force before anything has expired.
    pub fn new(ruleset: Ruleset, host: Host) -> (Self, Arc<Matcher>) {
        let matcher = Arc::new(Matcher::new(&ruleset, &host, Timestamp::MIN));
        let compiled = VecDeque::from([(0, Arc::clone(&matcher))]);
        let expiries = expiries(&ruleset);
        (Self { in_force: span(&expiries, 0), expiries, ruleset, host, compiled }, matcher)
    }

    /// The rules in force at `time`, if they are others than those that were asked for last.
    #[inline]
    pub fn turn_to(&mut self, time: Timestamp) -> Option<Arc<Matcher>> {
        let (first, last) = self.in_force;
        if first <= time && time <= last { None } else { self.turn(time) }
    }

    fn turn(&mut self, time: Timestamp) -> Option<Arc<Matcher>> {
        // An expiry is the first moment at which its entry is not in force.
        let span = self.expiries.partition_point(|&expiry| expiry <= time);
        self.in_force = self::span(&self.expiries, span);
        let place = self.compiled.iter().position(|(number, _)| *number == span);
        let kept = match place {
            Some(0) => return None,
            Some(place) => self.compiled.remove(place),
            None => None,
        };
        let (_, matcher) = kept.unwrap_or_else(|| (span, Arc::new(Matcher::new(&self.ruleset, &self.host, time))));
        self.compiled.push_front((span, Arc::clone(&matcher)));
        self.compiled.truncate(KEPT);
        Some(matcher)
    }
}

impl Calendar {
    /// Why `source` is not to be banned at `time`, if so.
    pub fn spares(&self, source: IpAddr, time: Timestamp) -> Option<&'static str> {
        bans::spares(&self.ruleset, &self.host, source, time)
    }
}

/// The first and the last time before which `number` of `expiries` are.
fn span(expiries: &[Timestamp], number: usize) -> (Timestamp, Timestamp) {
    let first = number.checked_sub(1).and_then(|before| expiries.get(before)).copied().unwrap_or(Timestamp::MIN);
    let last = expiries.get(number).map_or(Timestamp::MAX, |next| next.minus(Duration::from_nanos(1)));
    (first, last)
}

fn expiries(rules: &Ruleset) -> Vec<Timestamp> {
    let addresses = rules.allow_ips.iter().chain(&rules.block_ips).map(|entry| entry.expires);
    let lists = rules.block_lists.iter().map(|list| list.expires);
    let ports = rules.block_ports.iter().map(|entry| entry.expires);
    let protocols = rules.block_protocols.iter().chain(&rules.allow_protocols).map(|entry| entry.expires);
    let ordered = rules.rules.iter().map(|rule| rule.expires);
    let mut expiries: Vec<_> = addresses.chain(lists).chain(ports).chain(protocols).chain(ordered).flatten().collect();
    expiries.sort_unstable();
    expiries.dedup();
    expiries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::AddressEntry;
    use crate::rules::address::AddressRange;
    use std::net::{IpAddr, Ipv4Addr};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(seconds, 0)
    }

    /// A calendar whose entries expire at these times.
    fn calendar(expiries: &[i64]) -> (Calendar, Arc<Matcher>) {
        let entry = |(last, &expires): (u8, &i64)| AddressEntry {
            value: AddressRange::from(IpAddr::from(Ipv4Addr::new(192, 0, 2, last))),
            negated: false,
            id: format!("until:{last}").into(),
            comment: None,
            expires: Some(at(expires)),
            enabled: true,
            offset: 0,
        };
        let block_ips = (1..).zip(expiries).map(entry).collect();
        Calendar::new(Ruleset { block_ips, ..Ruleset::default() }, Host::default())
    }

    /// How many entries are in force.
    fn entries(matcher: &Matcher) -> usize {
        matcher.rules().iter().filter(|rule| rule.id.starts_with("until:")).count()
    }

    #[test]
    fn each_time_has_its_own_rules_whatever_was_asked_before() {
        let (mut calendar, matcher) = calendar(&[200, 100, 200]);
        assert_eq!(entries(&matcher), 3);
        assert!(calendar.turn_to(at(99)).is_none(), "nothing has expired");
        for (time, expected) in [(100, 2), (i64::MAX, 0), (199, 2), (i64::MIN, 3), (200, 0)] {
            let matcher = calendar.turn_to(at(time)).unwrap();
            assert_eq!(entries(&matcher), expected, "{time}");
            assert!(calendar.turn_to(at(time)).is_none(), "nothing has changed");
        }
    }

    #[test]
    fn what_is_kept_is_not_compiled_again_and_no_more_is_kept() {
        let (mut calendar, first) = calendar(&[10, 20, 30, 40, 50]);
        let second = calendar.turn_to(at(15)).unwrap();
        for _ in 0..3 {
            assert!(Arc::ptr_eq(&first, &calendar.turn_to(at(5)).unwrap()));
            assert!(Arc::ptr_eq(&second, &calendar.turn_to(at(10)).unwrap()));
        }
        for time in [25, 35, 45, 55] {
            assert!(calendar.turn_to(at(time)).is_some());
        }
        assert_eq!(calendar.compiled.len(), KEPT);
        assert!(!Arc::ptr_eq(&first, &calendar.turn_to(at(5)).unwrap()));
    }
}
