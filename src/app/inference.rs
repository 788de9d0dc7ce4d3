//! Whose machine a capture was taken on, told by the beginning of the capture and by the rules: an address that they
//! name as a peer's is not this machine's.

use super::locality::Locality;
use crate::host::Own;
use crate::packet::{HardwareAddress, HardwarePair, Ip, Net, Packet, PacketType};
use crate::rules::address::{AddressRange, AddressSet};
use crate::rules::{AddressEntry, Ruleset};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// How many packets are looked at before the machine is inferred: enough to tell a host from its gateway, few enough
/// to be held in memory until then.
pub const LOOKED_AT: usize = 10_000;

/// A station that sends from more addresses than this is taken for a router, not for the machine.
const ADDRESSES_OF_ONE_MACHINE: usize = 32;

/// A station that is sent packets for so many addresses which are not its own hands them on.
const FEWEST_THROUGH_A_ROUTER: usize = 2;

/// For each frame that speaks against an address, so many must speak for it. A forwarded address has about as many of
/// one kind as of the other; a sender who forges our address must not make it a stranger's.
const FOR_EACH_AGAINST: usize = 9;

/// What the beginning of a capture tells of the machine that it was taken on.
#[derive(Debug, Default)]
pub struct Inference {
    packets: usize,
    by_link_direction: HashMap<IpAddr, Testimony>,
    stations: HashMap<HardwareAddress, Seen>,
    /// The addresses that a station has said are its own.
    claims: HashMap<HardwareAddress, BTreeSet<IpAddr>>,
    addresses: HashMap<IpAddr, Seen>,
}

/// What the kernel's packet types say of an address.
#[derive(Debug, Default)]
struct Testimony {
    /// Frames that we sent from it, or that were for us and went to it.
    ours: usize,
    /// Frames that came in from it, or that we sent to it.
    another: usize,
}

impl Testimony {
    fn is_ours(&self) -> bool {
        self.ours > 0 && self.ours >= self.another.saturating_mul(FOR_EACH_AGAINST)
    }
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
    /// Addresses that others sent to through it.
    destinations: BTreeSet<IpAddr>,
}

impl Inference {
    /// Takes a packet into account, which was not seen on the loopback interface.
    pub fn observe(&mut self, packet: &Packet, hardware: Option<HardwarePair>) {
        if let Net::Arp(arp) = &packet.net {
            let claims = self.claims.entry(HardwareAddress(arp.sender_mac)).or_default();
            claims.insert(IpAddr::V4(arp.sender));
        }
        let Net::Ip(ip) = &packet.net else { return };
        self.packets += 1;
        self.observe_link_direction(packet.link_direction, ip);
        self.observe_addresses(ip);
        if let Some(pair) = hardware {
            self.observe_stations(pair, ip);
        }
    }

    fn observe_link_direction(&mut self, link_direction: Option<PacketType>, ip: &Ip) {
        let (ours, another) = match link_direction {
            Some(PacketType::Outgoing) => (Some(ip.src), ip.dst),
            Some(PacketType::Host) => (Some(ip.dst), ip.src),
            Some(PacketType::Broadcast | PacketType::Multicast) => (None, ip.src),
            Some(PacketType::OtherHost) | None => return,
        };
        if let Some(ours) = ours.filter(|&ours| is_a_host(ours)) {
            self.by_link_direction.entry(ours).or_default().ours += 1;
        }
        if is_a_host(another) {
            self.by_link_direction.entry(another).or_default().another += 1;
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
            let seen = self.stations.entry(pair.dst).or_default();
            seen.packets += 1;
            seen.destinations.insert(ip.dst);
        }
    }

    /// The machine, and how it was told, in words; an empty machine if the packets do not tell. An address for which
    /// `is_peer` says so is not the machine's.
    pub fn conclude(self, is_peer: impl Fn(IpAddr) -> bool) -> (Locality, &'static str) {
        if self.by_link_direction.values().any(|said| said.ours > 0) {
            let ours = self.by_link_direction.iter().filter(|(address, said)| said.is_ours() && !is_peer(**address));
            let addresses = ours.map(|(address, _)| *address).collect();
            return (Locality { addresses, ..Locality::default() }, "the capture says which way its packets went");
        }
        if let Some(locality) = self.station(&is_peer) {
            return (locality, "the station that took part in most packets");
        }
        let of_family = |v4| self.address(v4, &is_peer);
        let addresses = [true, false].into_iter().filter_map(of_family).collect();
        (Locality { addresses, ..Locality::default() }, "the address that took part in most packets")
    }

    /// The station that is the machine, if it sent anything that tells its addresses. One that sends for peers alone
    /// is the gateway to them, or one of them.
    fn station(&self, is_peer: impl Fn(IpAddr) -> bool) -> Option<Locality> {
        let own = |seen: &Seen| -> Own { seen.sources.iter().copied().filter(|&ip| !is_peer(ip)).collect() };
        let fits = |seen: &Seen| {
            let sources = seen.sources.len();
            sources == 0 || (sources <= ADDRESSES_OF_ONE_MACHINE && !own(seen).all().is_empty())
        };
        let candidates = self.stations.iter().filter(|(_, seen)| fits(seen)).map(|(&who, seen)| Candidate {
            who,
            packets: seen.packets,
            sources: seen.sources.len(),
            is_public: !seen.sources.iter().copied().any(is_private),
            first_sent: seen.first_sent,
        });
        let hardware = most_likely(candidates.collect())?;
        let addresses = own(self.stations.get(&hardware)?);
        let gateways = self.gateways(hardware);
        (!addresses.all().is_empty()).then_some(Locality { addresses, hardware: Some(hardware), gateways })
    }

    /// The addresses of the routers that the machine may send through: stations to which several addresses are sent that
    /// are not theirs.
    fn gateways(&self, machine: HardwareAddress) -> Vec<IpAddr> {
        let routers = self.stations.iter().filter(|(who, _)| **who != machine).filter_map(|(who, seen)| {
            let own = self.own_addresses(*who, seen);
            (seen.destinations.difference(&own).count() >= FEWEST_THROUGH_A_ROUTER).then_some(own)
        });
        let gateways: BTreeSet<_> = routers.flatten().collect();
        gateways.into_iter().collect()
    }

    /// The addresses that a station surely has: those it has said are its own, and those of this link that it has sent
    /// from.
    fn own_addresses(&self, who: HardwareAddress, seen: &Seen) -> BTreeSet<IpAddr> {
        let of_this_link = |ip: &&IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let said = self.claims.get(&who).into_iter().flatten();
        said.chain(seen.sources.iter().filter(of_this_link)).copied().filter(|&ip| is_a_host(ip)).collect()
    }

    fn address(&self, v4: bool, is_peer: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let of_family = self.addresses.iter().filter(|(address, _)| address.is_ipv4() == v4 && !is_peer(**address));
        let candidates = of_family.map(|(&who, seen)| Candidate {
            who,
            packets: seen.packets,
            sources: 1,
            is_public: !is_private(who),
            first_sent: seen.first_sent,
        });
        most_likely(candidates.collect())
    }
}

/// A station or an address that may be the machine, or its.
struct Candidate<T> {
    who: T,
    packets: usize,
    sources: usize,
    is_public: bool,
    first_sent: Option<usize>,
}

/// Who took part in most packets; of those that are about even (a host and its gateway are in all of them) who has the
/// fewest addresses; of those one in a private network, which seldom meets another from outside of it; and of those
/// who sent first: it opened the conversation.
fn most_likely<T: Copy + Ord>(candidates: Vec<Candidate<T>>) -> Option<T> {
    let most = candidates.iter().map(|candidate| candidate.packets).max()?;
    let even = candidates.into_iter().filter(|candidate| candidate.packets * 10 >= most * 9);
    let rank = |one: &Candidate<T>| (one.sources.max(1), one.is_public, one.first_sent.unwrap_or(usize::MAX), one.who);
    even.min_by_key(rank).map(|candidate| candidate.who)
}

/// Whether an address can be that of one machine on the wire.
fn is_a_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_broadcast)
}

/// Whether an address means another machine in each network that uses it (RFC 1918, RFC 6598, RFC 4193).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// The addresses that a rule set names as those of peers.
#[derive(Debug)]
pub struct Peers {
    /// From `block_ips`, and the single addresses of `allow_ips`: its networks are often the machine's own.
    by_hand: AddressSet,
    /// From `block_lists`, which often hold all private networks.
    in_bulk: AddressSet,
}

impl Peers {
    /// The peers of `rules`, those included whose entries have expired.
    pub fn of(rules: &Ruleset) -> Self {
        let (negated, blocked): (Vec<_>, Vec<_>) = values(&rules.block_ips).partition(|(negated, _)| *negated);
        let (negated, blocked) = (set_of(negated), set_of(blocked));
        let single = values(&rules.allow_ips).filter(|(negated, range)| !negated && is_single(range)).collect();
        let allowed: AddressSet = set_of(single);
        let lists = rules.block_lists.iter().filter(|list| list.enabled);
        Self {
            by_hand: AddressSet {
                v4: blocked.v4.difference(&negated.v4).union(&allowed.v4),
                v6: blocked.v6.difference(&negated.v6).union(&allowed.v6),
            },
            in_bulk: lists.flat_map(|list| list.networks.iter()).collect(),
        }
    }

    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.by_hand.contains(address) || (!is_private(address) && self.in_bulk.contains(address))
    }
}

fn values(entries: &[AddressEntry]) -> impl Iterator<Item = (bool, &AddressRange)> {
    entries.iter().filter(|entry| entry.enabled).map(|entry| (entry.negated, &entry.value))
}

fn set_of(values: Vec<(bool, &AddressRange)>) -> AddressSet {
    values.into_iter().map(|(_, range)| range).collect()
}

fn is_single(range: &AddressRange) -> bool {
    match range {
        AddressRange::V4 { first, last } => first == last,
        AddressRange::V6 { first, last } => first == last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{self, Arp, Link};

    const HOST: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 1]);
    const GATEWAY: HardwareAddress = HardwareAddress([2, 0, 0, 0, 0, 2]);
    const TO_HOST: Option<HardwarePair> = Some(HardwarePair { src: GATEWAY, dst: HOST });
    const FROM_HOST: Option<HardwarePair> = Some(HardwarePair { src: HOST, dst: GATEWAY });

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// An IPv4 packet without payload.
    fn packet(src: &str, dst: &str, link_direction: Option<PacketType>) -> Packet {
        let (IpAddr::V4(src), IpAddr::V4(dst)) = (ip(src), ip(dst)) else { panic!("IPv6") };
        let header = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0];
        let bytes = [&header[..], &src.octets(), &dst.octets()].concat();
        Packet { link_direction, ..packet::parse(Link::RawIp, &bytes, 20) }
    }

    /// Whose machine it is after these packets, `peers` excluded.
    fn inferred(packets: &[(&str, &str, Option<PacketType>, Option<HardwarePair>)], peers: &[&str]) -> Vec<String> {
        let mut inference = Inference::default();
        for &(src, dst, link_direction, hardware) in packets {
            inference.observe(&packet(src, dst, link_direction), hardware);
        }
        let peers: Vec<IpAddr> = peers.iter().map(|peer| ip(peer)).collect();
        let (locality, _) = inference.conclude(|address| peers.contains(&address));
        locality.addresses.all().iter().map(IpAddr::to_string).collect()
    }

    #[test]
    fn a_peer_who_opened_the_conversation_is_not_the_machine() {
        let (peer, us) = ("198.51.100.9", "203.0.113.5");
        let shake = [(peer, us, None, TO_HOST), (us, peer, None, FROM_HOST), (peer, us, None, TO_HOST)];
        assert_eq!(inferred(&shake, &[peer]), [us]);
        assert_eq!(inferred(&shake, &[]), [peer], "nothing tells that it is not");
        let unanswered = [(peer, us, None, TO_HOST); 3];
        assert_eq!(inferred(&unanswered, &[peer]), [us]);
        let without_hardware = shake.map(|(src, dst, ..)| (src, dst, None, None));
        assert_eq!(inferred(&without_hardware, &[peer]), [us]);
        assert!(inferred(&shake, &[peer, us]).is_empty());
    }

    #[test]
    fn a_machine_that_never_answers_is_told_by_its_address() {
        let (peer, other, us) = ("198.51.100.9", "198.51.100.10", "203.0.113.5");
        let from_gateway = |src| (src, us, None, TO_HOST);
        assert_eq!(inferred(&[from_gateway(peer), from_gateway(other)], &[peer]), [us]);
    }

    #[test]
    fn of_two_that_are_even_the_one_in_a_private_network_is_the_machine() {
        for us in ["192.168.1.5", "10.0.0.5", "172.16.0.5", "100.64.0.5"] {
            let peer = "203.0.113.5";
            assert_eq!(inferred(&[(peer, us, None, TO_HOST), (us, peer, None, FROM_HOST)], &[]), [us]);
            assert_eq!(inferred(&[(peer, us, None, None), (us, peer, None, None)], &[]), [us]);
        }
    }

    #[test]
    fn who_is_sent_what_is_for_others_is_the_gateway_by_the_address_that_it_claims() {
        let arp = |mac: HardwareAddress, sender: &str| {
            let IpAddr::V4(sender) = ip(sender) else { panic!("IPv6") };
            let (sender_mac, target) = (mac.0, [10, 0, 0, 5].into());
            let net = Net::Arp(Arp { operation: 2, sender_mac, sender, target_mac: HOST.0, target, len: 28 });
            Packet { net, ..packet("10.0.0.1", "10.0.0.5", None) }
        };
        let gateways = |destinations: &[&str]| {
            let mut inference = Inference::default();
            inference.observe(&arp(GATEWAY, "10.0.0.1"), TO_HOST);
            inference.observe(&arp(HOST, "10.0.0.5"), FROM_HOST);
            for destination in destinations {
                inference.observe(&packet("10.0.0.5", destination, None), FROM_HOST);
                inference.observe(&packet(destination, "10.0.0.5", None), TO_HOST);
            }
            inference.conclude(|_| false).0.gateways
        };
        assert_eq!(gateways(&["192.0.2.9", "10.0.0.1", "198.51.100.7"]), [ip("10.0.0.1")]);
        assert_eq!(gateways(&["10.0.0.1", "192.0.2.9"]), [] as [IpAddr; 0], "it may have that address too");
    }

    #[test]
    fn packet_types_tell_the_machine_from_its_peers() {
        let (host, out) = (Some(PacketType::Host), Some(PacketType::Outgoing));
        let (us, peer) = ("203.0.113.5", "198.51.100.9");
        let talk = [(peer, us, host, None), (us, peer, out, None)];
        assert_eq!(inferred(&talk, &[]), [us]);
        assert_eq!(inferred(&talk[..1], &[]), [us]);
        assert_eq!(inferred(&talk[1..], &[]), [us]);
        // Somebody forges our address, once in ten packets.
        let forged = [talk.repeat(5), vec![(us, us, host, None)]].concat();
        assert_eq!(inferred(&forged, &[]), [us]);
    }

    #[test]
    fn a_router_forwards_the_addresses_that_it_both_receives_and_sends_from() {
        let (host, out) = (Some(PacketType::Host), Some(PacketType::Outgoing));
        let (a, b, router) = ("192.0.2.1", "198.51.100.9", "203.0.113.5");
        let there = [(a, b, host, None), (a, b, out, None)];
        let back = [(b, a, host, None), (b, a, out, None)];
        assert!(inferred(&[there, back].concat(), &[]).is_empty());
        assert!(inferred(&there, &[]).is_empty());
        let own = [(router, b, out, None), (b, router, host, None)];
        assert_eq!(inferred(&[there, back, own].concat(), &[]), [router]);
        // With its own address in place of theirs: b comes in and goes out to a, and the router stands for a at b.
        let translated = [(a, b, host, None), (router, b, out, None), (b, router, host, None), (b, a, out, None)];
        assert_eq!(inferred(&translated, &[]), [router]);
    }

    #[test]
    fn peers_are_what_is_blocked_and_single_addresses_that_are_allowed() {
        let entry = |text: &str, last: &str, negated| AddressEntry {
            value: match (ip(text), ip(last)) {
                (IpAddr::V4(first), IpAddr::V4(last)) => AddressRange::V4 { first, last },
                _ => panic!("IPv6"),
            },
            negated,
            id: text.into(),
            comment: None,
            expires: None,
            enabled: true,
            offset: 0,
        };
        let list = |first: &str, last: &str| crate::rules::BlockList {
            id: "block_lists:x".into(),
            path: "x".into(),
            networks: vec![entry(first, last, false).value].into(),
            expires: None,
            enabled: true,
            comment: None,
            offset: 0,
        };
        let peers = Peers::of(&Ruleset {
            block_ips: vec![
                entry("198.51.100.0", "198.51.100.255", false),
                entry("198.51.100.5", "198.51.100.5", true),
                AddressEntry { enabled: false, ..entry("192.0.2.9", "192.0.2.9", false) },
            ],
            allow_ips: vec![entry("192.0.2.1", "192.0.2.1", false), entry("192.168.1.0", "192.168.1.255", false)],
            block_lists: vec![list("10.0.0.0", "10.255.255.255"), list("203.0.113.0", "203.0.113.255")],
            ..Ruleset::default()
        });
        for peer in ["198.51.100.9", "192.0.2.1", "203.0.113.5"] {
            assert!(peers.contains(ip(peer)), "{peer}");
        }
        for other in ["198.51.100.5", "192.0.2.9", "192.168.1.5", "10.0.0.5", "2001:db8::5"] {
            assert!(!peers.contains(ip(other)), "{other}");
        }
    }
}
