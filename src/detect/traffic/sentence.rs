//! For how long who is banned: twice as long each time, up to a ceiling. Who has kept quiet for as long as that begins
//! anew.

use crate::alert::Settings;
use crate::time::Timestamp;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Sources whose bans are remembered. When it is full, the one that ended first is forgotten.
const MOST: usize = 1024;

/// The bans so far.
#[derive(Debug, Default)]
pub(super) struct Sentences(HashMap<IpAddr, Record, FixedState>);

#[derive(Clone, Copy, Debug)]
struct Record {
    until: Timestamp,
    times: u32,
}

impl Sentences {
    /// Bans `source`, if it is not banned: for how long, and the how manieth time it is.
    pub(super) fn pass(&mut self, source: IpAddr, now: Timestamp, settings: &Settings) -> Option<(Duration, u32)> {
        let [first, longest] = [settings.ban_seconds, settings.ban_most_seconds].map(u64::from);
        let before = self.0.get(&source);
        if before.is_some_and(|record| now < record.until) {
            return None;
        }
        let is_recent = |record: &&Record| now.since(record.until).as_secs() <= longest;
        let times = before.filter(is_recent).map_or(1, |record| record.times.saturating_add(1));
        let growth = 1_u64.checked_shl(times - 1).unwrap_or(u64::MAX);
        let lasts = Duration::from_secs(first.saturating_mul(growth).min(longest));
        if self.0.len() >= MOST && before.is_none() {
            self.forget_one();
        }
        self.0.insert(source, Record { until: now.plus(lasts), times });
        Some((lasts, times))
    }

    fn forget_one(&mut self) {
        let oldest = self.0.iter().min_by_key(|(_, record)| record.until).map(|(&source, _)| source);
        if let Some(source) = oldest {
            self.0.remove(&source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_grows_with_each_offence_up_to_the_ceiling_and_is_forgotten_after_a_quiet_time() {
        let mut settings = Settings::default();
        (settings.ban_seconds, settings.ban_most_seconds) = (600, 3600);
        let (mut sentences, source) = (Sentences::default(), "192.0.2.7".parse().unwrap());
        let mut pass = |at| {
            let passed = sentences.pass(source, Timestamp::from_parts(at, 0), &settings);
            passed.map(|(lasts, times)| (lasts.as_secs(), times))
        };
        assert_eq!([pass(0), pass(599)], [Some((600, 1)), None]);
        assert_eq!([pass(600), pass(2000)], [Some((1200, 2)), Some((2400, 3))]);
        assert_eq!(pass(5000), Some((3600, 4)));
        assert_eq!(pass(8600 + 3600), Some((3600, 5)), "just not forgotten");
        assert_eq!(pass(15_800 + 3601), Some((600, 1)));
    }

    #[test]
    fn no_more_sources_are_remembered_than_there_is_room_for() {
        let (mut sentences, settings) = (Sentences::default(), Settings::default());
        for n in 0..5000_u32 {
            sentences.pass(std::net::Ipv4Addr::from_bits(n).into(), Timestamp::from_parts(n.into(), 0), &settings);
        }
        assert_eq!(sentences.0.len(), MOST);
    }
}
