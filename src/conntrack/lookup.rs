//! Whether the kernel has the connection that a packet belongs to (ctnetlink).

use super::entry::{GET, NEW};
use super::flow::{
    CTA_IP_V4_DST, CTA_IP_V4_SRC, CTA_IP_V6_DST, CTA_IP_V6_SRC, CTA_PROTO_DST_PORT, CTA_PROTO_ICMP_CODE,
    CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMPV6_CODE, CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE,
    CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_TUPLE_IP, CTA_TUPLE_ORIG, CTA_TUPLE_PROTO,
};
use crate::netlink::{Message, Received, Request, Socket, attribute};
use crate::packet::{About, Icmp, Ip, Ports, Protocol, Tcp, Transport};
use std::io;
use std::net::IpAddr;

/// The bit that says that an attribute holds attributes (`NLA_F_NESTED`).
const NESTED: u16 = 1 << 15;

/// Asks the kernel for single connections.
pub struct Lookup {
    socket: Socket,
}

impl Lookup {
    /// Opens a socket for the requests. They need `CAP_NET_ADMIN`, and a kernel that has ctnetlink.
    pub fn open() -> io::Result<Self> {
        Ok(Self { socket: Socket::open(libc::NETLINK_NETFILTER, 0)? })
    }

    /// Whether the kernel has the connection that `packet` belongs to, whichever way it goes. Some microseconds' work.
    pub fn knows(&mut self, packet: &Ip) -> io::Result<bool> {
        let Some(tuple) = tuple(packet) else { return Ok(false) };
        // `struct nfgenmsg`: family, version, no resource.
        let family = if packet.src.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let body = [u8::try_from(family).unwrap_or(0), 0, 0, 0];
        // The kernel finds a connection by either of its tuples, whichever it is asked by.
        let request = Request::new(GET, 0).body(&body).attribute(CTA_TUPLE_ORIG | NESTED, &tuple);
        let sequence = self.socket.send(request)?;
        let mut answer = None;
        // The kernel answers within `send`.
        while answer.is_none() {
            let received = self.socket.receive(false, &mut |message: Message<'_>| {
                if message.sequence == sequence {
                    answer = Some(message.end().map_or(Ok(message.kind == NEW), |end| end.map(|()| false)));
                }
            })?;
            if received == Received::Nothing {
                break;
            }
        }
        match answer {
            Some(Err(error)) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Some(answer) => answer,
            None => Err(io::Error::other("the kernel's answer about a connection was lost")),
        }
    }
}

/// The packet's tuple as the kernel reads it. A later fragment has none, nor has an ICMP error, which is about another
/// packet's.
fn tuple(packet: &Ip) -> Option<Vec<u8>> {
    let addresses = match (packet.src, packet.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            [attribute(CTA_IP_V4_SRC, &src.octets()), attribute(CTA_IP_V4_DST, &dst.octets())]
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            [attribute(CTA_IP_V6_SRC, &src.octets()), attribute(CTA_IP_V6_DST, &dst.octets())]
        }
        _ => return None,
    };
    let numbers = match packet.transport {
        Transport::Tcp(Tcp { ports, .. }) | Transport::Udp(ports) | Transport::Sctp(ports) => of_ports(ports),
        Transport::Icmp(Icmp { kind, code, id, about: About::Nothing }) => of_icmp(packet.protocol, kind, code, id),
        Transport::Icmp(_) | Transport::TcpRest(_) | Transport::None => return None,
    };
    let protocol = [attribute(CTA_PROTO_NUM, &[packet.protocol.0]), numbers].concat();
    let parts = [(CTA_TUPLE_IP, addresses.concat()), (CTA_TUPLE_PROTO, protocol)];
    Some(parts.map(|(kind, part)| attribute(kind | NESTED, &part)).concat())
}

fn of_ports(ports: Ports) -> Vec<u8> {
    let (src, dst) = (ports.src.to_be_bytes(), ports.dst.to_be_bytes());
    [attribute(CTA_PROTO_SRC_PORT, &src), attribute(CTA_PROTO_DST_PORT, &dst)].concat()
}

fn of_icmp(protocol: Protocol, kind: u8, code: u8, id: u16) -> Vec<u8> {
    let kinds = if protocol == Protocol::ICMP {
        [CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE]
    } else {
        [CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE]
    };
    let values: [&[u8]; 3] = [&id.to_be_bytes(), &[kind], &[code]];
    kinds.into_iter().zip(values).flat_map(|(kind, value)| attribute(kind, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::Tuple;
    use crate::netlink::Attributes;
    use crate::packet::TcpFlags;

    fn packet(src: &str, dst: &str, protocol: Protocol, transport: Transport) -> Ip {
        let (src, dst) = (src.parse().unwrap(), dst.parse().unwrap());
        Ip { src, dst, protocol, ttl: 64, len: 60, fragment: None, transport }
    }

    #[test]
    fn what_is_written_is_what_is_read_of_the_kernels_own_tuples() {
        let ports = Ports { src: 40_000, dst: 443 };
        let tcp = Transport::Tcp(Tcp { ports, flags: TcpFlags(0), ..Tcp::default() });
        let ping = Transport::Icmp(Icmp { kind: 8, code: 0, id: 7, about: About::Nothing });
        let ping6 = Transport::Icmp(Icmp { kind: 128, code: 0, id: 7, about: About::Nothing });
        for (ip, ports) in [
            (packet("10.0.0.1", "10.0.0.2", Protocol::TCP, tcp), ports),
            (packet("fd00::1", "fd00::2", Protocol::UDP, Transport::Udp(ports)), ports),
            (packet("10.0.0.1", "10.0.0.2", Protocol::ICMP, ping), Ports { src: 7, dst: 0x0800 }),
            (packet("fd00::1", "fd00::2", Protocol::ICMPV6, ping6), Ports { src: 7, dst: 0x8000 }),
        ] {
            let written = tuple(&ip).unwrap();
            let expected = Tuple { src: ip.src, dst: ip.dst, protocol: ip.protocol, ports };
            assert_eq!(Tuple::read(Attributes(&written)), Some(expected));
        }
        assert_eq!(tuple(&packet("10.0.0.1", "10.0.0.2", Protocol(47), Transport::None)), None);
    }
}
