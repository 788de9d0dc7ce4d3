//! What the first fragments of datagrams told, for the later ones: these have no ports.

use super::remembered::Remembered;
use crate::packet::{Datagram, Ip};
use crate::time::Timestamp;
use std::time::Duration;

/// Datagrams that are remembered. Later fragments of one that finds no room are taken for what they look like.
pub const MAX_DATAGRAMS: usize = 1 << 12;

/// How long the fragments of a datagram may be apart.
const REASSEMBLY: Duration = Duration::from_secs(1);

/// What was told of each datagram.
#[derive(Debug)]
pub struct FirstFragments<T = ()>(Remembered<Datagram, T>);

impl<T> Default for FirstFragments<T> {
    fn default() -> Self {
        Self(Remembered::new(MAX_DATAGRAMS))
    }
}

impl<T> FirstFragments<T> {
    /// Takes in what is known of a packet, for the rest of its datagram if it is a fragment of one.
    pub fn remember(&mut self, packet: &Ip, about: T, time: Timestamp) {
        if let Some(datagram) = Datagram::of(packet) {
            self.0.remember(datagram, about, time.plus(REASSEMBLY), time);
        }
    }

    /// What is known of the datagram that a packet is a fragment of.
    pub fn get(&self, packet: &Ip, time: Timestamp) -> Option<&T> {
        self.0.get(&Datagram::of(packet)?, time)
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many found no room.
    pub fn forgotten(&self) -> u64 {
        self.0.forgotten()
    }
}
