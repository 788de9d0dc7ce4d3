//! What passes through the machine or answers for it: packets that the tap alone can't place.

use super::{ANSWER_TIME, Stage, Truth, around};
use crate::app::explanation::Form;
use crate::app::withheld::{By, Passage, Seen};
use crate::conntrack::{Ends, Flow, Tuple};
use crate::engine::Direction;
use crate::packet::{Ip, Net, Packet, Tcp, TcpFlags, Transport};
use crate::time::Timestamp;

impl Stage {
    /// Whether a packet that looks like one from or to this machine is part of a translated flow: its line, if it has
    /// one, is where the rules see it.
    pub(super) fn is_on_its_way_through(&mut self, seen: &Seen) -> bool {
        let Net::Ip(ip) = &seen.packet.net else { return false };
        if seen.direction == Direction::Loopback || !self.forwarding.covers(ip, seen.time) {
            return false;
        }
        match &mut self.truth {
            Some(truth) if seen.direction == Direction::Incoming => truth.forwarded += 1,
            _ => self.duplicates += 1,
        }
        true
    }

    /// Whether a packet is what the kernel answers one with that it has rejected.
    pub(super) fn answers_a_rejected(&self, seen: &Seen) -> bool {
        let Net::Ip(ip) = &seen.packet.net else { return false };
        let answer = match ip.transport {
            Transport::Tcp(Tcp { flags, .. }) => flags.0 & TcpFlags::RST != 0,
            Transport::Icmp(icmp) => icmp.quoted.is_some(),
            _ => false,
        };
        answer
            && seen.direction != Direction::Incoming
            && self
                .truth
                .as_ref()
                .zip(Ends::of_packet(ip))
                .is_some_and(|(truth, ends)| truth.rejected.knows(&ends, seen.time))
    }

    /// Tells of a packet on its way through: one that was dropped, or the first of a flow that was not.
    ///
    /// It is judged in the form that it has between the translations and in those that its two ends know, as the
    /// kernel does it.
    pub(super) fn tell_forwarded(&mut self, passage: &Passage) {
        let Passage { seen, by, flow } = passage;
        let mut forms = [self.foretell(seen, seen.packet); 3];
        let tuples = flow.filter(Flow::is_translated).map(|flow| [flow.original, flow.reply]);
        for (form, tuple) in forms.iter_mut().skip(1).zip(tuples.iter().flatten()) {
            *form = self.foretell(seen, in_form(&seen.packet, tuple));
        }
        match by {
            Some(by) => self.tell_dropped(seen, &forms, by),
            None => self.tell_let_through(seen, &forms),
        }
    }

    fn foretell(&mut self, seen: &Seen, packet: Packet) -> Form {
        let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
        Form { packet, judgement: self.pipeline.foretell(&packet, &around) }
    }
}

impl Truth {
    /// Takes in that a packet was rejected, if the rule that dropped it does that.
    pub(super) fn note_rejected(&mut self, seen: &Seen, by: By, now: Timestamp) {
        let Net::Ip(ip) = &seen.packet.net else { return };
        if !self.generations.rule(&by).is_some_and(|rule| rule.rejects) {
            return;
        }
        if let Some(ends) = Ends::of_packet(ip) {
            self.rejected.remember(ends, seen.time.plus(ANSWER_TIME), now);
        }
    }
}

/// The packet with the addresses and ports of one of its flow's forms.
fn in_form(packet: &Packet, tuple: &Tuple) -> Packet {
    let Net::Ip(ip) = packet.net else { return *packet };
    let transport = match ip.transport {
        Transport::Tcp(tcp) => Transport::Tcp(Tcp { ports: tuple.ports, ..tcp }),
        Transport::Udp(_) => Transport::Udp(tuple.ports),
        Transport::Sctp(_) => Transport::Sctp(tuple.ports),
        other => other,
    };
    Packet { net: Net::Ip(Ip { src: tuple.src, dst: tuple.dst, transport, ..ip }), ..*packet }
}
