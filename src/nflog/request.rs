//! What the kernel is asked: to bind a group, how to report its packets, to give it back.

use crate::netlink::{self, Message, Request};
use std::time::Duration;

/// Bytes that are reported of each packet, from its IP header on: the longest IPv4 and TCP headers, or an ICMPv6 error
/// with the headers that it quotes and a few extension headers. More would be copied for nobody.
pub const COPY_RANGE: u32 = 256;
/// Events that the kernel hands over together. A rule can ask for fewer (`--nflog-threshold`).
pub const BATCH: u32 = 64;
/// The longest time that the kernel waits for a batch to become full.
pub const BATCH_TIME: Duration = Duration::from_millis(20);

/// The memory of a batch, in which [`BATCH`] long packets have room. With its bookkeeping the kernel rounds it up to
/// 32 KiB. More, up to the 128 KiB that it grants, would not be filled, and is harder to come by when memory is short.
const BATCH_BYTES: u32 = 31 << 10;
const _: () = assert!(BATCH_BYTES as usize <= netlink::BUFFER, "a batch is read whole");

/// The messages of this part of netfilter (`NFNL_SUBSYS_ULOG`).
const PACKET: u16 = kind(libc::NFULNL_MSG_PACKET);
/// See [`PACKET`].
const CONFIG: u16 = kind(libc::NFULNL_MSG_CONFIG);

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both numbers have eight bits")]
const fn kind(message: libc::c_int) -> u16 {
    (libc::NFNL_SUBSYS_ULOG << 8 | message) as u16
}

/// Whether this message reports a packet.
pub(super) fn is_event(message: &Message<'_>) -> bool {
    message.kind == PACKET
}

/// Binds the group and says how it is to be read, in one request: between two of them events would come unnumbered.
pub(super) fn bind(group: u16) -> Request {
    let hundredths = u32::try_from(BATCH_TIME.as_millis() / 10).unwrap_or(u32::MAX);
    let [r0, r1, r2, r3] = COPY_RANGE.to_be_bytes();
    config(group, libc::NFULNL_CFG_CMD_BIND)
        .attribute(number(libc::NFULA_CFG_MODE), &[r0, r1, r2, r3, byte(libc::NFULNL_COPY_PACKET), 0])
        .attribute(number(libc::NFULA_CFG_NLBUFSIZ), &BATCH_BYTES.to_be_bytes())
        .attribute(number(libc::NFULA_CFG_TIMEOUT), &hundredths.to_be_bytes())
        .attribute(number(libc::NFULA_CFG_QTHRESH), &BATCH.to_be_bytes())
        .attribute(number(libc::NFULA_CFG_FLAGS), &number(libc::NFULNL_CFG_F_SEQ).to_be_bytes())
}

/// Gives the group back.
pub(super) fn unbind(group: u16) -> Request {
    config(group, libc::NFULNL_CFG_CMD_UNBIND)
}

/// A message that only the kernel sends: it answers "not supported", or "not permitted" to one who may not ask.
pub(super) fn without_meaning() -> Request {
    Request::new(PACKET, libc::NLM_F_ACK).body(&header(0))
}

fn config(group: u16, command: libc::c_int) -> Request {
    Request::new(CONFIG, libc::NLM_F_ACK).body(&header(group)).attribute(number(libc::NFULA_CFG_CMD), &[byte(command)])
}

/// `struct nfgenmsg`: family (any), version, and the group in network byte order.
fn header(group: u16) -> [u8; 4] {
    let [high, low] = group.to_be_bytes();
    [byte(libc::AF_UNSPEC), byte(libc::NFNETLINK_V0), high, low]
}

/// A constant of the kernel's headers, all of which libc gives as `c_int`.
fn number(constant: libc::c_int) -> u16 {
    u16::try_from(constant).unwrap_or(0)
}

/// See [`number`].
fn byte(constant: libc::c_int) -> u8 {
    u8::try_from(constant).unwrap_or(0)
}
