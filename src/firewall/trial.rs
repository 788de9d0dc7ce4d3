//! What the tools are given to validate of a transaction before any table is changed: one rule of each form that the
//! kernel has not taken yet.
//!
//! It finds what a tool can't parse while neither family has changed. Rules of one form differ in addresses, ports and
//! names alone, which were read and written by us: of ten thousand the tools would parse ten thousand times the same,
//! for a third of a second. And where there is nothing new to parse, validating would cost more than all the rest of a
//! small change: the kernel waits for all its processors then.

use super::names::TableName;
use super::words::form;
use std::collections::{BTreeMap, HashSet};

/// Forms of rules, each with the table that it is in.
pub(super) type Forms = HashSet<(TableName, String)>;

/// The part of a transaction that is to be validated where rules of the forms `known` have been taken, which all of its
/// forms are then; `None` if that is nothing.
pub(super) fn trial(transaction: &str, known: &mut Forms) -> Option<String> {
    let mut trial = String::new();
    for section in transaction.split_inclusive("COMMIT\n") {
        let mut has_news = false;
        let is_wanted = |line: &&str| {
            let Some((chain, rule)) = as_rule(line) else { return true };
            let is_new = known.insert((TableName::of_chain(chain), form(rule)));
            has_news |= is_new;
            is_new
        };
        let part: String = section.split_inclusive('\n').filter(is_wanted).collect();
        if has_news {
            trial += &part;
        }
    }
    (!trial.is_empty()).then_some(trial)
}

/// The same with one section for each table, for each of which the kernel lets the tool wait. What is only taken out is
/// left out.
pub(super) fn merged(trial: &str) -> String {
    let mut sections: BTreeMap<&str, [Vec<&str>; 2]> = BTreeMap::new();
    let mut table = "";
    for line in trial.lines().filter(|line| *line != "COMMIT" && !line.starts_with("-X ")) {
        if line.starts_with('*') {
            table = line;
            continue;
        }
        let [headers, others] = sections.entry(table).or_default();
        let place = if line.starts_with(':') { headers } else { others };
        if !place.contains(&line) {
            place.push(line);
        }
    }
    let section = |(table, lines): (&str, [Vec<&str>; 2])| format!("{table}\n{}\nCOMMIT\n", lines.concat().join("\n"));
    sections.into_iter().map(section).collect()
}

/// The chain and the specification of a rule that a line appends.
fn as_rule(line: &str) -> Option<(&str, &str)> {
    line.trim_end().strip_prefix("-A ")?.split_once(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str =
        "*raw\n:PFW-RAW - [0:0]\n-A PFW-RAW -s 192.0.2.1/32 -j DROP\n-I PREROUTING 1 -j PFW-RAW\nCOMMIT\n";
    const FILTER: &str = "*filter\n:PFW-IN - [0:0]\n-A PFW-IN -s 192.0.2.1/32 -j DROP\n-A PFW-IN -p tcp -j DROP\n\
        -A PFW-IN -s 192.0.2.2/32 -j DROP\n-X PFW-OLD\nCOMMIT\n";

    #[test]
    fn one_rule_of_each_new_form_is_tried_in_the_tables_that_have_any() {
        let both = [RAW, FILTER].concat();
        let tried = trial(&both, &mut Forms::new()).expect("all is new");
        assert_eq!(tried, both.replace("-A PFW-IN -s 192.0.2.2/32 -j DROP\n", ""));
        let known = |table| (table, form("-s 10.0.0.0/8 -j DROP"));
        let tried = trial(&both, &mut Forms::from([known(TableName::Raw), known(TableName::Filter)]));
        assert_eq!(
            tried.as_deref(),
            Some("*filter\n:PFW-IN - [0:0]\n-A PFW-IN -p tcp -j DROP\n-X PFW-OLD\nCOMMIT\n"),
            "the raw table has nothing new"
        );
        assert_eq!(trial(RAW, &mut Forms::from([known(TableName::Raw)])), None);
    }

    #[test]
    fn what_is_tried_together_has_one_section_for_each_table() {
        let more = "*filter\n:PFW-IN - [0:0]\n:PFW-B0 - [0:0]\n-A PFW-B0 -j DROP\n-A PFW-IN -p tcp -j DROP\nCOMMIT\n";
        assert_eq!(
            merged(&[RAW, FILTER, more].concat()),
            [
                "*filter\n:PFW-IN - [0:0]\n:PFW-B0 - [0:0]\n-A PFW-IN -s 192.0.2.1/32 -j DROP\n\
                 -A PFW-IN -p tcp -j DROP\n-A PFW-IN -s 192.0.2.2/32 -j DROP\n-A PFW-B0 -j DROP\nCOMMIT\n",
                RAW
            ]
            .concat()
        );
    }
}
