//! Incidents: what goes on, from the packet that made it one to its end. Each is told when it begins and whenever it
//! has doubled since.

use super::distinct::Distinct;
use crate::alert::Alert;
use crate::time::Timestamp;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::time::Duration;

/// Incidents that can be told apart at once. Forged sources can make any number: a decoy scan of nmap makes 128 at
/// most.
const MOST: usize = 256;
/// The shortest silence that ends an incident.
const SHORTEST_SILENCE: u32 = 60;

/// What goes on.
#[derive(Debug)]
struct Incident {
    alert: Alert,
    number: u64,
    began: Timestamp,
    last: Timestamp,
    /// Seconds of silence that end it.
    silence: u32,
    packets: u64,
    /// Packets at which it is told next.
    next: u64,
    /// Different things that were tried before it was one, and since.
    before: u32,
    things: Distinct<128>,
}

/// An incident that is to be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// What it is.
    pub alert: Alert,
    /// Its number.
    pub number: u64,
    /// Packets so far.
    pub packets: u64,
    /// Different things that were tried so far.
    pub things: u32,
    /// How long it has been going on.
    pub lasted: Duration,
    /// It has just begun.
    pub is_new: bool,
}

/// How an incident begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    /// What it is.
    pub alert: Alert,
    /// Packets that were needed to see it.
    pub packets: u64,
    /// Different things among these.
    pub things: u32,
    /// How long they took, in seconds.
    pub seconds: u32,
    /// Seconds in which they count together.
    pub window: u32,
}

/// All incidents.
#[derive(Debug)]
pub(super) struct Incidents {
    open: HashMap<u64, Incident, FixedState>,
    begun: u64,
    untold: u64,
}

impl Incidents {
    pub(super) fn new() -> Self {
        Self { open: HashMap::with_hasher(FixedState::default()), begun: 0, untold: 0 }
    }

    /// How many began so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// How many found no room.
    pub(super) fn untold(&self) -> u64 {
        self.untold
    }

    /// Whether the incident `key` goes on.
    pub(super) fn goes_on(&self, key: u64, now: Timestamp) -> bool {
        self.open.get(&key).is_some_and(|incident| !incident.is_over(now))
    }

    /// Adds a packet, which tried `thing`, to the incident `key`, if it goes on. `Err` if there is none.
    pub(super) fn add(&mut self, key: u64, thing: u64, now: Timestamp) -> Result<Option<News>, ()> {
        let incident = self.open.get_mut(&key).filter(|incident| !incident.is_over(now)).ok_or(())?;
        incident.packets += 1;
        incident.last = incident.last.max(now);
        incident.things.add(thing);
        if incident.packets < incident.next {
            return Ok(None);
        }
        incident.next = incident.packets.saturating_mul(2);
        Ok(Some(incident.news(false)))
    }

    /// Begins an incident. Nothing is told where there is no room for it.
    pub(super) fn begin(&mut self, key: u64, beginning: &Beginning, now: Timestamp) -> Option<News> {
        if self.open.len() >= MOST && !self.open.contains_key(&key) {
            self.open.retain(|_, incident| !incident.is_over(now));
        }
        if self.open.len() >= MOST && !self.make_room(now) {
            self.untold += 1;
            return None;
        }
        self.begun += 1;
        let &Beginning { alert, packets, things, seconds, window } = beginning;
        let incident = Incident {
            alert,
            number: self.begun,
            began: now.minus(Duration::from_secs(seconds.into())),
            last: now,
            silence: window.max(SHORTEST_SILENCE),
            packets,
            next: packets.saturating_mul(2),
            before: things,
            things: Distinct::new(),
        };
        let news = incident.news(true);
        self.open.insert(key, incident);
        Some(news)
    }

    /// Gives up the incident that has been silent for longest, if it has been so for a minute.
    fn make_room(&mut self, now: Timestamp) -> bool {
        let oldest = self.open.iter().min_by_key(|(_, incident)| incident.last);
        let oldest = oldest.filter(|(_, incident)| now.since(incident.last).as_secs() >= SHORTEST_SILENCE.into());
        oldest.map(|(&key, _)| key).is_some_and(|key| self.open.remove(&key).is_some())
    }
}

impl Incident {
    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.last) > Duration::from_secs(self.silence.into())
    }

    fn news(&self, is_new: bool) -> News {
        News {
            alert: self.alert,
            number: self.number,
            packets: self.packets,
            things: self.before.saturating_add(self.things.count()),
            lasted: self.last.since(self.began),
            is_new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_parts(second, 0)
    }

    fn scan() -> Beginning {
        Beginning { alert: Alert::ScanSyn, packets: 10, things: 10, seconds: 2, window: 60 }
    }

    #[test]
    fn an_incident_is_told_at_doubling_counts_and_ends_in_silence() {
        let mut incidents = Incidents::new();
        assert_eq!(incidents.add(1, 0, at(0)), Err(()));
        assert_eq!(incidents.begin(1, &scan(), at(10)).map(|news| (news.number, news.lasted.as_secs())), Some((1, 2)));
        let told: Vec<_> =
            (0..1000).filter_map(|n| incidents.add(1, n, at(11)).unwrap()).map(|news| news.packets).collect();
        assert_eq!(told, [20, 40, 80, 160, 320, 640]);
        assert!(incidents.goes_on(1, at(71)) && !incidents.goes_on(1, at(72)));
        assert_eq!(incidents.add(1, 0, at(72)), Err(()));
        assert_eq!(incidents.begin(1, &scan(), at(72)).map(|news| news.number), Some(2));
    }

    #[test]
    fn there_is_a_bound_and_what_is_beyond_it_is_counted() {
        let mut incidents = Incidents::new();
        for key in 0..MOST as u64 + 10 {
            incidents.begin(key, &scan(), at(0));
        }
        assert_eq!((incidents.begun(), incidents.untold(), incidents.open.len()), (MOST as u64, 10, MOST));
        assert!(incidents.begin(1_000, &scan(), at(60)).is_some(), "the silent give way");
        assert_eq!(incidents.open.len(), MOST);
    }
}
