//! Who talks most: events -> peers, ports and protocols with what they sent and how much of it was blocked. Bounded:
//! where a table is full, the smaller half of it is given up, and counted.

use super::event::Event;
use crate::control::Kind;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

/// Rows of a table at most: far more than the busiest that a screen shows.
pub const MAX_ROWS: usize = 4_096;

/// What was seen of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that were blocked, or would have been.
    pub blocked: u64,
}

/// One table.
#[derive(Clone, Debug)]
pub struct Table<K> {
    rows: HashMap<K, Share>,
    /// Rows that were given up.
    forgotten: u64,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { rows: HashMap::new(), forgotten: 0 }
    }
}

impl<K: Clone + Eq + Hash + Ord> Table<K> {
    fn add(&mut self, key: K, share: Share) {
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&key) {
            self.shrink();
        }
        let row = self.rows.entry(key).or_default();
        row.packets += share.packets;
        row.bytes += share.bytes;
        row.blocked += share.blocked;
    }

    /// Gives up the smaller half.
    fn shrink(&mut self) {
        let mut rows: Vec<(K, Share)> = self.rows.drain().collect();
        rows.sort_by(|a, b| b.1.packets.cmp(&a.1.packets).then_with(|| a.0.cmp(&b.0)));
        self.forgotten += rows.drain(MAX_ROWS / 2..).count() as u64;
        self.rows = rows.into_iter().collect();
    }

    /// The busiest, the first first.
    pub fn busiest(&self) -> Vec<(K, Share)> {
        let mut rows: Vec<(K, Share)> = self.rows.iter().map(|(key, share)| (key.clone(), *share)).collect();
        rows.sort_by(|a, b| b.1.packets.cmp(&a.1.packets).then_with(|| a.0.cmp(&b.0)));
        rows
    }

    /// How many rows there are, and how many were given up.
    pub fn len(&self) -> (usize, u64) {
        (self.rows.len(), self.forgotten)
    }
}

/// A port of a service, with its protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// The port.
    pub port: u16,
    /// `tcp`, `udp`
    pub protocol: Box<str>,
}

impl std::fmt::Display for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol)
    }
}

/// All tables.
#[derive(Clone, Debug, Default)]
pub struct Talkers {
    /// By the other end's address.
    pub peers: Table<IpAddr>,
    /// By the service's port.
    pub ports: Table<Service>,
    /// By protocol.
    pub protocols: Table<Box<str>>,
    /// All packets that were seen.
    pub total: Share,
}

impl Talkers {
    /// How many rows a table has: peers, ports, protocols.
    pub fn rows(&self, table: usize) -> usize {
        match table {
            0 => self.peers.len().0,
            1 => self.ports.len().0,
            _ => self.protocols.len().0,
        }
    }

    /// Takes in an event, if it is about a packet that has a verdict.
    pub fn take(&mut self, event: &Event) {
        let blocked = match event.kind {
            Kind::Allowed => 0,
            Kind::Blocked | Kind::WouldBlock => 1,
            Kind::Suspicious | Kind::Lost | Kind::Pfw => return,
        };
        let share = Share { packets: 1, bytes: event.len, blocked };
        self.total.packets += 1;
        self.total.bytes += event.len;
        self.total.blocked += blocked;
        if let Some(peer) = event.peer() {
            self.peers.add(peer, share);
        }
        if let Some(port) = event.service() {
            self.ports.add(Service { port, protocol: event.protocol.to_lowercase().into() }, share);
        }
        self.protocols.add(event.protocol.clone(), share);
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::testing::packet;
    use super::*;

    #[test]
    fn shares_are_counted_by_peer_port_and_protocol() {
        let mut talkers = Talkers::default();
        for _ in 0..3 {
            talkers.take(&packet("blocked", "incoming", "TCP", "192.0.2.7#4000", "10.0.0.5#80", "block_ports:80"));
        }
        talkers.take(&packet("allowed", "outgoing", "UDP", "10.0.0.5#4000", "192.0.2.8#53", "default_policy"));
        talkers.take(&packet("allowed", "incoming", "UDP", "192.0.2.8#53", "10.0.0.5#4000", "reply"));
        let share = |packets, blocked| Share { packets, bytes: packets * 60, blocked };
        assert_eq!(talkers.total, share(5, 3));
        assert_eq!(
            talkers.peers.busiest(),
            [("192.0.2.7".parse().unwrap(), share(3, 3)), ("192.0.2.8".parse().unwrap(), share(2, 0))]
        );
        let ports: Vec<String> = talkers.ports.busiest().iter().map(|(port, _)| port.to_string()).collect();
        assert_eq!(ports, ["80/tcp", "53/udp"]);
        assert_eq!(talkers.protocols.busiest()[0].0, "TCP".into());
    }

    #[test]
    fn a_flood_of_strangers_is_bounded_and_the_busiest_stay() {
        let mut table = Table::default();
        let one = Share { packets: 1, bytes: 1, blocked: 0 };
        for _ in 0..10 {
            table.add(u32::MAX, one);
        }
        for stranger in 0..100_000_u32 {
            table.add(stranger, one);
        }
        let (rows, forgotten) = table.len();
        assert!(rows <= MAX_ROWS && rows as u64 + forgotten == 100_001);
        assert_eq!(table.busiest()[0], (u32::MAX, Share { packets: 10, bytes: 10, blocked: 0 }));
    }
}
