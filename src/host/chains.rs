//! The chains of `nf_tables`, whoever made them, asked of the kernel without any tool.

use crate::netlink::{Attributes, Message, Request, Socket};

/// `NFT_MSG_NEWCHAIN` and `NFT_MSG_GETCHAIN` of `NFNL_SUBSYS_NFTABLES` (`linux/netfilter/nf_tables.h`).
const NEW_CHAIN: u16 = 10 << 8 | 3;
const GET_CHAIN: u16 = 10 << 8 | 4;
/// `NFTA_CHAIN_NAME`, `NFTA_CHAIN_HOOK`, `NFTA_CHAIN_USE` and `NFTA_CHAIN_TYPE`.
const NAME: u16 = 3;
const HOOK: u16 = 4;
const USE: u16 = 6;
const TYPE: u16 = 7;
/// `NFTA_HOOK_HOOKNUM` and `NFTA_HOOK_PRIORITY`.
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Its name, which is its own in its table alone.
    pub name: String,
    /// What its rules may do (`filter`, `nat`, `route`), if it stands at a hook.
    pub kind: String,
    /// How many rules it has, and how many jump to it.
    pub uses: u32,
    /// The address family of its table (`NFPROTO_*`, `linux/netfilter.h`).
    pub family: u8,
    /// The hook at which it stands, if at any.
    pub hook: Option<Hook>,
}

/// Where a chain stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// Which hook (`NF_INET_*`, or that of a device).
    pub number: u32,
    /// The lower, the earlier.
    pub priority: i32,
}

/// Whether there is a chain that `is_it`. Where they can't be asked for there is none, as far as is known: who is not root
/// is told nothing.
pub fn has_chain(is_it: impl Fn(&Chain) -> bool) -> bool {
    chains().iter().any(is_it)
}

/// All chains, as far as can be told.
pub(super) fn chains() -> Vec<Chain> {
    let mut chains = Vec::new();
    let Ok(mut socket) = Socket::open(libc::NETLINK_NETFILTER, 0) else { return chains };
    // `struct nfgenmsg`: family (any), version, no resource.
    let request = Request::new(GET_CHAIN, libc::NLM_F_DUMP).body(&[0; 4]);
    // What was said before an error is true all the same.
    let _ = socket.ask(request, &mut |message| chains.extend(read(&message)));
    chains
}

fn read(message: &Message<'_>) -> Option<Chain> {
    let (&[family, ..], attributes) = message.split::<4>().filter(|_| message.kind == NEW_CHAIN)?;
    let mut chain = Chain { family, ..Chain::default() };
    for attribute in attributes {
        match attribute.kind {
            NAME => chain.name = attribute.text(),
            TYPE => chain.kind = attribute.text(),
            HOOK => chain.hook = Some(read_hook(attribute.nested())),
            USE => chain.uses = attribute.u32().map_or(0, u32::from_be),
            _ => {}
        }
    }
    Some(chain)
}

fn read_hook(attributes: Attributes<'_>) -> Hook {
    let mut hook = Hook::default();
    for attribute in attributes {
        let value = attribute.u32().map_or(0, u32::from_be);
        match attribute.kind {
            HOOK_NUMBER => hook.number = value,
            HOOK_PRIORITY => hook.priority = value.cast_signed(),
            _ => {}
        }
    }
    hook
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_read_with_its_name_kind_and_uses() {
        // NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK, NFTA_CHAIN_USE and NFTA_CHAIN_TYPE behind `struct nfgenmsg`.
        let hook = [20, 0, 4, 128, 8, 0, 1, 0, 0, 0, 0, 1, 8, 0, 2, 0, 0xff, 0xff, 0xff, 0x9c];
        let (uses, kind) = ([8, 0, 6, 0, 0, 0, 0, 3], [&[8, 0, 7, 0][..], b"nat\0"].concat());
        let attributes = [&[12, 0, 3, 0][..], b"INPUT\0\0\0", &hook, &uses, &kind];
        let payload = [b"\x02\0\0\0".as_slice(), &attributes.concat()].concat();
        let message = Message { kind: NEW_CHAIN, flags: 0, sequence: 0, payload: &payload };
        assert_eq!(
            read(&message),
            Some(Chain {
                name: "INPUT".to_owned(),
                kind: "nat".to_owned(),
                uses: 3,
                family: 2,
                hook: Some(Hook { number: 1, priority: -100 }),
            })
        );
        assert_eq!(read(&Message { kind: GET_CHAIN, ..message }), None);
    }
}
