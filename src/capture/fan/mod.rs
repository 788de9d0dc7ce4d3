//! Several rings that share the frames of the machine, each read by a thread of its own, put in order again.
//!
//! The kernel gives frames to the rings in turn ([`ring`](super::ring)). A [`Reader`] makes packets of those of its ring
//! and hands them over in batches; [`Fan`], on the thread that decides, has a [`Lane`] for each, and hands out what is
//! oldest of all. It waits for a lane only while there is something in that ring: a block that is not full the kernel
//! hands over when its time is up.

mod lane;
mod reader;

pub use reader::Reader;

use super::filter::Selection;
use super::interfaces::{Interfaces, LinkEvent};
use super::live::Tap;
use super::ring::{RingConfig, open_group};
use super::{Frame, SourceCounters};
use crate::sys;
use crate::sys::waker::{Alarm, waker};
use crate::time::Timestamp;
use lane::Lane;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// Frames that are handed out before it is looked what else there is to do: as many small ones as a block holds.
const BATCH: usize = 8192;
/// How long a drain waits at most before it looks again whether all readers have ended, which wake it.
const LOOK: Duration = Duration::from_millis(100);

/// The rings as one tap.
pub(super) struct Fan {
    lanes: Vec<Lane>,
    /// Rings when a reader has handed something over, or has ended.
    alarm: Alarm,
}

impl Fan {
    /// Opens the rings for the selected interfaces. Nothing comes of them before the readers run.
    pub(super) fn open(config: RingConfig, selection: &Selection) -> io::Result<(Self, Vec<Reader>)> {
        let (bell, alarm) = waker()?;
        let rings = open_group(config)?;
        for ring in &rings {
            ring.inlet().select(selection)?;
        }
        let both = rings.into_iter().map(|ring| Lane::open(ring, bell.clone())).collect::<io::Result<Vec<_>>>()?;
        let (lanes, readers) = both.into_iter().unzip();
        Ok((Self { lanes, alarm }, readers))
    }

    /// Takes over what readers have handed over so far.
    fn receive(&mut self) -> io::Result<()> {
        self.alarm.clear();
        self.lanes.iter_mut().try_for_each(Lane::receive)
    }
}

impl Tap for Fan {
    fn wait(&mut self, others: &[libc::pollfd], timeout: Duration) -> io::Result<()> {
        self.receive()?;
        if oldest(&self.lanes).is_some() {
            return Ok(());
        }
        let mut fds = vec![sys::readable(self.alarm.as_fd())];
        fds.extend_from_slice(others);
        sys::wait(&mut fds, timeout)?;
        self.receive()
    }

    fn has_frames(&self) -> bool {
        self.lanes.iter().any(|lane| lane.head().is_some() || !lane.is_idle())
    }

    fn hand_out(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        for _ in 0..BATCH {
            let Some(lane) = oldest(&self.lanes).and_then(|oldest| self.lanes.get_mut(oldest)) else { break };
            lane.hand_out(sink);
        }
        Ok(())
    }

    fn follow(&mut self, _: &Interfaces, selection: &Selection) -> io::Result<Vec<LinkEvent>> {
        self.lanes.iter().try_for_each(|lane| lane.inlet().select(selection))?;
        Ok(Vec::new())
    }

    fn counters(&mut self) -> SourceCounters {
        self.lanes.iter().map(|lane| lane.inlet().counters()).fold(SourceCounters::default(), |sum, new| {
            SourceCounters {
                frames: sum.frames + new.frames,
                dropped: sum.dropped + new.dropped,
                freezes: sum.freezes + new.freezes,
            }
        })
    }

    fn drain(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) -> io::Result<()> {
        // First all of them, so that no frame finds the next ring open.
        self.lanes.iter().try_for_each(|lane| lane.inlet().shut())?;
        for lane in &mut self.lanes {
            lane.end();
        }
        loop {
            self.wait(&[], LOOK)?;
            self.hand_out(sink)?;
            if self.lanes.iter().all(Lane::has_ended) {
                return Ok(());
            }
        }
    }
}

/// What is in order by itself.
trait Ordered {
    /// The time of the frame that is next, if there is one by now.
    fn head(&self) -> Option<Timestamp>;

    /// Whether there is none on the way either.
    fn is_idle(&self) -> bool;
}

/// The number of the lane whose next frame is the oldest of all. None as long as an older one may come: what comes to an
/// idle lane is younger than what has come to others.
fn oldest(lanes: &[impl Ordered]) -> Option<usize> {
    let mut oldest: Option<(Timestamp, usize)> = None;
    for (number, lane) in lanes.iter().enumerate() {
        match lane.head() {
            Some(time) if oldest.is_none_or(|(before, _)| time < before) => oldest = Some((time, number)),
            Some(_) => {}
            None if lane.is_idle() => {}
            None => return None,
        }
    }
    oldest.map(|(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    struct Fake {
        heads: VecDeque<i64>,
        idle: bool,
    }

    impl Ordered for Fake {
        fn head(&self) -> Option<Timestamp> {
            self.heads.front().map(|&seconds| Timestamp::from_parts(seconds, 0))
        }

        fn is_idle(&self) -> bool {
            self.idle
        }
    }

    fn lanes<const N: usize>(lanes: [(&[i64], bool); N]) -> [Fake; N] {
        lanes.map(|(heads, idle)| Fake { heads: heads.iter().copied().collect(), idle })
    }

    /// What is handed out until it has to wait.
    fn order(lanes: &mut [Fake]) -> Vec<i64> {
        let mut all = Vec::new();
        while let Some(number) = oldest(lanes) {
            all.extend(lanes[number].heads.pop_front());
        }
        all
    }

    #[test]
    fn what_is_oldest_comes_first() {
        let mut lanes = lanes([(&[1, 4, 9], true), (&[2, 3, 8], true), (&[], true)]);
        assert_eq!(order(&mut lanes), [1, 2, 3, 4, 8, 9]);
    }

    #[test]
    fn what_may_be_younger_than_what_is_on_its_way_waits() {
        let mut lanes = lanes([(&[1, 4, 9], false), (&[2, 3], false)]);
        assert_eq!(order(&mut lanes), [1, 2, 3], "what comes next from the second may be older than 4");
        lanes[1].heads.push_back(7);
        assert_eq!(order(&mut lanes), [4, 7]);
        lanes[1].idle = true;
        assert_eq!(order(&mut lanes), [9]);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nothing_waiting() {
        let mut lanes = lanes([(&[100, 40, 41], true), (&[101, 42], true)]);
        assert_eq!(order(&mut lanes), [100, 40, 41, 101, 42], "each ring's order is kept");
    }
}
