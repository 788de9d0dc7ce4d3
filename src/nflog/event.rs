//! One event: the attributes of a message of the kernel, as plain values.

use crate::netlink::{Attribute, Attributes};
use crate::packet::{Link, stated_len};
use crate::time::Timestamp;

/// Where in the kernel the rule stands that reported the packet (`enum nf_inet_hooks`, `linux/netfilter.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Before it is known whether the packet is for this host.
    PreRouting,
    /// The packet is for this host.
    Input,
    /// The packet passes through this host.
    Forward,
    /// This host sends the packet.
    Output,
    /// The packet is about to leave.
    PostRouting,
}

impl Hook {
    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::PreRouting,
            1 => Self::Input,
            2 => Self::Forward,
            3 => Self::Output,
            4 => Self::PostRouting,
            _ => return None,
        })
    }
}

/// A packet that a rule reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The text that the rule gives to its events.
    pub prefix: &'a [u8],
    /// Where the rule stands.
    pub hook: Hook,
    /// Index of the interface that the packet came from; none in [`Hook::Output`].
    pub in_interface: Option<u32>,
    /// Index of the interface that the packet is to leave by; none in [`Hook::PreRouting`] and [`Hook::Input`].
    pub out_interface: Option<u32>,
    /// When the kernel received the packet, in whole microseconds; that of a capture socket with `SO_TIMESTAMPNS`, if
    /// there is one. Forwarded packets, and all while nobody asks for stamps, have the time of the event itself.
    /// Packets that this host sends have none.
    pub time: Option<Timestamp>,
    /// The user whose socket it is: that which sent the packet, or, where the kernel has found it already, that which
    /// the packet is for. Absent where the packet has no socket or nobody holds it any more.
    pub uid: Option<u32>,
    /// The group of that user.
    pub gid: Option<u32>,
    /// The packet's mark; 0 is no mark.
    pub mark: u32,
    /// EtherType of `packet`: that of the family whose rules reported it.
    pub ethertype: u16,
    /// The packet from its IP header on, as much of it as was asked for.
    pub packet: &'a [u8],
    /// Length of the whole packet in bytes, as its IP header states it, and at least that of `packet`. One that is to
    /// be segmented later can be longer than its header can state.
    pub original_len: u32,
    /// The number of the event in its group; they begin with 0, and after 32 bits again. Absent in the instant after
    /// the group was bound.
    pub sequence: Option<u32>,
}

impl<'a> Event<'a> {
    /// The type of the first header in `packet`, for [`packet::parse`](crate::packet::parse).
    pub const fn link(&self) -> Link {
        Link::Cooked { ethertype: self.ethertype }
    }

    /// Reads what stands behind the header of a netlink message; `None` if no rule of IPv4 or IPv6 can have made it.
    pub(super) fn read(payload: &'a [u8]) -> Option<Self> {
        // `struct nfgenmsg`
        let (&[family, _version, _group_high, _group_low], attributes) = payload.split_first_chunk()?;
        let ethertype = ethertype(family)?;
        let mut found = Found::default();
        for attribute in Attributes(attributes) {
            found.note(attribute);
        }
        let captured = u32::try_from(found.packet.len()).unwrap_or(u32::MAX);
        Some(Self {
            prefix: found.prefix,
            hook: found.hook?,
            in_interface: found.in_interface,
            out_interface: found.out_interface,
            time: found.time,
            uid: found.uid,
            gid: found.gid,
            mark: found.mark,
            ethertype,
            packet: found.packet,
            original_len: stated_len(found.packet).unwrap_or(0).max(captured),
            sequence: found.sequence,
        })
    }
}

/// The EtherType of what rules of a family see. The hooks of other families (ARP, bridges) have other numbers.
fn ethertype(family: u8) -> Option<u16> {
    let ethertype = match i32::from(family) {
        libc::AF_INET => libc::ETH_P_IP,
        libc::AF_INET6 => libc::ETH_P_IPV6,
        _ => return None,
    };
    u16::try_from(ethertype).ok()
}

/// What the attributes said so far.
#[derive(Default)]
struct Found<'a> {
    prefix: &'a [u8],
    hook: Option<Hook>,
    in_interface: Option<u32>,
    out_interface: Option<u32>,
    time: Option<Timestamp>,
    uid: Option<u32>,
    gid: Option<u32>,
    mark: u32,
    packet: &'a [u8],
    sequence: Option<u32>,
}

impl<'a> Found<'a> {
    fn note(&mut self, attribute: Attribute<'a>) {
        // All numbers come in network byte order.
        let number = || attribute.u32().map(u32::from_be);
        match i32::from(attribute.kind) {
            libc::NFULA_PACKET_HDR => self.hook = hook(attribute.payload),
            libc::NFULA_PREFIX => {
                self.prefix = attribute.payload.split(|&byte| byte == 0).next().unwrap_or_default();
            }
            libc::NFULA_IFINDEX_INDEV => self.in_interface = number(),
            libc::NFULA_IFINDEX_OUTDEV => self.out_interface = number(),
            libc::NFULA_TIMESTAMP => self.time = time(attribute.payload),
            libc::NFULA_UID => self.uid = number(),
            libc::NFULA_GID => self.gid = number(),
            libc::NFULA_MARK => self.mark = number().unwrap_or(0),
            libc::NFULA_PAYLOAD => self.packet = attribute.payload,
            libc::NFULA_SEQ => self.sequence = number(),
            _ => {}
        }
    }
}

/// `struct nfulnl_msg_packet_hdr`: the link layer's protocol, the hook, a byte of padding.
fn hook(header: &[u8]) -> Option<Hook> {
    let &[_, _, hook, _] = header.first_chunk()?;
    Hook::from_number(hook)
}

/// `struct nfulnl_msg_packet_timestamp`: seconds and microseconds, 64 bits each.
fn time(stamp: &[u8]) -> Option<Timestamp> {
    let (seconds, micros) = stamp.split_first_chunk()?;
    let seconds = i64::try_from(u64::from_be_bytes(*seconds)).ok()?;
    let micros = u32::try_from(u64::from_be_bytes(*micros.first_chunk()?)).ok().filter(|&micros| micros < 1_000_000)?;
    Some(Timestamp::from_parts(seconds, micros * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attribute;
    use proptest::prelude::*;

    /// The beginning of an IPv4 packet of 1500 bytes, TCP to port 443.
    const PACKET: [u8; 24] =
        [0x45, 0, 0x05, 0xdc, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 77, 0, 1, 10, 77, 0, 2, 0xc3, 0x50, 0x01, 0xbb];

    /// A message about a packet that came in on interface 2 at 1.5 s past the second 1,792,000,000.
    fn incoming() -> Vec<u8> {
        [
            vec![2, 0, 0x80, 0xff],
            attribute(1, &[0x08, 0x00, 1, 0]),
            attribute(10, b"pfw:17:3\0"),
            attribute(4, &[0, 0, 0, 2]),
            attribute(2, &[0, 0, 0x12, 0x34]),
            attribute(8, &[0, 6, 0, 0, 2, 0, 0, 0, 0, 9, 0, 0]),
            attribute(3, &[0, 0, 0, 0, 0x6a, 0xcf, 0xc0, 0x01, 0, 0, 0, 0, 0, 0x07, 0xa1, 0x20]),
            attribute(12, &[0xff, 0xff, 0xff, 0xfe]),
            attribute(9, &PACKET),
        ]
        .concat()
    }

    /// A message about a packet that user 1000 of group 100 sends by interface 3.
    fn outgoing() -> Vec<u8> {
        let packet = [&[0x60, 0, 0, 0, 0, 8, 17, 64][..], &[0xfd; 32], &[0, 53, 0, 53, 0, 8, 0, 0]].concat();
        [
            vec![10, 0, 0, 5],
            attribute(1, &[0x86, 0xdd, 3, 0]),
            attribute(10, b"out\0"),
            attribute(5, &[0, 0, 0, 3]),
            attribute(11, &[0, 0, 0x03, 0xe8]),
            attribute(14, &[0, 0, 0, 100]),
            attribute(12, &[0, 0, 0, 7]),
            attribute(9, &packet),
        ]
        .concat()
    }

    #[test]
    fn an_incoming_packet_is_read() {
        let event = Event {
            prefix: b"pfw:17:3",
            hook: Hook::Input,
            in_interface: Some(2),
            out_interface: None,
            time: Some(Timestamp::from_parts(1_792_000_001, 500_000_000)),
            uid: None,
            gid: None,
            mark: 0x1234,
            ethertype: 0x0800,
            packet: &PACKET,
            original_len: 1500,
            sequence: Some(0xffff_fffe),
        };
        assert_eq!(Event::read(&incoming()), Some(event));
        assert_eq!(event.link(), Link::Cooked { ethertype: 0x0800 });
    }

    #[test]
    fn an_outgoing_packet_is_read() {
        let message = outgoing();
        let event = Event::read(&message).unwrap();
        assert_eq!((event.prefix, event.hook, event.ethertype), (&b"out"[..], Hook::Output, 0x86dd));
        assert_eq!((event.in_interface, event.out_interface, event.time), (None, Some(3), None));
        assert_eq!((event.uid, event.gid, event.mark, event.sequence), (Some(1000), Some(100), 0, Some(7)));
        assert_eq!((event.packet.len(), event.original_len), (48, 48));
    }

    #[test]
    fn each_hook_has_its_number() {
        use Hook::{Forward, Input, Output, PostRouting, PreRouting};
        let hooks = [Some(PreRouting), Some(Input), Some(Forward), Some(Output), Some(PostRouting), None];
        for (number, hook) in (0..).zip(hooks) {
            let message = [vec![2, 0, 0, 1], attribute(1, &[0x08, 0x00, number, 0])].concat();
            assert_eq!(Event::read(&message).map(|event| event.hook), hook, "{number}");
        }
    }

    #[test]
    fn what_no_rule_of_ipv4_or_ipv6_made_is_no_event() {
        for family in [0, 1, 3, 5, 7] {
            let mut message = incoming();
            message[0] = family;
            assert_eq!(Event::read(&message), None, "{family}");
        }
        assert_eq!(Event::read(&[2, 0, 0, 1]), None);
        assert_eq!(Event::read(&[2, 0, 0]), None);
    }

    #[test]
    fn fields_that_are_too_short_or_impossible_are_absent() {
        let message = [
            vec![2, 0, 0, 1],
            attribute(1, &[0x08, 0x00, 1, 0]),
            attribute(3, &[0, 0, 0, 0, 0x6a, 0xcf, 0xc0, 0x01, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40]),
            attribute(4, &[0, 0, 2]),
            attribute(10, b"not terminated"),
            attribute(12, &[]),
            attribute(9, &[0x45, 0, 0x05]),
        ]
        .concat();
        let event = Event::read(&message).unwrap();
        assert_eq!((event.time, event.in_interface, event.sequence), (None, None, None));
        assert_eq!((event.prefix, event.original_len), (&b"not terminated"[..], 3));
    }

    fn is_sound(message: &[u8]) {
        if let Some(event) = Event::read(message) {
            assert!(event.packet.len() + event.prefix.len() <= message.len());
            assert!(event.original_len as usize >= event.packet.len());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(
            family in prop::sample::select(vec![2_u8, 10]),
            lengths in prop::collection::vec((0_u16..40, 0_u16..22, prop::collection::vec(any::<u8>(), 0..40)), 0..12),
        ) {
            let attributes = lengths.iter().flat_map(|(len, kind, payload)| {
                [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), payload].concat()
            });
            is_sound(&[family, 0, 0, 1].into_iter().chain(attributes).collect::<Vec<u8>>());
        }

        #[test]
        fn no_change_to_a_message_makes_the_reader_panic(
            out in any::<bool>(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            end in any::<prop::sample::Index>(),
        ) {
            let mut message = if out { outgoing() } else { incoming() };
            for (at, value) in changes {
                let at = at.index(message.len());
                message[at] = value;
            }
            message.truncate(end.index(message.len()) + 1);
            is_sound(&message);
        }
    }
}
