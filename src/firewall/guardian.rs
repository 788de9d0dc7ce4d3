//! The guardian: a tiny process that removes all rules once pfw is gone without having done so itself.
//!
//! It waits on a pipe whose write end pfw holds and every program that pfw starts inherits: its end means that all of
//! them are gone. A restore that outlives a killed pfw would otherwise commit after the cleaning. The guardian itself
//! holds nothing but that pipe and the lock, so that no new pfw starts before it is done.

use super::error::Error;
use super::removal::{Emptied, remove};
use super::tools::{Tools, Variant};
use super::{os, process};
use crate::runtime::Lock;
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use std::ffi::OsStr;
use std::io::{self, PipeWriter, Read, Write};
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The argument by which the binary knows that it is to be the guardian; the word of the variant follows.
pub const ARGUMENT: &str = "__guardian";
/// What pfw says when it has removed its rules, or leaves them on purpose.
const GOODBYE: u8 = b'.';
/// How often, and how far apart, removal is tried: a minute.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// The guardian, seen from pfw.
#[derive(Debug)]
pub(super) struct Guardian {
    process: Child,
    life: Option<PipeWriter>,
}

impl Guardian {
    /// Starts it; from now on every program that is started holds the pipe.
    pub(super) fn spawn(tools: &Tools, lock: &Lock) -> Result<Self, Error> {
        let failed = || Error::io("start the guardian");
        let (death, life) = io::pipe().map_err(failed())?;
        let this = Path::new("/proc/self/exe");
        let args = [ARGUMENT, tools.variant().word()];
        let lock = lock.share().map_err(Error::io("share the lock"))?;
        let process = process::start(this, &args, death.into(), Stdio::from(lock));
        let process = process.map_err(failed())?;
        os::inherit(&life).map_err(failed())?;
        Ok(Self { process, life: Some(life) })
    }

    /// Whether it is gone before its time: somebody has killed it.
    pub(super) fn is_gone(&mut self) -> bool {
        self.process.try_wait().is_ok_and(|ended| ended.is_some())
    }

    /// Sends it away: there is nothing to undo, or it is to stay. One that is gone needs no word.
    pub(super) fn dismiss(mut self) -> Result<(), Error> {
        let failed = || Error::io("dismiss the guardian");
        if let Some(mut life) = self.life.take() {
            life.write_all(&[GOODBYE])
                .or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
                .map_err(failed())?;
        }
        // It holds the lock for as long as it is there.
        self.process.wait().map_err(failed())?;
        Ok(())
    }
}

/// The guardian's whole life, if `args` (without the program's name) ask for it.
pub fn main<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Option<ExitCode> {
    let mut args = args.into_iter();
    if args.next()?.as_ref() != ARGUMENT {
        return None;
    }
    os::detach();
    let variant = args.next().and_then(|word| Variant::from_word(word.as_ref().to_str()?)).unwrap_or_default();
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGUSR1, SIGUSR2] {
        // Without a handler it would only be easier to kill.
        let _ = signal_hook::flag::register(signal, Arc::clone(&ignored));
    }
    // Like the handlers: better, but not needed.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    let _ = std::env::set_current_dir("/");
    Some(watch(variant))
}

fn watch(variant: Variant) -> ExitCode {
    // An error is an end too: nobody can say goodbye any more.
    let mut said = [0];
    if io::stdin().lock().read_exact(&mut said).is_ok() && said == [GOODBYE] {
        return ExitCode::SUCCESS;
    }
    for _ in 0..TRIES {
        if Tools::find(variant).is_ok_and(|tools| remove(&[tools], Emptied::Ours).is_ok()) {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(PAUSE);
    }
    ExitCode::FAILURE
}
