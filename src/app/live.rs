//! `pfw run`: live interfaces through the pipeline until somebody ends it.
//!
//! Threads: `main` waits for events (signals, changed addresses) and compiles rules; `capture` reads frames, decides
//! and formats; `writer` writes the log; `printer` shows lines on a terminal. They are started in the order writer,
//! printer, capture, and end in the reverse order, each after all that feeds it, so that nothing that was accepted is
//! lost.

use super::pipeline::Pipeline;
use super::signals::{self, Event};
use super::stage::{Rules, Stage};
use super::threads;
use crate::capture::interfaces::LinkEvent;
use crate::capture::{FrameSource, Live, LiveConfig};
use crate::engine::Matcher;
use crate::host::{self, Host};
use crate::record::printer::printer;
use crate::record::sink::Handle;
use crate::record::{self, Config, Format, Log, PfwEvent, PfwLine, Selection, Summary, Target, stdout_wants_colours};
use crate::rules::Ruleset;
use crate::time::Timestamp;
use anyhow::{Context, Result};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long the capture thread waits for frames at most. A line that is due is handed on after that, and an order to
/// stop is seen; ten wake-ups a second cost an idle machine nothing measurable.
const WAIT: Duration = Duration::from_millis(100);

/// How long standard output is given for the last lines; Ctrl-C is to end pfw within a second.
const PATIENCE: Duration = Duration::from_millis(400);

/// What is to be watched, and how.
#[derive(Debug)]
pub struct Options {
    /// The rules.
    pub ruleset: Ruleset,
    /// Which frames, and from where.
    pub capture: LiveConfig,
    /// Where lines go.
    pub log: Config,
    /// Which packets get a line.
    pub selection: Selection,
    /// Show lines on standard output too.
    pub print: bool,
}

/// What `run` reports while it goes on, and asks for.
pub trait Desk {
    /// pfw is ready; these are the interfaces that are watched, and what may surprise about them.
    fn ready(&mut self, watched: &[String], remarks: &[String]);

    /// The rules file is to be read again. `None` if it can't be used: why has been said, and the old rules stay.
    fn read_rules(&mut self) -> Option<Ruleset>;
}

/// Watches until SIGINT, SIGTERM or SIGQUIT, and returns what was seen.
pub fn run(options: Options, desk: &mut impl Desk) -> Result<Summary> {
    let (sender, events) = channel();
    signals::listen(&sender)?;

    let host = Arc::new(host::read());
    let matcher = compile(&options.ruleset, &host, Timestamp::now());
    let names = options.capture.names.clone();
    let source = Live::open(options.capture)?;
    let format = options.log.format;
    let to_stdout = matches!(options.log.target, Target::StandardOutput);
    let (log, writer) = record::open(options.log)?;
    let handle = log.handle();
    let writer = threads::start("writer", move || writer.run())?;
    let (log, printer) = if options.print { with_printer(log, format)? } else { (log, None) };

    let watched = if names.is_empty() { present(&source) } else { names };
    let remarks = source.remarks();
    let mailbox = Arc::new(Mailbox::default());
    let valid_until = matcher.valid_until();
    let pipeline = Pipeline::new(matcher, Some(log), options.selection);
    let stage = Stage::new(pipeline, Arc::clone(&host), Arc::clone(source.interfaces()), Timestamp::now());
    let capture = {
        let mailbox = Arc::clone(&mailbox);
        threads::start("capture", move || {
            let _bell = Bell(sender.clone());
            watch(stage, source, &mailbox, &sender)
        })?
    };

    desk.ready(&watched, &remarks);
    let mut office =
        Office { events, mailbox, ruleset: options.ruleset, host, horizon: valid_until, wake_at: valid_until };
    office.prepare_expiry();
    office.serve(desk, &handle);
    let mut summary = threads::join("capture", capture)??;
    if let Some(printer) = printer {
        threads::join_within("printer", printer, PATIENCE)?;
    }
    if to_stdout {
        threads::join_within("writer", writer, PATIENCE)?;
    } else {
        // However long the disk takes: what was accepted is to be there.
        threads::join("writer", writer)?;
    }
    summary.add_log(&handle.counts());
    Ok(summary)
}

fn compile(ruleset: &Ruleset, host: &Host, at: Timestamp) -> Arc<Matcher> {
    Arc::new(Matcher::new(ruleset, host, at))
}

fn present(source: &Live) -> Vec<String> {
    source.interfaces().iter().map(|interface| interface.name.clone()).collect()
}

fn with_printer(log: Log, format: Format) -> Result<(Log, Option<JoinHandle<()>>)> {
    let (feed, printer) = printer(format, stdout_wants_colours());
    let thread = threads::start("printer", move || printer.run())?;
    Ok((log.with_printer(feed), Some(thread)))
}

/// What the main thread leaves for the capture thread.
#[derive(Default)]
struct Mailbox {
    stop: AtomicBool,
    /// There is something in `rules`: asked for after each batch of frames, so it must cost nothing.
    new_rules: AtomicBool,
    rules: Mutex<Vec<Rules>>,
}

impl Mailbox {
    fn put(&self, rules: Rules) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rules);
        self.new_rules.store(true, Ordering::Release);
    }

    fn take(&self) -> Vec<Rules> {
        if !self.new_rules.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        mem::take(&mut *self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Tells the main thread when the capture thread ends, however it does.
struct Bell(Sender<Event>);

impl Drop for Bell {
    fn drop(&mut self) {
        // If nobody listens, the main thread is ending too.
        let _ = self.0.send(Event::CaptureEnded);
    }
}

/// The main thread's part: answers events until it is told to stop.
struct Office {
    events: Receiver<Event>,
    mailbox: Arc<Mailbox>,
    ruleset: Ruleset,
    host: Arc<Host>,
    /// Until when the rules hold that were handed over last.
    horizon: Timestamp,
    /// When these come into force.
    wake_at: Timestamp,
}

impl Office {
    fn serve(mut self, desk: &mut impl Desk, log: &Handle) {
        loop {
            match self.next_event() {
                Some(Event::Stop | Event::CaptureEnded) => break,
                Some(Event::ReadRules) => {
                    if let Some(ruleset) = desk.read_rules() {
                        self.ruleset = ruleset;
                        self.put_in_force("the rules were read again");
                    }
                }
                Some(Event::ReopenLog) => log.reopen(),
                // The machine is another one to the rules.
                Some(Event::AddressesChanged) => self.put_in_force("this machine's addresses have changed"),
                None => self.prepare_expiry(),
            }
        }
        self.mailbox.stop.store(true, Ordering::Release);
    }

    /// The next event; `None` when an entry expires.
    fn next_event(&self) -> Option<Event> {
        if self.wake_at == Timestamp::MAX {
            return Some(self.events.recv().unwrap_or(Event::Stop));
        }
        match self.events.recv_timeout(self.wake_at.since(Timestamp::now())) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Stop),
        }
    }

    /// Compiles the rules for the machine as it is now; the next packet is decided by them.
    fn put_in_force(&mut self, why: &'static str) {
        self.host = Arc::new(host::read());
        self.horizon = self.hand_over(Timestamp::now(), Timestamp::MIN, why);
        self.prepare_expiry();
    }

    /// Compiles the rules as they will be when the next entry has expired, ahead of time: a packet of the very moment
    /// is then decided by them.
    fn prepare_expiry(&mut self) {
        self.wake_at = self.horizon;
        if self.wake_at < Timestamp::MAX {
            self.horizon = self.hand_over(self.wake_at, self.wake_at, "an entry has expired");
        }
    }

    /// Gives the capture thread the rules as they are at a time. Returns how long they stay so.
    fn hand_over(&self, at: Timestamp, from: Timestamp, why: &'static str) -> Timestamp {
        let matcher = compile(&self.ruleset, &self.host, at);
        let valid_until = matcher.valid_until();
        self.mailbox.put(Rules { matcher, host: Arc::clone(&self.host), from, why });
        valid_until
    }
}

/// The capture thread's part: frames to the stage until it is told to stop, then what is left in the ring.
fn watch(mut stage: Stage, mut source: Live, mailbox: &Mailbox, events: &Sender<Event>) -> Result<Summary> {
    stage.note(&about_pfw(PfwEvent::Started, "watching; nothing is blocked"));
    while !mailbox.stop.load(Ordering::Acquire) {
        for rules in mailbox.take() {
            stage.expect(rules);
        }
        source.poll(WAIT, &mut |frame| stage.frame(frame)).context("cannot capture any more")?;
        for event in source.take_events() {
            tell(&mut stage, &event, events);
        }
        stage.learn(source.interfaces());
        stage.tick(source.counters().dropped, Timestamp::now(), Instant::now());
    }
    source.drain(&mut |frame| stage.frame(frame)).context("cannot read the last packets")?;
    stage.tick(source.counters().dropped, Timestamp::now(), Instant::now());
    stage.note(&about_pfw(PfwEvent::Stopped, "told to stop"));
    Ok(stage.summary())
}

fn tell(stage: &mut Stage, event: &LinkEvent, events: &Sender<Event>) {
    if matches!(event, LinkEvent::AddressesChanged) {
        // The main thread compiles; if it has gone, so do we soon.
        let _ = events.send(Event::AddressesChanged);
    }
    stage.link_event(event, Timestamp::now());
}

fn about_pfw(event: PfwEvent, reason: &str) -> PfwLine<'_> {
    PfwLine { time: Timestamp::now(), event, interface: None, reason }
}
