//! A plan in force: put in, replaced, watched, taken out.

use super::at_once::at_once;
use super::changes::{self, Change};
use super::counters::{Counter, Departures, Ended, Tally};
use super::entries;
use super::error::Error;
use super::family::Family;
use super::guardian::Guardian;
use super::kernel::{self, Changed};
use super::lock;
use super::names::{Hook, TableName};
use super::plan::{Addition, Growth, Placed, Plan, PlannedSet};
use super::removal::{Emptied, remove, remove_rules};
use super::table::{Table, Wanted};
use super::tools::Tools;
use super::validation::Validated;
use crate::runtime::Lock;
use crate::time::Timestamp;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

/// A plan that is in force. Dropped, it takes its rules out.
#[derive(Debug)]
pub struct Installed {
    tools: Tools,
    plan: Plan,
    /// The tables as they were read back when they had been put there.
    printed: BTreeMap<Family, Table>,
    /// What the tools have read of rules so far.
    validated: Validated,
    /// The tables are as printed up to this generation of `nf_tables`, as far as is known.
    known: Cell<Option<u32>>,
    /// When the kernel had all of the rules in force.
    since: Timestamp,
    /// Held for as long as this lives.
    lock: Lock,
    /// `None` once there is nothing left to undo.
    guardian: Option<Guardian>,
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
    /// A set is not as it was put there.
    Set {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Displaced { family, hook, by } => {
                write!(f, "{}: in front of our jump in {} stands: {by}", family.tool(), hook.builtin())
            }
            Self::Altered { family, what } => write!(f, "{}: {what}", family.tool()),
            Self::Set { name, what } => write!(f, "set {name} {what}"),
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
        let lock = lock::take()?;
        let others = Tools::all_in_use()?;
        for tools in others.iter().chain([&tools]) {
            refuse_strangers(tools)?;
        }
        let guardian = Some(Guardian::spawn(&tools, &lock)?);
        // From here on `Drop` undoes.
        let (printed, validated, known) = (BTreeMap::new(), Validated::default(), Cell::new(None));
        let since = Timestamp::now();
        let mut installed = Self { tools, plan, printed, validated, known, since, lock, guardian };
        for tools in others.iter().filter(|others| others.is_legacy() != installed.tools.is_legacy()) {
            remove_rules(tools, Emptied::Unknown)?;
        }
        let taken = kernel::set_names(&installed.tools)?;
        if installed.plan.sets().iter().any(|set| taken.contains(&set.name)) {
            remove(std::slice::from_ref(&installed.tools), Emptied::Unknown)?;
        }
        let plan = installed.plan.clone();
        installed.apply(&plan)?;
        Ok(installed)
    }

    /// Puts `plan` in force instead: one transaction for each family, in which no packet sees anything but the old or
    /// the new rules. Its generation must be another. Returns what was counted that the kernel forgets. Where it does not
    /// tell it of rules that are taken out, that was read an instant before.
    ///
    /// # Errors
    ///
    /// Whatever fails, the old plan is in force. Its counters may begin anew.
    pub fn replace(&mut self, plan: Plan) -> Result<Ended, Error> {
        let ended = self.apply(&plan)?;
        self.plan = plan;
        Ok(ended)
    }

    /// Takes everything out.
    ///
    /// # Errors
    ///
    /// If something could not be taken out; the guardian goes on trying once this process has ended.
    pub fn remove(mut self) -> Result<(), Error> {
        self.undo()
    }

    /// Leaves the rules in force when this process ends, however it does.
    ///
    /// # Errors
    ///
    /// If the guardian can't be told.
    pub fn keep(&mut self) -> Result<(), Error> {
        self.guardian.take().map_or(Ok(()), Guardian::dismiss)
    }

    /// Has another guardian watch if the one that did is gone. Whether it was.
    ///
    /// # Errors
    ///
    /// If none can be started; what is in force stays, unguarded.
    pub fn mind_guardian(&mut self) -> Result<bool, Error> {
        let is_gone = self.guardian.as_mut().is_some_and(Guardian::is_gone);
        if is_gone {
            self.guardian = Some(Guardian::spawn(&self.tools, &self.lock)?);
        }
        Ok(is_gone)
    }

    /// When the kernel had all of the plan in force.
    pub fn since(&self) -> Timestamp {
        self.since
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
        let mut tally = Tally::new(&self.plan);
        for family in self.tools.families() {
            self.count(family, &mut tally)?;
        }
        Ok(tally.finish())
    }

    fn count(&self, family: Family, tally: &mut Tally<'_>) -> Result<(), Error> {
        tally.add_saved(family, &kernel::save(&self.tools, family, &["-c"])?);
        Ok(())
    }

    /// What is told of the rules in force when they are taken out, where the kernel tells it.
    fn departures(&self) -> Option<Departures> {
        if self.tools.is_legacy() { None } else { Departures::listen().ok() }
    }

    /// What is no longer as it was put there.
    ///
    /// # Errors
    ///
    /// If the tables can't be read.
    pub fn check(&self) -> Result<Vec<Disturbance>, Error> {
        let generation = self.generation();
        let mut found = Vec::new();
        for (&family, printed) in &self.printed {
            let mut table = kernel::table(&self.tools, family)?.adopt_empty();
            found.extend(displaced(family, &table));
            // Told already.
            table.hooks.iter_mut().filter(|hook| hook.jumps > 0).for_each(|hook| hook.in_front = None);
            found.extend(printed.as_wanted().change(&table).map(|what| Disturbance::Altered { family, what }));
        }
        let there = kernel::sets(&self.tools, None)?;
        found.extend(self.plan.sets().iter().filter_map(|set| wrong(set, there.get(&set.name).copied())));
        let left_over = there.keys().filter(|name| !self.plan.has_set(name));
        found.extend(left_over.map(|name| Disturbance::Set { name: name.clone(), what: "is left over".to_owned() }));
        if found.is_empty() {
            self.known.set(generation);
        }
        Ok(found)
    }

    /// Whether a change of the kernel's tables may concern our rules: it is none of those after which they were known to
    /// be right.
    pub fn may_concern(&self, change: &Change) -> bool {
        let is_later = |(generation, known)| changes::is_later(generation, known);
        change.generation.zip(self.known.get()).is_none_or(is_later)
    }

    /// Puts everything back as planned. What is still as it was is not touched, and goes on counting.
    ///
    /// # Errors
    ///
    /// If it can't be.
    pub fn repair(&mut self) -> Result<(), Error> {
        self.repair_sets()?;
        let before = self.generation();
        let mut made = 0;
        for family in self.tools.families() {
            let current = kernel::table(&self.tools, family)?.adopt_empty();
            let Some(printed) = self.printed.get(&family) else { continue };
            if printed.as_wanted().change(&current).is_none() {
                continue;
            }
            let wanted = Wanted::of(self.plan.chains(family)).sparing(printed, &current);
            if let Some(changed) = kernel::change(&self.tools, family, &wanted, &current)? {
                self.printed.insert(family, changed.table);
                made += changed.commits;
            }
        }
        self.learn(before, made);
        kernel::destroy_sets(&self.tools, |name| self.plan.has_set(name))
    }

    fn repair_sets(&self) -> Result<(), Error> {
        let there = kernel::sets(&self.tools, None)?;
        let mut text = self.plan.set_text_of(|set| !there.contains_key(&set.name));
        for set in self.plan.sets().iter().filter(|set| there.get(&set.name).is_some_and(|&n| n != set.entries)) {
            text += &Plan::set_text_again(set);
        }
        let made: Vec<_> = self.plan.sets().iter().collect();
        if text.is_empty() { Ok(()) } else { kernel::make_sets(&self.tools, &text, &made) }
    }

    /// The number of the latest change to the tables, where they have such numbers.
    fn generation(&self) -> Option<u32> {
        if self.tools.is_legacy() { None } else { changes::generation() }
    }

    /// Takes in that we have made so many changes after generation `before`. If there were others too, it is not known
    /// whether the tables are right.
    fn learn(&self, before: Option<u32>, made: u32) {
        let now = before.map(|before| before.wrapping_add(made));
        self.known.set(now.filter(|_| now == self.generation()));
    }

    /// From whatever is there to `plan`: what can be there at once, sets, both families validated, both changed, old
    /// sets.
    /// On failure back.
    /// Returns what was counted before.
    fn apply(&mut self, plan: &Plan) -> Result<Ended, Error> {
        let generation = self.generation();
        let before = self.tables(generation)?;
        let growth = self.is_in_force().then(|| plan.growth(&self.plan)).flatten();
        let grown = growth.as_ref().map_or(Ok(()), entries::grow);
        let result = grown.and_then(|()| self.change_all(plan, &before));
        match result {
            Ok((changed, validated, ended)) => {
                self.validated = validated;
                let leaves_sets = !self.is_in_force() || self.plan.sets().iter().any(|set| !plan.has_set(&set.name));
                self.since = changed.values().map(|changed| changed.at).max().unwrap_or_else(Timestamp::now);
                self.learn(generation, changed.values().map(|changed| changed.commits).sum());
                self.printed = changed.into_iter().map(|(family, changed)| (family, changed.table)).collect();
                if leaves_sets {
                    // The new rules are in force, and verified. Old sets that resist do no harm; `check` tells of them.
                    let _ = kernel::destroy_sets(&self.tools, |name| plan.has_set(name));
                }
                Ok(ended)
            }
            Err(first) => match self.go_back(&before, growth.as_ref()) {
                Ok(()) => Err(first),
                Err(then) => Err(Error::NotUndone { first: first.into(), then: then.into() }),
            },
        }
    }

    /// The tables as they are printed then, what the tools have read, and what was counted before.
    fn change_all(
        &self,
        plan: &Plan,
        before: &BTreeMap<Family, Table>,
    ) -> Result<(BTreeMap<Family, Changed>, Validated, Ended), Error> {
        let made: Vec<_> = plan.sets().iter().filter(|set| !self.has(set)).collect();
        kernel::make_sets(&self.tools, &plan.set_text_of(|set| !self.has(set)), &made)?;
        let validated = self.validate(plan, before)?;
        // Where nothing departs nobody listens: it would cost the kernel a message for each new rule.
        let departures = if self.is_in_force() { self.departures() } else { None };
        let mut all = BTreeMap::new();
        let mut tallies = match departures {
            Some(_) => Tally::of_change(&self.plan, plan),
            None => [&self.plan, plan].map(Tally::new),
        };
        // What is dropped from then on to the change is counted by nobody who will be asked.
        let counts = departures.is_none() && self.is_in_force();
        let tools = &self.tools;
        // First where it makes a difference.
        let (same, new): (Vec<_>, Vec<_>) = tools.families().partition(|&family| self.is_as_now(plan, family));
        let ahead = self.ahead(plan, &new, before);
        let additions = ahead.iter().map(|(&family, additions)| (family, additions));
        at_once(tools, additions, |family, additions| kernel::add(tools, family, additions))?;
        for (&family, addition) in ahead.iter().flat_map(|(family, all)| all.iter().map(move |one| (family, one))) {
            let [old, new] = &mut tallies;
            old.add_to_chain(family, addition, |placed| matches!(placed, Placed::Stays(_)));
            new.add_to_chain(family, addition, |placed| matches!(placed, Placed::Added(_)));
        }
        for families in [new, same] {
            let tables = families.into_iter().filter_map(|family| Some((family, before.get(&family)?)));
            let ways = tables.map(|(family, table)| (family, (self.wanted(plan, family), table)));
            let changed = at_once(tools, ways, |family, (wanted, table)| {
                let counted = counts.then(|| kernel::save(tools, family, &["-c"])).transpose()?;
                // Where there was nothing to do it is as it was.
                let unchanged = || Changed { table: table.clone(), commits: 0, at: Timestamp::now() };
                Ok((counted, kernel::change(tools, family, &wanted, table)?.unwrap_or_else(unchanged)))
            })?;
            for (family, (counted, mut changed)) in changed {
                changed.commits += u32::from(ahead.contains_key(&family));
                let [old, _] = &mut tallies;
                if let Some(saved) = counted {
                    old.add_saved(family, &saved);
                }
                all.insert(family, changed);
            }
        }
        if let Some(departures) = departures {
            departures.add_to(&mut tallies);
        }
        let [old, new] = tallies.map(Tally::finish);
        Ok((all, validated, Ended { old, new }))
    }

    /// What can be added to the tables of several families before anything is taken out of one, which the others would
    /// wait for. One alone waits for nobody, nor does the older variant.
    fn ahead<'a>(
        &'a self,
        plan: &'a Plan,
        families: &[Family],
        before: &BTreeMap<Family, Table>,
    ) -> BTreeMap<Family, Vec<Addition<'a>>> {
        let may = self.is_in_force() && !self.tools.is_legacy() && families.len() > 1 && *before == self.printed;
        if !may {
            return BTreeMap::new();
        }
        let ahead = families.iter().map(|&family| Some((family, plan.ahead(&self.plan, family)?)));
        ahead.collect::<Option<_>>().unwrap_or_default()
    }

    /// Has the tools read what is new in a plan, before any table is changed; at the start also what may come later.
    fn validate(&self, plan: &Plan, before: &BTreeMap<Family, Table>) -> Result<Validated, Error> {
        let ways = before.iter().map(|(&family, table)| (family, (self.wanted(plan, family), table))).collect();
        if self.is_in_force() {
            self.validated.and(&self.tools, &ways)
        } else {
            Validated::at_start(&self.tools, &ways, plan.options())
        }
    }

    /// The tables now. They need not be read where nobody has changed them since they were.
    fn tables(&self, generation: Option<u32>) -> Result<BTreeMap<Family, Table>, Error> {
        if generation.is_some() && generation == self.known.get() {
            return Ok(self.printed.clone());
        }
        let tools = &self.tools;
        let families = tools.families().map(|family| (family, ()));
        at_once(tools, families, |family, ()| Ok(kernel::table(tools, family)?.adopt_empty()))
    }

    /// Whether a set is one of the plan in force.
    fn has(&self, set: &PlannedSet) -> bool {
        self.is_in_force() && self.plan.has_set(&set.name)
    }

    fn is_in_force(&self) -> bool {
        !self.printed.is_empty()
    }

    /// What is to be in the tables of a family when a plan takes the place of the one in force.
    fn wanted<'a>(&self, plan: &'a Plan, family: Family) -> Wanted<'a> {
        Wanted::of(plan.chains(family)).where_raw_stays(self.is_alike(plan, family, TableName::Raw))
    }

    /// Whether a plan has nothing else for a family than the one in force, but for its marks.
    fn is_as_now(&self, plan: &Plan, family: Family) -> bool {
        self.is_alike(plan, family, TableName::Raw) && self.is_alike(plan, family, TableName::Filter)
    }

    fn is_alike(&self, plan: &Plan, family: Family, table: TableName) -> bool {
        self.is_in_force() && plan.is_alike(&self.plan, family, table)
    }

    fn go_back(&self, before: &BTreeMap<Family, Table>, growth: Option<&Growth>) -> Result<(), Error> {
        growth.map_or(Ok(()), entries::shrink)?;
        for (&family, wanted) in before {
            let current = kernel::table(&self.tools, family)?.adopt_empty();
            if current != *wanted {
                kernel::change(&self.tools, family, &wanted.as_wanted(), &current)?;
            }
        }
        kernel::destroy_sets(&self.tools, |name| self.is_in_force() && self.plan.has_set(name))
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

/// What is wrong with a set of which so many entries are there.
fn wrong(set: &PlannedSet, there: Option<usize>) -> Option<Disturbance> {
    let what = match there {
        Some(entries) if entries == set.entries => return None,
        Some(entries) => format!("has {entries} entries instead of {}", set.entries),
        None => "is missing".to_owned(),
    };
    Some(Disturbance::Set { name: set.name.clone(), what })
}

fn displaced(family: Family, table: &Table) -> impl Iterator<Item = Disturbance> {
    let hooks = Hook::ALL.into_iter().zip(&table.hooks);
    hooks.filter_map(move |(hook, state)| {
        let by = state.in_front.clone()?;
        (state.jumps > 0).then_some(Disturbance::Displaced { family, hook, by })
    })
}
