//! `/proc/net/route` and `/proc/net/ipv6_route`: where packets to everywhere else go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Flags of a route (`linux/route.h`, `linux/ipv6_route.h`).
const UP: u32 = 0x0001;
const GATEWAY: u32 = 0x0002;
const REJECT: u32 = 0x0200;

/// The gateways of the default routes in `/proc/net/route`. Its columns: interface, destination, gateway, flags,
/// reference count, use, metric, mask; addresses as words of the machine's byte order. It shows the main table alone.
pub(super) fn default_gateways_v4(text: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let &[_, destination, gateway, flags, _, _, _, mask, ..] = fields.as_slice() else { return None };
        let everywhere = word(destination)? == [0; 4] && word(mask)? == [0; 4];
        (everywhere && leads_on(flags)).then(|| word(gateway)).flatten()
    };
    text.lines().filter_map(gateway).map(|gateway| IpAddr::V4(Ipv4Addr::from(gateway))).collect()
}

/// The gateways of the default routes in `/proc/net/ipv6_route`. Its columns: destination, its prefix length, source,
/// its prefix length, next hop, metric, reference count, use, flags, interface; numbers in network byte order.
pub(super) fn default_gateways_v6(text: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let &[_, "00", _, _, next_hop, _, _, _, flags, ..] = fields.as_slice() else { return None };
        leads_on(flags).then(|| u128::from_str_radix(next_hop, 16).ok()).flatten()
    };
    text.lines().filter_map(gateway).map(|gateway| IpAddr::V6(Ipv6Addr::from(gateway))).collect()
}

fn leads_on(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & (UP | GATEWAY | REJECT) == UP | GATEWAY)
}

/// Four bytes of an address, from a word that `/proc` prints as the machine's number.
fn word(digits: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_default_route_of_ipv4_has_a_gateway() {
        let text = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
eth1\t0000000A\t0201A8C0\t0003\t0\t0\t100\t000000FF\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0
tun1\t00000000\t0501A8C0\t0003\t0\t0\t50\t00000080\t0\t0\t0
";
        assert_eq!(default_gateways_v4(text), ["192.168.1.1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn the_default_route_of_ipv6_has_a_gateway() {
        let zero = "0".repeat(32);
        let text = format!(
            "20010db8000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 eth0
{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003 eth0
{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo
"
        );
        assert_eq!(default_gateways_v6(&text), ["fe80::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn what_is_no_route_gives_no_gateway() {
        for text in ["", "\n", "eth0 0 0", "eth0 x 0101A8C0 0003 0 0 0 00000000", "é 00 . . . . . . 3 lo"] {
            assert_eq!((default_gateways_v4(text), default_gateways_v6(text)), (vec![], vec![]), "{text}");
        }
    }
}
