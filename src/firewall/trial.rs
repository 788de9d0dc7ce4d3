//! What the tools are given to validate of a transaction before any table is changed: one rule of each form.
//!
//! It finds what a tool can't parse while neither family has changed. Rules of one form differ in addresses, ports and
//! names alone, which were read and written by us: of ten thousand the tools would parse ten thousand times the same,
//! for a third of a second.

use super::names::TableName;
use super::words::form;
use std::collections::HashSet;

/// The part of a transaction that is to be validated; `None` if that is nothing.
pub(super) fn trial(transaction: &str) -> Option<String> {
    // Each with the table that it is in.
    let mut known: HashSet<(TableName, String)> = HashSet::new();
    let mut trial = String::new();
    for section in transaction.split_inclusive("COMMIT\n") {
        let mut has_rules = false;
        let is_wanted = |line: &&str| {
            let Some((chain, rule)) = as_rule(line) else { return true };
            let is_new = known.insert((TableName::of_chain(chain), form(rule)));
            has_rules |= is_new;
            is_new
        };
        let part: String = section.split_inclusive('\n').filter(is_wanted).collect();
        if has_rules {
            trial += &part;
        }
    }
    (!trial.is_empty()).then_some(trial)
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
    fn one_rule_of_each_form_is_tried_in_the_tables_that_have_any() {
        let both = [RAW, FILTER].concat();
        assert_eq!(trial(&both), Some(both.replace("-A PFW-IN -s 192.0.2.2/32 -j DROP\n", "")));
        assert_eq!(trial(&[FILTER, FILTER].concat()), trial(FILTER), "the second has no form of its own");
        assert_eq!(trial("*filter\n-X PFW-OLD\nCOMMIT\n"), None);
    }
}
