//! The command line: what a user types, as typed values. One small file per command; `main` only dispatches here.

pub mod check_rules;
pub mod clean;
pub mod completions;
pub mod options;
pub mod replay;
mod rules_file;
pub mod run;
pub mod say;

use crate::host;
use crate::record::diagnostics;
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::io::{stderr, stdout};
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

/// A personal firewall that says for each packet whether it is let through, by which rule and why
#[derive(Parser, Debug)]
#[command(name = "pfw", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Say more on standard error; -vv says even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Enforce the rules and write down what becomes of each packet, until Ctrl-C
    Run(run::RunArgs),
    /// Check a rules file and print the rules in the order in which they act
    CheckRules(check_rules::CheckRulesArgs),
    /// Decide on the packets of a capture file; needs no privilege
    Replay(replay::ReplayArgs),
    /// Remove the rules that a pfw which died left in the kernel
    Clean,
    /// Print the completion script of a shell
    Completions(completions::CompletionsArgs),
    /// Print the man page
    Man,
}

impl Cli {
    /// Does what was typed. The error of a failure is for `main` to print; what is wrong with a rules file has been
    /// printed when this returns.
    pub fn run(&self) -> Result<Exit> {
        let _diagnostics = diagnostics::init(self.verbose)?;
        match &self.command {
            Command::Run(args) => run::run(args),
            Command::CheckRules(args) => check_rules::run(args, &host::read(), &mut stdout(), &mut stderr()),
            Command::Replay(args) => replay::run(args),
            Command::Clean => clean::run(),
            Command::Completions(args) => completions::completions(args),
            Command::Man => completions::man(),
        }
    }
}
