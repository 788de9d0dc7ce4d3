//! The way back of an answer.

use super::protocol::{Answer, Outcome, Refusal, RefusalKind};
use crate::sys::waker::Waker;
use std::sync::mpsc::Sender;

/// Which client an answer is for. Not used again for another.
pub(super) type Token = u64;

/// Takes the answer to one request, from whatever thread. Dropped, it says that pfw has ended.
#[derive(Debug)]
pub struct Reply {
    to: Token,
    outcomes: Option<Sender<(Token, Outcome)>>,
    waker: Waker,
}

impl Reply {
    pub(super) fn new(to: Token, outcomes: Sender<(Token, Outcome)>, waker: Waker) -> Self {
        Self { to, outcomes: Some(outcomes), waker }
    }

    /// Answers.
    pub fn send(mut self, outcome: Outcome) {
        self.deliver(outcome);
    }

    /// Answers that all is well.
    pub fn ok(self, answer: Answer) {
        self.send(Ok(answer));
    }

    /// Answers that it can't be.
    pub fn refuse(self, refusal: Refusal) {
        self.send(Err(refusal));
    }

    fn deliver(&mut self, outcome: Outcome) {
        if let Some(outcomes) = self.outcomes.take() {
            // A server that has ended has no clients.
            let _ = outcomes.send((self.to, outcome));
            self.waker.wake();
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.deliver(Err(Refusal::new(RefusalKind::Ended, "pfw is ending")));
    }
}
