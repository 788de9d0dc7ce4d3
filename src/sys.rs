//! System calls that std doesn't have: packet and netlink sockets, their options, classic filters, `poll`,
//! ([`inotify`]) what happens to files, ([`waker`]) what ends another thread's wait, who runs this process, and the stop
//! that a terminal's Ctrl-Z asks for.
//!
//! Everything here is a safe function around one system call, with the kernel's error as it is. No policy.

#![expect(unsafe_code, reason = "system calls on packet and netlink sockets and inotify have no safe form in std")]

pub mod inotify;
pub mod waker;

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A C structure that can cross the border to the kernel in both directions.
///
/// # Safety
/// Every pattern of bits must be a value of the type, and it must hold no pointer that the kernel follows.
pub unsafe trait Plain: Copy {}

// SAFETY: an integer.
unsafe impl Plain for libc::c_int {}
// SAFETY: `repr(C)`, integers only.
unsafe impl Plain for libc::tpacket_req3 {}
// SAFETY: `repr(C)`, integers only.
unsafe impl Plain for libc::tpacket_stats {}
// SAFETY: `repr(C)`, integers only.
unsafe impl Plain for libc::tpacket_stats_v3 {}
// SAFETY: `repr(C)`, integers and arrays of them only.
unsafe impl Plain for libc::sockaddr_ll {}
// SAFETY: `repr(C)`, integers only.
unsafe impl Plain for libc::sockaddr_nl {}

/// A value whose bytes are all zero, for structures that have fields which can't be named.
pub fn zeroed<T: Plain>() -> T {
    // SAFETY: every pattern of bits is a value of a `Plain` type.
    unsafe { mem::zeroed() }
}

/// Who runs this process, as the kernel sees it.
pub fn effective_user() -> u32 {
    // SAFETY: geteuid has no arguments, no preconditions and no errors (geteuid(2)).
    unsafe { libc::geteuid() }
}

/// A new socket, which children don't inherit.
pub fn socket(domain: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers.
    let fd = check(unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: the kernel just made `fd`, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Binds to an address of the socket's family.
pub fn bind<A: Plain>(socket: BorrowedFd<'_>, address: &A) -> io::Result<()> {
    // SAFETY: pointer and length are those of `address`.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const *address).cast(), socklen::<A>()) }).map(drop)
}

/// Sets a socket option.
pub fn set_option<T: Plain>(socket: BorrowedFd<'_>, level: i32, name: i32, value: &T) -> io::Result<()> {
    // SAFETY: pointer and length are those of `value`, of which the kernel makes a copy.
    let status =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const *value).cast(), socklen::<T>()) };
    check(status).map(drop)
}

/// Reads a socket option; bytes that the kernel doesn't write are zero.
pub fn option<T: Plain>(socket: BorrowedFd<'_>, level: i32, name: i32) -> io::Result<T> {
    let mut value: T = zeroed();
    let mut len = socklen::<T>();
    // SAFETY: the kernel writes at most `len` bytes to `value`, and any bytes are a value of a `Plain` type.
    let status = unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len) };
    check(status).map(|_| value)
}

/// Attaches a classic BPF program, in place of the one before.
pub fn attach_filter(socket: BorrowedFd<'_>, program: &[libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // The kernel only reads through the pointer, whose type is not const for historical reasons.
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `program` describes a slice that lives through the call; the kernel checks the program and copies it.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            socklen::<libc::sock_fprog>(),
        )
    };
    check(status).map(drop)
}

/// Sends one datagram.
pub fn send(socket: BorrowedFd<'_>, datagram: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length are those of `datagram`.
    let sent = unsafe { libc::send(socket.as_raw_fd(), datagram.as_ptr().cast(), datagram.len(), 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Receives one datagram and its sender's address. The length is the datagram's own, which is more than
/// `buffer.len()` if its end was cut off.
pub fn receive<A: Plain>(socket: BorrowedFd<'_>, buffer: &mut [u8], wait: bool) -> io::Result<(usize, A)> {
    let flags = libc::MSG_TRUNC | if wait { 0 } else { libc::MSG_DONTWAIT };
    let mut sender: A = zeroed();
    let mut sender_len = socklen::<A>();
    // SAFETY: the kernel writes at most `buffer.len()` bytes to the buffer and at most `sender_len` to the address,
    // of which any bytes are a value.
    let len = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            flags,
            (&raw mut sender).cast(),
            &raw mut sender_len,
        )
    };
    usize::try_from(len).map(|len| (len, sender)).map_err(|_| io::Error::last_os_error())
}

/// What [`wait`] is to wait for: data to read on this descriptor, which stays open meanwhile.
pub fn readable(fd: BorrowedFd<'_>) -> libc::pollfd {
    libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

/// Waits until one of `fds` is ready, a signal comes, or the time is up (rounded up to milliseconds). What is ready
/// stands in `revents`; after a signal nothing is.
pub fn wait(fds: &mut [libc::pollfd], timeout: Duration) -> io::Result<()> {
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(i32::MAX);
    let count = fds.len().try_into().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: pointer and count are those of `fds`. A closed descriptor is reported as POLLNVAL.
    match check(unsafe { libc::poll(fds.as_mut_ptr(), count, milliseconds) }) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            for fd in fds {
                fd.revents = 0;
            }
            Ok(())
        }
        result => result.map(drop),
    }
}

/// Stops this process and all of its group, as a terminal does on Ctrl-Z, until SIGCONT. The stop may come a moment
/// after this has returned; it never comes to a group that no shell watches (POSIX: an orphaned process group).
pub fn stop_group() -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::kill(0, libc::SIGTSTP) }).map(drop)
}

/// Takes the error that is pending on a socket, so that `poll` stops reporting it.
pub fn take_error(socket: BorrowedFd<'_>) -> io::Result<Option<io::Error>> {
    let number: libc::c_int = option(socket, libc::SOL_SOCKET, libc::SO_ERROR)?;
    Ok((number != 0).then(|| io::Error::from_raw_os_error(number)))
}

/// `SIOCGSTAMPNS` (`linux/sockios.h`), with the layout of `struct timespec` on the machine.
const GET_STAMP: libc::c_ulong = 0x8907;

/// When the kernel saw the frame or datagram that was received last: seconds and nanoseconds since the epoch. The
/// first call makes the kernel take stamps, and says nothing yet.
pub fn last_stamp(socket: BorrowedFd<'_>) -> Option<(i64, u32)> {
    let mut stamp = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the request writes a `timespec`, which `stamp` is.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), GET_STAMP, &raw mut stamp) }).ok()?;
    Some((stamp.tv_sec, u32::try_from(stamp.tv_nsec).ok()?))
}

fn socklen<T>() -> libc::socklen_t {
    // Structures of the socket interface have some hundred bytes at most.
    libc::socklen_t::try_from(mem::size_of::<T>()).unwrap_or(0)
}

fn check(status: libc::c_int) -> io::Result<libc::c_int> {
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}
