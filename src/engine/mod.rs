//! Ruleset + packet -> [`Decision`]: the order of decision, the same for `run`, `replay` and every other command.
//!
//! Pure: no clock, no input or output, no thread. [`Matcher`] is a rule set compiled for packets, immutable, and
//! shared; [`Engine`] is what is remembered from packet to packet: connections and fragments. The border runs at the
//! packet's bytes, which `packet` reads, and at what becomes of a decision, which is the caller's affair.
//!
//! A packet meets, in this order: `memory` (which asks `tracker` and `fragments` for its state), `recent`, which knows
//! what was decided on its like, and if it is the first of them `matcher`, which asks `guard`, `peers` (steps 2 and 3),
//! `numbers` (5, 6 and 10) and `classifier` (8). What all of these know about rules is numbers; `catalogue` knows their
//! names and words, and `reason` puts these together.

mod bits;
mod bulk;
mod catalogue;
mod classifier;
mod decision;
mod fragments;
mod guard;
mod in_force;
mod index;
mod interfaces;
mod matcher;
mod memory;
mod numbers;
mod own;
mod peers;
pub mod plain;
mod port_map;
mod premises;
mod protected;
mod reason;
mod recent;
mod subject;
mod sweep;
mod table;
#[cfg(test)]
mod testing;
mod tracker;
mod tree;

pub use decision::{Context, Decision, Direction, Hit, InterfaceClass, RuleInfo, RuleNumber, State, Step};
pub use fragments::MAX_DATAGRAMS;
pub use matcher::Matcher;
pub use memory::{Counters, Engine, Limits};
pub use peers::ListEntry;
pub use premises::Premises;
pub use protected::{Protection, Spared, SparedNetwork};
pub use reason::Standing;
pub use tracker::{MAX_CONNECTIONS, Tracked, TrackedPage};

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod tests;
