//! The machine's interfaces, how they stand on one another, and what a frame seen on one of them means.
//!
//! A tap on all interfaces sees a packet on each device it passes: on the port and on the bridge, on the network
//! card and on the VLAN. It is to be logged once, on the device where it reaches the IP stack, which is also the
//! device that the kernel's packet filter calls its interface. [`Interfaces::sighting`] decides that from what the
//! kernel says about the devices and the frame alone:
//!
//! | seen on | how | so it is | because |
//! |---|---|---|---|
//! | any device but a port | to another host | for another host | only a promiscuous device shows it |
//! | `lo` | outgoing | a duplicate | the same packet comes in at once |
//! | `lo` | incoming | a line, loopback | |
//! | port of a bridge, bond, team, Open vSwitch ... | any | a duplicate | the device above shows what is for this host; what is forwarded between ports never reaches the stack |
//! | member of a VRF | any | a line of the VRF | the tap shows it on the member, the packet filter on the VRF |
//! | VRF | outgoing | a line, loopback | the VRF's packets to itself; the tap doesn't get them when they come in |
//! | any | with a VLAN id for which there is a device on this one | a duplicate | the VLAN's device shows it without its tag |
//! | any | incoming, with another VLAN id | not for the stack | the kernel drops it behind the tap; id 0 is no VLAN |
//! | below a macvlan | outgoing, with the macvlan's address | a duplicate | the macvlan's device shows it |
//! | macvtap, ipvtap | any | not for the stack | it is a virtual machine's |
//! | ifb, nlmon, vsockmon | any | a duplicate | copies of what passed elsewhere, or no packets at all |
//! | any other | any | a line | |
//!
//! Known limits: with a queueing discipline of its own, or with another tap bound to it, a VRF shows packets that
//! its members show, too. An ipvlan has the address of the device below, on which its packets are taken for that
//! device's. What a container's macvlan sends is outgoing on the device below.

mod link;
mod watch;

pub use link::Interface;
pub use watch::{LinkEvent, Watch};

use super::Frame;
use crate::packet::PacketType;
use std::collections::VecDeque;

/// How many interfaces are remembered after they vanished: their last frames may still be in the ring.
const MAX_GONE: usize = 64;

/// What a frame that was seen means for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// The packet has its line here.
    Line {
        /// Index of the interface that the line names: that of the frame, or of the VRF which that is a member of.
        interface: u32,
        /// The packet stays within this host.
        loopback: bool,
    },
    /// The packet has its line elsewhere, if it reaches the stack at all.
    Duplicate,
    /// The frame was for another host.
    OtherHost,
    /// The frame was let in by the device, and the stack never sees it.
    NotForStack,
}

/// What an interface is to those that stand on it or that it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Its frames are the IP stack's.
    Stack,
    /// Its packets come back in.
    Loopback,
    /// A device above takes its frames.
    Port,
    /// A member of the VRF with this index.
    Member(u32),
    /// A VRF.
    Vrf,
    /// A virtual machine's.
    Guest,
    /// It shows what passed elsewhere.
    Mirror,
}

#[derive(Clone, Debug)]
struct Entry {
    interface: Interface,
    role: Role,
    /// The VLANs that have a device on this one, and whether that is up.
    vlans: Vec<(u16, bool)>,
    /// Addresses of the macvlans on this device.
    macvlans: Vec<[u8; 6]>,
}

/// The interfaces at a point in time.
#[derive(Clone, Debug, Default)]
pub struct Interfaces {
    /// In the order of their indexes.
    present: Vec<Entry>,
    /// Oldest first.
    gone: VecDeque<Entry>,
}

impl Interfaces {
    /// All that are present, in the order of their indexes.
    pub fn iter(&self) -> impl Iterator<Item = &Interface> {
        self.present.iter().map(|entry| &entry.interface)
    }

    /// The one with this name.
    pub fn find(&self, name: &str) -> Option<&Interface> {
        self.iter().find(|interface| interface.name == name)
    }

    /// The one with this index, present or lately vanished.
    pub fn get(&self, index: u32) -> Option<&Interface> {
        self.entry(index).map(|entry| &entry.interface)
    }

    /// The name of the one with this index, which is not to be trusted to be printable.
    pub fn name(&self, index: u32) -> Option<&str> {
        self.get(index).map(|interface| &*interface.name)
    }

    /// The names of the interfaces where others may be than were before, since `before`: they have lost their carrier or
    /// vanished, or one of their ports has, or has left.
    pub fn changed_since<'b>(&self, before: &'b Self) -> impl Iterator<Item = &'b str> {
        let has_changed = |old: &&Interface| {
            let now = self.iter().find(|now| now.index == old.index);
            now.is_none_or(|now| now.master != old.master || old.running && !now.running)
        };
        let changed = before.iter().filter(has_changed);
        changed.map(|old| old.master.and_then(|master| before.name(master)).unwrap_or(&old.name))
    }

    /// The device above that takes the frames of `interface`, if it is a port: they are logged there.
    pub fn device_above(&self, interface: &Interface) -> Option<&Interface> {
        let master = interface.master?;
        matches!(self.role(interface.index), Role::Port).then(|| self.get(master)).flatten()
    }

    /// What `frame`, which was seen on a live interface, means for the log.
    pub fn sighting(&self, frame: &Frame<'_>) -> Sighting {
        let outgoing = frame.packet_type == Some(PacketType::Outgoing);
        let line = Sighting::Line { interface: frame.interface, loopback: false };
        let loopback = Sighting::Line { interface: frame.interface, loopback: true };
        let other_host = frame.packet_type == Some(PacketType::OtherHost);
        let Some(entry) = self.entry(frame.interface) else {
            return if other_host { Sighting::OtherHost } else { line };
        };
        match entry.role {
            Role::Port | Role::Mirror => Sighting::Duplicate,
            Role::Guest => Sighting::NotForStack,
            _ if other_host => Sighting::OtherHost,
            Role::Loopback if outgoing => Sighting::Duplicate,
            Role::Loopback => loopback,
            Role::Vrf if outgoing => loopback,
            Role::Stack | Role::Vrf => entry.not_a_line(frame, outgoing).unwrap_or(line),
            Role::Member(vrf) => {
                let line = Sighting::Line { interface: vrf, loopback: false };
                entry.not_a_line(frame, outgoing).unwrap_or(line)
            }
        }
    }

    pub(super) fn role(&self, index: u32) -> Role {
        self.entry(index).map_or(Role::Stack, |entry| entry.role)
    }

    fn entry(&self, index: u32) -> Option<&Entry> {
        match self.place(index) {
            Ok(place) => self.present.get(place),
            Err(_) => self.gone.iter().rev().find(|entry| entry.interface.index == index),
        }
    }

    fn place(&self, index: u32) -> Result<usize, usize> {
        self.present.binary_search_by_key(&index, |entry| entry.interface.index)
    }

    /// Takes in what the kernel says of an interface, and tells what is new. [`Interfaces::relate`] must follow.
    fn update(&mut self, interface: Interface) -> Vec<LinkEvent> {
        match self.place(interface.index) {
            Ok(place) => self.present.get_mut(place).map_or_else(Vec::new, |entry| {
                let events = LinkEvent::between(&entry.interface, &interface);
                entry.interface = interface;
                events
            }),
            Err(place) => {
                let name = interface.name.clone();
                let entry = Entry { interface, role: Role::Stack, vlans: Vec::new(), macvlans: Vec::new() };
                self.present.insert(place, entry);
                vec![LinkEvent::Appeared { name }]
            }
        }
    }

    /// Takes an interface out. [`Interfaces::relate`] must follow.
    fn remove(&mut self, index: u32) -> Option<LinkEvent> {
        let entry = self.present.remove(self.place(index).ok()?);
        let name = entry.interface.name.clone();
        if self.gone.len() == MAX_GONE {
            self.gone.pop_front();
        }
        self.gone.push_back(entry);
        Some(LinkEvent::Vanished { name })
    }

    /// Works out anew how the interfaces stand on one another.
    fn relate(&mut self) {
        let roles: Vec<Role> = self.iter().map(|interface| self.role_of(interface)).collect();
        for (entry, role) in self.present.iter_mut().zip(roles) {
            entry.role = role;
            entry.vlans.clear();
            entry.macvlans.clear();
        }
        let uppers: Vec<Interface> = self.iter().filter(|upper| upper.lower.is_some()).cloned().collect();
        for upper in uppers {
            let lower = upper.lower.and_then(|lower| self.place(lower).ok());
            let Some(lower) = lower.and_then(|place| self.present.get_mut(place)) else { continue };
            match (&*upper.kind, upper.vlan, upper.address) {
                ("vlan", Some(id), _) => lower.vlans.push((id, upper.up)),
                ("macvlan" | "macvtap", _, Some(address)) => lower.macvlans.push(address),
                _ => {}
            }
        }
    }

    fn role_of(&self, interface: &Interface) -> Role {
        let master = interface.master.map(|index| (index, self.get(index)));
        match (&*interface.kind, master) {
            _ if interface.loopback => Role::Loopback,
            ("ifb" | "nlmon" | "vsockmon", _) => Role::Mirror,
            (_, Some((index, Some(master)))) if master.kind == "vrf" => Role::Member(index),
            (_, Some(_)) => Role::Port,
            ("macvtap" | "ipvtap", _) => Role::Guest,
            ("vrf", _) => Role::Vrf,
            _ => Role::Stack,
        }
    }
}

impl Entry {
    /// Why a frame on a device of the stack has no line, if it has none.
    fn not_a_line(&self, frame: &Frame<'_>, outgoing: bool) -> Option<Sighting> {
        if let Some(id) = frame.vlan.filter(|&id| id != 0) {
            return match self.vlans.iter().find(|&&(vlan, _)| vlan == id) {
                Some(&(_, up)) if up || outgoing => Some(Sighting::Duplicate),
                None if outgoing => None,
                _ => Some(Sighting::NotForStack),
            };
        }
        let sender = frame.sender.filter(|_| outgoing)?;
        self.macvlans.contains(&sender).then_some(Sighting::Duplicate)
    }
}

#[cfg(test)]
mod tests;
