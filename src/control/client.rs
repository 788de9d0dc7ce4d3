//! The other end: asks a running pfw.

use super::access::Peer;
use super::limits::MAX_ANSWER;
use super::place::Role;
use super::protocol::{Answer, Refusal, RefusalKind, Request, read_answer};
use crate::record::tap::Kind;
use crate::runtime;
use crate::sys::effective_user;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long an answer may take. A reload of a million rules takes seconds.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long it is tried to get a place when there are too many clients, and how often.
const PLACE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no answer.
#[derive(Debug)]
pub enum Error {
    /// No pfw runs here.
    Nobody(PathBuf),
    /// There may be one, and this user can't get to it.
    NotAllowed(PathBuf),
    /// The socket is somebody else's.
    Stranger(PathBuf, u32),
    /// pfw said no.
    Refused(Refusal),
    /// What came back was no answer.
    Nonsense(String),
    /// The connection failed.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(path) => write!(
                f,
                "no pfw is running here (nobody answers at the control socket {}); start one with 'sudo pfw run'",
                path.display()
            ),
            Self::NotAllowed(path) => {
                write!(f, "the control socket {} is not for this user; use sudo", path.display())
            }
            Self::Stranger(path, user) => {
                write!(f, "the control socket {} belongs to user {user}, not to root or you", path.display())
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Nonsense(what) => write!(f, "what came from the control socket is no answer: {what}"),
            Self::Io(error) => write!(f, "the connection to the running pfw failed: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A connection to a running pfw.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects to the pfw at this socket, or to the one of this network namespace: the one that enforces, else the one
    /// that watches.
    ///
    /// # Errors
    ///
    /// [`Error::Nobody`], [`Error::NotAllowed`], [`Error::Stranger`] or [`Error::Io`].
    pub fn connect(path: Option<&Path>) -> Result<Self, Error> {
        if let Some(path) = path {
            return connect(path);
        }
        let [first, second] = Role::ALL.map(Role::socket);
        let first = first?;
        match connect(&first) {
            Err(Error::Nobody(_)) => match connect(&second?) {
                Err(Error::Nobody(_)) => Err(Error::Nobody(first)),
                other => other,
            },
            other => other,
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if pfw says no; otherwise what failed on the way.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, Error> {
        // Who is refused at the door finds it closed, with the reason on it.
        let sent = self.stream.get_mut().write_all(&request.to_line());
        let line = self.line()?;
        if line.is_empty() {
            sent?;
            return Err(Error::Io(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended without an answer")));
        }
        read_answer(&line).map_err(Error::Nonsense)?.map_err(Error::Refused)
    }

    /// The next line, an event if something was subscribed to; empty at the end.
    ///
    /// # Errors
    ///
    /// If the connection fails.
    pub fn line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.by_ref().take(MAX_ANSWER).read_until(b'\n', &mut line)?;
        Ok(line)
    }

    /// Asks for events of these kinds, of all if none is named.
    ///
    /// # Errors
    ///
    /// As [`Client::ask`].
    pub fn subscribe(mut self, kinds: Vec<Kind>) -> Result<Events, Error> {
        self.ask(&Request::Subscribe { kinds })?;
        // There may be none for as long as it likes.
        self.stream.get_ref().set_read_timeout(None)?;
        Ok(Events { client: self })
    }

    /// Waits until the other end closes the connection: a pfw that stops does so last.
    pub fn wait_for_end(mut self) {
        // However it ends.
        while self.line().is_ok_and(|line| !line.is_empty()) {}
    }
}

/// Events, one after the other.
#[derive(Debug)]
pub struct Events {
    client: Client,
}

impl Events {
    /// The next, however long that takes; empty at the end.
    ///
    /// # Errors
    ///
    /// If the connection fails.
    pub fn next_line(&mut self) -> io::Result<Vec<u8>> {
        self.client.line()
    }

    /// Whether the next is here already.
    pub fn has_more(&self) -> bool {
        self.client.stream.buffer().contains(&b'\n')
    }
}

/// Asks once, and comes again for a while if there are too many others.
///
/// # Errors
///
/// As [`Client::connect`] and [`Client::ask`].
pub fn ask(path: Option<&Path>, request: &Request) -> Result<(Answer, Client), Error> {
    let start = Instant::now();
    loop {
        let mut client = Client::connect(path)?;
        match client.ask(request) {
            Err(Error::Refused(refusal)) if refusal.kind == RefusalKind::Busy && start.elapsed() < PLACE => {
                std::thread::sleep(PAUSE);
            }
            other => return other.map(|answer| (answer, client)),
        }
    }
}

fn connect(path: &Path) -> Result<Client, Error> {
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        Err(error) => {
            let path = path.to_owned();
            return Err(match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Error::Nobody(path),
                io::ErrorKind::PermissionDenied => Error::NotAllowed(path),
                _ => Error::Io(error),
            });
        }
    };
    let server = Peer::of(stream.as_fd())?.user;
    // In our own folder only who runs pfw can put a socket.
    let is_ours = path.parent() == Some(Path::new(runtime::FOLDER));
    if server != 0 && server != effective_user() && !is_ours {
        return Err(Error::Stranger(path.to_owned(), server));
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(Client { stream: BufReader::new(stream) })
}
