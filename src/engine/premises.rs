//! What detectors take for granted: the thresholds of a rule set, and the machine that it was compiled for. It comes
//! with the rules, so that both change at once.

use crate::alert::Settings;
use crate::host::Host;
use crate::rules::Ruleset;
use std::net::IpAddr;

/// Thresholds and machine.
#[derive(Clone, Debug, Default)]
pub struct Premises {
    /// The thresholds.
    pub settings: Settings,
    /// This machine's addresses, loopback included.
    pub own: Vec<IpAddr>,
    /// Its default gateways; none where nobody knows.
    pub gateways: Vec<IpAddr>,
}

impl Premises {
    pub(super) fn new(rules: &Ruleset, host: &Host) -> Self {
        let own = host.addresses.iter().map(|&(address, _)| address).collect();
        Self { settings: rules.detect.clone(), own, gateways: host.gateways.clone() }
    }
}
