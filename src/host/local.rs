//! What routing takes in for this machine although no interface has it as its address: local routes to whole networks,
//! broadcast addresses of all interfaces, anycast addresses. The kernel is asked for its routes.

use super::ways::{DESTINATION, GET_ROUTE, HEADER, NEW_ROUTE};
use crate::netlink::{Message, Request, Socket};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The types of routes by which packets come to this machine, of groups apart.
const TYPES: [u8; 3] = [libc::RTN_LOCAL, libc::RTN_BROADCAST, libc::RTN_ANYCAST];

/// `RTA_TABLE` (`linux/rtnetlink.h`).
const TABLE: u16 = 15;

/// Whether packets to the broadcast address of another interface are passed on (where that is on for both).
const PASSES_BROADCASTS_ON: &str = "/proc/sys/net/ipv4/conf/all/bc_forwarding";

/// A set of addresses, made to be asked for each packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Local {
    /// Ranges, ends included, sorted and disjoint. Each is of one family; those of IPv4 are in front.
    ranges: Vec<(IpAddr, IpAddr)>,
}

impl Local {
    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let behind = self.ranges.partition_point(|&(first, _)| first <= address);
        let nearest = behind.checked_sub(1).and_then(|at| self.ranges.get(at));
        nearest.is_some_and(|&(_, last)| address <= last)
    }
}

impl FromIterator<(IpAddr, IpAddr)> for Local {
    fn from_iter<I: IntoIterator<Item = (IpAddr, IpAddr)>>(ranges: I) -> Self {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_unstable();
        ranges.dedup_by(|later, kept| {
            let joins = later.0 <= kept.1;
            if joins {
                kept.1 = kept.1.max(later.1);
            }
            joins
        });
        Self { ranges }
    }
}

/// What routing takes in now beside the addresses that are `own`.
pub(super) fn read(own: impl Fn(IpAddr) -> bool) -> Local {
    let Ok(mut socket) = Socket::open(libc::NETLINK_ROUTE, 0) else { return Local::default() };
    // A kernel that does not know this hands out all its routes, of which the others are left out below.
    let _ = socket.ask_for_the_named_alone();
    let mut ranges = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in TYPES {
            // What can't be read is no fact.
            let _ = socket.ask(question(family, kind), &mut |message| ranges.extend(range(&message)));
        }
    }
    ranges.into_iter().filter(|&(first, last)| first != last || !own(first)).collect()
}

/// Asks for all routes of a family and type.
fn question(family: i32, kind: u8) -> Request {
    // Families are small numbers.
    let family = u8::try_from(family).unwrap_or(0);
    Request::new(GET_ROUTE, libc::NLM_F_DUMP).body(&[family, 0, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0])
}

/// What a route takes in for this machine.
fn range(message: &Message<'_>) -> Option<(IpAddr, IpAddr)> {
    let (&[family, length, _, _, table, _, _, kind, ..], attributes) =
        message.split::<HEADER>().filter(|_| message.kind == NEW_ROUTE)?;
    let (mut destination, mut table) = (None, u32::from(table));
    for attribute in attributes {
        match attribute.kind {
            DESTINATION => destination = Some(attribute.payload),
            TABLE => table = attribute.u32().unwrap_or(table),
            _ => {}
        }
    }
    // One to everywhere in a table beside these is there for packets with a mark, which a transparent proxy takes.
    let is_for_all = length > 0 || [libc::RT_TABLE_LOCAL, libc::RT_TABLE_MAIN].map(u32::from).contains(&table);
    let takes_in = TYPES.contains(&kind) && (kind != libc::RTN_BROADCAST || !super::is_on(PASSES_BROADCASTS_ON));
    if !is_for_all || !takes_in {
        return None;
    }
    let length = u32::from(length);
    match i32::from(family) {
        libc::AF_INET => {
            let first = destination.map_or(Some(0), |bytes| Some(u32::from_be_bytes(*bytes.first_chunk()?)))?;
            let last = first | u32::MAX.checked_shr(length).unwrap_or(0);
            Some((Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(last).into()))
        }
        libc::AF_INET6 => {
            let first = destination.map_or(Some(0), |bytes| Some(u128::from_be_bytes(*bytes.first_chunk()?)))?;
            let last = first | u128::MAX.checked_shr(length).unwrap_or(0);
            Some((Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(last).into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_in_one_of_the_ranges_or_not() {
        let ranges =
            [("10.0.0.9", "10.0.0.20"), ("fd00::", "fd00::ff"), ("10.0.0.1", "10.0.0.9"), ("10.9.9.9", "10.9.9.9")];
        let local: Local = ranges.map(|(first, last)| (ip(first), ip(last))).into_iter().collect();
        assert_eq!(local.ranges.len(), 3, "{local:?}");
        for inside in ["10.0.0.1", "10.0.0.12", "10.0.0.20", "10.9.9.9", "fd00::", "fd00::ff"] {
            assert!(local.contains(ip(inside)), "{inside}");
        }
        for outside in ["0.0.0.0", "10.0.0.0", "10.0.0.21", "10.9.9.10", "::", "fd00::100", "255.255.255.255"] {
            assert!(!local.contains(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn this_machine_takes_in_the_whole_network_of_loopback() {
        let local = read(|_| false);
        assert!(local.contains(ip("127.0.0.1")) && local.contains(ip("127.9.8.7")), "{local:?}");
        assert!(!local.contains(ip("192.0.2.1")) && !local.contains(ip("2001:db8::1")));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_route_is_read_for_what_it_takes_in() {
        let route = |kind, length, table, attributes: &[u8]| {
            let payload = [&[2, length, 0, 0, table, 0, 0, kind, 0, 0, 0, 0], attributes].concat();
            range(&Message { kind: NEW_ROUTE, flags: 0, sequence: 1, payload: &payload })
        };
        let to = [8, 0, 1, 0, 10, 50, 0, 0];
        let network = Some((ip("10.50.0.0"), ip("10.50.0.255")));
        assert_eq!(route(libc::RTN_LOCAL, 24, 255, &to), network);
        assert_eq!(route(libc::RTN_LOCAL, 24, 100, &to), network);
        assert_eq!(route(libc::RTN_UNICAST, 24, 254, &to), None);
        assert_eq!(route(libc::RTN_LOCAL, 0, 255, &[]), Some((ip("0.0.0.0"), ip("255.255.255.255"))));
        assert_eq!(route(libc::RTN_LOCAL, 0, 100, &[]), None, "for what a transparent proxy has marked");
        assert_eq!(route(libc::RTN_LOCAL, 24, 255, &to[..6]), Some((ip("0.0.0.0"), ip("0.0.0.255"))));
    }
}
