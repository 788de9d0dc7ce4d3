//! IPv4 and IPv6: the words in which their tools differ.

use crate::packet::Protocol;

/// An address family, each with its own tables in the kernel and its own tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4: `iptables-restore`.
    V4,
    /// IPv6: `ip6tables-restore`.
    V6,
}

impl Family {
    /// Both, in the order in which they are given to the kernel: the one that is more often forgotten first.
    pub const BOTH: [Self; 2] = [Self::V6, Self::V4];

    /// `iptables` or `ip6tables`.
    pub(super) const fn tool(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }

    /// The family's own ICMP.
    pub(super) const fn icmp(self) -> Protocol {
        match self {
            Self::V4 => Protocol::ICMP,
            Self::V6 => Protocol::ICMPV6,
        }
    }

    /// Match module for ICMP types and its option.
    pub(super) const fn icmp_match(self) -> (&'static str, &'static str) {
        match self {
            Self::V4 => ("icmp", "--icmp-type"),
            Self::V6 => ("icmp6", "--icmpv6-type"),
        }
    }

    /// What REJECT answers to anything but TCP.
    pub(super) const fn unreachable(self) -> &'static str {
        match self {
            Self::V4 => "icmp-port-unreachable",
            Self::V6 => "icmp6-port-unreachable",
        }
    }

    /// The network that holds the unspecified address alone, which no packet that is to be filtered comes from.
    pub(super) const fn nobody(self) -> &'static str {
        match self {
            Self::V4 => "0.0.0.0/32",
            Self::V6 => "::/128",
        }
    }

    /// The first letters of the names of its sets.
    pub(super) const fn set_prefix(self) -> &'static str {
        match self {
            Self::V4 => "PFW4",
            Self::V6 => "PFW6",
        }
    }
}
