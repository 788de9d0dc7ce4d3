//! A report of the kernel -> the packets that wait for one.

use super::Stage;
use crate::app::forwarding;
use crate::app::own::Does;
use crate::app::withheld::Seen;
use crate::engine::Direction;
use crate::firewall::{Reported, read_nflog_prefix};
use crate::host::Host;
use crate::nflog::{Event, Hook};
use crate::packet::{self, Net, Packet};
use crate::time::Timestamp;

impl Stage {
    /// Takes the kernel's report of a packet: that it dropped it, or that it lets it through the machine.
    pub fn report(&mut self, event: &Event<'_>, now: Timestamp) {
        let may_translate = self.may_translate();
        let prefix = std::str::from_utf8(event.prefix).ok().and_then(read_nflog_prefix);
        let Some(((generation, reported), truth)) = prefix.zip(self.truth.as_mut()) else { return };
        let packet = packet::parse(event.link(), event.packet, event.original_len);
        let interface = event.in_interface.or(event.out_interface).unwrap_or_default();
        // In front of routing the rule tells what the hook does not. The tap goes by the machine's addresses, and must
        // have seen the same, or the packet would have a line for each.
        let stopped = matches!(reported, Reported::Stopped(_)) && forwarding::is_for_another(&self.host, &packet);
        let hook = if stopped { Hook::Forward } else { event.hook };
        let link = self.interfaces.get(interface);
        let direction = match direction_of(hook, link.is_some_and(|link| link.loopback)) {
            Direction::Loopback if hook == Hook::Output && is_led_away(&self.host, &packet) => Direction::LedAway,
            direction => direction,
        };
        let by = match reported {
            Reported::Dropped(number) | Reported::Stopped(number) => {
                let name = link.map_or("", |link| &*link.name);
                Some(truth.note_dropped((generation, number), event, (&packet, direction, name)))
            }
            Reported::Passed
            | Reported::Begins
            | Reported::Own
            | Reported::Related
            | Reported::Opens
            | Reported::Posing
            | Reported::Taken
            | Reported::Led => None,
        };
        // What is dropped elsewhere is mostly known by its stamp. The tap looks as closely while packets may be translated.
        let by_content = !matches!(reported, Reported::Dropped(_)) || hook == Hook::Forward || may_translate;
        let fingerprint = by_content.then(|| packet::fingerprint(event.link(), event.packet));
        let time = event.time.unwrap_or(now);
        let fingerprint = fingerprint.flatten();
        let seen = Seen { time, packet, direction, interface, fingerprint, for_another: false };
        truth.reports_read = truth.reports_read.max(event.time.unwrap_or_default());
        if let (Reported::Begins, Net::Ip(ip)) = (reported, &packet.net) {
            self.forwarding.passes(ip, time);
        }
        match by {
            by if hook == Hook::Forward => truth.withheld.report_forwarded(seen, by),
            // The kernel stamps what comes in, and the tap sees that; what goes out has neither.
            Some(by) if event.hook == Hook::Output || event.time.is_none() => truth.report_outgoing(seen, by, now),
            Some(by) => truth.report_incoming(seen, by, now),
            // What goes out is stamped at the tap alone.
            None if reported == Reported::Opens && event.hook == Hook::Output => {
                truth.own.report(seen, Does::Opens, now);
            }
            None if reported == Reported::Opens => self.begins(&seen),
            None if reported == Reported::Related && event.hook == Hook::Output => truth.own.report_related(seen, now),
            None if reported == Reported::Related => truth.own.report(seen, Does::Relates, now),
            None if reported == Reported::Posing => truth.own.report_posing(&seen),
            None if reported == Reported::Taken => truth.own.report(seen, Does::Nothing, now),
            None if reported == Reported::Led => truth.own.report_led(seen, now),
            None => truth.report_own(seen, now),
        }
    }
}

/// Whether a packet that this machine sends by loopback is for another: it was not when it was routed.
fn is_led_away(host: &Host, packet: &Packet) -> bool {
    matches!(&packet.net, Net::Ip(ip) if !ip.dst.is_multicast() && !host.takes_in(ip.dst))
}

/// Which way a packet goes that was dropped at a hook.
fn direction_of(hook: Hook, loopback: bool) -> Direction {
    match hook {
        _ if loopback => Direction::Loopback,
        Hook::Forward => Direction::Forwarded,
        Hook::Output | Hook::PostRouting => Direction::Outgoing,
        Hook::PreRouting | Hook::Input => Direction::Incoming,
    }
}
