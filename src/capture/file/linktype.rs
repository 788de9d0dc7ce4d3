//! The numbers of link types in capture files (<https://www.tcpdump.org/linktypes.html>).

use crate::packet::Link;

/// The link type that `packet` reads for this number.
pub(super) fn link(linktype: u32) -> Option<Link> {
    Some(match linktype {
        0 => Link::BsdNull,
        1 => Link::Ethernet,
        12 | 14 | 101 | 228 | 229 => Link::RawIp,
        108 => Link::BsdLoop,
        113 => Link::LinuxSll,
        276 => Link::LinuxSll2,
        _ => return None,
    })
}

/// The name of a link type that pfw doesn't read, for an error message.
pub(super) fn name(linktype: u32) -> Option<&'static str> {
    Some(match linktype {
        3 => "AX25",
        6 => "IEEE802_5",
        7 => "ARCNET_BSD",
        8 => "SLIP",
        9 => "PPP",
        10 => "FDDI",
        50 => "PPP_HDLC",
        51 => "PPP_ETHER",
        100 => "ATM_RFC1483",
        104 => "C_HDLC",
        105 => "IEEE802_11",
        107 => "FRELAY",
        117 => "PFLOG",
        119 => "IEEE802_11_PRISM",
        122 => "IP_OVER_FC",
        127 => "IEEE802_11_RADIOTAP",
        129 => "ARCNET_LINUX",
        138 => "APPLE_IP_OVER_IEEE1394",
        139 => "MTP2_WITH_PHDR",
        140 => "MTP2",
        141 => "MTP3",
        142 => "SCCP",
        144 => "LINUX_IRDA",
        147..=162 => "USER",
        163 => "IEEE802_11_AVS",
        187 => "BLUETOOTH_HCI_H4",
        189 => "USB_LINUX",
        195 => "IEEE802_15_4_WITHFCS",
        197 => "ERF",
        201 => "BLUETOOTH_HCI_H4_WITH_PHDR",
        220 => "USB_LINUX_MMAPPED",
        227 => "CAN_SOCKETCAN",
        230 => "IEEE802_15_4_NOFCS",
        231 => "DBUS",
        239 => "NFLOG",
        249 => "USBPCAP",
        252 => "WIRESHARK_UPPER_PDU",
        253 => "NETLINK",
        258 => "PKTAP",
        271 => "VSOCK",
        _ => return None,
    })
}
