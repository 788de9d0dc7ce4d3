//! The rules as a table for people.

use crate::alert::Response;
use crate::cli::text::visible;
use crate::rules::Loaded;
use crate::rules::order::{Row, Section};
use std::io::{self, Write};

/// Widest column of ids; a longer id pushes its row's conditions to the right.
const ID_WIDTH: usize = 36;

/// Writes a line that says that the file is sound, and then each step with its rows.
pub(super) fn write(loaded: &Loaded, sections: &[Section], out: &mut impl Write) -> io::Result<()> {
    let rows = || sections.iter().flat_map(|section| &section.rows);
    let acting = rows().filter(|row| row.idle.is_none()).count();
    let idle = match rows().count() - acting {
        0 => String::new(),
        idle => format!(", and {idle} without effect now"),
    };
    writeln!(out, "{} is valid: {acting} rules in the order in which they act{idle}", loaded.file)?;
    let longest = |of: fn(&Row) -> usize| rows().map(of).max().unwrap_or(0);
    let id_width = longest(|row| row.id.chars().count()).min(ID_WIDTH);
    let matches_width = longest(|row| if remarks(row).is_empty() { 0 } else { row.matches.chars().count() }).min(64);
    for Section { step, name, rows } in sections {
        writeln!(out, "\nstep {step}: {name}")?;
        for row in rows {
            let number = row.number.map_or_else(|| "-".to_owned(), |number| number.to_string());
            let (action, id, matches) = (row.action, visible(&row.id), visible(&row.matches));
            let line = format!(
                "{number:>6}  {action:<6}  {id:<id_width$}  {matches:<matches_width$}  {}",
                visible(&remarks(row))
            );
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    write_detect(loaded, out)
}

/// Writes what of the file is about detection, if there is anything.
fn write_detect(loaded: &Loaded, out: &mut impl Write) -> io::Result<()> {
    let detect = &loaded.ruleset.detect;
    let (set, off) = detect.changes();
    if set.is_empty() && off.is_empty() && detect.action == Response::Log {
        return Ok(());
    }
    writeln!(out, "\ndetect")?;
    if detect.action == Response::Ban {
        let whom = if detect.ban_unverified { ", even if the source may be forged" } else { "" };
        writeln!(out, "        ban     who scans or guesses passwords{whom}")?;
    }
    for (key, value) in set {
        writeln!(out, "        {key} {value}")?;
    }
    for name in off {
        writeln!(out, "        off     {name}")?;
    }
    Ok(())
}

/// What is to be said behind a row: that it is idle, when it ends, what the user remarked.
fn remarks(row: &Row) -> String {
    let ends = if row.idle == Some("expired") { "ended" } else { "until" };
    let expires = row.expires.as_ref().map(|time| format!("{ends} {time}"));
    let state = [row.idle.map(str::to_owned), expires].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let state = if state.is_empty() { state } else { format!("[{state}]") };
    let comment = row.comment.as_ref().map(|comment| format!("# {comment}")).unwrap_or_default();
    [state, comment].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
