//! `rules.json` -> [`Ruleset`]: strict, with the place of every error.
pub mod address;
pub mod exact;
pub mod icmp;
pub mod model;
pub mod port;
pub mod protocol;
pub mod ranges;
pub use model::*;
