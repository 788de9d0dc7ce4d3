//! Services where somebody logs in: who opens so many connections to one that he tries passwords, and who has surely
//! opened them.

use super::accused::{self, Charge};
use super::clock::seconds;
use super::keyed::{LOGIN, LOGIN_OPENED};
use super::proof::Proof;
use super::tallies::Try;
use super::{Against, Found, Limit, Look, Traffic, tell};
use crate::alert::{Alert, Settings};
use crate::engine::{Direction, State};
use crate::packet::{Ip, Ports, Transport};

/// Services where people log in: FTP, SSH, Telnet, SMB, remote desktops.
const PEOPLES_LOGINS: [u16; 8] = [21, 22, 23, 445, 3389, 5900, 5985, 5986];
/// Services where programs do: mail and databases. Some open a connection for each page or folder.
const PROGRAMS_LOGINS: [u16; 11] = [110, 143, 587, 993, 995, 1433, 1521, 3306, 5432, 6379, 27017];
/// So many times as many connections to these are an attack.
const OF_PROGRAMS: u32 = 5;
impl Traffic {
    /// Takes in what a segment says about who sent it: whether it is surely from there.
    #[inline]
    pub(super) fn prove(&mut self, ip: &Ip, against: &Against<'_>, found: &mut Found) {
        let Transport::Tcp(tcp) = ip.transport else { return };
        let (Look { direction, state, time, .. }, ports) = (against.look, tcp.ports);
        if accused::offers(tcp) && direction != Direction::Incoming {
            let key = self.keyed.connection((ip.dst, ports.dst), (ip.src, ports.src));
            return self.accused.proofs.offered(key, tcp, time);
        }
        let may_prove = direction != Direction::Outgoing && state != State::Reply;
        if !may_prove || !self.accused.proofs.are_waited_for(time) {
            return;
        }
        let key = self.keyed.connection((ip.src, ports.src), (ip.dst, ports.dst));
        match self.accused.heard(key, ip, tcp) {
            Some(Proof::Left) => found.bans.extend(self.accused.left(ip.src, against)),
            Some(Proof::Opened) if attempts(ports.dst, against.settings).is_some() => {
                self.logs_in(ip, ports, against, found);
            }
            _ => {}
        }
    }

    /// Somebody has surely connected to a service where one logs in.
    fn logs_in(&mut self, ip: &Ip, ports: Ports, against: &Against<'_>, found: &mut Found) {
        let Some(attempts) = attempts(ports.dst, against.settings) else { return };
        let window = against.settings.brute_force_seconds;
        let key = self.keyed.pair(LOGIN_OPENED, ip.src, ip.dst, ports.dst);
        let tried = Try { key, thing: self.keyed.item(ports.src.into()), who: 0, window };
        let opened = self.tallies.add(&tried, seconds(against.look.time)).map_or(0, |count| count.things);
        if opened < attempts || !against.settings.wants(Alert::BruteForce) || against.home.owns(ip.src) {
            return;
        }
        let reason = format!("{} opened {opened} connections to {} port {}", ip.src, ip.dst, ports.dst);
        let charge = Charge { alert: Alert::BruteForce, incident: None, reason };
        found.bans.extend(self.accused.convict(ip.src, charge, against));
    }

    /// A SYN to a port: one of many, perhaps, to a service where one logs in.
    pub(super) fn guesses(&mut self, ip: &Ip, ports: Ports, against: &Against<'_>, found: &mut Found) {
        let Some(attempts) = attempts(ports.dst, against.settings) else { return };
        let key = self.keyed.pair(LOGIN, ip.src, ip.dst, ports.dst);
        let limit = Limit::of(Alert::BruteForce, attempts);
        let window = against.settings.brute_force_seconds;
        let thing = self.keyed.item(ports.src.into());
        if let Some(news) = self.tried(&Try { key, thing, who: 0, window }, &limit, against) {
            let words = format!("{} opened {} connections to {} port {}", ip.src, news.things, ip.dst, ports.dst);
            // Only connections that were really opened ban their source, unless forged ones do.
            if against.settings.ban_unverified {
                self.blame(ip.src, &news, &words, against, found);
            } else {
                found.findings.push(tell(&news, &words));
            }
        }
    }
}

/// How many connections to a port are an attack; `None` where nobody logs in.
pub(super) fn attempts(port: u16, settings: &Settings) -> Option<u32> {
    let few = settings.brute_force_attempts;
    match port {
        _ if PEOPLES_LOGINS.contains(&port) => Some(few),
        _ if PROGRAMS_LOGINS.contains(&port) => Some(few.saturating_mul(OF_PROGRAMS)),
        _ => None,
    }
}
