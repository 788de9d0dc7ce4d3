//! Tells when a process and all that it has started have ended, however they did, and how soon then all is clean.

use crate::firewall::{everything, nothing_of_pfw};
use crate::world::sh;
use std::ffi::CString;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// How soon after a death nothing of pfw may be left in the kernel.
pub const SOON: Duration = Duration::from_secs(1);

/// Waits until nothing is left; how long it took. Afterwards the guardian has ended too: it starts no program any more
/// that could be taken for one of the next pfw.
pub fn time_to_clean() -> Duration {
    let start = Instant::now();
    while !nothing_of_pfw() {
        assert!(start.elapsed() < 5 * SOON, "left behind:\n{}", everything());
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = start.elapsed();
    // Whoever is there to clean holds the lock.
    sh("for lock in /run/pfw/*.lock; do [ ! -e $lock ] || flock -w 30 $lock true; done");
    assert!(nothing_of_pfw(), "it has come back:\n{}", everything());
    took
}

/// A pipe with a name that the process and all that it starts hold open for as long as they live. The guardian lets go
/// of it.
pub struct Lifeline {
    pipe: File,
    path: CString,
}

impl Lifeline {
    const PATH: &str = "/run/alive";

    pub fn new() -> Self {
        sh(&format!("rm -f {0} && mkfifo {0}", Self::PATH));
        // A reader that waits for nobody: who writes waits for a reader.
        let pipe = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(Self::PATH).expect("it was made");
        Self { pipe, path: CString::new(Self::PATH).expect("no zero byte") }
    }

    /// Has a process hold it that is yet to be started.
    pub fn hold(&self, command: &mut Command) {
        let path = self.path.clone();
        // SAFETY: between fork and exec a system call is made, and nothing else.
        unsafe {
            command.pre_exec(move || {
                if libc::open(path.as_ptr(), libc::O_WRONLY) < 0 {
                    Err(std::io::Error::last_os_error())
                } else {
                    Ok(())
                }
            });
        }
    }

    /// Waits until nobody holds it any more, and then until nothing is left; how long that took from the end on.
    pub fn time_to_clean(&mut self) -> Duration {
        self.wait_for_the_end();
        time_to_clean()
    }

    fn wait_for_the_end(&mut self) {
        let start = Instant::now();
        while self.pipe.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            assert!(start.elapsed() < Duration::from_secs(30), "it ends");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
