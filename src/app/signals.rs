//! Signals as events. Ctrl-C comes through ctrlc, the others through signal-hook.

use super::clerk::Order;
use super::orders::Orders;
use super::threads;
use crate::control::Reply;
use crate::detect::Ban;
use crate::firewall::Change;
use crate::rules::watch::Changed;
use anyhow::{Context, Result};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// What the main thread waits for.
#[derive(Debug)]
pub enum Event {
    /// End, and say goodbye (SIGINT, SIGTERM, SIGQUIT).
    Stop,
    /// Read the rules again (SIGHUP).
    ReadRules,
    /// Open the log anew under its name (SIGUSR1).
    ReopenLog,
    /// The user confirms that the rules may stay.
    Confirmed,
    /// This machine's addresses or default gateways may have changed.
    AddressesChanged,
    /// A program that this one started has ended (SIGCHLD).
    ChildEnded,
    /// The kernel's tables have changed.
    TablesChanged(Change),
    /// A rules file or a block list says something else.
    FilesChanged(Vec<Changed>),
    /// A thread has panicked.
    ThreadFailed(&'static str),
    /// Somebody asks for something through the control socket.
    Asked(Order, Reply),
    /// Somebody is to be banned.
    Offence {
        /// Who, and why.
        ban: Ban,
        /// Nobody is to be banned: it is to be said.
        only_said: bool,
    },
    /// The capture has ended by itself.
    CaptureEnded,
}

/// Signals that wait to be listened to.
pub struct Caught(Signals);

/// Lets SIGHUP and SIGUSR1 wait from now on: a service manager may send them before pfw is ready, and they would end
/// it. What is meant to end it does so until it is [listened](listen) to.
pub fn catch() -> Result<Caught> {
    Signals::new([SIGHUP, SIGUSR1]).map(Caught).context("cannot listen to signals")
}

/// Sends an event for each signal from now on, for as long as the process lives. The order to stop reaches the capture
/// thread at once, whatever the main thread is busy with.
pub fn listen(caught: Caught, events: &Sender<Event>, orders: &Arc<Orders>) -> Result<()> {
    let (to_stop, stop) = (events.clone(), Arc::clone(orders));
    let on_ctrl_c = move || {
        stop.ask_to_stop();
        // A send that fails means that the main thread is on its way out already.
        let _ = to_stop.send(Event::Stop);
    };
    ctrlc::set_handler(on_ctrl_c).context("cannot listen to SIGINT")?;
    let Caught(mut signals) = caught;
    for signal in [SIGTERM, SIGQUIT, SIGCHLD] {
        signals.add_signal(signal).context("cannot listen to signals")?;
    }
    let (events, stop) = (events.clone(), Arc::clone(orders));
    threads::start_vital("signals", &events.clone(), move || {
        for signal in signals.forever() {
            let event = match signal {
                SIGHUP => Event::ReadRules,
                SIGUSR1 => Event::ReopenLog,
                SIGCHLD => Event::ChildEnded,
                _ => {
                    stop.ask_to_stop();
                    Event::Stop
                }
            };
            if events.send(event).is_err() {
                break;
            }
        }
    })?;
    // A log file at the limit of its size is an error of writing, not the end of pfw.
    signal_hook::flag::register(libc::SIGXFSZ, Arc::default()).context("cannot ignore SIGXFSZ")?;
    Ok(())
}
