//! JSON with the place of everything: a view on the text of a rules file, which `serde_json` has found to be JSON.
//!
//! A [`Node`] is a value where it stands: its own text, its offset, its path. Objects keep their keys in order and
//! repeated ones too. What a value means is not known here.

use super::limits::MAX_DEPTH;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A value in the file.
#[derive(Clone, Copy)]
pub(super) struct Node<'t, 'p> {
    text: &'t str,
    raw: &'t str,
    /// How the value is reached from the top.
    pub(super) path: Path<'p>,
}

/// How a value is reached: `rules[3].dst_port`.
#[derive(Clone, Copy)]
pub(super) enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

/// A key and its value.
pub(super) struct Member<'t> {
    /// The key, its escapes resolved.
    pub(super) key: Cow<'t, str>,
    /// Byte offset of the key.
    pub(super) offset: u32,
    raw_key: &'t str,
    value: &'t str,
}

/// The kinds of value there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    List,
    String,
    Number,
    Bool,
    Null,
}

/// What is wrong at a place of the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) offset: u32,
    pub(super) message: String,
}

impl<'t, 'p> Node<'t, 'p> {
    /// The value that `text` holds.
    pub(super) fn root(text: &'t str) -> Result<Self, Fault> {
        check_depth(text)?;
        match serde_json::from_str::<&RawValue>(text) {
            Ok(raw) => Ok(Self { text, raw: raw.get(), path: Path::Root }),
            Err(error) => Err(syntax_fault(text, &error)),
        }
    }

    /// The value that stands at `span` of a text that was found to be JSON before: the way back from a span to its
    /// node. None if no value can stand there.
    pub(super) fn at(text: &'t str, span: Range<usize>) -> Option<Self> {
        text.get(span).filter(|raw| !raw.is_empty()).map(|raw| Self { text, raw, path: Path::Root })
    }

    /// Byte offset in the text.
    pub(super) fn offset(&self) -> u32 {
        offset_in(self.text, self.raw)
    }

    /// The bytes of the text that the value takes.
    pub(super) fn span(&self) -> Range<usize> {
        span_in(self.text, self.raw)
    }

    /// The bytes of the text that the key and the value of a member of this object take.
    pub(super) fn spans(&self, member: &Member<'t>) -> (Range<usize>, Range<usize>) {
        (span_in(self.text, member.raw_key), span_in(self.text, member.value))
    }

    /// The value as it is written.
    pub(super) fn raw(&self) -> &'t str {
        self.raw
    }

    /// What kind of value it is, told by its first byte: the syntax has been checked.
    pub(super) fn kind(&self) -> Kind {
        match self.raw.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The members of an object, in order; of anything else none. A key that is no text is a fault.
    pub(super) fn members(&self) -> Vec<Result<Member<'t>, Fault>> {
        let Ok(Pairs(pairs)) = serde_json::from_str(self.raw) else { return Vec::new() };
        let member = |(key, value): (&'t RawValue, &'t RawValue)| {
            let offset = offset_in(self.text, key.get());
            Ok(Member { key: decode(key.get(), offset)?, offset, raw_key: key.get(), value: value.get() })
        };
        pairs.into_iter().map(member).collect()
    }

    /// The value of a member of this object.
    pub(super) fn child(&'p self, member: &'p Member<'t>) -> Node<'t, 'p> {
        Node { text: self.text, raw: member.value, path: Path::Key(&self.path, &member.key) }
    }

    /// The items of a list; of anything else none.
    pub(super) fn items(&'p self) -> impl ExactSizeIterator<Item = Node<'t, 'p>> {
        let raws: Vec<&'t RawValue> = serde_json::from_str(self.raw).unwrap_or_default();
        let item = |(index, raw): (usize, &'t RawValue)| Node {
            text: self.text,
            raw: raw.get(),
            path: Path::Index(&self.path, index),
        };
        raws.into_iter().enumerate().map(item)
    }

    /// The content of a string, its escapes resolved.
    pub(super) fn string(&self) -> Result<Cow<'t, str>, Fault> {
        decode(self.raw, self.offset())
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Root => Ok(()),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "_-$".contains(c);
                if key.is_empty() || key.len() > 64 || !key.chars().all(plain) {
                    return write!(f, "{parent}[{}]", super::diagnostic::quoted(key));
                }
                let dot = if matches!(parent, Self::Root) { "" } else { "." };
                write!(f, "{parent}{dot}{key}")
            }
        }
    }
}

impl Kind {
    /// The kind with its article.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::List => "a list",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::Null => "null",
        }
    }
}

/// An object as it stands, repeated keys included.
struct Pairs<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// Where `part`, a slice of `text`, begins in it. Texts are bounded well below 4 GiB.
fn offset_in(text: &str, part: &str) -> u32 {
    let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// The bytes that `part`, a slice of `text`, takes of it.
fn span_in(text: &str, part: &str) -> Range<usize> {
    let start = offset_in(text, part) as usize;
    start..start + part.len()
}

/// The content of the string literal `raw`.
fn decode(raw: &str, offset: u32) -> Result<Cow<'_, str>, Fault> {
    if let Some(plain) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
        && !plain.contains('\\')
    {
        return Ok(Cow::Borrowed(plain));
    }
    // The syntax is right, so that this can only be half of a surrogate pair.
    let message = "a \\u escape in this string stands for no character (half of a surrogate pair)";
    serde_json::from_str(raw).map(Cow::Owned).map_err(|_| Fault { offset, message: message.to_owned() })
}

/// Refuses text that nests deeper than [`MAX_DEPTH`], before anything else looks at it.
fn check_depth(text: &str) -> Result<(), Fault> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (offset, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            return Err(Fault {
                offset,
                message: format!("more than {MAX_DEPTH} lists and objects within each other"),
            });
        }
    }
    Ok(())
}

/// What `serde_json` found wrong, with its offset, in words that say what to do where the slip is a common one.
fn syntax_fault(text: &str, error: &serde_json::Error) -> Fault {
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or_default();
    let fault = |offset: usize, message: String| Fault { offset: u32::try_from(offset).unwrap_or(u32::MAX), message };
    if error.is_eof() {
        return fault(text.trim_ascii_end().len(), format!("the file ends too early ({words})"));
    }
    let offset = offset_of(text, error, words.starts_with("control character"));
    let (before, after) = text.split_at(offset);
    let plain = match (words, after.chars().next()) {
        (_, Some('/' | '#')) => "JSON has no comments; a remark goes into a \"comment\" field",
        (_, Some('\'')) => "strings and keys stand in double quotes",
        (_, Some('}' | ']')) if before.trim_end().ends_with(',') => "the comma before this bracket is one too many",
        ("trailing characters", _) => "something stands behind the end; a file holds one object",
        ("key must be a string", _) => "a key in double quotes is needed here",
        ("expected value", _) => "a value is needed here",
        ("invalid number", _) => "this is not a number as JSON writes it",
        (words, _) if words.starts_with("control character") => "a line break or a control character within a string",
        (words, _) => return fault(offset, format!("not JSON: {words}")),
    };
    fault(offset, plain.to_owned())
}

/// The byte offset of a syntax error. `serde_json` counts bytes from 1, but gives the byte before where it has not
/// taken the wrong one yet (`not_taken`).
fn offset_of(text: &str, error: &serde_json::Error, not_taken: bool) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let offset = line_start + error.column() + usize::from(not_taken);
    let mut offset = offset.saturating_sub(1).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (u32, String) {
        let Fault { offset, message } = Node::root(text).err().unwrap();
        (offset, message)
    }

    #[test]
    fn values_know_their_offset_and_path() {
        let text = r#"{ "a": [1, {"b c": "x\u00e4"}], "a": null }"#;
        let root = Node::root(text).unwrap();
        let members: Vec<_> = root.members().into_iter().map(Result::unwrap).collect();
        assert_eq!(members.iter().map(|m| (&*m.key, m.offset)).collect::<Vec<_>>(), [("a", 2), ("a", 32)]);
        let list = root.child(&members[0]);
        let object = list.items().nth(1).unwrap();
        let inner = object.members();
        let string = object.child(inner[0].as_ref().unwrap());
        assert_eq!((string.offset(), string.path.to_string()), (19, "a[1][\"b c\"]".to_owned()));
        assert_eq!(string.string().unwrap(), "xä");
        assert_eq!(root.child(&members[1]).kind(), Kind::Null);
    }

    #[test]
    fn half_a_surrogate_pair_is_a_fault() {
        let root = Node::root(r#""\ud800""#).unwrap();
        assert!(root.string().unwrap_err().message.contains("surrogate"));
        assert!(Node::root(r#"{"\udc00": 1}"#).unwrap().members()[0].is_err());
    }

    #[test]
    fn common_slips_are_named_where_they_are() {
        assert_eq!(fault("{\"a\": 1,}").0, 8);
        assert!(fault("{\"a\": 1,}").1.contains("comma"));
        assert!(fault("[1,]").1.contains("comma"));
        assert_eq!(
            fault("{\n // x\n}"),
            (3, "JSON has no comments; a remark goes into a \"comment\" field".to_owned())
        );
        assert_eq!(fault("{'a': 1}").0, 1);
        assert_eq!(fault("{\"a\": 1"), (7, "the file ends too early (EOF while parsing an object)".to_owned()));
        assert_eq!(fault("{} x").0, 3);
        assert_eq!(fault("{\"a\": \"ä\" \"b\"}").0, 11);
    }

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_are_none() {
        let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(Node::root(&deep(32)).is_ok());
        assert_eq!(fault(&deep(33)).0, 32);
        assert_eq!(fault(&"[".repeat(1_000_000)).0, 32);
        assert!(Node::root(&format!("\"\\\"{}\"", "[".repeat(100))).is_ok());
    }
}
