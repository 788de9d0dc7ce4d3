//! `pfw rules`: the rules of the running pfw in the order in which they act, with how often each decided.

use super::Exit;
use super::options::ShowArgs;
use super::steer::{ask_for, show, unexpected};
use super::text::{grouped, visible};
use crate::control::report::RuleRow;
use crate::control::{Answer, Request};
use anyhow::Result;
use serde::Serialize;
use std::fmt::Write;

/// Widest column of ids and of conditions; what is longer pushes the rest of its row to the right.
const ID_WIDTH: usize = 36;
const MATCHES_WIDTH: usize = 64;

/// What `--json` prints.
#[derive(Serialize)]
struct Rules {
    generation: u32,
    rules: Vec<RuleRow>,
}

/// Shows them.
pub fn run(args: &ShowArgs) -> Result<Exit> {
    let rules = all(args)?;
    show(args, &rules, |rules| table(&rules.rules))?;
    Ok(Exit::Fine)
}

/// All pages.
fn all(args: &ShowArgs) -> Result<Rules> {
    let mut rules = Rules { generation: 0, rules: Vec::new() };
    loop {
        let request = Request::Rules { from: rules.rules.len() };
        let Answer::Rules(mut page) = ask_for(args, &request)? else { return Err(unexpected()) };
        if page.generation != rules.generation && !rules.rules.is_empty() {
            // They were exchanged in between: from the start.
            rules.rules.clear();
            continue;
        }
        rules.generation = page.generation;
        let is_last = page.rows.is_empty() || rules.rules.len() + page.rows.len() >= page.total;
        rules.rules.append(&mut page.rows);
        if is_last {
            return Ok(rules);
        }
    }
}

fn table(rows: &[RuleRow]) -> String {
    let acting = rows.iter().filter(|row| row.idle.is_none()).count();
    let idle = match rows.len() - acting {
        0 => String::new(),
        idle => format!(", and {idle} without effect now"),
    };
    let mut text = format!("{acting} rules in the order in which they act{idle}\n");
    let widest = |of: fn(&RuleRow) -> usize, most: usize| rows.iter().map(of).max().unwrap_or(0).min(most);
    let id_width = widest(|row| row.id.chars().count(), ID_WIDTH);
    let matches_width =
        widest(|row| if remarks(row).is_empty() { 0 } else { row.matches.chars().count() }, MATCHES_WIDTH);
    for section in rows.chunk_by(|a, b| a.step == b.step) {
        for (index, row) in section.iter().enumerate() {
            if index == 0 {
                let _ = writeln!(text, "\nstep {}: {:<15} {:>12}", row.step, visible(&row.list), "hits");
            }
            let number = row.number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let hits = row.hits.map_or_else(|| "\"".to_owned(), grouped);
            let (id, matches) = (visible(&row.id), visible(&row.matches));
            let line = format!(
                "{number:>6}  {:<6}  {hits:>18}  {id:<id_width$}  {matches:<matches_width$}  {}",
                visible(&row.action),
                visible(&remarks(row))
            );
            // Writing to memory does not fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}

/// What is to be said behind a row: that it is idle, when it ends, what the user remarked.
fn remarks(row: &RuleRow) -> String {
    let ends = if row.idle.as_deref() == Some("expired") { "ended" } else { "until" };
    let expires = row.expires.as_ref().map(|time| format!("{ends} {time}"));
    let state: Vec<String> = row.idle.clone().into_iter().chain(expires).collect();
    let state = (!state.is_empty()).then(|| format!("[{}]", state.join("; ")));
    let comment = row.comment.as_ref().map(|comment| format!("# {comment}"));
    state.into_iter().chain(comment).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u8, list: &str, number: Option<usize>, id: &str, hits: Option<u64>) -> RuleRow {
        let (list, id, action) = (list.to_owned(), id.to_owned(), "block".to_owned());
        RuleRow { step, list, number, action, id, matches: "192.0.2.1".to_owned(), hits, ..RuleRow::default() }
    }

    #[test]
    fn the_table_has_each_step_with_its_rows_and_their_hits() {
        let mut idle = row(3, "block_ips", None, "old", Some(0));
        idle.idle = Some("expired".to_owned());
        idle.expires = Some("2026-01-01T00:00:00Z".to_owned());
        let mut remarked = row(5, "block_ports", Some(2), "b\u{1b}", None);
        remarked.comment = Some("why".to_owned());
        let expected = "\
2 rules in the order in which they act, and 1 without effect now

step 3: block_ips               hits
     1  block            1,234,567  block_ips:192.0.2.1  192.0.2.1
     -  block                    0  old                  192.0.2.1  [expired; ended 2026-01-01T00:00:00Z]

step 5: block_ports             hits
     2  block                    \"  b\u{fffd}                   192.0.2.1  # why
";
        let rows = [row(3, "block_ips", Some(1), "block_ips:192.0.2.1", Some(1_234_567)), idle, remarked];
        assert_eq!(table(&rows), expected);
    }
}
