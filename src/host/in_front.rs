//! Whether rules of others stand in front of pfw's, where they can drop packets that come in: pfw's are in the filter
//! table, and what is dropped before reaches none of them.

use super::chains::{Chain, chains};
use std::fs;
use std::time::{Duration, Instant};

/// How long an answer holds: packets of one kind often come in rows.
const FRESH: Duration = Duration::from_secs(1);

/// `NFPROTO_INET`, `NFPROTO_IPV4`, `NFPROTO_NETDEV` and `NFPROTO_IPV6` (`linux/netfilter.h`).
const INET: u8 = 1;
const IPV4: u8 = 2;
const NETDEV: u8 = 5;
const IPV6: u8 = 10;
/// `NF_INET_PRE_ROUTING` and `NF_INET_LOCAL_IN`.
const PRE_ROUTING: u32 = 0;
const LOCAL_IN: u32 = 1;
/// `NF_INET_INGRESS`.
const INGRESS: u32 = 5;
/// Where the filter table stands (`NF_IP_PRI_FILTER`, `linux/netfilter_ipv4.h`).
const FILTER: i32 = 0;

/// Tables of iptables' older variant in front of its filter table that pfw has no rules in.
const LEGACY_TABLES: [&str; 2] = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];
const LEGACY_TABLE: &str = "mangle";

/// Asks the kernel whether somebody stands there.
#[derive(Debug, Default)]
pub struct InFront {
    latest: Option<(Instant, bool)>,
}

impl InFront {
    /// Whether rules of others stand in front of those of pfw, whose own chain in front of them, if it has one, is `own`.
    pub fn are_others(&mut self, own: &str, now: Instant) -> bool {
        match self.latest {
            Some((asked, others)) if now.duration_since(asked) < FRESH => others,
            _ => self.latest.insert((now, ask(own))).1,
        }
    }
}

fn ask(own: &str) -> bool {
    let chains = chains();
    let has_table =
        |path| fs::read_to_string(path).is_ok_and(|names: String| names.lines().any(|name| name == LEGACY_TABLE));
    LEGACY_TABLES.into_iter().any(has_table) || are_others(&chains, own)
}

fn are_others(chains: &[Chain], own: &str) -> bool {
    let has_own = |family| chains.iter().any(|chain| chain.family == family && chain.name == own);
    chains.iter().filter(|chain| is_in_front(chain)).any(|chain| {
        // The jump to the own chain is a use too, of the chain of the raw table.
        let is_ours = chain.name == "PREROUTING" && chain.hook.is_some_and(|hook| hook.priority == RAW);
        chain.uses > u32::from(is_ours && has_own(chain.family))
    })
}

/// Where the raw table stands (`NF_IP_PRI_RAW`).
const RAW: i32 = -300;

/// Whether packets that come in pass a chain before the filter table. Where addresses are translated nothing is dropped.
fn is_in_front(chain: &Chain) -> bool {
    let Some(hook) = chain.hook.filter(|_| chain.kind == "filter") else { return false };
    match chain.family {
        NETDEV => true,
        INET if hook.number == INGRESS => true,
        // Of two that stand at the same place the one that came last is first.
        INET | IPV4 | IPV6 if hook.number == LOCAL_IN && hook.priority == FILTER => chain.name != "INPUT",
        INET | IPV4 | IPV6 => hook.number == PRE_ROUTING || hook.number == LOCAL_IN && hook.priority < FILTER,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::chains::Hook;
    use super::*;

    fn chain(name: &str, family: u8, (number, priority): (u32, i32), uses: u32) -> Chain {
        let (name, kind) = (name.to_owned(), "filter".to_owned());
        Chain { name, kind, uses, family, hook: Some(Hook { number, priority }) }
    }

    #[test]
    fn who_has_rules_between_the_wire_and_the_filter_table_stands_in_front() {
        for (one, expected) in [
            (chain("INPUT", IPV4, (LOCAL_IN, FILTER), 3), false),
            (chain("f2b", INET, (LOCAL_IN, -1), 1), true),
            (chain("f2b", INET, (LOCAL_IN, -1), 0), false),
            (chain("PREROUTING", IPV4, (PRE_ROUTING, -150), 1), true),
            (chain("input", INET, (LOCAL_IN, FILTER), 1), true),
            (chain("in", INET, (INGRESS, 0), 1), true),
            (chain("late", IPV6, (LOCAL_IN, 10), 1), false),
            (chain("in", NETDEV, (0, 0), 1), true),
            (Chain { kind: "nat".to_owned(), ..chain("PREROUTING", IPV4, (PRE_ROUTING, -100), 1) }, false),
        ] {
            assert_eq!(are_others(std::slice::from_ref(&one), "PFW-RAW"), expected, "{one:?}");
        }
    }

    #[test]
    fn the_own_jump_in_the_raw_table_is_nobody_elses() {
        let own = Chain { name: "PFW-RAW".to_owned(), family: IPV4, uses: 9, ..Chain::default() };
        let raw = |uses| chain("PREROUTING", IPV4, (PRE_ROUTING, RAW), uses);
        assert!(!are_others(&[raw(1), own.clone()], "PFW-RAW"));
        assert!(are_others(&[raw(2), own], "PFW-RAW") && are_others(&[raw(1)], "PFW-RAW"));
    }
}
