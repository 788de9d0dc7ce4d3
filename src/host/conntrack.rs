//! What connection tracking counts (`/proc/net/stat/nf_conntrack`): for this network namespace, one line for each
//! processor.
//!
//! The file needs no privilege and, unlike a request over netlink, loads no module into a kernel that tracks nothing.

use std::fs;

/// Where the kernel tells.
const PATH: &str = "/proc/net/stat/nf_conntrack";

/// What connection tracking has counted, all processors together. Each number begins anew after 32 bits: take
/// differences by [`Counts::since`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that it could make nothing of: bad checksums, segments outside their window, errors about nothing known.
    pub invalid: u32,
    /// Packets that it dropped, most of them because the table was full (`drop`).
    pub dropped: u32,
    /// Packets that it dropped because their connection could not be entered (`insert_failed`).
    pub insert_failed: u32,
    /// Connections that it gave up because the table was full (`early_drop`).
    pub evicted: u32,
}

impl Counts {
    /// Reads them; `None` where nothing tracks connections, or the kernel does not tell.
    pub fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string(PATH).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let names: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
        // Kernels differ in what columns they have; these four have always been there.
        let place = |wanted| names.iter().position(|name| *name == wanted);
        let places = [place("invalid")?, place("drop")?, place("insert_failed")?, place("early_drop")?];
        let mut sums = [0_u32; 4];
        for line in lines {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            for (sum, place) in sums.iter_mut().zip(places) {
                *sum = sum.wrapping_add(u32::from_str_radix(fields.get(place)?, 16).ok()?);
            }
        }
        let [invalid, dropped, insert_failed, evicted] = sums;
        Some(Self { invalid, dropped, insert_failed, evicted })
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            invalid: self.invalid.wrapping_sub(earlier.invalid),
            dropped: self.dropped.wrapping_sub(earlier.dropped),
            insert_failed: self.insert_failed.wrapping_sub(earlier.insert_failed),
            evicted: self.evicted.wrapping_sub(earlier.evicted),
        }
    }

    /// Whether the table was too small.
    pub const fn was_full(&self) -> bool {
        self.dropped > 0 || self.evicted > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kernel 6.18; older ones name the first columns otherwise.
    const TEXT: &str = "\
entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart
0000000c  00000000 00000001 00000000 0000000a 00000000 00000000 00000000 00000000 00000002 00000003 00000010 00000000  00000000 00000000 00000000 00000000
0000000c  00000000 00000001 00000000 fffffffe 00000000 00000000 00000000 00000000 00000000 00000001 00000001 00000000  00000000 00000000 00000000 00000000
";

    #[test]
    fn the_lines_of_all_processors_are_added_up() {
        assert_eq!(Counts::parse(TEXT), Some(Counts { invalid: 8, dropped: 4, insert_failed: 2, evicted: 17 }));
        assert_eq!(Counts::parse(""), None);
        assert_eq!(Counts::parse("entries found\n0 0\n"), None);
        assert_eq!(Counts::parse(&TEXT.replace("fffffffe", "-")), None);
    }

    #[test]
    fn a_difference_is_right_where_a_number_begins_anew() {
        let (before, now) = (Counts { invalid: u32::MAX, ..Counts::default() }, Counts::parse(TEXT).unwrap());
        assert_eq!(now.since(&before), Counts { invalid: 9, ..now });
        assert!(now.was_full() && !before.was_full());
    }
}
