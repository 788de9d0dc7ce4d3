//! Packets for addresses of others that translation may lead to this machine: the tap can't tell them from those on their
//! way through. Once their flow has begun conntrack tells, and so they wait as those for this machine do.

use crate::time::Timestamp;
use std::collections::VecDeque;

/// Such packets that wait at most, in some 16 MB. Only those wait of whose flow nothing is known. One that finds no room
/// has no line if it was led here; all that find none are counted.
const MAX_WAITING: usize = 1 << 16;

/// How many wait.
#[derive(Debug, Default)]
pub struct Led {
    /// The time of each.
    waiting: VecDeque<Timestamp>,
    refused: u64,
}

impl Led {
    /// Whether there is room for one more, which is taken.
    pub fn has_room(&mut self, time: Timestamp) -> bool {
        let has_room = self.waiting.len() < MAX_WAITING;
        if has_room {
            self.waiting.push_back(time);
        } else {
            self.refused += 1;
        }
        has_room
    }

    /// Those up to a time have been told.
    pub fn told_until(&mut self, time: Timestamp) {
        while self.waiting.pop_front_if(|waiting| *waiting <= time).is_some() {}
    }

    /// Those that found no room.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_by_what_is_told_and_what_finds_none_is_counted() {
        let at = |seconds| Timestamp::from_parts(seconds, 0);
        let mut led = Led::default();
        assert!((0..MAX_WAITING).all(|_| led.has_room(at(1))));
        assert!(!led.has_room(at(2)));
        led.told_until(at(1));
        assert!(led.has_room(at(2)));
        assert_eq!(led.refused(), 1);
    }
}
