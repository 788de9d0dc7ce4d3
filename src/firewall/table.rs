//! The tables of a family as far as they concern pfw, read from `iptables-save`, and the text for `iptables-restore`
//! that leads from one such state to another.

use super::names::{Hook, MARKER, TableName, is_chain_name};
use super::plan::Chain;
use super::words::{Fingerprint, words};
use std::fmt::Write;

/// What of a family's tables is ours, and what stands in front of it. An own chain's name tells which table it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Own chains with their rules' specifications as printed.
    pub(super) chains: Vec<(String, Vec<String>)>,
    /// Chains that bear a name of ours but not our mark, with how many rules they have.
    pub(super) strangers: Vec<(String, usize)>,
    /// The built-in chains, in the order of [`Hook::ALL`].
    pub(super) hooks: [HookState; 4],
}

/// A built-in chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HookState {
    /// How many jumps of ours it has.
    pub(super) jumps: usize,
    /// Its first rule, if that is not our jump.
    pub(super) in_front: Option<String>,
}

/// What is to be in a family's tables: own chains, and whether the hooks jump to them.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted<'a> {
    pub(super) chains: Vec<(&'a str, Vec<&'a str>)>,
    pub(super) jumps: [bool; 4],
    /// Chains that are there already as they are to be: written again they would begin to count anew.
    right: Vec<&'a str>,
    /// Whether the raw table drops now what it is to drop.
    raw_stays: bool,
}

impl Table {
    /// Reads the output of `iptables-save`. Other tables are nothing to us, whatever names their chains bear.
    pub(super) fn read(saved: &str) -> Self {
        let mut table = Self::default();
        let mut section = "";
        for line in saved.lines() {
            if let Some(name) = line.strip_prefix('*') {
                section = name;
            } else if let Some(chain) = line.strip_prefix(':') {
                let name = chain.split(' ').next().unwrap_or_default();
                if is_chain_name(name) && TableName::of_chain(name).word() == section {
                    table.chains.push((name.to_owned(), Vec::new()));
                }
            } else if let Some((chain, specification)) = line.strip_prefix("-A ").and_then(|rule| rule.split_once(' '))
            {
                table.add(section, chain, specification);
            }
        }
        let own = |rules: &[String]| rules.iter().rev().any(|rule| is_marker(rule));
        let (chains, strangers) = table.chains.into_iter().partition(|(_, rules)| own(rules));
        table.chains = chains;
        table.strangers = strangers.into_iter().map(|(name, rules)| (name, rules.len())).collect();
        table.leave_jumps_of_strangers();
        table
    }

    /// A jump is whose the chain is that it leads to. To one that is empty nobody else has a reason to jump.
    fn leave_jumps_of_strangers(&mut self) {
        for (hook, state) in Hook::ALL.iter().zip(&mut self.hooks) {
            if self.strangers.iter().any(|(name, rules)| name == hook.own() && *rules > 0) && state.jumps > 0 {
                state.jumps = 0;
                state.in_front.get_or_insert_with(|| hook.jump());
            }
        }
    }

    fn add(&mut self, section: &str, chain: &str, specification: &str) {
        // Rules follow all chains, and those of one chain each other.
        let own = TableName::of_chain(chain).word() == section;
        if let Some((_, rules)) = self.chains.iter_mut().rev().find(|(name, _)| own && name == chain) {
            rules.push(specification.to_owned());
        }
        for (hook, state) in Hook::ALL.iter().zip(&mut self.hooks) {
            if hook.table().word() == section && hook.builtin() == chain {
                if is_jump(specification, *hook) {
                    state.jumps += 1;
                } else if state.jumps == 0 && state.in_front.is_none() {
                    state.in_front = Some(specification.to_owned());
                }
            }
        }
    }

    /// Takes chains that are empty for ours too: whoever flushes all chains takes their mark with it.
    pub(super) fn adopt_empty(mut self) -> Self {
        let (empty, strangers) = self.strangers.into_iter().partition(|&(_, rules)| rules == 0);
        let empty: Vec<(String, usize)> = empty;
        self.chains.extend(empty.into_iter().map(|(name, _)| (name, Vec::new())));
        self.strangers = strangers;
        self
    }

    /// Whether nothing of ours is there.
    pub(super) fn is_clean(&self) -> bool {
        self.chains.is_empty() && self.hooks.iter().all(|hook| hook.jumps == 0)
    }

    /// The same, once a hook's only jump is its first rule.
    fn with_jump_first(&self, hook: Hook) -> Self {
        let mut moved = self.clone();
        for (_, state) in Hook::ALL.iter().zip(&mut moved.hooks).filter(|(one, _)| **one == hook) {
            *state = HookState { jumps: 1, in_front: None };
        }
        moved
    }

    /// As a state to go back to.
    pub(super) fn as_wanted(&self) -> Wanted<'_> {
        let chains = self.chains.iter();
        let chains = chains.map(|(name, rules)| (name.as_str(), rules.iter().map(String::as_str).collect())).collect();
        Wanted { chains, jumps: self.hooks.each_ref().map(|hook| hook.jumps > 0), ..Wanted::default() }
    }

    fn rules_of(&self, chain: &str) -> Option<&[String]> {
        self.chains.iter().find(|(name, _)| name == chain).map(|(_, rules)| rules.as_slice())
    }
}

impl<'a> Wanted<'a> {
    /// The chains of a plan, and every hook that has one jumping to it.
    pub(super) fn of(chains: &'a [Chain]) -> Self {
        let texts = |chain: &'a Chain| chain.rules.iter().map(|rule| rule.text.as_str()).collect();
        let jumps = Hook::ALL.map(|hook| chains.iter().any(|chain| chain.name == hook.own()));
        let chains = chains.iter().map(|chain| (chain.name.as_str(), texts(chain))).collect();
        Self { chains, jumps, ..Self::default() }
    }

    /// The same, where chains stay that are in `current` as they were in `before`, when all was right.
    pub(super) fn sparing(mut self, before: &Table, current: &Table) -> Self {
        let is_right = |name: &str| before.rules_of(name).is_some_and(|rules| current.rules_of(name) == Some(rules));
        self.right = self.chains.iter().map(|(name, _)| *name).filter(|name| is_right(name)).collect();
        self
    }

    /// The same, where the raw table has rules that say the same already, be it of another rule set.
    pub(super) fn where_raw_stays(mut self, stays: bool) -> Self {
        self.raw_stays = stays;
        self
    }

    /// The text for `iptables-restore --noflush` that leads from `current` to this: each table whole or not at all.
    /// `None` if there is nothing to do.
    ///
    /// The tables change one after the other. So that a packet that both states drop is dropped in between too, the raw
    /// table has the rules of both while the filter table changes; one that both let through passes those. Where it says
    /// the same before and after, it has its turn when the change has taken effect.
    pub(super) fn transaction(&self, current: &Table) -> Option<String> {
        if self.chains.is_empty() && current.is_clean() {
            return None;
        }
        let (wanted, there) = (self.has_raw(), current.as_wanted().has_raw());
        let mut text = String::new();
        match (wanted, there) {
            (true, true) if self.raw_stays => {}
            (true, true) => self.section_before(TableName::Raw, current, &mut text),
            (true, false) => self.section(TableName::Raw, current, &mut text),
            (false, _) => {}
        }
        self.section(TableName::Filter, current, &mut text);
        if there {
            // Where the first section was, it has put the jump in its place.
            let moved =
                if wanted && !self.raw_stays { current.with_jump_first(Hook::PreRouting) } else { current.clone() };
            self.section(TableName::Raw, &moved, &mut text);
        }
        Some(text)
    }

    /// Whether anything is to be in the raw table.
    fn has_raw(&self) -> bool {
        let in_raw = |table| table == TableName::Raw;
        self.chains.iter().any(|(name, _)| in_raw(TableName::of_chain(name)))
            || Hook::ALL.iter().zip(&self.jumps).any(|(hook, &jump)| jump && in_raw(hook.table()))
    }

    /// Own chains that belong into a table and are to be written, with their rules.
    fn written(&self, table: TableName) -> impl Iterator<Item = &(&'a str, Vec<&'a str>)> {
        self.chains_of(table).filter(|(name, _)| !self.right.contains(name))
    }

    /// Own chains that belong into a table, with their rules.
    fn chains_of(&self, table: TableName) -> impl Iterator<Item = &(&'a str, Vec<&'a str>)> {
        self.chains.iter().filter(move |(name, _)| TableName::of_chain(name) == table)
    }

    /// The part of a transaction that puts the rules of one table in front of those that are there.
    ///
    /// Nothing is taken out: after that the kernel lets the next part wait until no processor can see it any more, some
    /// twenty milliseconds (`nft_compat_wait_for_destructors`).
    fn section_before(&self, table: TableName, current: &Table, text: &mut String) {
        let is_new = |name: &str| current.rules_of(name).is_none();
        let mut lines = String::new();
        for (name, _) in self.written(table).filter(|(name, _)| is_new(name)) {
            let _ = writeln!(lines, ":{name} - [0:0]");
        }
        for (name, rules) in self.written(table) {
            for (rule, place) in rules.iter().zip(1..) {
                // To insert costs more: the tool counts.
                let _ = if is_new(name) {
                    writeln!(lines, "-A {name} {rule}")
                } else {
                    writeln!(lines, "-I {name} {place} {rule}")
                };
            }
        }
        self.write_jumps(table, current, &mut lines);
        write_section(table, &lines, text);
    }

    /// The part of a transaction that changes one table.
    fn section(&self, table: TableName, current: &Table, text: &mut String) {
        let there = current.chains.iter().map(|(name, _)| name.as_str());
        let obsolete: Vec<_> = there
            .filter(|name| TableName::of_chain(name) == table && !self.chains_of(table).any(|(chain, _)| chain == name))
            .collect();
        let mut lines = String::new();
        // A header empties a chain that exists. Nothing of this is seen by a packet before COMMIT.
        for name in self.written(table).map(|(name, _)| *name).chain(obsolete.iter().copied()) {
            let _ = writeln!(lines, ":{name} - [0:0]");
        }
        for (name, rules) in self.written(table) {
            for rule in rules {
                let _ = writeln!(lines, "-A {name} {rule}");
            }
        }
        self.write_jumps(table, current, &mut lines);
        for name in obsolete {
            let _ = writeln!(lines, "-X {name}");
        }
        write_section(table, &lines, text);
    }

    /// Writes what brings the jumps of a table to where they are to be.
    fn write_jumps(&self, table: TableName, current: &Table, lines: &mut String) {
        let hooks = Hook::ALL.iter().zip(&current.hooks).zip(&self.jumps);
        for ((hook, state), &jump) in hooks.filter(|((hook, _), _)| hook.table() == table) {
            if jump && state.jumps == 1 && state.in_front.is_none() {
                continue;
            }
            for _ in 0..state.jumps {
                let _ = writeln!(lines, "-D {} {}", hook.builtin(), hook.jump());
            }
            if jump {
                let _ = writeln!(lines, "-I {} 1 {}", hook.builtin(), hook.jump());
            }
        }
    }

    /// What is different in `found` from what was given to the kernel, in words; `None` if nothing is. Conditions are
    /// not compared: versions of the tools print them differently.
    pub(super) fn difference(&self, found: &Table) -> Option<String> {
        self.difference_by(found, |given, there| Fingerprint::of(given) == Fingerprint::of(there))
    }

    /// What is different in `found` from what was read before, to the letter; `None` if nothing is.
    pub(super) fn change(&self, found: &Table) -> Option<String> {
        self.difference_by(found, |before, there| before == there)
    }

    fn difference_by(&self, found: &Table, is_same: impl Fn(&str, &str) -> bool) -> Option<String> {
        for (name, rules) in &self.chains {
            let Some(there) = found.rules_of(name) else {
                return Some(format!("chain {name} is missing"));
            };
            if rules.len() != there.len() {
                return Some(format!("chain {name} has {} rules instead of {}", there.len(), rules.len()));
            }
            if let Some((wanted, there)) = rules.iter().zip(there).find(|(wanted, there)| !is_same(wanted, there)) {
                return Some(format!("chain {name} has the rule '{there}' instead of '{wanted}'"));
            }
        }
        if let Some((name, _)) =
            found.chains.iter().find(|(name, _)| !self.chains.iter().any(|(chain, _)| chain == name))
        {
            return Some(format!("chain {name} is still there"));
        }
        let mut hooks = Hook::ALL.iter().zip(&found.hooks).zip(&self.jumps);
        hooks.find_map(|((hook, state), &jump)| {
            let right = if jump { state.jumps == 1 && state.in_front.is_none() } else { state.jumps == 0 };
            (!right).then(|| format!("{} has {} jumps to {}", hook.builtin(), state.jumps, hook.own()))
        })
    }
}

/// Writes what is to be done in a table, if that is anything.
fn write_section(table: TableName, lines: &str, text: &mut String) {
    if !lines.is_empty() {
        let _ = write!(text, "*{}\n{lines}COMMIT\n", table.word());
    }
}

fn is_marker(specification: &str) -> bool {
    Fingerprint::of(specification) == Fingerprint { comment: MARKER.into(), ..Fingerprint::default() }
}

fn is_jump(specification: &str, hook: Hook) -> bool {
    words(specification).eq(words(&hook.jump()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "# Generated by iptables-save v1.8.9 (nf_tables)\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [1:2]\n\
        :OUTPUT ACCEPT [0:0]\n:PFW-IN - [0:0]\n:PFW-OLD - [0:0]\n:PFW-THEIRS - [0:0]\n:PFW-EMPTY - [0:0]\n:ufw-x - [0:0]\n\
        -A INPUT -p tcp -j ufw-x\n-A INPUT -j PFW-IN\n\
        -A PFW-IN -m comment --comment \"pfw:managed\"\n-A PFW-IN -s 10.0.0.1/32 -m comment --comment a -j DROP\n\
        -A PFW-OLD -m comment --comment \"pfw:managed\"\n-A PFW-THEIRS -s 1.2.3.4/32 -j ACCEPT\nCOMMIT\n";

    fn wanted() -> Wanted<'static> {
        let chains = vec![("PFW-IN", vec!["-m comment --comment pfw:managed"])];
        Wanted { chains, jumps: [true, false, false, false], ..Wanted::default() }
    }

    #[test]
    fn a_jump_to_a_chain_of_somebody_else_is_not_ours() {
        let rules =
            "-A INPUT -p tcp -j ACCEPT\n-A INPUT -j PFW-IN\n-A OUTPUT -j PFW-OUT\n-A PFW-IN -j ACCEPT\nCOMMIT\n";
        let saved = format!("*filter\n:PFW-IN - [0:0]\n:PFW-OUT - [0:0]\n{rules}");
        let [input, _, output, _] = Table::read(&saved).hooks;
        assert_eq!((input.jumps, input.in_front.as_deref()), (0, Some("-p tcp -j ACCEPT")));
        assert_eq!((output.jumps, output.in_front), (1, None), "nobody else jumps to one that is empty");
        let first = saved.replace("-A INPUT -p tcp -j ACCEPT\n", "");
        assert_eq!(Table::read(&first).hooks[0].in_front.as_deref(), Some("-j PFW-IN"));
    }

    #[test]
    fn only_marked_chains_and_exact_jumps_are_ours() {
        let table = Table::read(SAVED);
        assert_eq!(
            table.chains.iter().map(|(name, rules)| (name.as_str(), rules.len())).collect::<Vec<_>>(),
            [("PFW-IN", 2), ("PFW-OLD", 1)]
        );
        assert_eq!(table.strangers, [("PFW-THEIRS".to_owned(), 1), ("PFW-EMPTY".to_owned(), 0)]);
        assert_eq!(table.hooks[0], HookState { jumps: 1, in_front: Some("-p tcp -j ufw-x".to_owned()) });
        assert_eq!(table.hooks[2], HookState::default());
        assert_eq!(table.adopt_empty().chains.len(), 3);
    }

    #[test]
    fn a_mark_counts_wherever_in_its_chain_it_stands() {
        let rules = ["-m comment --comment \"pfw:managed\"", "-s 10.0.0.1/32 -j DROP", "-s 10.0.0.2/32 -j DROP"];
        for place in 0..rules.len() {
            let mut rules = rules.to_vec();
            rules[..=place].rotate_left(1);
            let saved = format!("*filter\n:PFW-IN - [0:0]\n-A PFW-IN {}\nCOMMIT\n", rules.join("\n-A PFW-IN "));
            let table = Table::read(&saved);
            assert_eq!((table.chains.len(), table.strangers.len()), (1, 0), "{saved}");
        }
    }

    #[test]
    fn a_transaction_moves_the_jump_to_the_front_and_drops_what_is_obsolete() {
        assert_eq!(
            wanted().transaction(&Table::read(SAVED)).expect("something to do"),
            "*filter\n:PFW-IN - [0:0]\n:PFW-OLD - [0:0]\n-A PFW-IN -m comment --comment pfw:managed\n\
             -D INPUT -j PFW-IN\n-I INPUT 1 -j PFW-IN\n\
             -X PFW-OLD\nCOMMIT\n"
        );
    }

    const RAW: &str = "*raw\n:PREROUTING ACCEPT [0:0]\n:PFW-RAW - [0:0]\n:PFW-R00000001-00000 - [0:0]\n:PFW-IN - [0:0]\n\
        -A PREROUTING -p tcp -j ACCEPT\n-A PREROUTING -j PFW-RAW\n\
        -A PFW-RAW -m comment --comment \"pfw:managed\"\n-A PFW-RAW -s 10.0.0.1/32 -j PFW-R00000001-00000\n\
        -A PFW-R00000001-00000 -m comment --comment \"pfw:managed\"\nCOMMIT\n";

    #[test]
    fn the_raw_table_has_the_rules_of_both_while_the_filter_table_changes() {
        let current = Table::read(RAW);
        assert_eq!(current.chains.len(), 2, "PFW-IN is none of ours there");
        assert_eq!(current.hooks[3], HookState { jumps: 1, in_front: Some("-p tcp -j ACCEPT".to_owned()) });
        let marker = "-m comment --comment pfw:managed";
        let chains = vec![("PFW-RAW", vec![marker, "-j PFW-R00000002-00000"]), ("PFW-R00000002-00000", vec![marker])];
        let next = Wanted { chains, jumps: [false, false, false, true], ..Wanted::default() };
        let text = next.transaction(&current).expect("something to do");
        let sections: Vec<_> = text.split("COMMIT\n").collect();
        assert!(
            sections[0].starts_with(
                "*raw\n:PFW-R00000002-00000 - [0:0]\n-I PFW-RAW 1 -m comment --comment pfw:managed\n\
                 -I PFW-RAW 2 -j PFW-R00000002-00000\n-A PFW-R00000002-00000 -m comment --comment pfw:managed\n"
            ),
            "{text}"
        );
        assert!(!sections[0].contains(":PFW-RAW") && !sections[0].contains("R00000001"), "what is there stays: {text}");
        assert!(sections[0].ends_with("-D PREROUTING -j PFW-RAW\n-I PREROUTING 1 -j PFW-RAW\n"), "{text}");
        assert!(!sections[1].contains("10.0.0.1") && !sections[1].contains("PREROUTING"), "{text}");
        assert!(sections[1].ends_with("-X PFW-R00000001-00000\n"), "{text}");
        let removal = Wanted::default().transaction(&current).expect("something to do");
        assert!(removal.starts_with("*raw\n") && removal.contains("-D PREROUTING "), "{removal}");
    }

    #[test]
    fn a_raw_table_that_says_the_same_changes_behind_the_filter_table() {
        let current = Table::read(&(RAW.to_owned() + SAVED));
        let chains =
            vec![("PFW-RAW", vec!["-j PFW-R00000002-00000"]), ("PFW-R00000002-00000", vec![]), ("PFW-IN", vec![])];
        let next = Wanted { chains, jumps: [true, false, false, true], ..Wanted::default() };
        let sections = |stays: bool| {
            let text = next.clone().where_raw_stays(stays).transaction(&current).expect("something to do");
            text.lines().filter(|line| line.starts_with('*')).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(sections(false), ["*raw", "*filter", "*raw"]);
        assert_eq!(sections(true), ["*filter", "*raw"]);
        let text = next.clone().where_raw_stays(true).transaction(&current).expect("something to do");
        assert!(text.contains("-I PREROUTING 1 ") && text.ends_with("-X PFW-R00000001-00000\nCOMMIT\n"), "{text}");
    }

    #[test]
    fn a_chain_that_is_as_it_was_is_not_written_again() {
        let table = Table::read(SAVED);
        let moved = wanted().sparing(&table, &table).transaction(&table).expect("something to do");
        assert!(moved.contains("-I INPUT 1 ") && !moved.contains(":PFW-IN") && !moved.contains("-A PFW-IN"), "{moved}");
        let altered = Table::read(&SAVED.replace("10.0.0.1", "10.0.0.2"));
        assert_eq!(wanted().sparing(&altered, &table).transaction(&table), wanted().transaction(&table));
    }

    #[test]
    fn a_change_of_a_condition_is_seen_against_what_was_read_before() {
        let (before, now) = (Table::read(SAVED), Table::read(&SAVED.replace("10.0.0.1", "10.0.0.2")));
        let words = before.as_wanted().change(&now).expect("it is another address");
        assert!(words.contains("10.0.0.1") && words.contains("10.0.0.2"), "{words}");
        assert_eq!(before.as_wanted().difference(&now).as_deref(), before.as_wanted().difference(&before).as_deref());
    }

    #[test]
    fn removal_leaves_nothing_and_does_nothing_twice() {
        let table = Table::read(SAVED);
        assert_eq!(
            Wanted::default().transaction(&table).expect("something to do"),
            "*filter\n:PFW-IN - [0:0]\n:PFW-OLD - [0:0]\n-D INPUT -j PFW-IN\n\
             -X PFW-IN\n-X PFW-OLD\nCOMMIT\n"
        );
        assert_eq!(Wanted::default().transaction(&Table::default()), None);
    }

    #[test]
    fn a_difference_is_told() {
        let found = Table::read(SAVED);
        assert_eq!(wanted().difference(&found).as_deref(), Some("chain PFW-IN has 2 rules instead of 1"));
        let first = "*filter\n:PFW-IN - [0:0]\n-A INPUT -j PFW-IN\n-A PFW-IN -m comment --comment \"pfw:managed\"\n";
        assert_eq!(wanted().difference(&Table::read(first)), None);
        assert_eq!(wanted().difference(&Table::default()).as_deref(), Some("chain PFW-IN is missing"));
        let displaced = first.replace("-A INPUT", "-A INPUT -j ACCEPT\n-A INPUT");
        assert_eq!(wanted().difference(&Table::read(&displaced)).as_deref(), Some("INPUT has 1 jumps to PFW-IN"));
    }
}
