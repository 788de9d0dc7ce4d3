//! The kernel's table of sockets, by its own interface (`linux/sock_diag.h`, `linux/inet_diag.h`): a dump of a hundred
//! thousand takes a third of the time that `/proc/net/tcp` takes to be printed, and one of those that listen next to
//! nothing.
//!
//! Knows what sockets there are; what they mean for the rules is told by [`connections`](super::connections).

use crate::netlink::{Message, Request, Socket as Netlink};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `SOCK_DIAG_BY_FAMILY`
const BY_FAMILY: u16 = 20;
/// `INET_DIAG_SKV6ONLY`
const V6_ONLY: u16 = 11;
/// Bytes of `struct inet_diag_msg`.
const MESSAGE: usize = 72;

/// The states of a socket (`net/tcp_states.h`). One of UDP is in [`ESTABLISHED`] if it is connected, else in [`CLOSE`].
pub(super) const ESTABLISHED: u8 = 1;
pub(super) const FIN_WAIT1: u8 = 4;
pub(super) const FIN_WAIT2: u8 = 5;
pub(super) const CLOSE: u8 = 7;
pub(super) const CLOSE_WAIT: u8 = 8;
pub(super) const LAST_ACK: u8 = 9;
pub(super) const LISTEN: u8 = 10;
pub(super) const CLOSING: u8 = 11;

/// A protocol that has sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

impl Protocol {
    /// Its number in the IP header.
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

/// A socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) state: u8,
    /// Its owner.
    pub(super) uid: u32,
    /// Its number among the files; 0 if no process holds it any more.
    pub(super) inode: u32,
    /// It was bound for IPv6 and takes IPv4 too.
    pub(super) dual: bool,
}

/// Hands out the sockets of a protocol that are in one of `states`, of both families; addresses that are mapped into
/// IPv6 as the IPv4 addresses that they are.
///
/// # Errors
///
/// If the kernel doesn't offer the table, for want of a module.
pub(super) fn sockets(protocol: Protocol, states: &[u8], sink: &mut dyn FnMut(Socket)) -> io::Result<()> {
    let mut netlink = Netlink::open(libc::NETLINK_SOCK_DIAG, 0)?;
    let states = states.iter().fold(0_u32, |mask, state| mask | 1 << state);
    for family in [libc::AF_INET, libc::AF_INET6] {
        netlink.ask(request(family, protocol, states), &mut |message| {
            if let Some(socket) = socket(&message) {
                sink(socket);
            }
        })?;
    }
    Ok(())
}

/// `struct inet_diag_req_v2`: family, protocol, attributes that are wanted, padding, states, and what tells a socket,
/// which is left out.
fn request(family: i32, protocol: Protocol, states: u32) -> Request {
    // The constants have eight bits.
    let family = u8::try_from(family).unwrap_or(0);
    // Whether a socket is for IPv6 alone is told unasked.
    let body = [[family, protocol.number(), 0, 0], states.to_ne_bytes()].concat();
    Request::new(BY_FAMILY, libc::NLM_F_DUMP).body(&body).body(&[0; 48])
}

/// Reads `struct inet_diag_msg`: family, state, timer, retransmissions; ports and addresses in network order, interface
/// and cookie; then numbers of 32 bits, of which the last two are owner and inode.
fn socket(message: &Message<'_>) -> Option<Socket> {
    if message.kind != BY_FAMILY {
        return None;
    }
    let (fixed, mut attributes) = message.split::<MESSAGE>()?;
    let &[family, state, ..] = fixed;
    let port = |at| bytes::<2>(fixed, at).map(u16::from_be_bytes);
    let number = |at| bytes::<4>(fixed, at).map(u32::from_ne_bytes);
    let is_v6 = i32::from(family) == libc::AF_INET6;
    let address = |at| {
        Some(if is_v6 {
            IpAddr::V6(Ipv6Addr::from(bytes::<16>(fixed, at)?)).to_canonical()
        } else {
            IpAddr::V4(Ipv4Addr::from(bytes::<4>(fixed, at)?))
        })
    };
    let v6_only = attributes.any(|attribute| attribute.kind == V6_ONLY && attribute.payload.first() == Some(&1));
    Some(Socket {
        local: SocketAddr::new(address(8)?, port(4)?),
        remote: SocketAddr::new(address(24)?, port(6)?),
        state,
        uid: number(64)?,
        inode: number(68)?,
        dual: is_v6 && !v6_only,
    })
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    fn all(protocol: Protocol, states: &[u8]) -> Vec<Socket> {
        let mut found = Vec::new();
        sockets(protocol, states, &mut |socket| found.push(socket)).unwrap();
        found
    }

    #[test]
    fn a_connection_is_found_at_both_its_ends() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (local, remote) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
            let found = all(Protocol::Tcp, &[ESTABLISHED]);
            for ends in [(local, remote), (remote, local)] {
                let socket = found.iter().find(|socket| (socket.local, socket.remote) == ends).unwrap();
                assert_eq!(socket.state, ESTABLISHED);
            }
            let listening = all(Protocol::Tcp, &[LISTEN]);
            assert!(listening.iter().any(|socket| socket.local == remote && socket.state == LISTEN));
            assert!(!listening.iter().any(|socket| socket.local == local));
        }
    }

    #[test]
    fn a_listener_for_both_families_is_told_from_one_for_ipv6_alone() {
        let both = TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port();
        assert!(!all(Protocol::Tcp, &[LISTEN]).iter().any(|socket| socket.local.port() == both), "it is closed");
        let both = TcpListener::bind("[::]:0").unwrap();
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let dual = |listener: &TcpListener| {
            let port = listener.local_addr().unwrap().port();
            all(Protocol::Tcp, &[LISTEN]).iter().find(|socket| socket.local.port() == port).unwrap().dual
        };
        assert!(dual(&both));
        assert!(!dual(&v4));
        let mapped = TcpStream::connect(("127.0.0.1", both.local_addr().unwrap().port())).unwrap();
        let ends = (mapped.peer_addr().unwrap(), mapped.local_addr().unwrap());
        let found = all(Protocol::Tcp, &[ESTABLISHED]);
        assert!(found.iter().any(|socket| (socket.local, socket.remote) == ends), "as IPv4");
    }

    #[test]
    fn a_udp_socket_that_is_connected_is_told_from_one_that_waits() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let of = |state| all(Protocol::Udp, &[state]).into_iter().map(|socket| socket.local).collect::<Vec<_>>();
        assert!(of(CLOSE).contains(&server.local_addr().unwrap()));
        assert!(of(ESTABLISHED).contains(&client.local_addr().unwrap()));
        assert!(!of(ESTABLISHED).contains(&server.local_addr().unwrap()));
    }
}
