//! `pfw run`: live interfaces through the pipeline until somebody ends it.
//!
//! Threads: `main` waits for events (signals, changed addresses, orders), compiles rules and has them enforced;
//! `capture` reads frames and the kernel's reports, decides and formats, with so many `reader`s of frames ahead of it as
//! are asked for; `writer` writes the log; `printer` shows lines on a terminal; `control` answers on the control socket.
//! They are started in the order writer, printer, readers, capture, control, and then the rules are put in force; at the
//! end the rules go first, then readers, capture, printer and writer, each after all that feeds it, so that nothing is
//! dropped that is not reported and nothing that was accepted is lost.
//! `control` goes last: who asked for the end sees it.

use super::board::Board;
use super::book::Book;
use super::clerk::Facts;
use super::consent;
use super::control;
use super::enforcement::{Acting, Enforcement};
use super::files::Files;
use super::office::{InForce, Office};
use super::orders::{Count, Orders};
use super::pace::{Pace, SHORT_WAIT};
use super::pipeline::Pipeline;
use super::reports::Reports;
use super::seeding::{Seeds, open_connections};
use super::signals::{self, Caught};
use super::stage::{LostSoFar, Stage};
use super::threads;
use super::vigil;
use super::withheld::HOLD;
use crate::capture::interfaces::LinkEvent;
use crate::capture::{FrameSource, Live, LiveConfig, LiveKind, Reader};
use crate::control::Answer;
use crate::control::place::Role;
use crate::firewall::Changes;
use crate::record::printer::printer;
use crate::record::{
    self, Config, Format, Log, PfwEvent, PfwLine, Selection, Summary, Target, Writer, stdout_wants_colours,
};
use crate::rules::Errors;
use crate::sys::waker::{Alarm, waker};
use crate::time::Timestamp;
use anyhow::{Context, Result};
use std::mem;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long after a packet was dropped its report has been read and its line written, unless more comes than can be
/// read.
const REPORTED: Duration = HOLD.saturating_add(SHORT_WAIT).saturating_add(Duration::from_millis(140));

/// What is to be watched, and how.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that a user sets or not")]
pub struct Options {
    /// The rules as they were read.
    pub book: Book,
    /// The same, compiled.
    pub compiled: InForce,
    /// Put them in force again when their file or a block list changes: whose changes count, beside root's.
    pub watch: Option<u32>,
    /// Which frames, and from where.
    pub capture: LiveConfig,
    /// Where lines go.
    pub log: Config,
    /// Which packets get a line.
    pub selection: Selection,
    /// Show lines on standard output too.
    pub print: bool,
    /// Put the rules in force.
    pub enforce: bool,
    /// Leave them in force at the end.
    pub keep: bool,
    /// Take them back unless this is confirmed in that time.
    pub confirm: Option<Duration>,
    /// Whether Enter on standard input confirms, too.
    pub reads_enter: bool,
    /// Tell who would be banned, and ban nobody.
    pub would_ban: bool,
    /// The control socket, if there is to be one.
    pub control: Option<control::Options>,
}

/// What `run` tells its user when it is ready.
#[derive(Debug)]
pub struct Ready {
    /// The interfaces that are watched.
    pub watched: Vec<String>,
    /// What may surprise about them.
    pub remarks: Vec<String>,
    /// The tools that carry the rules out, if they are in force.
    pub enforced_by: Option<String>,
    /// The control socket, if there is one.
    pub control: Option<PathBuf>,
}

/// What `run` reports while it goes on, and asks for.
pub trait Desk {
    /// pfw is ready.
    fn ready(&mut self, ready: &Ready);

    /// Something is to be said to the user.
    fn say(&mut self, words: &str);

    /// What is wrong with a rules file, a line each.
    fn lines_of(&self, errors: &Errors) -> Vec<String>;

    /// Whether the terminal that pfw was started from is gone.
    fn is_abandoned(&self) -> bool;
}

/// Watches, and enforces if asked to, until SIGINT, SIGTERM or SIGQUIT, and returns what was seen.
pub fn run(options: Options, caught: Caught, desk: &mut impl Desk) -> Result<Summary> {
    let (since, started) = (Timestamp::now(), Instant::now());
    let (sender, events) = channel();
    let orders = Arc::new(Orders::new(options.enforce));
    signals::listen(caught, &sender, &orders)?;
    let role = if options.enforce { Role::Enforcing } else { Role::Watching };
    let (opened, without) = control::open(options.control.as_ref(), role, &options.log.zone)?;
    let control = opened.as_ref().map(|opened| opened.path().clone());
    let (capture_waker, alarm) = waker()?;
    let board = Arc::new(Board::new(capture_waker, opened.as_ref().map(control::Opened::waker)));

    let InForce { ruleset, matcher, host } = options.compiled.brought_up_to_date();
    // Where no packet has a line the kernel alone looks at packets: its counters say how many it dropped.
    let looks = !options.enforce || options.selection != Selection::None;
    let reports = (options.enforce && looks).then(Reports::open).transpose();
    let reports = reports.context("cannot listen to what the kernel drops")?;
    let group = reports.as_ref().map(Reports::group);
    let names = options.capture.names.clone();
    // The capture's wait ends with a report, too.
    let reported = reports.as_ref().map(Reports::wake).transpose()?;
    let mut wake: Vec<_> = reported.into_iter().collect();
    wake.push(alarm.as_fd().try_clone_to_owned()?);
    let kind = if looks { options.capture.kind } else { LiveKind::Nothing };
    let mut source = Live::open(LiveConfig { kind, wake, ..options.capture })?;
    let watched = if names.is_empty() { present(&source) } else { names.clone() };
    let remarks = source.remarks().into_iter().chain(without).collect();
    board.put_interfaces(watched.clone());

    let facts = Facts {
        since,
        started,
        enforcing: options.enforce,
        rules_file: std::path::absolute(options.book.path()).unwrap_or_else(|_| options.book.path().to_owned()),
        log_file: options.log.file().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
    };
    let (log, record) = Record::start(options.log, options.print, &sender)?;
    let (log, serving) = match opened {
        Some(opened) => opened.serve(log, facts, &board, record.handle(), &sender).map(|(log, it)| (log, Some(it)))?,
        None => (log, None),
    };
    let pipeline = Pipeline::new(Arc::clone(&matcher), Some(log), options.selection).showing_bans(options.would_ban);
    // The kernel does not have the rules yet.
    let mut pipeline = pipeline.resting(options.enforce);
    seed(&mut pipeline, desk, options.enforce);
    let stage = Stage::new(pipeline, Arc::clone(&host), Arc::clone(source.interfaces()), Timestamp::now());
    let stage = if options.enforce { stage.enforcing(reports.is_some()) } else { stage };
    let capture = {
        let readers = source.take_readers();
        let (orders, board, events) = (Arc::clone(&orders), Arc::clone(&board), sender.clone());
        let (watches_all, counts) = (names.is_empty(), Vec::new());
        let Options { enforce: enforces, would_ban, .. } = options;
        let pace = Pace::default();
        let watch = Watch {
            stage,
            source,
            reports,
            enforces,
            orders,
            board,
            alarm,
            events,
            watches_all,
            would_ban,
            counts,
            pace,
        };
        Capture::start(watch, readers, &sender)?
    };

    let started = if options.enforce {
        let announce = |rules| orders.announce(rules);
        let say: &mut dyn FnMut(&str) = &mut |words| desk.say(&format!("pfw: {words}"));
        let acting = Acting { ruleset: &ruleset, host: &host };
        Enforcement::start(acting, &matcher, group, options.keep, announce, say).map(Some)
    } else {
        Ok(None)
    };
    if options.confirm.is_some() && options.reads_enter {
        let sender = sender.clone();
        threads::start_vital("confirm", &sender.clone(), move || wait_for_enter(&sender))?;
    }
    let served = started.and_then(|enforcement| {
        if enforcement.is_some()
            && let Ok(changes) = Changes::listen()
        {
            // Without nf_tables there is nobody to listen to.
            vigil::listen(changes, sender.clone())?;
        }
        let enforced_by = enforcement.as_ref().map(Enforcement::tools);
        let (orders, board) = (Arc::clone(&orders), Arc::clone(&board));
        let files = options.watch.map(|user| Files::watch(options.book.files(), user, &sender)).transpose()?;
        let rules = InForce { ruleset, matcher, host };
        let mut office = Office::new(events, orders, board, options.book, rules, enforcement, files);
        office.open(desk, options.confirm);
        desk.ready(&Ready { watched, remarks, enforced_by, control });
        threads::rehearse_panic("main");
        office.serve(desk, record.handle());
        office.close(desk)
    });
    // Whatever happened: what was accepted is written down, and what failed is told then.
    orders.stop();
    let captured = capture.join();
    let counts = record.finish();
    drop(serving);
    let counts = counts?;
    served?;
    let mut summary = captured?;
    summary.add_log(&counts);
    Ok(summary)
}

/// Tells the main thread when the user presses Enter. Nobody waits for this thread: it may never end.
fn wait_for_enter(events: &Sender<signals::Event>) {
    let object = || tracing::warn!("that confirms nothing: press Enter alone, or type yes, to keep the rules");
    if consent::is_given(std::io::stdin().lock(), object) {
        let _ = events.send(signals::Event::Confirmed);
    }
}

fn present(source: &Live) -> Vec<String> {
    source.interfaces().iter().map(|interface| interface.name.clone()).collect()
}

/// The threads behind the log.
struct Record {
    handle: record::sink::Handle,
    writer: JoinHandle<()>,
    printer: Option<JoinHandle<()>>,
    to_stdout: bool,
}

impl Record {
    fn start(config: Config, print: bool, events: &Sender<signals::Event>) -> Result<(Log, Self)> {
        let format = config.format;
        let to_stdout = matches!(config.target, Target::StandardOutput);
        let (log, writer) = record::open(config)?;
        let handle = log.handle();
        let writer = threads::start_vital("writer", events, move || Writer::run(writer))?;
        let (log, printer) = if print { with_printer(log, format, events)? } else { (log, None) };
        Ok((log, Self { handle, writer, printer, to_stdout }))
    }

    fn handle(&self) -> &record::sink::Handle {
        &self.handle
    }

    /// Waits until all is written, which it is soon after the log was dropped.
    fn finish(self) -> Result<record::sink::LogCounts> {
        if let Some(printer) = self.printer {
            threads::join_within("printer", printer, threads::PATIENCE)?;
        }
        if self.to_stdout {
            threads::join_within("writer", self.writer, threads::PATIENCE)?;
        } else {
            // However long the disk takes: what was accepted is to be there.
            threads::join("writer", self.writer)?;
        }
        Ok(self.handle.counts())
    }
}

fn with_printer(log: Log, format: Format, events: &Sender<signals::Event>) -> Result<(Log, Option<JoinHandle<()>>)> {
    let (feed, printer) = printer(format, stdout_wants_colours());
    let thread = threads::start_vital("printer", events, move || printer.run())?;
    Ok((log.with_printer(feed), Some(thread)))
}

/// Tells of the connections that are open: what is opened from now on is seen. Before rules are enforced it has been said if
/// these can't be read.
fn seed(pipeline: &mut Pipeline, desk: &mut impl Desk, enforce: bool) {
    let mut say = |words: &str| {
        if !enforce {
            desk.say(&format!("pfw: {words}"));
        }
    };
    let connections = open_connections(&mut say).open;
    pipeline.seed(&Seeds { connections, are_all: true }, Timestamp::now());
}

/// The thread that decides, and those that read ahead of it.
struct Capture {
    capture: JoinHandle<Result<Summary>>,
    readers: Vec<JoinHandle<()>>,
}

impl Capture {
    fn start(watch: Watch, readers: Vec<Reader>, events: &Sender<signals::Event>) -> Result<Self> {
        let start_reader = |reader: Reader| threads::start_vital("reader", events, move || reader.run());
        let readers = readers.into_iter().map(start_reader).collect::<Result<_>>()?;
        Ok(Self { capture: threads::start_vital("capture", events, move || watch.run())?, readers })
    }

    fn join(self) -> Result<Summary> {
        let captured = threads::join("capture", self.capture);
        // They end with it, and if one fails, so does it.
        self.readers.into_iter().try_for_each(|reader| threads::join("reader", reader))?;
        captured?
    }
}

/// The capture thread's part: frames and reports to the stage until it is told to stop, then what is left of both.
struct Watch {
    stage: Stage,
    source: Live,
    reports: Option<Reports>,
    enforces: bool,
    orders: Arc<Orders>,
    board: Arc<Board>,
    /// Rings when somebody wants to see something on the board, or has left rules.
    alarm: Alarm,
    events: Sender<signals::Event>,
    /// No interface was named.
    watches_all: bool,
    /// Nobody is to be banned: it is to be said.
    would_ban: bool,
    /// Counters whose drops have not all been reported yet.
    counts: Vec<Count>,
    pace: Pace,
}

/// Tells the main thread when the capture thread ends, however it does.
struct Bell(Sender<signals::Event>);

impl Drop for Bell {
    fn drop(&mut self) {
        // If nobody listens, the main thread is ending too.
        let _ = self.0.send(signals::Event::CaptureEnded);
    }
}

impl Watch {
    fn run(mut self) -> Result<Summary> {
        let _bell = Bell(self.events.clone());
        let what =
            if self.enforces { "watching; the rules are being put in force" } else { "watching; nothing is blocked" };
        self.stage.note(&about_pfw(PfwEvent::Started, what));
        // What is translated is known before the first frame.
        self.read_reports(None).context("cannot read what the kernel reports")?;
        while !self.orders.is_stopped() {
            self.round().context("cannot capture any more")?;
        }
        self.finish().context("cannot read the last packets")
    }

    fn round(&mut self) -> std::io::Result<()> {
        self.take_orders();
        let stage = &mut self.stage;
        let wait = self.pace.wait(stage.is_waiting(Timestamp::now()));
        let mut frames = 0_u32;
        self.source.poll(wait, &mut |frame| {
            frames += 1;
            stage.frame(frame);
        })?;
        // Whatever was stamped some time before this has been handed out, if nothing is there.
        let now = Timestamp::now();
        let tap_idle = (frames == 0 && !self.source.has_frames()).then_some(now);
        let news = self.source.take_events();
        self.pace.hear(frames > 0 || !news.is_empty() || !self.counts.is_empty());
        for event in &news {
            self.tell(event);
        }
        if self.watches_all && !news.is_empty() {
            self.board.put_interfaces(present(&self.source));
        }
        self.stage.learn(self.source.interfaces());
        self.read_reports(tap_idle)?;
        self.tick();
        for ban in self.stage.take_bans() {
            // The main thread bans; if it has gone, so do we soon.
            let _ = self.events.send(signals::Event::Offence { ban, only_said: self.would_ban });
        }
        self.take_counts(Timestamp::now());
        Ok(())
    }

    fn take_orders(&mut self) {
        for rules in self.orders.announced() {
            self.stage.announce(rules);
        }
        for rules in self.orders.take() {
            self.alarm.clear();
            self.stage.expect(rules);
            self.pace.hear(true);
        }
        for note in self.orders.notes() {
            self.pace.hear(true);
            self.stage.note(&PfwLine { time: note.time, event: note.event, interface: None, reason: &note.reason });
        }
        self.counts.extend(self.orders.counts());
        for (from, to) in self.orders.disturbances() {
            self.stage.disturbed(from, to);
        }
        self.stage.rest(self.orders.rests());
    }

    /// Takes the counters whose drops have all been reported and have their lines, and answers who asked for them.
    fn take_counts(&mut self, now: Timestamp) {
        let (done, open) = mem::take(&mut self.counts).into_iter().partition(|count| count.at.plus(REPORTED) <= now);
        self.counts = open;
        let done: Vec<Count> = done;
        for Count { counted, reply, .. } in done {
            self.stage.count(&counted);
            if let Some(reply) = reply {
                reply.ok(Answer::Audit(Box::new(self.stage.audit_report())));
            }
        }
    }

    /// Reads the reports that are there, and lets go what has its verdict now.
    fn read_reports(&mut self, tap_idle: Option<Timestamp>) -> std::io::Result<()> {
        let Some(reports) = &mut self.reports else { return Ok(()) };
        // What the kernel names is announced before it is in force: so it is known before its first report is read.
        for rules in self.orders.announced() {
            self.stage.announce(rules);
        }
        let read = reports.read(&mut self.stage)?;
        self.stage.settle(tap_idle, read);
        Ok(())
    }

    fn tick(&mut self) {
        let reports = self.reports.as_ref().map_or(0, Reports::lost);
        let lost = LostSoFar { frames: self.source.counters().dropped, reports };
        self.stage.tick(lost, Timestamp::now(), Instant::now());
        self.board.put_counts(self.stage.counts());
        if self.board.are_hits_wanted() {
            self.alarm.clear();
            self.board.put_hits(self.stage.hits());
        }
        if let Some(from) = self.board.is_tracking_wanted() {
            self.alarm.clear();
            self.board.put_tracking(self.stage.connections(from, Timestamp::now()));
        }
    }

    fn tell(&mut self, event: &LinkEvent) {
        // Routes by an interface go with it, and of those of IPv4 the kernel does not tell.
        if matches!(event, LinkEvent::AddressesChanged | LinkEvent::Down { .. } | LinkEvent::Vanished { .. }) {
            // The main thread compiles; if it has gone, so do we soon.
            let _ = self.events.send(signals::Event::AddressesChanged);
        }
        self.stage.link_event(event, Timestamp::now());
    }

    fn finish(mut self) -> std::io::Result<Summary> {
        let stage = &mut self.stage;
        for rules in self.orders.announced() {
            stage.announce(rules);
        }
        self.source.drain(&mut |frame| stage.frame(frame))?;
        if let Some(reports) = &mut self.reports {
            reports.drain(stage)?;
            stage.settle_until(Timestamp::MAX);
        }
        self.take_orders();
        self.tick();
        self.take_counts(Timestamp::MAX);
        let stage = &mut self.stage;
        stage.own_up(Timestamp::now());
        stage.note(&about_pfw(PfwEvent::Stopped, "told to stop"));
        Ok(stage.summary())
    }
}

fn about_pfw(event: PfwEvent, reason: &str) -> PfwLine<'_> {
    PfwLine { time: Timestamp::now(), event, interface: None, reason }
}
