//! The command line: what a user types, as typed values. One small file per command; `main` only dispatches here.

pub mod audit;
pub mod change;
pub mod check_rules;
pub mod clean;
pub mod completions;
mod duration;
pub mod explain;
pub mod options;
pub mod pause;
pub mod replay;
pub mod rules;
mod rules_file;
pub mod run;
pub mod say;
pub mod status;
pub mod steer;
pub mod tui;

use crate::control::{Forcible, Op, Request, effective_user};
use crate::host;
use crate::record::diagnostics;
use crate::text;
use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
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
    /// Say what an alert means, what causes false alarms, and which key changes it
    Explain(explain::ExplainArgs),
    /// Show what the running pfw does and how it fares
    Status(options::ShowArgs),
    /// Show the rules of the running pfw in the order in which they act, with how often each decided
    Rules(options::ShowArgs),
    /// Hold what the running pfw's rules dropped against what was reported and logged
    Audit(options::ShowArgs),
    /// Watch and steer the running pfw: chart, live log, rules, who talks most
    Tui(tui::TuiArgs),
    /// Block an address, a port or a protocol, and write it into the rules file
    Block(change::AddArgs),
    /// Take out what blocks an address, a port or a protocol, or what has an id
    Unblock(change::PickArgs),
    /// Let an address, a port or a protocol through
    Allow(change::AddArgs),
    /// Switch on a rule or an entry that is switched off
    Enable(change::PickArgs),
    /// Switch off a rule or an entry: it stays in the file without effect
    Disable(change::PickArgs),
    /// Take the last change back
    Undo(steer::ForcibleArgs),
    /// Let enforcement or monitoring rest
    Pause(pause::PauseArgs),
    /// Go on with what rests, or end a panic
    Resume(pause::ResumeArgs),
    /// Block all traffic but that of this machine with itself
    #[command(
        long_about = "Block all traffic but that of this machine with itself.\n\nOnly loopback, neighbour discovery and \
                            path MTU messages pass; open connections and forwarded traffic are cut. pfw itself can be \
                            reached: its socket is local."
    )]
    Panic(pause::PanicArgs),
    /// Let the running pfw read its rules file again
    Reload(steer::ForcibleArgs),
    /// Let the rules of a 'pfw run --confirm' stay
    Confirm(steer::SteerArgs),
    /// Let the running pfw take its rules out and end
    Stop(steer::SteerArgs),
    /// Remove the rules that a pfw which died left in the kernel
    Clean,
    /// Print the completion script of a shell
    Completions(completions::CompletionsArgs),
    /// Print the man page
    Man,
}

impl Cli {
    /// What was typed; or how it ends if that was a question or a mistake, of which all has been said then.
    pub fn from_arguments() -> Result<Self, Exit> {
        Self::try_parse().map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                // Nobody is left to be told that nobody reads.
                let _ = error.print();
                Exit::Fine
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                let _ = error.print();
                Exit::Usage
            }
            _ => {
                let arguments: Vec<_> = std::env::args_os().skip(1).collect();
                let is_json_wanted = arguments.iter().any(|argument| argument == "--json");
                steer::mistake(&in_one_line(&error, &arguments), is_json_wanted)
            }
        })
    }

    /// Does what was typed. The error of a failure is for `main` to print; what is wrong with a rules file has been
    /// printed when this returns.
    pub fn run(&self) -> Result<Exit> {
        let _diagnostics = diagnostics::init(self.verbose)?;
        match &self.command {
            Command::Run(args) => run::run(args),
            Command::CheckRules(args) => check_rules::run(args, &host::read(), &mut stdout(), &mut stderr()),
            Command::Replay(args) => replay::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Status(args) => status::run(args),
            Command::Rules(args) => rules::run(args),
            Command::Audit(args) => audit::run(args),
            Command::Tui(args) => tui::run(args),
            Command::Block(args) => change::add(args, Op::Block),
            Command::Unblock(args) => change::pick(args, Op::Unblock),
            Command::Allow(args) => change::add(args, Op::Allow),
            Command::Enable(args) => change::pick(args, Op::Enable),
            Command::Disable(args) => change::pick(args, Op::Disable),
            Command::Undo(args) => steer::run_forcible(args, Forcible::Undo),
            Command::Pause(args) => pause::pause(args),
            Command::Resume(args) => pause::resume(args),
            Command::Panic(args) => pause::panic(args),
            Command::Reload(args) => steer::run_forcible(args, Forcible::Reload),
            Command::Confirm(args) => steer::run(args, &Request::Confirm),
            Command::Stop(args) => steer::run(args, &Request::Stop),
            Command::Clean => clean::run(),
            Command::Completions(args) => completions::completions(args),
            Command::Man => completions::man(),
        }
    }
}

/// The words for a failure: all causes in one line, with the remedy where privilege is what was missing.
pub fn failure(error: &anyhow::Error) -> String {
    let words = format!("pfw: {error:#}");
    // Programs that were started say it in their own words, which no type carries.
    let is_refused = ["Permission denied", "Operation not permitted"].iter().any(|refusal| words.contains(refusal));
    if is_refused && !words.contains("sudo") && effective_user() != 0 { words + "; run it with sudo" } else { words }
}

/// clap's words for a mistake in `arguments`, which take several lines, as all our errors are: in one line, with the remedy.
fn in_one_line(error: &clap::Error, arguments: &[OsString]) -> String {
    let words = error.render().to_string();
    let mistake = words.split_once("\nUsage: ").map_or(&*words, |(mistake, _)| mistake);
    let words = mistake.strip_prefix("error: ").unwrap_or(mistake);
    let words = words.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("For more"));
    let words = words.collect::<Vec<_>>().join(" ").replace(" tip: ", "; tip: ");
    let commands = Cli::command();
    let meant = arguments.iter().find_map(|argument| commands.find_subcommand(argument));
    let command = meant.map_or_else(String::new, |command| format!(" {}", command.get_name()));
    format!("{words}; try 'pfw{command} --help'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from([&["pfw"], arguments].concat()).unwrap_err();
        let arguments: Vec<_> = arguments.iter().map(OsString::from).collect();
        in_one_line(&error, &arguments)
    }

    #[test]
    fn a_mistake_is_one_line_with_the_remedy() {
        for (arguments, words) in [
            (&["fly"][..], "unrecognized subcommand 'fly'; try 'pfw --help'"),
            (
                &["run", "--log", "some"],
                "invalid value 'some' for '--log <WHICH>' [possible values: all, blocked, none]; try 'pfw run --help'",
            ),
            (&["replay"], "the following required arguments were not provided: <FILE>; try 'pfw replay --help'"),
            (
                &["run", "--confrim", "3"],
                "unexpected argument '--confrim' found; tip: a similar argument exists: '--confirm'; try 'pfw run --help'",
            ),
        ] {
            let said = mistake(arguments);
            assert!(said.contains(words.split(';').next().unwrap()) && said.ends_with("--help'"), "{said}");
            assert_eq!(said, words);
        }
    }
}
