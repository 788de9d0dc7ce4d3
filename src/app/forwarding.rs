//! Which of the packets that the tap sees are on their way through this machine.
//!
//! Addresses tell it where nothing translates them: what came in for another machine is forwarded, and what goes out
//! from another machine came in before. Of translated flows only conntrack knows: a packet for a published port of a
//! container bears this machine's address when it comes in, and one that was masqueraded when it goes out.

use super::passing::Passing;
use super::remembered::Remembered;
use crate::conntrack::{Change, Ends, Flow};
use crate::host::Host;
use crate::packet::{Ip, Net, Packet, PacketType};
use crate::time::Timestamp;
use std::net::IpAddr;
use std::time::Duration;

/// Ends of translated flows at most, two of each flow: those of 131,072 flows, half of what conntrack has room for on
/// a usual machine, in some 30 MB. Packets of a flow that finds no room have lines as if they were this machine's own.
const MAX_ENDS: usize = 1 << 18;

/// Datagrams in fragments that are remembered after their first fragment.
const MAX_DATAGRAMS: usize = 1 << 12;

/// How long the fragments of a datagram may be apart.
const REASSEMBLY: Duration = Duration::from_secs(1);

/// Which way a packet goes, as far as the tap can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// To this machine, unless it is part of a translated flow.
    In,
    /// From this machine, unless it is part of a translated flow.
    Out,
    /// It comes in on its way through.
    Entering,
    /// It goes out, and was seen coming in.
    Leaving,
}

/// What tells a datagram's fragments from those of others.
type Datagram = (IpAddr, IpAddr, u32);

/// What is known of traffic on its way through.
#[derive(Debug)]
pub struct Forwarding {
    passing: Passing,
    /// The ends of its translated flows, as either side sees them.
    translated: Remembered<Ends>,
    /// Datagrams in fragments that are part of such a flow.
    datagrams: Remembered<Datagram>,
}

impl Default for Forwarding {
    fn default() -> Self {
        let (translated, datagrams) = (Remembered::new(MAX_ENDS), Remembered::new(MAX_DATAGRAMS));
        Self { passing: Passing::default(), translated, datagrams }
    }
}

impl Forwarding {
    /// The course of a packet on a machine, by the kernel's packet type and by its addresses.
    pub fn course(&mut self, host: &Host, kind: Option<PacketType>, packet: &Packet) -> Course {
        let outgoing = kind == Some(PacketType::Outgoing);
        // What came to many stations at once is for this one too.
        let to_one = kind == Some(PacketType::Host);
        match &packet.net {
            Net::Ip(ip) if outgoing && forwards(host, ip.src) && self.passing.went_in(ip) => Course::Leaving,
            Net::Ip(ip) if to_one && forwards(host, ip.dst) => {
                self.passing.goes_in(ip);
                Course::Entering
            }
            _ if outgoing => Course::Out,
            _ => Course::In,
        }
    }

    /// Takes in what became of a translated flow.
    pub fn change(&mut self, host: &Host, change: &Change, now: Timestamp) {
        match change {
            Change::Opened(flow) if passes(host, flow) => self.know(flow, Timestamp::MAX, now),
            Change::Opened(_) => {}
            Change::Closed(flow) => flow.both_ends().iter().for_each(|ends| self.translated.end(ends, now)),
        }
    }

    /// Takes in which translated flows there are.
    pub fn changed_to(&mut self, host: &Host, flows: &[Flow], now: Timestamp) {
        self.translated.end_all(now);
        flows.iter().for_each(|flow| self.change(host, &Change::Opened(*flow), now));
    }

    /// Takes in that a packet of `flow` was on its way through until `time`. If it goes no farther, nothing else tells.
    pub fn reported(&mut self, flow: &Flow, time: Timestamp, now: Timestamp) {
        if flow.is_translated() {
            self.know(flow, time, now);
        }
    }

    fn know(&mut self, flow: &Flow, until: Timestamp, now: Timestamp) {
        flow.both_ends().into_iter().for_each(|ends| self.translated.remember(ends, until, now));
    }

    /// Whether a packet that looks like one from or to this machine is part of a translated flow on its way through.
    pub fn covers(&mut self, packet: &Ip, time: Timestamp) -> bool {
        if self.translated.is_empty() {
            return false;
        }
        let datagram = packet.fragment.map(|fragment| (packet.src, packet.dst, fragment.id));
        let Some(ends) = Ends::of_packet(packet) else {
            return datagram.is_some_and(|datagram| self.datagrams.knows(&datagram, time));
        };
        let covered = self.translated.knows(&ends, time);
        if let Some(datagram) = datagram.filter(|_| covered) {
            self.datagrams.remember(datagram, time.plus(REASSEMBLY), time);
        }
        covered
    }

    /// Ends of translated flows that found no room.
    pub fn forgotten(&self) -> u64 {
        self.translated.forgotten()
    }
}

/// Whether a packet from or to `address` can only be on its way through: this machine forwards, and the address is not
/// its own.
fn forwards(host: &Host, address: IpAddr) -> bool {
    host.forwards(address.is_ipv4()) && !address.is_multicast() && !host.owns(address)
}

/// Whether a flow goes through the machine: neither who opened it nor who answers is the machine itself.
fn passes(host: &Host, flow: &Flow) -> bool {
    !host.owns(flow.original.src) && !host.owns(flow.responder())
}
