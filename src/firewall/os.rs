//! The few system calls that have no safe wrapper.
#![expect(unsafe_code, reason = "anonymous files, sessions, process groups and inheritance are the operating system's")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};

/// A file without a name, in memory, which no program that is started inherits by itself.
pub(super) fn anonymous_file() -> io::Result<File> {
    // SAFETY: the name is a constant that ends with a zero byte.
    let fd = unsafe { libc::memfd_create(c"pfw".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this descriptor, and nobody else has it.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Lets every program that is started from now on inherit the descriptor.
pub(super) fn inherit(fd: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: F_SETFD takes a number and touches no memory of ours.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Ends a process group that a child of ours leads.
pub(super) fn kill_group(leader: u32) {
    if let Ok(leader @ 2..) = libc::pid_t::try_from(leader) {
        // SAFETY: kill takes numbers.
        unsafe { libc::kill(-leader, libc::SIGKILL) };
    }
}

/// Leaves the session, and every descriptor but the three standard ones.
pub(super) fn detach() {
    // SAFETY: setsid takes nothing; it fails harmlessly for the leader of a group.
    unsafe { libc::setsid() };
    // SAFETY: the guardian has opened nothing yet, so that no object of this process owns a descriptor from 3 on.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
}
