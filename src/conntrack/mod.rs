//! The kernel's connection tracking (ctnetlink): what it says of flows, and what it is told of them.
//!
//! It says in which two forms each flow is seen, before and behind a translation of addresses, and which translated
//! flows there are. It is told which connections are open when it begins to track, and who opened each ([`enter`]). What
//! connections there are is `host`'s matter, what rules make of them that of `firewall` and `engine`.
//!
//! A tap on a machine that translates (a published port of a container, masquerade) sees packets on their way through
//! it that bear its own addresses. Only conntrack knows that they are not its own: [`Watch`] tells of each translated
//! flow as it comes and goes, [`translated`] of those that are there already; [`Lookup`] tells of a single connection
//! whether the kernel has it.

mod enter;
mod entry;
mod flow;
mod lookup;
mod timeouts;
mod watch;

pub use enter::{Entered, enter};
pub use flow::{Ends, Flow, Tuple};
pub use lookup::Lookup;
pub use watch::{Change, Watch, translated};
