//! Bytes -> [`Packet`]: plain values, or the name of what is wrong with the bytes.
//!
//! The only place that knows wire formats. Nothing here allocates, panics or loops without a bound, whatever the
//! bytes are. What can't be read is named in [`Packet::malformed`], and what was read before it stays.

mod arp;
mod checksum;
mod dhcp;
mod ethernet;
mod ethertype;
mod extension;
mod fingerprint;
mod hardware;
mod hop_by_hop;
mod icmp;
mod ipv4;
mod ipv6;
mod link;
mod malformed;
mod neighbour;
mod net;
mod parts;
mod protocol;
mod reason;
mod span;
mod tlv;
mod transport;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod testing;

pub use checksum::has_wrong_checksum;
pub use ethertype::ethertype_name;
pub use fingerprint::Fingerprint;
pub use hardware::{HardwareAddress, HardwarePair, hardware_addresses, on_loopback};
pub use icmp::query as icmp_query;
pub use link::Link;
pub use malformed::Malformed;
pub use parts::{Counted, Datagram, Parts};
pub use protocol::Protocol;
pub use reason::Reason;

use crate::alert::Oddity;
use std::net::IpAddr;

/// What one frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The outermost VLAN id (802.1Q or 802.1ad), where there is a tag in the bytes.
    pub vlan: Option<u16>,
    /// How the link layer says the frame moved, where it says so (Linux cooked captures do).
    pub link_direction: Option<PacketType>,
    /// The network layer.
    pub net: Net,
    /// What is wrong with the bytes: the first thing found, outermost first.
    pub malformed: Option<Malformed>,
    /// The same where it was sent: a header checksum of 0 may have been left to the network card to fill in.
    pub malformed_as_sent: Option<Malformed>,
    /// What is legal about the bytes, or at least readable, and odd: the first thing found, outermost first. What the
    /// other fields tell is not repeated here.
    pub odd: Option<Oddity>,
    /// The server that an answer of DHCP names as the one that it is from.
    pub dhcp_server: Option<std::net::Ipv4Addr>,
}

impl Packet {
    /// One that nothing is known of but its network layer.
    pub const fn of(net: Net) -> Self {
        Self {
            vlan: None,
            link_direction: None,
            net,
            malformed: None,
            malformed_as_sent: None,
            odd: None,
            dhcp_server: None,
        }
    }

    /// The same seen where it was sent: what is left to the network card to fill in is not at fault.
    #[must_use]
    pub fn as_sent(self) -> Self {
        Self { malformed: self.malformed_as_sent, ..self }
    }

    /// Whether it has ports that a set of ports does not see: that wants the whole header (`get_port`,
    /// `net/netfilter/ipset/ip_set_getport.c`). It is cut off, or goes on in another fragment.
    pub fn is_hidden_from_port_sets(&self) -> bool {
        self.malformed.is_some_and(Malformed::is_cut_behind_ports) || self.ip().is_some_and(Ip::has_beginning_of_tcp)
    }

    /// What is said of it by IP, if it is of that.
    pub const fn ip(&self) -> Option<&Ip> {
        if let Net::Ip(ip) = &self.net { Some(ip) } else { None }
    }
}

impl Ip {
    /// Whether it is the first fragment of a TCP segment and ends in front of its flags.
    pub fn hides_tcp_flags(&self) -> bool {
        self.has_at_most_of_tcp(transport::TCP_FLAGS_AT)
    }

    /// Whether it is the first fragment of a TCP segment and ends within the header.
    fn has_beginning_of_tcp(&self) -> bool {
        self.has_at_most_of_tcp(transport::TCP_HEADER - 1)
    }

    fn has_at_most_of_tcp(&self, bytes: u32) -> bool {
        let ends_early = |fragment: Fragment| fragment.offset == 0 && fragment.len <= bytes;
        matches!(self.transport, Transport::Tcp(_)) && self.fragment.is_some_and(ends_early)
    }

    /// The same segment with these flags.
    #[must_use]
    pub fn with_tcp_flags(self, flags: TcpFlags) -> Self {
        match self.transport {
            Transport::Tcp(tcp) => Self { transport: Transport::Tcp(Tcp { flags, ..tcp }), ..self },
            _ => self,
        }
    }

    /// Whether it is a message that nobody listens at a port of its sender (RFC 1122 section 3.2.2.1, RFC 4443 section 3.1).
    pub fn says_port_is_unreachable(&self) -> bool {
        let unreachable = if self.src.is_ipv4() { (3, 3) } else { (1, 4) };
        matches!(self.transport, Transport::Icmp(icmp) if (icmp.kind, icmp.code) == unreachable)
    }
}

/// The kernel's word on how a frame moved (`sll_pkttype`, `linux/if_packet.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketType {
    /// To this host.
    Host,
    /// Link-layer broadcast.
    Broadcast,
    /// Link-layer multicast.
    Multicast,
    /// To another host, seen because the interface is promiscuous.
    OtherHost,
    /// Sent by this host.
    Outgoing,
}

/// The network layer of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// IPv4 or IPv6.
    Ip(Ip),
    /// ARP for IPv4 over Ethernet (RFC 826).
    Arp(Arp),
    /// Anything else, or an IP header too short to hold addresses.
    Other {
        /// The EtherType (or, below 0x0600, the length of an 802.3 frame).
        ethertype: u16,
        /// Bytes behind the link-layer header on the wire.
        len: u32,
    },
}

/// An IP packet: header fields that do not depend on the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ip {
    /// Source address.
    pub src: IpAddr,
    /// Destination address, always of the family of `src`.
    pub dst: IpAddr,
    /// What the packet carries: behind IPv6 extension headers, the last next-header value.
    pub protocol: Protocol,
    /// IPv4 time to live or IPv6 hop limit.
    pub ttl: u8,
    /// Length of the whole packet in bytes, IP header included, as the packet says it.
    pub len: u32,
    /// Present if this is one of several fragments (an IPv6 atomic fragment is whole, and has none).
    pub fragment: Option<Fragment>,
    /// The header behind.
    pub transport: Transport,
}

/// Where a fragment belongs (RFC 791, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Offset of the payload in bytes; 0 is the first fragment, which has the transport header.
    pub offset: u32,
    /// Bytes of the datagram that it carries.
    pub len: u32,
    /// More fragments follow.
    pub more: bool,
}

/// The transport header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP (RFC 9293).
    Tcp(Tcp),
    /// UDP (RFC 768), and UDP-Lite, whose ports stand in the same place.
    Udp(Ports),
    /// SCTP (RFC 9260).
    Sctp(Ports),
    /// ICMP (RFC 792), or ICMPv6 (RFC 4443) if the packet's protocol is `ICMPV6`.
    Icmp(Icmp),
    /// What a first fragment of eight bytes, which ends in front of them, leaves to the next one: the flags of TCP.
    TcpRest(TcpFlags),
    /// No header that pfw reads: another protocol, a later fragment, or too few bytes.
    None,
}

impl Transport {
    /// The same header with other ports, where the protocol has any.
    #[must_use]
    pub fn with_ports(self, of: impl FnOnce(Ports) -> Ports) -> Self {
        match self {
            Self::Tcp(tcp) => Self::Tcp(Tcp { ports: of(tcp.ports), ..tcp }),
            Self::Udp(ports) => Self::Udp(of(ports)),
            Self::Sctp(ports) => Self::Sctp(of(ports)),
            other => other,
        }
    }
}

/// Source and destination port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ports {
    /// Source port.
    pub src: u16,
    /// Destination port.
    pub dst: u16,
}

/// A TCP header's ports, flags and numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// The ports.
    pub ports: Ports,
    /// The flags; none where the bytes end in front of them.
    pub flags: TcpFlags,
    /// The sequence number, and the next one that is expected of the other side, which counts if ACK is set; 0 where
    /// the header is not whole.
    pub seq: u32,
    /// See there.
    pub ack: u32,
}

/// The flag byte of a TCP header: CWR ECE URG ACK PSH RST SYN FIN, most significant first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Opens a connection.
    pub const SYN: u8 = 0x02;
    /// Resets the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u8 = 0x20;
    /// ECN echo.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;

    /// Whether all bits of `mask` are set.
    pub const fn has(self, mask: u8) -> bool {
        self.0 & mask == mask
    }
}

/// An ICMP or ICMPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier of an echo (and of the other query types); 0 where the type has none.
    pub id: u16,
    /// What else the message tells.
    pub about: About,
}

/// What an ICMP message is about. None is about two of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Nothing that matters here, or nothing that could be read.
    Nothing,
    /// The packet that an error message quotes, where enough of it could be read.
    Quoted(Quoted),
    /// The station of a neighbour discovery message.
    Neighbour(Neighbour),
}

impl Icmp {
    /// The packet that it quotes.
    pub const fn quoted(&self) -> Option<&Quoted> {
        if let About::Quoted(quoted) = &self.about { Some(quoted) } else { None }
    }

    /// The station that it tells of.
    pub const fn neighbour(&self) -> Option<Neighbour> {
        if let About::Neighbour(neighbour) = self.about { Some(neighbour) } else { None }
    }
}

/// Who has which hardware address, as a neighbour discovery message says it (RFC 4861).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The address that is advertised; that of the sender, if there is none.
    pub advertised: Option<std::net::Ipv6Addr>,
    /// The hardware address that goes with it.
    pub mac: [u8; 6],
}

/// The packet inside an ICMP error: what is needed to find the connection it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Source address of the quoted packet.
    pub src: IpAddr,
    /// Destination address of the quoted packet.
    pub dst: IpAddr,
    /// Protocol of the quoted packet.
    pub protocol: Protocol,
    /// Ports (TCP, UDP, SCTP), or for an ICMP query its identifier as `src` and type and code as `dst`
    /// (type in the upper byte); zeros for other protocols.
    pub ports: Ports,
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1 request, 2 reply.
    pub operation: u16,
    /// Sender hardware address.
    pub sender_mac: [u8; 6],
    /// Sender protocol address.
    pub sender: std::net::Ipv4Addr,
    /// Target hardware address.
    pub target_mac: [u8; 6],
    /// Target protocol address.
    pub target: std::net::Ipv4Addr,
    /// Bytes behind the link-layer header on the wire.
    pub len: u32,
}

/// Reads the frame `bytes`, whose first header is of type `link`; `original_len` is the frame's length on the wire,
/// which is more than `bytes.len()` where the capture kept only the beginning.
///
/// It may have been seen where it was sent: what is left to the network card to fill in is not at fault.
pub fn parse(link: Link, bytes: &[u8], original_len: u32) -> Packet {
    parse_received(link, bytes, original_len).as_sent()
}

/// The same of a frame that came from outside, whose sender and network card have done all that they were to do.
pub fn parse_received(link: Link, bytes: &[u8], original_len: u32) -> Packet {
    link::parse(link, bytes, original_len)
}

/// The fingerprint of a frame's packet. `None` for frames without IP.
pub fn fingerprint(link: Link, bytes: &[u8]) -> Option<Fingerprint> {
    let (ethertype, packet) = link::payload(link, bytes);
    fingerprint::of(ethertype, packet)
}

/// The length in bytes that the IP header at the beginning of `bytes` states for its packet, which is more than there
/// are where the end was cut off; `None` where there is no such header.
pub fn stated_len(bytes: &[u8]) -> Option<u32> {
    net::stated_len(bytes)
}
