//! The connections that are tracked, for those who ask: copied by the capture thread, a bounded page at a time, and told
//! by the control thread, which finds out by which rule each of them lives.

use crate::control::report::{ConnectionRow, ConnectionsPage};
use crate::engine::{Context, Direction, Matcher, State, Tracked, TrackedPage};
use crate::host::{Host, Ways};
use crate::time::Timestamp;
use std::sync::Arc;

/// A page of connections, as the capture thread copied it.
#[derive(Debug)]
pub struct Tracking {
    /// Where the page begins.
    pub from: usize,
    /// The connections.
    pub page: TrackedPage,
    /// How many there are in all, those included that have expired unnoticed.
    pub total: usize,
    /// The rules in force.
    pub matcher: Arc<Matcher>,
    /// The machine.
    pub host: Arc<Host>,
    /// When it was copied.
    pub now: Timestamp,
}

impl Tracking {
    /// The page as it is told. Which interface a connection goes through is not tracked: where rules ask for that, it is
    /// the one through which the kernel reaches its other end now.
    pub fn told(&self) -> ConnectionsPage {
        let mut ways = self.matcher.tells_interfaces_apart().then(Ways::open).and_then(Result::ok);
        let rows = self.page.rows.iter().map(|one| self.row(one, &mut ways)).collect();
        ConnectionsPage { total: self.total, next: self.page.next, rows }
    }

    fn row(&self, one: &Tracked, ways: &mut Option<Ways>) -> ConnectionRow {
        let direction = self.direction(one);
        let peer = if direction == Direction::Incoming { one.opener } else { one.other };
        let name = match ways {
            _ if direction == Direction::Loopback => "lo",
            Some(ways) => ways.interface_to(peer).unwrap_or_default(),
            None => "",
        };
        let context = Context { direction, interface: self.matcher.interface_class(name), time: self.now };
        let decision = self.matcher.decide_as(&one.packet(), &context, State::Original);
        let rule = self.matcher.rules().get(decision.rule.0 as usize);
        ConnectionRow {
            protocol: one.protocol.to_string(),
            src: one.opener,
            src_port: one.ports().map(|(port, _)| port),
            dst: one.other,
            dst_port: one.ports().map(|(_, port)| port),
            direction: word(direction).to_owned(),
            state: one.tcp.unwrap_or_default().to_owned(),
            answered: one.answered,
            known_for: one.known_for.as_secs(),
            expires_in: one.expires_in.as_secs(),
            rule: rule.map(|rule| rule.id.to_string()).unwrap_or_default(),
            allowed: decision.allows(),
        }
    }

    /// Which way its opener's packets go.
    fn direction(&self, one: &Tracked) -> Direction {
        match (self.host.takes_in(one.opener), self.host.takes_in(one.other)) {
            (true, true) => Direction::Loopback,
            (true, false) => Direction::Outgoing,
            (false, false) if self.host.forwards(one.opener.is_ipv4()) && !one.other.is_multicast() => {
                Direction::Forwarded
            }
            _ => Direction::Incoming,
        }
    }
}

const fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => "incoming",
        Direction::Outgoing => "outgoing",
        Direction::Loopback | Direction::LedAway => "loopback",
        Direction::Forwarded => "forwarded",
    }
}
