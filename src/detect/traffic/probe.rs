//! What a packet would find out if nobody had asked for it: the ways of looking for what is there.

use crate::alert::Alert;
use crate::engine::State;
use crate::packet::{Icmp, Ip, Ports, Protocol, Tcp, TcpFlags, Transport};

/// A packet that finds something out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// The way.
    pub way: Way,
    /// The ports.
    pub ports: Ports,
}

/// A way of looking for open ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// SYN, by a tool or by an operating system.
    Syn {
        /// An operating system made it.
        by_system: bool,
    },
    Fin,
    Null,
    Xmas,
    Ack,
    Maimon,
    Udp,
}

/// The options of an operating system's SYN take at least this much: Windows sends 12 bytes, others 20 and more. Tools
/// that make their own send 4 or none.
const SYSTEM_OPTIONS: u32 = 12;
/// Sizes of headers without options.
const IPV4_HEADER: u32 = 20;
const IPV6_HEADER: u32 = 40;
const TCP_HEADER: u32 = 20;
/// Below it servers listen; above it who asks them does.
const FIRST_CLIENT_PORT: u16 = 1024;
/// Services above that are looked for with UDP, to break in or to have them send much to somebody else, and that no
/// programs which share files have in use: `OpenVPN`, Microsoft SQL, L2TP, SSDP, Apple Remote Desktop, devices (WSD, NAT-PMP,
/// mDNS, `CoAP`, Ubiquiti), SIP, memcached.
const LOOKED_FOR: [u16; 12] = [1194, 1434, 1701, 1900, 3283, 3702, 5060, 5351, 5353, 5683, 10_001, 11_211];
/// Where traceroute sends its packets: one port for each of 30 hops and 3 tries, and some to spare.
const TRACEROUTE: std::ops::RangeInclusive<u16> = 33434..=33534;

/// Whether servers listen on this port of UDP, and no peers.
pub(super) fn is_service_of_udp(port: u16) -> bool {
    port < FIRST_CLIENT_PORT || LOOKED_FOR.contains(&port)
}

impl Way {
    /// The kind of tally.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Syn { by_system: false } => 0,
            Self::Syn { by_system: true } => 7,
            Self::Fin => 1,
            Self::Null => 2,
            Self::Xmas => 3,
            Self::Ack => 4,
            Self::Maimon => 5,
            Self::Udp => 6,
        }
    }

    /// What a scan in this way is called.
    pub(super) fn scan(self) -> Alert {
        match self {
            Self::Syn { by_system: false } => Alert::ScanSyn,
            Self::Syn { by_system: true } => Alert::ScanConnect,
            Self::Fin => Alert::ScanFin,
            Self::Null => Alert::ScanNull,
            Self::Xmas => Alert::ScanXmas,
            Self::Ack => Alert::ScanAck,
            Self::Maimon => Alert::ScanMaimon,
            Self::Udp => Alert::ScanUdp,
        }
    }

    /// Whether programs that share files look like it, whose peers are many behind one address.
    pub(super) fn is_file_sharing(self) -> bool {
        matches!(self, Self::Syn { by_system: true } | Self::Udp)
    }

    /// Whether no honest sender sends it, whatever it is sent to.
    pub(super) fn is_never_honest(self) -> bool {
        matches!(self, Self::Fin | Self::Null | Self::Xmas)
    }
}

/// What kind of probe a packet can be; `odd` is what was odd about its bytes.
#[inline]
pub(super) fn of(ip: &Ip, odd: Option<Alert>, state: State) -> Option<Probe> {
    match ip.transport {
        Transport::Tcp(tcp) => Some(Probe { way: of_tcp(ip, tcp, odd, state)?, ports: tcp.ports }),
        Transport::Udp(ports) => {
            let unasked = matches!(state, State::New | State::Invalid);
            let answer = ports.src < FIRST_CLIENT_PORT && ports.dst >= FIRST_CLIENT_PORT;
            (unasked && !answer && !TRACEROUTE.contains(&ports.dst)).then_some(Probe { way: Way::Udp, ports })
        }
        _ => None,
    }
}

#[inline]
fn of_tcp(ip: &Ip, tcp: Tcp, odd: Option<Alert>, state: State) -> Option<Way> {
    const FIN_ACK: u8 = TcpFlags::FIN | TcpFlags::ACK;
    // Push, urgent and congestion control may stand with all of these.
    let flags = tcp.flags.0 & (TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN);
    match (flags, odd) {
        (TcpFlags::SYN, _) => Some(Way::Syn { by_system: behind_tcp(ip).is_none_or(|bytes| bytes >= SYSTEM_OPTIONS) }),
        (0, Some(Alert::TcpFlagsNone)) => Some(Way::Null),
        (TcpFlags::FIN, Some(Alert::TcpFlagsXmas)) => Some(Way::Xmas),
        (TcpFlags::FIN, _) => Some(Way::Fin),
        (TcpFlags::ACK, _) if is_stray(ip, tcp, state) => Some(Way::Ack),
        (FIN_ACK, _) if is_stray(ip, tcp, state) => Some(Way::Maimon),
        _ => None,
    }
}

/// Whether a segment belongs to no connection, and is not what remains of one: probes have neither payload nor
/// options, and are for ports that servers listen on or come from none of these.
fn is_stray(ip: &Ip, tcp: Tcp, state: State) -> bool {
    let unknown = matches!(state, State::New | State::Invalid);
    let answer = tcp.ports.src < FIRST_CLIENT_PORT && tcp.ports.dst >= FIRST_CLIENT_PORT;
    unknown && !answer && behind_tcp(ip) == Some(0)
}

/// Bytes behind the fixed TCP header, if nothing stands between it and the IP header.
fn behind_tcp(ip: &Ip) -> Option<u32> {
    ip.len.checked_sub(TCP_HEADER + if ip.src.is_ipv4() { IPV4_HEADER } else { IPV6_HEADER })
}

/// Whether a packet says that something listens where it comes from.
#[inline]
pub(super) fn answers(ip: &Ip, state: State) -> Option<Ports> {
    match ip.transport {
        Transport::Tcp(tcp) => {
            let accepted = tcp.flags.has(TcpFlags::SYN | TcpFlags::ACK);
            let goes_on = state == State::Reply && tcp.flags.has(TcpFlags::ACK) && !tcp.flags.has(TcpFlags::RST);
            (accepted || goes_on).then_some(tcp.ports)
        }
        Transport::Udp(ports) => (state != State::Original).then_some(ports),
        _ => None,
    }
}

/// The UDP port of its sender for which a message says that nobody listens there.
pub(super) fn refuses(ip: &Ip, icmp: Icmp) -> Option<u16> {
    let quoted = icmp.quoted().filter(|quoted| quoted.dst == ip.src && quoted.protocol == Protocol::UDP)?;
    ip.says_port_is_unreachable().then_some(quoted.ports.dst)
}

/// Whether a message is the answer to an echo request.
pub(super) fn answers_echo(ip: &Ip, icmp: Icmp) -> bool {
    icmp.kind == if ip.src.is_ipv4() { 0 } else { 129 }
}

/// ICMP: what of it somebody sends on his own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// An echo request.
    Echo,
    /// Anything that belongs to nothing known.
    Stray,
}

/// What an ICMP message is, if it is one of these.
pub(super) fn message(ip: &Ip, icmp: Icmp, state: State) -> Option<Message> {
    let echo = if ip.src.is_ipv4() { 8 } else { 128 };
    match state {
        _ if icmp.kind == echo => Some(Message::Echo),
        State::New | State::Invalid => Some(Message::Stray),
        _ => None,
    }
}
