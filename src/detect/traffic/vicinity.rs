//! What goes on among the stations of one network: who claims which address, who asks for whom, and who hands out
//! addresses. What is remembered of them is in [`neighbours`](super::neighbours).

use super::keyed::{ADDRESS_CLAIM, ARP_GRATUITOUS, DHCP_SERVER, PORT, SWEEP_ARP};
use super::neighbours::written;
use super::tallies::Try;
use super::{Against, Found, Limit, Traffic, tell};
use crate::alert::{Alert, Settings};
use crate::engine::Direction;
use crate::packet::{Arp, Icmp, Ip};
use std::net::IpAddr;

/// The hop limit of neighbour discovery: with a smaller one a message came over a router, and nobody heeds it (RFC 4861
/// section 7.1).
const FROM_THIS_LINK: u8 = 255;

/// Operations of ARP (RFC 826).
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

impl Traffic {
    /// What a neighbour discovery message says of a station.
    pub(super) fn neighbour(&mut self, ip: &Ip, icmp: Icmp, against: &Against<'_>, found: &mut Found) {
        if let Some(neighbour) = icmp.neighbour()
            && ip.ttl == FROM_THIS_LINK
        {
            let address = neighbour.advertised.map_or(ip.src, IpAddr::V6);
            self.claims(address, neighbour.mac, against, found);
        }
    }

    /// A station says that it has an address.
    fn claims(&mut self, address: IpAddr, mac: [u8; 6], against: &Against<'_>, found: &mut Found) {
        let is_gateway = against.home.gateways().contains(&address);
        let network = self.keyed.network(against.look.interface);
        let before = self.neighbours.hear(network, address, mac, is_gateway, against.look.time);
        // What this machine says of itself is true.
        let Some(before) = before.filter(|_| against.look.direction != Direction::Outgoing) else { return };
        let alert = match (address, is_gateway) {
            (IpAddr::V4(_), true) => Alert::ArpGateway,
            (IpAddr::V4(_), false) => Alert::ArpChanged,
            (IpAddr::V6(_), true) => Alert::NdpGateway,
            (IpAddr::V6(_), false) => Alert::NdpChanged,
        };
        if let Some(news) = self.happened(self.keyed.one(ADDRESS_CLAIM, address, 0), alert, against) {
            let (now, before) = (written(mac), written(before));
            found.findings.push(tell(&news, &format!("{address} is at {now}, and was at {before} before")));
        }
    }

    /// A DHCP server has answered somebody, itself or through a relay.
    pub(super) fn serves(&mut self, ip: &Ip, against: &Against<'_>, found: &mut Found) {
        let server = against.look.packet.dhcp_server.map_or(ip.src, IpAddr::V4);
        let network = self.keyed.network(against.look.interface);
        if !server.is_unspecified()
            && let Some(first) = self.neighbours.served(network, server, against.look.time)
            && let Some(news) = self.happened(self.keyed.one(DHCP_SERVER, server, 0), Alert::DhcpSecondServer, against)
        {
            let sent_by = if server == ip.src { String::new() } else { format!(" (sent by {})", ip.src) };
            found.findings.push(tell(&news, &format!("{server} answers DHCP{sent_by} where {first} did")));
        }
    }

    /// What an ARP packet says of its sender, and asks.
    pub(super) fn arp(&mut self, arp: &Arp, against: &Against<'_>, found: &mut Found) {
        let sender = IpAddr::V4(arp.sender);
        let is_gateway = against.home.gateways().contains(&sender);
        self.claims(sender, arp.sender_mac, against, found);
        if arp.operation == REPLY {
            let asked = self.keyed.one(PORT, sender, 0);
            self.tallies.take_back(self.keyed.station(SWEEP_ARP, arp.target_mac), asked);
        }
        let Settings { arp_gratuitous, arp_seconds, sweep_hosts, sweep_seconds, .. } = *against.settings;
        if arp.sender == arp.target {
            let key = self.keyed.station(ARP_GRATUITOUS, arp.sender_mac);
            if let Some(news) = self.too_many(key, Alert::ArpStorm, arp_gratuitous, arp_seconds, against) {
                found
                    .findings
                    .push(tell(&news, &format!("{} announces {sender} again and again", written(arp.sender_mac))));
            }
        } else if arp.operation == REQUEST && !is_gateway {
            let key = self.keyed.station(SWEEP_ARP, arp.sender_mac);
            let thing = self.keyed.one(PORT, arp.target.into(), 0);
            let limit = Limit::of(Alert::SweepArp, sweep_hosts);
            let tried = Try { key, thing, who: 0, window: sweep_seconds };
            if let Some(news) = self.tried(&tried, &limit, against) {
                let station = written(arp.sender_mac);
                found
                    .findings
                    .push(tell(&news, &format!("{sender} ({station}) asked for {} addresses by ARP", news.things)));
            }
        }
    }
}
