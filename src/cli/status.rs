//! `pfw status`: what the running pfw does, and how it fares.

use super::Exit;
use super::options::ShowArgs;
use super::steer::{ask_for, show, unexpected};
use super::text::{duration, grouped, size, time, visible};
use crate::control::report::{Counts, Spell, Status};
use crate::control::{Answer, Request};
use anyhow::Result;
use std::fmt::Write;

/// Shows it.
pub fn run(args: &ShowArgs) -> Result<Exit> {
    let Answer::Status(status) = ask_for(args, &Request::Status)? else { return Err(unexpected()) };
    show(args, &status, |status| shown(status))?;
    Ok(Exit::Fine)
}

/// The whole page: what it does, then what it works with, then numbers, and last what somebody should look at.
fn shown(status: &Status) -> String {
    let mut lines = vec![headline(status), String::new()];
    lines.extend(facts(status).iter().map(|(name, value)| format!("{name:<12}{}", visible(value))));
    lines.push(String::new());
    lines.extend(numbers(status).iter().map(|(name, n, note)| format!("{name:<20}{:>16}{note}", grouped(*n))));
    let attention = attention(status);
    if !attention.is_empty() {
        lines.push(String::new());
        lines.extend(attention.iter().map(|line| format!("! {}", visible(line))));
    }
    lines.iter().fold(String::new(), |mut text, line| {
        // Writing to memory does not fail.
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

fn headline(status: &Status) -> String {
    let tools = status.tools.as_ref().map(|tools| visible(tools));
    let regime = &status.regime;
    let doing = match &status.tools {
        _ if regime.panic.is_some() => "blocking all but loopback (panic)".to_owned(),
        _ if regime.enforcement_paused.is_some() => "paused: nothing is blocked".to_owned(),
        Some(_) if status.degraded => {
            format!("degraded: somebody has changed its rules ({})", tools.unwrap_or_default())
        }
        Some(_) => format!("enforcing the rules by {}", tools.unwrap_or_default()),
        None if status.enforcing => "about to enforce the rules".to_owned(),
        None if status.others_enforce => "watching; it blocks nothing itself".to_owned(),
        None => "watching; nothing is blocked".to_owned(),
    };
    format!("pfw {} is {doing}", visible(&status.version))
}

fn facts(status: &Status) -> Vec<(&'static str, String)> {
    let rules = &status.rules;
    let log = match (&status.log.file, status.log.size) {
        (None, _) => "standard output".to_owned(),
        (Some(file), Some(bytes)) => format!("{} ({})", file.display(), size(bytes)),
        (Some(file), None) => format!("{} (not there)", file.display()),
    };
    let loaded = match rules.generation {
        0 | 1 => String::new(),
        n => format!(", put in force {} times, last at {}", grouped(n.into()), time(&rules.since)),
    };
    let count = match (rules.count, &status.regime.panic) {
        (_, Some(_)) => "that of the panic in their place".to_owned(),
        (1, None) => "1 rule".to_owned(),
        (count, None) => format!("{} rules", grouped(count as u64)),
    };
    vec![
        ("process", format!("{}, since {} ({})", status.pid, time(&status.since), duration(status.uptime))),
        ("rules", format!("{} ({count}{loaded})", rules.file.display())),
        ("interfaces", status.interfaces.join(", ")),
        ("log", log),
    ]
}

/// Name, number, and what stands behind it. The first ones always have a line, the others if they are not zero.
fn numbers(status: &Status) -> Vec<(&'static str, u64, String)> {
    let Counts { packets, allowed, blocked, would_block, suspicious, malformed, .. } = status.counts;
    let none = String::new;
    let verdict =
        if status.enforcing { ("  blocked", blocked, none()) } else { ("  would be blocked", would_block, none()) };
    let rate = format!("  {} per second", grouped(status.packets_per_second));
    let always = [("packets", packets, rate), ("  allowed", allowed, none()), verdict];
    let sometimes = [
        ("  malformed", malformed, none()),
        ("suspicious", suspicious, none()),
        (
            "lost in the kernel",
            status.counts.lost_kernel,
            "  never seen; --ring-size gives them room, --capture-threads readers".to_owned(),
        ),
        ("lost reports", status.counts.lost_reports, "  dropped, and not in the log".to_owned()),
        ("lost in the log", status.counts.lost_log, "  lines that the log could not take".to_owned()),
        ("not told", status.counts.untold_packets, "  no line if rules of others led them to this machine".to_owned()),
        ("differences", status.counts.differences, "  the kernel did otherwise than predicted".to_owned()),
    ];
    always.into_iter().chain(sometimes.into_iter().filter(|(_, n, _)| *n > 0)).collect()
}

fn attention(status: &Status) -> Vec<String> {
    let confirm = status.confirm.map(|left| {
        format!("not confirmed: all is taken back in {left} s, unless 'pfw confirm' says that the rules stay")
    });
    let regime = &status.regime;
    let paused = if regime.panic.is_some() {
        "enforcement is paused: nothing is blocked once the panic ends"
    } else {
        "enforcement is paused: nothing is blocked"
    };
    let spells = [
        (&regime.panic, "panic: all but loopback is blocked", "panic"),
        (&regime.enforcement_paused, paused, "enforcement"),
        (&regime.monitoring_paused, "monitoring is paused: packets that are allowed have no line", "monitoring"),
    ];
    let spells = spells.into_iter().filter_map(|(spell, words, name)| {
        let Spell { since, until } = spell.as_ref()?;
        let end =
            until.as_ref().map_or_else(|| format!("'pfw resume {name}' ends it"), |end| format!("until {}", time(end)));
        Some(format!("{words}, since {}; {end}", time(since)))
    });
    let temporary = status.temporary.iter().map(|change| {
        let end = change
            .until
            .as_ref()
            .map_or_else(|| "while this pfw runs".to_owned(), |end| format!("until {}", time(end)));
        format!("temporary, {end}: {}", change.what)
    });
    let bans = status.bans.iter().map(|ban| {
        let again = if ban.times > 1 { format!(", time {}", ban.times) } else { String::new() };
        format!("{} is banned until {} ({}{again}): {}", ban.source, time(&ban.until), ban.alert, ban.reason)
    });
    confirm.into_iter().chain(spells).chain(status.warnings.iter().cloned()).chain(temporary).chain(bans).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::report::{LogState, RulesState};

    fn status() -> Status {
        Status {
            version: "0.1.0".to_owned(),
            pid: 4711,
            since: "no time".to_owned(),
            uptime: 7_500,
            enforcing: true,
            tools: Some("iptables-nft 1.8.9".to_owned()),
            others_enforce: false,
            rules: RulesState { file: "/etc/rules.json".into(), count: 12, generation: 1, ..RulesState::default() },
            interfaces: vec!["lo".to_owned(), "eth0\u{1b}[2J".to_owned()],
            counts: Counts { packets: 1_234_567, allowed: 1_200_000, blocked: 34_567, ..Counts::default() },
            packets_per_second: 1_500,
            log: LogState { file: Some("/var/log/firewall.log".into()), size: Some(12_900_000), lines: 7 },
            ..Status::default()
        }
    }

    #[test]
    fn what_is_well_is_a_short_page() {
        let expected = "\
pfw 0.1.0 is enforcing the rules by iptables-nft 1.8.9

process     4711, since no time (2 h 5 min)
rules       /etc/rules.json (12 rules)
interfaces  lo, eth0\u{fffd}[2J
log         /var/log/firewall.log (12.3 MiB)

packets                    1,234,567  1,500 per second
  allowed                  1,200,000
  blocked                     34,567
";
        assert_eq!(shown(&status()), expected);
    }

    #[test]
    fn rules_that_somebody_has_changed_are_not_said_to_be_enforced() {
        let text = shown(&Status { degraded: true, ..status() });
        assert!(
            text.starts_with("pfw 0.1.0 is degraded: somebody has changed its rules (iptables-nft 1.8.9)\n"),
            "{text}"
        );
    }

    #[test]
    fn what_is_not_well_is_said_last() {
        let status = Status {
            confirm: Some(28),
            warnings: vec!["the rules file was refused".to_owned()],
            counts: Counts { lost_kernel: 3, differences: 1, ..Counts::default() },
            enforcing: false,
            tools: None,
            ..status()
        };
        let text = shown(&status);
        assert!(text.starts_with("pfw 0.1.0 is watching; nothing is blocked\n"), "{text}");
        for words in ["would be blocked", "lost in the kernel                 3  never seen", "differences  "] {
            assert!(text.contains(words), "{words} in\n{text}");
        }
        assert!(text.ends_with("all is taken back in 28 s, unless 'pfw confirm' says that the rules stay\n! the rules file was refused\n"), "{text}");
    }
}
