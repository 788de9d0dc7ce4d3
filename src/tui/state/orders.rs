//! What keys ask of pfw: blocks and allowances for what is selected or typed, switches, pauses. Everything is refused or
//! done by pfw itself; nothing here is more than a request.

use super::dialog::{Dialog, Input, Kind, Menu, Purpose};
use super::{Pane, Problem, State, offers, words};
use crate::control::report::RulesPage;
use crate::control::{Activity, Change, Op, Request, Resumed};
use crate::tui::keys::Command;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::net::IpAddr;

/// The protocol that can be switched by one key: ICMP and ICMPv6.
const ICMP: &str = "icmp";
/// The action of a rule that lets through.
const ALLOW: &str = "allow";
/// What is said where nothing can be switched or removed.
const NO_RULE: &str = "no rule is selected";
/// What is said when somebody has not said yes.
const LEFT: &str = "left as it is";
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
            Command::Remove => self.remove_selected(),
            Command::Switch => self.switch_selected(),
            Command::ToggleIcmp => self.read_rules_for_icmp(0),
            Command::Undo => self.make_sure("Take the last change of the rules back?", Request::Undo),
            Command::Monitoring => self.switch_monitoring(),
            Command::Enforcement if self.status.regime.enforcement_paused.is_some() => {
                self.ask(Request::Resume { what: Resumed::Enforcement, force: false });
            }
            Command::Enforcement => self.offer(offers::pause_enforcement(self.status.regime.panic.is_some())),
            Command::Panic if self.status.regime.panic.is_some() => {
                let what = "End the panic? What the rules allow passes again.";
                self.make_sure(what, Request::Resume { what: Resumed::Panic, force: false });
            }
            Command::Panic => self.offer(offers::panic()),
            Command::Reload => {
                let file = self.status.rules.file.display();
                self.make_sure(&format!("Read {file} again? What it says acts then."), Request::Reload);
            }
            Command::Confirm => self.ask(Request::Confirm),
            // The others are about the view itself.
            _ => {}
        }
    }

    fn switch_monitoring(&mut self) {
        self.ask(if self.status.regime.monitoring_paused.is_some() {
            Request::Resume { what: Resumed::Monitoring, force: false }
        } else {
            Request::Pause { what: Activity::Monitoring, for_seconds: None }
        });
    }

    /// Offers a choice. Keys that are meant for what is open are not to answer what comes while nobody waits for it.
    fn offer(&mut self, menu: Menu) {
        if self.dialog.is_some() {
            self.tell(false, &menu.title.join(" "));
        } else {
            self.dialog = Some(Dialog::Menu(menu));
        }
    }

    /// Asks whether something is meant, before pfw is asked for it.
    fn make_sure(&mut self, what: &str, request: Request) {
        self.offer(offers::question(words::lines(what), "do it", request));
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
            Some(source) => {
                let request = Request::Change(Change::new(Op::Unblock, source.to_string()));
                self.make_sure(&format!("Take the ban of {source} back?"), request);
            }
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

    fn remove_selected(&mut self) {
        let Some(row) = self.rules.selected() else { return self.tell(false, NO_RULE) };
        let what = format!("Remove {} ({} {})?", row.id, row.action, row.matches);
        let request = Request::Change(Change::new(Op::Unblock, row.id.clone()));
        self.make_sure(&what, request);
    }

    /// Switches the selected rule. It is asked back, but not where what was blocked before is blocked again.
    fn switch_selected(&mut self) {
        let Some(row) = self.rules.selected() else { return self.tell(false, NO_RULE) };
        let is_off = row.idle.as_deref() == Some("disabled");
        let op = if is_off { Op::Enable } else { Op::Disable };
        let what = format!("{} {} ({} {})?", offers::verb(op), row.id, row.action, row.matches);
        let blocks_again = is_off && row.action != ALLOW;
        let request = Request::Change(Change::new(op, row.id.clone()));
        if blocks_again {
            self.ask(request);
        } else {
            self.make_sure(&what, request);
        }
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
            self.make_sure("ICMP is blocked. Block it no longer?", Request::Change(Change::new(Op::Unblock, ICMP)));
        } else if is_passed {
            self.make_sure("Block ICMP for everybody?", Request::Change(Change::new(Op::Block, ICMP)));
        } else {
            self.read_rules_for_icmp(page.from + page.rows.len());
        }
    }

    /// A key while something is chosen: selects, takes what is selected, or closes it.
    pub(super) fn choose(&mut self, mut menu: Menu, key: KeyEvent, command: Option<Command>) {
        let is_question = menu.kind == Kind::Question;
        let typed = if let KeyCode::Char(char) = key.code { Some(char) } else { None };
        let is_plain = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match (typed, typed.filter(|_| is_plain).and_then(|char| menu.place_of(char)), command) {
            _ if key.code == KeyCode::Enter => return self.take_choice(&menu, menu.selected),
            (_, Some(place), _) if is_question => return self.take_choice(&menu, place),
            (_, Some(place), _) => menu.selected = place,
            (Some(_), None, _) if is_question => return self.tell(true, LEFT),
            (_, None, Some(Command::Back | Command::Leave)) => return,
            (Some(char), None, _) => {
                let words = format!("'{char}' is none of the choices: Enter takes the marked one, Esc leaves it");
                self.tell(false, &words);
            }
            // Of a question nothing is marked but to leave it, so that Enter is no yes.
            (None, None, Some(Command::Move(motion))) if !is_question => menu.go(motion),
            (None, None, _) => {}
        }
        self.offer(menu);
    }

    /// Has done what was chosen, or asks whether it is meant.
    pub(super) fn take_choice(&mut self, menu: &Menu, place: usize) {
        let Some(choice) = menu.choices.get(place) else { return };
        match (choice.request.clone(), &menu.kind) {
            (Some(request), Kind::Asks(what)) => self.make_sure(&format!("{what} {}?", choice.words), request),
            (Some(request), Kind::Acts | Kind::Question) => self.ask(request),
            (None, _) => self.tell(true, LEFT),
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
