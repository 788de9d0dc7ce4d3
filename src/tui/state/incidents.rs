//! What is suspicious: incidents as they begin and grow, and single odd packets, gathered by name and source. The one that
//! something was heard of last comes first.

use super::cursor::List;
use crate::tui::event::{Event, Suspicion};
use std::net::IpAddr;

/// Incidents that are remembered at most. The one that nothing was heard of for longest gives way.
pub const MAX_ROWS: usize = 500;

/// One incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// What it is, and how grave.
    pub what: Suspicion,
    /// Packets so far.
    pub packets: u64,
    /// The time of day at which it was heard of first and last.
    pub since: Box<str>,
    /// See there.
    pub last: Box<str>,
    /// The latest line about it.
    pub line: Event,
}

impl Incident {
    /// Who does it, where that can be told: the sources of some things are many, or forged.
    pub fn source(&self) -> Option<IpAddr> {
        let name = &*self.what.name;
        let is_of_many = name.starts_with("flood.") || name == "scan.distributed" || name == "dns.unsolicited";
        self.line.src.filter(|_| !is_of_many)
    }

    /// Whether an event is about the same.
    fn is_same(&self, what: &Suspicion, event: &Event) -> bool {
        match (self.what.incident, what.incident) {
            (None, None) => self.what.name == what.name && self.line.src == event.src,
            (one, other) => one == other,
        }
    }
}

/// The incidents.
#[derive(Debug, Default)]
pub struct Incidents {
    /// They.
    pub list: List<Incident>,
}

impl Incidents {
    /// Takes in a line.
    pub fn take(&mut self, event: &Event, height: usize) {
        let Some(what) = &event.suspicion else { return };
        let known = self.list.rows.iter().position(|row| row.is_same(what, event));
        let before = known.map(|place| self.list.rows.remove(place));
        let packets = match what.incident {
            Some(_) => what.packets,
            None => before.as_ref().map_or(0, |row| row.packets) + 1,
        };
        let now: Box<str> = event.clock_to_the_second().into();
        let since = before.map_or_else(|| now.clone(), |row| row.since);
        self.list.rows.insert(0, Incident { what: what.clone(), packets, since, last: now, line: event.clone() });
        self.list.rows.truncate(MAX_ROWS);
        self.keep_selected(known);
        self.list.fit(height);
    }

    /// How many there are, single odd packets aside.
    pub fn count(&self) -> usize {
        self.list.rows.iter().filter(|row| row.what.incident.is_some()).count()
    }

    /// Takes in lines of incidents that began before anybody looked, the latest first.
    pub fn recall(&mut self, events: impl IntoIterator<Item = Event>, height: usize) {
        for event in events {
            let Some(what) = &event.suspicion else { continue };
            if self.list.rows.len() >= MAX_ROWS || self.list.rows.iter().any(|row| row.is_same(what, &event)) {
                continue;
            }
            let seen: Box<str> = event.clock_to_the_second().into();
            let (what, packets) = (what.clone(), what.packets);
            self.list.rows.push(Incident { what, packets, since: seen.clone(), last: seen, line: event });
        }
        self.list.fit(height);
    }

    /// The selected incident stays selected when another, which was at this place or nowhere, comes first; the first row
    /// stays the latest.
    fn keep_selected(&mut self, moved: Option<usize>) {
        let selected = self.list.cursor.selected;
        if selected == 0 {
            return;
        }
        match moved {
            Some(place) if place == selected => self.list.cursor.selected = 0,
            Some(place) if place < selected => {}
            _ => self.list.cursor.selected += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::event::testing::{alert, anomaly};
    use crate::tui::keys::Motion;

    fn names(incidents: &Incidents) -> Vec<(&str, u64)> {
        incidents.list.rows.iter().map(|row| (&*row.what.name, row.packets)).collect()
    }

    #[test]
    fn an_incident_is_one_row_that_grows_and_odd_packets_of_one_source_are_counted() {
        let mut incidents = Incidents::default();
        for event in [
            alert("scan.syn", 1, 10, "192.0.2.7"),
            anomaly("tcp.flags_all", "192.0.2.8"),
            anomaly("tcp.flags_all", "192.0.2.9"),
            anomaly("tcp.flags_all", "192.0.2.8"),
            alert("scan.syn", 1, 20, "192.0.2.7"),
            alert("scan.syn", 2, 10, "192.0.2.7"),
        ] {
            incidents.take(&event, 10);
        }
        let expected = [("scan.syn", 10), ("scan.syn", 20), ("tcp.flags_all", 2), ("tcp.flags_all", 1)];
        assert_eq!(names(&incidents), expected);
    }

    #[test]
    fn the_selected_incident_stays_selected_and_there_are_no_more_than_can_be_shown() {
        let mut incidents = Incidents::default();
        for number in 0..3 {
            incidents.take(&alert("scan.syn", number, 10, "192.0.2.7"), 10);
        }
        incidents.list.go(Motion::Down, 10);
        let selected = incidents.list.selected().unwrap().what.incident;
        for number in [3, 0, 2, 4] {
            incidents.take(&alert("scan.syn", number, 20, "192.0.2.7"), 10);
            assert_eq!(incidents.list.selected().unwrap().what.incident, selected, "{number}");
        }
        for number in 0..2_000 {
            incidents.take(&alert("scan.syn", number, 10, "192.0.2.7"), 10);
        }
        assert_eq!(incidents.list.rows.len(), MAX_ROWS);
    }

    #[test]
    fn what_began_before_stands_behind_what_came_since_and_is_no_second_row() {
        let mut incidents = Incidents::default();
        incidents.take(&alert("scan.syn", 3, 20, "192.0.2.7"), 10);
        let before = [alert("scan.syn", 3, 10, "192.0.2.7"), alert("scan.udp", 2, 40, "192.0.2.7")];
        incidents.recall(before.clone(), 10);
        incidents.recall(before, 10);
        assert_eq!(names(&incidents), [("scan.syn", 20), ("scan.udp", 40)]);
        incidents.take(&alert("scan.udp", 2, 80, "192.0.2.7"), 10);
        assert_eq!(names(&incidents), [("scan.udp", 80), ("scan.syn", 20)]);
    }

    #[test]
    fn floods_have_no_source_that_could_be_blocked() {
        let mut incidents = Incidents::default();
        incidents.take(&alert("flood.syn", 1, 1_000, "192.0.2.7"), 10);
        incidents.take(&alert("scan.syn", 2, 10, "192.0.2.7"), 10);
        assert_eq!(incidents.list.rows.iter().map(|row| row.source().is_some()).collect::<Vec<_>>(), [true, false]);
    }
}
