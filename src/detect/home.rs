//! The machine as detectors know it: its addresses and its gateways.

use crate::engine::Premises;
use std::net::IpAddr;

/// This machine's addresses and gateways, made to be asked for each packet.
#[derive(Debug, Default)]
pub(super) struct Home {
    own: Vec<IpAddr>,
    gateways: Vec<IpAddr>,
    /// A bit for each value that the last six bits of an own address have: most others are told apart by it alone.
    endings: u64,
}

impl Home {
    pub(super) fn new(premises: &Premises) -> Self {
        let own: Vec<_> = premises.own.iter().copied().filter(|address| !address.is_loopback()).collect();
        let endings = own.iter().fold(0, |endings, &address| endings | ending(address));
        Self { own, gateways: premises.gateways.clone(), endings }
    }

    /// Whether `address` is one of this machine's own, loopback apart.
    #[inline]
    pub(super) fn owns(&self, address: IpAddr) -> bool {
        self.endings & ending(address) != 0 && self.own.contains(&address)
    }

    /// The default gateways that are known.
    pub(super) fn gateways(&self) -> &[IpAddr] {
        &self.gateways
    }
}

#[inline]
fn ending(address: IpAddr) -> u64 {
    let last = match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(v6) => v6.octets()[15],
    };
    1 << (last & 0x3f)
}
