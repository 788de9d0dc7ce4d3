//! `rules.json` -> [`Ruleset`]: strict, with the place of every error.
//!
//! [`load`] reads a file, [`parse`] does the same without a file system; both give either a rule set with its
//! warnings, or all errors. What a rule set means for a packet is `engine`'s matter, what the machine is `host`'s.
//!
//! The other way: [`edit`] changes the text of a file as its author would, [`store`] writes it, [`trust`] says who else
//! could, and [`watch`] notices who did.

pub mod address;
mod block_list;
pub mod diagnostic;
pub mod edit;
pub mod exact;
mod file;
pub mod icmp;
mod id;
mod json;
pub mod limits;
mod lint;
mod lists;
mod loaded;
pub mod model;
pub mod order;
mod parsed;
mod path;
pub mod port;
pub mod protocol;
pub mod ranges;
mod read;
pub mod store;
mod suggest;
pub mod trust;
pub mod watch;

#[cfg(test)]
mod tests;

pub use diagnostic::{Diagnostic, Errors, Finding, Place};
pub use lint::lint;
pub use lists::Lists;
pub use loaded::{Loaded, Origin, load, load_with, parse, parse_recalling, parse_with};
pub use model::*;

/// The JSON Schema (draft 2020-12) of rules files, for editors: `pfw check-rules --schema`.
pub const SCHEMA: &str = include_str!("schema.json");
