//! A packet, and how it is sent.

use super::ground::{Ground, VLAN, frame_from};
use super::wire::Spec;

/// Where a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Peer,
    /// The peer's side of the VLAN.
    Vlan,
    Lan,
    Host,
}

/// What a packet is to the test, for its counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Opening,
    Reply,
    Following,
    Error,
    Odd,
    Flawed,
    Network,
}

/// How a packet is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Whole,
    /// Into fragments, in the order in which they were made.
    Pieces(usize),
    /// The last first.
    Backwards(usize),
    /// One is missing.
    Missing(usize, usize),
    /// One comes twice.
    Twice(usize, usize),
    /// Behind two of them comes one that lies within them.
    Within(usize, usize),
}

/// A packet and how it is sent.
#[derive(Clone, Debug)]
pub struct Shot {
    pub kind: Kind,
    pub origin: Origin,
    pub spec: Spec,
    pub cut: Cut,
}

impl Shot {
    pub fn whole(kind: Kind, origin: Origin, spec: Spec) -> Self {
        Self { kind, origin, spec, cut: Cut::Whole }
    }

    /// The packets as they are sent.
    pub fn packets(&self) -> Vec<Vec<u8>> {
        match self.cut {
            Cut::Whole => vec![self.spec.bytes()],
            Cut::Pieces(unit) => self.spec.fragments(unit),
            Cut::Backwards(unit) => self.spec.fragments(unit).into_iter().rev().collect(),
            Cut::Missing(unit, which) => {
                let mut pieces = self.spec.fragments(unit);
                pieces.remove(which);
                pieces
            }
            Cut::Twice(unit, which) => {
                let mut pieces = self.spec.fragments(unit);
                pieces.insert(which, pieces[which].clone());
                pieces
            }
            Cut::Within(unit, which) => {
                let mut pieces = self.spec.fragments(unit);
                if which + 2 < pieces.len() {
                    pieces.insert(which + 2, self.spec.fragment(which * unit + 8, unit));
                }
                pieces
            }
        }
    }

    /// Sends it.
    pub fn send(&self, ground: &Ground) {
        for packet in self.packets() {
            let frame = |lan, vlan| frame_from(&ground.macs, lan, vlan, self.spec.dst, &packet);
            match self.origin {
                Origin::Peer => ground.peer.sends.send(&frame(false, None)),
                Origin::Vlan => ground.peer.sends.send(&frame(false, Some(VLAN))),
                Origin::Lan => ground.lan.sends.send(&frame(true, None)),
                Origin::Host => ground.sender.send(&packet, self.spec.dst),
            }
        }
    }
}
