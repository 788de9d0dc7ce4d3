//! Losses that have not been told yet.

use crate::record::line::{Lost, LostCause};

/// At most one [`Lost`] for each cause; more of the same cause are added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Losses(Vec<Lost>);

impl Losses {
    /// Adds a loss.
    pub(super) fn add(&mut self, lost: Lost) {
        if lost.n == 0 {
            return;
        }
        match self.0.iter_mut().find(|known| known.cause == lost.cause) {
            Some(known) => known.add(&lost),
            None => self.0.push(lost),
        }
    }

    /// Adds all of `other`, which is empty afterwards.
    pub(super) fn append(&mut self, other: &mut Self) {
        for lost in other.0.drain(..) {
            self.add(lost);
        }
    }

    /// Whether everything has been told.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One that has to be told.
    pub(super) fn first(&self) -> Option<Lost> {
        self.0.first().copied()
    }

    /// Forgets the loss of this cause: it has been told.
    pub(super) fn told(&mut self, cause: LostCause) {
        self.0.retain(|lost| lost.cause != cause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn lost(n: u64, cause: LostCause, from: i64, to: i64) -> Lost {
        Lost { n, cause, from: Timestamp::from_nanos(from), to: Timestamp::from_nanos(to) }
    }

    #[test]
    fn losses_of_one_cause_add_up_and_of_two_stay_apart() {
        let mut losses = Losses::default();
        losses.add(lost(3, LostCause::LogQueue, 10, 20));
        losses.add(lost(0, LostCause::KernelRing, 0, 0));
        let mut more = Losses::default();
        more.add(lost(4, LostCause::LogQueue, 5, 12));
        more.add(lost(1, LostCause::LogWrite, 7, 7));
        losses.append(&mut more);
        assert!(more.is_empty());
        assert_eq!(losses.first(), Some(lost(7, LostCause::LogQueue, 5, 20)));
        losses.told(LostCause::LogQueue);
        assert_eq!(losses.first(), Some(lost(1, LostCause::LogWrite, 7, 7)));
    }
}
