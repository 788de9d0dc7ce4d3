//! IP protocol numbers and their names (IANA "Assigned Internet Protocol Numbers").

use std::fmt;

/// An IP protocol number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Protocol(pub u8);

impl Protocol {
    /// IPv6 hop-by-hop options.
    pub const HOPOPT: Self = Self(0);
    /// Internet Control Message Protocol.
    pub const ICMP: Self = Self(1);
    /// Internet Group Management Protocol.
    pub const IGMP: Self = Self(2);
    /// Transmission Control Protocol.
    pub const TCP: Self = Self(6);
    /// User Datagram Protocol.
    pub const UDP: Self = Self(17);
    /// IPv6 routing header.
    pub const IPV6_ROUTE: Self = Self(43);
    /// IPv6 fragment header.
    pub const IPV6_FRAG: Self = Self(44);
    /// Encapsulating Security Payload.
    pub const ESP: Self = Self(50);
    /// Authentication Header.
    pub const AH: Self = Self(51);
    /// ICMP for IPv6.
    pub const ICMPV6: Self = Self(58);
    /// Nothing follows (IPv6).
    pub const IPV6_NONXT: Self = Self(59);
    /// IPv6 destination options.
    pub const IPV6_OPTS: Self = Self(60);
    /// Stream Control Transmission Protocol.
    pub const SCTP: Self = Self(132);
    /// UDP-Lite.
    pub const UDPLITE: Self = Self(136);

    /// The keyword of the IANA registry, one word of printable ASCII, with the usual short forms for the registry's
    /// `IPv6-ICMP`, `OSPFIGP` and `ISIS over IPv4`; `None` for a number without one.
    #[expect(clippy::too_many_lines, reason = "a line for each protocol of the registry")]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "HOPOPT",
            1 => "ICMP",
            2 => "IGMP",
            3 => "GGP",
            4 => "IPv4",
            5 => "ST",
            6 => "TCP",
            7 => "CBT",
            8 => "EGP",
            9 => "IGP",
            10 => "BBN-RCC-MON",
            11 => "NVP-II",
            12 => "PUP",
            13 => "ARGUS",
            14 => "EMCON",
            15 => "XNET",
            16 => "CHAOS",
            17 => "UDP",
            18 => "MUX",
            19 => "DCN-MEAS",
            20 => "HMP",
            21 => "PRM",
            22 => "XNS-IDP",
            23 => "TRUNK-1",
            24 => "TRUNK-2",
            25 => "LEAF-1",
            26 => "LEAF-2",
            27 => "RDP",
            28 => "IRTP",
            29 => "ISO-TP4",
            30 => "NETBLT",
            31 => "MFE-NSP",
            32 => "MERIT-INP",
            33 => "DCCP",
            34 => "3PC",
            35 => "IDPR",
            36 => "XTP",
            37 => "DDP",
            38 => "IDPR-CMTP",
            39 => "TP++",
            40 => "IL",
            41 => "IPv6",
            42 => "SDRP",
            43 => "IPv6-Route",
            44 => "IPv6-Frag",
            45 => "IDRP",
            46 => "RSVP",
            47 => "GRE",
            48 => "DSR",
            49 => "BNA",
            50 => "ESP",
            51 => "AH",
            52 => "I-NLSP",
            53 => "SWIPE",
            54 => "NARP",
            55 => "MOBILE",
            56 => "TLSP",
            57 => "SKIP",
            58 => "ICMPv6",
            59 => "IPv6-NoNxt",
            60 => "IPv6-Opts",
            62 => "CFTP",
            64 => "SAT-EXPAK",
            65 => "KRYPTOLAN",
            66 => "RVD",
            67 => "IPPC",
            69 => "SAT-MON",
            70 => "VISA",
            71 => "IPCV",
            72 => "CPNX",
            73 => "CPHB",
            74 => "WSN",
            75 => "PVP",
            76 => "BR-SAT-MON",
            77 => "SUN-ND",
            78 => "WB-MON",
            79 => "WB-EXPAK",
            80 => "ISO-IP",
            81 => "VMTP",
            82 => "SECURE-VMTP",
            83 => "VINES",
            84 => "IPTM",
            85 => "NSFNET-IGP",
            86 => "DGP",
            87 => "TCF",
            88 => "EIGRP",
            89 => "OSPF",
            90 => "Sprite-RPC",
            91 => "LARP",
            92 => "MTP",
            93 => "AX.25",
            94 => "IPIP",
            95 => "MICP",
            96 => "SCC-SP",
            97 => "ETHERIP",
            98 => "ENCAP",
            100 => "GMTP",
            101 => "IFMP",
            102 => "PNNI",
            103 => "PIM",
            104 => "ARIS",
            105 => "SCPS",
            106 => "QNX",
            107 => "A/N",
            108 => "IPComp",
            109 => "SNP",
            110 => "Compaq-Peer",
            111 => "IPX-in-IP",
            112 => "VRRP",
            113 => "PGM",
            115 => "L2TP",
            116 => "DDX",
            117 => "IATP",
            118 => "STP",
            119 => "SRP",
            120 => "UTI",
            121 => "SMP",
            122 => "SM",
            123 => "PTP",
            124 => "ISIS",
            125 => "FIRE",
            126 => "CRTP",
            127 => "CRUDP",
            128 => "SSCOPMCE",
            129 => "IPLT",
            130 => "SPS",
            131 => "PIPE",
            132 => "SCTP",
            133 => "FC",
            134 => "RSVP-E2E-IGNORE",
            135 => "Mobility-Header",
            136 => "UDPLite",
            137 => "MPLS-in-IP",
            138 => "MANET",
            139 => "HIP",
            140 => "Shim6",
            141 => "WESP",
            142 => "ROHC",
            143 => "Ethernet",
            144 => "AGGFRAG",
            145 => "NSH",
            146 => "Homa",
            147 => "BIT-EMU",
            _ => return None,
        })
    }

    /// The protocol of a name, in any case: one that [`name`](Self::name) gives, the registry's own keyword, or a
    /// name or alias of Debian's `/etc/protocols`.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = |protocol: &Self| protocol.name().is_some_and(|known| known.eq_ignore_ascii_case(name));
        let alias =
            || ALIASES.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name)).map(|&(_, protocol)| protocol);
        (0..=u8::MAX).map(Self).find(named).or_else(alias)
    }
}

/// Further names: of the registry, and of `/etc/protocols` as Debian's netbase has it.
const ALIASES: &[(&str, Protocol)] = &[
    ("ip", Protocol::HOPOPT),
    ("ipencap", Protocol(4)),
    ("ip-encap", Protocol(4)),
    ("ipsec-esp", Protocol::ESP),
    ("ipsec-ah", Protocol::AH),
    ("ipv6-icmp", Protocol::ICMPV6),
    ("icmp6", Protocol::ICMPV6),
    ("rspf", Protocol(73)),
    ("ospfigp", Protocol(89)),
    ("ipv6-mh", Protocol(135)),
    ("mobility", Protocol(135)),
    ("udp-lite", Protocol::UDPLITE),
];

/// The name, or `PROTO-253` for a number without one.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "PROTO-{}", self.0),
        }
    }
}

/// As [`Display`](fmt::Display).
impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::IpNumber;

    #[test]
    fn a_protocol_reads_as_its_name_or_its_number() {
        assert_eq!(Protocol::TCP.to_string(), "TCP");
        assert_eq!(Protocol(58).to_string(), "ICMPv6");
        assert_eq!(Protocol(253).to_string(), "PROTO-253");
        assert_eq!(format!("{:?}", Protocol(89)), "OSPF");
    }

    #[test]
    fn names_and_aliases_are_found_in_any_case() {
        for (name, number) in [
            ("tcp", 6),
            ("Tcp", 6),
            ("icmp", 1),
            ("ICMPV6", 58),
            ("ipv6-icmp", 58),
            ("icmp6", 58),
            ("ospf", 89),
            ("OSPFIGP", 89),
            ("ip", 0),
            ("hopopt", 0),
            ("ipip", 94),
            ("IP-ENCAP", 4),
            ("udplite", 136),
            ("ipv6-nonxt", 59),
            ("ax.25", 93),
        ] {
            assert_eq!(Protocol::from_name(name), Some(Protocol(number)), "{name}");
        }
        assert_eq!(Protocol::from_name("nonsense"), None);
        assert_eq!(Protocol::from_name(""), None);
    }

    #[test]
    fn each_name_leads_back_to_its_number() {
        for protocol in (0..=u8::MAX).map(Protocol) {
            if let Some(name) = protocol.name() {
                assert_eq!(Protocol::from_name(name), Some(protocol));
                assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
            }
        }
    }

    #[test]
    fn the_table_is_that_of_the_registry() {
        for number in 0..=144 {
            let Some(keyword) = IpNumber(number).keyword_str() else { continue };
            let keyword = match keyword.trim_end_matches(" (deprecated)") {
                "Mobility Header" => "Mobility-Header",
                "ISIS over IPv4" => "ISIS",
                keyword => keyword,
            };
            assert_eq!(Protocol::from_name(keyword), Some(Protocol(number)), "{keyword}");
        }
        for number in (61..=63).step_by(2).chain([68, 99, 114]).chain(148..=255) {
            assert_eq!(Protocol(number).name(), None);
        }
    }
}
