//! `pfw completions` and `pfw man`: made from the same definitions as `--help`.

use super::{Cli, Exit};
use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use std::io::{self, Write};

/// The arguments of `pfw completions`.
#[derive(Args, Clone, Debug)]
pub struct CompletionsArgs {
    /// The shell to make completions for
    pub shell: clap_complete::Shell,
}

/// Prints the completion script of a shell.
pub fn completions(args: &CompletionsArgs) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pfw", &mut script);
    print(&script)
}

/// Prints the man page.
pub fn man() -> Result<Exit> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page).context("cannot render the man page")?;
    print(&page)
}

fn print(bytes: &[u8]) -> Result<Exit> {
    io::stdout().write_all(bytes).context("cannot write to standard output")?;
    Ok(Exit::Fine)
}
