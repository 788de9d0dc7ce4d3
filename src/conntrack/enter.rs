//! Open connections -> entries, so that those that were open before the kernel began to track are known to it, each with
//! its true opener.
//!
//! Left to itself the kernel takes whoever speaks first for the opener of a connection that it picks up in its middle.
//! An entry that it made so the wrong way round is replaced; all others are left alone. A connection whose addresses are
//! translated has its entry already.

use super::Tuple;
use super::entry::{self, Known, tuple_of};
use super::timeouts::Timeouts;
use crate::host::connections::Connection;
use crate::netlink::{Received, Socket};
use std::collections::HashMap;
use std::io;

/// Messages that go to the kernel in one datagram. Each that is refused is answered, and the answers must all fit into
/// the socket's buffer ([`RECEIVE_BUFFER`]): one takes less than 2 KiB with its bookkeeping.
const BATCH: usize = 128;
/// Bytes of answers that may wait.
const RECEIVE_BUFFER: libc::c_int = 1 << 20;

/// What became of connections that were to be entered.
#[derive(Debug, Default)]
pub struct Entered {
    /// Those that were entered.
    pub new: usize,
    /// Those among them that had an entry in the wrong direction.
    pub turned: usize,
    /// Those that had one already.
    pub known: usize,
    /// Those that the kernel refused.
    pub refused: usize,
    /// Why it refused the first of these.
    pub refusal: Option<io::Error>,
    /// Whether any connection at all was tracked before.
    pub was_tracking: bool,
}

/// Enters those of `connections` that the kernel doesn't track yet.
///
/// # Errors
///
/// If connection tracking can't be spoken to: for want of its module, or of privilege.
pub fn enter(connections: &[Connection]) -> io::Result<Entered> {
    let mut socket = Socket::open(libc::NETLINK_NETFILTER, 0)?;
    socket.set_receive_buffer(RECEIVE_BUFFER)?;
    // A connection on loopback is one entry for both its sockets.
    let mut wanted: HashMap<Tuple, Wanted<'_>> = HashMap::with_capacity(connections.len());
    for connection in connections {
        wanted.entry(tuple_of(connection)).or_insert(Wanted { connection, known: None });
    }
    let was_tracking = note_known(&mut socket, &mut wanted)?;
    // Only now the module that has them is there for sure.
    let timeouts = Timeouts::read();
    let mut entered = Entered { was_tracking, ..Entered::default() };
    let (missing, known): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|(_, wanted)| wanted.known.is_none_or(|known| known.is_to_be_turned));
    entered.known = known.len();
    for batch in missing.chunks(BATCH) {
        enter_batch(&mut socket, batch, &timeouts, &mut entered)?;
    }
    Ok(entered)
}

/// A connection that is to have an entry, and the one that it has.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    connection: &'a Connection,
    known: Option<Known>,
}

/// Notes which connections have an entry. Whether there is any entry at all.
fn note_known(socket: &mut Socket, wanted: &mut HashMap<Tuple, Wanted<'_>>) -> io::Result<bool> {
    let mut any = false;
    socket.ask(entry::list(), &mut |message| {
        let Some(entry) = entry::read(&message) else { return };
        any = true;
        // As it was sent, as it was sent the other way round, and as it arrived.
        let reversed = entry.flow.original.reversed();
        for (tuple, is_reversed) in
            [(entry.flow.original, false), (reversed, true), (entry.flow.reply.reversed(), false)]
        {
            if let Some(wanted) = wanted.get_mut(&tuple) {
                let is_doubtful = is_reversed && entry.is_picked_up() && wanted.connection.is_opener_sure;
                wanted.known = Some(Known { id: entry.id, is_to_be_turned: is_doubtful });
                break;
            }
        }
    })?;
    Ok(any)
}

fn enter_batch(
    socket: &mut Socket,
    batch: &[(Tuple, Wanted<'_>)],
    timeouts: &Timeouts,
    entered: &mut Entered,
) -> io::Result<()> {
    // The old entry goes just before the new one comes, so that no packet finds the time to make another.
    let requests = batch.iter().flat_map(|(tuple, wanted)| {
        let removal = wanted.known.map(|known| entry::remove(tuple, known));
        removal.into_iter().chain([entry::add(tuple, wanted.connection.phase, timeouts)])
    });
    let last = socket.send_all(requests.chain([entry::done()]))?;
    let mut answer = BatchAnswer::default();
    while !answer.is_complete {
        let received = socket.receive(true, &mut |message| {
            if let Some(end) = message.end() {
                answer.take(end, message.sequence == last);
            }
        })?;
        if received == Received::Overrun {
            return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
        }
    }
    entered.new += batch.len().saturating_sub(answer.refused + answer.known);
    entered.turned += batch.iter().filter(|(_, wanted)| wanted.known.is_some()).count();
    entered.known += answer.known;
    entered.refused += answer.refused;
    entered.refusal = entered.refusal.take().or(answer.refusal);
    Ok(())
}

#[derive(Default)]
struct BatchAnswer {
    known: usize,
    refused: usize,
    refusal: Option<io::Error>,
    is_complete: bool,
}

impl BatchAnswer {
    fn take(&mut self, end: io::Result<()>, is_last: bool) {
        self.is_complete |= is_last;
        let Err(error) = end else { return };
        match error.raw_os_error() {
            // A packet was faster; or the entry that was to be removed has ended, which is as well.
            Some(libc::EEXIST) => self.known += 1,
            Some(libc::ENOENT) => {}
            _ => {
                self.refused += 1;
                self.refusal.get_or_insert(error);
            }
        }
    }
}
