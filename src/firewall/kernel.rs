//! The kernel's tables and sets through the tools: one function for each thing that is asked or told.

use super::error::Error;
use super::family::Family;
use super::names::is_set_name;
use super::plan::{Addition, PlannedSet, transaction_ahead};
use super::process::Invocation;
use super::table::{Table, Wanted};
use super::tools::Tools;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Arguments of every restore: chains of others stay, and the lock is waited for (seconds).
pub(super) const RESTORE: [&str; 3] = ["--noflush", "-w", "5"];
/// The same, to validate.
pub(super) const TEST: [&str; 4] = ["--noflush", "-w", "5", "--test"];

/// How often, and how far apart, a set is destroyed that the kernel still holds: rules that are gone let go of their
/// sets a moment later.
const SET_TRIES: u32 = 100;
const SET_PAUSE: Duration = Duration::from_millis(20);

/// Reads the tables of a family that are there, in one go; `args` are arguments of the save tool. To ask legacy for a
/// table by name would make it.
pub(super) fn save(tools: &Tools, family: Family, args: &[&str]) -> Result<String, Error> {
    Ok(Invocation { program: tools.save(family), args, input: "" }.run()?)
}

/// What of a family's tables concerns us.
pub(super) fn table(tools: &Tools, family: Family) -> Result<Table, Error> {
    Ok(Table::read(&save(tools, family, &[])?))
}

/// Lets the tools read a transaction without carrying it out. It finds what the tool can't parse, and not much more.
pub(super) fn test(tools: &Tools, family: Family, transaction: &str) -> Result<(), Error> {
    Invocation { program: tools.restore(family), args: &TEST, input: transaction }.run()?;
    Ok(())
}

/// A family's tables after a change.
#[derive(Debug)]
pub(super) struct Changed {
    /// What of them concerns us.
    pub(super) table: Table,
    /// How many transactions it took.
    pub(super) commits: u32,
    /// When the last of them had been carried out.
    pub(super) at: Timestamp,
}

/// Brings the tables of a family from `current` to `wanted`, and makes sure that they got there. `None` if there was
/// nothing to do.
pub(super) fn change(
    tools: &Tools,
    family: Family,
    wanted: &Wanted,
    current: &Table,
) -> Result<Option<Changed>, Error> {
    let Some(transaction) = wanted.transaction(current) else { return Ok(None) };
    Invocation { program: tools.restore(family), args: &RESTORE, input: &transaction }.run()?;
    let at = Timestamp::now();
    let table = table(tools, family)?;
    let commits = u32::try_from(transaction.matches("COMMIT\n").count()).unwrap_or(0);
    match wanted.difference(&table) {
        None => Ok(Some(Changed { table, commits, at })),
        Some(what) => Err(Error::Different { family, what }),
    }
}

/// Adds rules to chains that are there.
pub(super) fn add(tools: &Tools, family: Family, additions: &[Addition<'_>]) -> Result<(), Error> {
    let input = &transaction_ahead(additions);
    Invocation { program: tools.restore(family), args: &RESTORE, input }.run()?;
    Ok(())
}

/// The names of own sets.
pub(super) fn set_names(tools: &Tools) -> Result<Vec<String>, Error> {
    let Some(program) = tools.ipset() else { return Ok(Vec::new()) };
    let listing = Invocation { program, args: &["list", "-n"], input: "" }.run()?;
    Ok(listing.lines().filter(|name| is_set_name(name)).map(str::to_owned).collect())
}

/// Own sets by name, with how many entries each has: all, or but one. The kernel counts them one by one, a hundred
/// thousand in some milliseconds.
pub(super) fn sets(tools: &Tools, only: Option<&str>) -> Result<BTreeMap<String, usize>, Error> {
    let Some(program) = tools.ipset() else { return Ok(BTreeMap::new()) };
    let args: Vec<_> = ["list", "-t"].into_iter().chain(only).collect();
    let listing = Invocation { program, args: &args, input: "" }.run()?;
    let mut found = BTreeMap::new();
    let mut name = "";
    for line in listing.lines() {
        match line.split_once(": ") {
            Some(("Name", value)) => name = value,
            Some(("Number of entries", count)) if is_set_name(name) => {
                found.insert(name.to_owned(), count.parse().unwrap_or(0));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Makes sets by `text`.
pub(super) fn fill_sets(tools: &Tools, text: &str) -> Result<(), Error> {
    let program = tools.ipset().ok_or_else(|| Error::Missing(vec!["ipset".to_owned()]))?;
    Invocation { program, args: &["restore"], input: text }.run()?;
    Ok(())
}

/// Makes sets by `text`, and makes sure that those `planned` are there. None of their names may be taken: a set is never filled that somebody else made.
pub(super) fn make_sets(tools: &Tools, text: &str, planned: &[&PlannedSet]) -> Result<(), Error> {
    if planned.is_empty() {
        return Ok(());
    }
    fill_sets(tools, text)?;
    let only = if let [one] = planned { Some(one.name.as_str()) } else { None };
    let there = sets(tools, only)?;
    for set in planned {
        match there.get(&set.name) {
            Some(&entries) if entries == set.entries => {}
            Some(entries) => {
                let what = format!("has {entries} entries instead of {}", set.entries);
                return Err(Error::Set { name: set.name.clone(), what });
            }
            None => return Err(Error::Set { name: set.name.clone(), what: "was not made".to_owned() }),
        }
    }
    Ok(())
}

/// Destroys own sets, those that `keep` picks excepted, and makes sure that they are gone.
pub(super) fn destroy_sets(tools: &Tools, keep: impl Fn(&str) -> bool) -> Result<(), Error> {
    let mut tries = SET_TRIES;
    loop {
        let obsolete: Vec<_> = set_names(tools)?.into_iter().filter(|name| !keep(name)).collect();
        let (Some(name), Some(program)) = (obsolete.first(), tools.ipset()) else { return Ok(()) };
        let mut text = String::new();
        for name in &obsolete {
            let _ = writeln!(text, "destroy {name}");
        }
        let result = Invocation { program, args: &["restore"], input: &text }.run();
        tries -= 1;
        match result {
            Err(error) if tries == 0 => return Err(error.into()),
            Ok(_) if tries == 0 => return Err(Error::Set { name: name.clone(), what: "is still there".to_owned() }),
            Err(_) => std::thread::sleep(SET_PAUSE),
            Ok(_) => {}
        }
    }
}
