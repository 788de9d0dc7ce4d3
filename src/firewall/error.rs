//! What can go wrong between a plan and the kernel, in words that help.

use super::family::Family;
use std::fmt;
use std::io;

/// Why rules could not be put in force, or taken out.
#[derive(Debug)]
pub enum Error {
    /// Programs are not installed.
    Missing(Vec<String>),
    /// A program failed.
    Command(Box<CommandError>),
    /// Somebody else has a chain of a name that is ours.
    Stranger {
        /// Where.
        family: Family,
        /// The chain.
        chain: String,
    },
    /// The kernel says something else than what it was given.
    Different {
        /// Where.
        family: Family,
        /// What is different.
        what: String,
    },
    /// A set was not made as planned, or is still there.
    Set {
        /// Its name.
        name: String,
        /// What is wrong with it.
        what: String,
    },
    /// Another pfw enforces in this network namespace.
    Locked {
        /// Its process, where it says so.
        pid: Option<u32>,
    },
    /// The operating system refused something.
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// Something failed, and then so did what should have undone it.
    NotUndone {
        /// What failed first.
        first: Box<Error>,
        /// What failed then.
        then: Box<Error>,
    },
}

/// A program that failed: what was run, how it ended and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The command line.
    pub argv: Vec<String>,
    /// How it ended.
    pub end: End,
    /// What it printed to standard error, cut to some kilobytes.
    pub stderr: String,
    /// The line of its input that it complains of, and the id of the rule that the line serves.
    pub line: Option<(String, Option<String>)>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With an exit status.
    Exit(i32),
    /// By a signal.
    Signal(i32),
    /// It took too long and was killed.
    TimedOut,
}

impl Error {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => write!(f, "ended with exit status {status}"),
            Self::Signal(signal) => write!(f, "was ended by signal {signal}"),
            Self::TimedOut => f.write_str("did not end in time and was killed"),
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' {}", self.argv.join(" "), self.end)?;
        if !self.stderr.trim().is_empty() {
            write!(f, ": {}", self.stderr.trim().replace('\n', "; "))?;
        }
        match &self.line {
            Some((line, Some(id))) => write!(f, "; its input there, for rule {id}: {line}"),
            Some((line, None)) => write!(f, "; its input there: {line}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(tools) => {
                write!(f, "not installed: {}; install with 'apt-get install iptables ipset'", tools.join(", "))
            }
            Self::Command(error) => error.fmt(f),
            Self::Stranger { family, chain } => write!(
                f,
                "{} has a chain {chain} that pfw did not make; rename it or delete it with '{0} -X {chain}'",
                family.tool()
            ),
            Self::Different { family, what } => {
                write!(f, "{} did not take the rules as they are: {what}", family.tool())
            }
            Self::Set { name, what } => write!(f, "set {name}: {what}"),
            Self::Locked { pid: Some(pid) } => {
                write!(f, "another pfw, process {pid}, enforces rules in this network namespace; stop it first")
            }
            Self::Locked { pid: None } => {
                f.write_str("another pfw enforces rules in this network namespace; stop it first")
            }
            Self::Io { what, source } => write!(f, "cannot {what}: {source}"),
            Self::NotUndone { first, then } => write!(f, "{first}; and it could not be undone: {then}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        Self::Command(Box::new(error))
    }
}
