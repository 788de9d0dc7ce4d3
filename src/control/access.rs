//! Who may ask.

use super::os;
use std::io;
use std::os::fd::BorrowedFd;

/// Root.
const ROOT: u32 = 0;

/// Who may use a socket: root, who runs pfw, and the members of a group if one was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who runs pfw.
    pub user: u32,
    /// The group.
    pub group: Option<u32>,
}

/// The other end of a connection, by the kernel's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process.
    pub process: Option<u32>,
    /// Its user.
    pub user: u32,
    /// Its groups, the supplementary ones included.
    pub groups: Vec<u32>,
}

impl Peer {
    /// The other end of a socket as it was when it connected, or listened.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell.
    pub fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let credentials = os::credentials(socket)?;
        // A kernel that does not know the supplementary groups has told the effective one.
        let mut groups = os::groups(socket).unwrap_or_default();
        groups.push(credentials.gid);
        Ok(Self { process: u32::try_from(credentials.pid).ok().filter(|&pid| pid > 0), user: credentials.uid, groups })
    }
}

impl Access {
    /// Whether `peer` may ask.
    pub fn admits(&self, peer: &Peer) -> bool {
        self.is_trusted(peer.user) || self.group.is_some_and(|group| peer.groups.contains(&group))
    }

    /// Whether this user gets in whatever others do.
    pub fn is_trusted(&self, user: u32) -> bool {
        user == ROOT || user == self.user
    }

    /// The mode of the socket's file.
    pub(super) const fn mode(&self) -> libc::mode_t {
        if self.group.is_some() { 0o660 } else { 0o600 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::effective_user;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    fn peer(user: u32, groups: &[u32]) -> Peer {
        Peer { process: None, user, groups: groups.to_vec() }
    }

    #[test]
    fn root_the_runner_and_the_group_are_admitted_and_nobody_else() {
        let access = Access { user: 1000, group: Some(50) };
        for (user, groups, admitted) in [
            (0, &[0][..], true),
            (1000, &[1000], true),
            (1001, &[1001, 50], true),
            (1001, &[50], true),
            (1001, &[1001, 1000, 0], false),
            (65534, &[65534], false),
        ] {
            assert_eq!(access.admits(&peer(user, groups)), admitted, "{user} {groups:?}");
        }
        assert!(!Access { user: 0, group: None }.admits(&peer(1001, &[0, 50])), "without a group none counts");
    }

    #[test]
    fn the_kernel_says_who_the_other_end_is() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(one.as_fd()).unwrap();
        assert_eq!((peer.process, peer.user), (Some(std::process::id()), effective_user()));
        assert!(!peer.groups.is_empty());
    }
}
