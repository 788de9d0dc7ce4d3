//! `pfw pause`, `pfw resume`, `pfw panic`: what rests for a time, and what is blocked beyond the rules.

use super::Exit;
use super::duration::seconds;
use super::steer::{ForcibleArgs, SteerArgs, run as steer};
use crate::control::{Activity, Request, Resumed};
use anyhow::Result;
use clap::{Args, ValueEnum};

/// The arguments of `pfw pause`.
#[derive(Args, Clone, Debug)]
pub struct PauseArgs {
    /// What is to rest
    #[arg(value_enum, value_name = "WHAT")]
    what: Pausable,

    /// For this time: 90s, 30m, 2h, 1d; otherwise until 'pfw resume' of the same
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    duration: Option<u64>,

    #[command(flatten)]
    steer: SteerArgs,
}

/// The arguments of `pfw resume`.
#[derive(Args, Clone, Debug)]
pub struct ResumeArgs {
    /// What is to go on, or what is to end
    #[arg(value_enum, value_name = "WHAT")]
    what: Resumable,

    #[command(flatten)]
    how: ForcibleArgs,
}

/// The arguments of `pfw panic`.
#[derive(Args, Clone, Debug)]
pub struct PanicArgs {
    /// For this time: 90s, 30m, 2h, 1d; otherwise until 'pfw resume panic'
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    duration: Option<u64>,

    #[command(flatten)]
    how: ForcibleArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pausable {
    /// The rules go out of the kernel: nothing is blocked, and the log says WOULD-BLOCK
    Enforcement,
    /// Packets that are allowed have no line; what is blocked or suspicious still has, and all are counted
    Monitoring,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Resumable {
    /// The rules go back into the kernel
    Enforcement,
    /// Packets that are allowed have lines again
    Monitoring,
    /// What 'pfw panic' began is over
    Panic,
}

/// Has something rest.
pub fn pause(args: &PauseArgs) -> Result<Exit> {
    let what = match args.what {
        Pausable::Enforcement => Activity::Enforcement,
        Pausable::Monitoring => Activity::Monitoring,
    };
    steer(&args.steer, &Request::Pause { what, for_seconds: args.duration })
}

/// Has it go on.
pub fn resume(args: &ResumeArgs) -> Result<Exit> {
    let what = match args.what {
        Resumable::Enforcement => Resumed::Enforcement,
        Resumable::Monitoring => Resumed::Monitoring,
        Resumable::Panic => Resumed::Panic,
    };
    steer(&args.how.steer, &Request::Resume { what, force: args.how.force })
}

/// Has all but loopback blocked.
pub fn panic(args: &PanicArgs) -> Result<Exit> {
    steer(&args.how.steer, &Request::Panic { for_seconds: args.duration, force: args.how.force })
}
