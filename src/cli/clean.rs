//! `pfw clean`: removes what a pfw that died left in the kernel; needs no rules file.

use super::Exit;
use super::say::say;
use crate::firewall;
use anyhow::{Context, Result};

/// Removes it, unless a pfw lives.
pub fn run() -> Result<Exit> {
    let found = firewall::clean().context("cannot remove what is left")?;
    say(if found { "pfw: what was left is removed" } else { "pfw: there was nothing to remove" });
    Ok(Exit::Fine)
}
