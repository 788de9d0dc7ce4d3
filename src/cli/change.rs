//! `pfw block`, `allow`, `unblock`, `enable`, `disable`: the rules of the running pfw are changed, and its file with
//! them.

use super::Exit;
use super::duration::seconds;
use super::steer::{SteerArgs, mistake, run as steer};
use crate::control::{Change, Op, Request};
use crate::rules::edit::Value;
use anyhow::Result;
use clap::Args;

/// The arguments of `pfw block` and `pfw allow`.
#[derive(Args, Clone, Debug)]
pub struct AddArgs {
    /// An address (192.168.1.7), a network (10.0.0.0/8), a range (192.0.2.1-192.0.2.9), a port (80, 445/tcp,
    /// 20-25/udp), or a protocol (icmp)
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,

    /// A remark that is kept beside it
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,

    #[command(flatten)]
    how: HowArgs,
}

/// The arguments of `pfw unblock`, `enable` and `disable`.
#[derive(Args, Clone, Debug)]
pub struct PickArgs {
    /// An address, a network, a port or a protocol that is in a list, or the id of a rule or an entry, as 'pfw rules'
    /// shows it
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,

    #[command(flatten)]
    how: HowArgs,
}

/// For how long, and whether at all.
#[derive(Args, Clone, Debug)]
struct HowArgs {
    /// For this time: 90s, 30m, 2h, 1d; what the file can't end by itself is temporary then
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    duration: Option<u64>,

    /// Only for as long as this pfw runs: the rules file stays as it is
    #[arg(long)]
    temporary: bool,

    /// Even if it cuts your own session, or blocks an address of this machine
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    steer: SteerArgs,
}

/// Has values blocked or let through.
pub fn add(args: &AddArgs, op: Op) -> Result<Exit> {
    for target in &args.targets {
        if let Err(wrong) = Value::parse(target) {
            return Ok(mistake(&wrong, args.how.steer.json));
        }
    }
    change(&args.targets, op, args.comment.as_deref(), &args.how)
}

/// Has what is there taken out or switched.
pub fn pick(args: &PickArgs, op: Op) -> Result<Exit> {
    change(&args.targets, op, None, &args.how)
}

/// All of them, or none.
fn change(targets: &[String], op: Op, comment: Option<&str>, how: &HowArgs) -> Result<Exit> {
    steer(
        &how.steer,
        &Request::Change(Change {
            op,
            targets: targets.to_vec(),
            for_seconds: how.duration,
            comment: comment.map(str::to_owned),
            temporary: how.temporary,
            force: how.force,
        }),
    )
}
