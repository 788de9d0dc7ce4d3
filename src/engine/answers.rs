//! Answers that a `reject` sends: each passes, whatever the rules say, and so each is awaited.
//!
//! The kernel ties them to the packet that they answer. Here it is remembered by a fingerprint until its answer comes,
//! which it does at once: a TCP reset of its ends, or an error that quotes it.

use super::decision::State;
use crate::packet::{Ip, Ports, Protocol, Quoted, TcpFlags, Transport};
use crate::time::Timestamp;
use foldhash::fast::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

/// Answers that are awaited at most. Each comes behind its packet; one that is forgotten is judged like any packet.
const SLOTS: usize = 256;
/// How long an answer is awaited: between the two is the kernel's way from rule to device.
const PATIENCE: Duration = Duration::from_secs(1);

/// ICMP "destination unreachable", which a `reject` answers with.
const UNREACHABLE_V4: u8 = 3;
/// The same in ICMPv6.
const UNREACHABLE_V6: u8 = 1;

/// What is awaited.
pub(super) struct Answers {
    slots: Box<[(u64, Timestamp)]>,
    hasher: RandomState,
}

impl Answers {
    /// Nothing is awaited.
    pub(super) fn new() -> Self {
        Self { slots: vec![(0, Timestamp::MIN); SLOTS].into(), hasher: RandomState::default() }
    }

    /// `packet` was rejected.
    ///
    /// TCP is answered with a reset, unless it is one. Of the rest only the answer to an opening packet always passes:
    /// one about a known connection is an error about that.
    pub(super) fn expect(&mut self, packet: &Ip, state: State, now: Timestamp) {
        let is_answered = match packet.transport {
            Transport::Tcp(tcp) => !tcp.flags.has(TcpFlags::RST),
            _ => state == State::New,
        };
        if is_answered {
            let fingerprint = self.fingerprint(packet.src, packet.dst, packet.protocol, marks(packet));
            if let Some(slot) = self.slot(fingerprint) {
                *slot = (fingerprint, now.plus(PATIENCE));
            }
        }
    }

    /// Whether `packet` is an answer that is awaited. Each comes once.
    pub(super) fn take(&mut self, packet: &Ip, now: Timestamp) -> bool {
        let fingerprint = match packet.transport {
            Transport::Tcp(tcp) if tcp.flags.has(TcpFlags::RST) => {
                let ports = Ports { src: tcp.ports.dst, dst: tcp.ports.src };
                self.fingerprint(packet.dst, packet.src, packet.protocol, ports)
            }
            Transport::Icmp(icmp) if icmp.kind == unreachable(packet.src) => match icmp.quoted {
                Some(Quoted { src, dst, protocol, ports }) if src == packet.dst && protocol != Protocol::TCP => {
                    self.fingerprint(src, dst, protocol, ports)
                }
                _ => return false,
            },
            _ => return false,
        };
        let awaited = self.slot(fingerprint).filter(|slot| slot.0 == fingerprint && slot.1 > now);
        awaited.map(|slot| slot.1 = Timestamp::MIN).is_some()
    }

    fn slot(&mut self, fingerprint: u64) -> Option<&mut (u64, Timestamp)> {
        let place = usize::try_from(fingerprint % SLOTS as u64).ok()?;
        self.slots.get_mut(place)
    }

    fn fingerprint(&self, src: IpAddr, dst: IpAddr, protocol: Protocol, ports: Ports) -> u64 {
        self.hasher.hash_one((src, dst, protocol, ports))
    }
}

const fn unreachable(of: IpAddr) -> u8 {
    match of {
        IpAddr::V4(_) => UNREACHABLE_V4,
        IpAddr::V6(_) => UNREACHABLE_V6,
    }
}

/// What stands for the ports where an error quotes the packet, see [`Quoted::ports`].
fn marks(packet: &Ip) -> Ports {
    match packet.transport {
        Transport::Tcp(tcp) => tcp.ports,
        Transport::Udp(ports) | Transport::Sctp(ports) => ports,
        Transport::Icmp(icmp) => Ports { src: icmp.id, dst: u16::from_be_bytes([icmp.kind, icmp.code]) },
        Transport::None => Ports { src: 0, dst: 0 },
    }
}
