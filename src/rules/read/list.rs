//! Lists of values: one or many, negated or not, and what sets stand for.

use super::Reader;
use super::sets::Content;
use crate::rules::address::AddressRange;
use crate::rules::exact::Term;
use crate::rules::icmp::IcmpSet;
use crate::rules::json::{Kind, Node, Path};
use crate::rules::model::Condition;
use crate::rules::parsed::Parsed;
use crate::rules::port::PortSet;
use crate::rules::protocol::ProtocolSet;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::rc::Rc;

/// A kind of value that lists are made of.
pub(super) trait Listed: Clone + Eq + Hash + fmt::Display {
    /// What one is called in messages.
    const NOUN: &'static str;
    /// Whether a JSON number can be one.
    const NUMBERS: bool = false;

    /// The values of a set, if sets hold this kind.
    fn of_set(_content: &Content) -> Option<&[Self]> {
        None
    }
}

impl Listed for AddressRange {
    const NOUN: &'static str = "an address";

    fn of_set(content: &Content) -> Option<&[Self]> {
        if let Content::Addresses(addresses) = content { Some(addresses) } else { None }
    }
}

impl Listed for PortSet {
    const NOUN: &'static str = "a port";
    const NUMBERS: bool = true;

    fn of_set(content: &Content) -> Option<&[Self]> {
        if let Content::Ports(ports) = content { Some(ports) } else { None }
    }
}

impl Listed for ProtocolSet {
    const NOUN: &'static str = "a protocol";
    const NUMBERS: bool = true;
}

impl Listed for IcmpSet {
    const NOUN: &'static str = "an ICMP type";
    const NUMBERS: bool = true;
}

impl Listed for Box<str> {
    const NOUN: &'static str = "the name of an interface";
}

/// One value of a list as it stands in the file.
#[derive(Clone)]
pub(super) struct Item<T> {
    pub(super) negated: bool,
    pub(super) value: Value<T>,
    /// Its place in the list; none where it stands alone.
    pub(super) index: Option<usize>,
    pub(super) offset: u32,
}

/// A value, or the name of a set that is known and of the right kind.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Value<T> {
    One(T),
    Set(Rc<str>),
}

impl<T: fmt::Display> fmt::Display for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(value) => write!(f, "{value}"),
            Self::Set(name) => write!(f, "@{name}"),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Item<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negated { "!" } else { "" }, self.value)
    }
}

impl Reader<'_> {
    /// The values of a condition, one or a list; none if there was an error.
    pub(super) fn items<T: Listed>(
        &mut self,
        node: &Node<'_, '_>,
        parse: impl Fn(&str) -> Result<Parsed<T>, String>,
    ) -> Option<Vec<Item<T>>> {
        if node.kind() != Kind::List {
            return self.item(node, None, parse).map(|item| vec![item]);
        }
        let nodes = node.items();
        if nodes.len() == 0 {
            self.error(node, "an empty list would match nothing; leave the key out to match everything");
            return None;
        }
        // Each is read, so that each error is told; one error leaves nothing.
        let items: Vec<_> = nodes.enumerate().map(|(index, node)| self.item(&node, Some(index), &parse)).collect();
        let items = items.into_iter().collect::<Option<Vec<_>>>()?;
        self.warn_repeats(node.path, &items.iter().collect::<Vec<_>>());
        Some(items)
    }

    /// One value.
    pub(super) fn item<T: Listed>(
        &mut self,
        node: &Node<'_, '_>,
        index: Option<usize>,
        parse: impl Fn(&str) -> Result<Parsed<T>, String>,
    ) -> Option<Item<T>> {
        self.count(1, node)?;
        let text = match node.kind() {
            Kind::Number if T::NUMBERS => Cow::Borrowed(node.raw()),
            _ => self.string(node, &format!("{} is needed here", T::NOUN))?,
        };
        let (negated, text) = text.strip_prefix('!').map_or((false, &*text), |rest| (true, rest));
        if text.starts_with('!') {
            self.error(node, "\"!!\" takes itself away; write the value alone");
            return None;
        }
        let value = match text.strip_prefix('@') {
            Some(name) => Value::Set(self.set::<T>(node, name)?),
            None => Value::One(self.value(node, parse(text))?),
        };
        Some(Item { negated, value, index, offset: node.offset() })
    }

    fn value<T>(&mut self, node: &Node<'_, '_>, read: Result<Parsed<T>, String>) -> Option<T> {
        match read {
            Ok(Parsed { value, warning }) => {
                if let Some(warning) = warning {
                    self.warning(node, warning);
                }
                Some(value)
            }
            Err(reason) => {
                self.error(node, reason);
                None
            }
        }
    }

    /// A condition of a rule.
    pub(super) fn condition<T: Listed + Term>(
        &mut self,
        node: &Node<'_, '_>,
        parse: impl Fn(&str) -> Result<Parsed<T>, String>,
    ) -> Option<Condition<T, T::Set>> {
        let items = self.items(node, parse)?;
        let terms: Vec<_> = items.iter().flat_map(|item| self.terms(item)).collect();
        let text = items.iter().map(Item::to_string).collect::<Vec<_>>().join(", ");
        Some(Condition { set: T::meaning(&terms), terms, text: text.into() })
    }

    /// What an item stands for: itself, or the values of its set.
    pub(super) fn terms<T: Listed>(&self, item: &Item<T>) -> Vec<(bool, T)> {
        let values = match &item.value {
            Value::One(value) => std::slice::from_ref(value),
            Value::Set(name) => self.sets.content(name).and_then(T::of_set).unwrap_or_default(),
        };
        values.iter().map(|value| (item.negated, value.clone())).collect()
    }

    /// Warns of each item that says again what one before it said.
    pub(super) fn warn_repeats<T: Listed>(&mut self, list: Path<'_>, items: &[&Item<T>]) {
        let mut seen = HashMap::with_capacity_and_hasher(items.len(), foldhash::fast::RandomState::default());
        for item in items {
            let index = item.index.unwrap_or(0);
            let first = *seen.entry((item.negated, &item.value)).or_insert(index);
            if first != index {
                let message = format!("{item} stands in this list already, as {list}[{first}]");
                self.findings.warning(item.offset, Path::Index(&list, index), message);
            }
        }
    }
}
