//! What this machine is, as values: own addresses, gateways, resolvers, SSH peers, what listens on loopback.
//!
//! Read once and handed on, so that rules, lints and engine stay pure and a replay can speak of another machine.

use std::net::{IpAddr, SocketAddr};

/// The facts about the machine that rules are held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Own addresses with the prefix length of the network they are in, loopback included.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Addresses of default gateways.
    pub gateways: Vec<IpAddr>,
    /// Configured DNS resolvers.
    pub resolvers: Vec<IpAddr>,
    /// Remote ends of open SSH sessions to this machine.
    pub ssh_peers: Vec<IpAddr>,
    /// Sockets that listen on a loopback address: protocol name (`tcp`, `udp`), address and port.
    pub loopback_listeners: Vec<(&'static str, SocketAddr)>,
    /// Whether it forwards IPv4 packets between interfaces.
    pub forwards_v4: bool,
    /// Whether it forwards IPv6 packets between interfaces.
    pub forwards_v6: bool,
    /// Ports that the kernel gives to outgoing connections, ends included.
    pub ephemeral_ports: Option<(u16, u16)>,
}

impl Host {
    /// Whether `address` is one of this machine's own.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|&(own, _)| own == address)
    }
}

/// Reads the facts.
pub fn read() -> Host {
    Host::default()
}
