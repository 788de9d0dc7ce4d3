//! `pfw replay`: a capture file through the pipeline, on the capture's clock.

mod reading;

use super::bans::words;
use super::calendar::Calendar;
use super::inference::{Inference, LOOKED_AT, Peers};
use super::locality::Locality;
use super::pipeline::{Circumstances, Interface, Pipeline};
use super::threads;
use crate::capture::file::{CaptureFile, FileInterface};
use crate::capture::{FrameSource, Polled};
use crate::detect::Ban;
use crate::engine::{Direction, Matcher};
use crate::host::Host;
use crate::packet::{Malformed, PacketType, Reason};
use crate::record::sink::Handle;
use crate::record::{self, Config, EscapedName, Log, PfwEvent, PfwLine, Selection, Summary};
use crate::rules::Ruleset;
use crate::time::Timestamp;
use anyhow::Result;
use reading::{Seen, reader};
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What is to be replayed, and how.
#[derive(Debug)]
pub struct Options {
    /// The capture file; `-` is standard input.
    pub file: PathBuf,
    /// The rules.
    pub ruleset: Ruleset,
    /// Addresses of the machine that the capture was taken on; inferred if there is none.
    pub local: Vec<IpAddr>,
    /// Where lines go; nowhere if they are not wanted.
    pub log: Option<Config>,
    /// Which packets get a line.
    pub selection: Selection,
    /// Tell of bans even where the rules ask for none.
    pub would_ban: bool,
}

/// What came of a replay.
#[derive(Debug)]
pub struct Outcome {
    /// Counts of all that was read.
    pub summary: Summary,
    /// Whose machine it was taken for, and why, if that had to be inferred.
    pub inferred: Option<(Locality, &'static str)>,
    /// Why the capture could not be read to its end.
    pub damage: Option<io::Error>,
    /// Whoever read the lines went away.
    pub unwanted: bool,
}

/// Replays a capture file. An error is one that kept it from beginning; what happens later is part of the outcome.
pub fn replay(options: Options) -> Result<Outcome> {
    let mut source = CaptureFile::open(&options.file)?;
    let mut ahead = ReadAhead::default();
    let inferred = options.local.is_empty().then(|| ahead.infer(&mut source, &Peers::of(&options.ruleset)));
    let locality = match &inferred {
        Some((locality, _)) => locality.clone(),
        None => Locality { addresses: options.local.iter().copied().collect(), ..Locality::default() },
    };

    let (log, writer) = options.log.map(record::open).transpose()?.unzip();
    let handle = log.as_ref().map(Log::handle);
    let writer = writer.map(|writer| threads::start("writer", move || writer.run())).transpose()?;
    let mut stage = Stage::new(options.ruleset, locality, log, options.selection, options.would_ban);
    let damage = play(source, ahead, &mut stage, || handle.as_ref().is_some_and(Handle::is_closed))?.err();
    // Drops the log, and with that lets the writer come to its end.
    let mut summary = stage.finish();

    if let Some(writer) = writer {
        threads::join("writer", writer)?;
    }
    let unwanted = handle.as_ref().is_some_and(Handle::is_closed);
    if let Some(handle) = handle {
        summary.add_log(&handle.counts());
    }
    Ok(Outcome { summary, inferred, damage, unwanted })
}

/// Sends everything through the stage: what was read ahead, then the rest, up to the end or the damage, or until
/// nobody wants more. Whether it came to the end.
fn play(
    source: CaptureFile<Box<dyn Read + Send>>,
    ahead: ReadAhead,
    stage: &mut Stage,
    unwanted: impl Fn() -> bool,
) -> Result<io::Result<()>> {
    stage.learn(source.interfaces());
    for seen in &ahead.seen {
        stage.packet(seen);
    }
    if let Some(end) = ahead.end {
        return Ok(end);
    }
    let (reader, batches) = reader(source);
    let reader = threads::start("reader", move || reader.run())?;
    while !unwanted() {
        let Some(batch) = batches.next() else { break };
        stage.learn(&batch.interfaces);
        for seen in &batch.seen {
            stage.packet(seen);
        }
        batches.give_back(batch.emptied());
    }
    drop(batches);
    threads::join("reader", reader)
}

/// The beginning of a capture, read to find out whose machine it was taken on.
#[derive(Default)]
struct ReadAhead {
    seen: Vec<Seen>,
    /// How the file ended, if it did so already.
    end: Option<io::Result<()>>,
}

impl ReadAhead {
    fn infer<R: Read>(&mut self, source: &mut CaptureFile<R>, peers: &Peers) -> (Locality, &'static str) {
        while self.end.is_none() && self.seen.len() < LOOKED_AT {
            match source.poll(Duration::ZERO, &mut |frame| self.seen.push(Seen::of(frame))) {
                Ok(Polled::More) => {}
                Ok(Polled::End) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(Err(error)),
            }
        }
        let mut inference = Inference::default();
        for seen in self.seen.iter().filter(|seen| !seen.on_loopback) {
            inference.observe(&seen.packet, seen.hardware);
        }
        inference.conclude(|address| peers.contains(address))
    }
}

/// All that a packet of a capture meets.
struct Stage {
    pipeline: Pipeline,
    calendar: Calendar,
    locality: Locality,
    /// Names of the interfaces that the file has described so far.
    names: Vec<Option<String>>,
    /// The same as the rules in force see them; the last is that of a loopback interface without a name.
    interfaces: Vec<Interface>,
    loopback: Interface,
    other_host: u64,
}

impl Stage {
    fn new(ruleset: Ruleset, locality: Locality, log: Option<Log>, selection: Selection, would_ban: bool) -> Self {
        let host_route = |address: IpAddr| (address, if address.is_ipv4() { 32 } else { 128 });
        let addresses = locality.addresses.all().iter().copied().map(host_route).collect();
        let host = Host { addresses, ..Host::default() };
        let (calendar, matcher) = Calendar::new(ruleset, host);
        let loopback = interface(&matcher, Some("lo"));
        let pipeline = Pipeline::new(matcher, log, selection).reproducible().showing_bans(would_ban);
        // The rules spare only what is known of a machine, not what may be true.
        let pipeline = pipeline.supposing_gateways(locality.gateways.clone());
        Self { pipeline, calendar, locality, names: Vec::new(), interfaces: Vec::new(), loopback, other_host: 0 }
    }

    /// Takes note of interfaces that the file has described since.
    fn learn(&mut self, described: &[FileInterface]) {
        for new in described {
            self.interfaces.push(interface(self.pipeline.matcher(), new.name.as_deref()));
            self.names.push(new.name.clone());
        }
    }

    fn packet(&mut self, seen: &Seen) {
        if seen.packet.link_direction == Some(PacketType::OtherHost) {
            self.other_host += 1;
            return;
        }
        self.tick(seen.time);
        let direction =
            if seen.on_loopback { Direction::Loopback } else { self.locality.direction(&seen.packet, seen.hardware) };
        let number = seen.interface as usize;
        let nameless = self.names.get(number).is_none_or(Option::is_none);
        let named = self.interfaces.get(number).filter(|_| !(nameless && direction == Direction::Loopback));
        let interface = named.unwrap_or(&self.loopback);
        let around = Circumstances { time: seen.time, direction, interface, uid: None, discards };
        self.pipeline.predict(&seen.packet, &around);
        for ban in self.pipeline.take_bans() {
            self.would_ban(&ban);
        }
    }

    /// Says who would be banned now.
    fn would_ban(&mut self, ban: &Ban) {
        let (event, reason) = match self.calendar.spares(ban.source, ban.begins) {
            Some(why) => (PfwEvent::BanSpared, format!("not banned, {why}: {}", words(ban))),
            None => (PfwEvent::WouldBan, format!("would ban {}", words(ban))),
        };
        if let Some(log) = self.pipeline.log() {
            log.pfw(&PfwLine { time: ban.begins, event, interface: None, reason: &reason });
        }
    }

    /// Sets the clock to a packet's time; what has expired by then is not in force for it.
    fn tick(&mut self, time: Timestamp) {
        let Some(matcher) = self.calendar.turn_to(time) else { return };
        self.pipeline.replace(matcher, true);
        let matcher = self.pipeline.matcher();
        self.loopback = interface(matcher, Some("lo"));
        self.interfaces = self.names.iter().map(|name| interface(matcher, name.as_deref())).collect();
    }

    fn finish(self) -> Summary {
        Summary { other_host: self.other_host, ..self.pipeline.summary() }
    }
}

/// An interface of a file as a rule set sees it; one without a name satisfies no condition that asks for one.
fn interface(matcher: &Matcher, name: Option<&str>) -> Interface {
    Interface {
        name: name.map_or_else(EscapedName::unknown, |name| EscapedName::new(name.as_bytes())),
        class: matcher.interface_class(name.unwrap_or_default()),
    }
}

/// What a kernel discards before any rule. A wrong header checksum is not counted among that: in a capture it may
/// have been left to the network card, or spoilt by whoever made the addresses anonymous.
fn discards(fault: &Malformed, _: Direction) -> bool {
    fault.discarded_by_kernel() && fault.reason() != Reason::Ipv4Checksum
}
