//! The elements of the lists in the text, found by their offset, and the text after one of them changed.

use super::container::Container;
use super::element::{Details, rfc3339};
use super::list::{FILE_KEYS, List};
use super::remark::Related;
use super::style::{ObjectStyle, has_lines, quoted};
use super::target::Value;
use crate::rules::json::{Kind, Node};
use crate::time::Timestamp;
use std::borrow::Cow;
use std::ops::Range;

/// One element of a list: a value, or an object.
pub(super) struct Element<'t> {
    text: &'t str,
    list: List,
    /// What it stands in.
    siblings: Container<'t>,
    /// Its place among them.
    index: usize,
    span: Range<usize>,
}

impl<'t> Element<'t> {
    /// The element of `list` that begins at `offset`.
    pub(super) fn find(text: &'t str, list: List, offset: u32) -> Option<Self> {
        let root = Container::root(text)?;
        let siblings = Container::list(text, root.get(list.key())?.value.clone())?;
        let index = siblings.items.binary_search_by_key(&(offset as usize), |item| item.value.start).ok()?;
        let span = siblings.items.get(index)?.value.clone();
        Some(Self { text, list, siblings, index, span })
    }

    /// Its members; none if it is a value alone.
    fn object(&self) -> Option<Container<'t>> {
        Container::object(self.text, self.span.clone())
    }

    /// Where its value stands, or the list of its values; none in a rule.
    fn value_span(&self) -> Option<Range<usize>> {
        match self.object() {
            Some(object) => object.get(self.list.value_key()).map(|member| member.value.clone()),
            None => Some(self.span.clone()),
        }
    }

    /// The list of its values, if it is one.
    fn value_list(&self) -> Option<Container<'t>> {
        Container::list(self.text, self.value_span()?)
    }

    /// Its values as they are written, quotes and escapes resolved.
    pub(super) fn texts(&self) -> Vec<String> {
        let spans = match self.value_list() {
            Some(list) => list.items.into_iter().map(|item| item.value).collect(),
            None => Vec::from_iter(self.value_span()),
        };
        spans.into_iter().map(|span| scalar_text(self.text, span)).collect()
    }

    /// Whether `value` stands in it itself, not by way of a set.
    pub(super) fn has(&self, value: &Value) -> bool {
        self.texts().iter().any(|text| self.list.value(text).as_ref() == Some(value))
    }

    /// Whether its ids come from its values, so that each of several has one of its own.
    pub(super) fn is_named_by_values(&self) -> bool {
        let has_id = self.object().is_some_and(|object| object.get("id").is_some());
        !(has_id || matches!(self.list, List::Rules | List::BlockLists))
    }

    /// The text with `json` in the element's place.
    fn replaced(&self, json: &str) -> String {
        self.siblings.replaced(self.span.clone(), json)
    }

    /// The text with the value alone made an object that has one more member.
    fn made_object(&self, key: &str, json: &str) -> String {
        let value = self.siblings.slice(self.span.clone()).to_owned();
        let style = ObjectStyle::of_items(self.text, Some(&self.siblings));
        self.replaced(&style.write(&[(self.list.value_key(), value), (key, json.to_owned())]))
    }

    /// The text with the member `key` set, or taken out.
    fn with_member(&self, key: &str, json: Option<&str>) -> String {
        let Some(object) = self.object() else {
            return json.map_or_else(|| self.text.to_owned(), |json| self.made_object(key, json));
        };
        let index = object.items.iter().position(|item| item.key.as_deref() == Some(key));
        match (index.and_then(|index| object.items.get(index)), json) {
            (Some(member), Some(json)) => object.replaced(member.value.clone(), json),
            (Some(_), None) => object.without(&Vec::from_iter(index)),
            (None, Some(json)) => object.insert_member(key, json, &self.list.object_keys()),
            (None, None) => self.text.to_owned(),
        }
    }

    /// The text with the element switched on or off.
    pub(super) fn switched(&self, enabled: bool) -> String {
        let object = self.object();
        let member = object.as_ref().and_then(|object| object.get("enabled"));
        match (&object, member, enabled) {
            (_, None, true) => self.text.to_owned(),
            (_, None, false) => self.with_member("enabled", Some("false")),
            // A value needs no object once nothing stands beside it: as it was before it was switched off.
            (Some(object), Some(_), true)
                if object.items.len() == 2 && self.value_list().is_none() && self.value_span().is_some() =>
            {
                let value = self.value_span().map(|span| object.slice(span)).unwrap_or_default();
                self.replaced(value)
            }
            (_, Some(_), enabled) => self.with_member("enabled", Some(if enabled { "true" } else { "false" })),
        }
    }

    /// The text without the element.
    pub(super) fn removed(&self) -> String {
        self.siblings.without(&[self.index])
    }

    /// The text without those of its values that are `meant`; without the element, if those are all.
    pub(super) fn without_values(&self, meant: impl Fn(&str) -> bool) -> String {
        let texts = self.texts();
        if texts.iter().all(|text| meant(text)) {
            return self.removed();
        }
        let gone: Vec<_> = (0..).zip(&texts).filter(|(_, text)| meant(text)).map(|(index, _)| index).collect();
        self.value_list().map_or_else(|| self.text.to_owned(), |list| list.without(&gone))
    }
}

/// The content of a string, or a number as it is written.
fn scalar_text(text: &str, span: Range<usize>) -> String {
    let Some(node) = Node::at(text, span) else { return String::new() };
    match node.kind() {
        Kind::String => node.string().map(Cow::into_owned).unwrap_or_default(),
        _ => node.raw().to_owned(),
    }
}

/// The text with a new element in `list`, at `index` or at its end; the list is made if it is missing.
pub(super) fn insert(text: &str, list: List, index: Option<usize>, write: impl Fn(&ObjectStyle) -> String) -> String {
    let Some(root) = Container::root(text) else { return text.to_owned() };
    let Some(container) = root.get(list.key()).and_then(|member| Container::list(text, member.value.clone())) else {
        let with_list = root.insert_member(list.key(), "[]", FILE_KEYS);
        return insert(&with_list, list, index, write);
    };
    let element = write(&ObjectStyle::of_items(text, Some(&container)));
    let own_line = list == List::Rules && has_lines(text);
    container.insert(index.unwrap_or(container.items.len()), &element, own_line)
}

/// What has to change beside a value that is in the list already.
pub(super) struct Update {
    /// All that stands beside it then.
    pub(super) details: Details,
    comment: Option<String>,
    /// Whether the expiry among the details is a new one.
    later: bool,
    enable: bool,
}

impl Update {
    /// What `wanted` changes about what is `present`; none if nothing does. The later expiry counts.
    pub(super) fn of(present: &Related, wanted: &Details) -> Option<Self> {
        let comment = wanted.comment.clone().filter(|comment| present.comment.as_deref() != Some(comment));
        let end = |expires: Option<Timestamp>| expires.unwrap_or(Timestamp::MAX);
        let later = end(wanted.expires) > end(present.expires);
        if comment.is_none() && !later && present.enabled {
            return None;
        }
        let details = Details {
            id: wanted.id.clone(),
            comment: comment.clone().or_else(|| present.comment.as_deref().map(str::to_owned)),
            expires: if later { wanted.expires } else { present.expires },
        };
        Some(Self { details, comment, later, enable: !present.enabled })
    }

    /// The text with the changes made in the element at `offset`.
    pub(super) fn text(&self, text: &str, list: List, offset: u32) -> String {
        let mut text = text.to_owned();
        let mut set = |change: &dyn Fn(&Element<'_>) -> String| {
            text = Element::find(&text, list, offset).map_or_else(String::new, |element| change(&element));
        };
        if let Some(comment) = &self.comment {
            set(&|element| element.with_member("comment", Some(&quoted(comment))));
        }
        if self.later {
            let json = self.details.expires.map(|end| quoted(&rfc3339(end)));
            set(&|element| element.with_member("expires", json.as_deref()));
        }
        if self.enable {
            set(&|element| element.switched(true));
        }
        text
    }
}
