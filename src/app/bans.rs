//! Bans: whom none falls on, how one is put in force, and what is said of it.

use super::clerk::Asker;
use super::live::Desk;
use super::office::Office;
use crate::alert::Response;
use crate::detect::Ban;
use crate::host::{self, Host};
use crate::record::PfwEvent;
use crate::rules::Ruleset;
use crate::time::Timestamp;
use std::net::IpAddr;

/// Why nobody bans `source`, if so: who bans these cuts himself off, or goes against his own rules.
pub(super) fn spares(rules: &Ruleset, host: &Host, source: IpAddr, now: Timestamp) -> Option<&'static str> {
    let allowed = rules.allow_ips.iter().filter(|entry| entry.enabled && entry.expires.is_none_or(|end| end > now));
    let (mut is_allowed, mut is_taken_away) = (false, false);
    for entry in allowed.filter(|entry| entry.value.contains(source)) {
        is_allowed |= !entry.negated;
        is_taken_away |= entry.negated;
    }
    let facts = [
        (is_allowed && !is_taken_away, "allow_ips has it"),
        (source.is_loopback() || host.owns(source), "it is an address of this machine"),
        (host.gateways.contains(&source), "it is a default gateway"),
        (host.resolvers.contains(&source), "it is a configured resolver"),
        (host.ssh_peers.contains(&source), "it has an open SSH session to this machine"),
    ];
    facts.into_iter().find(|(is_so, _)| *is_so).map(|(_, why)| why)
}

/// A ban in words, without whether it is one.
pub(super) fn words(ban: &Ban) -> String {
    let Ban { source, alert, lasts, times, reason, .. } = ban;
    let again = if *times > 1 { format!(", time {times}") } else { String::new() };
    format!("{source} for {} s ({}{again}): {reason}", lasts.as_secs(), alert.name())
}

impl Office {
    /// Bans a source, if the rules ask for that and it is not one that is never banned; or says that it would be.
    pub(super) fn ban(&mut self, desk: &mut impl Desk, ban: Ban, only_said: bool) {
        let now = Timestamp::now();
        let rules = &self.book.loaded().ruleset;
        if let Some(why) = spares(rules, &host::read(), ban.source, now) {
            return self.note(PfwEvent::BanSpared, &format!("not banned, {why}: {}", words(&ban)));
        }
        if only_said || rules.detect.action != Response::Ban || !self.is_enforcing() {
            return self.note(PfwEvent::WouldBan, &format!("would ban {}", words(&ban)));
        }
        let words = format!("banned {}", words(&ban));
        let pages = match self.book.propose_ban(ban, now) {
            Ok(Some(pages)) => pages,
            Ok(None) => return,
            Err(refusal) => {
                self.board.change(|notice| notice.bans_without_room += 1);
                return self.note(PfwEvent::BanSpared, &format!("not {words}; {refusal}"));
            }
        };
        // What fails is said there.
        if self.put_in_force(desk, &pages, self.regime, Asker::Nobody, &words).is_ok() {
            desk.say(&format!("pfw: {words}"));
            self.note(PfwEvent::Banned, &words);
            self.turn_to(pages);
        }
    }

    /// Says which bans have ended.
    pub(super) fn tell_ended_bans(&self, desk: &mut impl Desk, now: Timestamp) {
        let ended = self.book.temporary().iter().filter(|one| one.until.is_some_and(|end| end <= now));
        for ban in ended.filter_map(|one| one.ban.as_ref()) {
            let words = format!("{} is not banned any more", ban.source);
            desk.say(&format!("pfw: {words}"));
            self.note(PfwEvent::BanEnded, &words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Origin, parse};
    use std::path::Path;

    fn rules(text: &str) -> Ruleset {
        let read = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
        let origin = Origin { file: "rules.json", folder: Path::new(""), read: &read };
        parse(text.as_bytes().to_vec(), &origin).expect("sound rules").ruleset
    }

    #[test]
    fn nobody_is_banned_whom_the_user_needs_or_allows() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let host = Host {
            addresses: vec![(address("10.0.0.5"), 24)],
            gateways: vec![address("10.0.0.1")],
            resolvers: vec![address("9.9.9.9")],
            ssh_peers: vec![address("10.0.0.9")],
            ..Host::default()
        };
        let rules = rules(r#"{ "allow_ips": ["192.0.2.0/24", "!192.0.2.66"] }"#);
        for (source, words) in [
            ("192.0.2.7", Some("allow_ips")),
            ("192.0.2.66", None),
            ("10.0.0.5", Some("this machine")),
            ("127.0.0.1", Some("this machine")),
            ("10.0.0.1", Some("gateway")),
            ("9.9.9.9", Some("resolver")),
            ("10.0.0.9", Some("SSH")),
            ("10.0.0.8", None),
        ] {
            let why = spares(&rules, &host, address(source), Timestamp::now());
            assert_eq!(why.is_some(), words.is_some(), "{source}");
            assert!(why.unwrap_or_default().contains(words.unwrap_or_default()), "{source}: {why:?}");
        }
    }
}
