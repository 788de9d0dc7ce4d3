//! Forwarded packets between their coming in and their going out, so that each has one line.

use crate::packet::Ip;
use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hash, Hasher};

/// Packets that are remembered: what is on its way through a machine at a time is a few hundred. One that is forgotten
/// has a second line, which is better than one that has none.
const SLOTS: usize = 4096;

/// What came in and has not gone out yet, by a fingerprint.
#[derive(Debug)]
pub struct Passing {
    slots: Box<[u64]>,
    hasher: FixedState,
}

impl Default for Passing {
    fn default() -> Self {
        Self { slots: vec![0; SLOTS].into(), hasher: FixedState::default() }
    }
}

impl Passing {
    /// A packet came in that is to be forwarded.
    pub fn goes_in(&mut self, packet: &Ip) {
        let fingerprint = self.fingerprint(packet);
        if let Some(slot) = self.slot(fingerprint) {
            *slot = fingerprint;
        }
    }

    /// Whether a packet that goes out is one that came in, which it is only once.
    pub fn went_in(&mut self, packet: &Ip) -> bool {
        let fingerprint = self.fingerprint(packet);
        let slot = self.slot(fingerprint).filter(|slot| **slot == fingerprint);
        slot.map(|slot| *slot = 0).is_some()
    }

    fn slot(&mut self, fingerprint: u64) -> Option<&mut u64> {
        let place = usize::try_from(fingerprint % SLOTS as u64).ok()?;
        self.slots.get_mut(place)
    }

    /// What stays the same while a packet is forwarded. Its ends do as far as no translation is behind; then it is
    /// seen as two.
    fn fingerprint(&self, packet: &Ip) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        (packet.src, packet.dst, packet.protocol, packet.len).hash(&mut hasher);
        packet.fragment.map(|fragment| (fragment.id, fragment.offset)).hash(&mut hasher);
        hasher.finish().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Protocol, Transport};

    fn packet(len: u32) -> Ip {
        Ip {
            src: [192, 0, 2, 1].into(),
            dst: [198, 51, 100, 1].into(),
            protocol: Protocol::UDP,
            ttl: 64,
            len,
            fragment: None,
            transport: Transport::None,
        }
    }

    #[test]
    fn what_came_in_goes_out_once() {
        let mut passing = Passing::default();
        assert!(!passing.went_in(&packet(100)), "it never came in: it is ours, whatever its source says");
        passing.goes_in(&packet(100));
        assert!(!passing.went_in(&packet(101)));
        assert!(passing.went_in(&packet(100)));
        assert!(!passing.went_in(&packet(100)));
    }
}
