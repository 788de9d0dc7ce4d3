//! What is said of a whole run or a whole capture file.

use super::difference::Differences;
use super::line::Verdict;
use super::sink::LogCounts;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The numbers of a run. Serialized it is the one line of JSON that `--json` asks for; shown it is the table that
/// ends a run.
///
/// `packets = allowed + blocked + would_block + malformed`, always: what else there is was counted beside them. Of
/// forwarded packets, when rules are enforced, these are what the kernel reported: each blocked one, and the first of
/// each flow that passed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Packets that were judged, and malformed ones, which have no verdict.
    pub packets: u64,
    /// Packets that no rule of pfw dropped.
    pub allowed: u64,
    /// Packets that the kernel dropped by a rule of pfw.
    pub blocked: u64,
    /// Packets that the rules would have blocked, had they been enforced.
    pub would_block: u64,
    /// Packets that are malformed or odd: each has a `[SUSPICIOUS]` line.
    pub suspicious: u64,
    /// Incidents of suspicious traffic, each with its lines.
    pub incidents: u64,
    /// Incidents that began while as many as can be told apart went on: they have no line.
    pub incidents_untold: u64,
    /// Packets that could not be judged because their bytes make no sense.
    pub malformed: u64,
    /// Frames that carry no IP, of those that were allowed.
    pub non_ip: u64,
    /// Packets that the kernel had no room for: never seen.
    pub lost_kernel: u64,
    /// Reports of dropped packets that the kernel had no room for.
    pub lost_reports: u64,
    /// Packets with which the kernel did otherwise than was predicted, by cause.
    pub differences: Differences,
    /// Packets that the kernel's rules dropped, by their counters as far as these could be read.
    pub kernel_counters: u64,
    /// Packets that the kernel reported as dropped.
    pub kernel_reports: u64,
    /// Packets that the kernel's rules dropped and of which neither a report nor its loss is known.
    pub unaccounted: u64,
    /// Packets that connection tracking dropped, most of them because its table was full: not by a rule of pfw.
    pub conntrack_dropped: u64,
    /// Connections that connection tracking could not enter, each with a packet that was dropped.
    pub conntrack_insert_failed: u64,
    /// Connections that connection tracking gave up because its table was full.
    pub conntrack_evicted: u64,
    /// Lines that the log could not take.
    pub lost_log: u64,
    /// Forwarded packets that the tap saw coming in while rules were enforced: the kernel's reports speak of them.
    pub forwarded: u64,
    /// Translated flows through this machine that found no room: their packets were taken for its own.
    pub untold_flows: u64,
    /// Datagrams in fragments that found no room: of what was dropped, fragments may have a line of their own, and of what was
    /// translated, forwarded or a transparent proxy's their later fragments are taken for what they look like.
    pub untold_datagrams: u64,
    /// Packets for addresses of others that found no room to wait in until it was known whether rules of others lead them
    /// to this machine: those that were have no line.
    pub untold_packets: u64,
    /// Frames for other hosts: seen, neither judged nor logged.
    pub other_host: u64,
    /// Further sightings of packets that were judged elsewhere (bridge and port, `lo` twice).
    pub duplicates: u64,
    /// Frames that never reached the IP stack of this host.
    pub not_for_stack: u64,
    /// Rules that decided a packet, by id, with how many.
    pub rules: BTreeMap<String, u64>,
    /// What was suspicious, by name: packets for what one packet tells, incidents for what many do.
    pub alerts: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// Counts a packet by its verdict.
    pub fn add(&mut self, verdict: Verdict) {
        self.packets += 1;
        match verdict {
            Verdict::Allowed => self.allowed += 1,
            Verdict::Blocked => self.blocked += 1,
            Verdict::WouldBlock => self.would_block += 1,
        }
    }

    /// Takes over what the log counted. To be called when its writer has ended, or has been abandoned: what it was
    /// handed and did not write by then is lost.
    pub fn add_log(&mut self, counts: &LogCounts) {
        self.lost_log += counts.lost_log() + counts.abandoned();
    }

    /// The rules that hit, most hits first, those with as many by id.
    fn ranked(&self) -> Vec<(&str, u64)> {
        let mut rules: Vec<_> = self.rules.iter().map(|(id, &hits)| (id.as_str(), hits)).collect();
        // The sort is stable, and the map is in the order of ids.
        rules.sort_by_key(|&(_, hits)| std::cmp::Reverse(hits));
        rules.retain(|&(_, hits)| hits > 0);
        rules
    }
}

impl fmt::Display for Summary {
    /// A table of the numbers, and one of the rules. The six that belong to every run always have a line, the others
    /// if they are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let always = [
            ("packets", self.packets),
            ("allowed", self.allowed),
            ("would-block", self.would_block),
            ("malformed", self.malformed),
            ("lost in the kernel", self.lost_kernel),
            ("lost in the log", self.lost_log),
        ];
        let sometimes = [
            ("blocked", self.blocked),
            ("lost reports", self.lost_reports),
            ("kernel's counters", self.kernel_counters),
            ("kernel's reports", self.kernel_reports),
            ("unaccounted drops", self.unaccounted),
            ("dropped: conntrack", self.conntrack_dropped),
            ("not entered: conntrack", self.conntrack_insert_failed),
            ("evicted: conntrack", self.conntrack_evicted),
            ("suspicious", self.suspicious),
            ("incidents", self.incidents),
            ("incidents not told", self.incidents_untold),
            ("not IP", self.non_ip),
            ("seen forwarded", self.forwarded),
            ("flows not told", self.untold_flows),
            ("datagrams not told", self.untold_datagrams),
            ("packets not told", self.untold_packets),
            ("for other hosts", self.other_host),
            ("logged elsewhere", self.duplicates),
            ("not for the IP stack", self.not_for_stack),
        ];
        for (name, n) in always.into_iter().chain(sometimes.into_iter().filter(|&(_, n)| n > 0)) {
            writeln!(f, "{name:<20} {n:>12}")?;
        }
        for (cause, n) in self.differences.iter() {
            writeln!(f, "{:<20} {n:>12}  {}", "differences", cause.name())?;
        }
        let rules = self.ranked();
        if !rules.is_empty() {
            writeln!(f, "\n{:>12}  rule", "hits")?;
        }
        for (id, hits) in rules {
            writeln!(f, "{hits:>12}  {id}")?;
        }
        if !self.alerts.is_empty() {
            writeln!(f, "\n{:>12}  suspicious", "times")?;
        }
        for (name, times) in &self.alerts {
            writeln!(f, "{times:>12}  {name}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        let rules = [("reply", 40), ("default_policy", 57), ("block_ips:192.0.2.1", 3), ("ping", 40), ("unused", 0)];
        Summary {
            packets: 141,
            allowed: 137,
            would_block: 3,
            malformed: 1,
            suspicious: 1,
            non_ip: 2,
            duplicates: 4,
            rules: rules.map(|(id, hits)| (id.to_owned(), hits)).into(),
            ..Summary::default()
        }
    }

    #[test]
    fn the_table_has_the_numbers_and_the_rules_that_hit() {
        let expected = "\
packets                       141
allowed                       137
would-block                     3
malformed                       1
lost in the kernel              0
lost in the log                 0
suspicious                      1
not IP                          2
logged elsewhere                4

        hits  rule
          57  default_policy
          40  ping
          40  reply
           3  block_ips:192.0.2.1
";
        assert_eq!(summary().to_string(), expected);
    }

    #[test]
    fn json_is_one_line_with_the_names_of_the_contract() {
        let json = serde_json::to_string(&summary()).unwrap();
        assert!(!json.contains('\n'));
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        for (name, n) in [("packets", 141), ("allowed", 137), ("would_block", 3), ("suspicious", 1), ("malformed", 1)] {
            assert_eq!(value[name], n, "{name}");
        }
        assert_eq!(value["rules"]["block_ips:192.0.2.1"], 3);
        assert_eq!(value["lost_log"], 0);
    }

    #[test]
    fn what_the_log_lost_is_taken_over() {
        let mut summary = Summary::default();
        summary.add_log(&LogCounts { lost_queue: 3, lost_write: 4, lost_kernel: 9, ..LogCounts::default() });
        assert_eq!((summary.lost_log, summary.lost_kernel), (7, 0));
    }

    #[test]
    fn lines_that_an_abandoned_writer_still_had_are_lost_too() {
        let mut summary = Summary::default();
        summary.add_log(&LogCounts { accepted: 100, lines: 60, lost_write: 5, lost_queue: 2, ..LogCounts::default() });
        assert_eq!(summary.lost_log, 40 + 2, "100 accepted and 60 written, and 2 that were not even accepted");
    }
}
