//! The view as a whole: what keys do to it, and what it looks like.

mod orders;
mod panes;
mod steps;

use super::event::Event;
use super::event::testing::packet;
use super::state::{Effect, Incoming, News, State};
use crate::control::report::{BanRow, ConnectionRow, ConnectionsPage, Counts, RuleRow, RulesPage, RulesState, Status};
use crate::control::{Answer, Request};
use ratatui::crossterm::event::{Event as Terminal, KeyCode, KeyEvent, KeyModifiers};
use std::time::Duration;

/// A pfw that enforces.
fn status(uptime: u64) -> Status {
    let wave = |second: u64| (second % 90).min(90 - second % 90);
    let all = |rate: fn(u64, u64) -> u64| (0..uptime).map(|second| rate(second, wave(second))).sum::<u64>();
    let counts = Counts {
        allowed: all(|second, wave| 300 + 11 * wave + 37 * (second % 7)),
        blocked: all(|second, _| if second % 50 < 20 { 3 * (second % 50) + second % 3 } else { 0 }),
        suspicious: all(|second, _| u64::from(second % 97 == 0)),
        ..Counts::default()
    };
    let counts = Counts { packets: counts.allowed + counts.blocked, ..counts };
    Status {
        version: "0.1.0".into(),
        since: "2026-11-21 19:40:01".into(),
        uptime,
        enforcing: true,
        tools: Some("iptables 1.8.9 (nf_tables)".into()),
        others_enforce: false,
        rules: RulesState { file: "/etc/pfw/rules.json".into(), count: 12, generation: 1, ..RulesState::default() },
        counts,
        packets_per_second: 1_512,
        ..Status::default()
    }
}

fn events() -> Vec<Event> {
    let lines = [
        packet("allowed", "outgoing", "UDP", "10.0.0.5#41020", "192.0.2.53#53", "default_policy"),
        packet("allowed", "incoming", "UDP", "192.0.2.53#53", "10.0.0.5#41020", "reply"),
        packet("blocked", "incoming", "TCP", "192.168.1.7#50432", "10.0.0.5#22", "block_ips:192.168.1.7"),
        packet(
            "allowed",
            "outgoing",
            "TCP",
            "2001:db8::5#51512",
            "2001:db8:1234:5678:9abc:def0:1234:5678#443",
            "default_policy",
        ),
        packet("blocked", "incoming", "ICMP", "198.51.100.9", "10.0.0.5", "block_protocols:icmp"),
        packet("blocked", "incoming", "TCP", "203.0.113.20#40112", "10.0.0.5#445", "block_ports:445/tcp"),
        packet("would-block", "forwarded", "TCP", "203.0.113.20#40113", "172.17.0.2#80", "block_ports:80"),
    ];
    let other = [
        r#"{"timestamp":"2026-11-21T19:40:02.000001+01:00","in_iface":"eth0","event_type":"anomaly","src_ip":"203.0.113.66","src_port":0,"dest_ip":"10.0.0.5","dest_port":22,"proto":"TCP","pkt_len":40,"tcp_flags":"03","direction":"incoming","anomaly":{"type":"decode","event":"tcp.syn-fin"},"reason":"SYN and FIN at once"}"#,
        r#"{"timestamp":"2026-11-21T19:40:02.100000+01:00","event_type":"lost","n":1234,"cause":"not-read","reason":"events came faster than this subscriber has read them"}"#,
        r#"{"timestamp":"2026-11-21T19:40:02.200000+01:00","event_type":"pfw","event":"rules-loaded","reason":"the rules were read again"}"#,
    ];
    lines.into_iter().chain(other.iter().filter_map(|line| Event::read(line.as_bytes()))).collect()
}

fn rules() -> RulesPage {
    let row = |number: usize, step, list: &str, action: &str, id: &str, matches: &str, hits| RuleRow {
        step,
        list: list.into(),
        number: Some(number),
        action: action.into(),
        id: id.into(),
        matches: matches.into(),
        hits: Some(hits),
        // As it would be there, whatever the zone.
        last_hit: (hits > 100).then(|| "2026-11-21 19:40:01".to_owned()),
        ..RuleRow::default()
    };
    let rows = vec![
        row(1, 1, "guards", "allow", "guard:path-mtu", "ICMP fragmentation-needed, ICMPv6 packet-too-big", 0),
        row(2, 3, "block_ips, block_lists", "block", "block_ips:192.168.1.7", "peer 192.168.1.7", 1_234_567),
        RuleRow {
            comment: Some("scanner".into()),
            ..row(3, 3, "block_ips, block_lists", "block", "block_ips:203.0.113.0/24", "peer 203.0.113.0/24", 88)
        },
        row(4, 5, "block_ports", "block", "block_ports:445/tcp", "TCP port 445", 17),
        row(5, 7, "replies", "allow", "reply", "replies on connections that were let through", 98_765),
        RuleRow {
            number: None,
            idle: Some("disabled".into()),
            ..row(0, 8, "rules", "allow", "games", "in UDP to port 27015-27020", 0)
        },
        row(6, 11, "default_policy", "allow", "default_policy", "every other packet", 4_321),
    ];
    RulesPage { total: rows.len(), from: 0, generation: 1, rows }
}

/// A ban.
fn ban() -> BanRow {
    BanRow {
        source: "203.0.113.20".parse().unwrap(),
        alert: "scan.connect".into(),
        incident: Some(1),
        times: 2,
        since: "2026-11-21T18:40:03Z".into(),
        until: "2026-11-21 19:50:03".into(),
        reason: "203.0.113.20 tried 10 closed or blocked ports of 10.0.0.5 (10 packets, in 0.2 s)".into(),
    }
}

fn connections() -> ConnectionsPage {
    let row = |src: &str, dst: &str, direction: &str, state: &str, known_for, rule: &str, allowed| {
        let end = |text: &str| {
            let (address, port) = text.split_once('#').map_or((text, None), |(address, port)| (address, Some(port)));
            (address.parse().unwrap(), port.map(|port| port.parse().unwrap()))
        };
        let ((src, src_port), (dst, dst_port)) = (end(src), end(dst));
        ConnectionRow {
            protocol: if state.is_empty() { "UDP".into() } else { "TCP".into() },
            src,
            src_port,
            dst,
            dst_port,
            direction: direction.into(),
            state: state.into(),
            answered: known_for > 1,
            known_for,
            expires_in: 100,
            rule: rule.into(),
            allowed,
        }
    };
    let rows = vec![
        row("10.0.0.5#51512", "192.0.2.1#443", "outgoing", "ESTABLISHED", 4_000, "default_policy", true),
        row("192.168.1.7#50000", "10.0.0.5#22", "incoming", "ESTABLISHED", 90, "block_ips:192.168.1.7", false),
        row("2001:db8::5#4000", "2001:db8::53#53", "outgoing", "", 1, "default_policy", true),
    ];
    ConnectionsPage { total: 3, next: None, rows }
}

/// A view that has been there for some minutes.
fn state(size: (u16, u16)) -> State {
    let mut state = State::new(size, status(1_000), false);
    for uptime in 1_000..=1_300 {
        hear(&mut state, &Request::Status, Answer::Status(Box::new(status(uptime))));
    }
    for _ in 0..3 {
        state.update(Incoming::News(News::Events(events())));
    }
    hear(&mut state, &Request::Rules { from: 0 }, Answer::Rules(rules()));
    state
}

fn hear(state: &mut State, request: &Request, answer: Answer) -> Vec<Effect> {
    state.update(Incoming::News(News::Answer { request: request.clone(), answer: Ok(answer) }))
}

fn press(state: &mut State, code: KeyCode) -> Vec<Effect> {
    state.update(Incoming::Terminal(Terminal::Key(KeyEvent::new(code, KeyModifiers::NONE))))
}

fn type_in(state: &mut State, text: &str) {
    for char in text.chars() {
        press(state, KeyCode::Char(char));
    }
}

/// Makes a choice, and says of it that it is meant: the answer to a question, if there was one.
fn mean(state: &mut State, choice: char) -> Vec<Effect> {
    press(state, KeyCode::Char(choice));
    assert_eq!(press(state, KeyCode::Enter), [], "it is asked whether this is meant");
    press(state, KeyCode::Char('y'))
}

fn paste(state: &mut State, text: &str) -> Vec<Effect> {
    state.update(Incoming::Terminal(Terminal::Paste(text.to_owned())))
}

fn pass(state: &mut State, seconds: u64) -> Vec<Effect> {
    state.update(Incoming::Time(Duration::from_secs(seconds)))
}
