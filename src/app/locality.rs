//! Whose machine a capture file was taken on, and with that, which way each of its packets went.
//!
//! A live source has the kernel's word for the direction; of the capture formats only Linux cooked ones carry it.
//! For the rest the machine is told by its addresses: named with `--local`, or inferred here from the beginning of
//! the capture.

use crate::engine::Direction;
use crate::packet::{HardwareAddress, HardwarePair, Ip, Net, Packet, PacketType};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// The machine that a capture was taken on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// Its addresses.
    pub addresses: BTreeSet<IpAddr>,
    /// Its hardware address, where the capture has any and it could be told.
    pub hardware: Option<HardwareAddress>,
}

impl Locality {
    /// Which way `packet` went, seen from this machine. What moves between two others went through it.
    pub fn direction(&self, packet: &Packet, hardware: Option<HardwarePair>) -> Direction {
        let Net::Ip(ip) = &packet.net else { return self.direction_of_frame(packet, hardware) };
        let (from_us, to_us) = (self.owns(ip.src), self.owns(ip.dst));
        match (from_us, to_us) {
            (true, true) => Direction::Loopback,
            (true, false) => Direction::Outgoing,
            (false, true) => Direction::Incoming,
            (false, false) => self.direction_between_others(packet, ip, hardware),
        }
    }

    fn owns(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.contains(&address)
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

/// Multicast, or the IPv4 broadcast address.
fn is_for_many(address: IpAddr) -> bool {
    address.is_multicast() || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
}

/// Whether an address can be that of one machine on the wire.
fn is_a_host(address: IpAddr) -> bool {
    !(address.is_unspecified() || address.is_loopback() || is_for_many(address))
}

/// How many packets are looked at before the machine is inferred: enough to tell a host from its gateway, few enough
/// to be held in memory until then.
pub const LOOKED_AT: usize = 10_000;

/// A station that sends from more addresses than this is taken for a router, not for the machine.
const ADDRESSES_OF_ONE_MACHINE: usize = 32;

/// What the beginning of a capture tells of the machine that it was taken on.
#[derive(Debug, Default)]
pub struct Inference {
    packets: usize,
    by_link_direction: BTreeSet<IpAddr>,
    stations: HashMap<HardwareAddress, Seen>,
    addresses: HashMap<IpAddr, Seen>,
}

/// What was seen of a station or an address.
#[derive(Debug, Default)]
struct Seen {
    /// Packets from or to it.
    packets: usize,
    /// The number of the first packet that it sent.
    first_sent: Option<usize>,
    /// Addresses that it sent from.
    sources: BTreeSet<IpAddr>,
}

impl Inference {
    /// Takes a packet into account.
    pub fn observe(&mut self, packet: &Packet, hardware: Option<HardwarePair>) {
        let Net::Ip(ip) = &packet.net else { return };
        self.packets += 1;
        self.observe_link_direction(packet.link_direction, ip);
        self.observe_addresses(ip);
        if let Some(pair) = hardware {
            self.observe_stations(pair, ip);
        }
    }

    fn observe_link_direction(&mut self, link_direction: Option<PacketType>, ip: &Ip) {
        let ours = match link_direction {
            Some(PacketType::Outgoing) => ip.src,
            Some(PacketType::Host) => ip.dst,
            _ => return,
        };
        if is_a_host(ours) {
            self.by_link_direction.insert(ours);
        }
    }

    fn observe_addresses(&mut self, ip: &Ip) {
        if is_a_host(ip.src) {
            let seen = self.addresses.entry(ip.src).or_default();
            seen.packets += 1;
            seen.first_sent.get_or_insert(self.packets);
        }
        if is_a_host(ip.dst) {
            self.addresses.entry(ip.dst).or_default().packets += 1;
        }
    }

    fn observe_stations(&mut self, pair: HardwarePair, ip: &Ip) {
        if !pair.src.is_group() && is_a_host(ip.src) {
            let seen = self.stations.entry(pair.src).or_default();
            seen.packets += 1;
            seen.first_sent.get_or_insert(self.packets);
            seen.sources.insert(ip.src);
        }
        if !pair.dst.is_group() {
            self.stations.entry(pair.dst).or_default().packets += 1;
        }
    }

    /// The machine, and how it was told, in words; an empty machine if the packets do not tell.
    pub fn conclude(self) -> (Locality, &'static str) {
        if !self.by_link_direction.is_empty() {
            let addresses = self.by_link_direction;
            return (Locality { addresses, hardware: None }, "the capture says which way its packets went");
        }
        if let Some((station, seen)) = busiest(&self.stations, |seen| seen.sources.len() <= ADDRESSES_OF_ONE_MACHINE)
            && !seen.sources.is_empty()
        {
            let locality = Locality { addresses: seen.sources.clone(), hardware: Some(*station) };
            return (locality, "the station that took part in most packets");
        }
        let of_family = |v4: bool| self.addresses.iter().filter(move |(address, _)| address.is_ipv4() == v4);
        let addresses = [true, false].into_iter().filter_map(|v4| busiest(of_family(v4), |_| true)).map(|(a, _)| *a);
        (Locality { addresses: addresses.collect(), hardware: None }, "the address that took part in most packets")
    }
}

/// Who took part in most packets; of those that are about even (a host and its gateway are in all of them), who has
/// the fewest addresses, and of those who sent first: it opened the conversation.
fn busiest<'a, K: Ord + 'a>(
    candidates: impl IntoIterator<Item = (&'a K, &'a Seen)>,
    fits: impl Fn(&Seen) -> bool,
) -> Option<(&'a K, &'a Seen)> {
    let candidates: Vec<_> = candidates.into_iter().filter(|(_, seen)| fits(seen)).collect();
    let most = candidates.iter().map(|(_, seen)| seen.packets).max()?;
    candidates.into_iter().filter(|(_, seen)| seen.packets * 10 >= most * 9).min_by(|(a, one), (b, other)| {
        let rank = |seen: &Seen| (seen.sources.len().max(1), seen.first_sent.unwrap_or(usize::MAX));
        rank(one).cmp(&rank(other)).then_with(|| a.cmp(b))
    })
}
