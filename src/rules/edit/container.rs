//! A list or an object where it stands in the text: what it holds, and the text after one of its items was put in,
//! replaced or taken out. Nothing else of the text changes.

use super::style::{comma, has_lines, indentation, newline, one_space, quoted};
use crate::rules::json::{Kind, Node};
use std::borrow::Cow;
use std::ops::Range;

/// Characters of a line up to which a list on one line goes on there: what fits most editors' windows.
const WIDTH: usize = 100;

/// A list or an object.
pub(super) struct Container<'t> {
    /// The whole file.
    pub(super) text: &'t str,
    span: Range<usize>,
    /// What it holds, in order.
    pub(super) items: Vec<Item<'t>>,
}

/// A value in a list, or a key with its value in an object.
pub(super) struct Item<'t> {
    /// The key; none in a list.
    pub(super) key: Option<Cow<'t, str>>,
    /// Where the key stands; nothing before the value in a list.
    key_span: Range<usize>,
    /// Where the value stands.
    pub(super) value: Range<usize>,
}

impl Item<'_> {
    fn start(&self) -> usize {
        self.key_span.start
    }
}

impl<'t> Container<'t> {
    /// The object that the file holds, if it holds one.
    pub(super) fn root(text: &'t str) -> Option<Self> {
        let root = Node::root(text).ok()?;
        Self::object(text, root.span())
    }

    /// The object at `span`, which was found in this text; none if it is something else.
    pub(super) fn object(text: &'t str, span: Range<usize>) -> Option<Self> {
        let node = Node::at(text, span).filter(|node| node.kind() == Kind::Object)?;
        let members = node.members().into_iter().filter_map(Result::ok);
        let items = members.map(|member| {
            let (key_span, value) = node.spans(&member);
            Item { key: Some(member.key), key_span, value }
        });
        Some(Self { text, span: node.span(), items: items.collect() })
    }

    /// The list at `span`, which was found in this text; none if it is something else.
    pub(super) fn list(text: &'t str, span: Range<usize>) -> Option<Self> {
        let node = Node::at(text, span).filter(|node| node.kind() == Kind::List)?;
        let item = |node: Node<'t, '_>| {
            let value = node.span();
            Item { key: None, key_span: value.start..value.start, value }
        };
        Some(Self { text, span: node.span(), items: node.items().map(item).collect() })
    }

    /// The member `key` of an object.
    pub(super) fn get(&self, key: &str) -> Option<&Item<'t>> {
        self.items.iter().find(|item| item.key.as_deref() == Some(key))
    }

    /// From the opening bracket to the first item; to the closing one if there is none.
    pub(super) fn lead(&self) -> &'t str {
        let end = self.items.first().map_or(self.span.end - 1, Item::start);
        self.slice(self.span.start + 1..end)
    }

    /// From the last item to the closing bracket.
    pub(super) fn tail(&self) -> &'t str {
        let start = self.items.last().map_or(self.span.start + 1, |last| last.value.end);
        self.slice(start..self.span.end - 1)
    }

    /// From each item to the next.
    pub(super) fn gaps(&self) -> impl DoubleEndedIterator<Item = &'t str> + ExactSizeIterator {
        self.items.iter().zip(self.items.iter().skip(1)).map(|(one, next)| self.slice(one.value.end..next.start()))
    }

    /// From the key of a member to its value.
    pub(super) fn colon(&self, member: &Item<'_>) -> &'t str {
        self.slice(member.key_span.end..member.value.start)
    }

    /// The text with `item` at the place `index`; in an empty container on a line of its own if that is wanted.
    pub(super) fn insert(&self, index: usize, item: &str, own_line: bool) -> String {
        match (self.items.get(index), self.items.last()) {
            (_, None) => self.filled_with(item, own_line),
            (Some(next), _) => {
                let gap = self.gap(index, next.start(), item);
                self.replaced(next.start()..next.start(), &[item, &gap].concat())
            }
            (None, Some(last)) => {
                let end = last.value.end;
                let gap = self.gap(index, end, item);
                self.replaced(end..end, &[&*gap, item].concat())
            }
        }
    }

    /// The text with the member `key`, which is not there yet, where `order` has it; its value is JSON.
    pub(super) fn insert_member(&self, key: &str, value: &str, order: &[&str]) -> String {
        let rank = |key: Option<&str>| order.iter().position(|known| Some(*known) == key);
        let ranks = self.items.iter().map(|item| rank(item.key.as_deref())).enumerate();
        let before = ranks.filter(|(_, other)| *other < rank(Some(key))).max_by_key(|(_, other)| *other);
        let index = before.map_or(0, |(index, _)| index + 1);
        let key_text = quoted(key);
        let member = [&*key_text, &self.colon_for(key_text.len(), index), value].concat();
        self.insert(index, &member, self.span == self.root_span())
    }

    /// The text without the items at `gone` (indexes, ascending).
    pub(super) fn without(&self, gone: &[usize]) -> String {
        let is_gone = |index: usize| gone.binary_search(&index).is_ok();
        if (0..self.items.len()).all(is_gone) {
            return self.replaced(self.span.start + 1..self.span.end - 1, "");
        }
        // What is kept, each item with all that follows it up to the next one; the last of the kept ends with itself.
        let (Some(first), Some(last)) = (self.items.first(), self.items.last()) else { return self.text.to_owned() };
        let last_kept = (0..self.items.len()).rev().find(|&index| !is_gone(index));
        let mut kept = String::new();
        for (index, item) in self.items.iter().enumerate().filter(|(index, _)| !is_gone(*index)) {
            let next = self.items.get(index + 1).map_or(item.value.end, Item::start);
            let end = if Some(index) == last_kept { item.value.end } else { next };
            kept.push_str(self.slice(item.start()..end));
        }
        self.replaced(first.start()..last.value.end, &kept)
    }

    /// The text with `with` in place of `span`.
    pub(super) fn replaced(&self, span: Range<usize>, with: &str) -> String {
        [self.slice(0..span.start), with, self.slice(span.end..self.text.len())].concat()
    }

    pub(super) fn slice(&self, span: Range<usize>) -> &'t str {
        self.text.get(span).unwrap_or_default()
    }

    fn root_span(&self) -> Range<usize> {
        let start = self.text.len() - self.text.trim_start().len();
        start..self.text.trim_end().len()
    }

    /// The text with `item` as the only one.
    fn filled_with(&self, item: &str, own_line: bool) -> String {
        let inside = self.lead();
        let content = if own_line || inside.contains('\n') {
            let line = self.line_start(self.span.start);
            let indent: String = self.slice(line..self.span.start).chars().take_while(|c| " \t".contains(*c)).collect();
            let unit = Self::root(self.text).map(|root| indentation(&root)).unwrap_or_default();
            let newline = newline(self.text);
            [newline, &indent, &unit, item, newline, &indent].concat()
        } else {
            let space = if inside.is_empty() { "" } else { " " };
            [space, item, space].concat()
        };
        self.replaced(self.span.start + 1..self.span.end - 1, &content)
    }

    /// What stands between the new `item`, put in at `offset`, and its neighbour.
    fn gap(&self, index: usize, offset: usize, item: &str) -> Cow<'t, str> {
        let lines = |gap: &str| gap.matches('\n').count();
        let count = self.gaps().len();
        let Some(near) = self.gaps().nth(index.saturating_sub(1).min(count.saturating_sub(1))) else {
            return self.first_gap(offset, item);
        };
        let alike = self.gaps().filter(|gap| lines(gap) == lines(near)).count();
        let of_one_line_end = || self.gaps().rev().find(|gap| lines(gap) == 1);
        match lines(near) {
            // A blank line between groups is not how the list goes on.
            2.. if alike * 2 <= count => Cow::Borrowed(of_one_line_end().unwrap_or(near)),
            0 if self.is_too_long(offset, near, item) => {
                of_one_line_end().map_or_else(|| Cow::Owned(self.aligned_gap()), Cow::Borrowed)
            }
            _ => Cow::Borrowed(near),
        }
    }

    /// The gap between the only item so far and a second one.
    fn first_gap(&self, offset: usize, item: &str) -> Cow<'t, str> {
        if let Some((_, indent)) = self.lead().rsplit_once('\n') {
            return Cow::Owned([",", newline(self.text), indent].concat());
        }
        let comma = comma(self.text);
        if self.is_too_long(offset, comma, item) { Cow::Owned(self.aligned_gap()) } else { Cow::Borrowed(comma) }
    }

    /// A comma and a new line, as far indented as the first item stands.
    fn aligned_gap(&self) -> String {
        let first = self.items.first().map_or(self.span.end, Item::start);
        let before = self.slice(self.line_start(first)..first);
        let indent: String = before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        [",", newline(self.text), &indent].concat()
    }

    /// Whether the line at `offset` becomes too long by a gap and an item, and was not before.
    fn is_too_long(&self, offset: usize, gap: &str, item: &str) -> bool {
        let line = self.line_start(offset);
        let rest = self.slice(line..self.text.len());
        let now = rest.lines().next().unwrap_or_default().chars().count();
        let then = now + gap.chars().count() + item.chars().count();
        has_lines(self.text) && !item.contains('\n') && now <= WIDTH && then > WIDTH
    }

    fn line_start(&self, offset: usize) -> usize {
        self.slice(0..offset).rfind('\n').map_or(0, |end| end + 1)
    }

    /// The colon of a new member at `index`, whose key takes `key_length` bytes: where the neighbours align their
    /// values, its value stands in their column.
    fn colon_for(&self, key_length: usize, index: usize) -> String {
        let by_distance = (0..index).rev().chain(index..self.items.len());
        let near: Vec<_> = by_distance.filter_map(|at| self.items.get(at)).collect();
        let column = near.iter().find_map(|member| {
            let colon = self.colon(member);
            (colon.len() > 2 && colon.starts_with(':') && !colon.contains(['\n', '\t']))
                .then(|| member.value.start - member.key_span.start)
        });
        match (column, near.first()) {
            (Some(column), _) => format!(":{}", " ".repeat(column.saturating_sub(key_length + 1).max(1))),
            (None, Some(nearest)) => one_space(self.colon(nearest)).to_owned(),
            (None, None) => ": ".to_owned(),
        }
    }
}
