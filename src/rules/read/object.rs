//! Objects and scalars: the right kind of value, known keys, none twice.

use super::Reader;
use crate::rules::diagnostic::quoted;
use crate::rules::json::{Fault, Kind, Member, Node, Path};
use crate::rules::suggest::did_you_mean;
use std::borrow::Cow;
use std::collections::HashSet;

/// The members of an object, after its keys have been checked.
pub(super) struct Fields<'t, 'p> {
    node: &'p Node<'t, 'p>,
    pub(super) members: Vec<Member<'t>>,
}

impl<'t> Fields<'t, '_> {
    /// The value of `key`.
    pub(super) fn get(&self, key: &str) -> Option<Node<'t, '_>> {
        self.members.iter().find(|member| member.key == key).map(|member| self.node.child(member))
    }
}

impl Reader<'_> {
    /// The members of the object `node`; an error if it is none, and for each key that is not `known`.
    pub(super) fn object<'t, 'p>(
        &mut self,
        node: &'p Node<'t, 'p>,
        known: &[&str],
        needed: &str,
    ) -> Option<Fields<'t, 'p>> {
        let fields = self.any_object(node, needed)?;
        for member in fields.members.iter().filter(|member| !known.contains(&&*member.key)) {
            let path = node.child(member).path.to_string();
            let known = known.iter().filter(|key| !key.starts_with('$'));
            let message = format!("unknown key{}", did_you_mean(&member.key, known));
            self.findings.error(member.offset, path, message);
        }
        Some(fields)
    }

    /// The members of the object `node`, whatever their keys, none of them twice.
    pub(super) fn any_object<'t, 'p>(&mut self, node: &'p Node<'t, 'p>, needed: &str) -> Option<Fields<'t, 'p>> {
        self.expect(node, Kind::Object, needed)?;
        let mut members = Vec::new();
        for member in node.members() {
            match member {
                Ok(member) => members.push(member),
                Err(fault) => self.fault(node, fault),
            }
        }
        let mut seen = HashSet::new();
        for member in &members {
            if !seen.insert(&*member.key) {
                let path = node.child(member).path.to_string();
                self.findings.error(member.offset, path, "this key stands here twice");
            }
        }
        Some(Fields { node, members })
    }

    /// Checks the kind of a value; the error says what is `needed` and what is there.
    pub(super) fn expect(&mut self, node: &Node<'_, '_>, kind: Kind, needed: &str) -> Option<()> {
        let found = node.kind();
        if found == kind {
            return Some(());
        }
        let advice = match (found, node.path) {
            (Kind::Null, Path::Key(..)) => "; leave the key out instead",
            _ => "",
        };
        self.error(node, format!("{needed}, not {}{advice}", found.noun()));
        None
    }

    /// The content of a string.
    pub(super) fn string<'t>(&mut self, node: &Node<'t, '_>, needed: &str) -> Option<Cow<'t, str>> {
        self.expect(node, Kind::String, needed)?;
        node.string().map_err(|fault| self.fault(node, fault)).ok()
    }

    /// One of a few words; `synonyms` are words of other programs and what they are called here.
    pub(super) fn word<T: Copy>(
        &mut self,
        node: &Node<'_, '_>,
        words: &[(&str, T)],
        synonyms: &[(&str, &str)],
    ) -> Option<T> {
        let list = words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let text = self.string(node, &format!("one of {list} is needed here"))?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let synonym = synonyms.iter().find(|(synonym, _)| text.eq_ignore_ascii_case(synonym));
        let meant = match synonym {
            Some((_, word)) => format!("; did you mean \"{word}\"?"),
            None => did_you_mean(&text, words.iter().map(|(word, _)| word)),
        };
        self.error(node, format!("{} is not one of {list}{meant}", quoted(&text)));
        None
    }

    fn fault(&mut self, node: &Node<'_, '_>, fault: Fault) {
        self.findings.error(fault.offset, node.path, fault.message);
    }
}
