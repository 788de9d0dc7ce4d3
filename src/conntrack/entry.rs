//! Entries as ctnetlink's messages (`linux/netfilter/nfnetlink_conntrack.h`): written, and as far as needed read.

use super::flow::{CTA_TUPLE_ORIG, CTA_TUPLE_REPLY};
use super::timeouts::Timeouts;
use super::{Flow, Tuple};
use crate::host::connections::{Connection, Phase};
use crate::netlink::{Attribute, Message, Request};
use crate::packet::{Ports, Protocol};

/// The messages of this part of netfilter (`enum cntl_msg_types`).
pub(super) const NEW: u16 = SUBSYSTEM << 8;
pub(super) const GET: u16 = SUBSYSTEM << 8 | 1;
pub(super) const DELETE: u16 = SUBSYSTEM << 8 | 2;
/// `NFNL_SUBSYS_CTNETLINK`
const SUBSYSTEM: u16 = 1;

/// `CTA_STATUS`, and others of `enum ctattr_type`.
pub(super) const STATUS: u16 = 3;
const PROTOCOL_INFO: u16 = 4;
const TIMEOUT: u16 = 7;
const ID: u16 = 12;
const ZONE: u16 = 18;
/// `enum ctattr_protoinfo` and `enum ctattr_protoinfo_tcp`
const TCP: u16 = 1;
const TCP_STATE: u16 = 1;
const TCP_FLAGS_ORIGINAL: u16 = 4;
const TCP_FLAGS_REPLY: u16 = 5;

/// `IPS_SRC_NAT`, `IPS_DST_NAT` (`nf_conntrack_common.h`): which of its addresses are translated.
pub(super) const SOURCE_TRANSLATED: u32 = 1 << 4;
pub(super) const DESTINATION_TRANSLATED: u32 = 1 << 5;
/// `IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED`: it goes both ways, and is not given up when the table is full.
const OPEN: u32 = 1 << 1 | 1 << 2 | 1 << 3;
/// `IP_CT_TCP_FLAG_BE_LIBERAL`: sequence numbers are not held against a window. Entries of connections that were picked
/// up in their middle have it on both sides, and those whose beginning was seen don't.
const LIBERAL: u8 = 1 << 3;
/// The same with `IP_CT_TCP_FLAG_SACK_PERM`: what the kernel itself sets where it picks a connection up.
const PICKED_UP: u8 = LIBERAL | 1 << 1;

/// What the opener of a connection sends.
pub(super) fn tuple_of(connection: &Connection) -> Tuple {
    let (from, to) = connection.ends();
    let ports = Ports { src: from.port(), dst: to.port() };
    Tuple { src: from.ip(), dst: to.ip(), protocol: Protocol(connection.protocol().number()), ports }
}

/// An entry that the kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) flow: Flow,
    /// Its number.
    pub(super) id: u32,
    status: u32,
    /// TCP: the flags of both sides.
    flags: (u8, u8),
}

impl Entry {
    /// Whether the kernel picked it up in its middle, so that its direction says nothing about its opener.
    pub(super) fn is_picked_up(&self) -> bool {
        let is_liberal = self.flags.0 & self.flags.1 & LIBERAL != 0;
        let is_marked = self.status & (SOURCE_TRANSLATED | DESTINATION_TRANSLATED) != 0;
        is_liberal && !is_marked && !self.flow.is_translated()
    }
}

/// What is to become of the entry that a connection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its number.
    pub(super) id: u32,
    /// Whether it is in the wrong direction.
    pub(super) is_to_be_turned: bool,
}

/// Asks for all entries.
pub(super) fn list() -> Request {
    Request::new(GET, libc::NLM_F_DUMP).body(&[0; 4])
}

/// Asks for an answer when all that was asked before is done.
pub(super) fn done() -> Request {
    // The constant is 1.
    Request::new(u16::try_from(libc::NLMSG_NOOP).unwrap_or(1), libc::NLM_F_ACK)
}

/// Asks for an entry that there must not be yet. The kernel answers only if it refuses.
pub(super) fn add(tuple: &Tuple, phase: Phase, timeouts: &Timeouts) -> Request {
    let request = about(NEW, libc::NLM_F_CREATE | libc::NLM_F_EXCL, tuple)
        .nested(CTA_TUPLE_ORIG, |request| tuple.write(request))
        .nested(CTA_TUPLE_REPLY, |request| tuple.reversed().write(request))
        .attribute(STATUS, &OPEN.to_be_bytes())
        .attribute(TIMEOUT, &timeouts.of(phase).to_be_bytes());
    let Some(state) = tcp_state(phase) else { return request };
    request.nested(PROTOCOL_INFO, |request| {
        request.nested(TCP, |request| {
            // Flags with the mask of those that are told.
            let flags = [PICKED_UP; 2];
            request
                .attribute(TCP_STATE, &[state])
                .attribute(TCP_FLAGS_ORIGINAL, &flags)
                .attribute(TCP_FLAGS_REPLY, &flags)
        })
    })
}

/// Asks for the removal of the entry that `tuple` has, which is in the other direction. Answered only if refused.
pub(super) fn remove(tuple: &Tuple, known: Known) -> Request {
    let original = tuple.reversed();
    about(DELETE, 0, &original)
        .nested(CTA_TUPLE_ORIG, |request| original.write(request))
        .attribute(ID, &known.id.to_be_bytes())
}

/// `enum tcp_conntrack`
const fn tcp_state(phase: Phase) -> Option<u8> {
    match phase {
        Phase::Established => Some(3),
        Phase::FinWait => Some(4),
        Phase::CloseWait => Some(5),
        Phase::LastAck => Some(6),
        Phase::Udp => None,
    }
}

/// A message with `struct nfgenmsg`: family, version, a number that has no meaning here.
fn about(kind: u16, flags: i32, tuple: &Tuple) -> Request {
    let family = if tuple.src.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // The constants have eight bits.
    Request::new(kind, flags).body(&[u8::try_from(family).unwrap_or(0), 0, 0, 0])
}

/// Reads an entry. `None` for one of a zone, where other machines may have the same addresses.
pub(super) fn read(message: &Message<'_>) -> Option<Entry> {
    if message.kind != NEW {
        return None;
    }
    let (_, attributes) = message.split::<4>()?;
    let flow = Flow::read(attributes.clone())?;
    let mut entry = Entry { flow, id: 0, status: 0, flags: (0, 0) };
    for attribute in attributes {
        match attribute.kind {
            STATUS => entry.status = number(&attribute)?,
            PROTOCOL_INFO => entry.flags = read_flags(&attribute),
            ID => entry.id = number(&attribute)?,
            ZONE => return None,
            _ => {}
        }
    }
    Some(entry)
}

fn number(attribute: &Attribute<'_>) -> Option<u32> {
    attribute.payload.first_chunk().map(|&bytes| u32::from_be_bytes(bytes))
}

fn read_flags(info: &Attribute<'_>) -> (u8, u8) {
    let mut flags = (0, 0);
    for attribute in info.nested().filter(|attribute| attribute.kind == TCP).flat_map(|tcp| tcp.nested()) {
        let value = attribute.payload.first().copied().unwrap_or(0);
        match attribute.kind {
            TCP_FLAGS_ORIGINAL => flags.0 = value,
            TCP_FLAGS_REPLY => flags.1 = value,
            _ => {}
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attribute;

    const HERE: [u8; 4] = [10, 0, 0, 1];
    const PEER: [u8; 4] = [10, 0, 0, 9];

    fn tcp(src: [u8; 4], src_port: u16, dst: [u8; 4], dst_port: u16) -> Tuple {
        let ports = Ports { src: src_port, dst: dst_port };
        Tuple { src: src.into(), dst: dst.into(), protocol: Protocol::TCP, ports }
    }

    /// Addresses and ports of a tuple as the kernel lays them out (`CTA_TUPLE_IP`, `CTA_TUPLE_PROTO`).
    fn laid_out(src: [u8; 4], src_port: u16, dst: [u8; 4], dst_port: u16) -> Vec<u8> {
        let addresses = [attribute(1, &src), attribute(2, &dst)].concat();
        let ports = [attribute(1, &[6]), attribute(2, &src_port.to_be_bytes()), attribute(3, &dst_port.to_be_bytes())];
        [attribute(1, &addresses), attribute(2, &ports.concat())].concat()
    }

    /// An entry that `PEER` opened to port 80, which may be translated to another.
    fn entry(port: u16, status: u32, flags: u8, more: &[u8]) -> Option<Entry> {
        let flags = [attribute(TCP_FLAGS_ORIGINAL, &[flags, 0]), attribute(TCP_FLAGS_REPLY, &[flags, 0])].concat();
        let payload = [
            vec![0; 4],
            attribute(CTA_TUPLE_ORIG, &laid_out(PEER, 40_000, HERE, 80)),
            attribute(CTA_TUPLE_REPLY, &laid_out(HERE, port, PEER, 40_000)),
            attribute(STATUS, &status.to_be_bytes()),
            attribute(PROTOCOL_INFO, &attribute(TCP, &flags)),
            attribute(ID, &77_u32.to_be_bytes()),
            more.to_vec(),
        ];
        read(&Message { kind: NEW, flags: 0, sequence: 1, payload: &payload.concat() })
    }

    #[test]
    fn an_entry_is_read_with_both_its_flows() {
        let entry = entry(8080, OPEN, 0, &[]).unwrap();
        assert_eq!(entry.flow.original, tcp(PEER, 40_000, HERE, 80));
        assert_eq!(entry.flow.reply, tcp(HERE, 8080, PEER, 40_000));
        assert_eq!(entry.flow.original.reversed(), tcp(HERE, 80, PEER, 40_000));
        assert_eq!(entry.id, 77);
    }

    #[test]
    fn only_what_was_picked_up_and_is_not_translated_has_an_uncertain_direction() {
        let is_picked_up = |port, status, flags| entry(port, status, flags, &[]).unwrap().is_picked_up();
        assert!(is_picked_up(80, OPEN, PICKED_UP));
        assert!(!is_picked_up(80, OPEN, 0), "its beginning was seen");
        assert!(!is_picked_up(8080, OPEN, PICKED_UP), "its reply is another flow");
        assert!(!is_picked_up(80, OPEN | 1 << 5, PICKED_UP), "translated to itself");
    }

    #[test]
    fn entries_of_zones_and_what_is_none_are_left_out() {
        assert_eq!(entry(80, OPEN, 0, &attribute(ZONE, &[0, 7])), None);
        assert_eq!(read(&Message { kind: DELETE, flags: 0, sequence: 1, payload: &[0; 4] }), None);
        assert_eq!(read(&Message { kind: NEW, flags: 0, sequence: 1, payload: &[0; 4] }), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(payload in proptest::collection::vec(0_u8..20, 0..200)) {
            let _ = read(&Message { kind: NEW, flags: 0, sequence: 1, payload: &payload });
        }
    }
}
