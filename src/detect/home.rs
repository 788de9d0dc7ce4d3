//! The machine as detectors know it: its addresses and its gateways.

use crate::engine::Premises;
use crate::host::Own;
use std::net::IpAddr;

/// This machine's addresses and gateways, made to be asked for each packet.
#[derive(Debug, Default)]
pub(super) struct Home {
    /// Loopback apart.
    own: Own,
    gateways: Vec<IpAddr>,
}

impl Home {
    pub(super) fn new(premises: &Premises) -> Self {
        let own = premises.own.iter().copied().filter(|address| !address.is_loopback()).collect();
        Self { own, gateways: premises.gateways.clone() }
    }

    pub(super) fn add_gateways(&mut self, gateways: &[IpAddr]) {
        self.gateways.extend_from_slice(gateways);
    }

    /// Whether `address` is one of this machine's own, loopback apart.
    #[inline]
    pub(super) fn owns(&self, address: IpAddr) -> bool {
        self.own.contains(address)
    }

    /// The default gateways that are known.
    pub(super) fn gateways(&self) -> &[IpAddr] {
        &self.gateways
    }
}
