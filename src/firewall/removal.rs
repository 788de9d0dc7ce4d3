//! Taking everything out again. Idempotent: what is not there is not an error.

use super::error::Error;
use super::kernel;
use super::lock;
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

/// Removes all own jumps, chains and sets, each family and variant whatever becomes of the others. Whether there was
/// anything.
pub(super) fn remove(all: &[Tools], emptied: Emptied) -> Result<bool, Error> {
    let mut found = false;
    let mut result = Ok(());
    for tools in all {
        match remove_rules(tools, emptied) {
            Ok(some) => found |= some,
            // The first failure is told.
            Err(error) => result = result.and(Err(error)),
        }
    }
    result?;
    let Some(tools) = all.first() else { return Ok(found) };
    found |= !kernel::set_names(tools)?.is_empty();
    kernel::destroy_sets(tools, |_| false)?;
    Ok(found)
}

/// Removes own jumps and chains of one variant.
pub(super) fn remove_rules(tools: &Tools, emptied: Emptied) -> Result<bool, Error> {
    let mut found = false;
    let mut result = Ok(());
    for family in tools.families() {
        let removed = kernel::table(tools, family).and_then(|table| {
            let table = emptied.judge(table);
            found |= !table.is_clean();
            kernel::change(tools, family, &Wanted::default(), &table).map(drop)
        });
        result = result.and(removed);
    }
    result.map(|()| found)
}

/// Removes whatever a dead pfw left in this network namespace; whether there was anything.
///
/// # Errors
///
/// [`Error::Locked`] while a pfw lives. What is left by others, a chain of our name without our mark among it, stays.
pub fn clean() -> Result<bool, Error> {
    let _lock = lock::take()?;
    remove(&Tools::all_in_use()?, Emptied::Unknown)
}
