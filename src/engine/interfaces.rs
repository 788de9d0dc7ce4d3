//! Names of interfaces -> classes: all that the rules can tell apart about a name.
//!
//! Which patterns match a name depends on whether it is one of the names written out, and else on the longest of the
//! written prefixes that it begins with. So there is one class for each pattern, and one for all other names.

use super::decision::InterfaceClass;
use crate::rules::Rule;
use std::collections::BTreeMap;

/// Ends a representative: no interface and no pattern has it in its name.
const NO_NAME: char = '\0';

/// The classes that a rule set tells apart.
#[derive(Debug)]
pub(super) struct Interfaces {
    /// Patterns and their classes.
    classes: BTreeMap<Box<str>, InterfaceClass>,
    /// A name of each class; class 0 is that of names that nothing matches.
    representatives: Vec<Box<str>>,
}

impl Interfaces {
    /// The classes that `rules` tell apart.
    pub(super) fn new<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Self {
        let mut interfaces = Self { classes: BTreeMap::new(), representatives: vec![NO_NAME.to_string().into()] };
        for (_, pattern) in rules.into_iter().flat_map(|rule| &rule.interface) {
            if interfaces.classes.contains_key(pattern) {
                continue;
            }
            let class = u32::try_from(interfaces.representatives.len()).unwrap_or(u32::MAX);
            interfaces.classes.insert(pattern.clone(), InterfaceClass(class));
            interfaces.representatives.push(match pattern.strip_suffix('+') {
                Some(prefix) => format!("{prefix}{NO_NAME}").into(),
                None => pattern.clone(),
            });
        }
        interfaces
    }

    /// The class of the interface `name`.
    pub(super) fn class(&self, name: &str) -> InterfaceClass {
        let prefixes = (0..=name.len()).rev().filter_map(|end| name.get(..end)).map(|prefix| format!("{prefix}+"));
        let written_out = (!name.ends_with('+')).then(|| name.to_owned());
        written_out.into_iter().chain(prefixes).find_map(|key| self.classes.get(&*key)).copied().unwrap_or_default()
    }

    /// A name of each class, in the order of classes.
    pub(super) fn representatives(&self) -> impl Iterator<Item = &str> {
        self.representatives.iter().map(|name| &**name)
    }
}
