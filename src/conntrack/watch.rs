//! The kernel's notifications of translated flows, and those that it has (ctnetlink).

use super::Flow;
use super::entry::{DELETE, DESTINATION_TRANSLATED, GET, NEW, SOURCE_TRANSLATED, STATUS};
use crate::netlink::{Message, Received, Request, Socket};
use crate::sys;
use libc::{
    BPF_ABS, BPF_IMM, BPF_IND, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_MISC, BPF_RET, BPF_TAX, BPF_W,
    SKF_AD_NLATTR, SKF_AD_OFF, sock_filter,
};
use std::io;
use std::os::fd::AsFd;

/// Bytes of notifications that may wait to be read, which the kernel doubles: some ten thousand new flows.
const RECEIVE_BUFFER: libc::c_int = 8 << 20;
/// `NFNLGRP_CONNTRACK_NEW` and `NFNLGRP_CONNTRACK_DESTROY` as a mask.
const GROUPS: u32 = 1 | 1 << 2;
/// `CTA_STATUS_MASK`
const STATUS_MASK: u16 = 26;
/// Where the attributes of a message begin: behind `struct nlmsghdr` and `struct nfgenmsg`.
const ATTRIBUTES_AT: u32 = 20;

/// What became of a translated flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there: its first packet has passed all rules and is about to leave.
    Opened(Flow),
    /// It is no longer there.
    Closed(Flow),
}

/// A subscription to what becomes of translated flows.
///
/// The kernel makes a notification for each connection that it tracks while somebody listens, about a microsecond's
/// work; those of flows that it does not translate end in a filter and never come here.
pub struct Watch {
    socket: Socket,
}

impl Watch {
    /// Subscribes. It needs `CAP_NET_ADMIN`, and a kernel that has ctnetlink.
    pub fn open() -> io::Result<Self> {
        let socket = Socket::open(libc::NETLINK_NETFILTER, GROUPS)?;
        sys::attach_filter(socket.as_fd(), &only_translated())?;
        socket.set_receive_buffer(RECEIVE_BUFFER)?;
        Ok(Self { socket })
    }

    /// Hands out all changes that are there, in their order, without waiting. `false` if some were lost: then
    /// [`translated`] tells how things stand.
    pub fn poll(&mut self, sink: &mut dyn FnMut(Change)) -> io::Result<bool> {
        let mut complete = true;
        loop {
            match self.socket.receive(false, &mut |message| change(&message).into_iter().for_each(&mut *sink))? {
                Received::Messages => {}
                Received::Nothing => return Ok(complete),
                Received::Overrun => complete = false,
            }
        }
    }
}

fn change(message: &Message<'_>) -> Option<Change> {
    let flow = || translated_flow(message);
    match message.kind {
        NEW => flow().map(Change::Opened),
        DELETE => flow().map(Change::Closed),
        _ => None,
    }
}

fn translated_flow(message: &Message<'_>) -> Option<Flow> {
    let (_, attributes) = message.split::<4>()?;
    Flow::read(attributes).filter(Flow::is_translated)
}

/// The translated flows that the kernel has now. It looks at its whole table, and picks them itself where it can.
pub fn translated() -> io::Result<Vec<Flow>> {
    let mut socket = Socket::open(libc::NETLINK_NETFILTER, 0)?;
    let mut flows = Vec::new();
    for status in [SOURCE_TRANSLATED, DESTINATION_TRANSLATED] {
        list(&mut socket, status, &mut flows)?;
    }
    Ok(flows)
}

fn list(socket: &mut Socket, status: u32, flows: &mut Vec<Flow>) -> io::Result<()> {
    // `struct nfgenmsg`: family (any), version, no resource.
    let request = Request::new(GET, libc::NLM_F_DUMP)
        .body(&[0; 4])
        .attribute(STATUS, &status.to_be_bytes())
        .attribute(STATUS_MASK, &status.to_be_bytes());
    socket.ask(request, &mut |message| flows.extend(translated_flow(&message).filter(|_| message.kind == NEW)))
}

/// A program that keeps the messages whose `CTA_STATUS` says that an address is translated.
fn only_translated() -> [sock_filter; 8] {
    let ancillary = |field: i32| (SKF_AD_OFF + field).cast_unsigned();
    [
        statement(BPF_LDX | BPF_IMM, u32::from(STATUS)),
        statement(BPF_LD | BPF_IMM, ATTRIBUTES_AT),
        // The attribute's place, or 0, where the message begins: its length, as the machine writes it.
        statement(BPF_LD | BPF_W | BPF_ABS, ancillary(SKF_AD_NLATTR)),
        statement(BPF_MISC | BPF_TAX, 0),
        // Numbers are loaded in network byte order, as the attribute is.
        statement(BPF_LD | BPF_W | BPF_IND, 4),
        sock_filter {
            jt: 0,
            jf: 1,
            ..statement(BPF_JMP | BPF_JSET | BPF_K, SOURCE_TRANSLATED | DESTINATION_TRANSLATED)
        },
        statement(BPF_RET | BPF_K, u32::MAX),
        statement(BPF_RET | BPF_K, 0),
    ]
}

fn statement(code: u32, k: u32) -> sock_filter {
    // Instruction codes have 16 bits.
    sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 0, k }
}
