//! Whether rules would cut the sessions through which somebody steers this machine.

use crate::engine::{Context, Direction, Engine, InterfaceClass, Limits, Matcher};
use crate::host::Host;
use crate::packet::{Ip, Ports, Protocol, Tcp, TcpFlags, Transport};
use crate::rules::Ruleset;
use crate::time::Timestamp;
use std::net::IpAddr;

/// The port that sessions are opened to, as far as is known: the rules are asked about this one.
const SSH: u16 = 22;
/// A port that a client has: any will do.
const CLIENT: u16 = 50_022;

/// The sessions to this machine that `ruleset` would cut, in words: those of the hosts that have an SSH session open
/// now, held against the rules as a new connection would be.
pub fn cut_sessions(ruleset: &Ruleset, host: &Host, now: Timestamp) -> Vec<String> {
    let matcher = Matcher::new(ruleset, host, now);
    let cut = |&peer: &IpAddr| {
        let own = host
            .addresses
            .iter()
            .map(|&(own, _)| own)
            .find(|own| own.is_ipv4() == peer.is_ipv4() && !own.is_loopback())?;
        let by = blocking_rule(&matcher, peer, own, now)?;
        Some(format!("your SSH session from {peer} would be cut by {by}"))
    };
    host.ssh_peers.iter().filter_map(cut).collect()
}

/// The rule that blocks the opening packet of a session, or else its answer.
fn blocking_rule(matcher: &Matcher, peer: IpAddr, own: IpAddr, now: Timestamp) -> Option<String> {
    let mut engine = Engine::new(Limits::default());
    let opening = segment(peer, own, Ports { src: CLIENT, dst: SSH }, TcpFlags::SYN);
    let answer = segment(own, peer, Ports { src: SSH, dst: CLIENT }, TcpFlags::SYN | TcpFlags::ACK);
    [(opening, Direction::Incoming), (answer, Direction::Outgoing)].into_iter().find_map(|(packet, direction)| {
        // No interface: a rule that names one may well be the one that lets the session through.
        let context = Context { direction, interface: InterfaceClass::default(), time: now };
        let decision = engine.decide(matcher, &packet, &context);
        let rule = matcher.rules().get(decision.rule.0 as usize)?;
        (!decision.allows()).then(|| rule.id.to_string())
    })
}

fn segment(src: IpAddr, dst: IpAddr, ports: Ports, flags: u8) -> Ip {
    let transport = Transport::Tcp(Tcp { ports, flags: TcpFlags(flags) });
    Ip { src, dst, protocol: Protocol::TCP, ttl: 64, len: 40, fragment: None, transport }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Origin, parse};
    use std::path::Path;

    fn cut(rules: &str) -> Vec<String> {
        let read = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
        let loaded = parse(rules.as_bytes().to_vec(), &origin).expect("sound rules");
        let host = Host {
            addresses: vec![([10, 0, 0, 1].into(), 24)],
            ssh_peers: vec![[10, 0, 0, 5].into()],
            ..Host::default()
        };
        cut_sessions(&loaded.ruleset, &host, Timestamp::default())
    }

    #[test]
    fn a_session_that_the_rules_would_cut_is_named_with_the_rule() {
        for (rules, by) in [
            (r#"{ "default_policy": "deny" }"#, "default_policy"),
            (r#"{ "block_ips": ["10.0.0.0/24"] }"#, "block_ips:10.0.0.0/24"),
            (r#"{ "block_ports": [22] }"#, "block_ports:22"),
        ] {
            assert_eq!(cut(rules), [format!("your SSH session from 10.0.0.5 would be cut by {by}")], "{rules}");
        }
    }

    #[test]
    fn a_session_that_goes_on_is_not_named() {
        for rules in [
            "{}",
            r#"{ "default_policy": "deny", "allow_ips": ["10.0.0.5"] }"#,
            r#"{ "default_policy": "deny", "rules": [{ "action": "allow", "direction": "in", "protocol": "tcp", "dst_port": 22 }] }"#,
        ] {
            assert_eq!(cut(rules), [""; 0], "{rules}");
        }
    }
}
