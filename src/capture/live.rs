//! Frames from this machine's interfaces: a tap (the ring, or pnet's channels) and a watch over the interfaces that
//! steers it.

use super::fan::{Fan, Reader};
use super::filter::Selection;
use super::interfaces::{Interfaces, LinkEvent, Role, Watch};
use super::pnet::Channels;
use super::ring::{Ring, RingConfig};
use super::{Frame, FrameSource, Polled, SourceCounters};
use crate::sys;
use std::io;
use std::iter;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Which way frames come from the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LiveKind {
    /// The receive ring: complete, and fifty times cheaper.
    #[default]
    Ring,
    /// No frames at all: the interfaces alone are watched. A socket that gets nothing would still cost each packet.
    Nothing,
    /// pnet's channels, for where the ring is not to be had. Tunnels
    /// with link headers of their own are not watched, and frames for other hosts are not counted.
    Pnet,
}

/// What to capture, and how.
#[derive(Debug, Default)]
pub struct LiveConfig {
    /// The way.
    pub kind: LiveKind,
    /// Names of the interfaces; none means all, those too that come later.
    pub names: Vec<String>,
    /// The ring's measures.
    pub ring: RingConfig,
    /// When one of these can be read, [`FrameSource::poll`] returns. Whoever gave it also empties it.
    pub wake: Vec<OwnedFd>,
}

/// A way to get frames from the kernel.
pub(super) trait Tap {
    /// Waits until there are frames, something is to be read from `others`, a signal comes, or the time is up.
    fn wait(&mut self, others: &[libc::pollfd], timeout: Duration) -> io::Result<()>;

    /// Whether there are frames that were not handed out, those included that the kernel still keeps to itself.
    fn has_frames(&self) -> bool;

    /// Hands out a bounded batch of the frames that are there.
    fn hand_out(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()>;

    /// Watches the selected ones of `interfaces` from now on; tells which can't be.
    fn follow(&mut self, interfaces: &Interfaces, selection: &Selection) -> io::Result<Vec<LinkEvent>>;

    /// See [`FrameSource::counters`].
    fn counters(&mut self) -> SourceCounters;

    /// See [`FrameSource::drain`].
    fn drain(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()>;
}

/// A tap that nothing comes from.
struct Silence;

impl Tap for Silence {
    fn wait(&mut self, others: &[libc::pollfd], timeout: Duration) -> io::Result<()> {
        sys::wait(&mut others.to_vec(), timeout)
    }

    fn has_frames(&self) -> bool {
        false
    }

    fn hand_out(&mut self, _: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        Ok(())
    }

    fn follow(&mut self, _: &Interfaces, _: &Selection) -> io::Result<Vec<LinkEvent>> {
        Ok(Vec::new())
    }

    fn counters(&mut self) -> SourceCounters {
        SourceCounters::default()
    }

    fn drain(&mut self, _: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        Ok(())
    }
}

/// The live source. It logs nothing: what happened to interfaces is told by [`Live::take_events`].
pub struct Live {
    tap: Box<dyn Tap + Send>,
    readers: Vec<Reader>,
    watch: Watch,
    names: Vec<String>,
    wake: Vec<OwnedFd>,
    events: Vec<LinkEvent>,
    /// The latest poll had news and handed out nothing.
    owing: bool,
}

impl Live {
    /// Begins to capture. An error of kind [`io::ErrorKind::InvalidInput`] is a matter of wrong usage: an interface
    /// that doesn't exist, a ring of an impossible size.
    pub fn open(config: LiveConfig) -> io::Result<Self> {
        let LiveConfig { kind, names, ring, wake } = config;
        check_names(&names)?;
        if kind == LiveKind::Pnet && ring.threads > 1 {
            let what = "pnet's channels are read by one thread: leave out --capture-threads, or --capture pnet";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let watch = Watch::open()?;
        let selection = selection(&names, watch.interfaces());
        let (mut readers, mut events) = (Vec::new(), Vec::new());
        let tap: Box<dyn Tap + Send> = match kind {
            LiveKind::Ring if ring.threads > 1 => {
                let (fan, all) = Fan::open(ring, &selection)?;
                readers = all;
                Box::new(fan)
            }
            LiveKind::Ring => Box::new(Ring::open(ring, &selection)?),
            LiveKind::Nothing => Box::new(Silence),
            LiveKind::Pnet => {
                let mut channels = Channels::default();
                events = channels.follow(watch.interfaces(), &selection)?;
                Box::new(channels)
            }
        };
        Ok(Self { tap, readers, watch, names, wake, events, owing: false })
    }

    /// What is to run, each on a thread of its own, for frames to come: nothing unless several read.
    pub fn take_readers(&mut self) -> Vec<Reader> {
        std::mem::take(&mut self.readers)
    }

    /// The interfaces as they were when the frames of the next [`FrameSource::poll`] were captured. It changes only
    /// within calls that hand out no frame.
    pub fn interfaces(&self) -> &Arc<Interfaces> {
        self.watch.interfaces()
    }

    /// Whether frames were captured that were not handed out yet. The kernel hands over a batch that is not full when
    /// its time is up; on a busy machine that can be late.
    pub fn has_frames(&self) -> bool {
        self.tap.has_frames()
    }

    /// What happened to interfaces since this was called last.
    pub fn take_events(&mut self) -> Vec<LinkEvent> {
        std::mem::take(&mut self.events)
    }

    /// What the user may not expect of the interfaces that were chosen: `eth0 is a port of br0: ...`.
    pub fn remarks(&self) -> Vec<String> {
        let chosen = self.names.iter().filter_map(|name| self.interfaces().find(name));
        let ports = chosen.filter_map(|port| self.interfaces().device_above(port).map(|above| (port, above)));
        ports
            .filter(|(_, above)| !self.names.contains(&above.name))
            .map(|(port, above)| {
                let (port, above) = (&port.name, &above.name);
                format!("{port} is a port of {above}: its packets are seen on {above}, which was not chosen")
            })
            .collect()
    }

    /// Takes in what happened to the interfaces. Whether anything did.
    fn follow(&mut self) -> io::Result<bool> {
        if !self.watch.update()? {
            return Ok(false);
        }
        self.events.append(&mut self.watch.take_events());
        let selection = selection(&self.names, self.watch.interfaces());
        let mut unwatched = self.tap.follow(self.watch.interfaces(), &selection)?;
        self.events.append(&mut unwatched);
        Ok(true)
    }
}

impl FrameSource for Live {
    fn poll(&mut self, timeout: Duration, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<Polled> {
        let wake = self.wake.iter().map(|wake| sys::readable(wake.as_fd()));
        let others: Vec<libc::pollfd> = iter::once(sys::readable(self.watch.as_fd())).chain(wake).collect();
        self.tap.wait(&others, timeout)?;
        // Frames that are ready now were captured before this, so that the interfaces they came from are known
        // behind it; and if there is news, the caller looks at it before it gets them. But not twice in a row: frames
        // must not wait for interfaces that keep changing.
        self.owing = self.follow()? && !self.owing;
        if !self.owing {
            self.tap.hand_out(sink)?;
        }
        Ok(Polled::More)
    }

    fn counters(&mut self) -> SourceCounters {
        self.tap.counters()
    }

    fn drain(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        self.tap.drain(sink)
    }
}

/// The interfaces that the user means by `names`: a VRF stands for its members, on which its packets are seen.
fn selection(names: &[String], interfaces: &Interfaces) -> Selection {
    if names.is_empty() {
        return Selection::All;
    }
    let chosen: Vec<u32> =
        names.iter().filter_map(|name| interfaces.find(name)).map(|interface| interface.index).collect();
    let member = |index: &u32| matches!(interfaces.role(*index), Role::Member(vrf) if chosen.contains(&vrf));
    let members = interfaces.iter().map(|interface| interface.index).filter(member);
    let mut indexes: Vec<u32> = chosen.iter().copied().chain(members).collect();
    indexes.sort_unstable();
    indexes.dedup();
    Selection::Only(indexes)
}

/// Refuses names that no interface has.
fn check_names(names: &[String]) -> io::Result<()> {
    let existing: Vec<String> = pnet::datalink::interfaces().into_iter().map(|interface| interface.name).collect();
    match names.iter().find(|name| !existing.contains(name)) {
        None => Ok(()),
        Some(unknown) => {
            let what = format!("there is no interface {unknown:?}; there are {}", existing.join(", "));
            Err(io::Error::new(io::ErrorKind::InvalidInput, what))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_interface_is_refused_with_those_that_exist() {
        let error = Live::open(LiveConfig { names: vec!["lo".into(), "nix0".into()], ..LiveConfig::default() });
        let error = error.map(drop).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let message = error.to_string();
        assert!(message.starts_with("there is no interface \"nix0\"; there are lo"), "{message}");
    }

    #[test]
    fn no_names_mean_all_interfaces() {
        assert_eq!(selection(&[], &Interfaces::default()), Selection::All);
        assert_eq!(selection(&["eth0".into()], &Interfaces::default()), Selection::Only(Vec::new()));
    }
}
