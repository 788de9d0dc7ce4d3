//! `sets`: named lists of addresses or of ports.

use super::Reader;
use super::list::{Item, Listed};
use crate::rules::address::{self, AddressRange};
use crate::rules::diagnostic::quoted;
use crate::rules::exact::{ExactSet, Term};
use crate::rules::json::{Kind, Node, Path};
use crate::rules::limits::{MAX_SET_ENTRIES, MAX_SET_NAME_BYTES};
use crate::rules::parsed::Parsed;
use crate::rules::port::{self, PortSet};
use crate::rules::suggest::did_you_mean;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The sets of a file by name.
#[derive(Default)]
pub(super) struct Sets {
    sets: BTreeMap<Rc<str>, NamedSet>,
}

struct NamedSet {
    content: Content,
    used: bool,
    offset: u32,
    path: String,
}

/// What a set holds. Never nothing: a condition without values would be true for everything.
pub(super) enum Content {
    Addresses(Vec<AddressRange>),
    Ports(Vec<PortSet>),
    /// It has errors of its own, which have been told.
    Broken,
}

impl Sets {
    /// The content of the set `name`.
    pub(super) fn content(&self, name: &str) -> Option<&Content> {
        self.sets.get(name).map(|set| &set.content)
    }
}

impl Content {
    fn noun(&self) -> &'static str {
        match self {
            Self::Addresses(_) => "addresses",
            Self::Ports(_) => "ports",
            Self::Broken => "nothing",
        }
    }
}

impl Reader<'_> {
    pub(super) fn read_sets(&mut self, node: Option<&Node<'_, '_>>) -> Sets {
        let needed = "an object { \"name\": [...] } is needed here";
        let Some(fields) = node.and_then(|node| self.any_object(node, needed)) else { return Sets::default() };
        let mut sets = BTreeMap::new();
        self.reading_sets = true;
        for member in &fields.members {
            let (name, Some(node)) = (&*member.key, fields.get(&member.key)) else { continue };
            if sets.contains_key(name) {
                continue;
            }
            self.check_name(member.offset, node.path, name);
            let content = self.set_content(&node).unwrap_or(Content::Broken);
            let (offset, path) = (node.offset(), node.path.to_string());
            sets.insert(Rc::from(name), NamedSet { content, used: false, offset, path });
        }
        self.reading_sets = false;
        Sets { sets }
    }

    fn check_name(&mut self, offset: u32, path: Path<'_>, name: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.is_empty() || name.len() > MAX_SET_NAME_BYTES || !name.chars().all(plain) {
            let may = format!("1 to {MAX_SET_NAME_BYTES} letters, digits and _ . -");
            self.findings.error(offset, path, format!("{} is not a name for a set: {may}", quoted(name)));
        }
    }

    fn set_content(&mut self, node: &Node<'_, '_>) -> Option<Content> {
        self.expect(node, Kind::List, "a list of addresses or of ports is needed here")?;
        let length = node.items().len();
        if length == 0 {
            self.error(node, "a set needs at least one entry");
            return None;
        }
        if length > MAX_SET_ENTRIES {
            let message = format!("a set has {MAX_SET_ENTRIES} entries at most, this one {length}; use a block list");
            self.error(node, message);
            return None;
        }
        // The first entry that looks like one or the other says what the set holds.
        if node.items().find_map(|item| looks_like_port(&item)) == Some(true) {
            let items = self.items_of_set(node, |text| port::parse(text).map(Parsed::from))?;
            self.resolved(node, &items, |set: &PortSet| vec![set.clone()]).map(Content::Ports)
        } else {
            let items = self.items_of_set(node, address::parse)?;
            self.resolved(node, &items, |set| set.iter().collect()).map(Content::Addresses)
        }
    }

    /// The items of a set; an error for each that is of the other kind than the first.
    fn items_of_set<T: Listed>(
        &mut self,
        node: &Node<'_, '_>,
        parse: impl Fn(&str) -> Result<Parsed<T>, String>,
    ) -> Option<Vec<Item<T>>> {
        let kind = node.items().find_map(|item| looks_like_port(&item));
        let read = |(index, item): (usize, Node<'_, '_>)| {
            if looks_like_port(&item).is_some_and(|port| Some(port) != kind) {
                self.error(&item, "a set holds addresses or ports, not both");
                return None;
            }
            self.item(&item, Some(index), &parse)
        };
        let items: Vec<_> = node.items().enumerate().map(read).collect();
        let items = items.into_iter().collect::<Option<Vec<_>>>()?;
        self.warn_repeats(node.path, &items.iter().collect::<Vec<_>>());
        Some(items)
    }

    /// The values that stand for a set wherever it is used: as written, or what is left of them if some are negated.
    fn resolved<T: Listed + Term>(
        &mut self,
        node: &Node<'_, '_>,
        items: &[Item<T>],
        split: impl Fn(&T::Set) -> Vec<T>,
    ) -> Option<Vec<T>> {
        let terms: Vec<(bool, T)> = items.iter().flat_map(|item| self.terms(item)).collect();
        if terms.iter().all(|(negated, _)| !negated) {
            return Some(terms.into_iter().map(|(_, value)| value).collect());
        }
        let left = T::meaning(&terms);
        if left.is_empty() {
            self.error(node, "nothing is left of this set: its negated entries take all the others away");
            return None;
        }
        Some(split(&left))
    }

    /// The set `name` where a `T` stands: an error if there is none, or if it holds something else.
    pub(super) fn set<T: Listed>(&mut self, node: &Node<'_, '_>, name: &str) -> Option<Rc<str>> {
        if self.reading_sets {
            self.error(node, "a set can't hold another set");
            return None;
        }
        let Some((name, set)) = self.sets.sets.get_key_value(name) else {
            let names = self.sets.sets.keys().map(|name| format!("@{name}"));
            let meant = did_you_mean(&format!("@{name}"), names);
            self.error(node, format!("there is no set {}{meant}", quoted(name)));
            return None;
        };
        let name = Rc::clone(name);
        let message = match (&set.content, T::of_set(&set.content)) {
            (_, Some(values)) => {
                let more = values.len() - 1;
                self.count(more, node)?;
                Ok(())
            }
            (Content::Broken, None) => Err(None),
            (content, None) => Err(Some(format!("@{name} is a set of {}; {} is needed here", content.noun(), T::NOUN))),
        };
        if let Some(set) = self.sets.sets.get_mut(&name) {
            set.used = true;
        }
        match message {
            Ok(()) => Some(name),
            Err(message) => {
                if let Some(message) = message {
                    self.error(node, message);
                }
                None
            }
        }
    }

    pub(super) fn warn_unused_sets(&mut self) {
        for (name, set) in self.sets.sets.iter().filter(|(_, set)| !set.used) {
            self.findings.warning(set.offset, &set.path, format!("the set is never used: nothing says \"@{name}\""));
        }
    }
}

/// Whether a value is written like a port rather than an address; none if it is like neither.
fn looks_like_port(node: &Node<'_, '_>) -> Option<bool> {
    match node.kind() {
        Kind::Number => Some(true),
        Kind::String => {
            let text = node.raw().trim_matches('"').trim_start_matches('!');
            if text.starts_with('@') {
                return None;
            }
            if text.contains(['.', ':']) {
                return Some(false);
            }
            text.starts_with(|first: char| first.is_ascii_digit()).then_some(true)
        }
        _ => None,
    }
}
