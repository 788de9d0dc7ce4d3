//! `pfw tui`: the live view of a running pfw. Also the window of a `pfw run --tui`.

use super::Exit;
use super::options::ControlArgs;
use super::say::{say_at_last, say_lines};
use crate::app::threads;
use crate::record::stdout_wants_colours;
use crate::record::terminal::{keep_messages, release_messages};
use crate::tui::draw::Theme;
use crate::tui::{self, Options, Work};
use anyhow::{Context, Result};
use clap::Args;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The arguments of `pfw tui`.
#[derive(Args, Clone, Debug)]
pub struct TuiArgs {
    #[command(flatten)]
    control: ControlArgs,
}

/// Shows it until the user leaves.
pub fn run(args: &TuiArgs) -> Result<Exit> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        flag::register(signal, Arc::clone(&stop)).context("cannot listen to signals")?;
    }
    let options = options(args.control.control.clone(), false, stop)?;
    keep_messages();
    let shown = tui::run(&options, start);
    say_lines(&release_messages());
    shown.map(|()| Exit::Fine)
}

fn options(control: Option<PathBuf>, owns: bool, stop: Arc<AtomicBool>) -> Result<Options> {
    let continued = Arc::new(AtomicBool::new(false));
    flag::register(SIGCONT, Arc::clone(&continued)).context("cannot listen to signals")?;
    Ok(Options { control, owns, theme: Theme { colours: stdout_wants_colours() }, stop, continued })
}

fn start(name: &str, work: Work) -> Result<()> {
    let own_name = name.to_owned();
    let work = move || {
        threads::rehearse_panic(&own_name);
        work();
    };
    threads::start(name, work).map(drop)
}

/// The window of a firewall in this very process, from when that is ready until one of them ends.
pub struct Window {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Window {
    /// Opens it on a thread of its own. Messages are kept until it is closed.
    ///
    /// # Errors
    ///
    /// If the thread can't be started, or no signal be listened to.
    pub fn open(control: PathBuf) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let options = options(Some(control), true, Arc::clone(&stop))?;
        keep_messages();
        let thread = threads::start("view", move || {
            let released = Released;
            let shown = tui::run(&options, start);
            drop(released);
            if let Err(error) = shown {
                say_at_last(&format!("pfw: {error:#}; the firewall goes on, Ctrl-C ends it"));
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A terminal that was stopped is not to keep pfw from ending.
            let _ = threads::join_within("view", thread, threads::PATIENCE);
        }
    }
}

/// Dropped, also by a panic, it lets messages through again.
struct Released;

impl Drop for Released {
    fn drop(&mut self) {
        say_at_last(&release_messages());
    }
}
