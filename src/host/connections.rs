//! The connections that are open on this machine, and who opened each.
//!
//! The socket table doesn't tell who opened a connection. A server's socket goes on listening, so that its port tells;
//! where nobody listens any more, the port that the kernel gave to a client does.

use super::sockets::{self, Protocol, Socket};
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Connections that are read at most: what Linux lets conntrack hold on a machine of 4 GiB or more, and what the engine
/// remembers of each family.
pub const MAX_CONNECTIONS: usize = 1 << 18;

/// A connection that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// What it has come to.
    pub phase: Phase,
    /// This machine's end.
    pub local: SocketAddr,
    /// The other end, which on loopback is this machine's too.
    pub remote: SocketAddr,
    /// Who opened it.
    pub opener: Opener,
    /// Whether that is known, or only what is more likely.
    pub is_opener_sure: bool,
    /// The owner of the socket.
    pub uid: u32,
    /// The number of the socket among the files; 0 if no process holds it any more.
    pub inode: u32,
}

/// What a connection has come to, seen from between its ends as netfilter sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// TCP: both ends send.
    Established,
    /// TCP: one end has said that it has sent all.
    FinWait,
    /// TCP: the other end has acknowledged that, and may send on.
    CloseWait,
    /// TCP: both ends have said so.
    LastAck,
    /// UDP: the socket is connected.
    Udp,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opener {
    /// This machine.
    Local,
    /// The other end.
    Remote,
}

/// The connections that are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// They, in no order. One between two sockets of this machine is here twice, once as each sees it.
    pub open: Vec<Connection>,
    /// How many more there are than [`MAX_CONNECTIONS`].
    pub left_out: usize,
}

impl Connection {
    /// Its protocol.
    pub const fn protocol(&self) -> Protocol {
        match self.phase {
            Phase::Udp => Protocol::Udp,
            Phase::Established | Phase::FinWait | Phase::CloseWait | Phase::LastAck => Protocol::Tcp,
        }
    }

    /// The end that opened it, and the one that it was opened to.
    pub const fn ends(&self) -> (SocketAddr, SocketAddr) {
        match self.opener {
            Opener::Local => (self.local, self.remote),
            Opener::Remote => (self.remote, self.local),
        }
    }
}

/// Reads the connections that are open: those of TCP that are past the handshake and not yet over, and UDP sockets that
/// are connected. `ephemeral` are the ports that the kernel gives to outgoing connections, ends included.
///
/// # Errors
///
/// If the kernel doesn't tell.
pub fn read(ephemeral: Option<(u16, u16)>) -> io::Result<Connections> {
    let mut connections = Connections::default();
    let kinds: [(Protocol, u8, &[u8]); 2] = [
        (
            Protocol::Tcp,
            sockets::LISTEN,
            &[
                sockets::ESTABLISHED,
                sockets::FIN_WAIT1,
                sockets::FIN_WAIT2,
                sockets::CLOSE_WAIT,
                sockets::LAST_ACK,
                sockets::CLOSING,
            ],
        ),
        (Protocol::Udp, sockets::CLOSE, &[sockets::ESTABLISHED]),
    ];
    for (protocol, waiting, open) in kinds {
        let mut judge = OpenerJudge { listening: HashSet::new(), ephemeral };
        sockets::sockets(protocol, &[waiting], &mut |socket| judge.note(&socket))?;
        sockets::sockets(protocol, open, &mut |socket| connections.add(&socket, protocol, &judge))?;
    }
    Ok(connections)
}

impl Connections {
    fn add(&mut self, socket: &Socket, protocol: Protocol, judge: &OpenerJudge) {
        let Some(phase) = phase(protocol, socket.state) else { return };
        if self.open.len() >= MAX_CONNECTIONS {
            self.left_out += 1;
            return;
        }
        let (opener, is_opener_sure) = judge.opener(socket.local, socket.remote.port());
        let Socket { local, remote, uid, inode, .. } = *socket;
        self.open.push(Connection { phase, local, remote, opener, is_opener_sure, uid, inode });
    }
}

const fn phase(protocol: Protocol, state: u8) -> Option<Phase> {
    match (protocol, state) {
        (Protocol::Tcp, sockets::ESTABLISHED) => Some(Phase::Established),
        (Protocol::Tcp, sockets::FIN_WAIT1) => Some(Phase::FinWait),
        (Protocol::Tcp, sockets::FIN_WAIT2 | sockets::CLOSE_WAIT) => Some(Phase::CloseWait),
        (Protocol::Tcp, sockets::CLOSING | sockets::LAST_ACK) => Some(Phase::LastAck),
        (Protocol::Udp, sockets::ESTABLISHED) => Some(Phase::Udp),
        _ => None,
    }
}

/// Tells who opened a connection.
struct OpenerJudge {
    /// Addresses and ports that are listened on.
    listening: HashSet<SocketAddr>,
    ephemeral: Option<(u16, u16)>,
}

impl OpenerJudge {
    fn note(&mut self, listener: &Socket) {
        self.listening.insert(listener.local);
        if listener.dual && listener.local.ip().is_unspecified() {
            self.listening.insert(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), listener.local.port()));
        }
    }

    /// Who opened a connection between `local` and a port of the other end, and whether that is sure.
    fn opener(&self, local: SocketAddr, remote_port: u16) -> (Opener, bool) {
        if self.is_listened_on(local) {
            return (Opener::Remote, true);
        }
        let (first, last) = self.ephemeral.unwrap_or((u16::MAX, 0));
        let is_ours = (first..=last).contains(&local.port());
        // What range others have is not known: none begins lower than ours by much, and many go on to the end.
        match (is_ours, remote_port >= first) {
            (true, of_client) => (Opener::Local, !of_client),
            (false, true) => (Opener::Remote, false),
            (false, false) => (Opener::Local, false),
        }
    }

    fn is_listened_on(&self, local: SocketAddr) -> bool {
        let any: IpAddr = match local {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        self.listening.contains(&local) || self.listening.contains(&SocketAddr::new(any, local.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    fn listening(local: &str, dual: bool) -> Socket {
        let local = local.parse().unwrap();
        Socket { local, remote: local, state: sockets::LISTEN, uid: 0, inode: 0, dual }
    }

    fn judge(listeners: &[Socket]) -> OpenerJudge {
        let mut judge = OpenerJudge { listening: HashSet::new(), ephemeral: Some((32_768, 60_999)) };
        for listener in listeners {
            judge.note(listener);
        }
        judge
    }

    #[test]
    fn the_side_whose_port_is_not_listened_on_is_the_opener() {
        let v4: SocketAddr = "192.0.2.1:443".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::1]:443".parse().unwrap();
        for (listener, dual, to_v4, to_v6) in [
            ("0.0.0.0:443", false, Opener::Remote, Opener::Local),
            ("192.0.2.1:443", false, Opener::Remote, Opener::Local),
            ("192.0.2.2:443", false, Opener::Local, Opener::Local),
            ("0.0.0.0:444", false, Opener::Local, Opener::Local),
            ("[::]:443", false, Opener::Local, Opener::Remote),
            ("[::]:443", true, Opener::Remote, Opener::Remote),
        ] {
            let judge = judge(&[listening(listener, dual)]);
            // A port of a server at the other end, so that it alone tells nothing.
            assert_eq!(judge.opener(v4, 443).0, to_v4, "{listener} {dual}");
            assert_eq!(judge.opener(v6, 443).0, to_v6, "{listener} {dual}");
        }
    }

    #[test]
    fn where_nobody_listens_the_port_of_a_client_tells() {
        let judge = judge(&[]);
        let local = |port| SocketAddr::new([192, 0, 2, 1].into(), port);
        assert_eq!(judge.opener(local(40_000), 443), (Opener::Local, true));
        assert_eq!(judge.opener(local(22), 50_022), (Opener::Remote, false), "the server has ended");
        assert_eq!(judge.opener(local(40_000), 50_022), (Opener::Local, false));
        assert_eq!(judge.opener(local(900), 2049), (Opener::Local, false), "a client that chose its port");
    }

    #[test]
    fn open_connections_are_read_with_their_openers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (local, remote) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        let server = UdpSocket::bind("[::1]:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        udp.connect(server.local_addr().unwrap()).unwrap();
        let all = read(Some((32_768, 60_999))).unwrap();
        let find = |local, remote| *all.open.iter().find(|one| one.local == local && one.remote == remote).unwrap();
        let (ours, theirs) = (find(local, remote), find(remote, local));
        assert_eq!((ours.phase, ours.opener, ours.ends()), (Phase::Established, Opener::Local, (local, remote)));
        assert_eq!((theirs.opener, theirs.is_opener_sure, theirs.ends()), (Opener::Remote, true, (local, remote)));
        let udp = find(udp.local_addr().unwrap(), server.local_addr().unwrap());
        assert_eq!((udp.phase, udp.opener), (Phase::Udp, Opener::Local));
        assert_eq!(all.left_out, 0);
    }

    #[test]
    fn a_connection_that_one_end_has_closed_is_still_there() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_accepted, _) = listener.accept().unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let local = client.local_addr().unwrap();
        let phases = || {
            let all = read(None).unwrap().open;
            let mine = all.into_iter().filter(|one| one.local == local || one.remote == local);
            mine.map(|one| one.phase).collect::<Vec<_>>()
        };
        assert!(phases().iter().all(|phase| matches!(phase, Phase::FinWait | Phase::CloseWait)), "{:?}", phases());
        // The acknowledgement takes its time.
        let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while phases() != [Phase::CloseWait; 2] {
            assert!(std::time::Instant::now() < end, "{:?}", phases());
        }
    }
}
