//! What a run has seen, by class.

use super::judge::{Verdict, direction, word};
use super::lines::Line;
use super::shot::{Kind, Shot};
use pfw::engine::Direction;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Default)]
pub struct Tally {
    kinds: BTreeMap<Kind, u64>,
    directions: BTreeMap<&'static str, (u64, u64)>,
    steps: BTreeMap<String, (u64, u64)>,
    /// Packets that engine and conntrack see in different states, and those of them that were decided otherwise.
    causes: BTreeMap<&'static str, (u64, u64)>,
    /// Packets whose prediction hangs on one of which pfw learns late.
    late: u64,
    lines: BTreeMap<String, u64>,
}

impl Tally {
    pub fn shot(&mut self, shot: &Shot) {
        *self.kinds.entry(shot.kind).or_default() += 1;
    }

    pub fn verdict(&mut self, verdict: &Verdict) {
        let happening = &verdict.happening;
        let direction = match direction(happening) {
            Direction::LedAway => "led away",
            other => word(other),
        };
        add(self.directions.entry(direction).or_default(), happening.through);
        add(self.steps.entry(format!("{:?}", verdict.decision.step)).or_default(), happening.through);
        self.late += u64::from(verdict.late);
        if let Some(cause) = verdict.cause {
            let (seen, differ) = self.causes.entry(cause).or_default();
            *seen += 1;
            *differ += u64::from(verdict.decision.allows() != happening.through);
        }
    }

    pub fn line(&mut self, line: &Line) {
        *self.lines.entry(line.verdict.clone()).or_default() += 1;
    }

    /// Packets that reached the firewall.
    pub fn packets(&self) -> u64 {
        self.directions.values().map(|(through, dropped)| through + dropped).sum()
    }
}

fn add((through, dropped): &mut (u64, u64), came_through: bool) {
    *(if came_through { through } else { dropped }) += 1;
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} packets reached the firewall", self.packets())?;
        for (kind, n) in &self.kinds {
            writeln!(f, "  sent {:<22} {n:>9}", format!("{kind:?}"))?;
        }
        for (direction, (through, dropped)) in &self.directions {
            writeln!(f, "  {direction:<27} {through:>9} through {dropped:>9} dropped")?;
        }
        for (step, (through, dropped)) in &self.steps {
            writeln!(f, "  step {step:<22} {through:>9} through {dropped:>9} dropped")?;
        }
        for (verdict, n) in &self.lines {
            writeln!(f, "  lines {verdict:<21} {n:>9}")?;
        }
        writeln!(f, "  behind one dropped unseen    {:>9}", self.late)?;
        for (cause, (seen, differ)) in &self.causes {
            writeln!(f, "  state: {cause:<20} {seen:>9} seen    {differ:>9} decided otherwise")?;
        }
        Ok(())
    }
}
