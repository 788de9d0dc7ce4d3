//! Flows, as conntrack tells of them (`linux/netfilter/nfnetlink_conntrack.h`).

use crate::netlink::{Attribute, Attributes, Request};
use crate::packet::{Ip, Ports, Protocol, Quoted, Transport, icmp_query};
use std::net::{IpAddr, Ipv6Addr};

/// One direction of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Who sends in this direction.
    pub src: IpAddr,
    /// To whom.
    pub dst: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
    /// Ports. Of ICMP, as in [`Quoted`]: the identifier, and type and code. 0 where the protocol has none.
    pub ports: Ports,
}

/// A flow: what its opener sends looks like `original` before all translation, and what comes back to it looks like
/// `reply` before all translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The opener's direction.
    pub original: Tuple,
    /// The other one.
    pub reply: Tuple,
}

/// The two ends of a packet or tuple, the same for both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    first: (IpAddr, u16),
    second: (IpAddr, u16),
    protocol: Protocol,
}

pub(super) const CTA_TUPLE_ORIG: u16 = 1;
pub(super) const CTA_TUPLE_REPLY: u16 = 2;
pub(super) const CTA_TUPLE_IP: u16 = 1;
pub(super) const CTA_TUPLE_PROTO: u16 = 2;
pub(super) const CTA_IP_V4_SRC: u16 = 1;
pub(super) const CTA_IP_V4_DST: u16 = 2;
pub(super) const CTA_IP_V6_SRC: u16 = 3;
pub(super) const CTA_IP_V6_DST: u16 = 4;
pub(super) const CTA_PROTO_NUM: u16 = 1;
pub(super) const CTA_PROTO_SRC_PORT: u16 = 2;
pub(super) const CTA_PROTO_DST_PORT: u16 = 3;
pub(super) const CTA_PROTO_ICMP_ID: u16 = 4;
pub(super) const CTA_PROTO_ICMP_TYPE: u16 = 5;
pub(super) const CTA_PROTO_ICMP_CODE: u16 = 6;
pub(super) const CTA_PROTO_ICMPV6_ID: u16 = 7;
pub(super) const CTA_PROTO_ICMPV6_TYPE: u16 = 8;
pub(super) const CTA_PROTO_ICMPV6_CODE: u16 = 9;

impl Flow {
    /// Reads the attributes of a flow (`enum ctattr_type`).
    pub(crate) fn read(attributes: Attributes<'_>) -> Option<Self> {
        let (mut original, mut reply) = (None, None);
        for attribute in attributes {
            match attribute.kind {
                CTA_TUPLE_ORIG => original = Tuple::read(attribute.nested()),
                CTA_TUPLE_REPLY => reply = Tuple::read(attribute.nested()),
                _ => {}
            }
        }
        Some(Self { original: original?, reply: reply? })
    }

    /// Who answers, behind all translation.
    pub fn responder(&self) -> IpAddr {
        self.reply.src
    }

    /// The ends that rules see between the two translations: the destination's comes before them, the source's behind.
    pub fn ends_between(&self) -> Ends {
        let Self { original, reply } = self;
        let port = match original.protocol {
            Protocol::ICMP | Protocol::ICMPV6 => original.ports.dst,
            _ => reply.ports.src,
        };
        Ends::of(original.src, reply.src, original.protocol, Ports { src: original.ports.src, dst: port })
    }

    /// Whether the two sides see it with different addresses or ports.
    pub fn is_translated(&self) -> bool {
        self.original.ends() != self.reply.ends()
    }
}

impl Tuple {
    pub(super) fn read(attributes: Attributes<'_>) -> Option<Self> {
        let mut found = Found::default();
        for attribute in attributes {
            match attribute.kind {
                CTA_TUPLE_IP => attribute.nested().for_each(|one| found.note_address(one)),
                CTA_TUPLE_PROTO => attribute.nested().for_each(|one| found.note_protocol(one)),
                _ => {}
            }
        }
        let Found { src, dst, protocol, ports, icmp } = found;
        let ports = icmp.map_or(ports, |[kind, code]| Ports { dst: u16::from_be_bytes([kind, code]), ..ports });
        Some(Self { src: src?, dst: dst?, protocol: protocol?, ports })
    }

    /// Appends what [`read`](Self::read) reads. Of protocols that have ports.
    pub(super) fn write(&self, request: Request) -> Request {
        let addresses = |request: Request| match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                request.attribute(CTA_IP_V4_SRC, &src.octets()).attribute(CTA_IP_V4_DST, &dst.octets())
            }
            (src, dst) => {
                request.attribute(CTA_IP_V6_SRC, &v6(src).octets()).attribute(CTA_IP_V6_DST, &v6(dst).octets())
            }
        };
        request.nested(CTA_TUPLE_IP, addresses).nested(CTA_TUPLE_PROTO, |request| {
            request
                .attribute(CTA_PROTO_NUM, &[self.protocol.0])
                .attribute(CTA_PROTO_SRC_PORT, &self.ports.src.to_be_bytes())
                .attribute(CTA_PROTO_DST_PORT, &self.ports.dst.to_be_bytes())
        })
    }

    /// The other direction, where nothing is translated. Of protocols that have ports.
    pub(super) const fn reversed(&self) -> Self {
        let ports = Ports { src: self.ports.dst, dst: self.ports.src };
        Self { src: self.dst, dst: self.src, protocol: self.protocol, ports }
    }

    /// Its ends.
    pub fn ends(&self) -> Ends {
        Ends::of(self.src, self.dst, self.protocol, self.ports)
    }
}

/// The ends of a tuple are of one family; of two, which there are not, the IPv4 one stands for its mapped address.
const fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// What the attributes of a tuple said so far.
#[derive(Default)]
struct Found {
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
    protocol: Option<Protocol>,
    ports: Ports,
    icmp: Option<[u8; 2]>,
}

impl Found {
    fn note_address(&mut self, attribute: Attribute<'_>) {
        let v4 = || attribute.payload.first_chunk::<4>().map(|&bytes| IpAddr::from(bytes));
        let v6 = || attribute.payload.first_chunk::<16>().map(|&bytes| IpAddr::from(bytes));
        match attribute.kind {
            CTA_IP_V4_SRC => self.src = v4(),
            CTA_IP_V4_DST => self.dst = v4(),
            CTA_IP_V6_SRC => self.src = v6(),
            CTA_IP_V6_DST => self.dst = v6(),
            _ => {}
        }
    }

    fn note_protocol(&mut self, attribute: Attribute<'_>) {
        let number = || attribute.u16().map_or(0, u16::from_be);
        let byte = || attribute.payload.first().copied().unwrap_or(0);
        let [kind, code] = self.icmp.unwrap_or_default();
        match attribute.kind {
            CTA_PROTO_NUM => self.protocol = attribute.payload.first().map(|&number| Protocol(number)),
            CTA_PROTO_SRC_PORT | CTA_PROTO_ICMP_ID | CTA_PROTO_ICMPV6_ID => self.ports.src = number(),
            CTA_PROTO_DST_PORT => self.ports.dst = number(),
            CTA_PROTO_ICMP_TYPE | CTA_PROTO_ICMPV6_TYPE => self.icmp = Some([byte(), code]),
            CTA_PROTO_ICMP_CODE | CTA_PROTO_ICMPV6_CODE => self.icmp = Some([kind, byte()]),
            _ => {}
        }
    }
}

impl Ends {
    fn of(src: IpAddr, dst: IpAddr, protocol: Protocol, ports: Ports) -> Self {
        if matches!(protocol, Protocol::ICMP | Protocol::ICMPV6) {
            return Self::of_icmp(src, dst, protocol, ports);
        }
        let (from, to) = ((src, ports.src), (dst, ports.dst));
        let (first, second) = if from <= to { (from, to) } else { (to, from) };
        Self { first, second, protocol }
    }

    /// The end that asks comes first, and an answer bears the type of its query.
    fn of_icmp(src: IpAddr, dst: IpAddr, protocol: Protocol, ports: Ports) -> Self {
        let [kind, code] = ports.dst.to_be_bytes();
        let (asked, is_query) = icmp_query(protocol, kind).unwrap_or((kind, true));
        let what = u16::from_be_bytes([asked, code]);
        let (first, second) = if is_query { (src, dst) } else { (dst, src) };
        Self { first: (first, ports.src), second: (second, what), protocol }
    }

    /// Address and port of each: of ICMP identifier, and type and code of the query.
    pub fn pair(&self) -> [(IpAddr, u16); 2] {
        [self.first, self.second]
    }

    /// Those of a packet; those of the packet that an ICMP error is about. A later fragment has none.
    pub fn of_packet(packet: &Ip) -> Option<Self> {
        if packet.fragment.is_some_and(|fragment| fragment.offset > 0) {
            return None;
        }
        let ports = match packet.transport {
            Transport::Tcp(tcp) => tcp.ports,
            Transport::Udp(ports) | Transport::Sctp(ports) => ports,
            Transport::Icmp(icmp) => match icmp.quoted() {
                Some(&Quoted { src, dst, protocol, ports }) => return Some(Self::of(src, dst, protocol, ports)),
                None => Ports { src: icmp.id, dst: u16::from_be_bytes([icmp.kind, icmp.code]) },
            },
            Transport::TcpRest(_) | Transport::None => Ports { src: 0, dst: 0 },
        };
        Some(Self::of(packet.src, packet.dst, packet.protocol, ports))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::attribute;
    use proptest::prelude::*;

    /// The attribute of a tuple: addresses, protocol, and what else tells it apart.
    fn tuple(kind: u16, addresses: [[u8; 4]; 2], protocol: u8, numbers: &[(u16, &[u8])]) -> Vec<u8> {
        let [src, dst] = addresses;
        let ip = [attribute(1, &src), attribute(2, &dst)].concat();
        let numbers = numbers.iter().map(|(kind, number)| attribute(*kind, number));
        let proto: Vec<u8> = std::iter::once(attribute(1, &[protocol])).chain(numbers).flatten().collect();
        // With the bit that says "nested", as the kernel sets it.
        attribute(kind | 0x8000, &[attribute(0x8001, &ip), attribute(0x8002, &proto)].concat())
    }

    const CLIENT: [u8; 4] = [10, 0, 0, 9];
    const HOST: [u8; 4] = [10, 0, 0, 1];
    const SERVER: [u8; 4] = [172, 17, 0, 2];

    /// A flow to a published port.
    fn published() -> Vec<u8> {
        let port = |number: u16| number.to_be_bytes();
        let original = tuple(1, [CLIENT, HOST], 6, &[(2, &port(40_000)), (3, &port(8080))]);
        let reply = tuple(2, [SERVER, CLIENT], 6, &[(2, &port(80)), (3, &port(40_000))]);
        [original, reply].concat()
    }

    #[test]
    fn a_flow_is_read_with_both_its_forms() {
        let flow = Flow::read(Attributes(&published())).unwrap();
        assert_eq!((flow.original.src, flow.original.dst), (CLIENT.into(), HOST.into()));
        assert_eq!((flow.original.ports.dst, flow.original.protocol), (8080, Protocol::TCP));
        assert_eq!((flow.responder(), flow.reply.ports.src), (SERVER.into(), 80));
        assert!(flow.is_translated());
        assert_eq!(Flow::read(Attributes(&tuple(1, [CLIENT, HOST], 6, &[]))), None, "half a flow is none");
    }

    #[test]
    fn a_flow_of_ipv6_is_read() {
        let ip = [attribute(3, &[1; 16]), attribute(4, &[2; 16])].concat();
        let tuple = [attribute(1, &ip), attribute(2, &attribute(1, &[58]))].concat();
        let bytes = [attribute(1, &tuple), attribute(2, &tuple)].concat();
        let flow = Flow::read(Attributes(&bytes)).unwrap();
        assert_eq!((flow.original.src, flow.original.dst), ([1; 16].into(), [2; 16].into()));
    }

    #[test]
    fn an_untranslated_ping_has_the_same_ends_both_ways() {
        let id = [0x12, 0x34];
        let original = tuple(1, [CLIENT, HOST], 1, &[(4, &id), (5, &[8]), (6, &[0])]);
        let reply = tuple(2, [HOST, CLIENT], 1, &[(4, &id), (5, &[0]), (6, &[0])]);
        assert!(!Flow::read(Attributes(&[original, reply].concat())).unwrap().is_translated());
    }

    fn packet(src: [u8; 4], dst: [u8; 4], protocol: Protocol, transport: Transport) -> Ip {
        Ip { src: src.into(), dst: dst.into(), protocol, ttl: 64, len: 60, fragment: None, transport }
    }

    #[test]
    fn packets_of_a_flow_have_its_ends_on_each_side_and_in_each_direction() {
        let flow = Flow::read(Attributes(&published())).unwrap();
        let tcp = |src, dst| {
            let tcp = crate::packet::Tcp {
                ports: Ports { src, dst },
                flags: crate::packet::TcpFlags(0),
                ..Default::default()
            };
            Transport::Tcp(tcp)
        };
        let ends = |src, dst, transport| Ends::of_packet(&packet(src, dst, Protocol::TCP, transport)).unwrap();
        let (outside, inside) = (flow.original.ends(), flow.reply.ends());
        assert_eq!(ends(CLIENT, HOST, tcp(40_000, 8080)), outside);
        assert_eq!(ends(HOST, CLIENT, tcp(8080, 40_000)), outside);
        assert_eq!(ends(CLIENT, SERVER, tcp(40_000, 80)), inside);
        assert_eq!(ends(SERVER, CLIENT, tcp(80, 40_000)), inside);
        assert_ne!(ends(SERVER, CLIENT, tcp(40_000, 80)), inside);
    }

    #[test]
    fn an_error_has_the_ends_of_what_it_is_about_and_a_later_fragment_none() {
        let ports = Ports { src: 40_000, dst: 8080 };
        let quoted = Quoted { src: CLIENT.into(), dst: HOST.into(), protocol: Protocol::TCP, ports };
        let icmp = crate::packet::Icmp { kind: 3, code: 1, id: 0, about: crate::packet::About::Quoted(quoted) };
        let error = packet([10, 0, 0, 254], CLIENT, Protocol::ICMP, Transport::Icmp(icmp));
        assert_eq!(Ends::of_packet(&error), Some(Flow::read(Attributes(&published())).unwrap().original.ends()));
        let fragment = Some(crate::packet::Fragment { id: 1, offset: 1480, len: 8, more: false });
        assert_eq!(Ends::of_packet(&Ip { fragment, ..error }), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(0_u8..12, 0..200)) {
            let _ = Flow::read(Attributes(&bytes));
        }

        #[test]
        fn no_change_to_a_flow_makes_the_reader_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let mut bytes = published();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = Flow::read(Attributes(&bytes));
        }
    }
}
