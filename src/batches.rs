//! What goes from one thread to another in batches, which come back to be used again.
//!
//! There are so many batches and no more: who is ahead waits for the other, and memory stays bounded.

use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// The end that fills batches.
pub struct Desk<B> {
    /// The one that is being filled.
    pub batch: B,
    full: SyncSender<B>,
    spent: Receiver<B>,
    unwanted: bool,
}

/// The end that takes them. Dropping it tells the other that nobody wants more.
pub struct Batches<B> {
    full: Receiver<B>,
    spent: SyncSender<B>,
}

/// The other end has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

/// Both ends of a way on which there are `count` batches in all.
pub fn batches<B: Default>(count: usize) -> (Desk<B>, Batches<B>) {
    let (full, filled) = sync_channel(count);
    let (spent, empty) = sync_channel(count);
    for _ in 1..count {
        // There is room for exactly these, and the receiver is in our hands.
        let _ = spent.try_send(B::default());
    }
    (Desk { batch: B::default(), full, spent: empty, unwanted: false }, Batches { full: filled, spent })
}

impl<B: Default> Desk<B> {
    /// Hands the batch over, and waits until there is another to be filled.
    pub fn hand_on(&mut self) {
        // Without the other end a new one serves until that is noticed.
        let next = self.spent.recv().unwrap_or_default();
        let batch = mem::replace(&mut self.batch, next);
        // Never full: there are no more batches than places. It fails where nobody takes them any more.
        self.unwanted = self.full.send(batch).is_err();
    }

    /// Whether nobody takes batches any more.
    pub fn is_unwanted(&self) -> bool {
        self.unwanted
    }
}

impl<B> Batches<B> {
    /// The next batch, unless the other end is gone. It is to be [given back](Self::give_back), empty.
    pub fn next(&self) -> Option<B> {
        self.full.recv().ok()
    }

    /// The next batch, if there is one by now.
    ///
    /// # Errors
    /// There will be none.
    pub fn next_now(&self) -> Result<Option<B>, Ended> {
        match self.full.try_recv() {
            Ok(batch) => Ok(Some(batch)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(Ended),
        }
    }

    /// Gives a batch back for use again.
    pub fn give_back(&self, batch: B) {
        // There is room for every batch there is; without the other end nobody needs it.
        let _ = self.spent.try_send(batch);
    }
}
