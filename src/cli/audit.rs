//! `pfw audit`: what the running pfw's rules dropped, held against what the kernel reported and what was logged.

use super::Exit;
use super::options::ShowArgs;
use super::steer::{ask_for, show, unexpected};
use super::text::{grouped, visible};
use crate::control::report::{Account, AuditReport};
use crate::control::{Answer, Request};
use anyhow::Result;
use std::fmt::Write;

/// Shows it. What does not add up is a failure, so that a script sees it.
pub fn run(args: &ShowArgs) -> Result<Exit> {
    let Answer::Audit(audit) = ask_for(args, &Request::Audit)? else { return Err(unexpected()) };
    show(args, &audit, |audit| shown(audit))?;
    Ok(if audit.unaccounted == 0 { Exit::Fine } else { Exit::Failed })
}

/// A line for each rule, their sum, what was lost, and whether it adds up.
fn shown(audit: &AuditReport) -> String {
    let mut text = row(["dropped", "reported", "unread", "missing", "logged"].map(str::to_owned), "rule");
    for rule in &audit.rules {
        text += &account(&rule.account, &visible(&rule.id));
    }
    text += &account(&audit.sum, &all_together(audit.left_out));
    text.push('\n');
    let losses = [("reports lost in the kernel", audit.lost_reports), ("lines lost in the log", audit.lost_log)];
    let differences = audit.differences.iter().map(|(cause, &n)| (visible(cause), n));
    let differences = differences.map(|(cause, n)| (format!("otherwise than predicted: {cause}"), n));
    for (name, n) in losses.map(|(name, n)| (name.to_owned(), n)).into_iter().chain(differences) {
        // Writing to memory does not fail.
        let _ = writeln!(text, "{name:<40} {:>12}", grouped(n));
    }
    text + &verdict(audit) + "\n"
}

fn all_together(left_out: usize) -> String {
    match left_out {
        0 => "all together".to_owned(),
        n => format!("all together, with {} more rules that dropped less than these", grouped(n as u64)),
    }
}

fn account(account: &Account, name: &str) -> String {
    let Account { dropped, reported, unread, missing, logged } = *account;
    row([dropped, reported, unread, missing, logged].map(grouped), name)
}

fn row([dropped, reported, unread, missing, logged]: [String; 5], name: &str) -> String {
    format!("{dropped:>12} {reported:>12} {unread:>12} {missing:>12} {logged:>12}  {name}\n")
}

fn verdict(audit: &AuditReport) -> String {
    if audit.unreported {
        "nothing is logged, and so nothing is reported: the kernel's counters are all there is".to_owned()
    } else if audit.unaccounted == 0 && audit.sum.unread > 0 {
        let n = grouped(audit.sum.unread);
        format!(
            "the kernel's counters, its reports and the losses add up; unread: {n} were reported after their rule was counted \
             last, be it that it was replaced then"
        )
    } else if audit.unaccounted == 0 {
        "the kernel's counters, its reports and the losses add up".to_owned()
    } else {
        let n = grouped(audit.unaccounted);
        format!("{n} packets were dropped of which neither a report nor its loss is known")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::report::RuleAccount;
    use std::collections::BTreeMap;

    fn audit() -> AuditReport {
        let rule = |id: &str, account| RuleAccount { id: id.to_owned(), account };
        let (web, ping) = (Account::new(1_010, 1_008, 1_007), Account::new(3, 3, 3));
        let sum = Account { dropped: 1_013, reported: 1_011, unread: 0, missing: 2, logged: 1_010 };
        let rules = vec![rule("web\u{1b}", web), rule("ping", ping)];
        AuditReport { rules, sum, lost_reports: 2, ..AuditReport::default() }
    }

    #[test]
    fn the_table_shows_each_rule_and_the_sum() {
        assert_eq!(
            shown(&audit()),
            "     dropped     reported       unread      missing       logged  rule
       1,010        1,008            0            2        1,007  web\u{fffd}
           3            3            0            0            3  ping
       1,013        1,011            0            2        1,010  all together

reports lost in the kernel                          2
lines lost in the log                               0
the kernel's counters, its reports and the losses add up
"
        );
    }

    #[test]
    fn what_does_not_add_up_and_what_was_left_out_is_said() {
        let differences = BTreeMap::from([("window".to_owned(), 4)]);
        let text = shown(&AuditReport { unaccounted: 7, left_out: 12, differences, ..audit() });
        assert!(text.contains("  all together, with 12 more rules that dropped less than these\n"), "{text}");
        assert!(text.contains("otherwise than predicted: window                    4\n"), "{text}");
        assert!(text.ends_with("\n7 packets were dropped of which neither a report nor its loss is known\n"), "{text}");
        let text = shown(&AuditReport { unreported: true, ..audit() });
        assert!(text.ends_with("the kernel's counters are all there is\n"), "{text}");
    }
}
