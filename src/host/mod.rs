//! What this machine is, as values: own addresses, gateways, resolvers, SSH peers, what listens on loopback; which
//! connections are open on it, through which of them it is steered; and what its connection tracking counts.
//!
//! Read once and handed on, so that rules, lints and engine stay pure and a replay can speak of another machine.

mod arrivals;
mod chains;
mod config;
pub mod connections;
mod conntrack;
mod in_front;
mod local;
mod own;
mod routes;
mod session;
mod sockets;
mod translation;
mod ways;

pub use arrivals::{Arrival, Arrivals, Discard};
pub use chains::{Chain, has_chain};
pub use conntrack::Counts as ConntrackCounts;
pub use in_front::InFront;
pub use local::Local;
pub use own::Own;
pub use session::{Session, session_of};
pub use sockets::Protocol;
pub use translation::translates;
pub use ways::Ways;

use connections::{Connection, Opener, Phase};
use pnet::datalink;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{fs, iter, process};

/// The facts about the machine that rules are held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Own addresses with the prefix length of the network they are in, loopback included.
    pub addresses: Vec<(IpAddr, u8)>,
    /// What routing takes in beside these.
    pub local: Local,
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

    /// Whether routing takes in what is sent to `address`, so that it comes to this machine. Rules that speak of its own
    /// addresses mean those of its interfaces alone.
    pub fn takes_in(&self, address: IpAddr) -> bool {
        let is_for_all = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
        is_for_all || self.owns(address) || self.local.contains(address)
    }

    /// Whether it forwards packets of a family between interfaces.
    pub fn forwards(&self, v4: bool) -> bool {
        if v4 { self.forwards_v4 } else { self.forwards_v6 }
    }
}

/// Reads the facts, each from where the kernel or a program keeps it. What isn't there, or can't be read, is no fact;
/// nothing here fails.
pub fn read() -> Host {
    let addresses = addresses();
    let local = local::read(|address| addresses.iter().any(|&(own, _)| own == address));
    Host {
        addresses,
        local,
        gateways: gateways(),
        resolvers: resolvers(),
        ssh_peers: ssh_peers(),
        loopback_listeners: loopback_listeners(),
        forwards_v4: is_on("/proc/sys/net/ipv4/ip_forward"),
        forwards_v6: is_on("/proc/sys/net/ipv6/conf/all/forwarding"),
        ephemeral_ports: ephemeral_ports(),
    }
}

fn addresses() -> Vec<(IpAddr, u8)> {
    let networks = datalink::interfaces().into_iter().flat_map(|interface| interface.ips);
    networks.map(|network| (network.ip(), network.prefix())).collect()
}

fn gateways() -> Vec<IpAddr> {
    let v4 = routes::default_gateways_v4(&file("/proc/self/net/route"));
    let v6 = routes::default_gateways_v6(&file("/proc/self/net/ipv6_route"));
    distinct(v4.into_iter().chain(v6))
}

fn resolvers() -> Vec<IpAddr> {
    let configured = config::nameservers(&file("/etc/resolv.conf"));
    let behind = if configured.iter().any(config::is_systemd_stub) {
        config::nameservers(&file("/run/systemd/resolve/resolv.conf"))
    } else {
        Vec::new()
    };
    distinct(configured.into_iter().chain(behind))
}

fn ssh_peers() -> Vec<IpAddr> {
    let mut ports = vec![config::SSH_PORT];
    for path in ssh_configuration() {
        ports.extend(config::ssh_ports(&file(&path)));
    }
    let open = connections::read(ephemeral_ports()).unwrap_or_default().open;
    let to_ssh = |one: &&Connection| {
        one.phase == Phase::Established && one.opener == Opener::Remote && ports.contains(&one.local.port())
    };
    let at_login: Vec<u32> = open.iter().filter(to_ssh).map(|connection| connection.inode).collect();
    let at_login = session::before_login(&at_login);
    let has_logged_in = |one: &&Connection| one.inode == 0 || !at_login.contains(&one.inode);
    let peers = open.iter().filter(to_ssh).filter(has_logged_in).map(|connection| connection.remote.ip());
    // Whatever its port.
    let own = session_of(process::id(), &open).map(|session| session.connection.remote.ip());
    // A multiplexer keeps the variable of a session that has ended: one that the user may soon open anew.
    let named =
        std::env::var("SSH_CONNECTION").ok().and_then(|ends| config::ssh_ends(&ends)).map(|(peer, _)| peer.ip());
    distinct(peers.chain(own).chain(named))
}

fn ssh_configuration() -> Vec<PathBuf> {
    let parts = fs::read_dir("/etc/ssh/sshd_config.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let parts = parts.filter(|path| path.extension().is_some_and(|extension| extension == "conf"));
    iter::once(PathBuf::from("/etc/ssh/sshd_config")).chain(parts).collect()
}

fn loopback_listeners() -> Vec<(&'static str, SocketAddr)> {
    let mut listeners = Vec::new();
    let kinds = [(Protocol::Tcp, sockets::LISTEN, "tcp"), (Protocol::Udp, sockets::CLOSE, "udp")];
    for (protocol, waiting, name) in kinds {
        // A table that can't be read tells nothing.
        let _ = sockets::sockets(protocol, &[waiting], &mut |socket| {
            if socket.local.ip().is_loopback() && socket.local.port() != 0 {
                listeners.push((name, socket.local));
            }
        });
    }
    distinct(listeners.into_iter())
}

fn is_on(path: &str) -> bool {
    !matches!(file(path).trim(), "" | "0")
}

/// Ports that the kernel gives to outgoing connections, ends included.
pub fn ephemeral_ports() -> Option<(u16, u16)> {
    port_range(&file("/proc/sys/net/ipv4/ip_local_port_range"))
}

/// The name of the interface that has each own address. Not those that several have.
pub fn interfaces_by_address() -> HashMap<IpAddr, String> {
    let mut owners: HashMap<IpAddr, Vec<String>> = HashMap::new();
    for interface in datalink::interfaces() {
        for network in interface.ips {
            owners.entry(network.ip()).or_default().push(interface.name.clone());
        }
    }
    let single =
        |(address, mut names): (IpAddr, Vec<String>)| Some((address, names.pop().filter(|_| names.is_empty())?));
    owners.into_iter().filter_map(single).collect()
}

/// Two numbers, ends of a range.
fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some((first.parse().ok()?, last.trim().parse().ok()?))
}

/// What a file says; nothing if it can't be read. Bytes that are no text are of no meaning here.
fn file(path: impl AsRef<Path>) -> String {
    fs::read(path).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn distinct<T: PartialEq>(list: impl Iterator<Item = T>) -> Vec<T> {
    list.fold(Vec::new(), |mut seen, item| {
        if !seen.contains(&item) {
            seen.push(item);
        }
        seen
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_loopback_address_and_ephemeral_ports() {
        let host = read();
        assert!(host.addresses.contains(&("127.0.0.1".parse().unwrap(), 8)), "{host:?}");
        assert!(host.owns("127.0.0.1".parse().unwrap()));
        let (first, last) = host.ephemeral_ports.unwrap();
        assert!(first <= last && last > 0);
    }

    #[test]
    fn a_listener_on_loopback_is_found() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = read().loopback_listeners;
        assert!(listeners.contains(&("tcp", listener.local_addr().unwrap())), "{listeners:?}");
        assert!(listeners.contains(&("udp", udp.local_addr().unwrap())), "{listeners:?}");
        assert!(!listeners.contains(&("tcp", tcp)));
    }

    #[test]
    fn a_range_of_ports_is_two_numbers() {
        assert_eq!(port_range("32768\t60999\n"), Some((32768, 60999)));
        for text in ["", "1", "1 x", "1 70000"] {
            assert_eq!(port_range(text), None, "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_no_fact() {
        assert_eq!(file("/nonexistent/file"), "");
        assert!(!is_on("/nonexistent/file"));
    }
}
