//! The command line: what a user types, as typed values. One small file per command; `main` only dispatches here.

pub mod completions;
pub mod options;
pub mod replay;
pub mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// How a command ended. The numbers are part of the contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: all is well.
    Fine,
    /// 1: a failure while running (or warnings, where `--strict` asks for that).
    Failed,
    /// 2: wrong usage or a wrong file.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Fine => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
        }
    }
}
