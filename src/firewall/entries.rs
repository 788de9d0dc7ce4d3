//! Entries of a set in force, put in and taken out by the kernel's own interface (`linux/netfilter/ipset/ip_set.h`).
//!
//! Rules and sets are the tools' affair. An entry that is to be in force at once is the exception: to start `ipset` takes
//! ten times as long as everything else that it needs, and the kernel's answer to a single entry leaves nothing open.

use super::error::Error;
use super::plan::Growth;
use crate::netlink::{NETWORK_ORDER, Request, Socket};
use std::io;
use std::net::IpAddr;

/// `IPSET_CMD_ADD` and `IPSET_CMD_DEL` of `NFNL_SUBSYS_IPSET`.
const ADD: u16 = 6 << 8 | 9;
const DELETE: u16 = 6 << 8 | 0xa;
/// The oldest version of the protocol that the kernel takes (`IPSET_PROTOCOL_MIN`): these two commands are the same in all.
const VERSION: u8 = 6;
/// Attributes of a command (`IPSET_ATTR_*`), of the entry within, and of its address.
const PROTOCOL: u16 = 1;
const SET_NAME: u16 = 2;
const DATA: u16 = 7;
const ADDRESS: u16 = 1;
const PREFIX: u16 = 3;
const IPV4: u16 = 1;
const IPV6: u16 = 2;
/// `IPSET_ERR_EXIST`: the entry is there already, or is not; and of hashes `IPSET_ERR_HASH_FULL`.
const EXISTS: i32 = 4103;
const FULL: i32 = 4352;

/// Gives a set in force more entries. None of them may be there.
pub(super) fn grow(growth: &Growth) -> Result<(), Error> {
    command(growth, "add", |entry| request(ADD, libc::NLM_F_EXCL, &growth.set, entry))
}

/// Takes them away again, as far as they are there.
pub(super) fn shrink(growth: &Growth) -> Result<(), Error> {
    command(growth, "remove", |entry| request(DELETE, 0, &growth.set, entry))
}

fn command(growth: &Growth, verb: &str, request: impl Fn((IpAddr, u8)) -> Request) -> Result<(), Error> {
    let mut socket = Socket::open(libc::NETLINK_NETFILTER, 0).map_err(Error::io("speak to the kernel about sets"))?;
    for &entry in &growth.entries {
        let refused = |error: io::Error| {
            let (address, prefix) = entry;
            let what = format!("cannot {verb} {address}/{prefix}: {}", why(&error));
            Error::Set { name: growth.set.clone(), what }
        };
        socket.ask(request(entry), &mut |_| ()).map_err(refused)?;
    }
    Ok(())
}

fn request(command: u16, flags: i32, set: &str, (address, prefix): (IpAddr, u8)) -> Request {
    // `struct nfgenmsg`: a family, which sets don't ask for, and version 0.
    let head = [u8::try_from(libc::AF_INET).unwrap_or(0), 0, 0, 0];
    let bytes = |request: Request| match address {
        IpAddr::V4(address) => request.attribute(IPV4 | NETWORK_ORDER, &address.octets()),
        IpAddr::V6(address) => request.attribute(IPV6 | NETWORK_ORDER, &address.octets()),
    };
    Request::new(command, libc::NLM_F_ACK | flags)
        .body(&head)
        .attribute(PROTOCOL, &[VERSION])
        .attribute(SET_NAME, &[set.as_bytes(), &[0]].concat())
        .nested(DATA, |entry| entry.nested(ADDRESS, bytes).attribute(PREFIX, &[prefix]))
}

/// The kernel's reason, of which it has some that no other part of it knows.
fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(EXISTS) => "it is there already".to_owned(),
        Some(FULL) => "the set is full".to_owned(),
        Some(libc::ENOENT) => "there is no such set".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_asked_for_as_the_kernel_wants_it() {
        let bytes = |command, flags, entry: (&str, u8)| {
            request(command, flags, "t", (entry.0.parse().expect("an address"), entry.1)).finish(7)
        };
        let head = |len: u32, command: u8, flags: u16| {
            let mut head = [len.to_ne_bytes(), [0; 4], 7_u32.to_ne_bytes(), [0; 4]].concat();
            head[4..6].copy_from_slice(&u16::from_be_bytes([6, command]).to_ne_bytes());
            head[6..8].copy_from_slice(&flags.to_ne_bytes());
            head.extend(b"\x02\0\0\0");
            head
        };
        // What `ipset add` sends, but for the version and the number of a line.
        let all =
            |head: Vec<u8>, name_and_entry: &[u8]| [&head, &b"\x05\0\x01\0\x06\0\0\0"[..], name_and_entry].concat();
        let v4 = b"\x06\0\x02\0t\0\0\0\x18\0\x07\x80\x0c\0\x01\x80\x08\0\x01\x40\x0a\x32\0\x01\x05\0\x03\0\x20\0\0\0";
        let v6 =
            b"\x06\0\x02\0t\0\0\0\x24\0\x07\x80\x18\0\x01\x80\x14\0\x02\x40\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0\
                   \x05\0\x03\0\x21\0\0\0";
        if cfg!(target_endian = "little") {
            assert_eq!(bytes(ADD, libc::NLM_F_EXCL, ("10.50.0.1", 32)), all(head(60, 9, 0x205), v4));
            assert_eq!(bytes(DELETE, 0, ("2001:db8::", 33)), all(head(72, 10, 5), v6));
        }
    }

    #[test]
    fn the_reasons_that_only_sets_have_are_told_in_words() {
        let words = |number| why(&io::Error::from_raw_os_error(number));
        assert_eq!(words(EXISTS), "it is there already");
        assert_eq!(words(libc::ENOENT), "there is no such set");
        assert!(words(libc::EPERM).contains("not permitted"));
    }
}
