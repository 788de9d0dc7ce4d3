//! Forwarded packets between their coming in and their going out, so that each has one line at most.

use crate::packet::Ip;
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// Pairs of ends that are remembered in a bucket, the latest first.
const WAYS: usize = 4;
/// Buckets: what is on its way through a machine at a time is a few hundred packets, of fewer pairs. One that is
/// forgotten has a second line, which is better than one that has none.
const BUCKETS: usize = 1024;

/// The ends of packets that came in lately, by a fingerprint. A packet's length is no part of it: several that came
/// in can go out as one, and one as several.
#[derive(Debug)]
pub struct Passing {
    buckets: Box<[[u64; WAYS]]>,
    hasher: FixedState,
}

impl Default for Passing {
    fn default() -> Self {
        Self { buckets: vec![[0; WAYS]; BUCKETS].into(), hasher: FixedState::default() }
    }
}

impl Passing {
    /// A packet came in that is to be forwarded.
    pub fn goes_in(&mut self, packet: &Ip) {
        let fingerprint = self.fingerprint(packet);
        let Some(bucket) = self.bucket(fingerprint) else { return };
        let place = bucket.iter().position(|&known| known == fingerprint).unwrap_or(WAYS - 1);
        if let Some(older) = bucket.get_mut(..=place) {
            older.rotate_right(1);
        }
        if let Some(first) = bucket.first_mut() {
            *first = fingerprint;
        }
    }

    /// Whether a packet that goes out is one of those that came in.
    pub fn went_in(&mut self, packet: &Ip) -> bool {
        let fingerprint = self.fingerprint(packet);
        self.bucket(fingerprint).is_some_and(|bucket| bucket.contains(&fingerprint))
    }

    fn bucket(&mut self, fingerprint: u64) -> Option<&mut [u64; WAYS]> {
        let place = usize::try_from(fingerprint % BUCKETS as u64).ok()?;
        self.buckets.get_mut(place)
    }

    /// What stays the same while a packet is forwarded, as far as no translation is behind.
    fn fingerprint(&self, packet: &Ip) -> u64 {
        self.hasher.hash_one((packet.src, packet.dst, packet.protocol)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Protocol, Transport};

    fn packet(to: u32, len: u32) -> Ip {
        Ip {
            src: [192, 0, 2, 1].into(),
            dst: std::net::Ipv4Addr::from_bits(0xc633_6400 + to).into(),
            protocol: Protocol::UDP,
            ttl: 64,
            len,
            fragment: None,
            transport: Transport::None,
        }
    }

    #[test]
    fn what_goes_out_between_ends_that_came_in_came_in_too() {
        let mut passing = Passing::default();
        assert!(!passing.went_in(&packet(1, 100)), "it never came in: it is ours, whatever its source says");
        passing.goes_in(&packet(1, 3000));
        assert!(passing.went_in(&packet(1, 1500)) && passing.went_in(&packet(1, 1500)), "as two");
        assert!(!passing.went_in(&packet(2, 1500)));
    }

    #[test]
    fn what_came_in_together_is_known_together() {
        let mut passing = Passing::default();
        // As many as the kernel takes from a device before it hands on the first.
        (0..64).for_each(|to| passing.goes_in(&packet(to, 100)));
        assert!((0..64).all(|to| passing.went_in(&packet(to, 100))));
    }
}
