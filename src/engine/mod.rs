//! Ruleset + packet -> [`Decision`]: the order of decision, the same for `run`, `replay` and every other command.
//!
//! Pure: no clock, no input or output, no thread. [`Matcher`] is a rule set compiled for packets, immutable, and
//! shared; [`Engine`] is what is remembered from packet to packet: connections and fragments.

mod decision;

pub use decision::{Context, Decision, Direction, Hit, InterfaceClass, RuleInfo, RuleNumber, State, Step};
