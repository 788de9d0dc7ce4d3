//! Link layers: what stands in front of the network header.

/// The type of a frame's first header. The numbers are those of the LINKTYPE registry
/// (<https://www.tcpdump.org/linktypes.html>), which pcap and pcapng files carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Link {
    /// Ethernet (1), with any number of VLAN tags up to a bound.
    Ethernet,
    /// Linux cooked capture v1 (113).
    LinuxSll,
    /// Linux cooked capture v2 (276).
    LinuxSll2,
    /// Raw IP (101, 228, 229 and `DLT_RAW`'s 12 and 14): the version nibble tells the family.
    RawIp,
    /// BSD loopback (0): the address family in the byte order of the machine that captured.
    BsdNull,
    /// OpenBSD loopback (108): the address family in network byte order.
    BsdLoop,
    /// No link header at all: the bytes begin at the network header, of this EtherType (the live capture's cooked ring).
    Cooked {
        /// The EtherType (`sll_protocol`).
        ethertype: u16,
    },
}

pub(super) fn parse(_link: Link, _bytes: &[u8], original_len: u32) -> super::Packet {
    super::Packet {
        vlan: None,
        link_direction: None,
        net: super::Net::Other { ethertype: 0, len: original_len },
        malformed: None,
    }
}
