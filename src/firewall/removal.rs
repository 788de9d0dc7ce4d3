//! Taking everything out again. Idempotent: what is not there is not an error.

use super::error::Error;
use super::kernel;
use super::lock::Lock;
use super::table::{Table, Wanted};
use super::tools::Tools;

/// Whose a chain is that bears a name of ours and has been emptied, its mark included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emptied {
    /// Ours: this run, or the one that the guardian watched over, made sure of it when it started.
    Ours,
    /// Not known, so not ours.
    Unknown,
}

impl Emptied {
    /// The table, with emptied chains on the right side.
    pub(super) fn judge(self, table: Table) -> Table {
        match self {
            Self::Ours => table.adopt_empty(),
            Self::Unknown => table,
        }
    }
}

/// Removes all own jumps, chains and the sets that `ours` picks; both families are tried whatever becomes of the first.
/// Whether there was anything.
pub(super) fn remove(tools: &Tools, emptied: Emptied, ours: impl Fn(&str) -> bool) -> Result<bool, Error> {
    let mut found = false;
    let mut result = Ok(());
    for family in tools.families() {
        let removed = kernel::table(tools, family).and_then(|table| {
            let table = emptied.judge(table);
            found |= !table.is_clean();
            kernel::change(tools, family, &Wanted::default(), &table)
        });
        result = result.and(removed);
    }
    result?;
    found |= kernel::sets(tools)?.keys().any(|name| ours(name));
    kernel::destroy_sets(tools, |name| !ours(name))?;
    Ok(found)
}

/// Removes whatever a dead pfw left in this network namespace; whether there was anything.
///
/// # Errors
///
/// [`Error::Locked`] while a pfw lives. What is left by others, a chain of our name without our mark among it, stays.
pub fn clean() -> Result<bool, Error> {
    let _lock = Lock::take()?;
    let mut found = false;
    for tools in Tools::all_in_use()? {
        found |= remove(&tools, Emptied::Unknown, |_| true)?;
    }
    Ok(found)
}
