//! Datagrams that come in fragments: what tells one from another, and how much of one has been seen, as the kernel puts
//! them together.

use super::{Fragment, Ip, Protocol};
use std::net::IpAddr;
use std::time::Duration;

/// How long the kernel waits for the rest of a datagram (`ipfrag_time`, `nf_conntrack_frag6_timeout`).
const TIMEOUT_V4: Duration = Duration::from_secs(30);
const TIMEOUT_V6: Duration = Duration::from_mins(1);

/// What tells the fragments of a datagram from those of others (RFC 791 section 3.2, RFC 8200 section 4.5: IPv6 has no
/// protocol in it, since the fragments may name different extension headers).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Datagram {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
    protocol: Option<Protocol>,
}

impl Datagram {
    /// The datagram that a packet is a fragment of.
    pub fn of(packet: &Ip) -> Option<Self> {
        packet.fragment.map(|fragment| Self::of_fragment(packet, fragment))
    }

    /// The same of one that is known to be a `fragment`.
    pub fn of_fragment(packet: &Ip, fragment: Fragment) -> Self {
        let protocol = packet.src.is_ipv4().then_some(packet.protocol);
        Self { src: packet.src, dst: packet.dst, id: fragment.id, protocol }
    }

    /// How long the kernel waits for the rest of it, from its first fragment on.
    pub const fn reassembly_timeout(&self) -> Duration {
        match self.src {
            IpAddr::V4(_) => TIMEOUT_V4,
            IpAddr::V6(_) => TIMEOUT_V6,
        }
    }
}

/// How much of a datagram has been seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// The sum of [`edge`] over the ends of all fragments, less that over their beginnings. Where none is missing and none
    /// overlaps another, each end but the last is the beginning of the next, and they cancel out.
    edges: u64,
    /// How many bytes of payload there are in all: the last fragment tells.
    of: Option<u32>,
    /// Which fragments were counted, by their offset: none counts twice.
    counted: u64,
}

impl Parts {
    /// Counts a fragment.
    pub fn count(&mut self, fragment: Fragment) {
        // Sixty-four fragments of one size have as many places: the size is odd in units of eight bytes on Ethernet.
        let place = 1_u64 << (fragment.offset / 8 % u64::BITS);
        if self.counted & place != 0 {
            return;
        }
        self.counted |= place;
        let end = fragment.offset.saturating_add(fragment.len);
        self.edges = self.edges.wrapping_add(edge(end)).wrapping_sub(edge(fragment.offset));
        if !fragment.more {
            self.of = Some(end);
        }
    }

    /// Whether all of the datagram has been seen, and nothing of it twice: the kernel discards what overlaps (RFC 5722).
    pub fn are_all(&self) -> bool {
        self.of.is_some_and(|of| self.edges == edge(of).wrapping_sub(edge(0)))
    }

    /// How many bytes of payload there are in all, once the last fragment was seen.
    pub const fn of(&self) -> Option<u32> {
        self.of
    }
}

/// A number for an offset. Sums of different ones are different but for chance: the last step of `SplitMix64`.
const fn edge(offset: u32) -> u64 {
    let mixed = (offset as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_all(fragments: &[(u32, u32, bool)]) -> bool {
        let mut parts = Parts::default();
        for &(offset, len, more) in fragments {
            parts.count(Fragment { id: 1, offset, len, more });
        }
        parts.are_all()
    }

    #[test]
    fn a_datagram_is_whole_when_all_its_fragments_were_seen_in_whatever_order_and_however_often() {
        let (first, middle, last) = ((0, 16, true), (16, 8, true), (24, 5, false));
        assert!(are_all(&[first, middle, last]) && are_all(&[last, first, middle]));
        assert!(are_all(&[first, first, last, middle, last]));
        assert!(!are_all(&[first, middle]) && !are_all(&[first, last]) && !are_all(&[middle, last]));
    }

    #[test]
    fn a_datagram_with_fragments_that_overlap_is_never_whole() {
        assert!(!are_all(&[(0, 16, true), (8, 16, true), (24, 8, false)]));
        // As many bytes as there should be, and a gap.
        assert!(!are_all(&[(0, 16, true), (8, 16, true), (32, 8, false)]));
    }
}
