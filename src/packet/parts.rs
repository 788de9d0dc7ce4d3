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

/// Runs that are remembered of a datagram: a datagram of 64 KiB has 46 fragments on Ethernet, which come backwards at worst.
/// One that has more is never whole.
const MAX_RUNS: usize = 64;

/// In which fragments are cut, in bytes (RFC 791 section 2.3).
const UNIT: u32 = 8;

/// How much of a datagram has been seen, as the kernel puts it together (`inet_frag_queue_insert`, `net/ipv4/inet_fragment.c`).
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// Where fragments that follow on each other begin and end, in bytes of payload, by offset. Only what goes on where all
    /// others end makes a run longer; else runs stay apart, though the one may end where the next begins.
    runs: Vec<(u32, u32)>,
    /// How many bytes of payload there are in all: the last fragment tells.
    of: Option<u32>,
    /// There were too many runs.
    beyond: bool,
    /// All of it has come: a fragment was the last that was missing.
    whole: bool,
}

/// What becomes of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It is a part of the datagram.
    Part,
    /// It has come before, or fits the datagram not, and is left out.
    LeftOut,
    /// The datagram is over with it, and what comes then is of another.
    Ends,
}

impl Parts {
    /// Counts a fragment, of IPv6 if `v6` says so.
    ///
    /// What lies within a run has come before, and is left out. What overlaps one else ends the datagram (RFC 5722). What
    /// contradicts the length that is known does so in IPv4, and is left out in IPv6 (`ip_frag_queue`,
    /// `net/ipv4/ip_fragment.c`; `nf_ct_frag6_queue`, `net/ipv6/netfilter/nf_conntrack_reasm.c`).
    pub fn count(&mut self, fragment: Fragment, v6: bool) -> Counted {
        let Fragment { offset, len, more, .. } = fragment;
        let end = offset.saturating_add(len);
        // Of one that others follow the kernel takes whole units.
        let end = if more { end / UNIT * UNIT } else { end };
        let reached = self.runs.last().map_or(0, |&(_, end)| end);
        let contradicts = self.of.is_some_and(|of| end > of || !more && end < of) || !more && end < reached;
        if contradicts && v6 {
            return Counted::LeftOut;
        }
        let counted = if contradicts || end <= offset { Counted::Ends } else { self.add(offset, end) };
        if counted == Counted::Ends {
            *self = Self::default();
            return counted;
        }
        if !more {
            self.of = Some(end);
        }
        if counted == Counted::Part {
            let seen: u32 = self.runs.iter().map(|(offset, end)| end - offset).sum();
            self.whole = !self.beyond && self.of == Some(seen);
        }
        counted
    }

    /// Puts a fragment to the runs.
    fn add(&mut self, offset: u32, end: u32) -> Counted {
        let place = self.runs.partition_point(|&(_, run_end)| run_end <= offset);
        if let Some(&(run, run_end)) = self.runs.get(place).filter(|&&(run, _)| run < end) {
            return if run <= offset && end <= run_end { Counted::LeftOut } else { Counted::Ends };
        }
        let is_full = self.runs.len() == MAX_RUNS;
        match self.runs.last_mut() {
            Some((_, last)) if *last == offset => *last = end,
            _ if is_full => self.beyond = true,
            _ => self.runs.insert(place, (offset, end)),
        }
        Counted::Part
    }

    /// Whether all of the datagram has been seen.
    pub const fn are_all(&self) -> bool {
        self.whole
    }

    /// How many bytes of payload there are in all, once the last fragment was seen.
    pub const fn of(&self) -> Option<u32> {
        self.of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn are_all(fragments: &[(u32, u32, bool)]) -> bool {
        let mut parts = Parts::default();
        for &(offset, len, more) in fragments {
            parts.count(Fragment { id: 1, offset, len, more }, false);
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
        assert!(!are_all(&[(0, 16, true), (24, 8, false), (8, 16, true), (16, 8, true)]), "nor is what comes then");
    }

    #[test]
    fn what_lies_within_what_followed_on_each_other_has_come_before() {
        let (first, middle, last) = ((0, 32, true), (32, 32, true), (64, 8, false));
        assert!(are_all(&[first, middle, (24, 16, true), last]), "in the run of both");
        assert!(!are_all(&[middle, first, (24, 16, true), last]), "which the one that came later is no part of");
        assert!(are_all(&[last, middle, first, (40, 8, true)]), "in one of them");
    }

    #[test]
    fn a_datagram_whose_length_is_contradicted_is_over() {
        let (first, last) = ((0, 16, true), (16, 8, false));
        assert!(!are_all(&[(16, 16, false), first, last]) && !are_all(&[first, last, (24, 8, true)]));
        assert!(are_all(&[(16, 16, false), last, first, last]), "what comes then begins another");
    }

    #[test]
    fn in_ipv6_what_contradicts_the_length_is_left_out() {
        let mut parts = Parts::default();
        let mut count = |offset, len, more| parts.count(Fragment { id: 1, offset, len, more }, true);
        assert_eq!(count(16, 8, false), Counted::Part);
        assert_eq!(count(24, 8, true), Counted::LeftOut);
        assert_eq!(count(0, 16, true), Counted::Part);
        assert!(parts.are_all());
    }

    #[test]
    fn what_comes_before_others_counts_in_whole_units_and_a_last_one_that_has_come_before_ends_nothing() {
        assert!(are_all(&[(0, 13, true), (8, 12, false)]));
        assert!(
            !are_all(&[(0, 32, true), (24, 8, false)]),
            "the kernel looks whether all is there with a new part alone"
        );
    }
}
