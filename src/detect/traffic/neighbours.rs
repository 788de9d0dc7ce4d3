//! What the neighbours in a network say of themselves: who has which hardware address, and who hands out addresses.

use crate::packet::HardwareAddress;
use crate::time::Timestamp;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Addresses whose station is remembered; a network of the largest usual size has as many. When it is full, who is
/// known stays.
const MOST: usize = 4096;
/// An address that was silent for longer may have been given to another station.
const REMEMBERED: Duration = Duration::from_mins(20);
/// Networks whose DHCP server is remembered.
const MOST_NETWORKS: usize = 64;
/// A server that was silent for longer is not there any more.
const SERVER_REMEMBERED: Duration = Duration::from_hours(24);

/// Who is who.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    stations: HashMap<(Network, IpAddr), Station, FixedState>,
    servers: HashMap<Network, (IpAddr, Timestamp), FixedState>,
}

/// A network, by the key of the interface that is in it: one address may be another station in each.
pub(super) type Network = u64;

#[derive(Clone, Copy, Debug)]
struct Station {
    mac: [u8; 6],
    last: Timestamp,
}

impl Neighbours {
    /// Takes in that a station says it has `address`. The hardware address that the same address had before, if it had
    /// another; `lasting` addresses are remembered however long they are silent.
    pub(super) fn hear(
        &mut self,
        network: Network,
        address: IpAddr,
        mac: [u8; 6],
        lasting: bool,
        now: Timestamp,
    ) -> Option<[u8; 6]> {
        if address.is_unspecified() || mac == [0; 6] || mac[0] & 1 == 1 {
            return None;
        }
        let heard = Station { mac, last: now };
        if let Some(known) = self.stations.get_mut(&(network, address)) {
            let before = std::mem::replace(known, heard);
            let recent = lasting || now.since(before.last) <= REMEMBERED;
            let on_purpose = [before.mac, mac].into_iter().any(|mac| HardwareAddress(mac).is_handed_over());
            return (before.mac != mac && recent && !on_purpose).then_some(before.mac);
        }
        if self.stations.len() >= MOST {
            self.stations.retain(|_, station| now.since(station.last) <= REMEMBERED);
        }
        if self.stations.len() < MOST {
            self.stations.insert((network, address), heard);
        }
        None
    }

    /// Takes in that `server` has handed out an address. The server that did it before, if it was another.
    pub(super) fn served(&mut self, network: Network, server: IpAddr, now: Timestamp) -> Option<IpAddr> {
        match self.servers.get_mut(&network) {
            Some((known, last)) if *known == server || now.since(*last) > SERVER_REMEMBERED => {
                (*known, *last) = (server, now);
                None
            }
            Some((known, _)) => Some(*known),
            None => {
                if self.servers.len() < MOST_NETWORKS {
                    self.servers.insert(network, (server, now));
                }
                None
            }
        }
    }

    /// Forgets who is in a network: it may be another one from now on.
    pub(super) fn forget(&mut self, network: Network) {
        self.stations.retain(|&(of, _), _| of != network);
        self.servers.remove(&network);
    }
}

/// A hardware address as people write it.
pub(super) fn written(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Network = 1;
    const ANOTHER: Network = 2;

    /// What is said of a station that says it has `sender`.
    fn hear(neighbours: &mut Neighbours, sender: [u8; 4], last: u8, lasting: bool, now: Timestamp) -> Option<[u8; 6]> {
        neighbours.hear(NETWORK, sender.into(), [2, 0, 0, 0, 0, last], lasting, now)
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_parts(minute * 60, 0)
    }

    #[test]
    fn an_address_that_changes_its_station_soon_is_told() {
        let mut neighbours = Neighbours::default();
        assert_eq!(hear(&mut neighbours, [10, 0, 0, 1], 1, false, at(0)), None);
        assert_eq!(hear(&mut neighbours, [10, 0, 0, 1], 1, false, at(1)), None);
        assert_eq!(hear(&mut neighbours, [10, 0, 0, 1], 2, false, at(2)), Some([2, 0, 0, 0, 0, 1]));
        assert_eq!(hear(&mut neighbours, [10, 0, 0, 1], 1, false, at(30)), None, "given to another station");
        assert_eq!(hear(&mut neighbours, [10, 0, 0, 1], 2, true, at(90)), Some([2, 0, 0, 0, 0, 1]));
        assert_eq!(hear(&mut neighbours, [0, 0, 0, 0], 1, false, at(90)), None, "a probe");
        let router = [0, 0, 0x5e, 0, 1, 7];
        assert_eq!(
            neighbours.hear(NETWORK, [10, 0, 0, 1].into(), router, false, at(91)),
            None,
            "handed over on purpose"
        );
    }

    #[test]
    fn a_flood_of_addresses_does_not_drive_out_who_is_known() {
        let mut neighbours = Neighbours::default();
        hear(&mut neighbours, [10, 0, 0, 1], 1, false, at(0));
        for n in 0..100_000_u32 {
            hear(&mut neighbours, n.to_be_bytes(), 7, false, at(1));
        }
        assert_eq!(neighbours.stations.len(), MOST);
        assert_eq!(hear(&mut neighbours, [10, 0, 0, 1], 2, false, at(2)), Some([2, 0, 0, 0, 0, 1]));
    }

    #[test]
    fn a_second_server_of_one_network_is_told() {
        let mut neighbours = Neighbours::default();
        let [one, other]: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "10.0.0.9".parse().unwrap()];
        assert_eq!(neighbours.served(NETWORK, one, at(0)), None);
        assert_eq!(neighbours.served(ANOTHER, other, at(0)), None);
        assert_eq!(neighbours.served(NETWORK, other, at(1)), Some(one));
        assert_eq!(neighbours.served(NETWORK, other, at(3000)), None, "the first is gone");
    }

    #[test]
    fn each_network_has_its_own_stations_and_one_that_is_left_is_forgotten() {
        let mut neighbours = Neighbours::default();
        let address: IpAddr = [10, 0, 0, 1].into();
        for (network, last) in [(NETWORK, 1), (ANOTHER, 2)] {
            assert_eq!(neighbours.hear(network, address, [2, 0, 0, 0, 0, last], true, at(0)), None);
            assert_eq!(neighbours.served(network, address, at(0)), None);
        }
        neighbours.forget(NETWORK);
        assert_eq!(neighbours.hear(NETWORK, address, [2, 0, 0, 0, 0, 9], true, at(1)), None);
        assert_eq!(neighbours.served(NETWORK, [10, 0, 0, 9].into(), at(1)), None);
        assert!(neighbours.hear(ANOTHER, address, [2, 0, 0, 0, 0, 9], true, at(1)).is_some());
    }
}
