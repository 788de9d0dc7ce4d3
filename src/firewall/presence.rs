//! Whether rules of a pfw are in force, asked of the kernel without any tool: what one that only watches can know of those
//! that another has, or has left.

use super::names::Hook;
use crate::netlink::{Message, Request, Socket};

/// `NFT_MSG_NEWCHAIN` and `NFT_MSG_GETCHAIN` of `NFNL_SUBSYS_NFTABLES` (`linux/netfilter/nf_tables.h`).
const NEW_CHAIN: u16 = 10 << 8 | 3;
const GET_CHAIN: u16 = 10 << 8 | 4;
/// `NFTA_CHAIN_NAME` and `NFTA_CHAIN_USE`: how many rules a chain has, and jump to it.
const NAME: u16 = 3;
const USE: u16 = 6;

/// Whether `nf_tables` has a chain of pfw in use. The tables of iptables' older variant can't be asked without a tool, nor
/// can any by who is not root: then there is none as far as is known.
pub fn is_in_force() -> bool {
    let Ok(mut socket) = Socket::open(libc::NETLINK_NETFILTER, 0) else { return false };
    // `struct nfgenmsg`: family (any), version, no resource.
    let request = Request::new(GET_CHAIN, libc::NLM_F_DUMP).body(&[0; 4]);
    let mut found = false;
    // What was said before an error is true all the same.
    let _ = socket.ask(request, &mut |message| found |= is_own_in_use(&message));
    found
}

fn is_own_in_use(message: &Message<'_>) -> bool {
    let Some((_, attributes)) = message.split::<4>().filter(|_| message.kind == NEW_CHAIN) else { return false };
    let (mut is_own, mut uses) = (false, 0);
    for attribute in attributes {
        match attribute.kind {
            NAME => is_own = Hook::ALL.iter().any(|hook| hook.own() == attribute.text()),
            USE => uses = attribute.u32().map_or(0, u32::from_be),
            _ => {}
        }
    }
    is_own && uses > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_ours_counts_if_it_is_in_use() {
        let chain = |name: &[u8; 8], uses: u8| {
            // NFTA_CHAIN_NAME and NFTA_CHAIN_USE behind `struct nfgenmsg`.
            let payload = [b"\x02\0\0\0".as_slice(), &[12, 0, 3, 0], name, &[8, 0, 6, 0, 0, 0, 0, uses]].concat();
            is_own_in_use(&Message { kind: NEW_CHAIN, flags: 0, sequence: 0, payload: &payload })
        };
        assert!(chain(b"PFW-IN\0\0", 1) && chain(b"PFW-OUT\0", 3));
        assert!(!chain(b"PFW-IN\0\0", 0) && !chain(b"INPUT\0\0\0", 3) && !chain(b"PFW-INX\0", 3));
    }
}
