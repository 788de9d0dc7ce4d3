//! Who changes the kernel's tables: `nf_tables` numbers each change, its *generation*, and tells of it and of the process
//! that made it (`linux/netfilter/nf_tables.h`). The tables of iptables-legacy tell nothing.

use crate::netlink::{Message, Received, Request, Socket};
use std::fmt;
use std::fs;
use std::io;

/// The notifications of `nf_tables` (`NFNLGRP_NFTABLES`), as a mask.
const GROUP: u32 = 1 << 6;
/// `NFT_MSG_NEWGEN` and `NFT_MSG_GETGEN` of `NFNL_SUBSYS_NFTABLES`.
const NEW_GENERATION: u16 = 10 << 8 | 15;
const GET_GENERATION: u16 = 10 << 8 | 16;
/// `struct nfgenmsg`: no family, version 0.
const HEADER: [u8; 4] = [0; 4];
/// Attributes of `NEW_GENERATION` (`NFTA_GEN_*`).
const ID: u16 = 1;
const PROCESS_ID: u16 = 2;
const PROCESS_NAME: u16 = 3;

/// The changes to the tables of this network namespace: the latest so far, and all from now on.
///
/// While somebody listens the kernel makes a message of every rule that comes or goes, whatever of them is wanted: many
/// rules are put in force a fifth faster before.
pub struct Changes {
    socket: Socket,
    /// The latest so far, until it has been told.
    latest: Option<Change>,
}

/// A change to the tables, by whomever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Its number; `None` if the kernel had more to tell than there was room for.
    pub(super) generation: Option<u32>,
    by: Option<Process>,
}

/// A process that changed something.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    /// As the kernel's first namespace of processes counts.
    id: u32,
    name: String,
    /// Who started it, where that can still be told: tools end soon after their change.
    parent: Option<(u32, String)>,
}

impl Changes {
    /// Listens. Needs no privilege.
    ///
    /// # Errors
    ///
    /// If the kernel has no `nf_tables`.
    pub fn listen() -> io::Result<Self> {
        let socket = Socket::open(libc::NETLINK_NETFILTER, GROUP)?;
        // Of a change of many rules only the end is of interest, so that no number of them fills the buffer.
        socket.keep_only(NEW_GENERATION)?;
        // Asked now, so that no change falls between the two.
        let latest = generation().map(|generation| Change { generation: Some(generation), by: None });
        Ok(Self { socket, latest })
    }

    /// Waits for the next change; the first is there already.
    ///
    /// # Errors
    ///
    /// If the socket fails.
    pub fn wait(&mut self) -> io::Result<Change> {
        if let Some(latest) = self.latest.take() {
            return Ok(latest);
        }
        loop {
            let mut change = None;
            let received = self.socket.receive(true, &mut |message| change = read(&message))?;
            match (received, change) {
                (_, Some(change)) => return Ok(change.with_parent()),
                (Received::Overrun, None) => return Ok(Change::default()),
                (Received::Messages | Received::Nothing, None) => {}
            }
        }
    }
}

/// The number of the latest change; `None` where the kernel has no `nf_tables`.
pub fn generation() -> Option<u32> {
    let mut socket = Socket::open(libc::NETLINK_NETFILTER, 0).ok()?;
    socket.send(Request::new(GET_GENERATION, 0).body(&HEADER)).ok()?;
    let mut change = None;
    // The kernel has answered when `send` returns.
    socket.receive(false, &mut |message| change = change.take().or(read(&message))).ok()?;
    change?.generation
}

/// Whether `generation` came after `known`; the numbers wrap around.
pub(super) fn is_later(generation: u32, known: u32) -> bool {
    generation != known && generation.wrapping_sub(known) < 1 << 31
}

fn read(message: &Message<'_>) -> Option<Change> {
    let (_, attributes) = message.split::<4>().filter(|_| message.kind == NEW_GENERATION)?;
    let (mut generation, mut id, mut name) = (None, None, None);
    for attribute in attributes {
        let number = || attribute.payload.first_chunk().map(|&bytes| u32::from_be_bytes(bytes));
        match attribute.kind {
            ID => generation = number(),
            PROCESS_ID => id = number(),
            PROCESS_NAME => name = Some(attribute.text()),
            _ => {}
        }
    }
    let by = id.zip(name).map(|(id, name)| Process { id, name, parent: None });
    Some(Change { generation, by })
}

impl Change {
    fn with_parent(mut self) -> Self {
        if let Some(process) = &mut self.by {
            process.parent = parent(process.id, &process.name);
        }
        self
    }
}

/// Who started a process that is still there under this name.
fn parent(id: u32, name: &str) -> Option<(u32, String)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(") ")?;
    let parent = after.split(' ').nth(1)?.parse().ok()?;
    let comm = fs::read_to_string(format!("/proc/{parent}/comm")).ok()?;
    before.ends_with(&format!("({name}")).then(|| (parent, comm.trim_end().to_owned()))
}

/// `nft (pid 4711)`, or whatever is known.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Process { id, name, parent }) = &self.by else { return f.write_str("somebody") };
        write!(f, "{name} (pid {id}")?;
        if let Some((id, name)) = parent {
            write!(f, ", started by {name}, pid {id}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_tells_the_number_and_the_process() {
        // As the kernel sent it: NFTA_GEN_ID, NFTA_GEN_PROC_PID and NFTA_GEN_PROC_NAME behind `struct nfgenmsg`.
        let payload = *b"\0\0\0\x05\x08\0\x01\0\0\0\0\x05\x08\0\x02\0\0\0\x2f\x79\x08\0\x03\0nft\0";
        let message = Message { kind: NEW_GENERATION, flags: 0, sequence: 0, payload: &payload };
        let change = read(&message).expect("it is a change");
        assert_eq!((change.generation, change.to_string()), (Some(5), "nft (pid 12153)".to_owned()));
        assert_eq!(read(&Message { kind: NEW_GENERATION - 1, ..message }), None);
        for cut in 0..payload.len() {
            let _ = read(&Message { payload: &payload[..cut], ..message });
        }
    }

    #[test]
    fn the_parent_of_a_process_is_found_while_it_lives() {
        let own = std::process::id();
        let name = fs::read_to_string("/proc/self/comm").expect("this process has a name");
        let (parent, _) = parent(own, name.trim_end()).expect("this process has a parent");
        assert_eq!(parent, std::os::unix::process::parent_id());
        assert_eq!(super::parent(own, "another"), None);
    }

    #[test]
    fn generations_wrap_around() {
        assert!(is_later(2, 1) && !is_later(1, 2) && !is_later(2, 2));
        assert!(is_later(0, u32::MAX) && !is_later(u32::MAX, 0));
    }
}
