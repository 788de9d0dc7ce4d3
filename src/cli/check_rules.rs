//! `pfw check-rules` (its body comes with the rules room).
use super::Exit;
use crate::host::Host;
use anyhow::Result;
use std::io::Write;
/// Arguments.
#[derive(clap::Args, Clone, Debug)]
pub struct CheckRulesArgs {}
/// Body.
pub fn run(_: &CheckRulesArgs, _: &Host, _: &mut impl Write, _: &mut impl Write) -> Result<Exit> {
    Ok(Exit::Usage)
}
