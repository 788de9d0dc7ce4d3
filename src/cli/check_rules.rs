//! `pfw check-rules`: whether a rules file is sound, what is doubtful in it, and what it comes to: the rules in the
//! order in which they act.

mod report;
mod table;

use super::Exit;
use crate::host::Host;
use crate::rules;
use crate::rules::order::sections;
use crate::time::Timestamp;
use anyhow::{Context, Result};
use clap::Args;
use report::Report;
use std::io::Write;
use std::path::PathBuf;

/// The arguments of `pfw check-rules`.
#[derive(Args, Clone, Debug)]
pub struct CheckRulesArgs {
    /// The rules file
    #[arg(default_value = super::options::DEFAULT_CONFIG, value_name = "FILE")]
    rules: PathBuf,

    /// Exit with 1 if there are warnings
    #[arg(long)]
    strict: bool,

    /// Print errors, warnings and rules as JSON on standard output
    #[arg(long)]
    json: bool,

    /// Print the JSON Schema of rules files, for editors, and check nothing
    #[arg(long)]
    schema: bool,
}

/// Checks a rules file against itself and against `host`. Rules go to `out`; errors and warnings to `err`, or with
/// `--json` to `out` too.
pub fn run(args: &CheckRulesArgs, host: &Host, out: &mut impl Write, err: &mut impl Write) -> Result<Exit> {
    check(args, host, Timestamp::now(), out, err).context("cannot write what was found")
}

fn check(
    args: &CheckRulesArgs,
    host: &Host,
    now: Timestamp,
    out: &mut impl Write,
    err: &mut impl Write,
) -> std::io::Result<Exit> {
    if args.schema {
        out.write_all(rules::SCHEMA.as_bytes())?;
        return Ok(Exit::Fine);
    }
    let loaded = match rules::load(&args.rules) {
        Ok(loaded) => loaded,
        Err(errors) if args.json => {
            Report::of_errors(&errors).write(out)?;
            return Ok(Exit::Usage);
        }
        Err(errors) => {
            writeln!(err, "{errors}")?;
            return Ok(Exit::Usage);
        }
    };
    let warnings = loaded.all_warnings(host, now);
    let sections = sections(&loaded.ruleset, now);
    if args.json {
        Report::of_rules(&warnings, &sections, &loaded.ruleset.detect).write(out)?;
    } else {
        for warning in &warnings {
            writeln!(err, "{warning}")?;
        }
        table::write(&loaded, &sections, out)?;
    }
    Ok(if args.strict && !warnings.is_empty() { Exit::Failed } else { Exit::Fine })
}

#[cfg(test)]
mod tests;
