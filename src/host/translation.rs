//! Whether there are rules, by whomever, that translate addresses or ports of packets.

use super::chains::{Chain, has_chain};
use std::fs;

/// The tables of iptables' older variant that there are, one a line.
const LEGACY_TABLES: [&str; 2] = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];

/// Whether there are such rules now. Where that can't be told, there are none as far as is known. Where `nf_tables` had
/// none and have not `changed` since, only the older variant is asked, which numbers no changes: listing chains takes
/// ten times as long.
pub fn translates(changed: bool) -> bool {
    let has_table = |path| fs::read_to_string(path).is_ok_and(|names: String| names.lines().any(|name| name == "nat"));
    LEGACY_TABLES.into_iter().any(has_table) || changed && has_chain(translates_by)
}

/// Whether a chain translates, with rules in it.
fn translates_by(chain: &Chain) -> bool {
    chain.kind == "nat" && chain.uses > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_translates_if_it_is_of_that_type_and_has_rules() {
        let translates = |kind: &str, uses| translates_by(&Chain { kind: kind.to_owned(), uses, ..Chain::default() });
        assert!(translates("nat", 1));
        assert!(!translates("nat", 0) && !translates("filter", 1));
    }
}
