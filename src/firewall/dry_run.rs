//! A plan as it would be carried out on a machine that has no rules of ours: each command with its input.

use super::family::Family;
use super::kernel::{RESTORE, TEST};
use super::plan::Plan;
use super::table::{Table, Wanted};
use std::fmt;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.sets().is_empty() {
            write_command(f, "ipset restore", &self.set_text())?;
        }
        for family in Family::BOTH {
            let transaction = Wanted::of(self.chains(family)).transaction(&Table::default()).unwrap_or_default();
            writeln!(f, "# validated before with {}-restore {}", family.tool(), TEST.join(" "))?;
            write_command(f, &format!("{}-restore {}", family.tool(), RESTORE.join(" ")), &transaction)?;
        }
        Ok(())
    }
}

/// In a form that a shell takes too.
fn write_command(f: &mut fmt::Formatter<'_>, command: &str, input: &str) -> fmt::Result {
    writeln!(f, "{command} <<'END'\n{input}END")
}
