//! What the kernel's connection tracking says of flows: the two forms in which each is seen, before and behind a
//! translation of addresses, and which translated flows there are.
//!
//! A tap on a machine that translates (a published port of a container, masquerade) sees packets on their way through
//! it that bear its own addresses. Only conntrack knows that they are not its own: [`Watch`] tells of each translated
//! flow as it comes and goes, [`translated`] of those that are there already; [`Lookup`] tells of a single connection
//! whether the kernel has it.

mod flow;
mod lookup;
mod watch;

pub use flow::{Ends, Flow, Tuple};
pub use lookup::Lookup;
pub use watch::{Change, Watch, translated};
