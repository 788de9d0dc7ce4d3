//! What a tool can't parse is found before any table is changed: rules of a form that has not been taken yet are given
//! to it to validate. Which have been is remembered, since validating costs more than all the rest of a small change.

use super::at_once::at_once;
use super::error::Error;
use super::family::Family;
use super::kernel;
use super::plan::{Options, Plan};
use super::specimen::specimens;
use super::table::{Table, Wanted};
use super::tools::Tools;
use super::trial::{Forms, merged, trial};
use std::collections::BTreeMap;

/// How many forms are remembered beside those of the rules in force. A rules file has some dozens.
const MAX_FORMS: usize = 10_000;

/// The forms of rules that have been taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Validated(BTreeMap<Family, Forms>);

/// What is to become of the tables: from what is there to what is wanted.
pub(super) type Ways<'a> = BTreeMap<Family, (Wanted<'a>, &'a Table)>;

impl Validated {
    /// Has the tools read what is new in a plan.
    ///
    /// # Errors
    ///
    /// What they complain of.
    pub(super) fn and(&self, tools: &Tools, ways: &Ways<'_>) -> Result<Self, Error> {
        let transactions = ways.iter().map(|(&family, (wanted, current))| (family, wanted.transaction(current)));
        let taken = at_once(tools, transactions, |family, transaction| {
            let mut known = self.0.get(&family).filter(|forms| forms.len() < MAX_FORMS).cloned().unwrap_or_default();
            if let Some(untried) = transaction.and_then(|transaction| trial(&transaction, &mut known)) {
                kernel::test(tools, family, &untried)?;
            }
            Ok(known)
        })?;
        Ok(Self(taken))
    }

    /// The same at the start, also of what may come later, as far as this machine can do it.
    ///
    /// # Errors
    ///
    /// What the tools complain of in the plan itself.
    pub(super) fn at_start(tools: &Tools, ways: &Ways<'_>, options: Options) -> Result<Self, Error> {
        // The older variant makes a table that it is asked about, and leaves it.
        let specimens = specimens(Options { raw: options.raw && !tools.is_legacy(), ..options });
        let there = specimens.iter().filter(|specimen| has_sets(tools, specimen));
        let there: Vec<_> = there.collect();
        let with_specimens =
            at_once(tools, ways.iter().map(|(&family, way)| (family, way)), |family, (wanted, current)| {
                let nothing = Table::default();
                let later = there.iter().map(|specimen| Wanted::of(specimen.chains(family)).transaction(&nothing));
                let all: String = std::iter::once(wanted.transaction(current)).chain(later).flatten().collect();
                let mut taken = Forms::default();
                if let Some(untried) = trial(&all, &mut taken) {
                    kernel::test(tools, family, &merged(&untried))?;
                }
                Ok(taken)
            });
        // What nobody has asked for yet may be beyond this kernel.
        with_specimens.map(Self).or_else(|_| Self::default().and(tools, ways))
    }
}

/// Makes the sets of a specimen, which go with all that no plan in force has.
fn has_sets(tools: &Tools, specimen: &Plan) -> bool {
    specimen.sets().is_empty() || kernel::fill_sets(tools, &specimen.set_text()).is_ok()
}
