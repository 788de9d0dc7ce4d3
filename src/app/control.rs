//! The control socket in a run: opened before anything is changed, served by a thread of its own, closed last.

use super::board::Board;
use super::clerk::{Clerk, Facts};
use super::signals::Event;
use super::threads;
use crate::control::place::Role;
use crate::control::socket::Socket;
use crate::control::{Access, Server, effective_user};
use crate::record::Log;
use crate::record::sink::Handle;
use crate::record::tap::tap;
use crate::sys::waker::Waker;
use anyhow::Result;
use jiff::tz::TimeZone;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

/// The control socket that is wanted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where; the place of this network namespace if it is not said.
    pub path: Option<PathBuf>,
    /// The group that may use it, beside root and who runs pfw.
    pub group: Option<u32>,
}

/// A socket that nobody serves yet.
pub struct Opened {
    server: Server,
    waker: Waker,
    path: PathBuf,
    zone: TimeZone,
}

/// A socket that is served. Dropped, it is closed, after the last answers.
pub struct Serving {
    board: Arc<Board>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// Opens the socket, if one is wanted. Where none was named and one that only watches can have none, it runs without:
/// the words say why.
///
/// # Errors
///
/// If it can't be opened, and that matters: it was asked for, or rules are to be enforced.
pub fn open(wanted: Option<&Options>, role: Role, zone: &TimeZone) -> Result<(Option<Opened>, Option<String>)> {
    let Some(wanted) = wanted else { return Ok((None, None)) };
    match try_to_open(wanted, role, zone) {
        Ok(opened) => Ok((Some(opened), None)),
        Err(error) if wanted.path.is_none() && role == Role::Watching => {
            Ok((None, Some(format!("no control socket: {error:#}; --control PATH names another place"))))
        }
        Err(error) => Err(error),
    }
}

fn try_to_open(wanted: &Options, role: Role, zone: &TimeZone) -> Result<Opened> {
    let path = wanted.path.clone().map_or_else(|| role.socket(), Ok)?;
    let socket = Socket::open(&path, Access { user: effective_user(), group: wanted.group })?;
    let server = Server::new(socket, zone.clone())?;
    Ok(Opened { waker: server.waker(), server, path, zone: zone.clone() })
}

impl Opened {
    /// Where it is.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Ends the wait of the thread that will serve it.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Serves it from now on; the log hands events to its subscribers.
    ///
    /// # Errors
    ///
    /// If the thread can't be started.
    pub fn serve(
        self,
        log: Log,
        facts: Facts,
        board: &Arc<Board>,
        counts: &Handle,
        events: &Sender<Event>,
    ) -> Result<(Log, Serving)> {
        let (server, waker) = (self.server, self.waker);
        let ring = waker.clone();
        let (tap, outlet) = tap(self.zone, move || ring.wake());
        let clerk = Clerk::new(server, outlet, facts, Arc::clone(board), counts.clone(), events.clone());
        let thread = threads::start("control", move || clerk.run())?;
        Ok((log.with_tap(tap), Serving { board: Arc::clone(board), waker, thread: Some(thread) }))
    }
}

impl Drop for Serving {
    /// Sends the answers that there are, and takes the socket away.
    fn drop(&mut self) {
        self.board.close();
        self.waker.wake();
        // A thread that has failed took the socket away, too.
        let _ = self.thread.take().map(|thread| threads::join("control", thread));
    }
}
