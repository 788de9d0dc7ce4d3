//! The session through which a user steers this machine: the connection that is held by a process which the user's
//! descends from.
//!
//! The chain of parents is asked first, since `sudo` strips the environment. A terminal multiplexer breaks the chain;
//! then the environment is believed if it names a connection that is open.

use super::connections::{Connection, Opener};
use super::{config, file};
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;

/// How many ancestors are looked at: a chain is some ten long.
const MAX_ANCESTORS: usize = 64;
/// The names of servers of SSH sessions begin like this: `sshd`, `sshd-session`, `dropbear`.
const SSH_SERVERS: [&str; 2] = ["sshd", "dropbear"];

/// The session through which the user steers this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its connection.
    pub connection: Connection,
    /// Whether it is an SSH session.
    pub is_ssh: bool,
}

/// The session that process `pid` belongs to, if one of `connections` is its.
pub fn session_of(pid: u32, connections: &[Connection]) -> Option<Session> {
    let incoming = || connections.iter().filter(|connection| connection.opener == Opener::Remote);
    let by_inode: HashMap<u32, &Connection> = incoming()
        .filter(|connection| connection.inode != 0)
        .map(|connection| (connection.inode, connection))
        .collect();
    let held = ancestors(pid).find_map(|ancestor| {
        let connection = **ancestor.sockets().find_map(|inode| by_inode.get(&inode).copied()).as_ref()?;
        let is_ssh = SSH_SERVERS.iter().any(|server| ancestor.name.starts_with(server));
        Some(Session { connection, is_ssh })
    });
    held.or_else(|| {
        let (client, server) = config::ssh_ends(&variable(pid, "SSH_CONNECTION")?)?;
        let is_named = |one: &&Connection| is_same(one.remote, client) && is_same(one.local, server);
        incoming().find(is_named).map(|&connection| Session { connection, is_ssh: true })
    })
}

/// Which of these sockets belong to an SSH server whose client has not logged in yet, as OpenSSH has it in the title of the
/// process: who only tries passwords has no session. Others are taken for sessions.
pub(super) fn before_login(inodes: &[u32]) -> Vec<u32> {
    if inodes.is_empty() {
        return Vec::new();
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| is_before_login(&file(format!("/proc/{pid}/cmdline"))))
        .flat_map(|pid| Ancestor { pid, name: String::new() }.sockets().collect::<Vec<_>>())
        .filter(|inode| inodes.contains(inode))
        .collect()
}

/// Whether a title is that of a process which a client logs in at: `sshd: root [net]`, `sshd-session: root [preauth]`,
/// `sshd: [accepted]`.
fn is_before_login(title: &str) -> bool {
    let title = title.trim_end_matches(['\0', ' ']);
    let at_login = ["[net]", "[preauth]", "[accepted]", "[pam]"].iter().any(|state| title.ends_with(state));
    title.starts_with("sshd") && at_login
}

/// Whether two addresses are the same but for the zone.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    (a.ip(), a.port()) == (b.ip(), b.port())
}

/// A process that another descends from, or itself.
struct Ancestor {
    pid: u32,
    name: String,
}

impl Ancestor {
    /// The numbers of the sockets that it holds. Those of another user's process are not to be read.
    fn sockets(&self) -> impl Iterator<Item = u32> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten();
        files.filter_map(|entry| inode(fs::read_link(entry.path()).ok()?.to_str()?))
    }
}

/// A variable of a process's environment as it was when it was started.
fn variable(pid: u32, name: &str) -> Option<String> {
    let all = file(format!("/proc/{pid}/environ"));
    all.split('\0').find_map(|one| Some(one.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

/// The process, its parent, and so on.
fn ancestors(pid: u32) -> impl Iterator<Item = Ancestor> {
    let mut next = Some(pid);
    let chain = std::iter::from_fn(move || {
        let pid = next.filter(|&pid| pid != 0)?;
        let (name, parent) = name_and_parent(&file(format!("/proc/{pid}/stat")))?;
        next = Some(parent);
        Some(Ancestor { pid, name })
    });
    chain.take(MAX_ANCESTORS)
}

/// Name and parent in `/proc/PID/stat` (`proc_pid_stat(5)`): `12 (name) S 7 ...`. A name can hold anything.
fn name_and_parent(stat: &str) -> Option<(String, u32)> {
    let (before, behind) = stat.rsplit_once(')')?;
    let (_, name) = before.split_once('(')?;
    Some((name.to_owned(), behind.split_ascii_whitespace().nth(1)?.parse().ok()?))
}

/// The number in `socket:[123]`.
fn inode(link: &str) -> Option<u32> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::connections;
    use std::net::{TcpListener, TcpStream};
    use std::process;

    #[test]
    fn the_chain_of_ancestors_begins_here_and_goes_up() {
        let chain: Vec<u32> = ancestors(process::id()).map(|ancestor| ancestor.pid).collect();
        assert_eq!(chain.get(..2).unwrap(), [process::id(), std::os::unix::process::parent_id()]);
    }

    #[test]
    fn a_line_of_stat_is_read_whatever_the_name_of_the_process() {
        let read = |text| name_and_parent(text);
        assert_eq!(read("12 (sh) S 7 12 12 0"), Some(("sh".to_owned(), 7)));
        assert_eq!(read("12 (a) S 1 (b) c) R 9 1"), Some(("a) S 1 (b) c".to_owned(), 9)));
        assert_eq!((read(""), read("12 (sh) S"), read("12 sh S 7")), (None, None, None));
    }

    #[test]
    fn who_has_not_logged_in_yet_is_known_by_the_title_of_the_server() {
        for title in
            ["sshd: root [net]\0", "sshd: [accepted]", "sshd-session: unknown [preauth]  \0\0", "sshd: a [pam]"]
        {
            assert!(is_before_login(title), "{title}");
        }
        for title in ["sshd: root@pts/0", "sshd: root [priv]", "sshd: /usr/sbin/sshd -D [listener]", "x [net]", ""] {
            assert!(!is_before_login(title), "{title}");
        }
        assert_eq!(before_login(&[]), [0; 0]);
    }

    #[test]
    fn sockets_are_told_from_other_files() {
        assert_eq!(inode("socket:[4711]"), Some(4711));
        assert_eq!((inode("pipe:[4711]"), inode("/tmp/socket:[1]"), inode("socket:[x]")), (None, None, None));
    }

    #[test]
    fn a_connection_that_this_process_has_accepted_is_its_session_and_one_that_it_opened_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_accepted, peer) = listener.accept().unwrap();
        let all = connections::read(None).unwrap().open;
        let mine: Vec<_> = all.iter().copied().filter(|one| one.remote == peer || one.local == peer).collect();
        assert_eq!(mine.len(), 2);
        let session = session_of(process::id(), &mine).unwrap();
        assert_eq!((session.connection.remote, session.is_ssh), (client.local_addr().unwrap(), false));
        let opened: Vec<_> = mine.into_iter().filter(|one| one.opener == Opener::Local).collect();
        assert_eq!(session_of(process::id(), &opened), None);
    }
}
