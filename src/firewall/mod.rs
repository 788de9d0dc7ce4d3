//! The kernel's rules: a [`Plan`] made of a rule set.
pub mod family;
mod names;
pub mod plan;

pub use family::Family;
pub use names::{Hook, read_nflog_prefix};
pub use plan::{Options, Origin, Plan, PlannedRule, PlannedSet};
