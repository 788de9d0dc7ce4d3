//! Which of the open connections rules would cut: above all those through which somebody steers this machine.
//!
//! Each is held against the rules as a packet in its middle: the opener's next one and the answer to it, with its true
//! ends, by an engine that knows the connection.

use super::seeding::open_connections;
use crate::engine::{Context, Direction, Engine, InterfaceClass, Limits, Matcher, RuleInfo, Step};
use crate::host::connections::{Connection, Opener, Phase};
use crate::host::{self, Host, Session};
use crate::packet::{Ip, Ports, Protocol, Tcp, TcpFlags, Transport};
use crate::time::Timestamp;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::process;

/// Connections that are named; how many more there are is said.
const NAMED: usize = 10;

/// The connections that rules cut, those first that matter most.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    cuts: Vec<Cut>,
}

/// A connection that rules cut.
#[derive(Clone, Debug)]
struct Cut {
    connection: Connection,
    whose: Whose,
    by: RuleInfo,
}

/// Who is at the other end, in the order in which cuts are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    /// The user who runs this.
    Own { is_ssh: bool },
    /// Somebody who came from another machine: it can be a user.
    Incoming,
    /// Another machine that this one has turned to.
    Outgoing,
    /// This machine.
    Loopback,
}

/// Whether it has yet to be decided that connections are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// "would be cut"
    WouldBe,
    /// "is cut"
    Is,
}

impl Cuts {
    /// The open connections that rules would cut. What keeps them from being read is said.
    pub fn by(matcher: &Matcher, host: &Host, say: &mut dyn FnMut(&str)) -> Self {
        Judge::new(open_connections(say).open, host, process::id()).cuts(matcher)
    }

    /// Whether the user must agree: somebody at another machine would be cut off.
    pub fn need_consent(&self) -> bool {
        self.cuts.iter().any(|cut| matches!(cut.whose, Whose::Own { .. } | Whose::Incoming))
    }

    /// What is to be said, a line for each connection and rule; beyond a number of them, how many more there are.
    pub fn lines(&self, verb: Verb) -> Vec<String> {
        let mut lines: Vec<String> = self.cuts.iter().take(NAMED).map(|cut| cut.words(verb)).collect();
        let more = self.cuts.len().saturating_sub(NAMED);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }

    /// The open connections that `new` rules would cut and `old` ones, if there are any, do not; `caller` is the process
    /// of who asks for it.
    pub fn anew(
        old: Option<&Matcher>,
        new: &Matcher,
        host: &Host,
        caller: Option<u32>,
        say: &mut dyn FnMut(&str),
    ) -> Self {
        let judge = Judge::new(open_connections(say).open, host, caller.unwrap_or_else(process::id));
        let cuts = judge.cuts(new);
        if cuts.cuts.is_empty() {
            return cuts;
        }
        match old {
            Some(old) => cuts.without(&judge.cuts(old)),
            None => cuts,
        }
    }

    /// What becomes of the session of who asks, in words, if it would be cut.
    pub fn own(&self) -> Option<String> {
        let own = self.cuts.iter().find(|cut| matches!(cut.whose, Whose::Own { .. }));
        own.map(|cut| cut.words(Verb::WouldBe))
    }

    /// Those that `before` does not have.
    fn without(self, before: &Self) -> Self {
        let ends = |cut: &Cut| (cut.connection.local, cut.connection.remote, cut.connection.phase == Phase::Udp);
        let known: HashSet<_> = before.cuts.iter().map(ends).collect();
        Self { cuts: self.cuts.into_iter().filter(|cut| !known.contains(&ends(cut))).collect() }
    }
}

impl Cut {
    fn words(&self, verb: Verb) -> String {
        let Connection { local, remote, phase, .. } = self.connection;
        let kind = if phase == Phase::Udp { "UDP connection" } else { "connection" };
        let what = match self.whose {
            Whose::Own { is_ssh: true } => format!("your SSH session from {remote}"),
            Whose::Own { is_ssh: false } => format!("your session from {remote} to port {}", local.port()),
            Whose::Incoming => format!("the {kind} from {remote} to port {}", local.port()),
            Whose::Outgoing => format!("the {kind} to {remote}"),
            Whose::Loopback => {
                let (from, to) = self.connection.ends();
                format!("the {kind} on this machine from {from} to {to}")
            }
        };
        let verb = if verb == Verb::WouldBe { "would be" } else { "is" };
        let rule = match self.by.step {
            Step::DefaultPolicy => "default_policy deny".to_owned(),
            Step::Rules => format!("rule {}", self.by.id),
            _ => self.by.id.to_string(),
        };
        format!("{what} {verb} cut by {rule}")
    }
}

/// Holds connections against rules. What few rule sets need to be asked is found out when it is: whose session this is
/// takes as long as to read the connections.
struct Judge<'a> {
    connections: Vec<Connection>,
    /// The process of who asks.
    caller: u32,
    session: OnceCell<Option<Session>>,
    host: &'a Host,
    /// The interface of an own address, as far as it has but one.
    interfaces: OnceCell<HashMap<IpAddr, String>>,
}

impl<'a> Judge<'a> {
    fn new(connections: Vec<Connection>, host: &'a Host, caller: u32) -> Self {
        Self { connections, caller, session: OnceCell::new(), host, interfaces: OnceCell::new() }
    }

    /// The session of who asks.
    fn session(&self) -> Option<Session> {
        *self.session.get_or_init(|| host::session_of(self.caller, &self.connections))
    }

    fn cuts(&self, matcher: &Matcher) -> Cuts {
        let now = Timestamp::now();
        let mut engine = Engine::new(Limits::default());
        engine.enter(&self.connections, now);
        let mut cuts: Vec<Cut> = Vec::new();
        for connection in self.connections.iter().filter(|connection| self.matters(connection)) {
            if let Some(by) = self.blocking_rule(&mut engine, matcher, connection, now) {
                cuts.push(Cut { connection: *connection, whose: self.whose(connection), by });
            }
        }
        cuts.sort_by_key(|cut| (cut.whose, cut.connection.local.port(), cut.connection.remote));
        Cuts { cuts }
    }

    /// Whether it would be missed: it is not ending, and not the other side of one that is here too.
    fn matters(&self, connection: &Connection) -> bool {
        let is_open = matches!(connection.phase, Phase::Established | Phase::Udp);
        is_open && !(self.is_loopback(connection) && connection.opener == Opener::Remote)
    }

    fn is_loopback(&self, connection: &Connection) -> bool {
        let remote = connection.remote.ip();
        remote.is_loopback() || self.host.owns(remote)
    }

    fn whose(&self, connection: &Connection) -> Whose {
        if self.is_loopback(connection) {
            return Whose::Loopback;
        }
        match self.session() {
            Some(Session { connection: own, is_ssh }) if own == *connection => Whose::Own { is_ssh },
            _ if connection.opener == Opener::Remote => Whose::Incoming,
            _ => Whose::Outgoing,
        }
    }

    /// The rule that blocks what the opener sends next, or else the answer.
    fn blocking_rule(
        &self,
        engine: &mut Engine,
        matcher: &Matcher,
        connection: &Connection,
        now: Timestamp,
    ) -> Option<RuleInfo> {
        let (from, to) = connection.ends();
        let (there, back) = match connection.opener {
            _ if self.is_loopback(connection) => (Direction::Loopback, Direction::Loopback),
            Opener::Local => (Direction::Outgoing, Direction::Incoming),
            Opener::Remote => (Direction::Incoming, Direction::Outgoing),
        };
        let interface = self.interface(matcher, connection);
        let packets = [(packet(connection.phase, from, to), there), (packet(connection.phase, to, from), back)];
        packets.into_iter().find_map(|(packet, direction)| {
            let decision = engine.decide(matcher, &packet, &Context { direction, interface, time: now });
            let rule = matcher.rules().get(decision.rule.0 as usize)?;
            (!decision.allows()).then(|| rule.clone())
        })
    }

    /// The interface that has the connection's own address. A rule that names one is not asked where it can't be told.
    fn interface(&self, matcher: &Matcher, connection: &Connection) -> InterfaceClass {
        if !matcher.tells_interfaces_apart() {
            return InterfaceClass::default();
        }
        let interfaces = self.interfaces.get_or_init(host::interfaces_by_address);
        let name = interfaces.get(&connection.local.ip());
        name.map_or_else(InterfaceClass::default, |name| matcher.interface_class(name))
    }
}

/// A packet in the middle of a connection.
fn packet(phase: Phase, from: SocketAddr, to: SocketAddr) -> Ip {
    let ports = Ports { src: from.port(), dst: to.port() };
    let (protocol, transport) = match phase {
        Phase::Udp => (Protocol::UDP, Transport::Udp(ports)),
        _ => (Protocol::TCP, Transport::Tcp(Tcp { ports, flags: TcpFlags(TcpFlags::ACK), ..Tcp::default() })),
    };
    Ip { src: from.ip(), dst: to.ip(), protocol, ttl: 64, len: 40, fragment: None, transport }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Origin, Ruleset, parse};
    use std::path::Path;

    const DENY: &str = r#"{ "default_policy": "deny" }"#;

    fn ruleset(text: &str) -> Ruleset {
        let read = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
        parse(text.as_bytes().to_vec(), &origin).expect("sound rules").ruleset
    }

    fn connection(phase: Phase, local: &str, remote: &str, opener: Opener) -> Connection {
        let (local, remote) = (local.parse().unwrap(), remote.parse().unwrap());
        Connection { phase, local, remote, opener, is_opener_sure: true, uid: 0, inode: 0 }
    }

    fn tcp(local: &str, remote: &str, opener: Opener) -> Connection {
        connection(Phase::Established, local, remote, opener)
    }

    fn ssh() -> Connection {
        tcp("10.0.0.1:22", "10.0.0.5:50022", Opener::Remote)
    }

    fn cuts(rules: &str, connections: &[Connection], session: Option<Session>) -> Cuts {
        let host = Host { addresses: vec![([10, 0, 0, 1].into(), 24), ([127, 0, 0, 1].into(), 8)], ..Host::default() };
        let interfaces = HashMap::from([([10, 0, 0, 1].into(), "eth0".to_owned())]);
        let matcher = Matcher::new(&ruleset(rules), &host, Timestamp::now());
        let (session, interfaces) = (session.into(), interfaces.into());
        Judge { connections: connections.to_vec(), caller: 0, session, host: &host, interfaces }.cuts(&matcher)
    }

    fn lines(rules: &str, connections: &[Connection]) -> Vec<String> {
        cuts(rules, connections, None).lines(Verb::WouldBe)
    }

    #[test]
    fn the_own_session_is_named_with_its_end_and_the_rule() {
        let session = Some(Session { connection: ssh(), is_ssh: true });
        for (rules, by) in [
            (DENY, "default_policy deny"),
            (r#"{ "block_ips": ["10.0.0.0/24"] }"#, "block_ips:10.0.0.0/24"),
            (r#"{ "block_ports": [22] }"#, "block_ports:22"),
            (
                r#"{ "rules": [{ "id": "no-ssh", "action": "reject", "direction": "in", "dst_port": 22 }] }"#,
                "rule no-ssh",
            ),
        ] {
            let cuts = cuts(rules, &[ssh()], session);
            let words = format!("your SSH session from 10.0.0.5:50022 would be cut by {by}");
            assert_eq!(cuts.lines(Verb::WouldBe), [words], "{rules}");
            assert!(cuts.need_consent());
        }
        let session = Some(Session { connection: ssh(), is_ssh: false });
        let words = "your session from 10.0.0.5:50022 to port 22 is cut by default_policy deny";
        assert_eq!(cuts(DENY, &[ssh()], session).lines(Verb::Is), [words]);
    }

    #[test]
    fn connections_that_go_on_are_not_named() {
        for rules in [
            "{}",
            r#"{ "default_policy": "deny", "allow_ips": ["10.0.0.5"] }"#,
            r#"{ "default_policy": "deny", "rules": [{ "action": "allow", "direction": "in", "protocol": "tcp", "dst_port": 22 }] }"#,
            r#"{ "default_policy": "deny", "rules": [{ "action": "allow", "direction": "in", "interface": "eth0" }] }"#,
            r#"{ "default_policy": { "in": "allow", "out": "deny" } }"#,
        ] {
            assert_eq!(lines(rules, &[ssh()]), [""; 0], "{rules}");
        }
        assert_eq!(
            lines(
                r#"{ "default_policy": { "in": "deny" } }"#,
                &[tcp("10.0.0.1:40000", "192.0.2.7:443", Opener::Local)]
            ),
            [""; 0]
        );
        let elsewhere =
            r#"{ "default_policy": "deny", "rules": [{ "action": "allow", "direction": "in", "interface": "eth1" }] }"#;
        assert_eq!(lines(elsewhere, &[ssh()]).len(), 1);
    }

    #[test]
    fn only_who_came_from_another_machine_is_asked_for() {
        let [web, out, udp, lo] = [
            tcp("10.0.0.1:443", "10.0.0.9:40000", Opener::Remote),
            tcp("10.0.0.1:40000", "192.0.2.7:443", Opener::Local),
            connection(Phase::Udp, "10.0.0.1:40001", "192.0.2.53:53", Opener::Local),
            tcp("127.0.0.1:40002", "127.0.0.1:8080", Opener::Local),
        ];
        assert_eq!(
            lines(DENY, &[lo, udp, out, web]),
            [
                "the connection from 10.0.0.9:40000 to port 443 would be cut by default_policy deny",
                "the connection to 192.0.2.7:443 would be cut by default_policy deny",
                "the UDP connection to 192.0.2.53:53 would be cut by default_policy deny",
            ]
        );
        assert!(cuts(DENY, &[web], None).need_consent());
        assert!(!cuts(DENY, &[out, udp], None).need_consent());
        let ports = r#"{ "block_ports": [8080] }"#;
        let other_side = tcp("127.0.0.1:8080", "127.0.0.1:40002", Opener::Remote);
        assert_eq!(
            lines(ports, &[lo, other_side]),
            ["the connection on this machine from 127.0.0.1:40002 to 127.0.0.1:8080 would be cut by block_ports:8080"]
        );
        assert!(!cuts(ports, &[lo, other_side], None).need_consent());
    }

    #[test]
    fn many_are_counted() {
        let many: Vec<_> =
            (0..47).map(|n| tcp("10.0.0.1:443", &format!("10.0.0.9:{}", 40_000 + n), Opener::Remote)).collect();
        let lines = lines(DENY, &many);
        assert_eq!((lines.len(), lines.last().unwrap().as_str()), (NAMED + 1, "and 37 more"));
    }

    #[test]
    fn what_was_cut_before_is_not_cut_anew() {
        let web = tcp("10.0.0.1:443", "10.0.0.9:40000", Opener::Remote);
        let before = cuts(r#"{ "block_ports": [443] }"#, &[ssh(), web], None);
        let left = cuts(DENY, &[ssh(), web], None).without(&before);
        assert_eq!(
            left.lines(Verb::Is),
            ["the connection from 10.0.0.5:50022 to port 22 is cut by default_policy deny"]
        );
    }

    #[test]
    fn one_that_is_ending_is_not_missed() {
        let ending = Connection { phase: Phase::CloseWait, ..ssh() };
        assert_eq!(lines(DENY, &[ending]), [""; 0]);
    }
}
