//! The numbers of events: none is lost unseen.

use super::Event;

/// What a reader counted since its group was bound.
///
/// `events + lost` is the number of packets that the kernel logged up to the last event, exactly. Two things no reader
/// can know: how many were lost behind the last event, which is why `lost_behind` says that there may be some, and what
/// the kernel had no memory for, which gets no number. The counters of the rules tell both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events that were handed out.
    pub events: u64,
    /// Events that the kernel numbered and that were not handed out: there was no room for them in the receive buffer,
    /// or no rule of IPv4 or IPv6 had made them.
    pub lost: u64,
    /// How often the kernel said that the receive buffer was full. It then takes nothing in until all was read.
    pub overruns: u64,
    /// Whether the kernel said so behind the last event: then some were lost that `lost` does not have yet. The next
    /// event tells their number.
    pub lost_behind: bool,
}

/// Counts events by their numbers, which begin with 0 and have 32 bits.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counters: Counters,
    next: u32,
}

impl Tally {
    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Counts the event that a message carries, and hands it out.
    pub(super) fn take(&mut self, payload: &[u8], sink: &mut dyn FnMut(&Event<'_>)) {
        // One that can't be read is a gap in front of the next.
        if let Some(event) = Event::read(payload) {
            self.event(event.sequence);
            sink(&event);
        }
    }

    /// An event was read. It has no number in the instant between the binding of its group and the setting of flags.
    fn event(&mut self, sequence: Option<u32>) {
        self.counters.events += 1;
        let Some(sequence) = sequence else { return };
        // The kernel numbers events and queues them under one lock: what is missing in front of this one is lost.
        let missing = sequence.wrapping_sub(self.next);
        if missing > 0 {
            self.counters.lost += u64::from(missing);
            self.counters.lost_behind = false;
        }
        self.next = sequence.wrapping_add(1);
    }

    /// The kernel said that something was lost: behind all events that were in the buffer, and in front of all that
    /// will come into it.
    pub(super) fn overrun(&mut self) {
        self.counters.overruns += 1;
        self.counters.lost_behind = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(next: u32, sequences: &[u32]) -> Counters {
        let mut tally = Tally { next, ..Tally::default() };
        for &sequence in sequences {
            tally.event(Some(sequence));
        }
        tally.counters()
    }

    #[test]
    fn gaps_are_lost_events() {
        assert_eq!(tally(0, &[0, 1, 2]), Counters { events: 3, ..Counters::default() });
        assert_eq!(tally(0, &[0, 1, 5, 7]), Counters { events: 4, lost: 4, ..Counters::default() });
    }

    #[test]
    fn what_is_lost_before_the_first_event_counts() {
        assert_eq!(tally(0, &[10]), Counters { events: 1, lost: 10, ..Counters::default() });
    }

    #[test]
    fn the_numbers_begin_anew_after_32_bits() {
        assert_eq!(tally(u32::MAX, &[u32::MAX, 0, 1]), Counters { events: 3, ..Counters::default() });
        assert_eq!(tally(u32::MAX - 1, &[u32::MAX, 2]), Counters { events: 2, lost: 3, ..Counters::default() });
        assert_eq!(tally(u32::MAX - 2, &[1]), Counters { events: 1, lost: 4, ..Counters::default() });
    }

    #[test]
    fn an_event_without_a_number_changes_no_expectation() {
        let mut tally = Tally::default();
        tally.event(None);
        tally.event(Some(0));
        assert_eq!(tally.counters(), Counters { events: 2, ..Counters::default() });
    }

    #[test]
    fn a_loss_is_open_until_a_gap_tells_its_size() {
        let mut tally = Tally::default();
        tally.event(Some(0));
        tally.overrun();
        // It was in the buffer already.
        tally.event(Some(1));
        let open = Counters { events: 2, lost: 0, overruns: 1, lost_behind: true };
        assert_eq!(tally.counters(), open);
        tally.event(Some(66));
        assert_eq!(tally.counters(), Counters { events: 3, lost: 64, lost_behind: false, ..open });
    }
}
