//! The times in which reports of the kernel were lost. A packet of such a time that the rules block, and of which no
//! report came, was most likely dropped: nobody may say that it passed.

use crate::time::Timestamp;
use std::collections::VecDeque;

/// Times that are remembered. Of more, the two oldest become one, with what lies between them.
const MAX_SPANS: usize = 16;

/// Spans of time, the oldest first.
#[derive(Debug, Default)]
pub struct Doubts {
    spans: VecDeque<(Timestamp, Timestamp)>,
}

impl Doubts {
    /// Reports of packets from between these times may be missing.
    pub fn add(&mut self, from: Timestamp, to: Timestamp) {
        match self.spans.back_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => self.spans.push_back((from, to)),
        }
        if self.spans.len() > MAX_SPANS
            && let (Some(oldest), Some(next)) = (self.spans.pop_front(), self.spans.front_mut())
        {
            next.0 = oldest.0;
        }
    }

    /// From the first doubt to the last.
    pub fn span(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.spans.front()?.0, self.spans.back()?.1))
    }

    /// Whether the report of a packet of this time may be missing.
    pub fn covers(&self, time: Timestamp) -> bool {
        self.spans.iter().any(|&(from, to)| from <= time && time <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: usize) -> Timestamp {
        Timestamp::from_parts(i64::try_from(seconds).unwrap(), 0)
    }

    #[test]
    fn spans_that_touch_are_one_and_the_oldest_are_never_forgotten_but_widened() {
        let mut doubts = Doubts::default();
        assert!(!doubts.covers(at(0)) && doubts.span().is_none());
        doubts.add(at(10), at(12));
        doubts.add(at(11), at(15));
        assert_eq!([9, 10, 15, 16].map(|time| doubts.covers(at(time))), [false, true, true, false]);
        for n in 0..MAX_SPANS {
            doubts.add(at(20 + 10 * n), at(21 + 10 * n));
        }
        assert_eq!((doubts.spans.len(), doubts.span()), (MAX_SPANS, Some((at(10), at(21 + 10 * (MAX_SPANS - 1))))));
        assert_eq!([10, 17, 21, 25, 30].map(|time| doubts.covers(at(time))), [true, true, true, false, true]);
    }
}
