//! The chains of `nf_tables`, whoever made them, asked of the kernel without any tool.

use crate::netlink::{Message, Request, Socket};

/// `NFT_MSG_NEWCHAIN` and `NFT_MSG_GETCHAIN` of `NFNL_SUBSYS_NFTABLES` (`linux/netfilter/nf_tables.h`).
const NEW_CHAIN: u16 = 10 << 8 | 3;
const GET_CHAIN: u16 = 10 << 8 | 4;
/// `NFTA_CHAIN_NAME`, `NFTA_CHAIN_USE` and `NFTA_CHAIN_TYPE`.
const NAME: u16 = 3;
const USE: u16 = 6;
const TYPE: u16 = 7;

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Its name, which is its own in its table alone.
    pub name: String,
    /// What its rules may do (`filter`, `nat`, `route`), if it stands at a hook.
    pub kind: String,
    /// How many rules it has, and how many jump to it.
    pub uses: u32,
}

/// Whether there is a chain that `is_it`. Where they can't be asked for there is none, as far as is known: who is not root
/// is told nothing.
pub fn has_chain(is_it: impl Fn(&Chain) -> bool) -> bool {
    let Ok(mut socket) = Socket::open(libc::NETLINK_NETFILTER, 0) else { return false };
    // `struct nfgenmsg`: family (any), version, no resource.
    let request = Request::new(GET_CHAIN, libc::NLM_F_DUMP).body(&[0; 4]);
    let mut found = false;
    // What was said before an error is true all the same.
    let _ = socket.ask(request, &mut |message| found |= read(&message).is_some_and(|chain| is_it(&chain)));
    found
}

fn read(message: &Message<'_>) -> Option<Chain> {
    let (_, attributes) = message.split::<4>().filter(|_| message.kind == NEW_CHAIN)?;
    let mut chain = Chain::default();
    for attribute in attributes {
        match attribute.kind {
            NAME => chain.name = attribute.text(),
            TYPE => chain.kind = attribute.text(),
            USE => chain.uses = attribute.u32().map_or(0, u32::from_be),
            _ => {}
        }
    }
    Some(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_read_with_its_name_kind_and_uses() {
        // NFTA_CHAIN_NAME, NFTA_CHAIN_USE and NFTA_CHAIN_TYPE behind `struct nfgenmsg`.
        let attributes = [&[12, 0, 3, 0][..], b"INPUT\0\0\0", &[8, 0, 6, 0, 0, 0, 0, 3], &[8, 0, 7, 0], b"nat\0"];
        let payload = [b"\x02\0\0\0".as_slice(), &attributes.concat()].concat();
        let message = Message { kind: NEW_CHAIN, flags: 0, sequence: 0, payload: &payload };
        assert_eq!(read(&message), Some(Chain { name: "INPUT".to_owned(), kind: "nat".to_owned(), uses: 3 }));
        assert_eq!(read(&Message { kind: GET_CHAIN, ..message }), None);
    }
}
