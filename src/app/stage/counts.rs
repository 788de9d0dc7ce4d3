//! What was counted, and whether it adds up.

use super::Stage;
use crate::app::audit::Audit;
use crate::app::generations::Counted;
use crate::app::hits::Hits;
use crate::control::report::AuditReport;
use crate::record::{Lost, LostCause, Summary};
use crate::time::Timestamp;
use std::time::Instant;

impl Stage {
    /// What was counted so far, without the hits of rules and what the kernel's counters say.
    pub fn counts(&self) -> Summary {
        let mut summary = Summary {
            lost_kernel: self.lost.frames,
            lost_reports: self.lost.reports,
            differences: self.truth.as_ref().map(|truth| truth.differences).unwrap_or_default(),
            forwarded: self.truth.as_ref().map_or(0, |truth| truth.forwarded),
            untold_flows: self.forwarding.forgotten().div_ceil(2)
                + self.translated.forgotten()
                + self.truth.as_ref().map_or(0, |truth| truth.own.forgotten()),
            untold_packets: self.truth.as_ref().map_or(0, |truth| truth.withheld.refused()),
            untold_datagrams: self.forwarding.forgotten_datagrams()
                + self.translated.forgotten_datagrams()
                + self.truth.as_ref().map_or(0, |truth| truth.withheld.forgotten() + truth.own.forgotten_datagrams()),
            duplicates: self.duplicates,
            other_host: self.other_host,
            not_for_stack: self.not_for_stack,
            ..self.pipeline.counts().clone()
        };
        self.conntrack.add_to(&mut summary);
        summary
    }

    /// How often each rule decided so far.
    pub fn hits(&self) -> Hits {
        self.pipeline.hits()
    }

    /// What is told to who asks for the audit.
    pub fn audit_report(&mut self) -> AuditReport {
        let lost_log = self.pipeline.log().map_or(0, |log| log.handle().counts().lost_log());
        let differences = self.truth.as_ref().map(|truth| truth.differences).unwrap_or_default();
        self.audit().report(differences, lost_log)
    }

    /// What became of all frames.
    pub fn summary(&mut self) -> Summary {
        self.conntrack.read(Instant::now());
        let audit = self.audit();
        let Audit { sum, unaccounted, .. } = audit;
        let (kernel_counters, kernel_reports) = (sum.dropped, sum.reported);
        let Summary { rules, alerts, .. } = self.pipeline.summary();
        let summary = Summary { kernel_counters, kernel_reports, unaccounted, rules, alerts, ..self.counts() };
        if audit.unreported { audit.instead_of_reports(summary) } else { summary }
    }

    /// Takes the kernel's counters of its rules.
    pub fn count(&mut self, counted: &Counted) {
        if let Some(truth) = &mut self.truth {
            truth.generations.counted(counted);
        }
    }

    /// What the kernel dropped, held against what it reported and what was logged.
    pub fn audit(&self) -> Audit {
        let Some(truth) = &self.truth else { return Audit::default() };
        let audit = truth.generations.audit(self.lost.reports);
        if truth.unreported { audit.of_counters_alone() } else { audit }
    }

    /// Owns up, at the end, to drops of which the kernel's counters alone tell.
    pub fn own_up(&mut self, now: Timestamp) {
        let Audit { unaccounted, unreported, .. } = self.audit();
        let (from, to) = self.doubts.span().unwrap_or((self.asked, now));
        if let Some(log) = self.pipeline.log().filter(|_| unaccounted > 0 && !unreported) {
            log.lost(Lost { n: unaccounted, cause: LostCause::Reports, from, to });
        }
    }
}
