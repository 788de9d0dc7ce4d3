//! How long the kernel lets entries live, as the administrator has it (`net.netfilter.nf_conntrack_*`).

use crate::host::connections::Phase;
use std::fs;

/// How long an entry lives after its last packet, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeouts {
    established: u32,
    fin_wait: u32,
    close_wait: u32,
    last_ack: u32,
    udp_stream: u32,
}

impl Timeouts {
    /// Reads them; the kernel's defaults stand for what can't be read.
    pub(super) fn read() -> Self {
        let read = |name: &str, default| {
            let text = fs::read_to_string(format!("/proc/sys/net/netfilter/nf_conntrack_{name}"));
            text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(default)
        };
        Self {
            established: read("tcp_timeout_established", 432_000),
            fin_wait: read("tcp_timeout_fin_wait", 120),
            close_wait: read("tcp_timeout_close_wait", 60),
            last_ack: read("tcp_timeout_last_ack", 30),
            udp_stream: read("udp_timeout_stream", 120),
        }
    }

    pub(super) const fn of(&self, phase: Phase) -> u32 {
        match phase {
            Phase::Established => self.established,
            Phase::FinWait => self.fin_wait,
            Phase::CloseWait => self.close_wait,
            Phase::LastAck => self.last_ack,
            Phase::Udp => self.udp_stream,
        }
    }
}
