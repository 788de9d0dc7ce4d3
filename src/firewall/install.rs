//! A plan in force: put in, replaced, watched, taken out.

use super::error::Error;
use super::family::Family;
use super::guardian::Guardian;
use super::kernel;
use super::lock::Lock;
use super::names::Hook;
use super::plan::{Plan, PlannedSet};
use super::removal::{Emptied, remove, remove_rules};
use super::table::{Table, Wanted};
use super::tools::Tools;
use std::collections::BTreeMap;
use std::fmt;

/// A plan that is in force. Dropped, it takes its rules out.
#[derive(Debug)]
pub struct Installed {
    tools: Tools,
    plan: Plan,
    /// Held for as long as this lives.
    _lock: Lock,
    /// `None` once there is nothing left to undo.
    guardian: Option<Guardian>,
}

/// What the kernel counted for a rule, both families together, since the plan was put in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets that it dropped.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What somebody else did to our rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// A jump is no longer the first rule of its chain.
    Displaced {
        /// Where.
        family: Family,
        /// Where.
        hook: Hook,
        /// The rule that is in front now.
        by: String,
    },
    /// A jump, a chain or a rule is not as it was put there.
    Altered {
        /// Where.
        family: Family,
        /// What is different.
        what: String,
    },
    /// A set is missing, or one is left over.
    Set {
        /// Its name.
        name: String,
    },
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Displaced { family, hook, by } => {
                write!(f, "{}: in front of our jump in {} stands: {by}", family.tool(), hook.builtin())
            }
            Self::Altered { family, what } => write!(f, "{}: {what}", family.tool()),
            Self::Set { name } => write!(f, "set {name} is missing, or left over"),
        }
    }
}

impl Installed {
    /// Puts `plan` in force in place of whatever a dead pfw left, with a guardian that takes it out should this process
    /// die.
    ///
    /// # Errors
    ///
    /// Whatever fails, the kernel is as it was before.
    pub fn start(plan: Plan, tools: Tools) -> Result<Self, Error> {
        let lock = Lock::take()?;
        let others = Tools::all_in_use()?;
        for tools in others.iter().chain([&tools]) {
            refuse_strangers(tools)?;
        }
        let guardian = Some(Guardian::spawn(&tools, &lock)?);
        // From here on `Drop` undoes.
        let installed = Self { tools, plan, _lock: lock, guardian };
        for tools in others.iter().filter(|others| others.is_legacy() != installed.tools.is_legacy()) {
            remove_rules(tools, Emptied::Unknown)?;
        }
        let taken = kernel::sets(&installed.tools)?;
        if installed.plan.sets().iter().any(|set| taken.contains_key(&set.name)) {
            remove(std::slice::from_ref(&installed.tools), Emptied::Unknown)?;
        }
        installed.apply(&installed.plan)?;
        Ok(installed)
    }

    /// Puts `plan` in force instead: one transaction for each family, in which no packet sees anything but the old or
    /// the new rules. Its generation must be another.
    ///
    /// # Errors
    ///
    /// Whatever fails, the old plan is in force.
    pub fn replace(&mut self, plan: Plan) -> Result<(), Error> {
        self.apply(&plan)?;
        self.plan = plan;
        Ok(())
    }

    /// Takes everything out.
    ///
    /// # Errors
    ///
    /// If something could not be taken out; the guardian goes on trying once this process has ended.
    pub fn remove(mut self) -> Result<(), Error> {
        self.undo()
    }

    /// Leaves the rules in force when this process ends.
    ///
    /// # Errors
    ///
    /// If the guardian can't be told.
    pub fn keep(mut self) -> Result<(), Error> {
        self.guardian.take().map_or(Ok(()), Guardian::dismiss)
    }

    /// The plan in force.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The tools in use, for the ready line.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// What the kernel counted, by rule number.
    ///
    /// # Errors
    ///
    /// If the tables can't be read.
    pub fn counters(&self) -> Result<Vec<Counter>, Error> {
        let mut counters = vec![Counter::default(); self.plan.rules().len()];
        for family in self.tools.families() {
            let saved = kernel::save(&self.tools, family, &["-c"])?;
            add_counters(&saved, &self.plan, family, &mut counters);
        }
        Ok(counters)
    }

    /// What is no longer as it was put there.
    ///
    /// # Errors
    ///
    /// If the tables can't be read.
    pub fn check(&self) -> Result<Vec<Disturbance>, Error> {
        let mut found = Vec::new();
        for family in self.tools.families() {
            let mut table = kernel::table(&self.tools, family)?;
            found.extend(displaced(family, &table));
            // Told already.
            table.hooks.iter_mut().filter(|hook| hook.jumps > 0).for_each(|hook| hook.in_front = None);
            let wanted = Wanted::of(self.plan.chains(family));
            found.extend(wanted.difference(&table).map(|what| Disturbance::Altered { family, what }));
        }
        let there = kernel::sets(&self.tools)?;
        let missing = self.plan.sets().iter().map(|set| &set.name).filter(|name| !there.contains_key(*name));
        let left_over = there.keys().filter(|name| !self.plan.has_set(name));
        found.extend(missing.chain(left_over).map(|name| Disturbance::Set { name: name.clone() }));
        Ok(found)
    }

    /// Puts everything back as planned.
    ///
    /// # Errors
    ///
    /// If it can't be.
    pub fn repair(&self) -> Result<(), Error> {
        let there = kernel::sets(&self.tools)?;
        let missing = |set: &PlannedSet| !there.contains_key(&set.name);
        if self.plan.sets().iter().any(missing) {
            kernel::make_sets(&self.tools, &self.plan.set_text_of(missing), self.plan.sets())?;
        }
        for family in self.tools.families() {
            let current = kernel::table(&self.tools, family)?.adopt_empty();
            kernel::change(&self.tools, family, &Wanted::of(self.plan.chains(family)), &current)?;
        }
        kernel::destroy_sets(&self.tools, |name| self.plan.has_set(name))
    }

    /// From whatever is there to `plan`: sets, both families validated, both changed, old sets. On failure back.
    fn apply(&self, plan: &Plan) -> Result<(), Error> {
        let mut before = BTreeMap::new();
        for family in self.tools.families() {
            before.insert(family, kernel::table(&self.tools, family)?.adopt_empty());
        }
        let sets_before = kernel::sets(&self.tools)?;
        let result = self.change_all(plan, &before);
        match result {
            Ok(()) => {
                // The new rules are in force, and verified. Old sets that resist do no harm; `check` tells of them.
                let _ = kernel::destroy_sets(&self.tools, |name| plan.has_set(name));
                Ok(())
            }
            Err(first) => match self.go_back(&before, |name| sets_before.contains_key(name)) {
                Ok(()) => Err(first),
                Err(then) => Err(Error::NotUndone { first: first.into(), then: then.into() }),
            },
        }
    }

    fn change_all(&self, plan: &Plan, before: &BTreeMap<Family, Table>) -> Result<(), Error> {
        kernel::make_sets(&self.tools, plan.set_text(), plan.sets())?;
        for (&family, table) in before {
            if let Some(transaction) = Wanted::of(plan.chains(family)).transaction(table) {
                kernel::test(&self.tools, family, &transaction)?;
            }
        }
        for family in self.tools.families() {
            if let Some(table) = before.get(&family) {
                kernel::change(&self.tools, family, &Wanted::of(plan.chains(family)), table)?;
            }
        }
        Ok(())
    }

    fn go_back(&self, before: &BTreeMap<Family, Table>, keep: impl Fn(&str) -> bool) -> Result<(), Error> {
        for (&family, wanted) in before {
            let current = kernel::table(&self.tools, family)?.adopt_empty();
            if current != *wanted {
                kernel::change(&self.tools, family, &wanted.as_wanted(), &current)?;
            }
        }
        kernel::destroy_sets(&self.tools, keep)
    }

    fn undo(&mut self) -> Result<(), Error> {
        if self.guardian.is_none() {
            return Ok(());
        }
        remove(std::slice::from_ref(&self.tools), Emptied::Ours)?;
        self.guardian.take().map_or(Ok(()), Guardian::dismiss)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // Nobody is left to be told; if it fails the guardian goes on.
        let _ = self.undo();
    }
}

/// Chains of our names that are somebody else's end the start, in any variant's tables: they could be mixed up.
fn refuse_strangers(tools: &Tools) -> Result<(), Error> {
    for family in tools.families() {
        if let Some((chain, _)) = kernel::table(tools, family)?.strangers.into_iter().next() {
            return Err(Error::Stranger { family, chain });
        }
    }
    Ok(())
}

fn displaced(family: Family, table: &Table) -> impl Iterator<Item = Disturbance> {
    let hooks = Hook::ALL.into_iter().zip(&table.hooks);
    hooks.filter_map(move |(hook, state)| {
        let by = state.in_front.clone()?;
        (state.jumps > 0).then_some(Disturbance::Displaced { family, hook, by })
    })
}

/// Adds what `saved` (with counters) says of the rules that drop.
fn add_counters(saved: &str, plan: &Plan, family: Family, counters: &mut [Counter]) {
    let mut rules: BTreeMap<&str, _> =
        plan.chains(family).iter().map(|chain| (chain.name.as_str(), chain.rules.iter())).collect();
    for line in saved.lines() {
        let Some((counts, rule)) = line.strip_prefix('[').and_then(|rest| rest.split_once("] -A ")) else { continue };
        let chain = rule.split(' ').next().unwrap_or_default();
        // Rules of a chain are printed in their order.
        let Some(rule) = rules.get_mut(chain).and_then(Iterator::next) else { continue };
        let Some((packets, bytes)) = counts.split_once(':') else { continue };
        if let Some(counter) = rule.number.filter(|_| rule.drops).and_then(|number| counters.get_mut(number as usize)) {
            counter.packets += packets.parse::<u64>().unwrap_or(0);
            counter.bytes += bytes.parse::<u64>().unwrap_or(0);
        }
    }
}
