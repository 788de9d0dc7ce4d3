//! What passes through the machine or answers for it: packets that the tap alone can't place.

use super::truth::Truth;
use super::{Stage, around};
use crate::app::explanation::Form;
use crate::app::forwarding::{self, Forwarding};
use crate::app::own::Does;
use crate::app::pipeline::{Circumstances, Pipeline};
use crate::app::translated::Behind;
use crate::app::withheld::{Passage, Seen, ends};
use crate::conntrack::Ends;
use crate::engine::{Direction, State};
use crate::host::{Arrival, Discard};
use crate::packet::{Ip, Net, Packet, Ports, Tcp, TcpFlags, Transport};
use std::net::IpAddr;
use std::time::Instant;

impl Stage {
    /// Where a packet belongs that looks like one from or to this machine. The line of one that is part of a translated
    /// flow, if it has one, is where the rules see it.
    pub(super) fn place(&mut self, seen: &Seen) -> Place {
        let Net::Ip(ip) = &seen.packet.net else { return Place::Here };
        if self.is_related(seen) {
            return Place::Related;
        }
        // What fits no connection is not led here, whatever its ends.
        let behind = self.led_to(seen).or_else(|| self.as_rules_see(seen)).filter(|_| !self.has_passed(seen));
        if behind.is_none() && !seen.for_another && !self.may_pass(seen) {
            return Place::Here;
        }
        let does = self.truth.as_mut().and_then(|truth| truth.own.take(seen, truth.withheld.frames()));
        let led_away = behind.filter(|behind| behind.direction == Direction::LedAway);
        match does {
            // It was to come back by loopback, and is led away. What opens a connection by another interface, or fits none,
            // has only the ends of one that was.
            Some(Does::Nothing) if let Some(behind) = led_away => return Place::Behind(behind),
            Some(Does::FitsNothing) if led_away.is_some() => return Place::Here,
            Some(Does::Nothing) => return Place::Here,
            Some(Does::FitsNothing) => return Place::Nowhere,
            Some(Does::Relates) => return Place::Related,
            Some(Does::Opens) => self.translated.opens_another(ip, seen.time),
            None if let Some(behind) = behind => return Place::Behind(behind),
            None if let Some(posing) = self.posing(seen) => {
                if posing != *ip {
                    return Place::Behind(Seen { packet: Packet { net: Net::Ip(posing), ..seen.packet }, ..*seen });
                }
            }
            None if self.begins_instead(seen) => {}
            None if let Some(why) = self.why_not_passed_on(seen) => {
                if self.forwarding.shows(seen) {
                    self.watch_passing(seen);
                }
                return Place::Discarded(why);
            }
            None => {
                self.forwarding.entered(ip, seen.time);
                // What else is plainly another's was looked at when it was seen.
                let is_new = seen.for_another || !forwarding::is_from_another(&self.host, &seen.packet);
                if is_new && self.forwarding.shows(seen) {
                    self.watch_passing(seen);
                }
                match &mut self.truth {
                    Some(truth) if seen.direction == Direction::Incoming => truth.forwarded += 1,
                    _ => self.duplicates += 1,
                }
                return Place::OnItsWayThrough;
            }
        }
        self.forwarding.begins(ip, seen.time);
        Place::Here
    }

    /// Whether a packet that goes out is an error about a connection, as the kernel knows it.
    fn is_related(&mut self, seen: &Seen) -> bool {
        let is_asked = |truth: &&mut Truth| seen.direction == Direction::Outgoing && truth.own.has_related();
        let Some(truth) = self.truth.as_mut().filter(is_asked) else { return false };
        let others = seen.packet.ip().and_then(|ip| self.forwarding.other_ends(ip, seen.time));
        truth.own.is_related(seen, others)
    }

    /// Whether it was reported that a packet for an address of others was on its way through.
    fn has_passed(&self, seen: &Seen) -> bool {
        seen.for_another && self.truth.as_ref().is_some_and(|truth| truth.withheld.has_passed(seen))
    }

    /// Why a packet for an address of others is not passed on, if that is certain.
    fn why_not_passed_on(&mut self, seen: &Seen) -> Option<Discard> {
        // It may have been dropped in front of routing: of a fragment no report tells, and any may be lost.
        let ip = seen.packet.ip().filter(|ip| seen.for_another && ip.fragment.is_none())?;
        let arrival = Arrival {
            src: ip.src,
            dst: ip.dst,
            interface: seen.interface,
            source_routed: false,
            ttl: ip.ttl,
            forwards: true,
        };
        if !arrival.may_end_here(|address| self.host.takes_in(address)) {
            return None;
        }
        let is_told = !self.doubts.covers(seen.time) && !self.has_passed(seen);
        self.truth.as_mut().filter(|_| is_told)?.arrivals.why_not_passed_on(arrival, Instant::now())
    }

    /// A packet from or to this machine as the rules see it, if they see it otherwise than the tap.
    pub(super) fn as_rules_see(&mut self, seen: &Seen) -> Option<Seen> {
        let Behind { packet, by_loopback } = self.translated.as_rules_see(seen)?;
        let behind = Seen { packet, ..*seen };
        let loopback = self.interfaces.iter().find(|interface| by_loopback && interface.loopback);
        Some(match loopback {
            Some(loopback) => Seen { direction: Direction::LedAway, interface: loopback.index, ..behind },
            None => behind,
        })
    }

    /// The same of one that begins a flow which translation leads to this machine.
    fn led_to(&mut self, seen: &Seen) -> Option<Seen> {
        let truth = self.truth.as_mut().filter(|_| seen.direction == Direction::Incoming)?;
        let packet = truth.own.led_to(seen, truth.withheld.frames())?;
        Some(Seen { packet, ..*seen })
    }

    /// Looks for what a packet on its way through tells together with those before it.
    fn watch_passing(&mut self, seen: &Seen) {
        let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
        let around = Circumstances { direction: Direction::Forwarded, ..around };
        self.pipeline.watch_passing(&seen.packet, &around);
    }

    /// Whether a packet looks like one of a translated flow.
    pub(super) fn may_pass(&self, seen: &Seen) -> bool {
        let Net::Ip(ip) = &seen.packet.net else { return false };
        seen.direction != Direction::Loopback && self.forwarding.covers(ip, seen.time)
    }

    /// A packet that was seen leaving between the ends of others that had come in, if it is this machine's own: the answer
    /// to one that it rejected, or that was led here, which bears the address of who is answered for, or what it sends as
    /// another. With its form to the rules.
    pub(super) fn as_own(&mut self, seen: &Seen) -> Option<(Seen, Seen)> {
        let own = Seen { direction: Direction::Outgoing, ..*seen };
        let behind = self.as_rules_see(&own);
        let is_related = self.is_related(&own);
        let truth = self.truth.as_mut()?;
        let is_told = is_related
            || truth.own.posing(&own, |_| None).is_some()
            || truth.own.take(&own, truth.withheld.frames()).is_some();
        let was_led = || ends(&own.packet).is_some_and(|ends| truth.has_rejected_translated(&ends, own.time));
        let is_own = is_told || behind.is_some() || may_be_an_answer(&own.packet) && was_led();
        is_own.then(|| (own, behind.unwrap_or(own)))
    }

    /// A packet that this machine sends from an address of others, as the rules see it.
    fn posing(&mut self, seen: &Seen) -> Option<Ip> {
        let truth = self.truth.as_mut().filter(|_| seen.direction == Direction::Outgoing)?;
        truth.own.posing(seen, |ip| self.forwarding.before_leaving(ip, seen.time))
    }

    /// Whether a packet that came in opened a connection to this machine in the place of a flow on its way through.
    fn begins_instead(&self, seen: &Seen) -> bool {
        let Net::Ip(ip) = &seen.packet.net else { return false };
        let comes_here = seen.direction == Direction::Incoming && !seen.for_another;
        comes_here && self.forwarding.is_replaced_by(ip, seen.time)
    }

    /// Takes in that a packet would open a connection to this machine.
    pub(super) fn begins(&mut self, seen: &Seen) {
        if let Net::Ip(ip) = &seen.packet.net {
            self.forwarding.begins(ip, seen.time);
        }
    }

    /// Whether a packet is what the kernel answers one with that it has rejected.
    pub(super) fn answers_a_rejected(&self, seen: &Seen) -> bool {
        let Net::Ip(ip) = &seen.packet.net else { return false };
        let Some(truth) = &self.truth else { return false };
        let was_led_away = |ends: &Ends| {
            let is_known = |end: &(IpAddr, u16)| truth.has_rejected_led_away(end, seen.time);
            seen.direction == Direction::Loopback && ends.pair().iter().any(is_known)
        };
        let was_rejected = |ends: &Ends| truth.has_rejected(ends, seen.time) || was_led_away(ends);
        may_be_an_answer(&seen.packet)
            && seen.direction != Direction::Incoming
            && (Ends::of_packet(ip).is_some_and(|ends| was_rejected(&ends))
                // It fitted a flow that is translated, and left as a part of that.
                || self.forwarding.other_ends(ip, seen.time).is_some_and(|ends| was_rejected(&ends)))
    }

    /// Takes in that a packet seemed to be for this machine and was on its way through.
    pub(super) fn enters(&mut self, seen: &Seen) {
        if let Net::Ip(ip) = &seen.packet.net {
            self.forwarding.entered(ip, seen.time);
        }
        if self.forwarding.shows(seen) {
            self.watch_passing(seen);
        }
        if let Some(truth) = &mut self.truth {
            truth.forwarded += 1;
        }
    }

    /// Tells of a packet on its way through: one that was dropped, or the first of a flow that was not.
    ///
    /// It is judged in the form that the rules see and in those that translation hides from them, as the kernel does
    /// it: as it came in, and as the other side of its flow knows it.
    pub(super) fn tell_forwarded(&mut self, passage: &Passage) {
        let Passage { seen, by, original, asked } = passage;
        // The source of a flow's first packet is not yet translated.
        let hidden = [original.or(*asked), by.as_ref().and_then(|_| self.as_others_see(seen))];
        let mut forms = [self.foretell(seen, seen.packet); 3];
        for (form, packet) in forms.iter_mut().skip(1).zip(hidden.into_iter().flatten()) {
            *form = self.foretell(seen, packet);
        }
        match by {
            Some(by) => self.tell_dropped(seen, &forms, by),
            None => self.tell_let_through(seen, &forms),
        }
    }

    /// A packet of a translated flow as the other side of the translation knows it.
    fn as_others_see(&self, seen: &Seen) -> Option<Packet> {
        let Net::Ip(ip) = seen.packet.net else { return None };
        let [(src, src_port), (dst, dst_port)] = self.forwarding.other_ends(&ip, seen.time)?.pair();
        let ports = Ports { src: src_port, dst: dst_port };
        let transport = ip.transport.with_ports(|_| ports);
        Some(Packet { net: Net::Ip(Ip { src, dst, transport, ..ip }), ..seen.packet })
    }

    /// What the rules of its time say of a packet that the kernel says is in `state`.
    pub(super) fn form_in(&mut self, seen: &Seen, state: State) -> Form {
        self.change_rules(seen.time);
        let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
        let judgement = self.pipeline.foretell_as(&seen.packet, &around, state);
        self.pipeline.watch(&seen.packet, &around, &judgement);
        Form { packet: seen.packet, judgement }
    }

    /// What the rules in force say of a form of a packet.
    pub(super) fn foretell(&mut self, seen: &Seen, packet: Packet) -> Form {
        let around = around(&mut self.known, &self.interfaces, &self.pipeline, seen);
        Form { packet, judgement: self.pipeline.foretell(&packet, &around) }
    }
}

/// Takes a packet that came in for an address of others. If it is forwarded its line comes from the kernel, if it has one;
/// but it may be led to this machine.
pub(super) fn entering(
    (truth, forwarding, pipeline): (&mut Truth, &Forwarding, &mut Pipeline),
    seen: Seen,
    around: &Circumstances<'_>,
) {
    truth.withheld.entering(&seen);
    if !pipeline.examine(&seen.packet, around) {
        return;
    }
    if !forwarding.is_known_to_pass(&seen.packet, seen.time) && truth.withheld.hold_for_another(seen) {
        return;
    }
    truth.forwarded += 1;
    if forwarding.shows(&seen) {
        pipeline.watch_passing(&seen.packet, around);
    }
}

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To this machine.
    Here,
    /// To this machine, but to no connection: the kernel calls it invalid, whatever is known of it here.
    Nowhere,
    /// To this machine, as an error about a connection, whatever is known of that here.
    Related,
    /// To this machine, to whose rules it is this: its address or port here is translated.
    Behind(Seen),
    /// To a flow that goes through this machine.
    OnItsWayThrough,
    /// To nobody: it is for another machine, and not passed on.
    Discarded(Discard),
}

/// Whether a packet may be what the kernel answers one with that it has rejected: a reset, or that the port is unreachable,
/// whatever was asked for. None of that is in fragments.
pub(super) fn may_be_an_answer(packet: &Packet) -> bool {
    let Net::Ip(ip) = &packet.net else { return false };
    match ip.transport {
        _ if ip.fragment.is_some() => false,
        Transport::Tcp(Tcp { flags, .. }) => flags.0 & TcpFlags::RST != 0,
        // Other errors are the host's own.
        _ => ip.says_port_is_unreachable(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{About, Icmp, Protocol};

    fn error(protocol: Protocol, src: IpAddr, kind: u8, code: u8) -> Packet {
        let transport = Transport::Icmp(Icmp { kind, code, id: 0, about: About::Nothing });
        let ip = Ip { src, dst: src, protocol, ttl: 64, len: 73, fragment: None, transport };
        Packet::of(Net::Ip(ip))
    }

    #[test]
    fn of_errors_only_that_of_an_unreachable_port_answers_a_rejected_packet() {
        let v4 = |code| may_be_an_answer(&error(Protocol::ICMP, [10, 0, 0, 5].into(), 3, code));
        let v6 = |code| may_be_an_answer(&error(Protocol::ICMPV6, "fd00::5".parse().unwrap(), 1, code));
        assert_eq!([1, 2, 3, 4].map(v4), [false, false, true, false]);
        assert_eq!([1, 2, 3, 4].map(v6), [false, false, false, true]);
    }
}
