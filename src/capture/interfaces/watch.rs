//! Following the interfaces by the kernel's notifications.

use super::Interfaces;
use super::link::{INFO, Interface};
use crate::netlink::{Message, Received, Request, Socket};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// How often a list is asked for again because the kernel's answer was overrun or changed under its hands.
const ATTEMPTS: usize = 10;

/// What is subscribed to: links, addresses and routes.
const GROUPS: i32 = libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_ROUTE;

/// Bytes of `struct rtmsg` (`linux/rtnetlink.h`).
const ROUTE: usize = 12;

/// Something that happened to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is new.
    Appeared {
        /// Its name.
        name: String,
    },
    /// It is gone.
    Vanished {
        /// The name it had.
        name: String,
    },
    /// It has another name.
    Renamed {
        /// The name it had.
        from: String,
        /// The name it has.
        to: String,
    },
    /// Packets can pass.
    Up {
        /// Its name.
        name: String,
    },
    /// Packets can no longer pass.
    Down {
        /// Its name.
        name: String,
    },
    /// The capture can't see its frames.
    NotWatched {
        /// Its name.
        name: String,
        /// What is in the way.
        why: String,
    },
    /// Addresses of this host, routes that take in packets for it, or its default routes came or went.
    AddressesChanged,
}

impl LinkEvent {
    /// What makes `new` different from `old`, the same interface before.
    pub(super) fn between(old: &Interface, new: &Interface) -> Vec<Self> {
        let mut events = Vec::new();
        if old.name != new.name {
            events.push(Self::Renamed { from: old.name.clone(), to: new.name.clone() });
        }
        match (old.running, new.running) {
            (false, true) => events.push(Self::Up { name: new.name.clone() }),
            (true, false) => events.push(Self::Down { name: new.name.clone() }),
            _ => {}
        }
        events
    }
}

impl fmt::Display for LinkEvent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appeared { name } => write!(formatter, "interface {name} appeared"),
            Self::Vanished { name } => write!(formatter, "interface {name} vanished"),
            Self::Renamed { from, to } => write!(formatter, "interface {from} is now {to}"),
            Self::Up { name } => write!(formatter, "interface {name} is up"),
            Self::Down { name } => write!(formatter, "interface {name} is down"),
            Self::NotWatched { name, why } => write!(formatter, "interface {name} is not watched: {why}"),
            Self::AddressesChanged => formatter.write_str("addresses changed"),
        }
    }
}

/// A subscription to what happens to interfaces, and their state so far. It costs nothing while nothing happens.
pub struct Watch {
    socket: Socket,
    interfaces: Arc<Interfaces>,
    events: Vec<LinkEvent>,
}

impl Watch {
    /// Subscribes and reads the list.
    pub fn open() -> io::Result<Self> {
        let socket = Socket::open(libc::NETLINK_ROUTE, GROUPS.cast_unsigned())?;
        let mut watch = Self { socket, interfaces: Arc::default(), events: Vec::new() };
        // The subscription came first: what changes while the list is read is in the notifications behind it.
        watch.read_list()?;
        watch.events.clear();
        Ok(watch)
    }

    /// The interfaces as of the latest [`Watch::update`].
    pub fn interfaces(&self) -> &Arc<Interfaces> {
        &self.interfaces
    }

    /// Takes in the notifications that are there, without waiting. Whether there were any.
    pub fn update(&mut self) -> io::Result<bool> {
        let mut changed = false;
        loop {
            let received = self.receive(false, &mut None)?;
            match received {
                Received::Nothing => break,
                Received::Messages => {}
                Received::Overrun => self.read_list()?,
            }
            changed = true;
        }
        if changed {
            Arc::make_mut(&mut self.interfaces).relate();
        }
        Ok(changed)
    }

    /// What happened since this was called last.
    pub fn take_events(&mut self) -> Vec<LinkEvent> {
        std::mem::take(&mut self.events)
    }

    /// Reads the whole list; what isn't in it is gone.
    fn read_list(&mut self) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            let request = Request::new(libc::RTM_GETLINK, libc::NLM_F_DUMP).body(&[0; INFO]);
            let mut list = Some(List { sequence: self.socket.send(request)?, ..List::default() });
            // To the end in any case: the kernel takes no other request before.
            while list.as_ref().is_some_and(|list| list.end.is_none()) {
                let received = self.receive(true, &mut list)?;
                if let Some(list) = list.as_mut() {
                    list.torn |= received == Received::Overrun;
                }
            }
            let List { indexes, torn, end, .. } = list.unwrap_or_default();
            end.unwrap_or(Ok(()))?;
            if !torn {
                self.keep(&indexes);
                return Ok(());
            }
        }
        Err(io::Error::other("cannot read the list of interfaces: it changes faster than it can be read"))
    }

    /// Takes out what is not in the list.
    fn keep(&mut self, listed: &[u32]) {
        let interfaces = Arc::make_mut(&mut self.interfaces);
        let gone: Vec<u32> =
            interfaces.iter().map(|interface| interface.index).filter(|index| !listed.contains(index)).collect();
        self.events.extend(gone.into_iter().filter_map(|index| interfaces.remove(index)));
        interfaces.relate();
    }

    /// Receives one datagram and takes in what it says; answers that belong to `list` are noted there.
    fn receive(&mut self, wait: bool, list: &mut Option<List>) -> io::Result<Received> {
        let Self { socket, interfaces, events } = self;
        socket.receive(wait, &mut |message| {
            let mut listed = list.as_mut().filter(|list| list.sequence == message.sequence);
            if let Some(list) = listed.as_mut() {
                list.note(&message);
            }
            match (message.kind, Interface::read(&message)) {
                (libc::RTM_NEWLINK, Some(interface)) => {
                    events.extend(Arc::make_mut(interfaces).update(interface));
                }
                (libc::RTM_DELLINK, Some(interface)) => {
                    events.extend(Arc::make_mut(interfaces).remove(interface.index));
                }
                _ if is_of_this_host(&message) && events.last() != Some(&LinkEvent::AddressesChanged) => {
                    events.push(LinkEvent::AddressesChanged);
                }
                _ => {}
            }
        })
    }
}

/// Whether a message is about an address of this host, about a route that takes in packets for it (of groups apart), or
/// about one to everywhere.
fn is_of_this_host(message: &Message<'_>) -> bool {
    match message.kind {
        libc::RTM_NEWADDR | libc::RTM_DELADDR => true,
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => {
            message.split::<ROUTE>().is_some_and(|(&[_, length, _, _, _, _, _, kind, ..], _)| {
                length == 0 || [libc::RTN_LOCAL, libc::RTN_BROADCAST, libc::RTN_ANYCAST].contains(&kind)
            })
        }
        _ => false,
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The answer to a request for the whole list, as far as it has come.
#[derive(Default)]
struct List {
    sequence: u32,
    indexes: Vec<u32>,
    /// Interfaces changed while the kernel made the list, or something was lost.
    torn: bool,
    end: Option<io::Result<()>>,
}

impl List {
    fn note(&mut self, message: &Message<'_>) {
        self.torn |= i32::from(message.flags) & libc::NLM_F_DUMP_INTR != 0;
        match message.end() {
            Some(end) => self.end = Some(end),
            None => self.indexes.extend(Interface::read(message).map(|interface| interface.index)),
        }
    }
}
