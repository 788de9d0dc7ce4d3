//! Addresses that bulk lists never act on, and what was spared by that.

use crate::host::Host;
use crate::rules::address::{AddressRange, AddressSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// How many spared networks are kept by name; all are counted.
const KEPT: usize = 100;

/// Why a block list does not act on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// 127.0.0.0/8 or `::1`.
    Loopback,
    /// An address of this machine.
    Own,
    /// A default gateway.
    Gateway,
    /// A configured DNS resolver.
    Resolver,
    /// The other end of an open SSH session.
    SshPeer,
}

/// The addresses that bulk lists never act on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Protected {
    reasons: Vec<(AddressRange, Protection)>,
    /// All of them.
    pub(super) set: AddressSet,
}

/// The networks of block lists that hold a protected address, on which they do not act there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spared {
    /// How many networks.
    pub networks: usize,
    /// The first of them.
    pub first: Vec<SparedNetwork>,
}

/// A network of a block list that holds a protected address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparedNetwork {
    /// Rule id of the list.
    pub list: Arc<str>,
    /// The network.
    pub network: AddressRange,
    /// The protected addresses, or the first of several such.
    pub addresses: AddressRange,
    /// Why they are protected.
    pub protection: Protection,
}

impl Protected {
    /// What is protected on `host`.
    pub(super) fn new(host: &Host) -> Self {
        let loopback = [
            AddressRange::V4 { first: Ipv4Addr::new(127, 0, 0, 0), last: Ipv4Addr::new(127, 255, 255, 255) },
            IpAddr::V6(Ipv6Addr::LOCALHOST).into(),
        ];
        let own = host.addresses.iter().map(|&(address, _)| address);
        let others = own
            .map(|address| (address, Protection::Own))
            .chain(host.gateways.iter().map(|&address| (address, Protection::Gateway)))
            .chain(host.resolvers.iter().map(|&address| (address, Protection::Resolver)))
            .chain(host.ssh_peers.iter().map(|&address| (address, Protection::SshPeer)));
        let mut reasons: Vec<_> = loopback.map(|range| (range, Protection::Loopback)).into();
        reasons.extend(others.map(|(address, why)| (AddressRange::from(address), why)));
        let set = reasons.iter().map(|(range, _)| range).collect();
        Self { reasons, set }
    }

    /// The first reason to spare some address of `network`. Next to no network has any, which the set tells sooner.
    fn within(&self, network: &AddressRange) -> Option<(AddressRange, Protection)> {
        if !self.set.overlaps(network) {
            return None;
        }
        self.reasons.iter().find(|(range, _)| meet(range, network)).copied()
    }
}

impl Spared {
    /// Notes `network` of `list` if it holds a protected address.
    pub(super) fn note(&mut self, list: &Arc<str>, network: AddressRange, protected: &Protected) {
        let Some((addresses, protection)) = protected.within(&network) else { return };
        self.networks += 1;
        if self.first.len() < KEPT {
            self.first.push(SparedNetwork { list: Arc::clone(list), network, addresses, protection });
        }
    }
}

fn meet(a: &AddressRange, b: &AddressRange) -> bool {
    match (a, b) {
        (AddressRange::V4 { first, last }, AddressRange::V4 { first: from, last: to }) => first <= to && from <= last,
        (AddressRange::V6 { first, last }, AddressRange::V6 { first: from, last: to }) => first <= to && from <= last,
        _ => false,
    }
}
