//! Hardware addresses of a frame: not needed to decide on it, but to tell whose machine a capture was taken on.

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
}

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
}
