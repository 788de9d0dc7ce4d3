//! What was suspicious lately: the latest line of each incident, for who begins to look after it has begun.

use crate::control::limits::INCIDENTS;
use crate::control::report::IncidentsPage;
use crate::record::tap::{Batch, Kind};
use serde_json::Value;
use std::collections::VecDeque;

/// The incidents, the one that something was told of last at the end.
#[derive(Debug, Default)]
pub struct Lately {
    lines: VecDeque<(u64, Value)>,
    forgotten: u64,
}

impl Lately {
    /// Takes in events.
    pub fn take(&mut self, batch: &Batch) {
        for (_, line) in batch.lines().filter(|&(kind, _)| kind == Kind::Suspicious) {
            let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
            // A single odd packet has no number.
            if let Some(number) = line.get("incident").and_then(Value::as_u64) {
                self.put(number, line);
            }
        }
    }

    fn put(&mut self, number: u64, line: Value) {
        self.lines.retain(|(known, _)| *known != number);
        if self.lines.len() >= INCIDENTS {
            self.lines.pop_front();
            self.forgotten += 1;
        }
        self.lines.push_back((number, line));
    }

    /// All of them, the latest first.
    pub fn told(&self) -> IncidentsPage {
        let events = self.lines.iter().rev().map(|(_, line)| line.clone()).collect();
        IncidentsPage { events, forgotten: self.forgotten }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_latest_line_of_each_incident_stays_and_the_oldest_incident_gives_way() {
        let mut lately = Lately::default();
        for (number, packets) in [(1, 10), (2, 10), (1, 20)] {
            lately.put(number, json!({ "incident": number, "packets": packets }));
        }
        let expected = [json!({ "incident": 1, "packets": 20 }), json!({ "incident": 2, "packets": 10 })];
        assert_eq!(lately.told(), IncidentsPage { events: expected.to_vec(), forgotten: 0 });
        for number in 0..INCIDENTS as u64 {
            lately.put(100 + number, json!({}));
        }
        let told = lately.told();
        assert_eq!((told.events.len(), told.forgotten), (INCIDENTS, 2));
    }
}
