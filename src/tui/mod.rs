//! The terminal view: what a running pfw does, live, and keys to steer it.
//!
//! It speaks to pfw through [`crate::control::client`] alone, whether it runs in a process of its own (`pfw tui`) or in
//! that of the firewall (`pfw run --tui`): what the socket does not give, it can't do.
//!
//! - [`state`] is what it knows, and what each key does: events in, requests out. Pure.
//! - [`draw()`] makes a frame of it.
//! - [`keys`] is the table that both the keys and the help come from.
//! - `link` is the line to pfw, `screen` the terminal.
//!
//! It starts no thread: whoever opens the view starts those that it needs. What it remembers is bounded
//! ([`state::Log`], [`history::SECONDS`], [`talkers::MAX_ROWS`]); events that it is too slow for are lost to it alone, and
//! it says how many.

pub mod draw;
pub mod event;
pub mod filter;
pub mod history;
pub mod keys;
pub mod layout;
mod link;
mod screen;
pub mod state;
pub mod talkers;

use crate::control::{Answer, Request};
use crate::sys;
use anyhow::{Context, Result, bail};
use draw::{Theme, draw};
use ratatui::crossterm::event::{poll, read};
use ratatui::crossterm::terminal::size;
use screen::Screen;
use state::{Effect, Incoming, State};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// What waits to be taken in at most: beyond that events wait in the socket, and then pfw counts those that it could not
/// hand on.
const QUEUE: usize = 64;
/// How often time passes in the view.
const TICK: Duration = Duration::from_millis(100);
/// How long it waits for a stop that it has asked for: where no shell watches, none comes.
const STOP_WITHIN: Duration = Duration::from_secs(1);
/// How long after an event the screen shows it: what comes in between is drawn at once.
const FRAME: Duration = Duration::from_millis(33);

/// What is to be viewed, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The control socket; the one of this network namespace if none is named.
    pub control: Option<PathBuf>,
    /// The view is the window of this very process: who leaves it ends the firewall.
    pub owns: bool,
    /// Colours, or none.
    pub theme: Theme,
    /// Set by whoever wants the view to end.
    pub stop: Arc<AtomicBool>,
    /// Set when the process goes on after it was stopped (SIGCONT).
    pub continued: Arc<AtomicBool>,
}

/// A thread's work.
pub type Work = Box<dyn FnOnce() + Send>;

/// Whether there is a terminal to draw on and to read keys from.
///
/// # Errors
///
/// What is missing, in words.
pub fn check_terminal() -> Result<()> {
    for (name, is_there) in [("input", io::stdin().is_terminal()), ("output", io::stdout().is_terminal())] {
        if !is_there {
            bail!("the view needs a terminal, and standard {name} is none; 'pfw status' and 'pfw rules' print");
        }
    }
    Ok(())
}

/// Shows what the running pfw does until the user leaves. Threads are started by `start`.
///
/// # Errors
///
/// If no pfw answers, or there is no terminal.
pub fn run(options: &Options, start: impl Fn(&str, Work) -> Result<()>) -> Result<()> {
    let Answer::Status(status) = link::answer(options.control.as_deref(), &Request::Status)? else {
        bail!("what came from the control socket is no status");
    };
    check_terminal()?;
    let (out, incoming) = sync_channel(QUEUE);
    let (ask, requests) = channel();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut screen = Screen::take().context("cannot use the terminal")?;
    {
        let (path, out) = (options.control.clone(), out.clone());
        start("view-events", Box::new(move || link::follow(path.as_deref(), &out)))?;
    }
    {
        let (path, out) = (options.control.clone(), out.clone());
        start("view-requests", Box::new(move || link::meet(path.as_deref(), &requests, &out)))?;
    }
    let over = Arc::clone(&is_over);
    start("view-keys", Box::new(move || watch_keys(&over, &out)))?;
    let state = State::new(size().unwrap_or_default(), *status, options.owns);
    let shown = show(state, &mut screen, &incoming, &ask, options);
    is_over.store(true, Ordering::Release);
    shown.context("the view can't go on")
}

/// Hands on what is typed, until the view is over.
fn watch_keys(is_over: &AtomicBool, out: &SyncSender<Incoming>) {
    while !is_over.load(Ordering::Acquire) {
        match poll(TICK).and_then(|is_there| if is_there { read().map(Some) } else { Ok(None) }) {
            Ok(None) => {}
            Ok(Some(event)) => {
                if out.send(Incoming::Terminal(event)).is_err() {
                    return;
                }
            }
            // The terminal is gone; whoever had it knows.
            Err(_) => return,
        }
    }
}

/// Takes in what comes, has done what is asked for, and draws.
fn show(
    mut state: State,
    screen: &mut Screen,
    incoming: &Receiver<Incoming>,
    ask: &Sender<Request>,
    options: &Options,
) -> io::Result<()> {
    let started = Instant::now();
    let mut effects = state.update(Incoming::Time(Duration::ZERO));
    let mut drawn = Instant::now();
    // Something has come that the screen does not show yet.
    let mut is_stale = true;
    loop {
        for effect in effects.drain(..) {
            match effect {
                // Who meets requests goes on as long as the view does.
                Effect::Ask(request) => drop(ask.send(request)),
                Effect::Leave => return Ok(()),
                Effect::Suspend => suspend(&options.continued)?,
            }
        }
        if options.continued.swap(false, Ordering::AcqRel) {
            // Whoever had the terminal meanwhile may have left it in any state.
            screen.take_again()?;
            is_stale = true;
        }
        if options.stop.load(Ordering::Acquire) {
            return Ok(());
        }
        if !Screen::is_taken() {
            return Err(io::Error::other("a thread has failed"));
        }
        let next = incoming.recv_timeout(FRAME);
        is_stale |= next.is_ok();
        let is_key = matches!(next, Ok(Incoming::Terminal(_)));
        match next {
            Ok(next) => effects.extend(state.update(next)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        let since = drawn.elapsed();
        if is_key || is_stale && since >= FRAME || since >= TICK {
            effects.extend(state.update(Incoming::Time(started.elapsed())));
            // Asked for at each frame: crossterm loses the news of another size that comes together with a key.
            effects.extend(state.update(Incoming::Size(size()?)));
            screen.terminal.draw(|frame| draw(frame, &state, options.theme))?;
            is_stale = false;
            drawn = Instant::now();
        }
    }
}

/// Gives the terminal back and stops, until somebody lets it go on.
fn suspend(continued: &AtomicBool) -> io::Result<()> {
    Screen::lend();
    continued.store(false, Ordering::Release);
    sys::stop_group()?;
    let asked = Instant::now();
    while !continued.load(Ordering::Acquire) && asked.elapsed() < STOP_WITHIN {
        thread::sleep(FRAME);
    }
    // Also where nothing has stopped it: the screen is to be taken over again.
    continued.store(true, Ordering::Release);
    Ok(())
}

#[cfg(test)]
mod tests;
