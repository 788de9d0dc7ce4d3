//! The rules file that a command works with.

use super::Exit;
use super::options::{ConfigArgs, DEFAULT_CONFIG};
use super::say::say;
use crate::host::Host;
use crate::rules::{self, Diagnostic, Errors, Lists, Loaded};
use crate::time::Timestamp;
use anyhow::{Context, Result};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// What a rules file holds that pfw makes because there is none: nothing, in the four classic lists.
const NEW_FILE: &str = r#"{
  "default_policy": "allow",
  "allow_ips": [],
  "block_ips": [],
  "block_ports": [],
  "block_protocols": []
}
"#;

impl ConfigArgs {
    /// The rules file: the one that was named, or the default.
    pub fn path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into())
    }
}

/// Reads the rules file, with the block lists that it names.
pub fn rules_of(config: &ConfigArgs) -> Result<(Loaded, Lists), Errors> {
    let mut lists = Lists::default();
    rules::load_with(&config.path(), &mut lists).map(|loaded| (loaded, lists))
}

/// Makes the default rules file, with empty lists, if it does not exist and no other was named.
pub fn make_default(config: &ConfigArgs) -> Result<()> {
    if config.config.is_none() { make_if_missing(&config.path()) } else { Ok(()) }
}

fn make_if_missing(path: &Path) -> Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    match made {
        Ok(mut file) => {
            file.write_all(NEW_FILE.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
            say(&format!("pfw: there was no {}: made one with empty lists", path.display()));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| {
            format!("there is no {} here, and none can be made; name one with --config", path.display())
        }),
    }
}

/// Prints what is wrong with a rules file.
pub fn refuse(errors: &Errors) -> Exit {
    for line in lines_of(errors) {
        say(&line);
    }
    Exit::Usage
}

/// What is wrong with a rules file, a line each: with its place, or if it can't be read at all with what helps.
pub fn lines_of(errors: &Errors) -> Vec<String> {
    match errors.errors.as_slice() {
        [Diagnostic { file, place: None, path, message }] if path.is_empty() => {
            vec![format!("pfw: cannot read the rules file {file}: {message}; --config names another")]
        }
        _ => errors.to_string().lines().map(str::to_owned).collect(),
    }
}

/// Prints what is legal in a rules file but surely not meant on this machine.
pub fn warn(loaded: &Loaded, host: &Host) {
    for warning in loaded.all_warnings(host, Timestamp::now()) {
        say(&warning.to_string());
    }
}
