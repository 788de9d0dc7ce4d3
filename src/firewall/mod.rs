//! The kernel's rules: [`Plan`] says what they are to be, [`Installed`] has them in force, the [`guardian`] takes them
//! out should pfw die, and [`clean`] what nobody took out.
//!
//! The only room that starts programs, and the only one that knows netfilter's words. Rules of others are never
//! touched: pfw has chains of its own, known by name and mark, and one jump to each from the built-in chains.

mod at_once;
mod backoff;
mod changes;
mod counters;
mod dry_run;
mod entries;
mod error;
mod family;
pub mod guardian;
mod install;
mod kernel;
mod lock;
mod names;
mod os;
mod plan;
mod presence;
mod process;
mod removal;
mod specimen;
mod table;
mod tools;
mod trial;
mod validation;
mod words;

pub use backoff::Backoff;
pub use changes::{Change, Changes, generation};
pub use counters::{Counter, Ended};
pub use error::{CommandError, End, Error};
pub use family::Family;
pub use install::{Disturbance, Installed};
pub use names::{Hook, Reported, read_nflog_prefix};
pub use plan::{Options, Origin, Plan, PlannedRule, PlannedSet};
pub use presence::is_in_force;
pub use removal::clean;
pub use tools::{Backend, Tools, Variant};

/// Whether this machine passes packets on now, in either family: what [`Options::forwards`] asks.
pub fn forwards() -> bool {
    ["ipv4/ip_forward", "ipv6/conf/all/forwarding"]
        .iter()
        .any(|name| std::fs::read_to_string(format!("/proc/sys/net/{name}")).is_ok_and(|value| value.trim() != "0"))
}
