//! Whether rules of a pfw are in force, asked of the kernel without any tool: what one that only watches can know of those
//! that another has, or has left.

use super::names::Hook;
use crate::host::{Chain, has_chain};

/// Whether `nf_tables` has a chain of pfw in use. The tables of iptables' older variant can't be asked without a tool, nor
/// can any by who is not root: then there is none as far as is known.
pub fn is_in_force() -> bool {
    has_chain(is_own_in_use)
}

fn is_own_in_use(chain: &Chain) -> bool {
    chain.uses > 0 && Hook::ALL.iter().any(|hook| hook.own() == chain.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_ours_counts_if_it_is_in_use() {
        let counts = |name: &str, uses| is_own_in_use(&Chain { name: name.to_owned(), uses, ..Chain::default() });
        assert!(counts("PFW-IN", 1) && counts("PFW-OUT", 3));
        assert!(!counts("PFW-IN", 0) && !counts("INPUT", 3) && !counts("PFW-INX", 3));
    }
}
