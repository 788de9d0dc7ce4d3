//! What a frame's link layer tells of where it was seen: not needed to decide on it, but to tell whose machine a
//! capture was taken on.

use super::Link;
use pnet::packet::ethernet::EthernetPacket;

/// A 48-bit hardware address (IEEE 802 MAC-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HardwareAddress(pub [u8; 6]);

impl HardwareAddress {
    /// Whether it means many stations: broadcast or multicast.
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Whether it is one of those that routers hand over to each other on purpose, so that it says nothing of who sends.
    pub fn is_handed_over(self) -> bool {
        HANDED_OVER.iter().any(|begin| self.0.starts_with(begin))
    }
}

/// Beginnings of hardware addresses that are handed over: VRRP and CARP (RFC 5798), HSRP, GLBP.
const HANDED_OVER: [&[u8]; 5] =
    [&[0, 0, 0x5e, 0, 1], &[0, 0, 0x5e, 0, 2], &[0, 0, 0x0c, 7, 0xac], &[0, 0, 0x0c, 0x9f], &[0, 7, 0xb4]];

/// Sender and receiver of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HardwarePair {
    /// The station that sent the frame.
    pub src: HardwareAddress,
    /// The station, or group of stations, that it is for.
    pub dst: HardwareAddress,
}

/// The hardware addresses of a frame whose link layer has both.
pub fn hardware_addresses(link: Link, bytes: &[u8]) -> Option<HardwarePair> {
    if link != Link::Ethernet {
        return None;
    }
    let header = EthernetPacket::new(bytes)?;
    let (src, dst) = (header.get_source(), header.get_destination());
    Some(HardwarePair { src: HardwareAddress(src.octets()), dst: HardwareAddress(dst.octets()) })
}

/// The hardware type of the loopback interface (`ARPHRD_LOOPBACK`, `linux/if_arp.h`).
const HARDWARE_LOOPBACK: u16 = 772;

/// Whether the frame's link layer says that it was seen on the loopback interface, as Linux cooked headers do.
pub fn on_loopback(link: Link, bytes: &[u8]) -> bool {
    let at = match link {
        Link::LinuxSll => 2,
        Link::LinuxSll2 => 8,
        _ => return false,
    };
    bytes.get(at..).and_then(|rest| rest.first_chunk()) == Some(&HARDWARE_LOOPBACK.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ethernet_frame_has_both_and_a_cut_or_other_one_has_none() {
        let frame = [1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 7, 8, 0];
        let pair = hardware_addresses(Link::Ethernet, &frame).expect("a whole header");
        assert_eq!(pair.src, HardwareAddress([2, 0, 0, 0, 0, 7]));
        assert!(pair.dst.is_group() && !pair.src.is_group());
        assert_eq!(hardware_addresses(Link::Ethernet, &frame[..13]), None);
        assert_eq!(hardware_addresses(Link::RawIp, &frame), None);
    }

    #[test]
    fn a_cooked_header_says_whether_the_frame_was_on_the_loopback_interface() {
        let v1 = [0, 0, 0x03, 0x04, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0];
        let v2 = [8, 0, 0, 0, 0, 0, 0, 1, 0x03, 0x04, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0];
        assert!(on_loopback(Link::LinuxSll, &v1) && on_loopback(Link::LinuxSll2, &v2));
        assert!(!on_loopback(Link::LinuxSll2, &v1) && !on_loopback(Link::LinuxSll, &v2));
        assert!(!on_loopback(Link::Ethernet, &v1) && !on_loopback(Link::LinuxSll, &v1[..3]));
    }
}
