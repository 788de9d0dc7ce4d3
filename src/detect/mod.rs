//! Packets and decisions -> what is suspicious about them, by name.
//!
//! Pure: no clock but the packets' own, no input or output. The border runs at names and words, which are `alert`'s,
//! and at lines, which are `record`'s. [`Detector::packet`] says what a single packet tells, [`Detector::traffic`] what
//! it tells together with those before it.

mod home;
mod packet;
mod traffic;

use crate::alert::{Alert, Oddity, Response, Settings};
use crate::engine::{Direction, Premises, State};
use crate::packet::Packet;
use crate::time::Timestamp;
use home::Home;
use std::net::IpAddr;
use std::time::Duration;
use traffic::Traffic;

/// A packet, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The packet.
    pub packet: &'a Packet,
    /// Which way it went.
    pub direction: Direction,
    /// When it was seen.
    pub time: Timestamp,
    /// What connection tracking makes of it.
    pub state: State,
    /// The name of the interface that it was seen on.
    pub interface: &'a [u8],
}

/// Suspicious traffic: an incident that has begun, or doubled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub alert: Alert,
    /// The incident's number.
    pub incident: u64,
    /// Packets of the incident so far.
    pub packets: u64,
    /// It has just begun.
    pub is_new: bool,
    /// Who does what to whom, with the numbers.
    pub reason: String,
}

/// A source that is to be blocked for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Who.
    pub source: IpAddr,
    /// What for.
    pub alert: Alert,
    /// The number of the incident, if it is one.
    pub incident: Option<u64>,
    /// From when on.
    pub begins: Timestamp,
    /// For how long.
    pub lasts: Duration,
    /// The how manieth time it is: it grows with each.
    pub times: u32,
    /// What it did, with the numbers.
    pub reason: String,
}

/// What a packet tells together with those before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Incidents that have begun, or doubled.
    pub findings: Vec<Finding>,
    /// Sources that are to be banned, if that is wanted.
    pub bans: Vec<Ban>,
}

/// All detectors, with what they remember.
#[derive(Debug)]
pub struct Detector {
    home: Home,
    settings: Settings,
    traffic: Traffic,
    /// Gateways that the rules' machine does not know of.
    supposed: Vec<IpAddr>,
    /// Bans are wanted even if nobody is to be banned.
    shows_bans: bool,
}

impl Detector {
    /// Bytes that the detectors' tables take, whatever comes.
    pub const BYTES: usize = Traffic::BYTES;

    /// Detectors that have seen nothing yet. `seed` is the key of their hashes: a secret, where somebody could send
    /// what falls together on purpose.
    pub fn new(premises: &Premises, seed: u64) -> Self {
        let mut traffic = Traffic::new(seed);
        traffic.want_bans(premises.settings.action == Response::Ban);
        let (home, settings) = (Home::new(premises), premises.settings.clone());
        Self { home, settings, traffic, supposed: Vec::new(), shows_bans: false }
    }

    /// Tells of bans even where the rules ask for none.
    pub fn show_bans(&mut self) {
        self.shows_bans = true;
        self.traffic.want_bans(true);
    }

    /// Takes these for gateways of the machine, beside those that are known.
    pub fn suppose_gateways(&mut self, gateways: Vec<IpAddr>) {
        self.home.add_gateways(&gateways);
        self.supposed = gateways;
    }

    /// Takes over other thresholds and another machine. What was seen stays.
    pub fn learn(&mut self, premises: &Premises) {
        self.home = Home::new(premises);
        self.home.add_gateways(&self.supposed);
        self.settings = premises.settings.clone();
        self.traffic.want_bans(self.shows_bans || self.settings.action == Response::Ban);
    }

    /// Whether something may be odd about a single packet: a look that costs next to nothing.
    #[inline]
    pub fn may_be_odd(&self, packet: &Packet, direction: Direction) -> bool {
        packet::may_be_odd(packet, direction, &self.home)
    }

    /// What is odd about a single packet.
    #[inline]
    pub fn packet(&self, packet: &Packet, direction: Direction) -> impl Iterator<Item = Oddity> {
        packet::oddities(packet, direction, &self.home).filter(|odd| self.settings.wants(odd.alert))
    }

    /// What a packet tells together with those before it; most tell nothing. Each packet is to be shown once.
    #[inline]
    pub fn traffic(&mut self, look: Look<'_>) -> Option<Found> {
        self.traffic.observe(look, &self.home, &self.settings)
    }

    /// Forgets who is in the network that `interface` was in: it may be in another one from now on, or somebody there
    /// has gone and left the address to others.
    pub fn forget_neighbours(&mut self, interface: &[u8]) {
        self.traffic.forget_neighbours(interface);
    }

    /// Incidents so far, and those that found no room and were not told.
    pub fn incidents(&self) -> (u64, u64) {
        self.traffic.incidents()
    }
}
