//! Which of the packets that the tap sees are on their way through this machine.
//!
//! Addresses tell it where nothing translates them: what came in for another machine is forwarded, and what goes out
//! from another machine came in before. Of translated flows only conntrack knows: a packet for a published port of a
//! container bears this machine's address when it comes in, and one that was masqueraded when it goes out.

use super::passing::Passing;
use super::remembered::Remembered;
use super::withheld::Seen;
use crate::conntrack::{Change, Ends, Flow};
use crate::host::Host;
use crate::packet::{Ip, Net, Packet, PacketType, Tcp, TcpFlags, Transport};
use crate::time::Timestamp;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

/// Ends of translated flows at most, two of each flow: those of 131,072 flows, half of what conntrack has room for on
/// a usual machine, in some 30 MB. Packets of a flow that finds no room have lines as if they were this machine's own.
const MAX_ENDS: usize = 1 << 18;

/// Datagrams in fragments that are remembered after their first fragment.
const MAX_DATAGRAMS: usize = 1 << 12;

/// Beginnings of connections and flows that are remembered, of each. A packet of one that is forgotten goes by what was
/// told last.
const MAX_BEGINNINGS: usize = 1 << 12;

/// Beginnings that are remembered of the same ends: more than a host that is refused again and again makes while packets
/// wait. Packets of one that is forgotten go by what was told last, too.
const SAME_ENDS: usize = 16;

/// How long a beginning is of use: packets wait no longer than that until they are told apart.
const BEGINNING: Duration = Duration::from_secs(1);

/// How exactly a report tells a time.
const STAMP: Duration = Duration::from_micros(1);

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

/// What tells a datagram's fragments from those of others.
type Datagram = (IpAddr, IpAddr, u32);

/// What is known of traffic on its way through.
#[derive(Debug)]
pub struct Forwarding {
    passing: Passing,
    /// The ends of its translated flows as either side sees them.
    translated: Remembered<Ends, Side>,
    /// Datagrams in fragments that are part of such a flow.
    datagrams: Remembered<Datagram>,
    /// When connections from and to this machine began, by their ends.
    own: Remembered<Ends, Beginnings>,
    /// When flows on their way through began, as the rules see them.
    begun: Remembered<Opened, Beginnings>,
}

/// When several of the same ends began: one may follow on another before packets of the first are told apart.
#[derive(Clone, Copy, Debug, Default)]
struct Beginnings([Option<Timestamp>; SAME_ENDS]);

impl Beginnings {
    /// With another one, of which the oldest may be forgotten.
    fn and(mut self, time: Timestamp) -> Self {
        self.0.rotate_left(1);
        if let Some(last) = self.0.last_mut() {
            *last = Some(time);
        }
        self
    }

    /// The latest that is not later than `time`.
    fn latest(&self, time: Timestamp) -> Option<Timestamp> {
        self.0.iter().flatten().copied().filter(|&one| one <= time).max()
    }
}

impl Default for Forwarding {
    fn default() -> Self {
        let (translated, datagrams) = (Remembered::new(MAX_ENDS), Remembered::new(MAX_DATAGRAMS));
        let (own, begun) = (Remembered::new(MAX_BEGINNINGS), Remembered::new(MAX_BEGINNINGS));
        Self { passing: Passing::default(), translated, datagrams, own, begun }
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
            Change::Opened(_) => {}
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

    /// Whether a packet that looks like one from or to this machine is part of a translated flow on its way through.
    pub fn covers(&self, packet: &Ip, time: Timestamp) -> bool {
        if self.translated.is_empty() && self.datagrams.is_empty() {
            return false;
        }
        let with_its_datagram = || datagram(packet).is_some_and(|datagram| self.datagrams.knows(&datagram, time));
        let in_its_flow = || Ends::of_packet(packet).is_some_and(|ends| self.goes_through(&ends, time));
        with_its_datagram() || in_its_flow()
    }

    /// Whether what bears these ends at `time` is part of a translated flow. A connection of this machine may have had
    /// the same before the flow began, which is told at once with all that came meanwhile.
    fn goes_through(&self, ends: &Ends, time: Timestamp) -> bool {
        let Some(side) = self.translated.get(ends, time) else { return false };
        let Some(own) = self.own.get(ends, time).and_then(|own| own.latest(time)) else { return true };
        // Another flow of the same ends may have followed, and have left with others: then the last beginning is its own.
        let followed = self.translated.get(&side.others, time).is_some_and(|successor| successor.others != *ends);
        let begun = self.begun.get(&side.between, time);
        let last = begun.filter(|_| followed).and_then(|begun| begun.latest(Timestamp::MAX));
        begun.and_then(|begun| begun.latest(time)).is_some_and(|latest| own < latest && Some(latest) != last)
    }

    /// Takes in that a packet opened a connection to this machine at `time`: a flow with its ends is over, although
    /// notice of that may come later.
    pub fn begins(&mut self, packet: &Ip, time: Timestamp) {
        let Some(ends) = Ends::of_packet(packet) else { return };
        remember(&mut self.own, ends, time);
        // One that has begun since is another, even if it is over by now.
        let is_another = self.translated.get(&ends, time).is_some_and(|side| time < side.since);
        if !is_another {
            self.translated.end(&ends, time.minus(STAMP));
        }
    }

    /// Whether a segment that came in opened a connection to this machine in the place of a flow that it looks like a part
    /// of. Who answers opens nothing in a flow: the kernel has taken the flow away for it, which has been told since.
    pub fn is_replaced_by(&self, packet: &Ip, time: Timestamp) -> bool {
        let Transport::Tcp(Tcp { ports, flags, .. }) = packet.transport else { return false };
        let opens = flags.0 & (TcpFlags::SYN | TcpFlags::ACK | TcpFlags::RST | TcpFlags::FIN) == TcpFlags::SYN;
        let is_over = |ends: &Ends| !self.translated.knows(ends, Timestamp::MAX);
        let from_responder =
            |ends: &Ends| self.translated.get(ends, time).is_some_and(|side| side.responder == (packet.src, ports.src));
        opens && Ends::of_packet(packet).is_some_and(|ends| is_over(&ends) && from_responder(&ends))
    }

    /// Takes in that a packet began a flow on its way through.
    pub fn passes(&mut self, packet: &Ip, time: Timestamp) {
        if let Some(ends) = Ends::of_packet(packet) {
            remember(&mut self.begun, (ends, packet.src), time);
        }
    }

    /// Takes in that a packet is on its way through, and so is what remains of its datagram.
    pub fn entered(&mut self, packet: &Ip, time: Timestamp) {
        if let Some(datagram) = datagram(packet) {
            self.datagrams.remember(datagram, (), time.plus(REASSEMBLY), time);
        }
    }

    /// The ends by which the other side of a translation knows a packet.
    pub fn other_ends(&self, packet: &Ip, time: Timestamp) -> Option<Ends> {
        Some(self.translated.get(&Ends::of_packet(packet)?, time)?.others)
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
}

/// Remembers when something of these ends began.
fn remember<K: Copy + Eq + Hash>(beginnings: &mut Remembered<K, Beginnings>, key: K, time: Timestamp) {
    let before = beginnings.get(&key, time).copied().unwrap_or_default();
    beginnings.remember(key, before.and(time), time.plus(BEGINNING), time);
}

/// Whether a packet that comes in can only be on its way through.
pub fn is_for_another(host: &Host, packet: &Packet) -> bool {
    matches!(&packet.net, Net::Ip(ip) if forwards(host, ip.dst))
}

/// Whether a packet that goes out can only be on its way through.
pub fn is_from_another(host: &Host, packet: &Packet) -> bool {
    matches!(&packet.net, Net::Ip(ip) if forwards(host, ip.src))
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

fn datagram(packet: &Ip) -> Option<Datagram> {
    packet.fragment.map(|fragment| (packet.src, packet.dst, fragment.id))
}

/// The ends of a flow as each side sees it, with those that the other sees, and who answers.
fn sides(flow: &Flow) -> [(Ends, Ends, (IpAddr, u16)); 2] {
    let (original, reply) = (&flow.original, &flow.reply);
    let (one, other) = (original.ends(), reply.ends());
    [(one, other, (original.dst, original.ports.dst)), (other, one, (reply.src, reply.ports.src))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conntrack::Tuple;
    use crate::packet::{Fragment, Ports, Protocol};

    const CLIENT: [u8; 4] = [203, 0, 113, 9];
    const HOST: [u8; 4] = [198, 51, 100, 1];
    const SERVER: [u8; 4] = [172, 17, 0, 2];

    fn host() -> Host {
        Host { addresses: vec![(HOST.into(), 24)], forwards_v4: true, ..Host::default() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_parts(1_800_000_000 + seconds, 0)
    }

    fn tuple(src: [u8; 4], dst: [u8; 4], ports: (u16, u16)) -> Tuple {
        let ports = Ports { src: ports.0, dst: ports.1 };
        Tuple { src: src.into(), dst: dst.into(), protocol: Protocol::UDP, ports }
    }

    fn udp(src: [u8; 4], dst: [u8; 4], ports: (u16, u16)) -> Ip {
        let Tuple { src, dst, protocol, ports } = tuple(src, dst, ports);
        Ip { src, dst, protocol, ttl: 64, len: 100, fragment: None, transport: Transport::Udp(ports) }
    }

    /// A flow to a port of the host that leads to the server.
    fn published() -> Flow {
        Flow { original: tuple(CLIENT, HOST, (4000, 8080)), reply: tuple(SERVER, CLIENT, (80, 4000)) }
    }

    #[test]
    fn packets_of_a_translated_flow_are_known_while_it_is_there() {
        let mut forwarding = Forwarding::default();
        let packet = udp(CLIENT, HOST, (4000, 8080));
        assert!(!forwarding.covers(&packet, at(0)));
        forwarding.change(&host(), &Change::Opened(published()), at(1));
        assert!(forwarding.covers(&packet, at(5)) && forwarding.covers(&udp(HOST, CLIENT, (8080, 4000)), at(5)));
        assert!(!forwarding.covers(&udp(CLIENT, HOST, (4000, 22)), at(5)), "another flow");
        let other = forwarding.other_ends(&udp(SERVER, CLIENT, (80, 4000)), at(5));
        assert_eq!(other, Some(published().original.ends()));
        forwarding.change(&host(), &Change::Closed(published()), at(9));
        assert!(forwarding.covers(&packet, at(9)), "it was seen before");
        assert!(!forwarding.covers(&packet, at(10)));
    }

    #[test]
    fn what_was_missed_is_put_right_by_a_list() {
        let mut forwarding = Forwarding::default();
        forwarding.change(&host(), &Change::Opened(published()), at(1));
        let other = Flow { original: tuple(CLIENT, HOST, (4001, 8080)), reply: tuple(SERVER, CLIENT, (80, 4001)) };
        forwarding.changed_to(&host(), &[other], at(2));
        assert!(!forwarding.covers(&udp(CLIENT, HOST, (4000, 8080)), at(3)));
        assert!(forwarding.covers(&udp(CLIENT, HOST, (4001, 8080)), at(3)));
    }

    #[test]
    fn a_translated_flow_that_begins_or_ends_here_does_not_pass_through() {
        let redirected = Flow { original: tuple(CLIENT, HOST, (4000, 80)), reply: tuple(HOST, CLIENT, (8080, 4000)) };
        let masqueraded = Flow { original: tuple(HOST, CLIENT, (5000, 53)), reply: tuple(CLIENT, HOST, (53, 6000)) };
        let mut forwarding = Forwarding::default();
        for flow in [redirected, masqueraded] {
            forwarding.change(&host(), &Change::Opened(flow), at(1));
        }
        assert!(!forwarding.covers(&udp(CLIENT, HOST, (4000, 80)), at(2)));
        assert!(!forwarding.covers(&udp(HOST, CLIENT, (6000, 53)), at(2)));
    }

    #[test]
    fn where_a_connection_to_this_machine_begins_a_flow_is_over() {
        let mut forwarding = Forwarding::default();
        let packet = udp(CLIENT, HOST, (4000, 8080));
        forwarding.change(&host(), &Change::Opened(published()), at(1));
        forwarding.begins(&packet, at(3));
        assert!(forwarding.covers(&packet, at(2)) && !forwarding.covers(&packet, at(3)));
        forwarding.change(&host(), &Change::Closed(published()), at(4));
        assert!(!forwarding.covers(&packet, at(3)), "late notice of the end changes nothing");
        forwarding.change(&host(), &Change::Opened(published()), at(5));
        forwarding.begins(&packet, at(4));
        assert!(forwarding.covers(&packet, at(6)), "late notice of that neither");
    }

    #[test]
    fn what_this_machine_opened_before_a_flow_of_the_same_ends_began_is_its_own() {
        let masqueraded = Flow { original: tuple(SERVER, CLIENT, (80, 4000)), reply: tuple(CLIENT, HOST, (4000, 80)) };
        let outside = udp(CLIENT, HOST, (4000, 80));
        let mut forwarding = Forwarding::default();
        forwarding.begins(&outside, at(1));
        forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), at(2));
        forwarding.change(&host(), &Change::Opened(masqueraded), at(2));
        assert!(!forwarding.covers(&outside, at(1)) && forwarding.covers(&outside, at(2)));
        // And so again and again, before packets of the first are looked at.
        let mut forwarding = Forwarding::default();
        let millis = |millis: u64| at(0).plus(Duration::from_millis(millis));
        for (own, flow) in [(1, 2), (4, 5)] {
            forwarding.begins(&outside, millis(own));
            forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), millis(flow));
        }
        forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), millis(7));
        forwarding.change(&host(), &Change::Opened(masqueraded), millis(9));
        let covered = [1, 2, 3, 4, 5, 6].map(|time| forwarding.covers(&outside, millis(time)));
        assert_eq!(covered, [false, true, true, false, true, true]);
    }

    #[test]
    fn a_flow_that_was_over_before_its_time_was_looked_at_is_not_ended_by_what_this_machine_opened_before_it() {
        let masqueraded = Flow { original: tuple(SERVER, CLIENT, (80, 4000)), reply: tuple(CLIENT, HOST, (4000, 80)) };
        let outside = udp(CLIENT, HOST, (4000, 80));
        let mut forwarding = Forwarding::default();
        let millis = |millis: u64| at(0).plus(Duration::from_millis(millis));
        forwarding.change(&host(), &Change::Opened(masqueraded), millis(9));
        forwarding.change(&host(), &Change::Closed(masqueraded), millis(10));
        forwarding.begins(&outside, millis(1));
        forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), millis(5));
        let covered = [1, 4, 5, 8, 10, 11].map(|time| forwarding.covers(&outside, millis(time)));
        assert_eq!(covered, [false, false, true, true, true, false]);
    }

    #[test]
    fn one_connection_after_another_of_the_ends_of_a_flow_that_is_over_is_this_machine_s_own() {
        let masqueraded = Flow { original: tuple(SERVER, CLIENT, (80, 4000)), reply: tuple(CLIENT, HOST, (4000, 80)) };
        let outside = udp(CLIENT, HOST, (4000, 80));
        let mut forwarding = Forwarding::default();
        let millis = |millis: u64| at(0).plus(Duration::from_millis(millis));
        forwarding.change(&host(), &Change::Opened(masqueraded), millis(50));
        forwarding.change(&host(), &Change::Closed(masqueraded), millis(51));
        forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), millis(1));
        let own = || (3..40).step_by(3);
        own().for_each(|time| forwarding.begins(&outside, millis(time)));
        assert!(forwarding.covers(&outside, millis(2)));
        assert_eq!(own().find(|&time| forwarding.covers(&outside, millis(time))), None);
    }

    #[test]
    fn a_flow_that_is_translated_at_both_ends_follows_on_an_own_connection_like_any_other() {
        // Its ends inside were another flow's, so that it left with another port.
        let published = Flow { reply: tuple(SERVER, CLIENT, (80, 4001)), ..published() };
        let outside = udp(CLIENT, HOST, (4000, 8080));
        let mut forwarding = Forwarding::default();
        forwarding.begins(&outside, at(1));
        forwarding.passes(&udp(CLIENT, SERVER, (4000, 80)), at(2));
        forwarding.change(&host(), &Change::Opened(published), at(2));
        assert!(!forwarding.covers(&outside, at(1)) && forwarding.covers(&outside, at(2)));
    }

    #[test]
    fn the_beginning_of_a_flow_the_other_way_between_the_same_ends_is_not_that_of_a_translated_one() {
        let outside = udp(CLIENT, HOST, (4000, 8080));
        let mut forwarding = Forwarding::default();
        let millis = |millis: u64| at(0).plus(Duration::from_millis(millis));
        forwarding.begins(&outside, millis(1));
        forwarding.passes(&udp(SERVER, CLIENT, (80, 4000)), millis(2));
        forwarding.passes(&udp(CLIENT, SERVER, (4000, 80)), millis(4));
        forwarding.change(&host(), &Change::Opened(published()), millis(4));
        assert!(!forwarding.covers(&outside, millis(3)) && forwarding.covers(&outside, millis(4)));
    }

    #[test]
    fn the_beginning_of_a_flow_that_left_with_other_ends_makes_no_own_packet_part_of_the_one_before() {
        let masqueraded =
            |port| Flow { original: tuple(SERVER, CLIENT, (80, 4000)), reply: tuple(CLIENT, HOST, (4000, port)) };
        let (outside, inside) = (udp(CLIENT, HOST, (4000, 80)), udp(SERVER, CLIENT, (80, 4000)));
        let mut forwarding = Forwarding::default();
        let millis = |millis: u64| at(0).plus(Duration::from_millis(millis));
        for change in
            [Change::Opened(masqueraded(80)), Change::Closed(masqueraded(80)), Change::Opened(masqueraded(49))]
        {
            forwarding.change(&host(), &change, millis(9));
        }
        forwarding.passes(&inside, millis(1));
        forwarding.begins(&outside, millis(3));
        forwarding.passes(&inside, millis(5));
        let covered = [1, 2, 3, 4, 5, 8].map(|time| forwarding.covers(&outside, millis(time)));
        assert_eq!(
            covered,
            [true, true, false, false, false, false],
            "the port was taken, so that it left with another"
        );
        assert!(forwarding.covers(&udp(CLIENT, HOST, (4000, 49)), millis(6)));
    }

    #[test]
    fn who_answers_in_a_flow_and_opens_a_connection_that_ends_it_opens_one_to_this_machine() {
        let masqueraded = Flow { original: tuple(SERVER, CLIENT, (80, 4000)), reply: tuple(CLIENT, HOST, (4000, 80)) };
        let segment = |flags, ip: Ip| {
            let Transport::Udp(ports) = ip.transport else { unreachable!("made so") };
            Ip { transport: Transport::Tcp(Tcp { ports, flags: TcpFlags(flags), ..Tcp::default() }), ..ip }
        };
        let as_tcp = |flow: Flow| {
            let [original, reply] = [flow.original, flow.reply].map(|tuple| Tuple { protocol: Protocol::TCP, ..tuple });
            Flow { original, reply }
        };
        let tcp = |ip: Ip| Ip { protocol: Protocol::TCP, ..ip };
        let syn = segment(TcpFlags::SYN, tcp(udp(CLIENT, HOST, (4000, 80))));
        let mut forwarding = Forwarding::default();
        forwarding.change(&host(), &Change::Opened(as_tcp(masqueraded)), at(1));
        assert!(!forwarding.is_replaced_by(&syn, at(2)), "the flow goes on: both have opened it at once");
        forwarding.change(&host(), &Change::Closed(as_tcp(masqueraded)), at(3));
        assert!(forwarding.is_replaced_by(&syn, at(2)) && !forwarding.is_replaced_by(&syn, at(4)));
        let answer = segment(TcpFlags::SYN | TcpFlags::ACK, tcp(udp(CLIENT, HOST, (4000, 80))));
        assert!(!forwarding.is_replaced_by(&answer, at(2)));
        forwarding.change(&host(), &Change::Opened(as_tcp(published())), at(1));
        forwarding.change(&host(), &Change::Closed(as_tcp(published())), at(3));
        let again = segment(TcpFlags::SYN, tcp(udp(CLIENT, HOST, (4000, 8080))));
        assert!(!forwarding.is_replaced_by(&again, at(2)), "who opened it opens another that is translated");
    }

    #[test]
    fn the_end_of_an_own_connection_ends_no_flow_of_the_same_ends() {
        let masqueraded = Flow { original: tuple(SERVER, CLIENT, (80, 4000)), reply: tuple(CLIENT, HOST, (4000, 80)) };
        // The port is taken, so that its packets leave with another.
        let own = Flow { original: tuple(HOST, CLIENT, (80, 4000)), reply: tuple(CLIENT, HOST, (4000, 159)) };
        let mut forwarding = Forwarding::default();
        forwarding.change(&host(), &Change::Opened(masqueraded), at(1));
        forwarding.change(&host(), &Change::Opened(own), at(2));
        forwarding.change(&host(), &Change::Closed(own), at(3));
        assert!(forwarding.covers(&udp(CLIENT, HOST, (4000, 80)), at(4)));
    }

    #[test]
    fn detection_sees_a_translated_flow_as_who_opened_it_does() {
        let mut forwarding = Forwarding::default();
        forwarding.change(&host(), &Change::Opened(published()), at(1));
        let shows = |src, dst, ports| {
            let net = Net::Ip(udp(src, dst, ports));
            let packet =
                Packet { vlan: None, link_direction: None, net, malformed: None, odd: None, dhcp_server: None };
            let direction = crate::engine::Direction::Forwarded;
            forwarding.shows(&Seen { time: at(2), packet, direction, interface: 2, fingerprint: None })
        };
        assert!(shows(CLIENT, HOST, (4000, 8080)) && shows(HOST, CLIENT, (8080, 4000)));
        assert!(!shows(CLIENT, SERVER, (4000, 80)) && !shows(SERVER, CLIENT, (80, 4000)));
        assert!(shows(CLIENT, SERVER, (4001, 80)), "of no translated flow");
    }

    #[test]
    fn fragments_go_with_their_first() {
        let mut forwarding = Forwarding::default();
        forwarding.change(&host(), &Change::Opened(published()), at(1));
        let fragment = |offset| Some(Fragment { id: 7, offset, len: 80, more: true });
        let first = Ip { fragment: fragment(0), ..udp(CLIENT, HOST, (4000, 8080)) };
        let later = Ip { fragment: fragment(1480), transport: Transport::None, ..first };
        assert!(!forwarding.covers(&later, at(2)));
        assert!(forwarding.covers(&first, at(2)));
        forwarding.entered(&first, at(2));
        assert!(forwarding.covers(&later, at(2)));
        assert!(!forwarding.covers(&later, at(4)), "another datagram by then");
    }
}
