//! The `pfw` binary: parse, run, print what went wrong, exit. All else is in the library.

use pfw::cli::say::say_at_last;
use pfw::cli::{Cli, Exit, failure};
use std::process::ExitCode;

fn main() -> ExitCode {
    // This binary is its own guardian, before it is anything else.
    if let Some(code) = pfw::firewall::guardian::main(std::env::args_os().skip(1)) {
        return code;
    }
    match Cli::from_arguments().map_or_else(Ok, |cli| cli.run()) {
        Ok(exit) => exit.into(),
        Err(error) => {
            // One line with all causes: what was tried, why it failed, what helps.
            say_at_last(&failure(&error));
            Exit::Failed.into()
        }
    }
}
