//! How a rules file is written: its line ends, its indentation, its spaces. What is added to it is written alike.

use super::container::Container;
use std::borrow::Cow;

/// The line end that the file uses.
pub(super) fn newline(text: &str) -> &'static str {
    match text.split_once('\n') {
        Some((first, _)) if first.ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// Whether the file's object takes more than one line. One that doesn't stays on its line.
pub(super) fn has_lines(text: &str) -> bool {
    text.trim().contains('\n')
}

/// What one step of indentation is: that of the first key, or two spaces.
pub(super) fn indentation(root: &Container<'_>) -> String {
    let unit = root.lead().rsplit_once('\n').map(|(_, indent)| indent).filter(|indent| !indent.is_empty());
    unit.unwrap_or("  ").to_owned()
}

/// What stands between two items of a list that has only one so far, on the same line.
pub(super) fn comma(text: &str) -> &'static str {
    if is_compact(text) { "," } else { ", " }
}

/// Whether the file is written without spaces between its words.
fn is_compact(text: &str) -> bool {
    Container::root(text).and_then(|root| root.items.first().map(|first| root.colon(first) == ":")).unwrap_or(false)
}

/// How an object is written.
pub(super) struct ObjectStyle {
    /// From the brace to the first key.
    lead: String,
    /// From one member to the next.
    between: String,
    /// From a key to its value.
    colon: String,
    /// From the last value to the brace.
    tail: String,
}

impl ObjectStyle {
    /// The style of the last object among the items of `list`, or that of the file as far as it tells.
    pub(super) fn of_items(text: &str, list: Option<&Container<'_>>) -> Self {
        let objects = list.into_iter().flat_map(|list| list.items.iter().rev());
        let mut objects = objects.filter_map(|item| Container::object(text, item.value.clone()));
        objects.find_map(|object| Self::of(&object)).unwrap_or_else(|| Self::plain(text))
    }

    /// How `object` is written; none if it is empty.
    fn of(object: &Container<'_>) -> Option<Self> {
        let (first, lead) = (object.items.first()?, object.lead());
        let between = match object.gaps().next() {
            Some(gap) => Cow::Borrowed(gap),
            None if lead.contains('\n') => Cow::Owned(format!(",{lead}")),
            None => Cow::Borrowed(comma(object.text)),
        };
        Some(Self {
            lead: lead.to_owned(),
            between: between.into_owned(),
            colon: one_space(object.colon(first)).to_owned(),
            tail: object.tail().to_owned(),
        })
    }

    fn plain(text: &str) -> Self {
        let (space, colon) = if is_compact(text) { ("", ":") } else { (" ", ": ") };
        Self { lead: space.into(), between: comma(text).into(), colon: colon.into(), tail: space.into() }
    }

    /// An object of keys and values that are JSON already; at least one.
    pub(super) fn write(&self, members: &[(&str, String)]) -> String {
        let members: Vec<_> = members.iter().map(|(key, value)| [&quoted(key), &*self.colon, value].concat()).collect();
        ["{", &self.lead, &members.join(&self.between), &self.tail, "}"].concat()
    }
}

/// A colon with its spaces, those for alignment left out, and a value never on the next line.
pub(super) fn one_space(colon: &str) -> &str {
    if colon.contains('\n') || colon.len() > 3 { ": " } else { colon }
}

/// `text` as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
