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

/// The last of the users from 0 on that there are in this user namespace: what [`Options::last_user`] asks. One in which
/// that can't be told has at least its root.
pub fn last_user() -> u32 {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.lines().find_map(last_of_extent).unwrap_or(0)
}

/// The last user of an extent that begins with 0: its columns are the first user inside, the first outside, and how many.
fn last_of_extent(extent: &str) -> Option<u32> {
    let mut columns = extent.split_ascii_whitespace().map(str::parse::<u32>);
    let (first, count) = (columns.next()?.ok()?, columns.nth(1)?.ok()?);
    count.checked_sub(1).filter(|_| first == 0)
}

/// Whether this machine passes packets on now, in either family: what [`Options::forwards`] asks.
pub fn forwards() -> bool {
    ["ipv4/ip_forward", "ipv6/conf/all/forwarding"]
        .iter()
        .any(|name| std::fs::read_to_string(format!("/proc/sys/net/{name}")).is_ok_and(|value| value.trim() != "0"))
}

#[cfg(test)]
mod tests {
    use super::last_of_extent;

    #[test]
    fn the_last_user_is_that_of_the_extent_from_0_on() {
        assert_eq!(last_of_extent("         0          0 4294967295"), Some(4_294_967_294));
        assert_eq!(last_of_extent("0 100000 65536"), Some(65_535));
        assert_eq!(last_of_extent("0 1000 1"), Some(0));
        for other in ["", "0", "0 0 0", "1000 1000 1", "0 0 x"] {
            assert_eq!(last_of_extent(other), None, "{other}");
        }
    }
}
