//! What keys ask of pfw: blocks and allowances for what is selected or typed, switches, pauses. Everything is refused or
//! done by pfw itself; nothing here is more than a request.

use super::dialog::{Dialog, Input, Menu, Purpose};
use super::{Effect, Pane, Problem, State, offers, words};
use crate::control::report::RulesPage;
use crate::control::{Activity, Change, Op, Request, Resumed};
use crate::tui::keys::Command;
use ratatui::crossterm::event::{KeyCode, KeyEvent};
use std::net::IpAddr;

/// The protocol that can be switched by one key: ICMP and ICMPv6.
const ICMP: &str = "icmp";
/// The step of the order of decision that blocks protocols.
const BLOCK_PROTOCOLS: u8 = 6;

impl State {
    pub(super) fn order(&mut self, command: Command) {
        match command {
            Command::BlockPeer => self.propose_peer(Op::Block),
            Command::AllowPeer => self.propose_peer(Op::Allow),
            Command::BlockPort => self.propose_port(Op::Block),
            Command::AllowPort => self.propose_port(Op::Allow),
            Command::Block => self.dialog = Some(Dialog::Input(Input::new(Purpose::Target(Op::Block), ""))),
            Command::Allow => self.dialog = Some(Dialog::Input(Input::new(Purpose::Target(Op::Allow), ""))),
            Command::Unban => self.unban(),
            Command::Remove => self.change_selected(|_| Op::Unblock),
            Command::Switch => self.change_selected(|is_off| if is_off { Op::Enable } else { Op::Disable }),
            Command::ToggleIcmp => self.read_rules_for_icmp(0),
            Command::Undo => self.ask(Request::Undo),
            Command::Monitoring => self.switch_monitoring(),
            Command::Enforcement if self.status.regime.enforcement_paused.is_some() => {
                self.ask(Request::Resume { what: Resumed::Enforcement });
            }
            Command::Enforcement => self.offer(offers::pause_enforcement()),
            Command::Panic if self.status.regime.panic.is_some() => self.ask(Request::Resume { what: Resumed::Panic }),
            Command::Panic => self.offer(offers::panic()),
            Command::Reload => self.ask(Request::Reload),
            Command::Confirm => self.ask(Request::Confirm),
            // The others are about the view itself.
            _ => {}
        }
    }

    fn switch_monitoring(&mut self) {
        self.ask(if self.status.regime.monitoring_paused.is_some() {
            Request::Resume { what: Resumed::Monitoring }
        } else {
            Request::Pause { what: Activity::Monitoring, for_seconds: None }
        });
    }

    fn offer(&mut self, menu: Menu) {
        self.dialog = Some(Dialog::Menu(menu));
    }

    /// Offers a change of something; nothing was meant by nothing.
    pub(super) fn propose(&mut self, op: Op, target: &str) {
        if !target.is_empty() {
            self.offer(offers::change(op, target));
        }
    }

    fn propose_peer(&mut self, op: Op) {
        match self.selected_peer() {
            Some(peer) => self.propose(op, &peer.to_string()),
            None => self.tell(false, "what is selected has no peer"),
        }
    }

    /// Takes back the ban of who is behind the selected incident.
    pub(super) fn unban(&mut self) {
        match self.incidents.list.selected().and_then(|one| self.ban_of(one)).map(|ban| ban.source) {
            Some(source) => self.ask(Request::Change(Change::new(Op::Unblock, source.to_string()))),
            None => self.tell(false, "nobody is banned for what is selected"),
        }
    }

    fn propose_port(&mut self, op: Op) {
        match self.selected_port() {
            Some(port) => self.propose(op, &port),
            None => self.tell(false, "what is selected has no TCP or UDP port"),
        }
    }

    /// The other end of what is selected.
    fn selected_peer(&mut self) -> Option<IpAddr> {
        match self.pane {
            Pane::Live => {
                // What somebody points at is not to run away.
                self.log.hold(true);
                self.log.selected()?.peer()
            }
            Pane::Talkers if self.table.which == 0 => {
                self.talkers.peers.busiest().get(self.table.row).map(|(peer, _)| *peer)
            }
            Pane::Connections => {
                let row = self.connections.list.selected()?;
                Some(if row.direction == "outgoing" { row.dst } else { row.src })
            }
            Pane::Incidents => self.incidents.list.selected()?.source(),
            Pane::Talkers | Pane::Rules => None,
        }
    }

    /// The port of the service in what is selected, `443/tcp`.
    fn selected_port(&mut self) -> Option<String> {
        let named = |port: u16, protocol: &str| {
            let protocol = protocol.to_lowercase();
            ["tcp", "udp"].contains(&protocol.as_str()).then(|| format!("{port}/{protocol}"))
        };
        match self.pane {
            Pane::Live => {
                self.log.hold(true);
                let event = self.log.selected()?;
                named(event.service()?, &event.protocol)
            }
            Pane::Talkers if self.table.which == 1 => {
                let ports = self.talkers.ports.busiest();
                let (service, _) = ports.get(self.table.row)?;
                named(service.port, &service.protocol)
            }
            Pane::Connections => {
                let row = self.connections.list.selected()?;
                named(row.dst_port?, &row.protocol)
            }
            Pane::Incidents => {
                let line = &self.incidents.list.selected()?.line;
                named(line.service()?, &line.protocol)
            }
            Pane::Talkers | Pane::Rules => None,
        }
    }

    /// Changes the selected rule; how depends on whether it is switched off.
    fn change_selected(&mut self, op: impl Fn(bool) -> Op) {
        let Some(row) = self.rules.selected() else { return self.tell(false, "no rule is selected") };
        let is_off = row.idle.as_deref() == Some("disabled");
        let change = Change::new(op(is_off), row.id.clone());
        self.ask(Request::Change(change));
    }

    fn read_rules_for_icmp(&mut self, from: usize) {
        self.icmp = Some(from);
        self.ask(Request::Rules { from });
    }

    /// Switches ICMP once it is known whether it is blocked.
    pub(super) fn look_for_icmp(&mut self, page: &RulesPage) {
        self.icmp = None;
        let blocks =
            page.rows.iter().any(|row| row.step == BLOCK_PROTOCOLS && row.matches == ICMP && row.idle.is_none());
        let is_passed = page.rows.last().is_none_or(|row| row.step > BLOCK_PROTOCOLS);
        if blocks {
            self.ask(Request::Change(Change::new(Op::Unblock, ICMP)));
        } else if is_passed {
            self.ask(Request::Change(Change::new(Op::Block, ICMP)));
        } else {
            self.read_rules_for_icmp(page.from + page.rows.len());
        }
    }

    /// A key while something is chosen: moves, takes it, or closes it.
    pub(super) fn choose(&mut self, mut menu: Menu, key: KeyEvent, command: Option<Command>) {
        let by_key = if let KeyCode::Char(key) = key.code { menu.by_key(key) } else { None };
        let taken = if key.code == KeyCode::Enter { menu.choices.get(menu.selected) } else { by_key };
        match (taken, command) {
            (Some(choice), _) => self.effects.extend(choice.request.clone().map(Effect::Ask)),
            (None, Some(Command::Move(motion))) => {
                menu.go(motion);
                self.dialog = Some(Dialog::Menu(menu));
            }
            (None, Some(Command::Back | Command::Leave)) => {}
            (None, _) => self.dialog = Some(Dialog::Menu(menu)),
        }
    }

    /// pfw has said no. What is refused for its consequences alone can be meant.
    pub(super) fn hear_refusal(&mut self, request: &Request, problem: &Problem) {
        let forced = problem.needs_force.then(|| offers::force(request, words::lines(&problem.words))).flatten();
        match forced {
            Some(menu) => self.offer(menu),
            None => self.tell(false, &problem.words),
        }
    }
}
