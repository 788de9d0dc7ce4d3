//! ARP for IPv4 over Ethernet (RFC 826).

use super::malformed::Faults;
use super::reason::Reason;
use super::span::Span;
use super::{Arp, Net, ethertype};
use pnet::packet::arp::ArpPacket;

/// Size of the part in front of the addresses.
const FIXED: u32 = 8;
/// Size with the addresses of IPv4 over Ethernet.
pub(super) const WHOLE: u32 = 28;
/// Ethernet as a hardware type, and IEEE 802, which Linux takes for the same.
const HARDWARE_ETHERNET: u16 = 1;
const HARDWARE_IEEE_802: u16 = 6;
const MAC_LENGTH: u8 = 6;
const IPV4_LENGTH: u8 = 4;

/// Reads an ARP packet into `net`, which stays as it is if the packet is not whole or not for IPv4 over Ethernet.
pub(super) fn read(payload: Span<'_>, net: &mut Net, faults: &mut Faults) {
    if let Some(arp) = parse(payload, faults) {
        *net = Net::Arp(arp);
    }
}

fn parse(payload: Span<'_>, faults: &mut Faults) -> Option<Arp> {
    let Some(&[hardware_high, hardware_low, protocol_high, protocol_low, mac_length, ip_length, _, _]) =
        payload.bytes().first_chunk::<{ FIXED as usize }>()
    else {
        faults.require(payload, FIXED, Reason::ArpHeader);
        return None;
    };
    let hardware = u16::from_be_bytes([hardware_high, hardware_low]);
    let protocol = u16::from_be_bytes([protocol_high, protocol_low]);
    if !matches!(hardware, HARDWARE_ETHERNET | HARDWARE_IEEE_802) || protocol != ethertype::IPV4 {
        return None;
    }
    if mac_length != MAC_LENGTH {
        faults.note(Reason::ArpHardwareLength, mac_length, MAC_LENGTH);
        return None;
    }
    if ip_length != IPV4_LENGTH {
        faults.note(Reason::ArpProtocolLength, ip_length, IPV4_LENGTH);
        return None;
    }
    let Some(arp) = ArpPacket::new(payload.bytes()) else {
        faults.require(payload, WHOLE, Reason::ArpAddresses);
        return None;
    };
    Some(Arp {
        operation: arp.get_operation().0,
        sender_mac: arp.get_sender_hw_addr().octets(),
        sender: arp.get_sender_proto_addr(),
        target_mac: arp.get_target_hw_addr().octets(),
        target: arp.get_target_proto_addr(),
        len: payload.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Link;
    use super::super::testing::{parse, reason};
    use super::*;
    use std::net::Ipv4Addr;

    const ARP: Link = Link::Cooked { ethertype: 0x0806 };

    #[test]
    fn a_request_is_read() {
        let packet = parse(ARP, "0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002 0000");
        let expected = Arp {
            operation: 1,
            sender_mac: [2, 0, 0, 0, 0, 1],
            sender: Ipv4Addr::new(10, 0, 0, 1),
            target_mac: [0; 6],
            target: Ipv4Addr::new(10, 0, 0, 2),
            len: 30,
        };
        assert_eq!((packet.net, packet.malformed), (Net::Arp(expected), None));
    }

    #[test]
    fn arp_of_another_kind_is_left() {
        // ARCNET: hardware type 7, addresses of one byte.
        let packet = parse(ARP, "0007 0800 01 04 0001 a2 0a000001 00 0a000002");
        assert_eq!((packet.net, packet.malformed), (Net::Other { ethertype: 0x0806, len: 18 }, None));
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(reason(&parse(ARP, "0001 0800 06 04")), Some(Reason::ArpHeader));
        let hardware = parse(ARP, "0001 0800 08 04 0001 0000");
        assert_eq!(hardware.malformed.unwrap().to_string(), "arp: hardware address length 8, not 6");
        assert_eq!(reason(&parse(ARP, "0001 0800 06 10 0001 0000")), Some(Reason::ArpProtocolLength));
        assert_eq!(reason(&parse(ARP, "0001 0800 06 04 0001 020000000001")), Some(Reason::ArpAddresses));
    }
}
