//! What can be wrong with the bytes of a packet, by name and with the numbers.
//!
//! The reasons themselves are in [`reason`](super::reason). A field that lies behind the end of a capture is unknown,
//! not wrong: reasons are given only for what the packet itself is too short for.

use super::reason::Reason;
use super::span::Span;
use crate::alert::Alert;
use crate::alert::Oddity;
use std::fmt;

/// What is wrong with a packet: a [`Reason`], the number that was found and the one it is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Malformed {
    reason: Reason,
    found: u32,
    bound: u32,
}

/// Bytes of the ports in front of a TCP or UDP header.
const PORTS: u32 = 4;

impl Malformed {
    pub(super) const fn new(reason: Reason, found: u32, bound: u32) -> Self {
        Self { reason, found, bound }
    }

    /// What is wrong, without the numbers.
    pub const fn reason(self) -> Reason {
        self.reason
    }

    /// The name for machines, which stays the same from version to version: `ipv4.header_length`.
    pub const fn name(self) -> &'static str {
        self.reason.name()
    }

    /// Whether the packet lacks what a rule for types or ports reads. iptables' matches drop such a packet and neither
    /// count nor report it (`hotdrop` in `linux/netfilter/x_tables.h`); where no rule does, the transport layer does.
    /// Of ICMP they read the whole header, of TCP and UDP the ports.
    pub const fn is_unreadable(self) -> bool {
        match self.reason {
            Reason::IcmpHeader | Reason::Icmpv6Header => true,
            Reason::TcpHeader | Reason::UdpHeader => self.found < PORTS,
            _ => false,
        }
    }

    /// Whether the header is cut off behind the ports. The transport layer discards such a packet.
    pub(super) const fn is_cut_behind_ports(self) -> bool {
        matches!(self.reason, Reason::TcpHeader | Reason::UdpHeader) && self.found >= PORTS
    }

    /// See [`Reason::discarded_by_kernel`].
    pub const fn discarded_by_kernel(self) -> bool {
        self.reason.discarded_by_kernel()
    }
}

/// `ipv4: header length 3 words, at least 5`
impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.layer())?;
        f.write_str(": ")?;
        self.reason.describe(self.found, self.bound, f)
    }
}

/// What was found wrong with a frame so far, and what is odd about it: the first thing of each stays.
#[derive(Default)]
pub(super) struct Faults {
    first: Option<Malformed>,
    /// The first that is one where the frame was sent, too.
    first_as_sent: Option<Malformed>,
    odd: Option<Oddity>,
}

impl Faults {
    /// Notes what is wrong, unless something was noted before.
    pub(super) fn note(&mut self, reason: Reason, found: impl Into<u32>, bound: impl Into<u32>) {
        let fault = Malformed::new(reason, found.into(), bound.into());
        self.first = self.first.or(Some(fault));
        self.first_as_sent = self.first_as_sent.or(Some(fault));
    }

    /// The same of what who sends the packet may have left to the network card to fill in. Who receives it so discards it.
    pub(super) fn note_if_received(&mut self, reason: Reason, found: impl Into<u32>, bound: impl Into<u32>) {
        self.first = self.first.or(Some(Malformed::new(reason, found.into(), bound.into())));
    }

    /// Notes `reason` if `span` is shorter on the wire than `needed` bytes. A span that only the capture cut short
    /// is not at fault.
    pub(super) fn require(&mut self, span: Span<'_>, needed: u32, reason: Reason) {
        if span.len() < needed {
            self.note(reason, span.len(), needed);
        }
    }

    /// Notes `reason` if something that says it has `size` bytes does not fit in `span` as it was on the wire.
    pub(super) fn fits(&mut self, size: u32, span: Span<'_>, reason: Reason) {
        if size > span.len() {
            self.note(reason, size, span.len());
        }
    }

    /// Notes what is odd, unless something was noted before.
    #[cold]
    pub(super) fn suspect(&mut self, alert: Alert, found: impl Into<u32>, bound: impl Into<u32>) {
        if self.odd.is_none() {
            self.odd = Some(Oddity { alert, found: found.into(), bound: bound.into() });
        }
    }

    /// The first odd thing that was noted.
    pub(super) const fn odd(&self) -> Option<Oddity> {
        self.odd
    }

    /// The first thing that was noted.
    pub(super) const fn first(&self) -> Option<Malformed> {
        self.first
    }

    /// The first that is wrong where the frame was sent, too.
    pub(super) const fn first_as_sent(&self) -> Option<Malformed> {
        self.first_as_sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_the_layer_and_the_numbers() {
        let header_length = Malformed::new(Reason::Ipv4HeaderLength, 3, 5);
        assert_eq!(header_length.to_string(), "ipv4: header length 3 words, at least 5");
        assert_eq!(header_length.name(), "ipv4.header_length");
        let checksum = Malformed::new(Reason::Ipv4Checksum, 0x12, 0xbeef);
        assert_eq!(checksum.to_string(), "ipv4: header checksum 0x0012, should be 0xbeef");
    }

    #[test]
    fn the_first_fault_stays() {
        let mut faults = Faults::default();
        faults.note(Reason::Ipv4TotalLength, 3_u32, 20_u32);
        faults.note(Reason::TcpDataOffset, 4_u8, 5_u8);
        assert_eq!(faults.first(), Some(Malformed::new(Reason::Ipv4TotalLength, 3, 20)));
    }

    #[test]
    fn a_span_that_the_capture_cut_is_not_at_fault() {
        let mut faults = Faults::default();
        faults.require(Span::new(&[0; 4], 20), 8, Reason::UdpHeader);
        assert_eq!(faults.first(), None);
        faults.require(Span::new(&[0; 4], 4), 8, Reason::UdpHeader);
        assert_eq!(faults.first(), Some(Malformed::new(Reason::UdpHeader, 4, 8)));
    }
}
