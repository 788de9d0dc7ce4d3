//! Who is to be banned: the sources of scans, sweeps and guessed passwords, once they are surely who they say.
//!
//! Nothing that a forged source can do alone bans anybody ([`proof`](super::proof)), unless the user wants that: a scan
//! counts when its source has opened a connection meanwhile, or shortly before, and left it without a word, as scans by
//! connecting do; guessed passwords count by connections that were really opened.

use super::proof::{Proof, Proofs};
use super::sentence::Sentences;
use super::{Against, Ban};
use crate::alert::Alert;
use crate::packet::{Ip, Tcp, TcpFlags};
use crate::time::Timestamp;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Sources of incidents that are not sure yet; there are no more incidents at once.
const MOST_SUSPECTS: usize = 256;
/// Sources that left connections without a word. Each is a real one.
const MOST_LEAVERS: usize = 1024;
/// How near to each other an incident and a silent connection are.
const NEAR: Duration = Duration::from_mins(2);

/// What is known of sources that could be banned.
#[derive(Debug)]
pub(super) struct Accused {
    /// Somebody wants to know.
    is_wanted: bool,
    pub(super) proofs: Proofs,
    suspects: HashMap<IpAddr, Suspect, FixedState>,
    leavers: HashMap<IpAddr, Timestamp, FixedState>,
    sentences: Sentences,
}

/// A source of an incident.
#[derive(Clone, Debug)]
struct Suspect {
    charge: Charge,
    last: Timestamp,
}

/// What a source is banned for.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    pub(super) alert: Alert,
    pub(super) incident: Option<u64>,
    pub(super) reason: String,
}

impl Accused {
    pub(super) fn new() -> Self {
        Self {
            is_wanted: false,
            proofs: Proofs::new(),
            suspects: HashMap::default(),
            leavers: HashMap::default(),
            sentences: Sentences::default(),
        }
    }

    /// Whether bans are wanted from now on.
    pub(super) fn want(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
    }

    /// Whether bans are wanted.
    #[inline]
    pub(super) fn are_wanted(&self) -> bool {
        self.is_wanted
    }

    /// `source` is behind an incident. The ban that follows at once, if one does.
    pub(super) fn accuse(&mut self, source: IpAddr, charge: Charge, against: &Against<'_>) -> Option<Ban> {
        let now = against.look.time;
        if !self.is_wanted || against.home.owns(source) {
            return None;
        }
        if self.suspects.len() >= MOST_SUSPECTS {
            self.suspects.retain(|_, suspect| now.since(suspect.last) <= NEAR);
        }
        if self.suspects.len() < MOST_SUSPECTS || self.suspects.contains_key(&source) {
            self.suspects.insert(source, Suspect { charge: charge.clone(), last: now });
        }
        let has_left = self.leavers.get(&source).is_some_and(|&left| now.since(left) <= NEAR);
        if has_left || against.settings.ban_unverified { self.convict(source, charge, against) } else { None }
    }

    /// The incident that `source` is behind goes on. The ban that follows, if forged sources are banned.
    pub(super) fn goes_on(&mut self, source: IpAddr, against: &Against<'_>) -> Option<Ban> {
        let suspect = self.suspects.get_mut(&source)?;
        suspect.last = against.look.time;
        if !against.settings.ban_unverified {
            return None;
        }
        let charge = suspect.charge.clone();
        self.convict(source, charge, against)
    }

    /// `source` has left a connection without a word. The ban that follows, if it is behind an incident.
    pub(super) fn left(&mut self, source: IpAddr, against: &Against<'_>) -> Option<Ban> {
        let now = against.look.time;
        if self.leavers.len() >= MOST_LEAVERS {
            self.leavers.retain(|_, left| now.since(*left) <= NEAR);
        }
        if self.leavers.len() < MOST_LEAVERS || self.leavers.contains_key(&source) {
            self.leavers.insert(source, now);
        }
        let suspect = self.suspects.get(&source).filter(|suspect| now.since(suspect.last) <= NEAR)?;
        let charge = suspect.charge.clone();
        self.convict(source, charge, against)
    }

    /// Bans `source`, unless it is banned.
    pub(super) fn convict(&mut self, source: IpAddr, charge: Charge, against: &Against<'_>) -> Option<Ban> {
        let (lasts, times) = self.sentences.pass(source, against.look.time, against.settings)?;
        let Charge { alert, incident, reason } = charge;
        Some(Ban { source, alert, incident, begins: against.look.time, lasts, times, reason })
    }

    /// What a segment of a connection that was offered proves.
    pub(super) fn heard(&mut self, key: u64, ip: &Ip, tcp: Tcp) -> Option<Proof> {
        let header = if ip.src.is_ipv4() { 40 } else { 60 };
        self.proofs.heard(key, tcp, ip.len.saturating_sub(header))
    }
}

/// Whether a segment offers a connection.
#[inline]
pub(super) fn offers(tcp: Tcp) -> bool {
    tcp.flags.has(TcpFlags::SYN | TcpFlags::ACK)
}
