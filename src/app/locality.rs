//! Whose machine a capture file was taken on, and with that, which way each of its packets went.
//!
//! A live source has the kernel's word for the direction; of the capture formats only Linux cooked ones carry it.
//! For the rest the machine is told by its addresses: named with `--local`, or inferred from the beginning of the
//! capture (`inference`).
//!
//! A capture of all interfaces of a router has each forwarded packet in two frames, one that came in and one that went
//! out. Each is judged, and gets a line: nothing in the file says that they are one.

use crate::engine::Direction;
use crate::host::Own;
use crate::packet::{HardwareAddress, HardwarePair, Ip, Net, Packet, PacketType};
use std::net::IpAddr;

/// The machine that a capture was taken on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// Its addresses.
    pub addresses: Own,
    /// Its hardware address, where the capture has any and it could be told.
    pub hardware: Option<HardwareAddress>,
    /// The addresses of its gateways, as far as they could be told.
    pub gateways: Vec<IpAddr>,
}

impl Locality {
    /// Which way `packet` went, which was not seen on the loopback interface. What moves between two others went
    /// through this machine.
    pub fn direction(&self, packet: &Packet, hardware: Option<HardwarePair>) -> Direction {
        let Net::Ip(ip) = &packet.net else { return self.direction_of_frame(packet, hardware) };
        if hardware.is_some_and(is_on_wire) && (ip.src == ip.dst || ip.src.is_loopback()) {
            // On a wire nobody honest sends these: they tell nothing of whose they are.
            return self.direction_of_frame(packet, hardware);
        }
        let (from_us, to_us) = (self.owns(ip.src), self.owns(ip.dst));
        match (from_us, to_us) {
            (true, true) => direction_between_ourselves(packet.link_direction, ip),
            (true, false) if self.is_forged(hardware) => Direction::Incoming,
            (true, false) => Direction::Outgoing,
            (false, true) => Direction::Incoming,
            (false, false) => self.direction_between_others(packet, ip, hardware),
        }
    }

    /// Whether a frame with our address is from another station, and for us or for all. (A copy of ours that a router
    /// sends on is for somebody else.)
    fn is_forged(&self, hardware: Option<HardwarePair>) -> bool {
        let Some((pair, ours)) = hardware.zip(self.hardware) else { return false };
        let tell = ![pair.src, ours].into_iter().any(HardwareAddress::is_handed_over);
        tell && pair.src != ours && (pair.dst == ours || pair.dst.is_group())
    }

    fn owns(&self, address: IpAddr) -> bool {
        self.addresses.contains(address) || address.is_loopback()
    }

    /// Neither address is ours: a packet for all, one from a host that has no address yet, or a forwarded one.
    fn direction_between_others(&self, packet: &Packet, ip: &Ip, hardware: Option<HardwarePair>) -> Direction {
        if ip.src.is_unspecified() || is_for_many(ip.dst) {
            return self.direction_of_frame(packet, hardware);
        }
        match packet.link_direction {
            Some(PacketType::Broadcast | PacketType::Multicast) => Direction::Incoming,
            _ if hardware.is_some_and(|pair| pair.dst.is_group()) => Direction::Incoming,
            _ => Direction::Forwarded,
        }
    }

    /// The link layer's word: incoming, unless it says that we sent the frame.
    fn direction_of_frame(&self, packet: &Packet, hardware: Option<HardwarePair>) -> Direction {
        let ours = hardware.is_some_and(|pair| Some(pair.src) == self.hardware);
        let sent = packet.link_direction == Some(PacketType::Outgoing) || ours;
        if sent { Direction::Outgoing } else { Direction::Incoming }
    }
}

/// Both addresses are ours: loopback, unless the kernel says that the frame was on a wire. Such a packet is forged, or
/// between two machines that were both named.
fn direction_between_ourselves(link_direction: Option<PacketType>, ip: &Ip) -> Direction {
    match link_direction.filter(|_| !ip.src.is_loopback() && !ip.dst.is_loopback()) {
        None => Direction::Loopback,
        Some(PacketType::Outgoing) => Direction::Outgoing,
        Some(_) => Direction::Incoming,
    }
}

/// Whether a frame has been on a wire: on the loopback interface both hardware addresses are zeros, or the destination
/// is that for all, as tools write it who make their own packets.
fn is_on_wire(pair: HardwarePair) -> bool {
    let nobody = HardwareAddress([0; 6]);
    pair.src != nobody || pair.dst != nobody && !pair.dst.is_group()
}

/// Multicast, or the IPv4 broadcast address.
fn is_for_many(address: IpAddr) -> bool {
    address.is_multicast() || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{self, Link};

    const OURS: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 5]);
    const ROUTER: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 1]);
    const ANOTHER: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 9]);
    /// Of VRRP: whichever router is the one sends from it, with its own address.
    const VIRTUAL_ROUTER: HardwareAddress = HardwareAddress([0, 0, 0x5e, 0, 1, 0x2a]);
    const ALL: HardwareAddress = HardwareAddress([0xff; 6]);

    #[test]
    fn our_address_from_another_station_came_in_unless_it_is_on_its_way_to_somebody_else() {
        let header = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 5, 192, 0, 2, 7];
        let packet = packet::parse(Link::RawIp, &header, 20);
        let addresses = [IpAddr::from([10, 0, 0, 5])].into_iter().collect();
        let here = Locality { addresses, hardware: Some(OURS), ..Locality::default() };
        for (src, dst, expected) in [
            (OURS, ROUTER, Direction::Outgoing),
            (OURS, ALL, Direction::Outgoing),
            (ANOTHER, ALL, Direction::Incoming),
            (ANOTHER, OURS, Direction::Incoming),
            (ROUTER, ANOTHER, Direction::Outgoing),
            (VIRTUAL_ROUTER, ALL, Direction::Outgoing),
        ] {
            assert_eq!(here.direction(&packet, Some(HardwarePair { src, dst })), expected, "{src:?} > {dst:?}");
        }
        let unknown = Locality { hardware: None, ..here };
        assert_eq!(unknown.direction(&packet, Some(HardwarePair { src: ANOTHER, dst: ALL })), Direction::Outgoing);
    }
}
