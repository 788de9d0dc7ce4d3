//! The kernel's own verdicts: what a firewall rule with the target NFLOG reports of each packet that it matches.
//!
//! A rule names a *group*, a number, and who has bound it reads the events (`linux/netfilter/nfnetlink_log.h`). This
//! room binds a group, reads its events and accounts for each of them. It knows nothing of the rules that make them:
//! what a prefix means is its reader's matter.
//!
//! The kernel gathers events in batches, [`BATCH`] or what [`BATCH_TIME`] brings, and numbers them, so that what was
//! lost because nobody read in time is known to the packet: [`Counters`] says how far that goes.

mod event;
mod request;
mod tally;

pub use event::{Event, Hook};
pub use request::{BATCH, BATCH_TIME, COPY_RANGE};
pub use tally::Counters;

use crate::netlink::{Message, Received, Request, Socket};
use crate::sys;
use std::fs::File;
use std::io;
use std::mem;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use tally::Tally;

/// Bytes of events that may wait to be read; the kernel doubles the number. That holds half a million events of the
/// smallest packets (measured), most of a second at the rate that one core can send.
pub const RECEIVE_BUFFER: libc::c_int = 64 << 20;
/// How many datagrams one call of [`Reader::poll`] takes at most: 4096 events in full batches.
const POLL_LIMIT: usize = 64;
/// Where the kernel tells how it keeps the groups of a network namespace, in a line of 40 bytes for each. Root may read
/// it.
const GROUPS: &str = "/proc/thread-self/net/netfilter/nfnetlink_log";
/// As much of that as is looked at: a hundred groups.
const GROUPS_BYTES: usize = 4096;
/// More datagrams than the buffer holds, since none takes less than a kibibyte of it.
const BACKLOG: usize = (2 * RECEIVE_BUFFER as usize) >> 10;
/// How long [`Reader::drain`] waits for the kernel's open batch where it can't make it come.
const DRAIN_TIME: Duration = BATCH_TIME.saturating_mul(3);

/// How much of what was there was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// There was nothing.
    Nothing,
    /// Everything.
    All,
    /// A part, as much as was asked for.
    Some,
}

/// A bound group. It is free again when this is dropped.
///
/// A rule whose group nobody has bound does what it does all the same; its packets are just not reported.
pub struct Reader {
    socket: Socket,
    group: u16,
    /// Events that came in front of the kernel's answer to a request.
    early: Vec<Vec<u8>>,
    tally: Tally,
    /// Where the kernel tells how it keeps groups, if it lets us see that.
    groups: Option<File>,
}

impl Reader {
    /// Binds a group. An error of kind [`io::ErrorKind::ResourceBusy`] means that another program has it,
    /// [`io::ErrorKind::PermissionDenied`] that this process may not bind any.
    ///
    /// No protocol family is bound to NFLOG (`NFULNL_CFG_CMD_PF_BIND`): rules with that target do without, and it would
    /// change for the whole machine where the log of others goes (`net.netfilter.nf_log`).
    pub fn open(group: u16) -> io::Result<Self> {
        let socket = Socket::open(libc::NETLINK_NETFILTER, 0)?;
        socket.set_receive_buffer(RECEIVE_BUFFER)?;
        let groups = File::open(GROUPS).ok();
        let mut reader = Self { socket, group, early: Vec::new(), tally: Tally::default(), groups };
        match reader.ask(request::bind(group)) {
            Ok(()) => Ok(reader),
            Err(error) => Err(reader.explain(&error)),
        }
    }

    /// Binds the first of `groups` that is free. The kernel itself writes to group 0 what connection tracking finds
    /// invalid, if it is told to; better leave that out.
    pub fn open_free(groups: RangeInclusive<u16>) -> io::Result<Self> {
        for group in groups.clone() {
            match Self::open(group) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                result => return result,
            }
        }
        let what = format!("all NFLOG groups from {} to {} are in use by other programs", groups.start(), groups.end());
        Err(io::Error::new(io::ErrorKind::ResourceBusy, what))
    }

    /// The group that is bound.
    pub fn group(&self) -> u16 {
        self.group
    }

    /// What was counted since the group was bound.
    pub fn counters(&self) -> Counters {
        self.tally.counters()
    }

    /// Hands each event that is ready to `sink`, a bounded number at most, in the order of the verdicts, and waits at
    /// most `timeout` for the first one. A signal ends the wait early. Whether that were all that the kernel has handed
    /// on: if so, what is to come was logged less than [`BATCH_TIME`] ago.
    pub fn poll(&mut self, timeout: Duration, sink: &mut dyn FnMut(&Event<'_>)) -> io::Result<bool> {
        let mut found = self.hand_out(POLL_LIMIT, sink)?;
        if found == Found::Nothing && !timeout.is_zero() {
            sys::wait(&mut [sys::readable(self.socket.as_fd())], timeout)?;
            found = self.hand_out(POLL_LIMIT, sink)?;
        }
        Ok(found != Found::Some)
    }

    /// How many events the kernel has logged and not handed over yet, because their batch is not full and its time not
    /// up. `None` if it does not say.
    pub fn open_batch(&self) -> Option<u32> {
        let mut text = [0; GROUPS_BYTES];
        let len = self.groups.as_ref()?.read_at(&mut text, 0).ok()?;
        open_batch(str::from_utf8(text.get(..len)?).ok()?, self.group)
    }

    /// Gives the group back and hands out all that the kernel had logged for it. What it logs from now on goes nowhere
    /// and is not counted: take away the rules before, where the sum is to be that of their counters.
    pub fn drain(&mut self, sink: &mut dyn FnMut(&Event<'_>)) -> io::Result<()> {
        // While the buffer is full the kernel's open batch would find no room in it.
        self.hand_out(BACKLOG, sink)?;
        // The kernel hands over the open batch before it answers.
        let given_back = self.ask(request::unbind(self.group)).is_ok();
        // It doesn't obey a process that has given away its privilege; then the open batch comes when its time is up.
        let end = Instant::now() + if given_back { Duration::ZERO } else { DRAIN_TIME };
        loop {
            self.hand_out(BACKLOG, sink)?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sys::wait(&mut [sys::readable(self.socket.as_fd())], left)?;
        }
    }

    /// Hands out the events of at most `limit` datagrams, without waiting.
    fn hand_out(&mut self, limit: usize, sink: &mut dyn FnMut(&Event<'_>)) -> io::Result<Found> {
        let Self { socket, early, tally, .. } = self;
        let mut any = !early.is_empty();
        for payload in mem::take(early) {
            tally.take(&payload, sink);
        }
        for _ in 0..limit {
            let received = socket.receive(false, &mut |message| {
                if request::is_event(&message) {
                    tally.take(message.payload, sink);
                }
            })?;
            match received {
                Received::Nothing => return Ok(if any { Found::All } else { Found::Nothing }),
                Received::Messages => {}
                Received::Overrun => tally.overrun(),
            }
            any = true;
        }
        Ok(Found::Some)
    }

    /// Sends a request and waits for the kernel's answer; events in front of it are kept.
    fn ask(&mut self, request: Request) -> io::Result<()> {
        let sequence = self.socket.send(request)?;
        let Self { socket, early, tally, .. } = self;
        let mut answer = None;
        // The kernel does what it is asked within `send`: the answer is in the queue by now, or was lost.
        while answer.is_none() {
            let received = socket.receive(false, &mut |message: Message<'_>| {
                if request::is_event(&message) {
                    early.push(message.payload.to_vec());
                } else if message.sequence == sequence {
                    answer = message.end();
                }
            })?;
            match received {
                Received::Nothing => break,
                Received::Messages => {}
                Received::Overrun => tally.overrun(),
            }
        }
        answer.unwrap_or_else(|| Err(io::Error::other("the kernel's answer about an NFLOG group was lost")))
    }

    /// Why the kernel refused to bind the group.
    fn explain(&mut self, error: &io::Error) -> io::Error {
        let group = self.group;
        match error.raw_os_error() {
            Some(libc::EPERM) if !self.is_privileged() => {
                let what = format!("may not bind NFLOG group {group}: that takes CAP_NET_ADMIN (run with sudo)");
                io::Error::new(io::ErrorKind::PermissionDenied, what)
            }
            // Bound by another socket; bound by this one; bound at the same moment.
            Some(libc::EPERM | libc::EBUSY | libc::EEXIST) => {
                let what = format!("NFLOG group {group} is in use by another program");
                io::Error::new(io::ErrorKind::ResourceBusy, what)
            }
            _ => io::Error::new(error.kind(), format!("cannot bind NFLOG group {group}: {error}")),
        }
    }

    /// Whether the kernel would bind a group for us at all. It says the same of a group that is taken.
    fn is_privileged(&mut self) -> bool {
        self.ask(request::without_meaning()).err().and_then(|error| error.raw_os_error()) != Some(libc::EPERM)
    }
}

/// The events in the open batch of a group, from lines of group, port, events, and how the group is kept (`seq_show`
/// in `net/netfilter/nfnetlink_log.c`).
fn open_batch(groups: &str, group: u16) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        (fields.next()?.parse() == Ok(group)).then_some(())?;
        fields.nth(1)?.parse().ok()
    })
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_batch_of_a_group_is_read() {
        let groups = "    0   2211     0 2   256     20  1\n20700 183344    37 2   256      2 38\n20701  17  1\n";
        assert_eq!(open_batch(groups, 20_700), Some(37));
        assert_eq!(open_batch(groups, 0), Some(0));
        assert_eq!((open_batch(groups, 207), open_batch("", 0), open_batch("7\n", 7)), (None, None, None));
    }
}
