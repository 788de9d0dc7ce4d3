//! What comes from one reader, on the thread that takes it.

use super::Ordered;
use super::reader::{Item, MAX_BATCHES, Reader, Shared};
use crate::batches::{Batches, batches};
use crate::capture::Frame;
use crate::capture::ring::{Glance, Inlet, Ring};
use crate::sys::waker::{Waker, waker};
use crate::time::Timestamp;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// What comes from one reader.
pub(super) struct Lane {
    inlet: Arc<Inlet>,
    glance: Glance,
    shared: Arc<Shared>,
    /// Ends the reader's wait.
    bell: Waker,
    batches: Batches<Vec<Item>>,
    /// Not handed out yet, oldest first; of the first batch those before `next` were.
    queue: VecDeque<Vec<Item>>,
    next: usize,
    /// Frames that were taken over in all.
    taken: u64,
    /// The reader has ended, and all that it handed over is here.
    ended: bool,
}

impl Lane {
    /// The lane of a ring, and its reader, which rings `bell`.
    pub(super) fn open(ring: Ring, bell: Waker) -> io::Result<(Self, Reader)> {
        let (to_reader, alarm) = waker()?;
        let (desk, batches) = batches(MAX_BATCHES);
        let shared = Arc::new(Shared::default());
        let lane = Self {
            inlet: ring.inlet(),
            glance: ring.glance(),
            shared: Arc::clone(&shared),
            bell: to_reader,
            batches,
            queue: VecDeque::new(),
            next: 0,
            taken: 0,
            ended: false,
        };
        Ok((lane, Reader::new(ring, desk, shared, alarm, bell)))
    }

    /// What steers the ring.
    pub(super) fn inlet(&self) -> &Inlet {
        &self.inlet
    }

    /// Takes over what was handed over so far.
    pub(super) fn receive(&mut self) -> io::Result<()> {
        while !self.ended {
            match self.batches.next_now() {
                Ok(Some(batch)) => {
                    self.taken += batch.len() as u64;
                    self.queue.push_back(batch);
                }
                Ok(None) => break,
                Err(_) => self.ended = true,
            }
        }
        if self.ended { self.shared.why_ended() } else { Ok(()) }
    }

    /// Hands out the next frame.
    pub(super) fn hand_out(&mut self, sink: &mut dyn FnMut(&Frame<'_>)) {
        let Some(batch) = self.queue.front() else { return };
        if let Some(item) = batch.get(self.next) {
            sink(&Frame { read: Some(&item.read), ..item.frame });
        }
        self.next += 1;
        if self.next >= batch.len() {
            self.next = 0;
            let mut batch = self.queue.pop_front().unwrap_or_default();
            batch.clear();
            self.batches.give_back(batch);
        }
    }

    /// Has the reader read what is left, and end. Nothing may come in any more.
    pub(super) fn end(&mut self) {
        self.shared.end();
        self.bell.wake();
    }

    /// Whether the reader has ended and all that it read was handed out.
    pub(super) fn has_ended(&self) -> bool {
        self.ended && self.queue.is_empty()
    }
}

impl Ordered for Lane {
    fn head(&self) -> Option<Timestamp> {
        self.queue.front().and_then(|batch| batch.get(self.next)).map(|item| item.frame.time)
    }

    fn is_idle(&self) -> bool {
        // In this order: frames are counted before the block that they are in looks empty.
        self.ended || !self.glance.is_begun() && self.shared.handed_over() == self.taken
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Nobody takes anything any more.
        self.end();
    }
}
