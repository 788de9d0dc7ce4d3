//! Whether there are rules, by whomever, that translate addresses or ports of packets.

use crate::netlink::{Message, Request, Socket};
use std::fs;

/// The tables of iptables' older variant that there are, one a line.
const LEGACY_TABLES: [&str; 2] = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"];

/// `NFT_MSG_NEWCHAIN` and `NFT_MSG_GETCHAIN` of `NFNL_SUBSYS_NFTABLES` (`linux/netfilter/nf_tables.h`).
const NEW_CHAIN: u16 = 10 << 8 | 3;
const GET_CHAIN: u16 = 10 << 8 | 4;
/// `NFTA_CHAIN_USE` and `NFTA_CHAIN_TYPE`
const USE: u16 = 6;
const TYPE: u16 = 7;

/// Whether there are such rules now. Where that can't be told, there are none as far as is known. Where `nf_tables` had
/// none and have not `changed` since, only the older variant is asked, which numbers no changes: listing chains takes
/// ten times as long.
pub fn translates(changed: bool) -> bool {
    let has_table = |path| fs::read_to_string(path).is_ok_and(|names: String| names.lines().any(|name| name == "nat"));
    LEGACY_TABLES.into_iter().any(has_table) || changed && has_chain()
}

/// Whether `nf_tables` has a chain that translates, with rules in it.
fn has_chain() -> bool {
    let Ok(mut socket) = Socket::open(libc::NETLINK_NETFILTER, 0) else { return false };
    // `struct nfgenmsg`: family (any), version, no resource.
    let request = Request::new(GET_CHAIN, libc::NLM_F_DUMP).body(&[0; 4]);
    let mut found = false;
    // What was said before an error is true all the same.
    let _ = socket.ask(request, &mut |message| found |= translates_by(&message));
    found
}

fn translates_by(message: &Message<'_>) -> bool {
    let Some((_, attributes)) = message.split::<4>().filter(|_| message.kind == NEW_CHAIN) else { return false };
    let (mut is_nat, mut rules) = (false, 0);
    for attribute in attributes {
        match attribute.kind {
            TYPE => is_nat = attribute.text() == "nat",
            USE => rules = attribute.u32().map_or(0, u32::from_be),
            _ => {}
        }
    }
    is_nat && rules > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_translates_if_it_is_of_that_type_and_has_rules() {
        let chain = |kind: &[u8; 4], rules: u8| {
            // NFTA_CHAIN_USE and NFTA_CHAIN_TYPE behind `struct nfgenmsg`.
            let payload = [b"\x02\0\0\0".as_slice(), &[8, 0, 6, 0, 0, 0, 0, rules], &[8, 0, 7, 0], kind].concat();
            translates_by(&Message { kind: NEW_CHAIN, flags: 0, sequence: 0, payload: &payload })
        };
        assert!(chain(b"nat\0", 1));
        assert!(!chain(b"nat\0", 0) && !chain(b"fil\0", 1));
    }
}
