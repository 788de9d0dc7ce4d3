//! Which of the packets that the tap sees are on their way through this machine.
//!
//! Addresses tell it where nothing translates them: what came in for another machine is forwarded, and what goes out
//! from another machine came in before. Of translated flows only conntrack knows: a packet for a published port of a
//! container bears this machine's address when it comes in, and one that was masqueraded when it goes out.

mod beginnings;
mod known;
#[cfg(test)]
mod tests;

use super::first_fragments::FirstFragments;
use super::own::FRAGMENTS;
use super::passing::Passing;
use super::remembered::Remembered;
use super::withheld::Seen;
use crate::conntrack::{Change, Ends, Flow};
use crate::host::Host;
use crate::packet::{Ip, Net, Packet, PacketType, Ports, Tcp, Transport};
use crate::time::Timestamp;
use beginnings::Beginnings;
use known::{Known, is_opening};
use std::net::IpAddr;
use std::time::Duration;

/// Ends of translated flows at most, two of each flow: those of 131,072 flows, half of what conntrack has room for on
/// a usual machine, in some 30 MB. Packets of a flow that finds no room have lines as if they were this machine's own.
const MAX_ENDS: usize = 1 << 18;

/// How exactly a report tells a time.
const STAMP: Duration = Duration::from_micros(1);

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

/// What is known of a translated flow by its ends on one side.
#[derive(Clone, Copy, Debug)]
struct Side {
    /// The ends that the other side sees.
    others: Ends,
    /// The flow as the rules see it.
    between: Opened,
    /// Who answers, as this side sees it.
    responder: (IpAddr, u16),
    /// This is the side of who opened it.
    is_openers: bool,
    /// When notice of it came.
    since: Timestamp,
}

/// The ends of a flow, and the address of who opened it: another flow of the same ends may go the other way.
type Opened = (Ends, IpAddr);

/// What is known of traffic on its way through.
#[derive(Debug)]
pub struct Forwarding {
    passing: Passing,
    /// Flows that began on their way through, and whose packets still leave.
    known: Known,
    /// The ends of its translated flows as either side sees them.
    translated: Remembered<Ends, Side>,
    /// Datagrams in fragments that are part of such a flow.
    datagrams: FirstFragments,
    /// When connections from and to this machine began, by their ends.
    own: Beginnings<Ends>,
    /// When flows on their way through began, as the rules see them.
    begun: Beginnings<Opened>,
}

impl Default for Forwarding {
    fn default() -> Self {
        let (own, begun) = (Beginnings::default(), Beginnings::default());
        Self {
            passing: Passing::default(),
            known: Known::default(),
            translated: Remembered::new(MAX_ENDS),
            datagrams: FirstFragments::default(),
            own,
            begun,
        }
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
            Change::Opened(flow) if passes(host, flow) => {
                let between = (flow.ends_between(), flow.original.src);
                for (ends, others, responder) in sides(flow) {
                    let is_openers = ends == flow.original.ends();
                    let side = Side { others, between, responder, is_openers, since: now };
                    self.translated.remember(ends, side, Timestamp::MAX, now);
                }
            }
            // It is led here: packets of one that passed may have borne its ends before.
            Change::Opened(flow) => self.known.ends(&flow.original.ends()),
            // One that this machine opens may bear the same ends before it is translated.
            Change::Closed(flow) => {
                for (ends, others, _) in sides(flow) {
                    if self.translated.get(&ends, Timestamp::MAX).is_some_and(|side| side.others == others) {
                        self.translated.end(&ends, now);
                    }
                }
            }
        }
    }

    /// Takes in which translated flows there are.
    pub fn changed_to(&mut self, host: &Host, flows: &[Flow], now: Timestamp) {
        self.translated.end_all(now);
        for flow in flows {
            self.change(host, &Change::Opened(*flow), now);
        }
    }

    /// Takes in that a packet left that had come in, or looks like it.
    pub fn leaves(&mut self, packet: &Packet, time: Timestamp) {
        if let Net::Ip(ip) = &packet.net
            && let Some(ends) = Ends::of_packet(ip)
        {
            self.known.leaves(&ends, time);
        }
    }

    /// Whether a packet that came in for an address of others is part of a flow that is known to be on its way through.
    /// Others may be led to this machine.
    pub fn is_known_to_pass(&self, packet: &Packet, time: Timestamp) -> bool {
        let Net::Ip(ip) = &packet.net else { return true };
        let is_known = |ends: Ends| self.known.has(ip, &ends, time) || self.translated.knows(&ends, time);
        Ends::of_packet(ip).is_some_and(is_known)
    }

    /// Whether a packet that looks like one from or to this machine is part of a translated flow on its way through.
    pub fn covers(&self, packet: &Ip, time: Timestamp) -> bool {
        if self.translated.is_empty() && self.datagrams.is_empty() {
            return false;
        }
        let with_its_datagram = || self.datagrams.get(packet, time).is_some();
        // A datagram opens a connection when all of it has come, and its report is as old as the last fragment.
        let opened = if packet.fragment.is_some() { time.plus(FRAGMENTS) } else { time };
        let in_its_flow = || Ends::of_packet(packet).is_some_and(|ends| self.goes_through(&ends, time, opened));
        with_its_datagram() || in_its_flow()
    }

    /// Whether what bears these ends at `time` is part of a translated flow. A connection of this machine may have had
    /// the same before the flow began, which is told at once with all that came meanwhile; what bears them has opened it, if
    /// it did, by `opened`.
    fn goes_through(&self, ends: &Ends, time: Timestamp, opened: Timestamp) -> bool {
        let Some(side) = self.translated.get(ends, time) else { return false };
        let Some(own) = self.own.of(ends, time).and_then(|own| own.latest(opened)) else { return true };
        // Another flow of the same ends may have followed, and have left with others: then the last beginning is its own.
        let followed = self.translated.get(&side.others, time).is_some_and(|successor| successor.others != *ends);
        let begun = self.begun.of(&side.between, time);
        let last = begun.filter(|_| followed).and_then(|begun| begun.latest(Timestamp::MAX));
        begun.and_then(|begun| begun.latest(time)).is_some_and(|latest| own < latest && Some(latest) != last)
    }

    /// Takes in that a packet opened a connection to this machine at `time`: a flow with its ends is over, although
    /// notice of that may come later.
    pub fn begins(&mut self, packet: &Ip, time: Timestamp) {
        let Some(ends) = Ends::of_packet(packet) else { return };
        self.own.add(ends, time);
        // One that has begun since is another, even if it is over by now.
        let is_another = self.translated.get(&ends, time).is_some_and(|side| time < side.since);
        if !is_another {
            self.translated.end(&ends, time.minus(STAMP));
        }
    }

    /// Whether a segment that came in opened a connection to this machine in the place of a flow that it looks like a part
    /// of. Who answers opens nothing in a flow: the kernel has taken the flow away for it, which has been told since.
    pub fn is_replaced_by(&self, packet: &Ip, time: Timestamp) -> bool {
        let Transport::Tcp(Tcp { ports, .. }) = packet.transport else { return false };
        let is_over = |ends: &Ends| !self.translated.knows(ends, Timestamp::MAX);
        let from_responder =
            |ends: &Ends| self.translated.get(ends, time).is_some_and(|side| side.responder == (packet.src, ports.src));
        is_opening(packet) && Ends::of_packet(packet).is_some_and(|ends| is_over(&ends) && from_responder(&ends))
    }

    /// Takes in that a packet began a flow on its way through.
    pub fn passes(&mut self, packet: &Ip, time: Timestamp) {
        if let Some(ends) = Ends::of_packet(packet) {
            self.begun.add((ends, packet.src), time);
            self.known.begins(&ends, time);
        }
    }

    /// Takes in that a packet is on its way through, and so is what remains of its datagram.
    pub fn entered(&mut self, packet: &Ip, time: Timestamp) {
        self.datagrams.remember(packet, (), time);
    }

    /// The ends by which the other side of a translation knows a packet.
    pub fn other_ends(&self, packet: &Ip, time: Timestamp) -> Option<Ends> {
        Some(self.translated.get(&Ends::of_packet(packet)?, time)?.others)
    }

    /// A packet that leaves with another source than it had in front of the translation.
    pub fn before_leaving(&self, packet: &Ip, time: Timestamp) -> Option<Ip> {
        let [one, other] = self.other_ends(packet, time)?.pair();
        let (src, port) = if other.0 == packet.dst { one } else { other };
        let transport = packet.transport.with_ports(|ports| Ports { src: port, ..ports });
        Some(Ip { src, transport, ..*packet })
    }

    /// Whether detection is to see a packet on its way through. Of a translated flow it sees what who opened it sees, in
    /// both directions: the other half of each would be of another connection.
    pub fn shows(&self, seen: &Seen) -> bool {
        let Net::Ip(ip) = &seen.packet.net else { return false };
        let side = Ends::of_packet(ip).and_then(|ends| self.translated.get(&ends, seen.time));
        side.is_none_or(|side| side.is_openers)
    }

    /// Ends of translated flows that found no room.
    pub fn forgotten(&self) -> u64 {
        self.translated.forgotten()
    }

    /// Datagrams in fragments that found no room: their later fragments have lines as if they were this machine's own.
    pub fn forgotten_datagrams(&self) -> u64 {
        self.datagrams.forgotten()
    }
}

/// Whether a packet that comes in can only be on its way through.
pub fn is_for_another(host: &Host, packet: &Packet) -> bool {
    matches!(&packet.net, Net::Ip(ip) if forwards(host, ip.dst))
}

/// Whether a packet that goes out can only be on its way through.
pub fn is_from_another(host: &Host, packet: &Packet) -> bool {
    matches!(&packet.net, Net::Ip(ip) if forwards(host, ip.src))
}

/// Whether a packet from or to `address` can only be on its way through: this machine forwards, and routing does not take
/// in what is sent to the address.
fn forwards(host: &Host, address: IpAddr) -> bool {
    host.forwards(address.is_ipv4()) && !address.is_multicast() && !host.takes_in(address)
}

/// Whether a flow goes through the machine: neither who opened it nor who answers is the machine itself.
fn passes(host: &Host, flow: &Flow) -> bool {
    !host.takes_in(flow.original.src) && !host.takes_in(flow.responder())
}

/// The ends of a flow as each side sees it, with those that the other sees, and who answers.
fn sides(flow: &Flow) -> [(Ends, Ends, (IpAddr, u16)); 2] {
    let (original, reply) = (&flow.original, &flow.reply);
    let (one, other) = (original.ends(), reply.ends());
    [(one, other, (original.dst, original.ports.dst)), (other, one, (reply.src, reply.ports.src))]
}
