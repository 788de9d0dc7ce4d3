//! `EtherTypes` (IEEE registration authority; Linux's own numbers below 0x0600 from `linux/if_ether.h`).

/// Stands for a type that nothing tells: of a frame too short to say it, or a link layer that has none.
pub const UNKNOWN: u16 = 0;
/// IPv4.
pub const IPV4: u16 = 0x0800;
/// ARP.
pub const ARP: u16 = 0x0806;
/// IPv6.
pub const IPV6: u16 = 0x86dd;
/// 802.1Q tag.
pub const VLAN: u16 = 0x8100;
/// 802.1ad service tag.
pub const SERVICE_VLAN: u16 = 0x88a8;
/// A service tag as it was before 802.1ad.
pub const OLD_SERVICE_VLAN: u16 = 0x9100;
/// Linux's number for a frame that begins with an LLC header (`ETH_P_802_2`).
pub const LINUX_LLC: u16 = 0x0004;
/// The smallest EtherType; a smaller number in an Ethernet header is the length of an 802.3 frame.
pub const MIN: u16 = 0x0600;

/// Whether a VLAN tag is behind this type.
pub const fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, VLAN | SERVICE_VLAN | OLD_SERVICE_VLAN)
}

/// The short name of a common EtherType (`-` for one that nothing tells), one word of printable ASCII.
pub const fn ethertype_name(ethertype: u16) -> Option<&'static str> {
    Some(match ethertype {
        UNKNOWN => "-",
        LINUX_LLC => "LLC",
        0x000c => "CAN",
        IPV4 => "IPv4",
        ARP => "ARP",
        0x0842 => "WOL",
        0x22ea => "SRP",
        0x22f0 => "AVTP",
        0x22f3 => "TRILL",
        0x6002 => "DEC-MOP",
        0x6003 => "DECnet",
        0x6558 => "TEB",
        0x8035 => "RARP",
        0x809b => "AppleTalk",
        0x80f3 => "AARP",
        VLAN => "802.1Q",
        0x8137 | 0x8138 => "IPX",
        IPV6 => "IPv6",
        0x8808 => "Flow-Control",
        0x8809 => "Slow-Protocols",
        0x880b => "PPP",
        0x8847 => "MPLS",
        0x8848 => "MPLS-Multicast",
        0x8863 => "PPPoE-Discovery",
        0x8864 => "PPPoE",
        0x886f => "NLB",
        0x887b => "HomePlug",
        0x888e => "EAPOL",
        0x8892 => "PROFINET",
        0x88a2 => "AoE",
        0x88a4 => "EtherCAT",
        SERVICE_VLAN => "802.1ad",
        0x88b5 | 0x88b6 => "Experimental",
        0x88b8 => "GOOSE",
        0x88ba => "SV",
        0x88c7 => "Preauth",
        0x88cc => "LLDP",
        0x88cd => "SERCOS",
        0x88e1 => "HomePlug-AV",
        0x88e3 => "MRP",
        0x88e5 => "MACsec",
        0x88e7 => "PBB",
        0x88f5 => "MVRP",
        0x88f6 => "MMRP",
        0x88f7 => "PTP",
        0x88fb => "PRP",
        0x8902 => "CFM",
        0x8906 => "FCoE",
        0x8914 => "FIP",
        0x8915 => "RoCE",
        0x891d => "TTE",
        0x892f => "HSR",
        0x893a => "IEEE1905",
        0x894f => "NSH",
        0x9000 => "Loopback",
        OLD_SERVICE_VLAN => "QinQ",
        0xcafe => "Veritas-LLT",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_types_have_a_name_of_one_word() {
        assert_eq!(ethertype_name(0x0806), Some("ARP"));
        assert_eq!(ethertype_name(0x88cc), Some("LLDP"));
        assert_eq!(ethertype_name(0x888e), Some("EAPOL"));
        assert_eq!(ethertype_name(0x1234), None);
        assert_eq!(ethertype_name(0), Some("-"), "a frame of fewer bytes than an Ethernet header says no type");
        for name in (0..=u16::MAX).filter_map(ethertype_name) {
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name}");
        }
    }
}
