//! What the control socket asks of the operating system and std has no safe form of.
#![expect(unsafe_code, reason = "socket addresses, credentials of peers and names of groups are the system's")]

use crate::sys;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

// SAFETY: `repr(C)`, integers only.
unsafe impl sys::Plain for libc::ucred {}
// SAFETY: `repr(C)`, an integer and an array of them.
unsafe impl sys::Plain for libc::sockaddr_un {}

/// A socket at `path`, bound but not listening: until it does, nobody can connect. Its file has this mode, and never had
/// a wider one.
pub(super) fn bind(path: &Path, mode: libc::mode_t) -> io::Result<UnixListener> {
    let socket = sys::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0)?;
    // The kernel gives the file the mode of the socket (unix_bind_bsd in net/unix/af_unix.c).
    // SAFETY: fchmod takes numbers; the descriptor is open.
    check(unsafe { libc::fchmod(socket.as_raw_fd(), mode) })?;
    sys::bind(socket.as_fd(), &address(path)?)?;
    Ok(socket.into())
}

/// Lets clients connect.
pub(super) fn listen(socket: &UnixListener, backlog: i32) -> io::Result<()> {
    // SAFETY: listen takes numbers; the descriptor is open.
    check(unsafe { libc::listen(socket.as_raw_fd(), backlog) })
}

fn address(path: &Path) -> io::Result<libc::sockaddr_un> {
    let mut address: libc::sockaddr_un = sys::zeroed();
    address.sun_family = libc::sa_family_t::try_from(libc::AF_UNIX).unwrap_or_default();
    let bytes = path.as_os_str().as_bytes();
    // The last byte stays zero.
    if bytes.len() >= address.sun_path.len() || bytes.contains(&0) {
        let most = address.sun_path.len() - 1;
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a socket's path has {most} bytes at most")));
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = from.cast_signed();
    }
    Ok(address)
}

/// Process, user and group of the other end, as they were when it connected (or, of a listener, when it listened).
pub(super) fn credentials(socket: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    sys::option(socket, libc::SOL_SOCKET, libc::SO_PEERCRED)
}

/// The supplementary groups of the other end, as they were when it connected (`SO_PEERGROUPS`, since Linux 4.13).
pub(super) fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    /// More than anybody has; the kernel allows 65,536.
    const FIRST: usize = 64;
    let mut groups = vec![0_u32; FIRST];
    loop {
        let mut bytes = libc::socklen_t::try_from(size_of_val(groups.as_slice())).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: the kernel writes at most `bytes` bytes to the groups, any of which are integers.
        let status = check(unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        });
        let there = bytes as usize / size_of::<u32>();
        match status {
            Err(error) if error.raw_os_error() == Some(libc::ERANGE) && there > groups.len() => groups.resize(there, 0),
            Err(error) => return Err(error),
            Ok(()) => {
                groups.truncate(there);
                return Ok(groups);
            }
        }
    }
}

/// The number of a group by its name, or by its number in decimal; `None` if there is no such group.
///
/// # Errors
///
/// If the system's databases can't be read.
pub fn group_id(name: &OsStr) -> io::Result<Option<u32>> {
    /// A group has a list of its members, which may be long.
    const MOST: usize = 1024 * 1024;
    if let Some(number) = name.to_str().and_then(|name| name.parse().ok()) {
        return Ok(Some(number));
    }
    let Ok(name) = CString::new(name.as_bytes()) else { return Ok(None) };
    let mut buffer = vec![0_u8; 4096];
    loop {
        let mut found: *mut libc::group = std::ptr::null_mut();
        // SAFETY: a `group` is integers and pointers, for which zeros are values.
        let mut group: libc::group = unsafe { std::mem::zeroed() };
        // SAFETY: the name ends with a zero byte, the buffer has the length that is said, and all live through the call.
        let status = unsafe {
            libc::getgrnam_r(name.as_ptr(), &raw mut group, buffer.as_mut_ptr().cast(), buffer.len(), &raw mut found)
        };
        match status {
            libc::ERANGE if buffer.len() < MOST => buffer.resize(buffer.len() * 4, 0),
            0 if found.is_null() => return Ok(None),
            0 => return Ok(Some(group.gr_gid)),
            // What the C library says for "there is none" (getgrnam(3)).
            libc::ENOENT | libc::ESRCH => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

fn check(status: libc::c_int) -> io::Result<()> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_known_by_name_and_by_number() {
        assert_eq!(group_id("root".as_ref()).unwrap(), Some(0));
        assert_eq!(group_id("4711".as_ref()).unwrap(), Some(4711));
        assert_eq!(group_id("no-such-group-here".as_ref()).unwrap(), None);
    }

    #[test]
    fn the_path_of_a_socket_is_not_cut_off() {
        let error = bind(Path::new(&format!("/tmp/{}", "x".repeat(200))), 0o600).unwrap_err();
        assert!(error.to_string().contains("107 bytes"), "{error}");
    }
}
