//! Ends another thread's wait.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// Wakes. Never waits itself, and costs nothing more while the other has not woken yet.
#[derive(Clone, Debug)]
pub struct Waker(Arc<UnixStream>);

/// Is woken: its descriptor can be read then.
#[derive(Debug)]
pub struct Alarm(UnixStream);

/// Both ends.
///
/// # Errors
///
/// If the process has no descriptors left.
pub fn waker() -> io::Result<(Waker, Alarm)> {
    let (sender, receiver) = UnixStream::pair()?;
    sender.set_nonblocking(true)?;
    receiver.set_nonblocking(true)?;
    Ok((Waker(Arc::new(sender)), Alarm(receiver)))
}

impl Waker {
    /// Wakes the other thread, now or when it next waits.
    pub fn wake(&self) {
        // No room means that it is being woken; no other end, that there is nobody to wake.
        let _ = (&*self.0).write(&[0]);
    }
}

impl Alarm {
    /// Turns the alarm off, before it is looked why it rang.
    pub fn clear(&self) {
        let mut buffer = [0; 256];
        while (&self.0).read(&mut buffer).is_ok_and(|read| read == buffer.len()) {}
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys;
    use std::time::Duration;

    fn rings(alarm: &Alarm) -> bool {
        let mut fds = [sys::readable(alarm.as_fd())];
        sys::wait(&mut fds, Duration::ZERO).unwrap();
        fds[0].revents != 0
    }

    #[test]
    fn an_alarm_rings_until_it_is_cleared_however_often_it_was_woken() {
        let (waker, alarm) = waker().unwrap();
        assert!(!rings(&alarm));
        for _ in 0..100_000 {
            waker.wake();
        }
        assert!(rings(&alarm));
        alarm.clear();
        assert!(!rings(&alarm));
        waker.wake();
        assert!(rings(&alarm));
    }
}
