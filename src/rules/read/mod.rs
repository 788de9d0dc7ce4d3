//! The text of a rules file -> [`Ruleset`]. Every mistake is noted with its place and reading goes on, so that all of
//! them are told at once; what was read counts only if there was none.

mod conditions;
mod detect;
mod entry;
mod list;
mod meta;
mod object;
mod policy;
mod rule;
mod sets;

use super::block_list::Content;
use super::diagnostic::Findings;
use super::json::{Kind, Node};
use super::limits::MAX_ENTRIES;
use super::model::Ruleset;
use super::{port, protocol};
pub(super) use rule::RULE_KEYS;
use sets::Sets;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The keys of the file itself. `$schema` is for editors.
pub(super) const KEYS: [&str; 12] = [
    "$schema",
    "comment",
    "default_policy",
    "allow_ips",
    "block_ips",
    "block_lists",
    "block_ports",
    "block_protocols",
    "allow_protocols",
    "sets",
    "rules",
    "detect",
];

/// Where block lists come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'o> {
    /// The folder that their names start from.
    pub(super) folder: &'o Path,
    /// Reads one.
    pub(super) list: &'o dyn Fn(&Path) -> io::Result<Arc<Content>>,
}

/// What is known while a file is read.
pub(super) struct Reader<'o> {
    pub(super) findings: Findings,
    origin: Source<'o>,
    sets: Sets,
    /// Sets are what is being read: none of them can be used yet.
    reading_sets: bool,
    /// The ids that were given, and the path of what has it.
    ids: HashMap<Arc<str>, String>,
    /// Entries so far, those of sets again wherever they are used.
    entries: usize,
    /// Networks of block lists so far.
    networks: usize,
}

impl<'o> Reader<'o> {
    pub(super) fn new(origin: Source<'o>) -> Self {
        Self {
            findings: Findings::default(),
            origin,
            sets: Sets::default(),
            reading_sets: false,
            ids: HashMap::new(),
            entries: 0,
            networks: 0,
        }
    }

    /// Reads the whole file.
    pub(super) fn ruleset(&mut self, root: &Node<'_, '_>) -> Ruleset {
        let Some(file) = self.object(root, &KEYS, "the file must hold one object { ... }") else {
            return Ruleset::default();
        };
        if let Some(schema) = file.get("$schema") {
            self.expect(&schema, Kind::String, "a string is needed here");
        }
        self.comment(&file);
        self.sets = self.read_sets(file.get("sets").as_ref());
        let ruleset = Ruleset {
            default_policy: self.default_policy(file.get("default_policy").as_ref()),
            default_policy_offset: file.get("default_policy").map_or(0, |node| node.offset()),
            allow_ips: self.entries(&file, "allow_ips", "ip", super::address::parse),
            block_ips: self.entries(&file, "block_ips", "ip", super::address::parse),
            block_lists: self.block_lists(file.get("block_lists").as_ref()),
            block_ports: self.entries(&file, "block_ports", "port", |text| port::parse(text).map(Into::into)),
            block_protocols: self.entries(&file, "block_protocols", "protocol", protocol::parse),
            allow_protocols: self.entries(&file, "allow_protocols", "protocol", protocol::parse),
            rules: self.rules(file.get("rules").as_ref()),
            detect: self.detect(file.get("detect").as_ref()),
            panic: false,
        };
        self.warn_unused_sets();
        ruleset
    }

    fn error(&mut self, node: &Node<'_, '_>, message: impl Into<String>) {
        self.findings.error(node.offset(), node.path, message);
    }

    fn warning(&mut self, node: &Node<'_, '_>, message: impl Into<String>) {
        self.findings.warning(node.offset(), node.path, message);
    }

    /// Counts entries against [`MAX_ENTRIES`]; an error the first time that they go beyond, and from then on nothing
    /// is read.
    fn count(&mut self, more: usize, node: &Node<'_, '_>) -> Option<()> {
        let before = self.entries;
        self.entries = self.entries.saturating_add(more);
        if self.entries <= MAX_ENTRIES {
            return Some(());
        }
        if before <= MAX_ENTRIES {
            let advice = "put addresses into a block list, or use smaller sets";
            self.error(node, format!("more than {MAX_ENTRIES} entries, sets counted wherever they are used; {advice}"));
        }
        None
    }
}
