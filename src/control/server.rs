//! Many clients on one thread: none waits for another, and none costs more than its share.

use super::access::Peer;
use super::limits::{ACCEPTED_AT_ONCE, MAX_CLIENTS, MAX_CLIENTS_OF_USER, READ_AT_ONCE, RESERVED};
use super::protocol::{Outcome, Refusal, RefusalKind, Request, answer_line};
use super::reply::{Reply, Token};
use super::session::Session;
use super::socket::Socket;
use crate::record::tap::{Batch, Kinds};
use crate::record::{Format, Formatter};
use crate::sys;
use crate::sys::waker::{Alarm, Waker, waker};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// How long nobody is accepted when the process has no descriptors left: they would be asked for again at once.
const RESPITE: Duration = Duration::from_millis(100);

/// What says the answers.
pub trait Backend {
    /// Meets a request of a process (if the kernel tells which), at once or later, on whatever thread. `subscribe` is
    /// met by the server.
    fn ask(&mut self, request: Request, caller: Option<u32>, reply: Reply);
}

/// The server.
pub struct Server {
    socket: Socket,
    clients: BTreeMap<Token, Client>,
    /// Clients that were refused.
    refused: u64,
    next: Token,
    waker: Waker,
    alarm: Alarm,
    outcomes: Receiver<(Token, Outcome)>,
    sender: Sender<(Token, Outcome)>,
    formatter: Formatter,
    /// Nobody is accepted until then.
    respite: Option<Instant>,
}

struct Client {
    stream: UnixStream,
    user: u32,
    process: Option<u32>,
    session: Session,
    /// The other end has gone.
    gone: bool,
}

impl Server {
    /// A server at this socket. Events for subscribers carry times of this zone.
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn new(socket: Socket, zone: TimeZone) -> io::Result<Self> {
        let (waker, alarm) = waker()?;
        let (sender, outcomes) = channel();
        Ok(Self {
            socket,
            clients: BTreeMap::new(),
            refused: 0,
            next: 0,
            waker,
            alarm,
            outcomes,
            sender,
            formatter: Formatter::new(Format::Json, zone),
            respite: None,
        })
    }

    /// Ends the wait of [`Server::turn`].
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Clients now.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Clients that were refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// What subscribers want, all together.
    pub fn wanted(&self) -> Kinds {
        self.clients.values().fold(Kinds::default(), |all, client| all.union(client.session.subscription()))
    }

    /// Waits until something happens, no longer than `patience`, and does what there is to do.
    ///
    /// # Errors
    ///
    /// If the system can't wait.
    pub fn turn(&mut self, patience: Duration, backend: &mut impl Backend) -> io::Result<()> {
        self.wait(patience)?;
        self.alarm.clear();
        let now = Instant::now();
        self.accept(now);
        self.read();
        self.deliver(now);
        self.ask(backend, now);
        // Most are answered at once.
        self.deliver(now);
        self.write(now);
        Ok(())
    }

    /// Hands events to those who want them.
    pub fn publish(&mut self, batch: &Batch) {
        let now = Instant::now();
        for client in self.clients.values_mut() {
            client.session.publish(batch, &mut self.formatter, now);
        }
        self.write(now);
    }

    /// Sends the answers that there are, but waits no longer than `patience` for clients to read them.
    pub fn finish(mut self, patience: Duration) {
        let end = Instant::now() + patience;
        loop {
            let now = Instant::now();
            self.deliver(now);
            self.write(now);
            let mut fds: Vec<_> =
                self.clients.values().filter(|client| !client.session.to_send().is_empty()).map(writable).collect();
            let left = end.saturating_duration_since(now);
            if fds.is_empty() || left.is_zero() || sys::wait(&mut fds, left).is_err() {
                return;
            }
        }
    }

    fn wait(&mut self, patience: Duration) -> io::Result<()> {
        let now = Instant::now();
        self.respite = self.respite.filter(|&end| end > now);
        let deadlines = self.clients.values().filter_map(|client| client.session.deadline()).chain(self.respite);
        let patience = deadlines.map(|at| at.saturating_duration_since(now)).fold(patience, Duration::min);
        let listener = self.respite.is_none().then(|| sys::readable(self.socket.listener().as_fd()));
        let mut fds: Vec<_> = [sys::readable(self.alarm.as_fd())].into_iter().chain(listener).collect();
        let own = fds.len();
        fds.extend(self.clients.values().map(Client::interest));
        sys::wait(&mut fds, patience)?;
        for (client, fd) in self.clients.values_mut().zip(fds.iter().skip(own)) {
            // A subscriber is not read from, so that its end shows here alone.
            client.gone |= fd.revents & (libc::POLLHUP | libc::POLLERR) != 0 && !client.session.wants_to_read();
        }
        Ok(())
    }

    fn accept(&mut self, now: Instant) {
        if self.respite.is_some() {
            return;
        }
        for _ in 0..ACCEPTED_AT_ONCE {
            match self.socket.listener().accept() {
                Ok((stream, _)) => self.admit(stream, now),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The client did not wait.
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(_) => {
                    self.respite = Some(now + RESPITE);
                    return;
                }
            }
        }
    }

    /// Takes a client in, or tells it why not.
    fn admit(&mut self, stream: UnixStream, now: Instant) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let judged = match Peer::of(stream.as_fd()) {
            Ok(peer) => self.judge(&peer).map(|()| peer),
            Err(_) => Err(Refusal::new(RefusalKind::NotAllowed, "the kernel does not say who asks")),
        };
        match judged {
            Ok(Peer { user, process, .. }) => {
                let client = Client { stream, user, process, session: Session::new(now), gone: false };
                self.clients.insert(self.next, client);
                self.next += 1;
            }
            Err(refusal) => {
                self.refused += 1;
                // There is room in a socket that was never written to; who has gone already is not told.
                let _ = (&stream).write(&answer_line(&Err(refusal)));
            }
        }
    }

    fn judge(&self, peer: &Peer) -> Result<(), Refusal> {
        let access = self.socket.access();
        if !access.admits(peer) {
            let message = format!("user {} is not allowed to steer this pfw; use sudo", peer.user);
            return Err(Refusal::new(RefusalKind::NotAllowed, message));
        }
        let places = if access.is_trusted(peer.user) { MAX_CLIENTS } else { MAX_CLIENTS - RESERVED };
        let theirs = self.clients.values().filter(|client| client.user == peer.user).count();
        if theirs >= MAX_CLIENTS_OF_USER || self.clients.len() >= places {
            return Err(Refusal::new(RefusalKind::Busy, "too many clients at once; try again in a moment"));
        }
        Ok(())
    }

    fn read(&mut self) {
        let mut buffer = [0; READ_AT_ONCE];
        for client in self.clients.values_mut().filter(|client| client.session.wants_to_read()) {
            match client.stream.read(&mut buffer) {
                Ok(0) => client.session.end(),
                Ok(read) => client.session.read(buffer.get(..read).unwrap_or_default()),
                Err(error) if is_patient(&error) => {}
                Err(_) => client.gone = true,
            }
        }
    }

    /// Gives answers that have come to the clients that still wait for them.
    fn deliver(&mut self, now: Instant) {
        while let Ok((token, outcome)) = self.outcomes.try_recv() {
            if let Some(client) = self.clients.get_mut(&token) {
                client.session.answer(&outcome, now);
            }
        }
    }

    fn ask(&mut self, backend: &mut impl Backend, now: Instant) {
        for (&token, client) in &mut self.clients {
            match client.session.next_request(now) {
                Some(Request::Subscribe { kinds }) => {
                    let kinds = if kinds.is_empty() { Kinds::ALL } else { kinds.into_iter().collect() };
                    client.session.subscribe(kinds, now);
                }
                Some(request) => {
                    backend.ask(request, client.process, Reply::new(token, self.sender.clone(), self.waker.clone()));
                }
                None => {}
            }
        }
    }

    fn write(&mut self, now: Instant) {
        for client in self.clients.values_mut() {
            client.write(&mut self.formatter, now);
        }
        self.clients.retain(|_, client| !client.gone && !client.session.is_over(now));
    }
}

impl Client {
    fn interest(&self) -> libc::pollfd {
        let mut fd = sys::readable(self.stream.as_fd());
        fd.events = 0;
        if self.session.wants_to_read() {
            fd.events |= libc::POLLIN;
        }
        if !self.session.to_send().is_empty() {
            fd.events |= libc::POLLOUT;
        }
        fd
    }

    fn write(&mut self, formatter: &mut Formatter, now: Instant) {
        while !self.session.to_send().is_empty() {
            match self.stream.write(self.session.to_send()) {
                Ok(0) => return self.gone = true,
                Ok(sent) => self.session.sent(sent, formatter, now),
                Err(error) if is_patient(&error) => return,
                Err(_) => return self.gone = true,
            }
        }
    }
}

fn writable(client: &Client) -> libc::pollfd {
    libc::pollfd { events: libc::POLLOUT, ..sys::readable(client.stream.as_fd()) }
}

fn is_patient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
