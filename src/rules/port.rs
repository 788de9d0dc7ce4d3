//! Ports in rules: TCP and UDP ports, told apart.

use super::ranges::Ranges;

/// A set of TCP and UDP ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet {
    /// TCP ports.
    pub tcp: Ranges<u16>,
    /// UDP ports.
    pub udp: Ranges<u16>,
}
