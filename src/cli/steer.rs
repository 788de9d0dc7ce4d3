//! `pfw reload`, `confirm`, `undo`, `stop` and the like: what a running pfw is told to do. Also how every command asks one.

use super::Exit;
use super::options::{ControlArgs, ShowArgs};
use super::say::{say, say_lines};
use super::text::visible;
use crate::control::client::{self, Client, Error};
use crate::control::{Answer, Done, Forcible, Refusal, RefusalKind, Request};
use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use std::io::{Write, stdout};

/// The arguments of these commands.
#[derive(Args, Clone, Debug)]
pub struct SteerArgs {
    #[command(flatten)]
    control: ControlArgs,

    /// Print what was changed, or why not, as JSON on standard output
    #[arg(long)]
    pub(super) json: bool,
}

/// The arguments of what asks back before it cuts the caller's session: `pfw undo`, `pfw reload`, and with more of them
/// `pfw resume` and `pfw panic`.
#[derive(Args, Clone, Debug)]
pub struct ForcibleArgs {
    /// Even if it cuts your own session
    #[arg(long)]
    pub(super) force: bool,

    #[command(flatten)]
    pub(super) steer: SteerArgs,
}

/// Has it done, even if it cuts the caller's session where that is meant.
pub fn run_forcible(args: &ForcibleArgs, what: Forcible) -> Result<Exit> {
    let request = match what {
        _ if args.force => Request::Force(what),
        Forcible::Undo => Request::Undo,
        Forcible::Reload => Request::Reload,
    };
    run(&args.steer, &request)
}

/// Has it done, and says what is different now.
pub fn run(args: &SteerArgs, request: &Request) -> Result<Exit> {
    match ask(&args.control, request) {
        Ok((Answer::Done(done), client)) => {
            if *request == Request::Stop {
                client.wait_for_end();
            }
            tell(&done, args.json)?;
            Ok(Exit::Fine)
        }
        Ok(_) => Err(unexpected()),
        Err(Error::Refused(refusal)) => refuse(&refusal, request, args.json),
        Err(error) => Err(failed(error, args.json)),
    }
}

/// Asks for what is to be shown.
pub(super) fn ask_for(args: &ShowArgs, request: &Request) -> Result<Answer> {
    ask(&args.control, request).map(|(answer, _)| answer).map_err(|error| failed(error, args.json))
}

/// Why there is no answer; where JSON is wanted it is on standard output, too.
fn failed(error: Error, json: bool) -> anyhow::Error {
    let told = match &error {
        _ if !json => Ok(()),
        Error::Refused(refusal) => print_json(refusal),
        error => print_json(&Refusal::because(RefusalKind::Failed, error.to_string())),
    };
    told.err().unwrap_or_else(|| error.into())
}

/// Says what is wrong with a command line; where JSON is wanted it is on standard output, too.
pub(super) fn mistake(words: &str, json: bool) -> Exit {
    say(&format!("pfw: {words}"));
    if json {
        // Nobody is left to be told that nobody reads.
        let _ = print_json(&Refusal::because(RefusalKind::Refused, words));
    }
    Exit::Usage
}

/// Asks the running pfw.
fn ask(control: &ControlArgs, request: &Request) -> Result<(Answer, Client), Error> {
    client::ask(control.control.as_deref(), request)
}

/// What another version of pfw might send.
pub(super) fn unexpected() -> anyhow::Error {
    Error::Nonsense("it answers something else".to_owned()).into()
}

/// Prints a value as JSON.
fn print_json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    print(&(text + "\n"))
}

/// Prints what was asked for: a page for people, or all of it as JSON.
pub(super) fn show<T: Serialize>(args: &ShowArgs, value: &T, page: impl Fn(&T) -> String) -> Result<()> {
    if args.json { print_json(value) } else { print(&page(value)) }
}

/// Prints text.
fn print(text: &str) -> Result<()> {
    stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

/// Says what was changed.
fn tell(done: &Done, json: bool) -> Result<()> {
    if json {
        return print_json(done);
    }
    for warning in &done.warnings {
        say_lines(warning);
    }
    print(&done.changed.iter().map(|line| visible(line) + "\n").collect::<String>())
}

/// Says why it was not done.
fn refuse(refusal: &Refusal, request: &Request, json: bool) -> Result<Exit> {
    if json {
        print_json(refusal)?;
    } else {
        for detail in &refusal.details {
            say_lines(detail);
        }
        say(&format!("pfw: {refusal}"));
    }
    let is_reload = matches!(request, Request::Reload | Request::Force(Forcible::Reload));
    let is_wrong_file = is_reload && refusal.kind == RefusalKind::Refused;
    Ok(if is_wrong_file { Exit::Usage } else { Exit::Failed })
}
