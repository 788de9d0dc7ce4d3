//! `pfw run`: enforce the rules, and say of each packet what became of it.

use super::Exit;
use super::options::{ConfigArgs, ControlArgs, LogArgs};
use super::rules_file::{lines_of, make_default, refuse, rules_of, warn};
use super::say::{Messages, say, say_at_last};
use super::tui::Window;
use crate::app::book::Book;
use crate::app::live::{Desk, Options, Ready, run as watch};
use crate::app::{Cuts, InForce, Verb, control, dry_run as dry_run_plan, signals};
use crate::capture::{LiveConfig, LiveKind, RingConfig};
use crate::control::{effective_user, group_id};
use crate::firewall;
use crate::host::{self, Host};
use crate::record::sink::parse_size;
use crate::record::{Selection, WhenFull};
use crate::rules::{Errors, Ruleset};
use crate::tui::check_terminal;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The arguments of `pfw run`.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that a user sets or not")]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArgs,

    /// Watch and predict only: the kernel's rules are not touched
    #[arg(long)]
    monitor_only: bool,

    /// Watch this interface alone (may be given several times); all of them if none is named
    #[arg(short, long = "interface", value_name = "IFACE")]
    interfaces: Vec<String>,

    /// The log file; - for standard output
    #[arg(long, default_value = "firewall.log", value_name = "FILE")]
    log_file: PathBuf,

    #[command(flatten)]
    log: LogArgs,

    /// Print each line on standard output too, as is done anyway when that is a terminal
    #[arg(long)]
    print: bool,

    /// How packets are captured: ring (fast, exact) or pnet (where the ring is not to be had)
    #[arg(long, value_enum, default_value_t = CaptureKind::Ring, value_name = "SOURCE")]
    capture: CaptureKind,

    /// Memory for packets that were captured and not yet read, from 256K to 1G
    #[arg(long, value_parser = parse_size, default_value = "32M", value_name = "SIZE")]
    ring_size: u64,

    /// Threads that read packets, each with its share of that memory: for more packets than one keeps up with
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=RingConfig::MAX_THREADS.into()))]
    capture_threads: u8,

    /// Say who would be banned if detect.action in the rules file were "ban", and ban nobody
    #[arg(long)]
    would_ban: bool,

    /// Print what would be given to the kernel, and end
    #[arg(long, conflicts_with = "monitor_only")]
    dry_run: bool,

    /// Enforce even if open connections would be cut
    #[arg(long)]
    yes: bool,

    /// Enforce, and take everything back unless it is confirmed within this time
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    confirm: Option<u32>,

    /// Leave the rules in force on exit
    #[arg(long)]
    keep: bool,

    /// Don't follow the rules file: it is read again by pfw reload and SIGHUP alone
    #[arg(long)]
    no_watch: bool,

    #[command(flatten)]
    control: ControlArgs,

    /// Let the members of this group use the control socket, beside root
    #[arg(long, value_name = "GROUP", value_parser = parse_group)]
    control_group: Option<u32>,

    /// Have no control socket: pfw status, reload and the like don't reach this pfw
    #[arg(long, conflicts_with_all = ["control", "control_group"])]
    no_control: bool,

    /// Show the live view, as 'pfw tui' does; who leaves it ends the firewall
    #[arg(long, conflicts_with_all = ["no_control", "print", "dry_run"])]
    tui: bool,
}

/// The number of a group by its name.
fn parse_group(name: &str) -> Result<u32, String> {
    match group_id(name.as_ref()) {
        Ok(Some(group)) => Ok(group),
        Ok(None) => Err("there is no such group".to_owned()),
        Err(error) => Err(format!("cannot look it up: {error}")),
    }
}

/// `--capture`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CaptureKind {
    /// An `AF_PACKET` ring shared with the kernel
    Ring,
    /// pnet's channel
    Pnet,
}

impl From<CaptureKind> for LiveKind {
    fn from(kind: CaptureKind) -> Self {
        match kind {
            CaptureKind::Ring => Self::Ring,
            CaptureKind::Pnet => Self::Pnet,
        }
    }
}

/// Watches, and enforces unless that is not wanted, until it is told to stop.
pub fn run(args: &RunArgs) -> Result<Exit> {
    // Before anything that takes time.
    let caught = signals::catch()?;
    if let Err(error) = args.check_window() {
        say(&format!("pfw: {error:#}"));
        return Ok(Exit::Usage);
    }
    make_default(&args.config)?;
    let (loaded, lists) = match rules_of(&args.config) {
        Ok(loaded) => loaded,
        Err(errors) => return Ok(refuse(&errors)),
    };
    let host = host::read();
    if args.dry_run {
        return dry_run(&loaded.ruleset, &host, args.log.log);
    }
    warn(&loaded, &host);
    let compiled = InForce::new(Arc::new(loaded.ruleset.clone()), Arc::new(host));
    if !args.monitor_only && !args.may_cut(&compiled) {
        return Ok(Exit::Usage);
    }
    let mut desk = Terminal {
        config: args.config.path(),
        log_file: args.log_file.clone(),
        rules: loaded.ruleset.len(),
        control: args.control.control.clone(),
        messages: Messages::start()?,
        confirm: args.confirm.filter(|_| !args.monitor_only),
        was_there: io::stderr().is_terminal(),
        wants_window: args.tui,
        window: None,
    };
    let book = Book::new(args.config.path(), loaded, lists);
    let watched = watch(args.options(book, compiled), caught, &mut desk);
    // What was said comes before the last words.
    drop(desk);
    match watched {
        Ok(summary) => {
            say_at_last(&summary.to_string());
            Ok(Exit::Fine)
        }
        Err(error) if is_usage(&error) => {
            say(&format!("pfw: {error:#}"));
            Ok(Exit::Usage)
        }
        Err(error) => Err(error),
    }
}

/// Prints what would be given to the kernel.
fn dry_run(ruleset: &Ruleset, host: &Host, selection: Selection) -> Result<Exit> {
    let plan = dry_run_plan(ruleset, host, selection != Selection::None);
    write!(io::stdout(), "{plan}").context("cannot write to standard output")?;
    Ok(Exit::Fine)
}

impl RunArgs {
    fn options(&self, book: Book, compiled: InForce) -> Options {
        let bytes = usize::try_from(self.ring_size).unwrap_or(usize::MAX);
        Options {
            book,
            compiled,
            watch: (!self.no_watch).then(trusted_user),
            capture: LiveConfig {
                kind: self.capture.into(),
                names: self.interfaces.clone(),
                ring: RingConfig { bytes, threads: self.capture_threads, ..RingConfig::default() },
                wake: Vec::new(),
            },
            log: self.log.config(&self.log_file, WhenFull::Lose),
            selection: self.log.log,
            print: (self.print || io::stdout().is_terminal()) && !self.logs_to_stdout() && !self.tui,
            enforce: !self.monitor_only,
            keep: self.keep,
            confirm: self.confirm.filter(|_| !self.monitor_only).map(|seconds| Duration::from_secs(seconds.into())),
            reads_enter: !self.tui,
            would_ban: self.would_ban,
            control: (!self.no_control)
                .then(|| control::Options { path: self.control.control.clone(), group: self.control_group }),
        }
    }

    /// Whether a window can be had, if one is wanted.
    fn check_window(&self) -> Result<()> {
        if self.tui && self.logs_to_stdout() {
            bail!("the view and '--log-file -' can't both have standard output");
        }
        if self.tui { check_terminal() } else { Ok(()) }
    }

    fn logs_to_stdout(&self) -> bool {
        self.log_file.as_os_str() == "-"
    }

    /// Whether the rules may be put in force: they cut nobody off who is at another machine, or the user knows.
    fn may_cut(&self, InForce { matcher, host, .. }: &InForce) -> bool {
        let cuts = Cuts::by(matcher, host, &mut |words| say(&format!("pfw: {words}")));
        for line in cuts.lines(Verb::WouldBe) {
            say(&format!("pfw: {line}"));
        }
        if !cuts.need_consent() || self.yes || self.confirm.is_some() {
            return true;
        }
        say("pfw: nothing was changed; --confirm 60 takes everything back unless you confirm, --yes goes ahead");
        false
    }
}

/// The user whose changes of the rules file are followed, beside root's: who runs this, or called sudo.
fn trusted_user() -> u32 {
    let user = effective_user();
    let caller = std::env::var("SUDO_UID").ok().filter(|_| user == 0);
    caller.and_then(|caller| caller.parse().ok()).unwrap_or(user)
}

/// Whether an error is a matter of what the user typed: an interface that does not exist, an impossible size.
fn is_usage(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::InvalidInput)
}

impl Terminal {
    fn open_window(&mut self, ready: &Ready) {
        let Some(control) = ready.control.clone() else {
            return self.say("pfw: without a control socket there is no view; Ctrl-C ends pfw");
        };
        match Window::open(control) {
            Ok(window) => self.window = Some(window),
            Err(error) => self.say(&format!("pfw: no view: {error:#}; Ctrl-C ends pfw")),
        }
    }
}

/// Tells the user on standard error, and reads the rules file when asked to.
struct Terminal {
    config: PathBuf,
    log_file: PathBuf,
    rules: usize,
    /// The socket that was named.
    control: Option<PathBuf>,
    messages: Messages,
    confirm: Option<u32>,
    /// Standard error was a terminal when pfw was started.
    was_there: bool,
    /// `--tui`
    wants_window: bool,
    window: Option<Window>,
}

impl Desk for Terminal {
    fn ready(&mut self, ready: &Ready) {
        for remark in &ready.remarks {
            self.say(&format!("pfw: {remark}"));
        }
        let how = ready
            .enforced_by
            .as_ref()
            .map_or_else(|| without_effect().to_owned(), |tools| format!("enforcing by {tools}"));
        self.say(&format!(
            "pfw: ready: watching {} ({how}), {} with {} rules, log {}, pid {}",
            ready.watched.join(", "),
            self.config.display(),
            self.rules,
            self.log_file.display(),
            std::process::id()
        ));
        if let Some(seconds) = self.confirm {
            let elsewhere = match (&ready.control, &self.control) {
                (None, _) => String::new(),
                (Some(_), None) => ", or run 'sudo pfw confirm' anywhere,".to_owned(),
                (Some(path), Some(_)) => format!(", or run 'sudo pfw confirm --control {}' anywhere,", path.display()),
            };
            self.say(&format!(
                "pfw: press Enter{elsewhere} within {seconds} s to keep the rules; else everything is taken back"
            ));
        }
        // Without systemd there is nobody to tell.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        if self.wants_window {
            self.open_window(ready);
        }
    }

    fn say(&mut self, words: &str) {
        self.messages.say(words);
    }

    fn lines_of(&self, errors: &Errors) -> Vec<String> {
        lines_of(errors)
    }

    fn is_abandoned(&self) -> bool {
        self.was_there && !io::stderr().is_terminal()
    }
}

/// How it watches that puts nothing in force.
fn without_effect() -> &'static str {
    if firewall::is_in_force() {
        "blocking nothing itself, but rules of a pfw are in force; what one has left there, 'pfw clean' removes"
    } else {
        "nothing is blocked"
    }
}
