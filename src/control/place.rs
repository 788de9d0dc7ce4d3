//! Where the socket is.

use crate::runtime;
use std::io;
use std::path::PathBuf;

/// What a pfw does, which tells where its socket is: one that watches may run beside one that enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It enforces rules.
    Enforcing,
    /// It only watches.
    Watching,
}

impl Role {
    /// Both, in the order in which a client looks for them.
    pub const ALL: [Self; 2] = [Self::Enforcing, Self::Watching];

    /// The socket of the pfw that does this in this network namespace.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell the namespace.
    pub fn socket(self) -> io::Result<PathBuf> {
        runtime::path(match self {
            Self::Enforcing => "sock",
            Self::Watching => "watching.sock",
        })
    }
}
