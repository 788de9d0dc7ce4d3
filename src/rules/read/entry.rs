//! The lists at the top of the file: values, or objects that hold a value and what may stand beside it.

use super::Reader;
use super::list::{Item, Listed};
use super::meta::Meta;
use super::object::Fields;
use crate::rules::address::AddressRange;
use crate::rules::id;
use crate::rules::json::{Kind, Node};
use crate::rules::limits::MAX_LIST_NETWORKS;
use crate::rules::model::{BlockList, Entry};
use crate::rules::parsed::Parsed;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// One element of a list: a value, or an object with one or more.
struct Element<T> {
    items: Vec<Item<T>>,
    meta: Meta,
    offset: u32,
}

impl Reader<'_> {
    /// The entries of `list`, in file order; in an object the value's key is `key`.
    pub(super) fn entries<T: Listed>(
        &mut self,
        file: &Fields<'_, '_>,
        list: &str,
        key: &str,
        parse: impl Fn(&str) -> Result<Parsed<T>, String>,
    ) -> Vec<Entry<T>> {
        let Some(node) = file.get(list) else { return Vec::new() };
        if self.expect(&node, Kind::List, "a list is needed here").is_none() {
            return Vec::new();
        }
        let nodes = node.items().enumerate();
        let elements: Vec<_> = nodes.filter_map(|(index, node)| self.element(&node, index, key, &parse)).collect();
        let active = elements.iter().filter(|element| element.meta.enabled).flat_map(|element| &element.items);
        let active: Vec<_> = active.collect();
        self.warn_repeats(node.path, &active);
        if !active.is_empty() && active.iter().all(|item| item.negated) {
            self.warning(&node, "every entry is negated: this list means everything but them");
        }
        elements.iter().flat_map(|element| self.resolve(element, list)).collect()
    }

    fn element<T: Listed>(
        &mut self,
        node: &Node<'_, '_>,
        index: usize,
        key: &str,
        parse: impl Fn(&str) -> Result<Parsed<T>, String>,
    ) -> Option<Element<T>> {
        let offset = node.offset();
        if node.kind() != Kind::Object {
            let item = self.item(node, Some(index), parse)?;
            return Some(Element { items: vec![item], meta: Meta::default(), offset });
        }
        let fields = self.object(node, &[key, "id", "comment", "expires", "enabled"], "")?;
        let meta = self.meta(&fields);
        let value = self.required(node, &fields, key)?;
        let items = self.items(&value, parse)?;
        let items = items.into_iter().map(|item| Item { index: Some(index), ..item }).collect();
        Some(Element { items, meta, offset })
    }

    /// The value of a key that an object can't do without.
    pub(super) fn required<'t, 'f>(
        &mut self,
        node: &Node<'_, '_>,
        fields: &'f Fields<'t, '_>,
        key: &str,
    ) -> Option<Node<'t, 'f>> {
        let value = fields.get(key);
        if value.is_none() {
            self.error(node, format!("the key \"{key}\" is missing"));
        }
        value
    }

    /// The entries that an element stands for: one for each value, and for each of a set's.
    fn resolve<T: Listed>(&self, element: &Element<T>, list: &str) -> Vec<Entry<T>> {
        let Element { items, meta, offset } = element;
        let entries_of = |item: &Item<T>| {
            let Item { negated, value, .. } = item;
            let id = meta.id.clone().unwrap_or_else(|| id::of_entry(list, *negated, &value.to_string()).into());
            self.terms(item).into_iter().map(move |(negated, value)| Entry {
                value,
                negated,
                id: Arc::clone(&id),
                comment: meta.comment.clone(),
                expires: meta.expires,
                enabled: meta.enabled,
                offset: *offset,
            })
        };
        items.iter().flat_map(entries_of).collect()
    }

    /// The block lists, each with the content of its file.
    pub(super) fn block_lists(&mut self, node: Option<&Node<'_, '_>>) -> Vec<BlockList> {
        let Some(node) = node else { return Vec::new() };
        if self.expect(node, Kind::List, "a list of files is needed here").is_none() {
            return Vec::new();
        }
        let mut seen = HashMap::new();
        let mut lists = Vec::new();
        for (index, element) in node.items().enumerate() {
            let Some(list) = self.block_list(&element) else { continue };
            let first = *seen.entry(list.path.clone()).or_insert(index);
            if first != index && list.enabled {
                self.warning(&element, format!("this file stands in the list already, as {}[{first}]", node.path));
            }
            lists.push(list);
        }
        lists
    }

    fn block_list(&mut self, node: &Node<'_, '_>) -> Option<BlockList> {
        if node.kind() != Kind::Object {
            return self.block_list_of(node, node, Meta::default());
        }
        let fields = self.object(node, &["file", "id", "comment", "expires", "enabled"], "")?;
        let meta = self.meta(&fields);
        let file = self.required(node, &fields, "file")?;
        self.block_list_of(node, &file, meta)
    }

    fn block_list_of(&mut self, entry: &Node<'_, '_>, file: &Node<'_, '_>, meta: Meta) -> Option<BlockList> {
        self.count(1, file)?;
        let name = self.string(file, "the name of a file is needed here")?;
        if name.is_empty() || name.chars().any(char::is_control) {
            self.error(file, "this is not the name of a file");
            return None;
        }
        let path = self.origin.folder.join(&*name);
        // A list that is switched off has no effect, not even that of its mistakes.
        let networks = if meta.enabled { self.networks_of(file, &name, &path)? } else { Arc::default() };
        let derived = || id::of_entry("block_lists", false, &name).into();
        Some(BlockList {
            id: meta.id.unwrap_or_else(derived),
            path,
            networks,
            expires: meta.expires,
            enabled: meta.enabled,
            comment: meta.comment,
            offset: entry.offset(),
        })
    }

    fn networks_of(&mut self, node: &Node<'_, '_>, name: &str, path: &Path) -> Option<Arc<[AddressRange]>> {
        let list = (self.origin.list)(path).map_err(|error| self.error(node, format!("{name}: {error}"))).ok()?;
        let at = (node.offset(), node.path.to_string());
        for (place, message) in &list.errors {
            self.findings.error_elsewhere((at.0, &at.1), name, *place, message.clone());
        }
        if list.host_bits > 0 {
            let first = list.first_host_bits;
            let (count, what) = (list.host_bits, if list.host_bits == 1 { "network has" } else { "networks have" });
            let message =
                format!("{count} {what} host bits set in {name} (the first on line {first}); each is taken whole");
            self.warning(node, message);
        }
        self.networks += list.networks.len();
        if self.networks > MAX_LIST_NETWORKS {
            self.error(node, format!("more than {MAX_LIST_NETWORKS} networks in all block lists"));
            return None;
        }
        Some(Arc::clone(&list.networks))
    }
}
